//! The edits of `ordain config` on the channels of the vectors, as a node would judge the updates that they lead to.
//!
//! An update passes what every node checks, and then the raft consenter's own validator.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use client::Address;
use client::config_edit::EditError;
use client::config_edit::batch::{BatchChange, set_batch};
use client::config_edit::consenter::{
    TlsCertificates, TlsChange, add_consenter, remove_consenter, replace_consenter, rotate_certificates,
};
use client::config_edit::settings::set_maintenance;
use client::config_update::UpdateEnvelope;
use configtx::compute_update::compute_update;
use configtx::consensus_metadata::RaftMetadata;
use configtx::identity::SigningIdentity;
use configtx::{Bundle, Severity, validator};
use consensus::raft::RaftValidator;
use consensus::{ConfigChange, Members, MetadataValidator as _};
use prost::Message as _;
use protos::ConsenterId;
use protos::wire::common::{Block, Config};

const KEY_FOLDERS: [&str; 2] = ["ecdsa", "ed25519"];
const CHANNEL: &str = "raft-three";

/// The vectors of one kind of key.
struct Vectors(PathBuf);

impl Vectors {
    fn of(keys: &str) -> Self {
        Self(Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(keys))
    }

    fn current(&self) -> Bundle {
        let bytes = std::fs::read(self.0.join(format!("blocks/{CHANNEL}.block"))).expect("a vector");
        Bundle::from_block(&Block::decode(&bytes[..]).expect("a block")).expect("a config")
    }

    fn tls(&self, node: &str) -> Bytes {
        let folder = "crypto/ordererOrganizations/ord.vec.test/orderers";
        let path = format!("{folder}/{node}.ord.vec.test/tls/server.crt");
        std::fs::read(self.0.join(path)).expect("a certificate").into()
    }

    fn orderer_admin(&self) -> SigningIdentity {
        let folder = self.0.join("crypto/extra/admin-ord");
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("a file");
        SigningIdentity::new("OrdererMSP", &read("cert.pem"), &read("key.pem")).expect("an identity")
    }

    /// What nodes say to the change, all of whose consenters are alive.
    fn judge(&self, edited: &Config) -> Result<(), String> {
        let current = self.current();
        let update = compute_update(CHANNEL, current.config(), edited).expect("an update");
        let mut envelope = UpdateEnvelope::new(current.channel_id().clone(), &update);
        envelope.sign(&self.orderer_admin(), [1; 24]);
        let proposal = validator::propose_config_update(&current, envelope.data());
        let proposal = proposal.map_err(|error| error.to_string())?;
        let ids: Vec<_> = (1..=members(&current).len() as u64).map(ConsenterId).collect();
        let change = ConfigChange {
            old: Some(&current),
            new: &proposal.bundle,
            members: &Members {
                active: ids.clone(),
                ids,
            },
            now: SystemTime::now(),
        };
        RaftValidator.validate(&change).map_err(|error| error.to_string())
    }
}

fn members(bundle: &Bundle) -> Vec<Address> {
    let metadata = &bundle.orderer().consensus_type.metadata;
    let metadata = RaftMetadata::read(metadata, Severity::Intake).expect("raft metadata");
    let members = metadata.consenters.iter();
    members
        .map(|member| address(&format!("{}:{}", member.host, member.port)))
        .collect()
}

fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

#[test]
fn every_step_of_membership_is_one_that_the_raft_validator_takes() {
    for keys in KEY_FOLDERS {
        let vectors = Vectors::of(keys);
        let config = || vectors.current().config().clone();
        let (third, fourth) = (
            members(&vectors.current())[2].clone(),
            address("o4.ord.vec.test:7050"),
        );
        let own = TlsCertificates {
            client: vectors.tls("o4"),
            server: vectors.tls("o4"),
        };
        let other = TlsChange {
            client: Some(vectors.tls("o4")),
            server: Some(vectors.tls("o4")),
        };
        let steps: [(&str, Result<Config, EditError>); 6] = [
            ("add", add_consenter(config(), &fourth, &own)),
            ("remove", remove_consenter(config(), &third)),
            ("replace", replace_consenter(config(), &third, &fourth, &other)),
            ("rotate", rotate_certificates(config(), &third, &other)),
            (
                "move",
                replace_consenter(config(), &third, &fourth, &TlsChange::default()),
            ),
            ("maintenance", set_maintenance(config(), true)),
        ];
        for (name, edited) in steps {
            let edited = edited.expect(name);
            assert_eq!(vectors.judge(&edited), Ok(()), "{keys}: {name}");
        }
    }
}

#[test]
fn two_steps_at_once_are_one_too_many() {
    for keys in KEY_FOLDERS {
        let vectors = Vectors::of(keys);
        let current = vectors.current();
        let members = members(&current);
        let edited = remove_consenter(current.config().clone(), &members[2]).expect("one less");
        let edited = remove_consenter(edited, &members[1]).expect("two less");
        let error = vectors.judge(&edited).expect_err("two at once");
        assert!(error.contains("one at a time"), "{error}");
    }
}

#[test]
fn what_is_no_matter_of_consensus_passes_as_well() {
    for keys in KEY_FOLDERS {
        let vectors = Vectors::of(keys);
        let change = BatchChange {
            max_message_count: Some(77),
            ..BatchChange::default()
        };
        let edited = set_batch(vectors.current().config().clone(), &change).expect("a batch");
        assert_eq!(vectors.judge(&edited), Ok(()), "{keys}");
    }
}
