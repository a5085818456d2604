//! Part 1 encrypted to a contact's OpenPGP key. The real GnuPG makes the keys and opens what the relay took. Without the
//! feature there is one test: that an approval with a key is refused.

use serde_json::Value;

use crate::harness::Harness;
use crate::harness::approval::Approval;

#[cfg(feature = "openpgp")]
pub(crate) mod gnupg;
#[cfg(feature = "openpgp")]
mod keys;
#[cfg(feature = "openpgp")]
mod way;
#[cfg(feature = "openpgp")]
pub(crate) use way::assert_nothing_in_clear;

/// An approval whose contacts have these keys.
fn approval(technical: impl Into<Value>, administrative: impl Into<Value>) -> Approval {
    let keyed = Approval::new().with("/contacts/0/openpgp_key", technical);
    keyed.with("/contacts/1/openpgp_key", administrative)
}

/// Where the faults of a refused approval are, and what is said of the first.
fn refused(harness: &Harness, approval: &Approval) -> (Vec<String>, String) {
    let reply = harness.sender().post_event(&approval.event());
    assert_eq!(reply.status, 422, "{reply:?}");
    (reply.pointers(), reply.json()["errors"][0]["detail"].as_str().unwrap().to_owned())
}

#[cfg(not(feature = "openpgp"))]
#[test]
fn an_approval_with_an_openpgp_key_is_refused_by_a_build_without_it() {
    let harness = Harness::start();
    let key = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEZ\n-----END PGP PUBLIC KEY BLOCK-----\n";
    let (pointers, says) = refused(&harness, &approval(key, Value::Null));
    assert_eq!(pointers, ["/data/contacts/0/openpgp_key"]);
    assert!(says.contains("mail is not encrypted here"), "{says}");
}
