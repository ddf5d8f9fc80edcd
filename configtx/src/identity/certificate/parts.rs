//! A certificate taken apart without looking inside what is signed.

use crate::identity::der::{self, Reader};

/// The three parts of a certificate: what is signed, the algorithm (both whole elements), the signature.
///
/// Read as strictly as the reference does, which lets pass elements behind the signature.
pub(super) struct Parts<'a> {
    pub(super) tbs: &'a [u8],
    pub(super) algorithm: &'a [u8],
    pub(super) signature: Box<[u8]>,
}

impl<'a> Parts<'a> {
    pub(super) fn split(der: &'a [u8]) -> Option<Self> {
        let mut whole = Reader::new(der);
        let mut parts = whole.sequence()?;
        let (tbs, algorithm) = (parts.element()?, parts.element()?);
        let signature = right_aligned(parts.read(der::BIT_STRING)?)?;
        let legal = whole.is_empty() && tbs[0] == der::SEQUENCE;
        legal.then_some(Self {
            tbs,
            algorithm,
            signature,
        })
    }

    /// The algorithm as the signed part names it, behind the version and the serial number.
    pub(super) fn inner_algorithm(&self) -> Option<&'a [u8]> {
        /// `version [0]`, explicitly tagged.
        const VERSION: u8 = 0xa0;
        let mut fields = Reader::new(self.tbs).sequence()?;
        fields.read_optional(VERSION);
        fields.read(der::INTEGER)?;
        fields.element()
    }
}

/// The bits of a BIT STRING as a number of whole bytes. Unused bits must be zero.
fn right_aligned(content: &[u8]) -> Option<Box<[u8]>> {
    let (&unused, bytes) = content.split_first()?;
    if unused == 0 {
        return Some(bytes.into());
    }
    let last = bytes.last()?;
    if unused > 7 || last.trailing_zeros() < u32::from(unused) {
        return None;
    }
    let above = [0].iter().chain(bytes).map(|byte| byte << (8 - unused));
    Some(
        above
            .zip(bytes)
            .map(|(carried, byte)| carried | byte >> unused)
            .collect(),
    )
}
