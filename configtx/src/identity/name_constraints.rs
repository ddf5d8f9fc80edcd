//! Name constraints of authorities against the alternative names below them.

use std::net::IpAddr;

use x509_parser::extensions::{
    GeneralName, GeneralSubtree, NameConstraints as ParsedConstraints, SubjectAlternativeName,
};

/// The alternative names that constraints are checked against.
#[derive(Debug, Default)]
pub(crate) struct SubjectNames {
    dns: Vec<String>,
    emails: Vec<String>,
    uris: Vec<String>,
    /// 4 or 16 bytes each.
    addresses: Vec<Box<[u8]>>,
}

impl SubjectNames {
    /// `None` when a name of a kind that counts is malformed. Other kinds are passed over.
    pub(crate) fn read(names: &SubjectAlternativeName<'_>) -> Option<Self> {
        let mut read = Self::default();
        for name in &names.general_names {
            match name {
                GeneralName::DNSName(name) => read.dns.push(ascii(name)?),
                GeneralName::RFC822Name(name) => read.emails.push(ascii(name)?),
                GeneralName::URI(name) => read.uris.push(ascii(name)?),
                GeneralName::IPAddress(address) if matches!(address.len(), 4 | 16) => {
                    read.addresses.push((*address).into());
                }
                GeneralName::IPAddress(_) => return None,
                GeneralName::Invalid(tag, _) if matches!(tag.0, 1 | 2 | 6 | 7) => return None,
                _ => {}
            }
        }
        Some(read)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.dns.is_empty() && self.emails.is_empty() && self.uris.is_empty() && self.addresses.is_empty()
    }
}

fn ascii(text: &str) -> Option<String> {
    text.is_ascii().then(|| text.to_owned())
}

/// What an authority may issue for.
#[derive(Debug, Default)]
pub(crate) struct NameConstraints {
    permitted: Subtrees,
    excluded: Subtrees,
}

#[derive(Debug, Default)]
struct Subtrees {
    dns: Vec<String>,
    emails: Vec<String>,
    uris: Vec<String>,
    networks: Vec<Network>,
}

/// A range of addresses.
#[derive(Debug)]
struct Network {
    base: Box<[u8]>,
    /// As long as `base`; its one bits come first.
    mask: Box<[u8]>,
}

impl NameConstraints {
    /// The constraints, and whether every kind of name in them is understood. `None` when malformed.
    pub(crate) fn read(parsed: &ParsedConstraints<'_>) -> Option<(Self, bool)> {
        let permitted = parsed.permitted_subtrees.as_deref().unwrap_or_default();
        let excluded = parsed.excluded_subtrees.as_deref().unwrap_or_default();
        if permitted.is_empty() && excluded.is_empty() {
            return None;
        }
        let (permitted, permitted_complete) = Subtrees::read(permitted)?;
        let (excluded, excluded_complete) = Subtrees::read(excluded)?;
        Some((
            Self { permitted, excluded },
            permitted_complete && excluded_complete,
        ))
    }

    /// True when every name is permitted and none excluded.
    pub(crate) fn permit(&self, names: &SubjectNames) -> bool {
        let (yes, no) = (&self.permitted, &self.excluded);
        names
            .dns
            .iter()
            .all(|name| labels(name).is_some() && decide(&yes.dns, &no.dns, |tree| within_domain(name, tree)))
            && names.emails.iter().all(|name| {
                mailbox(name).is_some()
                    && decide(&yes.emails, &no.emails, |tree| within_mailboxes(name, tree))
            })
            && names.uris.iter().all(|name| {
                let host = uri_host(name);
                host.is_some_and(|host| decide(&yes.uris, &no.uris, |tree| within_domain(host, tree)))
            })
            && names
                .addresses
                .iter()
                .all(|address| decide(&yes.networks, &no.networks, |network| network.contains(address)))
    }
}

fn decide<T>(permitted: &[T], excluded: &[T], within: impl Fn(&T) -> bool) -> bool {
    !excluded.iter().any(&within) && (permitted.is_empty() || permitted.iter().any(&within))
}

impl Subtrees {
    fn read(parsed: &[GeneralSubtree<'_>]) -> Option<(Self, bool)> {
        let mut read = Self::default();
        let mut complete = true;
        for subtree in parsed {
            match &subtree.base {
                GeneralName::DNSName(name) => read.dns.push(domain_tree(name)?),
                GeneralName::URI(name) if name.parse::<IpAddr>().is_err() => {
                    read.uris.push(domain_tree(name)?);
                }
                GeneralName::RFC822Name(name) if name.contains('@') => {
                    mailbox(name)?;
                    read.emails.push(ascii(name)?);
                }
                GeneralName::RFC822Name(name) => read.emails.push(domain_tree(name)?),
                GeneralName::IPAddress(range) => read.networks.push(Network::read(range)?),
                GeneralName::URI(_) => return None,
                GeneralName::Invalid(tag, _) if matches!(tag.0, 1 | 2 | 6 | 7) => return None,
                _ => complete = false,
            }
        }
        Some((read, complete))
    }
}

/// A domain, with a leading period when only names below it are meant.
fn domain_tree(name: &str) -> Option<String> {
    labels(name.strip_prefix('.').unwrap_or(name))?;
    ascii(name)
}

impl Network {
    /// `None` unless the mask's one bits come first.
    fn read(range: &[u8]) -> Option<Self> {
        if !matches!(range.len(), 8 | 32) {
            return None;
        }
        let (base, mask) = range.split_at(range.len() / 2);
        let whole = mask.iter().take_while(|byte| **byte == 0xff).count();
        let is_prefix = |byte: &u8| byte.leading_ones() + byte.trailing_zeros() >= u8::BITS;
        let legal =
            mask.get(whole).is_none_or(is_prefix) && mask.iter().skip(whole + 1).all(|byte| *byte == 0);
        legal.then(|| Self {
            base: base.into(),
            mask: mask.into(),
        })
    }

