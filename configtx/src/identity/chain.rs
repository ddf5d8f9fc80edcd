//! Chains from a certificate up to a root, as Go's standard library builds and judges them: every node must
//! come to the same verdict as the reference (`docs/spec/rules.md` §10.1, §10.2).
//!
//! ```text
//! leaf -> candidates with the issuer's name, roots first -> signed? -> valid at that moment? -> next link
//!      -> all chains that reach a root -> those whose extended key usage fits
//! ```

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::certificate::Certificate;
use super::extensions::Usage;

/// Signatures checked in one search. Beyond it further candidates count as not having signed.
const SIGNATURE_CHECKS_MAX: usize = 100;

/// Leaf first, root last.
pub(crate) type Chain = Vec<Arc<Certificate>>;

/// Why there is no usable chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// A critical extension of the certificate is not understood.
    #[error("certificate {subject} has a critical extension nobody understands")]
    UnhandledCritical {
        /// Of the certificate.
        subject: String,
    },
    /// The certificate itself is not valid at the moment asked about.
    #[error("certificate {subject} has expired or is not yet valid")]
    OutsideValidity {
        /// Of the certificate.
        subject: String,
    },
    /// No chain reaches a root.
    #[error("certificate {subject} is signed by unknown authority {issuer}{}", hint(*.fault))]
    UnknownAuthority {
        /// Of the certificate.
        subject: String,
        /// The name it gives for its issuer.
        issuer: String,
        /// What was wrong with the last candidate of that name, anywhere up the chain.
        fault: Option<LinkFault>,
    },
    /// Chains exist, but none allows the usage.
    #[error("certificate {subject} or its chain does not allow the needed extended key usage")]
    Usage {
        /// Of the certificate.
        subject: String,
    },
    /// More than one chain exists, so nobody can tell who vouches for it.
    #[error("certificate {subject} has {chains} chains, exactly one is needed")]
    Ambiguous {
        /// Of the certificate.
        subject: String,
        /// How many.
        chains: usize,
    },
    /// An authority has name constraints, and the leaf states a host as common name instead of as an
    /// alternative name.
    #[error("certificate {subject} has a host as common name under an authority with name constraints")]
    NameConstraintsWithoutNames {
        /// Of the certificate.
        subject: String,
    },
}

/// Why a certificate of the right name is not the issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkFault {
    /// It may not issue, or its key did not make the signature.
    #[error("did not issue it")]
    NotSigned,
    /// A critical extension is not understood.
    #[error("has a critical extension nobody understands")]
    UnhandledCritical,
    /// Not valid at the moment asked about.
    #[error("has expired or is not yet valid")]
    OutsideValidity,
    /// Its name constraints exclude a name below it.
    #[error("does not permit a name below it")]
    Name,
    /// Its path length is exceeded.
    #[error("allows fewer authorities below it")]
    PathLength,
    /// The search was cut off.
    #[error("was not looked at: too many candidates")]
    Search,
}

fn hint(fault: Option<LinkFault>) -> String {
    fault
        .map(|fault| format!(" (a certificate of that name {fault})"))
        .unwrap_or_default()
}

/// A moment against the whole seconds of certificates: the second it lies in, and the first one that has not
/// begun before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    started: i64,
    ended: i64,
}

impl Moment {
    /// The beginning of a Unix second.
    pub(crate) fn seconds(unix: i64) -> Self {
        Self {
            started: unix,
            ended: unix,
        }
    }
}

impl From<SystemTime> for Moment {
    fn from(time: SystemTime) -> Self {
        let whole = |distance: Duration| i64::try_from(distance.as_secs()).unwrap_or(i64::MAX);
        let part = |distance: Duration| i64::from(distance.subsec_nanos() > 0);
        match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => Self {
                started: whole(after),
                ended: whole(after).saturating_add(part(after)),
            },
            Err(before) => {
                let before = before.duration();
                Self {
                    started: -whole(before) - part(before),
                    ended: -whole(before),
                }
            }
        }
    }
}

/// Certificates that chains are built from. Each certificate counts once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pool {
    roots: Vec<Arc<Certificate>>,
    intermediates: Vec<Arc<Certificate>>,
}

