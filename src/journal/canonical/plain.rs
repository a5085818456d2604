//! Reads values out of canonical JSON, and only out of such as has nothing escaped in it: a text lies there as it is, so
//! nothing is looked for that the canonical form has not.
//!
//! It is quick and credulous. Where it reads something, whoever asks for the canonical form holds the text against it
//! ([`super::Spelled`]); where it reads nothing, serde_json says what is wrong.

use std::fmt;

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

/// How many objects and arrays may lie in each other. Entries have five.
const MAX_DEPTH: u8 = 16;

/// The text, and how far it was read.
pub(in crate::journal) struct Plain<'de> {
    text: &'de str,
    at: usize,
    depth: u8,
}

/// It cannot be read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::journal) struct Unread;

type Read<T> = Result<T, Unread>;

impl<'de> Plain<'de> {
    pub(in crate::journal) fn new(text: &'de str) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    /// Reads the next value.
    pub(in crate::journal) fn value<T: de::Deserialize<'de>>(&mut self) -> Read<T> {
        T::deserialize(self)
    }

    /// This comes next, as it stands.
    pub(in crate::journal) fn literally(&mut self, expected: &str) -> Read<()> {
        if self.begins(expected) { Ok(()) } else { Err(Unread) }
    }

    /// Whether this comes next; if so, it is behind us.
    pub(in crate::journal) fn begins(&mut self, expected: &str) -> bool {
        let end = self.at + expected.len();
        let begins = self.text.as_bytes().get(self.at..end) == Some(expected.as_bytes());
        if begins {
            self.at = end;
        }
        begins
    }

    /// Passes over an object, which is handed out.
    pub(in crate::journal) fn object(&mut self) -> Read<&'de str> {
        let (from, mut open) = (self.at, 0_usize);
        loop {
            match self.next()? {
                b'"' => drop(self.rest_of_text()?),
                b'{' => open += 1,
                b'}' => open = open.checked_sub(1).ok_or(Unread)?,
                _ if open == 0 => return Err(Unread),
                _ => {}
            }
            if open == 0 {
                return self.text.get(from..self.at).ok_or(Unread);
            }
        }
    }

    /// The text that comes next.
    pub(in crate::journal) fn text(&mut self) -> Read<&'de str> {
        self.literally("\"")?;
        self.rest_of_text()
    }

    /// A whole number that comes next.
    pub(in crate::journal) fn number(&mut self) -> Read<u64> {
        let from = self.at;
        let mut number = 0_u64;
        while let Some(digit) = self.peek().filter(u8::is_ascii_digit) {
            number = number.checked_mul(10).and_then(|it| it.checked_add((digit - b'0').into())).ok_or(Unread)?;
            self.at += 1;
        }
        if self.at > from { Ok(number) } else { Err(Unread) }
    }

    /// Nothing comes any more.
    pub(in crate::journal) fn ends(&self) -> Read<()> {
        if self.at == self.text.len() { Ok(()) } else { Err(Unread) }
    }

    /// After its first quote.
    fn rest_of_text(&mut self) -> Read<&'de str> {
        let from = self.at;
        let left = self.text.as_bytes().get(from..).unwrap_or_default();
        let ends = |byte: &u8| matches!(byte, b'"' | b'\\');
        // Sixteen bytes are looked at at once; where one of them ends it, which one.
        let (chunks, _) = left.as_chunks::<16>();
        let whole = chunks.iter().take_while(|chunk| !chunk.iter().fold(false, |found, byte| found | ends(byte)));
        let passed = 16 * whole.count();
        let length = passed + left.iter().skip(passed).position(ends).ok_or(Unread)?;
        self.at = from + length;
        self.literally("\"")?;
        self.text.get(from..from + length).ok_or(Unread)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Read<u8> {
        let byte = self.peek().ok_or(Unread)?;
        self.at += 1;
        Ok(byte)
    }

    /// Reads what lies in something that was opened, up to its end.
    fn within<T>(&mut self, close: &str, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Unread);
        }
        let value = read(self)?;
        self.literally(close)?;
        self.depth -= 1;
        Ok(value)
    }
}

