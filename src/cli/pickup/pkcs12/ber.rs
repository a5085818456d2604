//! The encoding that PKCS#12 files are written in: BER (X.690), because NSS writes lengths that are not told beforehand,
//! and text in pieces. It knows nothing of what the values mean.

use std::borrow::Cow;

use x509_parser::asn1_rs::{Any, Class, FromBer, Tag};

/// It does not follow the encoding, or is not what should stand there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli::pickup) struct Malformed;

/// Octets in pieces may be in pieces themselves; nobody writes more than two levels.
const PIECES_DEEP_MAX: usize = 8;

/// The values inside of a value, read one after another.
#[derive(Clone)]
pub(in crate::cli::pickup) struct Values<'a>(&'a [u8]);

impl<'a> Values<'a> {
    /// Those of a whole file or of decrypted bytes: one sequence with nothing after it.
    pub(in crate::cli::pickup) fn of_sequence(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut outside = Self(bytes);
        let inside = outside.sequence()?;
        if outside.is_empty() { Ok(inside) } else { Err(Malformed) }
    }

    /// Whether there is no further one.
    pub(in crate::cli::pickup) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the next is of this kind.
    pub(in crate::cli::pickup) fn next_is(&self, class: Class, tag: u32) -> bool {
        Any::from_ber(self.0).is_ok_and(|(_, next)| next.class() == class && next.tag() == Tag(tag))
    }

    /// What the next sequence holds.
    pub(in crate::cli::pickup) fn sequence(&mut self) -> Result<Self, Malformed> {
        self.universal(Tag::Sequence).and_then(inside)
    }

    /// What the next set holds.
    pub(in crate::cli::pickup) fn set(&mut self) -> Result<Self, Malformed> {
        self.universal(Tag::Set).and_then(inside)
    }

    /// What stands under the tag `[0]`, explicitly.
    pub(in crate::cli::pickup) fn explicit_zero(&mut self) -> Result<Self, Malformed> {
        self.context_zero().and_then(inside)
    }

    /// An object identifier's octets.
    pub(in crate::cli::pickup) fn oid(&mut self) -> Result<&'a [u8], Malformed> {
        self.universal(Tag::Oid).map(|any| any.data)
    }

    /// A number that is not negative and not large.
    pub(in crate::cli::pickup) fn number(&mut self) -> Result<u32, Malformed> {
        let any = self.universal(Tag::Integer)?;
        any.u32().map_err(|_| Malformed)
    }

    /// Octets, put together if they are in pieces.
    pub(in crate::cli::pickup) fn octets(&mut self) -> Result<Cow<'a, [u8]>, Malformed> {
        let any = self.universal(Tag::OctetString)?;
        pieces(&any, PIECES_DEEP_MAX)
    }

    /// Octets under the implicit tag `[0]`.
    pub(in crate::cli::pickup) fn octets_under_zero(&mut self) -> Result<Cow<'a, [u8]>, Malformed> {
        let any = self.context_zero()?;
        pieces(&any, PIECES_DEEP_MAX)
    }

    /// A text of 16-bit characters (BMPString).
    pub(in crate::cli::pickup) fn wide_text(&mut self) -> Result<String, Malformed> {
        let any = self.universal(Tag::BmpString)?;
        let (units, rest) = any.data.as_chunks::<2>();
        let units: Vec<u16> = units.iter().map(|unit| u16::from_be_bytes(*unit)).collect();
        if rest.is_empty() { String::from_utf16(&units).map_err(|_| Malformed) } else { Err(Malformed) }
    }

    /// All octets of what is left, as they stand.
    pub(in crate::cli::pickup) fn rest(self) -> &'a [u8] {
        self.0
    }

    fn universal(&mut self, tag: Tag) -> Result<Any<'a>, Malformed> {
        self.any()
            .and_then(|any| if any.class() == Class::Universal && any.tag() == tag { Ok(any) } else { Err(Malformed) })
    }

    fn context_zero(&mut self) -> Result<Any<'a>, Malformed> {
        let any = self.any()?;
        if any.class() == Class::ContextSpecific && any.tag() == Tag(0) { Ok(any) } else { Err(Malformed) }
    }

    fn any(&mut self) -> Result<Any<'a>, Malformed> {
        let (rest, any) = Any::from_ber(self.0).map_err(|_| Malformed)?;
        self.0 = rest;
        Ok(any)
    }
}

fn inside(any: Any<'_>) -> Result<Values<'_>, Malformed> {
    if any.header.constructed() { Ok(Values(any.data)) } else { Err(Malformed) }
}

fn pieces<'a>(any: &Any<'a>, deep: usize) -> Result<Cow<'a, [u8]>, Malformed> {
    if !any.header.constructed() {
        return Ok(Cow::Borrowed(any.data));
    }
    let deeper = deep.checked_sub(1).ok_or(Malformed)?;
    let mut values = Values(any.data);
    let mut whole = Vec::with_capacity(any.data.len());
    while !values.is_empty() {
        whole.extend_from_slice(&pieces(&values.universal(Tag::OctetString)?, deeper)?);
    }
    Ok(Cow::Owned(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_are_put_together_from_pieces_of_told_and_untold_length() {
        for bytes in [
            &[0x04, 0x03, 1, 2, 3][..],
            &[0x24, 0x07, 0x04, 0x01, 1, 0x04, 0x02, 2, 3],
            &[0x24, 0x80, 0x04, 0x01, 1, 0x04, 0x02, 2, 3, 0, 0],
            &[0x24, 0x80, 0x24, 0x80, 0x04, 0x03, 1, 2, 3, 0, 0, 0, 0],
        ] {
            assert_eq!(Values(bytes).octets().as_deref(), Ok(&[1, 2, 3][..]), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_cut_off_or_something_else_is_malformed() {
        let whole = [0x30, 0x80, 0x02, 0x01, 3, 0x24, 0x80, 0x04, 0x01, 1, 0, 0, 0, 0];
        let mut values = Values::of_sequence(&whole).unwrap();
        assert_eq!((values.number(), values.octets().as_deref(), values.is_empty()), (Ok(3), Ok(&[1][..]), true));
        for length in 0..whole.len() {
            let read = || {
                let mut values = Values::of_sequence(&whole[..length])?;
                values.number()?;
                values.octets().map(|octets| octets.len())
            };
            assert_eq!(read(), Err(Malformed), "{length}");
        }
        for (bytes, what) in [(&[0x02, 0x01, 0xFF][..], "negative"), (&[0x02, 0x05, 1, 0, 0, 0, 0], "large")] {
            assert_eq!(Values(bytes).number(), Err(Malformed), "{what}");
        }
    }

    #[test]
    fn nesting_without_end_is_refused() {
        let mut bytes = [0x24, 0x80].repeat(100_000);
        assert!(Values(&bytes).octets().is_err());
        bytes = [[0x24, 0x80].repeat(20), vec![0x04, 0x00], [0, 0].repeat(20)].concat();
        assert_eq!(Values(&bytes).octets(), Err(Malformed));
    }
}
