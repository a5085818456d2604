//! CloudEvents 1.0 over HTTP: structured, batch and binary mode give the same envelope.

use http::HeaderMap;
use serde_json::{Map, Value};

use super::fields::{Faults, Fields};
use super::json;
use crate::domain::digest::BodyDigest;
use crate::domain::event::EventType;
use crate::domain::ids::{EventKey, EventPart};
use crate::http::problem::Fault;
use crate::journal::fact::EventIdentity;

/// The most events in one batch.
pub const BATCH_MAX: usize = 100;

/// One event whose attributes are right; its data is still to be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// Its identity and the digest of all that it says.
    pub identity: EventIdentity,
    /// Its type.
    pub kind: EventType,
    /// Its data.
    pub data: Value,
    /// Where its data is in the body.
    pub data_pointer: String,
}

/// The events of one request.
#[derive(Debug, Clone, PartialEq)]
pub enum Posted {
    /// Structured or binary mode.
    One(Envelope),
    /// Batch mode.
    Batch(Vec<Envelope>),
}

/// Why a request carries no events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotPosted {
    /// The content type is none of the three modes'.
    ContentType,
    /// The body is not acceptable JSON.
    Json(String),
    /// The attributes are wrong.
    Faults(Vec<Fault>),
}

/// Reads the body by the mode that the headers name (CloudEvents HTTP binding 1.0.2, section 3).
pub fn read(headers: &HeaderMap, body: &[u8]) -> Result<Posted, NotPosted> {
    let content_type = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let media_type = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let charset_fits = content_type.split(';').skip(1).all(|parameter| {
        let parameter = parameter.trim().to_ascii_lowercase();
        !parameter.starts_with("charset=") || parameter.trim_start_matches("charset=").trim_matches('"') == "utf-8"
    });
    if !charset_fits {
        return Err(NotPosted::ContentType);
    }
    let parse = || json::parse(body).map_err(|error| NotPosted::Json(error.to_string()));
    let mut faults = Faults::default();
    let posted = match media_type.as_str() {
        "application/cloudevents+json" => structured(&parse()?, "", &mut faults).map(Posted::One),
        "application/cloudevents-batch+json" => batch(&parse()?, &mut faults).map(Posted::Batch),
        "application/json" if headers.contains_key("ce-specversion") => {
            binary(headers, parse()?, &mut faults).map(Posted::One)
        }
        _ => return Err(NotPosted::ContentType),
    };
    posted.filter(|_| faults.is_empty()).ok_or_else(|| NotPosted::Faults(faults.into_vec()))
}

fn batch(value: &Value, faults: &mut Faults) -> Option<Vec<Envelope>> {
    let Value::Array(items) = value else {
        faults.add("", "must be an array of events");
        return None;
    };
    if items.is_empty() || items.len() > BATCH_MAX {
        faults.add("", format_args!("must hold 1 to {BATCH_MAX} events"));
        return None;
    }
    // All are read before any is refused, so that the sender learns everything at once.
    let read: Vec<_> =
        items.iter().enumerate().map(|(index, item)| structured(item, &format!("/{index}"), faults)).collect();
    read.into_iter().collect()
}

fn structured(value: &Value, pointer: &str, faults: &mut Faults) -> Option<Envelope> {
    let mut fields = Fields::of(value, pointer, faults)?;
    let data_type = fields.optional::<String>("datacontenttype", faults)?;
    if data_type.is_some_and(|data_type| data_type.split(';').next() != Some("application/json")) {
        faults.add(&fields.pointer_to("datacontenttype"), "must be application/json");
    }
    let data = fields.required("data", faults).cloned();
    let data_pointer = fields.pointer_to("data");
    let attributes = Attributes::read(fields, faults);
    attributes?.envelope(data?, data_pointer)
}

fn binary(headers: &HeaderMap, data: Value, faults: &mut Faults) -> Option<Envelope> {
    let mut attributes = Map::new();
    for (name, value) in headers {
        let Some(attribute) = name.as_str().strip_prefix("ce-") else { continue };
        let Some(text) = value.to_str().ok().and_then(percent_decoded) else {
            faults.add(&format!("/{attribute}"), "must be percent-encoded UTF-8");
            continue;
        };
        if attributes.insert(attribute.to_owned(), Value::String(text)).is_some() {
            faults.add(&format!("/{attribute}"), "is repeated");
        }
    }
    let value = Value::Object(attributes);
    let fields = Fields::of(&value, "", faults)?;
    // In binary mode the body is the data, so pointers into it begin at its root.
    Attributes::read(fields, faults)?.envelope(data, String::new())
}

/// The context attributes (CloudEvents 1.0.2, section 3).
struct Attributes {
    key: EventKey,
    kind: EventType,
    time: Option<String>,
    subject: Option<String>,
}

