//! Which keys are taken at intake, and what is said of those that are not.

use serde_json::json;

use super::gnupg::GnuPg;
use super::{approval, refused};
use crate::harness::Harness;

const AT: &str = "/data/contacts/0/openpgp_key";

#[test]
fn openpgp_keys_that_part_1_cannot_be_encrypted_to_are_refused_by_pointer_with_the_reason() {
    let harness = Harness::start();
    let gnupg = GnuPg::new(&harness);
    let good = gnupg.key("ed25519", Some("cv25519"), "never", "");
    let only_signs = gnupg.key("ed25519", None, "never", "");
    let weak = gnupg.key("rsa2048", Some("rsa1024"), "never", "");
    let expired = gnupg.key("ed25519", Some("cv25519"), "1y", "--faked-system-time 20200101T000000");
    let in_future = gnupg.key("ed25519", Some("cv25519"), "never", "--faked-system-time 20400101T000000");
    let revoked = gnupg.key("ed25519", Some("cv25519"), "2y", "");
    gnupg.revoke(&revoked);
    let armour = gnupg.exported(&good);
    let without_a_line = armour.replace(armour.lines().nth(4).unwrap(), "");
    let secret = gnupg.exported_with_its_secret(&good);
    let two = gnupg.exported(&format!("{good} {only_signs}"));
    for (key, says) in [
        (json!(gnupg.exported(&only_signs)), "has no part that one may encrypt to"),
        (json!(gnupg.exported(&weak)), "must encrypt with RSA of 2048 bits or more"),
        (json!(gnupg.exported(&expired)), "has expired"),
        (json!(gnupg.exported(&in_future)), "is made later than now"),
        (json!(gnupg.exported(&revoked)), "was revoked"),
        (json!(secret), "is a private key"),
        (json!(secret.replace("PRIVATE", "PUBLIC")), "is a private key"),
        (json!(two), "must be exactly one key"),
        (json!(format!("{armour}\n{armour}")), "must be one public key in ASCII armour"),
        (json!(without_a_line), "is damaged"),
        (json!("good"), "must be one public key in ASCII armour"),
        (json!(""), "must be one public key in ASCII armour"),
        (json!("x".repeat(70_000)), "must have at most 65536 bytes"),
        (json!({}), "must be a string"),
    ] {
        let (pointers, said) = refused(&harness, &approval(key.clone(), json!(null)));
        assert_eq!(pointers, [AT], "{says}: {key}");
        assert!(said.contains(says), "{says}: {said}");
    }
    let (pointers, said) = refused(&harness, &approval(json!(null), armour));
    assert_eq!(pointers, ["/data/contacts/1/openpgp_key"]);
    assert!(said.contains("only the technical contact gets it"), "{said}");
    assert_eq!(harness.entries("approval.accepted").len(), 0);
}

/// Anything may be given as a key. None of it ends the daemon.
#[test]
fn openpgp_keys_that_were_changed_anywhere_are_taken_or_refused_and_the_daemon_goes_on() {
    let harness = Harness::start();
    let gnupg = GnuPg::new(&harness);
    let key = gnupg.exported(&gnupg.key("rsa2048", Some("cv25519"), "never", ""));
    let inside: Vec<_> = key.match_indices(|c: char| c.is_ascii_alphanumeric()).map(|(at, _)| at).collect();
    let sender = harness.sender();
    for place in inside.iter().skip(40).step_by(inside.len() / 60) {
        let mut changed = key.clone().into_bytes();
        changed[*place] = if changed[*place] == b'A' { b'B' } else { b'A' };
        let approval = approval(String::from_utf8(changed).unwrap(), json!(null));
        let reply = sender.post_event(&approval.event());
        assert!([202, 422].contains(&reply.status), "{place}: {reply:?}");
    }
    assert!(harness.is_ready());
}
