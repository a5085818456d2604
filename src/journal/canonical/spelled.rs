//! Whether a text is the canonical form of a value, found out without writing that form: each part of the value is held against
//! the place in the text where it must stand.
//!
//! It says yes only to the canonical form. Where the members of an object come in another order than that of their names, it
//! says no to every text, and so does not know.

use std::fmt;
use std::ops::Range;

use serde::Serialize;
use serde::ser::{
    self, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
    SerializeTupleVariant, Serializer,
};

/// The text, and how far it is as it must be.
pub(in crate::journal) struct Spelled<'a> {
    text: &'a [u8],
    at: usize,
}

/// It is not, or nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::journal) struct Differs;

type Same = Result<(), Differs>;

impl<'a> Spelled<'a> {
    pub(in crate::journal) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// The value comes next.
    pub(in crate::journal) fn value(&mut self, value: &(impl Serialize + ?Sized)) -> Same {
        value.serialize(self)
    }

    /// This comes next, as it stands.
    pub(in crate::journal) fn literally(&mut self, expected: &[u8]) -> Same {
        let end = self.at + expected.len();
        if self.text.get(self.at..end) != Some(expected) {
            return Err(Differs);
        }
        self.at = end;
        Ok(())
    }

    /// How far the text is as it must be.
    pub(in crate::journal) fn at(&self) -> usize {
        self.at
    }

    /// Nothing comes any more.
    pub(in crate::journal) fn ends(&self) -> Same {
        if self.at == self.text.len() { Ok(()) } else { Err(Differs) }
    }

    /// What has to be escaped is not looked at here: a value that has such characters counts as different.
    fn text(&mut self, expected: &str) -> Same {
        // Looked at to the end, so that many bytes are looked at at once.
        let escaped = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
        if expected.bytes().fold(false, |found, byte| found | escaped(byte)) {
            return Err(Differs);
        }
        self.literally(b"\"")?;
        self.literally(expected.as_bytes())?;
        self.literally(b"\"")
    }

    fn number(&mut self, number: u64) -> Same {
        let (mut digits, mut left) = ([0; 20], number);
        let mut begins = digits.len();
        for place in digits.iter_mut().rev() {
            *place = b"0123456789"[(left % 10) as usize];
            left /= 10;
            begins -= 1;
            if left == 0 {
                break;
            }
        }
        self.literally(digits.get(begins..).unwrap_or_default())
    }

    fn object(&mut self, wrapped: bool) -> Result<Object<'_, 'a>, Differs> {
        self.literally(b"{")?;
        Ok(Object { spelled: self, before: None, wrapped })
    }

    fn array(&mut self, wrapped: bool) -> Result<Array<'_, 'a>, Differs> {
        self.literally(b"[")?;
        Ok(Array { spelled: self, first: true, wrapped })
    }

    /// The one member of an object that a variant of an enum is written as.
    fn variant(&mut self, name: &str) -> Same {
        self.literally(b"{")?;
        self.text(name)?;
        self.literally(b":")
    }
}

/// The members of an object. Its own object is the only member of another one, when it is wrapped.
pub(in crate::journal) struct Object<'s, 'a> {
    spelled: &'s mut Spelled<'a>,
    /// Where the name of the member before stands.
    before: Option<Range<usize>>,
    wrapped: bool,
}

impl Object<'_, '_> {
    fn name(&mut self, name: &(impl Serialize + ?Sized)) -> Same {
        if self.before.is_some() {
            self.spelled.literally(b",")?;
        }
        let begins = self.spelled.at + 1;
        // A number as a name would be written as a text.
        if self.spelled.text.get(self.spelled.at) != Some(&b'"') {
            return Err(Differs);
        }
        self.spelled.value(name)?;
        let name = begins..self.spelled.at - 1;
        let text = |range: &Range<usize>| self.spelled.text.get(range.clone());
        if self.before.as_ref().is_some_and(|before| text(before) >= text(&name)) {
            return Err(Differs);
        }
        self.before = Some(name);
        self.spelled.literally(b":")
    }

    fn close(self) -> Same {
        self.spelled.literally(if self.wrapped { b"}}" } else { b"}" })
    }
}

/// The elements of an array, wrapped likewise.
pub(in crate::journal) struct Array<'s, 'a> {
    spelled: &'s mut Spelled<'a>,
    first: bool,
    wrapped: bool,
}

