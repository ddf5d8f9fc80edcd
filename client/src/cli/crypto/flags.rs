//! Organisations out of flags: `--orderer-org OrdererMSP:example.com:nodes=3`.

use std::path::Path;
use std::str::FromStr;

use clap::{ArgGroup, ValueEnum};

use super::{Failure, members, output};
use crate::crypto::{KeyType, Manifest, ManifestOrg, OrgKind, OrgPaths, OrgSpec};

#[derive(Debug, clap::Args)]
#[command(
    next_help_heading = "Organisations, without a file",
    group(ArgGroup::new("organisations").args(["orderer_org", "org"]).multiple(true))
)]
pub(super) struct OrgFlags {
    /// Organisation that runs orderers: MSP id, domain, number of nodes (1) and users (0). Nodes are named
    /// orderer0.DOMAIN, orderer1.DOMAIN, ... May be repeated.
    #[arg(long, value_name = "MSPID:DOMAIN[:nodes=N][:users=N]")]
    orderer_org: Vec<OrgArg>,
    /// Organisation that uses channels: MSP id, domain, number of users (1) and peers (0). Users are named
    /// User1@DOMAIN, ... May be repeated.
    #[arg(long, value_name = "MSPID:DOMAIN[:users=N][:peers=N]")]
    org: Vec<OrgArg>,
    /// Kind of all keys.
    #[arg(long, value_enum, default_value_t = KeyArg::Ed25519, requires = "organisations")]
    key: KeyArg,
    /// Further name or IP address that nodes' TLS certificates hold for. May be repeated.
    #[arg(long, value_name = "NAME", default_values = ["localhost", "127.0.0.1", "::1"], requires = "organisations")]
    san: Vec<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum KeyArg {
    /// Fast to verify; channels need capability `V3_0`.
    Ed25519,
    /// ECDSA on P-256.
    P256,
}

impl From<KeyArg> for KeyType {
    fn from(key: KeyArg) -> Self {
        match key {
            KeyArg::Ed25519 => Self::Ed25519,
            KeyArg::P256 => Self::P256,
        }
    }
}

/// `MSPID:DOMAIN[:key=N]...`
#[derive(Clone, Debug, PartialEq, Eq)]
struct OrgArg {
    msp_id: String,
    domain: String,
    nodes: Option<u32>,
    users: Option<u32>,
}

impl FromStr for OrgArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let mut named = |what: &str| {
            let part = parts.next().filter(|part| !part.is_empty());
            part.map(str::to_owned)
                .ok_or_else(|| format!("{what} is missing"))
        };
        let mut org = Self {
            msp_id: named("the MSP id")?,
            domain: named("the domain")?,
            nodes: None,
            users: None,
        };
        if org.domain.contains('/') || org.domain.starts_with('.') {
            return Err(format!("{:?} is no domain", org.domain));
        }
        for part in parts {
            let (key, number) = part.split_once('=').unwrap_or((part, ""));
            let number = number
                .parse()
                .map_err(|_| format!("{part:?} should be {key}=NUMBER"))?;
            match key {
                "nodes" | "peers" => org.nodes = Some(number),
                "users" => org.users = Some(number),
                _ => return Err(format!("{key:?} is neither nodes, peers nor users")),
            }
        }
        Ok(org)
    }
}

impl OrgArg {
    fn spec(&self, kind: OrgKind, key: KeyType, names: &[&str]) -> OrgSpec {
        let (prefix, nodes, users) = match kind {
            OrgKind::Orderer => ("orderer", self.nodes.unwrap_or(1), self.users.unwrap_or(0)),
            OrgKind::Peer => ("peer", self.nodes.unwrap_or(0), self.users.unwrap_or(1)),
        };
        let spec = OrgSpec::new(kind, &self.domain, key).with_users(users);
        (0..nodes).fold(spec, |spec, number| {
            spec.with_node(&format!("{prefix}{number}"), names)
        })
    }
}

