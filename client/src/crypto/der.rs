//! Writing DER: the handful of forms that certificates need. Each function returns one whole element.

/// One element: tag, length, content.
pub(super) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len().to_be_bytes();
    let used = &length[length.iter().take_while(|b| **b == 0).count()..];
    match used {
        [] => out.push(0),
        [short] if *short < 0x80 => out.push(*short),
        long => {
            out.push(0x80 | u8::try_from(long.len()).unwrap_or(8));
            out.extend_from_slice(long);
        }
    }
    out.extend_from_slice(content);
    out
}

pub(super) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    element(0x30, &parts.concat())
}

/// A SET OF: DER wants its members in the order of their encodings.
pub(super) fn set_of(mut parts: Vec<Vec<u8>>) -> Vec<u8> {
    parts.sort();
    element(0x31, &parts.concat())
}

/// An unsigned number given as big-endian bytes.
pub(super) fn unsigned(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|b| **b == 0).count();
    let mut content = bytes[zeros..].to_vec();
    if content.first().is_none_or(|first| first & 0x80 != 0) {
        content.insert(0, 0);
    }
    element(0x02, &content)
}

/// An object identifier of at least two arcs.
pub(super) fn oid(arcs: &[u32]) -> Vec<u8> {
    let mut content = Vec::new();
    if let [first, second, rest @ ..] = arcs {
        base128(&mut content, first * 40 + second);
        for arc in rest {
            base128(&mut content, *arc);
        }
    }
    element(0x06, &content)
}

fn base128(out: &mut Vec<u8>, number: u32) {
    for shift in [28, 21, 14, 7] {
        if number >> shift != 0 {
            out.push(0x80 | low_bits(number >> shift));
        }
    }
    out.push(low_bits(number));
}

fn low_bits(number: u32) -> u8 {
    u8::try_from(number & 0x7f).unwrap_or(0)
}

/// A bit string of whole bytes.
pub(super) fn bit_string(bytes: &[u8]) -> Vec<u8> {
    element(0x03, &[&[0], bytes].concat())
}

/// A bit string of named bits, most significant first; trailing zero bits are not written.
pub(super) fn named_bits(bits: u8) -> Vec<u8> {
    let unused = u8::try_from(bits.trailing_zeros().min(7)).unwrap_or(0);
    element(0x03, &[unused, bits])
}

pub(super) fn octets(bytes: &[u8]) -> Vec<u8> {
    element(0x04, bytes)
}

pub(super) fn yes() -> Vec<u8> {
    element(0x01, &[0xff])
}

/// `PrintableString` where every character allows it, else `UTF8String`.
pub(super) fn text(text: &str) -> Vec<u8> {
    let printable = |c: char| c.is_ascii_alphanumeric() || " '()+,-./:=?".contains(c);
    let tag = if text.chars().all(printable) { 0x13 } else { 0x0c };
    element(tag, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_minimal() {
        assert_eq!(element(4, &[]), [4, 0]);
        assert_eq!(element(4, &[0; 127])[..2], [4, 127]);
        assert_eq!(element(4, &[0; 128])[..3], [4, 0x81, 128]);
        assert_eq!(element(4, &[0; 300])[..4], [4, 0x82, 1, 44]);
    }

    #[test]
    fn numbers_are_minimal_and_positive() {
        assert_eq!(unsigned(&[0, 0]), [2, 1, 0]);
        assert_eq!(unsigned(&[0, 0x7f]), [2, 1, 0x7f]);
        assert_eq!(unsigned(&[0x80]), [2, 2, 0, 0x80]);
    }

    #[test]
    fn object_identifiers_use_base_128() {
        let rsa = [0x06, 0x06, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d];
        assert_eq!(oid(&[1, 2, 840, 113_549]), rsa);
    }

    #[test]
    fn members_of_a_set_are_sorted_by_their_encoding() {
        assert_eq!(
            set_of(vec![text("Operations"), text("peer")]),
            set_of(vec![text("peer"), text("Operations")])
        );
        assert_eq!(set_of(vec![text("Operations"), text("peer")])[2..4], [0x13, 4]);
    }
}
