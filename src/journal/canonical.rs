//! Writing a value as canonical JSON (RFC 8785): no spaces, and the members of each object in the order of their names.
//!
//! For what the journal holds: names in ASCII, where sorting bytes is sorting UTF-16, and integers below 2⁵³. serde_json
//! escapes strings as the canonical form does. The text is written once, and an object whose members came in another
//! order is put right when it ends; every entry passes through here, when it is written and when it is verified.

mod plain;
mod spelled;

use std::cell::RefCell;
use std::io;

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

pub(super) use self::plain::{Plain, Unread};
pub(super) use self::spelled::{Differs, Spelled};

/// An entry of usual length needs no second allocation.
const USUAL_BYTES: usize = 1024;

/// The canonical bytes.
///
/// # Errors
/// Those of serde_json: a map whose keys are not strings.
pub(super) fn to_vec(value: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let text = RefCell::new(Vec::with_capacity(USUAL_BYTES));
    let sorting = Sorting { text: &text, members: Vec::new(), objects: Vec::new() };
    value.serialize(&mut Serializer::with_formatter(Text(&text), sorting))?;
    Ok(text.into_inner())
}

/// Where serde_json writes to. The formatter looks at the same bytes.
struct Text<'a>(&'a RefCell<Vec<u8>>);

impl io::Write for Text<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Notes where the members of open objects stand.
struct Sorting<'a> {
    text: &'a RefCell<Vec<u8>>,
    members: Vec<Member>,
    /// For each open object, which of the members is its first.
    objects: Vec<usize>,
}

/// A member's place in the text: from the quote before its name to the end of its value.
#[derive(Debug, Clone, Copy)]
struct Member {
    start: usize,
    name_end: usize,
    end: usize,
}

impl Sorting<'_> {
    fn here(&self) -> usize {
        self.text.borrow().len()
    }

    fn sort(&mut self, first: usize) {
        let mut text = self.text.borrow_mut();
        let members = self.members.get_mut(first..).unwrap_or_default();
        let Some(start) = members.first().map(|member| member.start) else { return };
        let name = |member: &Member| text.get(member.start..member.name_end).unwrap_or_default();
        if members.is_sorted_by_key(name) {
            return;
        }
        members.sort_by_key(|member| name(member));
        let mut sorted = Vec::with_capacity(text.len() - start);
        for member in members {
            sorted.extend_from_slice(text.get(member.start..member.end).unwrap_or_default());
            sorted.push(b',');
        }
        // One comma fewer than members.
        sorted.pop();
        text.truncate(start);
        text.extend_from_slice(&sorted);
    }
}

impl Formatter for Sorting<'_> {
    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.objects.push(self.members.len());
        writer.write_all(b"{")
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if !first {
            writer.write_all(b",")?;
        }
        let start = self.here();
        self.members.push(Member { start, name_end: start, end: start });
        Ok(())
    }

    fn end_object_key<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        // Without the closing quote, so that a name comes before those that begin with it.
        let name_end = self.here() - 1;
        if let Some(member) = self.members.last_mut() {
            member.name_end = name_end;
        }
        Ok(())
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        let end = self.here();
        if let Some(member) = self.members.last_mut() {
            member.end = end;
        }
        Ok(())
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        let first = self.objects.pop().unwrap_or_default();
        self.sort(first);
        self.members.truncate(first);
        writer.write_all(b"}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[derive(Serialize)]
    struct Outer {
        zebra: Vec<Inner>,
        #[serde(rename = "a-b")]
        longer: Option<u8>,
        a: &'static str,
        #[serde(flatten)]
        more: Inner,
    }

    #[derive(Serialize)]
    struct Inner {
        y: [bool; 2],
        x: Value,
    }

    #[test]
    fn members_are_sorted_at_every_depth() {
        let inner = |x| Inner { y: [true, false], x };
        let outer = Outer {
            zebra: vec![inner(json!(7)), inner(json!({}))],
            longer: None,
            a: "å \" \\ \n \u{1}",
            more: inner(json!([{ "d": 1, "c": 2 }])),
        };
        let text = concat!(
            r#"{"a":"å \" \\ \n \u0001","a-b":null,"x":[{"c":2,"d":1}],"y":[true,false],"#,
            r#""zebra":[{"x":7,"y":[true,false]},{"x":{},"y":[true,false]}]}"#,
        );
        assert_eq!(String::from_utf8(to_vec(&outer).unwrap()).unwrap(), text);
        assert_eq!(to_vec(&outer).unwrap(), serde_json_canonicalizer::to_vec(&outer).unwrap());
    }

    #[test]
    fn an_empty_object_and_a_bare_value_are_written() {
        assert_eq!(to_vec(&json!({})).unwrap(), b"{}");
        assert_eq!(to_vec(&7).unwrap(), b"7");
    }
}
