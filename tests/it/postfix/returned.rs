//! Mail that a real Postfix takes and cannot deliver: its own notification goes through an alias to `tallyd bounce`, which
//! runs as an account that is no operator.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use mail_parser::{MessageParser, PartType};
use serde_json::{Value, json};
use tallyd::domain::ids::Environment;

use super::agency;
use super::relay::{MAILBOX_OWNER, Postfix};
use crate::harness::Harness;
use crate::harness::approval::Approval;
use crate::harness::mailbox::{PartOne, text_of};
use crate::readme::tested;

const COPY: &str = "copies@exempel.se";
const OPERATORS: &str = "drift@exempel.se";

/// An agency whose relay pipes returned mail to `tallyd bounce`.
fn agency_with_alias(bounce_users: &str) -> (Harness, Postfix) {
    let change = |settings: &mut crate::harness::Settings| {
        settings.agency = format!("operators = \"{OPERATORS}\"\nlanguage = \"en\"");
        settings.mail = format!("return_path = \"api-nycklar-retur@myndigheten.example\"\n{bounce_users}");
    };
    let (harness, postfix) = agency(false, &[COPY, OPERATORS], change);
    // Where the build put it need not be open to everybody.
    let program = harness.path().join("outside/tallyd");
    fs::copy(env!("CARGO_BIN_EXE_tallyd"), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(harness.path().join("run"), fs::Permissions::from_mode(0o755)).unwrap();
    let socket = harness.path().join("run/operator.sock");
    let bounce = format!("|{} bounce --socket {}\", {COPY}", program.display(), socket.display());
    let commands = tested("alias").replace("|/usr/bin/tallyd bounce\"", &bounce);
    postfix.shell(&commands.replace("tallyd-bounce", &MAILBOX_OWNER.to_string()));
    (harness, postfix)
}

fn approval_to(mailbox: &str) -> Approval {
    Approval::new().with("/contacts", json!([{ "email": mailbox, "language": "en", "role": "technical" }]))
}

/// Remembers the parts in the mail that a notification returns, so that they are searched for in the end.
fn remember_returned(harness: &Harness, notification: &[u8]) {
    let message = MessageParser::default().parse(notification).unwrap();
    let returned = message.parts.iter().find_map(|part| {
        let PartType::Message(returned) = &part.body else { return None };
        let place = part.raw_body_offset() as usize..part.raw_end_offset() as usize;
        Some(returned.raw_message[place].to_vec())
    });
    let part_one = returned.and_then(|raw| PartOne::read(&raw)).expect("Postfix returns the whole mail");
    harness.remember(&part_one);
}

fn only(harness: &Harness, kind: &str) -> Value {
    let mut entries = harness.until("entry", || Some(harness.entries(kind)).filter(|entries| !entries.is_empty()));
    assert_eq!(entries.len(), 1, "{kind}");
    entries.remove(0)
}

#[test]
fn a_mail_that_postfix_returns_withdraws_its_delivery_and_the_operators_are_told() {
    let (harness, postfix) = agency_with_alias(&format!("bounce_users = [{MAILBOX_OWNER}]"));
    let approval = approval_to("gone@exempel.se");
    harness.approve(&approval);
    let returned = only(&harness, "mail.returned");
    assert_eq!(returned["data"], json!({ "status": "5.1.1" }));
    assert_eq!(returned["actor"], json!({ "who": "mail-system", "uid": MAILBOX_OWNER, "account": "nobody" }));
    assert_eq!(only(&harness, "credential.abandoned")["data"]["cause"], "bounced");
    assert_eq!(only(&harness, "issuance.failed")["data"]["cause"], "bounced");

    let reference = returned["subject"]["reference"].as_str().unwrap();
    let told = harness.until("mail to the operators", || postfix.mails(OPERATORS).first().cloned());
    let told = text_of(&told);
    assert!(told.contains("could not be delivered and came back") && told.contains(reference), "{told}");
    assert!(told.contains(approval.application()), "{told}");
    let log = harness.log();
    let line =
        log.lines().find(|line| line.contains("the mail with part 1 came back")).unwrap_or_else(|| panic!("{log}"));
    assert!(line.contains(reference) && line.contains("5.1.1") && line.contains("WARN"), "{line}");

    let listed = harness.run(&["list"]).expect_exit(0).out;
    assert!(listed.contains("failed (bounced)"), "{listed}");
    let shown = harness.run(&["show", approval.application()]).expect_exit(0).out;
    assert!(
        shown.contains("came back (5.1.1) (by mail-system nobody)") && shown.contains("abandoned (bounced)"),
        "{shown}"
    );
    let collected = harness.recipient(Environment::Test).collect(reference);
    assert_eq!((collected.status, collected.code().as_str()), (410, "bounced"));

    let copies =
        harness.until("copy of the notification", || Some(postfix.mails(COPY)).filter(|mails| !mails.is_empty()));
    remember_returned(&harness, &copies[0]);
    assert!(!postfix.log().contains("tally1."), "the relay's log holds a part");

    // Whoever knows a better address orders anew.
    harness.run(&["reissue", approval.application(), "--reason", "The mail came back"]).expect_exit(0);
    harness.until("second notification", || (harness.entries("mail.returned").len() == 2).then_some(()));
    harness.until("copy of it", || (postfix.mails(COPY).len() == 2).then_some(()));
    postfix.mails(COPY).iter().for_each(|copy| remember_returned(&harness, copy));
}

#[test]
fn a_mail_that_postfix_calls_late_withdraws_nothing() {
    let (harness, postfix) = agency_with_alias(&format!("bounce_users = [{MAILBOX_OWNER}]"));
    harness.approve(&approval_to("late@exempel.se"));
    harness.until("line about the delay", || harness.log().contains("the mail with part 1 is late").then_some(()));
    let notification = harness.until("copy of it", || postfix.mails(COPY).first().cloned());
    assert!(String::from_utf8_lossy(&notification).contains("Action: delayed"));
    let listed = harness.run(&["list"]).expect_exit(0).out;
    assert!(listed.contains("awaiting-pickup"), "{listed}");
    assert_eq!(harness.entries("mail.returned").len() + harness.entries("credential.abandoned").len(), 0);
}

#[test]
fn postfix_keeps_a_notification_that_the_daemon_did_not_take_and_comes_again() {
    let (mut harness, postfix) = agency_with_alias("");
    harness.approve(&approval_to("gone@exempel.se"));
    harness.until("deferral", || postfix.log().contains("temporary failure").then_some(()));
    assert!(postfix.log().contains("mail.bounce_users"), "the hint is in its log: {}", postfix.log());
    assert_eq!(harness.entries("mail.returned").len(), 0);
    harness.stop();
    harness.reconfigure(|settings| settings.mail.push_str(&format!("\nbounce_users = [{MAILBOX_OWNER}]")));
    harness.serve();
    only(&harness, "mail.returned");
}