impl Attributes {
    fn read(mut fields: Fields<'_>, faults: &mut Faults) -> Option<Self> {
        let version = fields.parsed::<String>("specversion", faults);
        if version.is_some_and(|version| version != "1.0") {
            faults.add(&fields.pointer_to("specversion"), "must be 1.0");
        }
        let id = fields.parsed::<EventPart>("id", faults);
        let source = fields.parsed::<EventPart>("source", faults);
        let kind = fields.required("type", faults).and_then(|value| {
            let known = value.as_str().and_then(|text| text.parse::<EventType>().ok());
            if known.is_none() {
                faults.add(&fields.pointer_to("type"), "is not a known type of event");
            }
            known
        });
        let time = fields.optional::<String>("time", faults);
        let time_fits = |time: &String| time.parse::<jiff::Timestamp>().is_ok();
        if time.as_ref().is_some_and(|time| time.as_ref().is_some_and(|time| !time_fits(time))) {
            faults.add(&fields.pointer_to("time"), "must be an RFC 3339 timestamp");
        }
        let subject = fields.optional::<String>("subject", faults);
        fields.finish(faults);
        Some(Self { key: EventKey { source: source?, id: id? }, kind: kind?, time: time?, subject: subject? })
    }

    fn envelope(self, data: Value, data_pointer: String) -> Option<Envelope> {
        // All three modes of one event have one digest: it covers what the event says, not how it was wrapped.
        let content = serde_json::json!({
            "id": self.key.id, "source": self.key.source, "type": self.kind, "time": self.time,
            "subject": self.subject, "data": data,
        });
        let identity = EventIdentity { event: self.key, body: BodyDigest::of(content.to_string().as_bytes()) };
        Some(Envelope { identity, kind: self.kind, data, data_pointer })
    }
}

/// CloudEvents HTTP binding 1.0.2, section 3.1.3.2.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let [high, low, after @ ..] = tail else { return None };
            let digit = |byte: &u8| char::from(*byte).to_digit(16);
            bytes.push(u8::try_from(digit(high)? * 16 + digit(low)?).ok()?);
            rest = after;
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    const EVENT: &str =
        r#"{"specversion":"1.0","id":"e-1","source":"/cases","type":"tallyd.credential.revoke.v1","data":{"a":1}}"#;

    #[test]
    fn the_three_modes_of_one_event_are_one_event() {
        let structured = read(&headers(&[("content-type", "application/cloudevents+json")]), EVENT.as_bytes()).unwrap();
        let batch = format!("[{EVENT}]");
        let batch =
            read(&headers(&[("content-type", "application/cloudevents-batch+json; charset=utf-8")]), batch.as_bytes());
        let binary = read(
            &headers(&[
                ("content-type", "application/json"),
                ("ce-specversion", "1.0"),
                ("ce-id", "e-1"),
                ("ce-source", "%2fcases"),
                ("ce-type", "tallyd.credential.revoke.v1"),
            ]),
            br#"{ "a": 1 }"#,
        );
        let (Posted::One(one), Ok(Posted::Batch(many)), Ok(Posted::One(other))) = (structured, batch, binary) else {
            panic!("all three modes are read");
        };
        assert_eq!(one.identity, many[0].identity);
        assert_eq!(one.identity, other.identity);
        assert_eq!((one.data_pointer.as_str(), many[0].data_pointer.as_str()), ("/data", "/0/data"));
    }

    #[test]
    fn another_word_anywhere_is_another_body() {
        let digest =
            |text: &str| match read(&headers(&[("content-type", "application/cloudevents+json")]), text.as_bytes()) {
                Ok(Posted::One(envelope)) => envelope.identity.body,
                other => panic!("{other:?}"),
            };
        assert_ne!(digest(EVENT), digest(&EVENT.replace("\"a\":1", "\"a\":2")));
        assert_eq!(digest(EVENT), digest(&EVENT.replace("\"a\":1", " \"a\" : 1 ")));
    }

    #[test]
    fn faults_in_attributes_are_all_named() {
        let text = r#"{"specversion":"0.3","id":"","source":"a b","type":"x","time":"yesterday","dataschema":1}"#;
        let result = read(&headers(&[("content-type", "application/cloudevents+json")]), text.as_bytes());
        let Err(NotPosted::Faults(faults)) = result else { panic!("{result:?}") };
        let pointers: Vec<_> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
        assert_eq!(pointers, ["/data", "/specversion", "/id", "/source", "/type", "/time", "/dataschema"]);
    }

    #[test]
    fn other_content_types_carry_no_events() {
        for content_type in ["text/plain", "application/json", "application/cloudevents+json; charset=latin-1", ""] {
            assert_eq!(
                read(&headers(&[("content-type", content_type)]), b"{}"),
                Err(NotPosted::ContentType),
                "{content_type}"
            );
        }
    }
}
