//! JSON without its loose ends: a repeated key, deep nesting, a number that is no integer are refused, never resolved.
//!
//! RFC 8259 leaves the meaning of repeated keys open; two readers of one event must not see two events.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// How deep arrays and objects may nest. Events need five levels.
const DEPTH_MAX: usize = 16;

/// Why a body is not acceptable JSON. The message names the place, never the content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotStrictJson(String);

/// Reads one JSON text in UTF-8.
pub fn parse(bytes: &[u8]) -> Result<Value, NotStrictJson> {
    let text = std::str::from_utf8(bytes).map_err(|_| NotStrictJson("the body is not UTF-8".into()))?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Strict { depth: 0 }.deserialize(&mut deserializer).map_err(describe)?;
    deserializer.end().map_err(describe)?;
    Ok(value)
}

/// serde_json's own words hold no content except for unexpected values, which [`Strict`] never lets it report.
fn describe(error: serde_json::Error) -> NotStrictJson {
    NotStrictJson(error.to_string())
}

struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: de::Error>(&self) -> Result<Strict, E> {
        if self.depth >= DEPTH_MAX {
            return Err(E::custom(format_args!("nested deeper than {DEPTH_MAX} levels")));
        }
        Ok(Strict { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: de::Error>(self, _value: f64) -> Result<Value, E> {
        Err(E::custom("numbers must be integers of at most 64 bits"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element_seed(self.deeper()?)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(self.deeper()?)?;
            if object.insert(key, value).is_some() {
                return Err(de::Error::custom("a key is repeated in one object"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_json_is_read_as_it_stands() {
        let value = parse(br#" {"a":[1,-2,"x\u00e5",null,true],"b":{}} "#).unwrap();
        assert_eq!(value, serde_json::json!({"a": [1, -2, "xå", null, true], "b": {}}));
    }

    #[test]
    fn loose_ends_are_refused() {
        let deep = format!("{}{}", "[".repeat(17), "]".repeat(17));
        let very_deep = "[".repeat(100_000);
        for (body, why) in [
            (br#"{"a":1,"a":2}"#.as_slice(), "repeated"),
            (br#"{"a":{"b":1,"b":1}}"#, "repeated"),
            (br#"{"a":1.5}"#, "integers"),
            (br#"{"a":1e400}"#, "number out of range"),
            (br#"{"a":99999999999999999999}"#, "integers"),
            (br#"{"a":"\ud800"}"#, "hex escape"),
            (b"{\"a\":\"\xff\"}", "UTF-8"),
            (b"{\"a\":\"\x01\"}", "control character"),
            (br#"{"a":1}x"#, "trailing"),
            (br#"{"a":NaN}"#, "expected"),
            (b"", "EOF"),
            (deep.as_bytes(), "nested"),
            (very_deep.as_bytes(), "nested"),
        ] {
            let error = parse(body).unwrap_err().to_string();
            assert!(error.contains(why), "{error} for {:?}", String::from_utf8_lossy(&body[..body.len().min(40)]));
        }
    }
}