impl Array<'_, '_> {
    fn element(&mut self, element: &(impl Serialize + ?Sized)) -> Same {
        if !std::mem::take(&mut self.first) {
            self.spelled.literally(b",")?;
        }
        self.spelled.value(element)
    }

    fn close(self) -> Same {
        self.spelled.literally(if self.wrapped { b"]}" } else { b"]" })
    }
}

impl<'s, 'a> Serializer for &'s mut Spelled<'a> {
    type Ok = ();
    type Error = Differs;
    type SerializeSeq = Array<'s, 'a>;
    type SerializeTuple = Array<'s, 'a>;
    type SerializeTupleStruct = Array<'s, 'a>;
    type SerializeTupleVariant = Array<'s, 'a>;
    type SerializeMap = Object<'s, 'a>;
    type SerializeStruct = Object<'s, 'a>;
    type SerializeStructVariant = Object<'s, 'a>;

    fn serialize_bool(self, value: bool) -> Same {
        self.literally(if value { b"true" } else { b"false" })
    }
    fn serialize_i8(self, value: i8) -> Same {
        self.serialize_i64(value.into())
    }
    fn serialize_i16(self, value: i16) -> Same {
        self.serialize_i64(value.into())
    }
    fn serialize_i32(self, value: i32) -> Same {
        self.serialize_i64(value.into())
    }
    fn serialize_i64(self, value: i64) -> Same {
        if value < 0 {
            self.literally(b"-")?;
        }
        self.number(value.unsigned_abs())
    }
    fn serialize_u8(self, value: u8) -> Same {
        self.number(value.into())
    }
    fn serialize_u16(self, value: u16) -> Same {
        self.number(value.into())
    }
    fn serialize_u32(self, value: u32) -> Same {
        self.number(value.into())
    }
    fn serialize_u64(self, value: u64) -> Same {
        self.number(value)
    }
    /// The journal holds none.
    fn serialize_f32(self, _: f32) -> Same {
        Err(Differs)
    }
    fn serialize_f64(self, _: f64) -> Same {
        Err(Differs)
    }
    fn serialize_char(self, value: char) -> Same {
        self.text(value.encode_utf8(&mut [0; 4]))
    }
    fn serialize_str(self, value: &str) -> Same {
        self.text(value)
    }
    fn serialize_bytes(self, _: &[u8]) -> Same {
        Err(Differs)
    }
    fn serialize_none(self) -> Same {
        self.literally(b"null")
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Same {
        self.value(value)
    }
    fn serialize_unit(self) -> Same {
        self.literally(b"null")
    }
    fn serialize_unit_struct(self, _: &'static str) -> Same {
        self.literally(b"null")
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Same {
        self.text(name)
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Same {
        self.value(value)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        value: &T,
    ) -> Same {
        self.variant(name)?;
        self.value(value)?;
        self.literally(b"}")
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Array<'s, 'a>, Differs> {
        self.array(false)
    }
    fn serialize_tuple(self, _: usize) -> Result<Array<'s, 'a>, Differs> {
        self.array(false)
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Array<'s, 'a>, Differs> {
        self.array(false)
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Array<'s, 'a>, Differs> {
        self.variant(name)?;
        self.array(true)
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Object<'s, 'a>, Differs> {
        self.object(false)
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Object<'s, 'a>, Differs> {
        self.object(false)
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Object<'s, 'a>, Differs> {
        self.variant(name)?;
        self.object(true)
    }
}

impl SerializeMap for Object<'_, '_> {
    type Ok = ();
    type Error = Differs;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, name: &T) -> Same {
        self.name(name)
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Same {
        self.spelled.value(value)
    }
    fn end(self) -> Same {
        self.close()
    }
}

impl SerializeStruct for Object<'_, '_> {
    type Ok = ();
    type Error = Differs;
    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Same {
        self.name(name)?;
        self.spelled.value(value)
    }
    fn end(self) -> Same {
        self.close()
    }
}

impl SerializeStructVariant for Object<'_, '_> {
    type Ok = ();
    type Error = Differs;
    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Same {
        SerializeStruct::serialize_field(self, name, value)
    }
    fn end(self) -> Same {
        self.close()
    }
}

impl SerializeSeq for Array<'_, '_> {
    type Ok = ();
    type Error = Differs;
    fn serialize_element<T: Serialize + ?Sized>(&mut self, element: &T) -> Same {
        self.element(element)
    }
    fn end(self) -> Same {
        self.close()
    }
}

impl SerializeTuple for Array<'_, '_> {
    type Ok = ();
    type Error = Differs;
    fn serialize_element<T: Serialize + ?Sized>(&mut self, element: &T) -> Same {
        self.element(element)
    }
    fn end(self) -> Same {
        self.close()
    }
}

impl SerializeTupleStruct for Array<'_, '_> {
    type Ok = ();
    type Error = Differs;
    fn serialize_field<T: Serialize + ?Sized>(&mut self, element: &T) -> Same {
        self.element(element)
    }
    fn end(self) -> Same {
        self.close()
    }
}

impl SerializeTupleVariant for Array<'_, '_> {
    type Ok = ();
    type Error = Differs;
    fn serialize_field<T: Serialize + ?Sized>(&mut self, element: &T) -> Same {
        self.element(element)
    }
    fn end(self) -> Same {
        self.close()
    }
}

impl fmt::Display for Differs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the text is not the canonical form")
    }
}

impl std::error::Error for Differs {}

impl ser::Error for Differs {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::dice::Dice;
    use crate::journal::canonical::to_vec;
    use crate::journal::sample::History;

    fn same(text: &[u8], value: &impl Serialize) -> bool {
        let mut spelled = Spelled::new(text);
        spelled.value(value).and_then(|()| spelled.ends()).is_ok()
    }

    #[derive(Serialize)]
    struct Sorted {
        a: Option<i32>,
        b: Vec<Word>,
        c: BTreeMap<&'static str, u64>,
        d: (bool, &'static str),
    }

    #[derive(Serialize)]
    enum Word {
        Bare,
        One(u8),
        Two(u8, u8),
        Named { x: i8 },
    }

    fn sorted() -> Sorted {
        let b = vec![Word::Bare, Word::One(0), Word::Two(1, 20), Word::Named { x: -7 }];
        Sorted { a: None, b, c: BTreeMap::from([("k", u64::MAX), ("kk", 10)]), d: (true, "å") }
    }

    #[test]
    fn it_says_yes_to_the_canonical_form_and_no_to_every_text_one_byte_away() {
        let text = to_vec(&sorted()).unwrap();
        assert!(same(&text, &sorted()), "{}", String::from_utf8_lossy(&text));
        for place in 0..text.len() {
            for byte in 0..=u8::MAX {
                let mut other = text.clone();
                other[place] = byte;
                assert_eq!(same(&other, &sorted()), other == text);
                other.insert(place, byte);
                assert!(!same(&other, &sorted()));
            }
            let mut shorter = text.clone();
            shorter.remove(place);
            assert!(!same(&shorter, &sorted()) && !same(&text[..place], &sorted()));
        }
    }

    #[test]
    fn members_that_come_in_another_order_or_twice_are_never_the_canonical_form() {
        #[derive(Serialize)]
        struct Unsorted {
            b: u8,
            a: u8,
        }
        assert!(!same(br#"{"b":1,"a":2}"#, &Unsorted { b: 1, a: 2 }));
        assert!(!same(br#"{"a":2,"b":1}"#, &Unsorted { b: 1, a: 2 }));
        assert!(!same(b"{1:2}", &BTreeMap::from([(1, 2)])));
        assert!(!same(br#""a\"b""#, &"a\"b") && !same(b"\"a\nb\"", &"a\nb"));
    }

    /// What verifying costs rests on it.
    #[test]
    fn entries_are_known_by_it_without_being_written_again() {
        let dice = Dice::new(3);
        let history = History::of_length(5, 2500);
        let mut unknown = std::collections::BTreeSet::new();
        for entry in &history.entries {
            let mut text = entry.canonical();
            if !same(&text, entry) && !text.contains(&b'\\') {
                unknown.insert(entry.fact.kind());
            }
            let place = dice.roll(text.len());
            text[place] ^= 1;
            assert!(!same(&text, entry));
        }
        let frequent = [
            "approval.accepted",
            "issuance.opened",
            "credential.generated",
            "mail.accepted",
            "share.collected",
            "credential.activated",
            "issuance.completed",
            "notice.queued",
            "notice.accepted",
            "credential.ended",
            "credential.retiring",
        ];
        assert!(frequent.iter().all(|kind| !unknown.contains(kind)), "{unknown:?}");
    }
}
