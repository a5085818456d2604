//! Those who talk to the daemon over mutual TLS or a Unix socket. Every answer is looked through for parts of secrets before a test sees
//! it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use base64ct::{Base64, Encoding};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use rustls::ClientConfig;
use serde_json::{Value, json};
use tallyd::http::client::{NoAnswer, Question, over_tls, over_unix};
use tokio::runtime::Runtime;

use super::search::Remembered;

/// One who asks, at one door, with one certificate or none.
pub(crate) struct Client {
    way: Way,
    runtime: Arc<Runtime>,
    remembered: Arc<Mutex<Remembered>>,
}

/// How the door is reached.
#[derive(Clone)]
pub(super) enum Way {
    /// Mutual TLS on a port of localhost.
    Tls(u16, Arc<ClientConfig>),
    /// A Unix socket.
    Socket(PathBuf),
}

/// What came back.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(super) fn new(way: Way, runtime: Arc<Runtime>, remembered: Arc<Mutex<Remembered>>) -> Self {
        Self { way, runtime, remembered }
    }

    /// Asks, and expects an answer of some kind.
    pub(crate) fn ask(&self, question: Question) -> Reply {
        self.try_ask(question).unwrap_or_else(|cause| panic!("no answer: {cause}"))
    }

    /// Asks; there may be no answer.
    pub(crate) fn try_ask(&self, question: Question) -> Result<Reply, NoAnswer> {
        let answer = match &self.way {
            Way::Tls(port, tls) => self.runtime.block_on(over_tls("localhost", *port, Arc::clone(tls), question)),
            Way::Socket(path) => self.runtime.block_on(over_unix(path, question)),
        }?;
        let reply =
            Reply { status: answer.status.as_u16(), headers: answer.headers.clone(), body: answer.body.to_vec() };
        self.remembered.lock().unwrap().shares_in(&String::from_utf8_lossy(&reply.body));
        Ok(reply)
    }

    pub(crate) fn get(&self, target: &str) -> Reply {
        self.ask(Question::get(target))
    }

    pub(crate) fn post(&self, target: &str, media_type: &'static str, body: impl Into<Vec<u8>>) -> Reply {
        self.ask(Question::post(target, media_type, body.into()))
    }

    /// A request of any method, with further header fields and perhaps a body.
    pub(crate) fn request(
        &self,
        method: Method,
        target: &str,
        fields: &[(&'static str, &str)],
        body: Option<(&'static str, &[u8])>,
    ) -> Reply {
        let body = body.map(|(media_type, bytes)| (media_type, bytes.to_vec().into()));
        let field = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        };
        self.ask(Question { method, target: target.to_owned(), body, headers: fields.iter().map(field).collect() })
    }

    /// Posts one event in structured mode.
    pub(crate) fn post_event(&self, event: &Value) -> Reply {
        self.post("/v1/events", "application/cloudevents+json", event.to_string())
    }

    /// Fetches part 2.
    pub(crate) fn collect(&self, reference: &str) -> Reply {
        let target = format!("/v1/deliveries/{reference}/collect");
        self.request(Method::POST, &target, &[], None)
    }

    /// Confirms with proofs.
    pub(crate) fn confirm(&self, reference: &str, proofs: &BTreeMap<String, String>) -> Reply {
        let target = format!("/v1/deliveries/{reference}/confirm");
        self.post(&target, "application/json", json!({ "proofs": proofs }).to_string())
    }

    /// Whether a pair verifies: the status of the gateway door.
    pub(crate) fn verify(&self, client_id: &str, secret: &str) -> u16 {
        self.verify_for(client_id, secret, &[]).status
    }

    /// The same with further header fields, and the whole answer.
    pub(crate) fn verify_for(&self, client_id: &str, secret: &str, fields: &[(&'static str, &str)]) -> Reply {
        let basic = format!("Basic {}", Base64::encode_string(format!("{client_id}:{secret}").as_bytes()));
        let mut all = vec![("authorization", basic.as_str())];
        all.extend_from_slice(fields);
        self.request(Method::GET, "/v1/verify", &all, None)
    }
}

impl Reply {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("this is no JSON: {self:?}"))
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// The `code` of a problem document, which it must be.
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let document = self.json();
        assert_eq!(document["status"], self.status);
        assert_eq!(document["request_id"].as_str().map(str::len), Some(16));
        document["code"].as_str().unwrap().to_owned()
    }

    /// The JSON pointers of a problem document.
    pub(crate) fn pointers(&self) -> Vec<String> {
        let errors = self.json()["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().map(|fault| fault["pointer"].as_str().unwrap().to_owned()).collect()
    }

    /// A header field, empty when it is not there.
    pub(crate) fn header(&self, name: &str) -> String {
        self.headers.get(name).map_or(String::new(), |value| value.to_str().unwrap().to_owned())
    }
}

/// For failed assertions; the harness keeps everything that these answers could give away in memory only.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, String::from_utf8_lossy(&self.body))
    }
}
