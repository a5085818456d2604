//! How a request's id is made of its content: SHA-256 over a line that says what it is, and the canonical form (RFC 8785).

use super::canonical;
use crate::domain::digest::BodyDigest;
use crate::domain::request::{Content, RequestId};

/// What tells this digest from every other use of SHA-256.
const DOMAIN: &[u8] = b"tallyd request v1\n";

/// The id that this content has, and no other that anybody could find.
pub fn request_id(content: &Content) -> RequestId {
    let mut bytes = DOMAIN.to_vec();
    // Every part of a content can be written as JSON.
    bytes.extend(canonical::to_vec(content).unwrap_or_default());
    RequestId::of_digest(BodyDigest::of(&bytes).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::request::{Asked, Person};

    fn content() -> Content {
        Content {
            application: Some("A-2026-1".parse().unwrap()),
            asked: Asked::Reissue { grace_seconds: 604_800 },
            by: Person { uid: 1000, account: Some("anna".parse().unwrap()) },
            reason: "leverantörsbyte".parse().unwrap(),
            case: None,
            made: "2026-11-23T07:30:00.000Z".parse().unwrap(),
            expires: "2026-11-24T07:30:00.000Z".parse().unwrap(),
            nonce: "019aaf5e-7b00-7000-8000-000000000001".parse().unwrap(),
        }
    }

    /// Worked out by another program: `printf 'tallyd request v1\n{…}' | sha256sum`, and the first 80 bits in Crockford's
    /// base32.
    #[test]
    fn the_id_of_a_request_is_golden() {
        assert_eq!(request_id(&content()).to_string(), "VKWZ-S1VP-908F-QJJ1");
    }

    #[test]
    fn whatever_is_swapped_in_a_request_its_id_is_another() {
        let own = request_id(&content());
        let swaps: [fn(&mut Content); 9] = [
            |it| it.application = Some("A-2026-2".parse().unwrap()),
            |it| it.application = None,
            |it| it.asked = Asked::Reissue { grace_seconds: 604_801 },
            |it| it.asked = Asked::ReissueCompromised {},
            |it| it.by.uid = 1001,
            |it| it.reason = "leverantörsbyte!".parse().unwrap(),
            |it| it.case = Some("DNR-1".parse().unwrap()),
            |it| it.expires = "2027-11-24T07:30:00.000Z".parse().unwrap(),
            |it| it.nonce = "019aaf5e-7b00-7000-8000-000000000002".parse().unwrap(),
        ];
        for swap in swaps {
            let mut other = content();
            swap(&mut other);
            assert_ne!(request_id(&other), own, "{other:?}");
        }
    }
}