    fn contains(&self, address: &[u8]) -> bool {
        let same = |((ours, theirs), mask): ((&u8, &u8), &u8)| ours & mask == theirs & mask;
        address.len() == self.base.len() && address.iter().zip(&self.base).zip(&self.mask).all(same)
    }
}

/// The labels of a domain, last first. `None` when one is empty or not printable.
fn labels(domain: &str) -> Option<Vec<&str>> {
    if domain.is_empty() {
        return Some(Vec::new());
    }
    let legal = |label: &&str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_graphic());
    let labels: Vec<&str> = domain.rsplit('.').collect();
    labels.iter().all(legal).then_some(labels)
}

fn within_domain(domain: &str, tree: &str) -> bool {
    if tree.is_empty() {
        return true;
    }
    let (below_only, tree) = tree.strip_prefix('.').map_or((false, tree), |tree| (true, tree));
    let (Some(domain), Some(tree)) = (labels(domain), labels(tree)) else {
        return false;
    };
    domain.len() >= tree.len() + usize::from(below_only)
        && tree
            .iter()
            .zip(&domain)
            .all(|(ours, theirs)| ours.eq_ignore_ascii_case(theirs))
}

/// Local part and domain.
fn mailbox(address: &str) -> Option<(&str, &str)> {
    let (local, domain) = address.rsplit_once('@')?;
    (!local.is_empty() && !domain.is_empty() && labels(domain).is_some()).then_some((local, domain))
}

fn within_mailboxes(address: &str, tree: &str) -> bool {
    let Some((local, domain)) = mailbox(address) else {
        return false;
    };
    match mailbox(tree) {
        Some((tree_local, tree_domain)) => local == tree_local && domain.eq_ignore_ascii_case(tree_domain),
        None => within_domain(domain, tree),
    }
}

/// The host of a URI; `None` when there is none or it is an address.
fn uri_host(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if host.starts_with('[') {
        return None;
    }
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    (!host.is_empty() && host.parse::<IpAddr>().is_err()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_lies_within_itself_and_its_parents() {
        for (domain, tree, within) in [
            ("a.example.com", "example.com", true),
            ("EXAMPLE.com", "example.COM", true),
            ("example.com", ".example.com", false),
            ("a.example.com", ".example.com", true),
            ("badexample.com", "example.com", false),
            ("com", "example.com", false),
            ("anything", "", true),
            ("a..b", "b", false),
        ] {
            assert_eq!(within_domain(domain, tree), within, "{domain} in {tree}");
        }
    }

    #[test]
    fn mailboxes_match_exactly_or_by_domain() {
        assert!(within_mailboxes("joe@Example.com", "joe@example.com"));
        assert!(!within_mailboxes("Joe@example.com", "joe@example.com"));
        assert!(within_mailboxes("joe@a.example.com", "example.com"));
        assert!(!within_mailboxes("joe", "example.com"));
    }

    #[test]
    fn masks_must_be_prefixes() {
        assert!(Network::read(&[10, 0, 0, 0, 255, 255, 0, 0]).is_some());
        assert!(Network::read(&[10, 0, 0, 0, 255, 254, 0, 0]).is_some());
        assert!(Network::read(&[10, 0, 0, 0, 255, 255, 255, 255]).is_some());
        for mask in [[255, 0, 255, 0], [255, 253, 0, 0], [0, 1, 0, 0]] {
            assert!(
                Network::read(&[&[10, 0, 0, 0][..], &mask].concat()).is_none(),
                "{mask:?}"
            );
        }
        let ten = Network::read(&[10, 0, 0, 0, 255, 0, 0, 0]).unwrap();
        assert!(ten.contains(&[10, 1, 2, 3]));
        assert!(!ten.contains(&[11, 1, 2, 3]));
    }

    #[test]
    fn the_host_of_a_uri_is_a_name() {
        assert_eq!(
            uri_host("spiffe://user@node.example.com:80/path?q#f"),
            Some("node.example.com")
        );
        for none in ["urn:a:b", "http://10.0.0.1/", "http://[::1]/", "http:///path"] {
            assert_eq!(uri_host(none), None, "{none}");
        }
    }

    #[test]
    fn excluded_wins_over_permitted_and_an_empty_permit_list_permits() {
        let tree = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let within = |name: &'static str| move |tree: &String| within_domain(name, tree);
        assert!(decide(&tree(&[]), &tree(&["b"]), within("a")));
        assert!(decide(&tree(&["a"]), &tree(&[]), within("x.a")));
        assert!(!decide(&tree(&["a"]), &tree(&["x.a"]), within("x.a")));
        assert!(!decide(&tree(&["a"]), &tree(&[]), within("b")));
    }
}
