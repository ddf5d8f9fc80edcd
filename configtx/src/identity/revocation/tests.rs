use proptest::prelude::*;

use super::*;
use crate::identity::testing::{Issuer, Spec, ed25519, p256};

#[test]
fn lists_read_as_der_and_as_pem_of_their_own_label() {
    let root = Issuer::root(&Spec::authority("root"), p256());
    let der = root.revocation_list(&[7], &root.key, Some(&root));
    assert!(RevocationList::read(&der).is_some());
    assert!(RevocationList::read(pem::encode("X509 CRL", &der).as_bytes()).is_some());
    assert!(RevocationList::read(pem::encode("CERTIFICATE", &der).as_bytes()).is_none());
    assert!(RevocationList::read(&[&der[..], b"x"].concat()).is_none());
}

#[test]
fn a_list_names_serials_whatever_zeros_they_begin_with() {
    assert_eq!(trimmed(&[0, 0x80]), [0x80]);
    assert!(trimmed(&[0]).is_empty());
}

proptest! {
    #[test]
    fn any_bytes_are_a_list_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        place in any::<proptest::sample::Index>(),
        flip in 1..=255_u8,
    ) {
        let _ = RevocationList::read(&bytes);
        let root = Issuer::root(&Spec::authority("root"), ed25519());
        let mut der = root.revocation_list(&[7, 9], &root.key, Some(&root));
        let place = place.index(der.len());
        der[place] ^= flip;
        let _ = RevocationList::read(&der);
    }
}
