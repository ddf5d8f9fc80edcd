//! Just enough strict DER to take signatures and private keys apart and to put certificates together.
//!
//! Only definite lengths in their shortest form and single-byte tags exist here; anything else reads as `None`.

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;

/// Longest number of length bytes that is read: 2^24 - 1 bytes of content, far above any key or signature.
const LENGTH_BYTES_MAX: usize = 3;

/// Reads elements one after the other.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The content of the next element, which must have this tag.
    pub(crate) fn read(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, content, rest) = split(self.rest)?;
        if found != tag {
            return None;
        }
        self.rest = rest;
        Some(content)
    }

    /// The content of the next element when it has this tag; otherwise nothing is consumed.
    pub(crate) fn read_optional(&mut self, tag: u8) -> Option<&'a [u8]> {
        if self.rest.first() == Some(&tag) {
            self.read(tag)
        } else {
            None
        }
    }

    /// A reader over the content of the next element, a SEQUENCE.
    pub(crate) fn sequence(&mut self) -> Option<Reader<'a>> {
        self.read(SEQUENCE).map(Reader::new)
    }

    /// The magnitude of the next element, a non-negative INTEGER in shortest form, without leading zeros.
    pub(crate) fn magnitude(&mut self) -> Option<&'a [u8]> {
        match self.read(INTEGER)? {
            [] => None,
            [0] => Some(&[]),
            [0, rest @ ..] if rest[0] & 0x80 != 0 => Some(rest),
            [first, ..] if *first == 0 || *first & 0x80 != 0 => None,
            content => Some(content),
        }
    }

    /// The next element whole: tag, length and content.
    pub(crate) fn element(&mut self) -> Option<&'a [u8]> {
        let (_, _, rest) = split(self.rest)?;
        let whole = &self.rest[..self.rest.len() - rest.len()];
        self.rest = rest;
        Some(whole)
    }
}

/// Tag, content and what follows the first element of `bytes`.
fn split(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        long_length(usize::from(first & 0x7f), rest)?
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// A length written in `count` bytes; refuses one that fits fewer.
fn long_length(count: usize, bytes: &[u8]) -> Option<(usize, &[u8])> {
    if count == 0 || count > LENGTH_BYTES_MAX {
        return None;
    }
    let (digits, rest) = bytes.split_at_checked(count)?;
    let length = digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit));
    let shortest = length >= 0x80 && digits[0] != 0;
    shortest.then_some((length, rest))
}

/// One element with these contents, joined.
pub(crate) fn encode(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let length = contents.iter().map(|part| part.len()).sum::<usize>();
    let mut out = Vec::with_capacity(length + 6);
    out.push(tag);
    let digits = length.to_be_bytes();
    let used = digits.iter().skip_while(|digit| **digit == 0).count();
    if length >= 0x80 {
        // A usize has at most 8 bytes, so the count fits the low bits.
        out.push(0x80 | u8::try_from(used).unwrap_or(8));
        out.extend_from_slice(&digits[digits.len() - used..]);
    } else {
        out.push(digits[digits.len() - 1]);
    }
    for part in contents {
        out.extend_from_slice(part);
    }
    out
}

/// An INTEGER from a magnitude without leading zeros.
pub(crate) fn encode_magnitude(magnitude: &[u8]) -> Vec<u8> {
    match magnitude.first() {
        Some(first) if first & 0x80 == 0 => encode(INTEGER, &[magnitude]),
        _ => encode(INTEGER, &[&[0], magnitude]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_longer_than_127_bytes_round_trip() {
        for length in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let content = vec![7; length];
            let encoded = encode(OCTET_STRING, &[&content]);
            let mut reader = Reader::new(&encoded);
            assert_eq!(reader.read(OCTET_STRING), Some(content.as_slice()), "{length}");
            assert!(reader.is_empty());
        }
    }

    #[test]
    fn lengths_not_in_shortest_form_are_refused() {
        for bytes in [&[4, 0x80][..], &[4, 0x81, 1, 0], &[4, 0x82, 0, 0x80], &[4, 2, 0]] {
            assert_eq!(Reader::new(bytes).read(OCTET_STRING), None, "{bytes:?}");
        }
    }

    #[test]
    fn integers_are_non_negative_and_shortest() {
        let read = |content: &[u8]| {
            let encoded = encode(INTEGER, &[content]);
            Reader::new(&encoded).magnitude().map(<[u8]>::to_vec)
        };
        assert_eq!(read(&[0]), Some(vec![]));
        assert_eq!(read(&[0x7f]), Some(vec![0x7f]));
        assert_eq!(read(&[0, 0x80]), Some(vec![0x80]));
        for refused in [&[][..], &[0x80], &[0, 0], &[0, 0x7f], &[0xff, 1]] {
            assert_eq!(read(refused), None, "{refused:?}");
        }
    }
}
