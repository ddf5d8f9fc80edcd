//! ECDSA signatures as numbers: strict reading, the low-S rule, rewriting.
//!
//! Of a signature `SEQUENCE { INTEGER r, INTEGER s }` the reference ignores bytes after the SEQUENCE and
//! elements after `s`; the part it does read is strict DER (`docs/spec/rules.md` §10.3). The library that
//! verifies is stricter, so it is always handed the pair written anew.

use super::der::{self, Reader};

/// A curve whose keys can sign messages (`docs/spec/rules.md` §10.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Curve {
    P224,
    P256,
    P384,
    P521,
}

const P224_ORDER: [u8; 28] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x16, 0xa2, 0xe0,
    0xb8, 0xf0, 0x3e, 0x13, 0xdd, 0x29, 0x45, 0x5c, 0x5c, 0x2a, 0x3d,
];
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
    0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];
const P384_ORDER: [u8; 48] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf, 0x58, 0x1a,
    0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
];
const P521_ORDER: [u8; 66] = [
    0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfa,
    0x51, 0x86, 0x87, 0x83, 0xbf, 0x2f, 0x96, 0x6b, 0x7f, 0xcc, 0x01, 0x48, 0xf7, 0x09, 0xa5, 0xd0, 0x3b,
    0xb5, 0xc9, 0xb8, 0x89, 0x9c, 0x47, 0xae, 0xbb, 0x6f, 0xb7, 0x1e, 0x91, 0x38, 0x64, 0x09,
];

/// Half of an odd number, rounded down.
const fn halved<const N: usize>(number: [u8; N]) -> [u8; N] {
    let mut half = [0; N];
    let mut at = 0;
    let mut carry = 0;
    while at < N {
        half[at] = number[at] >> 1 | carry << 7;
        carry = number[at] & 1;
        at += 1;
    }
    half
}

static P224_HALF: [u8; 28] = halved(P224_ORDER);
static P256_HALF: [u8; 32] = halved(P256_ORDER);
static P384_HALF: [u8; 48] = halved(P384_ORDER);
static P521_HALF: [u8; 66] = halved(P521_ORDER);

impl Curve {
    /// The curve with this object identifier (its DER content).
    pub(crate) fn from_oid(oid: &[u8]) -> Option<Self> {
        match oid {
            [0x2b, 0x81, 0x04, 0x00, 0x21] => Some(Self::P224),
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07] => Some(Self::P256),
            [0x2b, 0x81, 0x04, 0x00, 0x22] => Some(Self::P384),
            [0x2b, 0x81, 0x04, 0x00, 0x23] => Some(Self::P521),
            _ => None,
        }
    }

    /// The order of the group, big-endian; its length is that of `r` and `s` in fixed form.
    pub(crate) fn order(self) -> &'static [u8] {
        match self {
            Self::P224 => &P224_ORDER,
            Self::P256 => &P256_ORDER,
            Self::P384 => &P384_ORDER,
            Self::P521 => &P521_ORDER,
        }
    }

    fn half_order(self) -> &'static [u8] {
        match self {
            Self::P224 => &P224_HALF,
            Self::P256 => &P256_HALF,
            Self::P384 => &P384_HALF,
            Self::P521 => &P521_HALF,
        }
    }
}

/// The two numbers of a signature, big-endian, without leading zeros.
#[derive(Clone, Copy)]
pub(crate) struct Pair<'a> {
    r: &'a [u8],
    s: &'a [u8],
}

impl<'a> Pair<'a> {
    /// Reads a signature, ignoring what follows `s` and what follows the SEQUENCE. Zero and negative numbers
    /// are refused.
    pub(crate) fn read(signature: &'a [u8]) -> Option<Self> {
        let mut numbers = Reader::new(signature).sequence()?;
        let (r, s) = (numbers.magnitude()?, numbers.magnitude()?);
        (!r.is_empty() && !s.is_empty()).then_some(Self { r, s })
    }

    /// True when `s` is at most half the order of `curve`.
    pub(crate) fn is_low_s(&self, curve: Curve) -> bool {
        at_most(self.s, curve.half_order())
    }

    /// The pair as strict DER.
    pub(crate) fn to_der(self) -> Vec<u8> {
        let (r, s) = (der::encode_magnitude(self.r), der::encode_magnitude(self.s));
        der::encode(der::SEQUENCE, &[&r, &s])
    }

    /// The pair as strict DER with `s` or `order - s`, whichever is low. `None` when `s` exceeds the order.
    pub(crate) fn to_low_s_der(self, curve: Curve) -> Option<Vec<u8>> {
        if self.is_low_s(curve) {
            Some(self.to_der())
        } else {
            self.negated(curve)
        }
    }