impl Pool {
    pub(crate) fn new(roots: &[Arc<Certificate>], intermediates: &[Arc<Certificate>]) -> Self {
        let mut pool = Self::default();
        for root in roots {
            pool.add_root(root.clone());
        }
        for intermediate in intermediates {
            pool.add_intermediate(intermediate.clone());
        }
        pool
    }

    pub(crate) fn with_root(root: Arc<Certificate>) -> Self {
        Self {
            roots: vec![root],
            intermediates: Vec::new(),
        }
    }

    pub(crate) fn add_root(&mut self, certificate: Arc<Certificate>) {
        add(&mut self.roots, certificate);
    }

    pub(crate) fn add_intermediate(&mut self, certificate: Arc<Certificate>) {
        add(&mut self.intermediates, certificate);
    }

    pub(crate) fn roots(&self) -> &[Arc<Certificate>] {
        &self.roots
    }

    pub(crate) fn intermediates(&self) -> &[Arc<Certificate>] {
        &self.intermediates
    }

    /// The one chain of `leaf`, judged one second after it became valid: so neither its expiry nor a start
    /// in the future matters, but its authorities must be valid at that moment.
    pub(crate) fn unique_chain(&self, leaf: &Arc<Certificate>) -> Result<Chain, ChainError> {
        let at = Moment::seconds(leaf.validity().0.saturating_add(1));
        let mut chains = self.chains(leaf, at, &[Usage::ServerAuth])?;
        let subject = || leaf.subject().to_owned();
        let count = chains.len();
        let chain = chains.pop().filter(|_| count == 1);
        let chain = chain.ok_or_else(|| ChainError::Ambiguous {
            subject: subject(),
            chains: count,
        })?;
        if is_unconstrained_host(&chain) {
            return Err(ChainError::NameConstraintsWithoutNames { subject: subject() });
        }
        Ok(chain)
    }

    /// All chains of `leaf` that hold at `at` and allow at least one of `usages`; never empty.
    pub(crate) fn chains(
        &self,
        leaf: &Arc<Certificate>,
        at: Moment,
        usages: &[Usage],
    ) -> Result<Vec<Chain>, ChainError> {
        let subject = || leaf.subject().to_owned();
        match self_fault(leaf, at) {
            Some(LinkFault::OutsideValidity) => {
                return Err(ChainError::OutsideValidity { subject: subject() });
            }
            Some(_) => return Err(ChainError::UnhandledCritical { subject: subject() }),
            None => {}
        }
        let mut chains = self.search(leaf, at)?;
        chains.retain(|chain| usages.iter().any(|usage| allows(chain, *usage)));
        if chains.is_empty() {
            Err(ChainError::Usage { subject: subject() })
        } else {
            Ok(chains)
        }
    }

    fn search(&self, leaf: &Arc<Certificate>, at: Moment) -> Result<Vec<Chain>, ChainError> {
        if self.roots.contains(leaf) {
            return Ok(vec![vec![leaf.clone()]]);
        }
        let mut search = Search {
            pool: self,
            at,
            checks: 0,
            found: Vec::new(),
            fault: None,
        };
        search.extend(&vec![leaf.clone()]);
        if search.found.is_empty() {
            return Err(ChainError::UnknownAuthority {
                subject: leaf.subject().to_owned(),
                issuer: leaf.issuer().to_owned(),
                fault: search.fault,
            });
        }
        Ok(search.found)
    }
}

fn add(list: &mut Vec<Arc<Certificate>>, certificate: Arc<Certificate>) {
    if !list.contains(&certificate) {
        list.push(certificate);
    }
}

struct Search<'a> {
    pool: &'a Pool,
    at: Moment,
    checks: usize,
    found: Vec<Chain>,
    fault: Option<LinkFault>,
}

