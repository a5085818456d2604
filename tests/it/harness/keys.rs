//! What a recipient has in the end. Put together without the code under test: only what
//! the formats say.

use std::collections::BTreeMap;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde_json::Value;

use super::mailbox::PartOne;

/// A bundle, by label.
pub(crate) struct Keys {
    pub(crate) pairs: BTreeMap<String, Pair>,
}

/// One pair.
pub(crate) struct Pair {
    pub(crate) client_id: String,
    pub(crate) secret: String,
    pub(crate) proof: String,
}

impl Keys {
    /// From the mail and the answer of the pickup door.
    pub(crate) fn combine(part_one: &PartOne, collected: &Value) -> Self {
        let shares = collected["shares"].as_array().unwrap();
        let pair = |share: &Value| {
            let text = |member: &str| share[member].as_str().unwrap();
            let label = text("label");
            let (mail, pickup) = (payload(&part_one.shares[label]), payload(text("share")));
            let secret = exclusive_or(&mail, &pickup);
            let proof = proof(&secret, &part_one.reference);
            let secret = String::from_utf8(secret).unwrap();
            (label.to_owned(), Pair { client_id: text("client_id").to_owned(), secret, proof })
        };
        let keys = Self { pairs: shares.iter().map(pair).collect() };
        assert!(keys.pairs.keys().eq(part_one.shares.keys()), "both parts are of the same bundle");
        keys
    }

    /// What the recipient confirms with.
    pub(crate) fn proofs(&self) -> BTreeMap<String, String> {
        self.pairs.iter().map(|(label, pair)| (label.clone(), pair.proof.clone())).collect()
    }

    /// The pair of a bundle with one label.
    pub(crate) fn only(&self) -> &Pair {
        assert_eq!(self.pairs.len(), 1);
        self.pairs.values().next().unwrap()
    }
}

/// DESIGN, section 5: the proof of one label.
pub(crate) fn proof(secret: &[u8], reference: &str) -> String {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
    let message = format!("tallyd confirm v1\n{reference}");
    HEXLOWER.encode(ring::hmac::sign(&key, message.as_bytes()).as_ref())
}

/// What two parts are together.
pub(crate) fn exclusive_or(one: &[u8], other: &[u8]) -> Vec<u8> {
    assert_eq!(one.len(), other.len());
    one.iter().zip(other).map(|(one, other)| one ^ other).collect()
}

/// The bytes that a share token carries.
pub(crate) fn payload(token: &str) -> Vec<u8> {
    BASE64URL_NOPAD.decode(token.split('.').nth(4).unwrap().as_bytes()).unwrap()
}
