//! One test a rule; the module's tables in `docs/spec/rules.md` §10 in the same order.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use protos::wire::msp::{FabricCryptoConfig, FabricMspConfig, FabricOuIdentifier};

use super::*;
use crate::identity::certificate::Certificate;
use crate::identity::key::KeyAlgorithm;
use crate::identity::testing::{
    DIGITAL_SIGNATURE, EKU_ANY, EKU_CLIENT, EKU_SERVER, Issuer, Spec, TestKey, config, ecdsa, ed25519, p256,
    rsa, serialized, settings,
};

fn root() -> Issuer {
    Issuer::root(&Spec::authority("root"), p256())
}

fn set_up(settings: &FabricMspConfig) -> Result<Msp, MspError> {
    Msp::new(&config(settings), MspLevel::V3_0)
}

fn msp(settings: &FabricMspConfig) -> Msp {
    set_up(settings).unwrap()
}

/// Reads and validates a certificate that `issuer` makes from `spec` for a fresh key.
fn judge(msp: &Msp, issuer: &Issuer, spec: &Spec) -> Result<(), IdentityError> {
    judge_key(msp, issuer, spec, &p256())
}

fn judge_key(msp: &Msp, issuer: &Issuer, spec: &Spec, key: &TestKey) -> Result<(), IdentityError> {
    msp.deserialize(&serialized(issuer.issue_pem(spec, key)))?
        .validate()
}

fn broken(result: Result<(), IdentityError>) -> BrokenRule {
    match result {
        Err(IdentityError::Invalid { rule, .. }) => rule,
        other => panic!("no broken rule but {other:?}"),
    }
}

fn chain_fault(result: Result<(), IdentityError>) -> ChainError {
    match result {
        Err(IdentityError::Chain { source, .. }) => source,
        other => panic!("no chain error but {other:?}"),
    }
}

fn ou(unit: &str, certificate: Bytes) -> FabricOuIdentifier {
    FabricOuIdentifier {
        certificate,
        organizational_unit_identifier: unit.to_owned(),
    }
}

mod set_up;

mod validity;

mod reading;

proptest! {
    #[test]
    fn any_settings_are_an_msp_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let wire = MspConfig { r#type: 0, config: bytes.into() };
        let _ = Msp::new(&wire, MspLevel::V3_0);
    }

    #[test]
    fn changed_settings_and_identities_never_panic(
        place in any::<proptest::sample::Index>(),
        flip in 1..=255_u8,
    ) {
        let root = Issuer::root(&Spec::authority("root"), ed25519());
        let list = root.revocation_list(&[7], &root.key, Some(&root));
        let with = FabricMspConfig {
            revocation_list: vec![list.into()],
            admins: vec![root.issue_pem(&Spec::leaf("admin"), &ed25519())],
            ..settings(&[&root], &[])
        };
        let msp = msp(&with);
        let mut wire = config(&with);
        let mut bytes = wire.config.to_vec();
        let at = place.index(bytes.len());
        bytes[at] ^= flip;
        wire.config = bytes.into();
        let _ = Msp::new(&wire, MspLevel::V3_0);
        let mut identity = serialized(root.issue_pem(&Spec::leaf("user"), &p256()));
        let at = place.index(identity.len());
        identity[at] ^= flip;
        if let Ok(identity) = msp.deserialize(&identity) {
            let _ = identity.validate();
        }
    }
}