impl Search<'_> {
    /// Finds every way up from the last certificate of `chain`. Each step checks a signature, so
    /// [`SIGNATURE_CHECKS_MAX`] also bounds the depth.
    fn extend(&mut self, chain: &Chain) {
        let pool = self.pool;
        for root in &pool.roots {
            if let Some(longer) = self.try_issuer(chain, root) {
                self.found.push(longer);
            }
        }
        for intermediate in &pool.intermediates {
            if let Some(longer) = self.try_issuer(chain, intermediate) {
                self.extend(&longer);
            }
        }
    }

    /// The chain with `candidate` on top, when it is the issuer of the last certificate.
    fn try_issuer(&mut self, chain: &Chain, candidate: &Arc<Certificate>) -> Option<Chain> {
        let child = chain.last()?;
        if child.raw_issuer() != candidate.raw_subject() || is_in_chain(candidate, chain) {
            return None;
        }
        self.checks += 1;
        let fault = if self.checks > SIGNATURE_CHECKS_MAX {
            Some(LinkFault::Search)
        } else if !child.is_signed_by(candidate) {
            Some(LinkFault::NotSigned)
        } else {
            self_fault(candidate, self.at).or_else(|| issuer_fault(candidate, chain))
        };
        if fault.is_some() {
            self.fault = fault;
            return None;
        }
        Some(chain.iter().chain([candidate]).cloned().collect())
    }
}

/// True when a certificate of the same subject, key and alternative names is in the chain already.
fn is_in_chain(candidate: &Certificate, chain: &Chain) -> bool {
    chain.iter().any(|member| {
        candidate.raw_subject() == member.raw_subject()
            && candidate.public_key() == member.public_key()
            && candidate.raw_subject_names() == member.raw_subject_names()
    })
}

/// What is wrong with a certificate regardless of its place.
fn self_fault(certificate: &Certificate, at: Moment) -> Option<LinkFault> {
    let (not_before, not_after) = certificate.validity();
    if certificate.extensions().has_unhandled_critical {
        Some(LinkFault::UnhandledCritical)
    } else if at.started < not_before || at.ended > not_after {
        Some(LinkFault::OutsideValidity)
    } else {
        None
    }
}

/// What is wrong with a certificate as the issuer of the last one in `chain`.
fn issuer_fault(issuer: &Certificate, chain: &Chain) -> Option<LinkFault> {
    let extensions = issuer.extensions();
    if let Some(constraints) = &extensions.name_constraints {
        let mut names = chain
            .iter()
            .filter_map(|below| below.extensions().subject_names.as_ref());
        if !names.all(|(_, names)| constraints.permit(names)) {
            return Some(LinkFault::Name);
        }
    }
    let path_length = extensions
        .basic_constraints
        .as_ref()
        .and_then(|found| found.path_len_constraint);
    let authorities_below = chain.len() - 1;
    path_length
        .is_some_and(|most| authorities_below > usize::try_from(most).unwrap_or(usize::MAX))
        .then_some(LinkFault::PathLength)
}

/// True when every certificate with an extendedKeyUsage extension names `usage`, authorities included.
fn allows(chain: &Chain, usage: Usage) -> bool {
    chain.iter().all(|link| {
        link.extensions()
            .extended_usage
            .is_none_or(|extended| extended.allows(usage))
    })
}

/// True when an authority has name constraints and the leaf, without alternative names, has a common name
/// that looks like a host.
fn is_unconstrained_host(chain: &Chain) -> bool {
    let Some((leaf, authorities)) = chain.split_first() else {
        return false;
    };
    leaf.extensions().subject_names.is_none()
        && looks_like_host(leaf.common_name())
        && authorities
            .iter()
            .any(|authority| authority.extensions().name_constraints.is_some())
}

/// Letters, digits, `-` (not first), `_` and `:` between periods; the first label may be `*`.
fn looks_like_host(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let legal = |(place, byte): (usize, u8)| {
        byte.is_ascii_alphanumeric() || byte == b'-' && place > 0 || byte == b'_' || byte == b':'
    };
    name.split('.').enumerate().all(|(place, label)| {
        !label.is_empty() && (place == 0 && label == "*" || label.bytes().enumerate().all(legal))
    })
}

#[cfg(test)]
mod tests {
    use super::looks_like_host;

    #[test]
    fn hosts_are_told_from_names_of_people() {
        for host in [
            "peer0.org1.example.com",
            "*.example.com",
            "localhost",
            "a_b:c",
            "x.",
        ] {
            assert!(looks_like_host(host), "{host}");
        }
        for name in [
            "User1@org1.example.com",
            "Jane Doe",
            "",
            ".",
            "-a.b",
            "a.*",
            "a..b",
        ] {
            assert!(!looks_like_host(name), "{name}");
        }
    }
}
