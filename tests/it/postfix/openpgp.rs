//! Encrypted mail as a real Postfix delivers it.

use serde_json::json;
use tallyd::domain::ids::Environment;

use super::agency;
use crate::harness::approval::Approval;
use crate::openpgp::assert_nothing_in_clear;
use crate::openpgp::gnupg::GnuPg;

#[test]
fn openpgp_mail_comes_through_a_real_postfix_and_gnupg_opens_it() {
    let approval = Approval::new();
    let (harness, postfix) = agency(true, &[approval.technical(), approval.administrative()], |_| {});
    let gnupg = GnuPg::new(&harness);
    let key = gnupg.exported(&gnupg.key("ed25519", Some("cv25519"), "never", ""));
    let approval = approval.with("/contacts/0/openpgp_key", json!(key));
    harness.approve(&approval);
    let raw = harness.until("mail in the mailbox", || postfix.mails(approval.technical()).into_iter().next());
    let (part_one, _) = gnupg.open(&raw);
    harness.remember(&part_one);
    assert_nothing_in_clear(&harness, &raw, &part_one);
    harness.until("entry", || (!harness.entries("mail.accepted").is_empty()).then_some(()));
    let (keys, receipt) = harness.pick_up(&harness.recipient(Environment::Test), &part_one);
    assert_eq!(receipt.status, 200, "{receipt:?}");
    assert_eq!(harness.gateway().verify(&keys.only().client_id, &keys.only().secret), 204);
}