impl OrgFlags {
    pub(super) fn is_empty(&self) -> bool {
        self.orderer_org.is_empty() && self.org.is_empty()
    }

    /// Has `make` make the organisations below `root`, and adds them to the list of those that the tree has.
    pub(super) fn run(
        &self,
        root: &Path,
        make: impl Fn(&Path, &[OrgSpec]) -> Result<Vec<OrgPaths>, Failure>,
    ) -> Result<(), Failure> {
        let orgs = self.orgs();
        let mut manifest = existing_manifest(root)?;
        let specs: Vec<_> = orgs.iter().map(|(_, spec)| spec.clone()).collect();
        let folders = make(root, &specs)?;
        for ((msp_id, spec), paths) in orgs.into_iter().zip(folders) {
            let (folder, members) = (paths.root().display(), members(&spec));
            output::line(format!("{msp_id:<16} {folder} ({members})"))?;
            let listed = &mut manifest.organisations;
            listed.retain(|org| (org.kind, &org.domain) != (spec.kind, &spec.domain));
            listed.push(ManifestOrg {
                kind: spec.kind,
                msp_id,
                domain: spec.domain,
                nodes: spec.nodes.into_iter().map(|node| node.common_name).collect(),
            });
        }
        Ok(manifest.write(root)?)
    }

    fn orgs(&self) -> Vec<(String, OrgSpec)> {
        let names: Vec<_> = self.san.iter().map(String::as_str).collect();
        let kinds = [(OrgKind::Orderer, &self.orderer_org), (OrgKind::Peer, &self.org)];
        let specs = kinds.into_iter().flat_map(|(kind, orgs)| {
            let spec = |org: &OrgArg| (org.msp_id.clone(), org.spec(kind, self.key.into(), &names));
            orgs.iter().map(spec).collect::<Vec<_>>()
        });
        specs.collect()
    }
}

/// Organisations may be added to a tree that has others.
fn existing_manifest(root: &Path) -> Result<Manifest, Failure> {
    if Manifest::exists(root) {
        Ok(Manifest::read(root)?)
    } else {
        Ok(Manifest::default())
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::crypto::{CryptoError, make, make_anew};

    type Make = fn(&Path, &[OrgSpec], SystemTime) -> Result<Vec<OrgPaths>, CryptoError>;

    #[test]
    fn organisations_are_read_part_by_part() {
        let org: OrgArg = "Org1MSP:org1.test:users=2:peers=3".parse().unwrap();
        assert_eq!(
            (org.msp_id.as_str(), org.domain.as_str()),
            ("Org1MSP", "org1.test")
        );
        assert_eq!((org.nodes, org.users), (Some(3), Some(2)));
        for bad in [
            "",
            "a",
            "a:",
            ":b",
            "a:b:c",
            "a:b:nodes=x",
            "a:b:hosts=1",
            "a:../b",
        ] {
            assert!(bad.parse::<OrgArg>().is_err(), "{bad} was taken");
        }
    }

    #[test]
    fn a_second_call_adds_organisations_and_replaces_none_by_itself() {
        let root = tempfile::tempdir().unwrap();
        let call = |org: &str, make: Make| {
            let flags = OrgFlags {
                orderer_org: vec![],
                org: vec![org.parse().unwrap()],
                key: KeyArg::P256,
                san: vec![],
            };
            flags.run(root.path(), |root, orgs| Ok(make(root, orgs, SystemTime::now())?))
        };
        call("Org1MSP:org1.test", make).unwrap();
        call("Org2MSP:org2.test:peers=1", make).unwrap();
        call("Org1MSP:org1.test", make).unwrap_err();
        call("OtherMSP:org1.test", make_anew).unwrap();
        let manifest = Manifest::read(root.path()).unwrap();
        let ids: Vec<_> = manifest
            .organisations
            .iter()
            .map(|org| org.msp_id.as_str())
            .collect();
        assert_eq!(ids, ["Org2MSP", "OtherMSP"]);
        assert_eq!(manifest.organisations[0].nodes, ["peer0.org2.test"]);
    }
}