impl<'de> Deserializer<'de> for &mut Plain<'de> {
    type Error = Unread;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        match self.peek().ok_or(Unread)? {
            b'"' => visitor.visit_borrowed_str(self.text()?),
            b'{' => {
                self.at += 1;
                self.within("}", |plain| visitor.visit_map(Members { plain, first: true }))
            }
            b'[' => {
                self.at += 1;
                self.within("]", |plain| visitor.visit_seq(Elements { plain, first: true }))
            }
            b'0'..=b'9' => visitor.visit_u64(self.number()?),
            b't' => self.literally("true").and_then(|()| visitor.visit_bool(true)),
            b'f' => self.literally("false").and_then(|()| visitor.visit_bool(false)),
            b'n' => self.literally("null").and_then(|()| visitor.visit_unit()),
            _ => Err(Unread),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        if self.begins("null") { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Read<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Read<V::Value> {
        if self.begins("{") {
            self.within("}", |plain| visitor.visit_enum(Variant { plain }))
        } else {
            visitor.visit_enum(self.text()?.into_deserializer())
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map
        struct identifier ignored_any
    }
}

struct Members<'p, 'de> {
    plain: &'p mut Plain<'de>,
    first: bool,
}

impl<'de> MapAccess<'de> for Members<'_, 'de> {
    type Error = Unread;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Read<Option<K::Value>> {
        if self.plain.peek() == Some(b'}') {
            return Ok(None);
        }
        if !std::mem::take(&mut self.first) {
            self.plain.literally(",")?;
        }
        let name = self.plain.text()?;
        self.plain.literally(":")?;
        seed.deserialize(de::value::BorrowedStrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Read<S::Value> {
        seed.deserialize(&mut *self.plain)
    }
}

struct Elements<'p, 'de> {
    plain: &'p mut Plain<'de>,
    first: bool,
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Unread;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Read<Option<S::Value>> {
        if self.plain.peek() == Some(b']') {
            return Ok(None);
        }
        if !std::mem::take(&mut self.first) {
            self.plain.literally(",")?;
        }
        seed.deserialize(&mut *self.plain).map(Some)
    }
}

/// The one member of an object that a variant of an enum is written as.
struct Variant<'p, 'de> {
    plain: &'p mut Plain<'de>,
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Unread;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Read<(S::Value, Self)> {
        let name = self.plain.text()?;
        self.plain.literally(":")?;
        let value = seed.deserialize(de::value::BorrowedStrDeserializer::new(name))?;
        Ok((value, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Unread;

    fn unit_variant(self) -> Read<()> {
        Err(Unread)
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Read<S::Value> {
        seed.deserialize(self.plain)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Read<V::Value> {
        self.plain.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Read<V::Value> {
        self.plain.deserialize_any(visitor)
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not canonical, or something is escaped")
    }
}

impl std::error::Error for Unread {}

impl de::Error for Unread {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read<'a, T: de::Deserialize<'a>>(text: &'a str) -> Read<T> {
        let mut plain = Plain::new(text);
        let value = plain.value()?;
        plain.ends().map(|()| value)
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    enum Word {
        Bare,
        One(u8),
        Two(u8, u8),
        Named { x: Option<bool> },
    }

    #[test]
    fn it_reads_what_serde_json_reads_where_nothing_is_escaped() {
        for value in [json!({"a": [1, "å", null, true, {}], "b": {"c": []}}), json!(0), json!("")] {
            let text = value.to_string();
            assert_eq!(read::<Value>(&text), Ok(value));
        }
        let words = r#"["Bare",{"One":1},{"Two":[1,2]},{"Named":{"x":null}},{"Named":{"x":false}}]"#;
        let expected: Vec<Word> = serde_json::from_str(words).unwrap();
        assert_eq!(read::<Vec<Word>>(words), Ok(expected));
    }

    #[test]
    fn it_reads_nothing_else_and_always_ends() {
        let deep = "[".repeat(100_000);
        let closed = format!("{}{}", "[".repeat(17), "]".repeat(17));
        for text in ["", " 1", "{\"a\":1 }", "[1,]", "\"\\n\"", "\"a", "-1", "1.5", "{\"a\"}", &deep, &closed] {
            assert_eq!(read::<Value>(text), Err(Unread), "{}", text.get(..20).unwrap_or(text));
        }
        for text in ["{", "{\"a\":\"}", "}", "[]", "{\"a\\\"\":1}", "{]"] {
            assert_eq!(Plain::new(text).object(), Err(Unread), "{text}");
        }
        assert_eq!(Plain::new(r#"{"a":"}","b":{}},"#).object(), Ok(r#"{"a":"}","b":{}}"#));
    }
}
