//! Reading the members of a JSON object so that every fault is collected and named by JSON pointer.

use std::str::FromStr;

use serde_json::{Map, Value};

use crate::http::problem::Fault;

/// The faults found so far.
#[derive(Debug, Default)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Adds one.
    pub fn add(&mut self, pointer: &str, detail: impl ToString) {
        // A body of a thousand faults is told the first hundred.
        if self.0.len() < 100 {
            self.0.push(Fault { pointer: pointer.to_owned(), detail: detail.to_string() });
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub fn into_vec(self) -> Vec<Fault> {
        self.0
    }
}

/// One object, and which of its members were asked for.
pub struct Fields<'a> {
    pointer: String,
    members: &'a Map<String, Value>,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// The object at `pointer`; a fault when it is something else.
    pub fn of(value: &'a Value, pointer: &str, faults: &mut Faults) -> Option<Self> {
        match value {
            Value::Object(members) => Some(Self { pointer: pointer.to_owned(), members, known: Vec::new() }),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                faults.add(pointer, "must be an object");
                None
            }
        }
    }

    /// The pointer of a member.
    pub fn pointer_to(&self, name: &str) -> String {
        format!("{}/{name}", self.pointer)
    }

    /// A member as it stands; `None` when it is absent or null.
    pub fn value(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.push(name);
        self.members.get(name).filter(|value| !value.is_null())
    }

    /// A member that must be there.
    pub fn required(&mut self, name: &'static str, faults: &mut Faults) -> Option<&'a Value> {
        let value = self.value(name);
        if value.is_none() {
            faults.add(&self.pointer_to(name), "is required");
        }
        value
    }

    /// A text member that must be there and parse.
    pub fn parsed<T: FromStr<Err: ToString>>(&mut self, name: &'static str, faults: &mut Faults) -> Option<T> {
        let value = self.required(name, faults)?;
        parse_text(value, &self.pointer_to(name), faults)
    }

    /// A text member that may be absent; `Some(None)` when it is.
    pub fn optional<T: FromStr<Err: ToString>>(
        &mut self,
        name: &'static str,
        faults: &mut Faults,
    ) -> Option<Option<T>> {
        match self.value(name) {
            None => Some(None),
            Some(value) => parse_text(value, &self.pointer_to(name), faults).map(Some),
        }
    }

    /// A member that is an object and must be there.
    pub fn object(&mut self, name: &'static str, faults: &mut Faults) -> Option<Fields<'a>> {
        let value = self.required(name, faults)?;
        Fields::of(value, &self.pointer_to(name), faults)
    }

    /// A member that is an array, with the pointer of each item; `None` when it is absent or no array.
    pub fn array(&mut self, name: &'static str, faults: &mut Faults) -> Option<Vec<(String, &'a Value)>> {
        let value = self.value(name)?;
        let pointer = self.pointer_to(name);
        let Value::Array(items) = value else {
            faults.add(&pointer, "must be an array");
            return None;
        };
        Some(items.iter().enumerate().map(|(index, item)| (format!("{pointer}/{index}"), item)).collect())
    }

    /// Faults for members that nobody asked for: an unknown field is a mistake or a newer version, not noise.
    pub fn finish(self, faults: &mut Faults) {
        for name in self.members.keys().filter(|name| !self.known.contains(&name.as_str())) {
            faults.add(&format!("{}/{}", self.pointer, escaped(name)), "is not a known field");
        }
    }
}

/// A text value that must parse.
pub fn parse_text<T: FromStr<Err: ToString>>(value: &Value, pointer: &str, faults: &mut Faults) -> Option<T> {
    let Value::String(text) = value else {
        faults.add(pointer, "must be a string");
        return None;
    };
    text.parse().map_err(|error: T::Err| faults.add(pointer, error)).ok()
}

/// RFC 6901, section 3; bounded, because the name is the sender's.
fn escaped(name: &str) -> String {
    let bounded: String = name.chars().take(64).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    bounded.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_named_at_once() {
        let value = serde_json::json!({"number": 5, "list": "x", "a/b~c": 1});
        let mut faults = Faults::default();
        let mut fields = Fields::of(&value, "/data", &mut faults).unwrap();
        assert_eq!(fields.parsed::<u8>("number", &mut faults), None);
        assert_eq!(fields.parsed::<u8>("missing", &mut faults), None);
        assert_eq!(fields.array("list", &mut faults), None);
        fields.finish(&mut faults);
        let found: Vec<_> = faults.into_vec().into_iter().map(|fault| (fault.pointer, fault.detail)).collect();
        let expected = [
            ("/data/number", "must be a string"),
            ("/data/missing", "is required"),
            ("/data/list", "must be an array"),
            ("/data/a~1b~0c", "is not a known field"),
        ];
        assert_eq!(found, expected.map(|(pointer, detail)| (pointer.to_owned(), detail.to_owned())));
    }
}