    /// The pair with `order - s`, which verifies whenever the pair does.
    pub(crate) fn negated(self, curve: Curve) -> Option<Vec<u8>> {
        let other = difference(curve.order(), self.s)?;
        let start = other.iter().position(|digit| *digit != 0)?;
        Some(
            Pair {
                r: self.r,
                s: &other[start..],
            }
            .to_der(),
        )
    }

    /// `r || s`, each as long as the order. `None` when one is longer.
    pub(crate) fn to_fixed(self, curve: Curve) -> Option<Vec<u8>> {
        let length = curve.order().len();
        let mut fixed = vec![0; 2 * length];
        for (half, number) in fixed.chunks_exact_mut(length).zip([self.r, self.s]) {
            let start = length.checked_sub(number.len())?;
            half[start..].copy_from_slice(number);
        }
        Some(fixed)
    }
}

/// Compares a number without leading zeros with one that may have them.
fn at_most(number: &[u8], bound: &[u8]) -> bool {
    let start = bound.iter().position(|digit| *digit != 0).unwrap_or(bound.len());
    let bound = &bound[start..];
    number.len() < bound.len() || number.len() == bound.len() && number <= bound
}

/// `from - number`, as long as `from`. `None` when negative.
fn difference(from: &[u8], number: &[u8]) -> Option<Vec<u8>> {
    if !at_most(number, from) {
        return None;
    }
    let mut out = from.to_vec();
    let mut borrow = false;
    let digits = number.iter().rev().copied().chain(std::iter::repeat(0));
    for (place, digit) in out.iter_mut().rev().zip(digits) {
        let (rest, under) = place.overflowing_sub(digit);
        let (rest, under_again) = rest.overflowing_sub(u8::from(borrow));
        *place = rest;
        borrow = under || under_again;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CURVES: [Curve; 4] = [Curve::P224, Curve::P256, Curve::P384, Curve::P521];

    fn signature(r: &[u8], s: &[u8]) -> Vec<u8> {
        Pair { r, s }.to_der()
    }

    #[test]
    fn half_the_order_is_low_and_one_more_is_high() {
        for curve in CURVES {
            let half: Vec<u8> = curve
                .half_order()
                .iter()
                .copied()
                .skip_while(|d| *d == 0)
                .collect();
            let mut above = half.clone();
            *above.last_mut().unwrap() += 1;
            assert!(Pair { r: &[1], s: &half }.is_low_s(curve), "{curve:?}");
            assert!(!Pair { r: &[1], s: &above }.is_low_s(curve), "{curve:?}");
            let lowered = Pair { r: &[1], s: &above }.to_low_s_der(curve).unwrap();
            assert_eq!(
                lowered,
                signature(&[1], &half),
                "order - (half + 1) = half, {curve:?}"
            );
        }
    }

    #[test]
    fn s_beyond_the_order_cannot_be_lowered() {
        for curve in CURVES {
            let mut beyond = curve.order().to_vec();
            *beyond.last_mut().unwrap() += 1;
            assert!(Pair { r: &[1], s: &beyond }.to_low_s_der(curve).is_none());
        }
    }

    #[test]
    fn bytes_after_the_sequence_and_elements_after_s_are_ignored() {
        let plain = signature(&[5], &[6]);
        let mut trailing = plain.clone();
        trailing.extend_from_slice(b"anything");
        let inside = der::encode(der::SEQUENCE, &[&[2, 1, 5, 2, 1, 6], b"\x05junk"]);
        for bytes in [plain.clone(), trailing, inside] {
            assert_eq!(Pair::read(&bytes).unwrap().to_der(), plain);
        }
    }

    #[test]
    fn zero_negative_and_padded_numbers_are_refused() {
        for numbers in [
            &[2, 1, 0, 2, 1, 1][..],
            &[2, 1, 1, 2, 1, 0],
            &[2, 1, 0x81, 2, 1, 1],
            &[2, 2, 0, 1, 2, 1, 1],
            &[2, 1, 1],
            &[2, 0x81, 1, 1, 2, 1, 1],
        ] {
            assert!(
                Pair::read(&der::encode(der::SEQUENCE, &[numbers])).is_none(),
                "{numbers:?}"
            );
        }
    }

    #[test]
    fn fixed_form_pads_and_refuses_what_is_too_long() {
        let fixed = Pair { r: &[1], s: &[2, 3] }.to_fixed(Curve::P224).unwrap();
        assert_eq!((fixed.len(), fixed[27], &fixed[54..]), (56, 1, &[2, 3][..]));
        assert!(Pair { r: &[1; 29], s: &[1] }.to_fixed(Curve::P224).is_none());
    }
}
