//! `tallyd bounce`: what each kind of mail that comes back changes, how the command ends, and what its account may do.
//! What a real mail system writes is tried in `postfix`.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use serde_json::json;
use tallyd::domain::ids::Environment;

use crate::harness::Harness;
use crate::harness::approval::Approval;
use crate::harness::operator::{Ran, finish};

/// A notification about a mail, as the mail system of another organisation writes it.
fn notification(fields: &str, returned: &[u8]) -> Vec<u8> {
    let mut mail = format!(
        "From: postmaster@partner.example\r\nTo: api-nycklar@myndigheten.example\r\nSubject: Undeliverable\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"b-1\"\r\n\r\n\
         --b-1\r\n\r\nWe are sorry.\r\n--b-1\r\nContent-Type: message/delivery-status\r\n\r\n\
         Reporting-MTA: dns; mx.partner.example\r\n\r\nFinal-Recipient: rfc822; api@partner.example\r\n{fields}\r\n\
         --b-1\r\nContent-Type: message/rfc822\r\n\r\n"
    )
    .into_bytes();
    mail.extend_from_slice(returned);
    mail.extend_from_slice(b"\r\n--b-1--\r\n");
    mail
}

const FAILED: &str = "Action: failed\r\nStatus: 5.1.1\r\n";

/// The n-th mail that the relay took for a mailbox, as it is.
fn raw(harness: &Harness, mailbox: &str, nth: usize) -> Vec<u8> {
    harness.until("mail", || harness.sink().mails().into_iter().filter(|mail| mail.to == [mailbox]).nth(nth)).raw
}

fn bounce(harness: &Harness, mail: impl AsRef<[u8]>) -> Ran {
    harness.run_with_input(&["bounce"], mail)
}

/// Takes the mail, ends with 0, says this, and leaves the journal as it is.
#[track_caller]
fn changes_nothing(harness: &Harness, mail: impl AsRef<[u8]>, said: &str) {
    let before = harness.journal_size();
    let ran = bounce(harness, mail).expect_exit(0);
    assert_eq!((ran.out.as_str(), ran.err.trim_end()), ("", said));
    assert_eq!(harness.journal_size(), before);
}

#[test]
fn a_returned_mail_withdraws_the_delivery_that_it_was_for_and_no_other() {
    let harness = Harness::start();
    let (ours, other) = (Approval::new(), Approval::new());
    harness.approve(&ours);
    harness.approve(&other);
    let part_one = harness.part_one(ours.technical(), 0);
    let mail = notification(FAILED, &raw(&harness, ours.technical(), 0));
    harness.part_one(other.technical(), 0);
    harness.until_quiet();

    let late = notification("Action: delayed\r\nStatus: 4.4.1\r\n", &raw(&harness, ours.technical(), 0));
    changes_nothing(&harness, late, "It is in the daemon's log, and nothing else changes.");
    assert!(harness.log().contains("the mail with part 1 is late"));
    let arrived = notification("Action: delivered\r\nStatus: 2.0.0\r\n", &raw(&harness, ours.technical(), 0));
    changes_nothing(&harness, arrived, "This mail changes nothing: the one that it is about was delivered.");

    let ran = bounce(&harness, &mail).expect_exit(0);
    assert_eq!(ran.err.trim_end(), "The delivery is withdrawn. Correct the address, and re-issue.");
    let kinds: Vec<_> =
        harness.run(&["audit", "show", "--json"]).out.lines().rev().take(3).map(str::to_owned).collect();
    for (line, kind) in kinds.iter().zip(["issuance.failed", "credential.abandoned", "mail.returned"]) {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!((&entry["kind"], &entry["subject"]["application"]), (&json!(kind), &json!(ours.application())));
        assert_eq!(entry["actor"]["who"], "operator", "who has the mail at hand may hand it over");
    }
    // Nobody is to be told by mail: this agency has no mailbox for it.
    assert_eq!(harness.entries("mail.returned").len(), 1);
    assert_eq!(harness.recipient(Environment::Test).collect(&part_one.reference).code(), "bounced");
    changes_nothing(&harness, &mail, "The delivery was confirmed or over already, and nothing changes.");
    assert!(!bounce(&harness, &mail).err.contains(&part_one.reference[..4]), "the mail system learns of no delivery");

    harness.receive(&other, 0);
    harness.run(&["reissue", ours.application(), "--reason", "The right address"]).expect_exit(0);
    let keys = harness.receive(&ours, 1);
    changes_nothing_of_keys(&harness, &ours, &keys.only().client_id, &keys.only().secret);
}

/// A mail that comes back after the keys were confirmed ends nothing.
fn changes_nothing_of_keys(harness: &Harness, approval: &Approval, client_id: &str, secret: &str) {
    harness.until_quiet();
    let with_a_part = harness.sink().mails().into_iter().filter(|mail| mail.to == [approval.technical()]);
    let second = with_a_part.filter(|mail| crate::harness::mailbox::PartOne::read(&mail.raw).is_some()).nth(1).unwrap();
    let said = "The delivery was confirmed or over already, and nothing changes.";
    changes_nothing(harness, notification(FAILED, &second.raw), said);
    assert!(harness.log().contains("of a delivery that is over came back"));
    assert_eq!(harness.gateway().verify(client_id, secret), 204);
}

#[test]
fn a_notice_that_comes_back_is_told_in_the_log_and_by_no_further_mail() {
    let harness = Harness::start_with(|settings| settings.agency = "operators = \"drift@exempel.se\"".to_owned());
    let approval = Approval::new();
    harness.approve(&approval);
    harness.part_one(approval.technical(), 0);
    harness.until_quiet();
    let notice = notification(FAILED, &raw(&harness, approval.administrative(), 0));
    changes_nothing(&harness, notice, "It is in the daemon's log, and nothing else changes.");
    let log = harness.log();
    let line = log.lines().find(|line| line.contains("a notice came back")).unwrap_or_else(|| panic!("{log}"));
    assert!(line.contains("delivered") && line.contains(approval.application()) && !line.contains('@'), "{line}");
    assert!(harness.notices("drift@exempel.se").is_empty());
    harness.receive(&approval, 0);
}

#[test]
fn a_mail_that_is_no_notification_or_about_none_of_ours_is_taken_and_makes_no_other() {
    let harness = Harness::start();
    let approval = Approval::new();
    harness.approve(&approval);
    let part_one = harness.part_one(approval.technical(), 0);
    let ours = raw(&harness, approval.technical(), 0);
    harness.until_quiet();
    let not_one = "This mail changes nothing: it is not a delivery status notification.";
    changes_nothing(&harness, "", not_one);
    changes_nothing(&harness, &ours, not_one);
    changes_nothing(&harness, "Subject: Re: \u{1b}[2J\r\nFrom: somebody@partner.example\r\n\r\nThanks!\r\n", not_one);
    changes_nothing(&harness, vec![0xff; 3 * 1024 * 1024], not_one);
    let nothing_said =
        "This mail changes nothing: it is a delivery status notification that does not say what became of the mail.";
    changes_nothing(&harness, notification("Action: \u{1b}[2J\r\n", &ours), nothing_said);
    let not_ours = "This mail changes nothing: it does not say which of our mails it is about.";
    changes_nothing(&harness, notification(FAILED, b"Message-ID: <\x1b[2J@evil>\r\n\r\n"), not_ours);
    let unknown = "Message-ID: <019aaf5e-7b00-7000-8000-000000000001@myndigheten.example>\r\n\r\n";
    let said = "Nothing was mailed from here under that Message-ID.";
    changes_nothing(&harness, notification(FAILED, unknown.as_bytes()), said);
    assert!(!harness.log().contains("\\u{1b}") && !harness.log().contains('\u{1b}'));
    assert!(!harness.log().contains(&part_one.shares["oauth2"]));
    harness.receive(&approval, 0);
}

#[test]
fn whatever_keeps_the_daemon_from_taking_it_the_mail_system_is_to_try_again() {
    let mut harness = Harness::start();
    let approval = Approval::new();
    harness.approve(&approval);
    harness.part_one(approval.technical(), 0);
    let mail = notification(FAILED, &raw(&harness, approval.technical(), 0));
    harness.stop();
    let ran = bounce(&harness, &mail).expect_exit(75);
    assert!(
        ran.err.starts_with("cannot tell of the returned mail ") && ran.err.contains("hint: the mail system keeps"),
        "{}",
        ran.err
    );
    assert!(ran.out.is_empty());
    // A mistake in the alias.
    assert!(harness.run(&["bounce", "--sockte", "/x"]).expect_exit(75).err.contains("unexpected argument"));
    harness.run(&["bounce", "--help"]).expect_exit(0);
    harness.serve();
    bounce(&harness, &mail).expect_exit(0);
    assert_eq!(harness.entries("mail.returned").len(), 1);
}

/// `nobody` of every system, who is nobody's operator.
const NOBODY: u32 = 65_534;

fn as_nobody(harness: &Harness, method: &str, path: &str, body: Option<&str>) -> Ran {
    let mut command = Command::new("curl");
    command
        .args(["-sS", "-w", "\n%{http_code}", "-X", method, "--unix-socket"])
        .arg(harness.path().join("run/operator.sock"));
    if let Some(body) = body {
        command.args(["--json", body]);
    }
    command.arg(format!("http://localhost{path}")).uid(NOBODY).current_dir("/");
    finish(command)
}

#[test]
fn the_mail_systems_account_reaches_one_route_and_no_other() {
    let root = rustix::process::geteuid().is_root();
    assert!(root, "to become another user takes root: run these tests as root, as tests/run does in CI");
    let harness = Harness::start_with(|settings| settings.mail = format!("bounce_users = [{NOBODY}]"));
    std::fs::set_permissions(harness.path().join("run"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let router = tallyd::daemon::doors::router().unwrap();
    let patterns: std::collections::BTreeSet<_> = router.routes().map(|route| route.pattern).collect();
    assert!(patterns.contains("/v1/revocations"));
    for pattern in patterns {
        for method in ["GET", "POST"] {
            let answer = as_nobody(&harness, method, &pattern.replace(['{', '}'], ""), None).expect_exit(0).out;
            let status = answer.lines().last().unwrap();
            let expected = match (pattern, method) {
                ("/v1/bounces", "POST") => "400",
                ("/v1/bounces", _) => "405",
                _ => "404",
            };
            assert_eq!(status, expected, "{method} {pattern}: {answer}");
        }
    }
    let unknown = r#"{"message_id":"019aaf5e-7b00-7000-8000-000000000001","action":"failed","status":"5.1.1"}"#;
    assert_eq!(as_nobody(&harness, "POST", "/v1/bounces", Some(unknown)).out, "{\"outcome\":\"unknown\"}\n200");
    for (body, pointer) in [
        (r#"{"action":"failed"}"#, "/message_id"),
        (r#"{"message_id":"x","action":"failed"}"#, "/message_id"),
        (r#"{"message_id":"019aaf5e-7b00-7000-8000-000000000001","action":"delivered"}"#, "/action"),
        (r#"{"message_id":"019aaf5e-7b00-7000-8000-000000000001","action":"failed","status":"\u001b[2J"}"#, "/status"),
        (r#"{"message_id":"019aaf5e-7b00-7000-8000-000000000001","action":"failed","mail":"x"}"#, "/mail"),
    ] {
        let refused = as_nobody(&harness, "POST", "/v1/bounces", Some(body)).out;
        assert!(refused.ends_with("422") && refused.contains(&format!("\"pointer\":\"{pointer}\"")), "{refused}");
    }
    let figures = harness.metrics("/metrics").unwrap();
    assert!(figures.contains("returned mail"), "its answers are counted apart: {figures}");
}

#[test]
fn a_flood_of_returned_mail_leaves_the_operator_his_door() {
    let harness = Harness::start_with(|settings| settings.mail = format!("bounce_users = [{NOBODY}]"));
    std::fs::set_permissions(harness.path().join("run"), std::fs::Permissions::from_mode(0o755)).unwrap();
    // More than the door has places, each open and silent.
    let flood = "import socket, sys, time
held = [socket.socket(socket.AF_UNIX) for _ in range(60)]
for one in held: one.connect(sys.argv[1])
print(len(held), flush=True)
time.sleep(60)";
    let mut command = Command::new("python3");
    command.args(["-c", flood]).arg(harness.path().join("run/operator.sock")).uid(NOBODY).current_dir("/");
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut said = [0; 3];
    child.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
    assert_eq!(&said, b"60\n");
    let full = "connections_refused_total{reason=\"ListenerFull\"";
    let refused = || harness.metrics("/metrics").unwrap().lines().find(|line| line.contains(full)).map(str::to_owned);
    harness.until("refusals", || refused().filter(|line| line.ends_with(" 56")));
    harness.run(&["list"]).expect_exit(0);
    child.kill().and_then(|()| child.wait()).unwrap();
}

#[test]
fn an_operator_and_the_mail_system_are_not_one_account() {
    let own = rustix::process::getuid().as_raw();
    let harness = Harness::prepare(|settings| {
        settings.mail = format!("bounce_users = [{own}]");
        settings.ends_with_a_good_journal = false;
    });
    harness.run(&["init"]).expect_exit(0);
    let checked = harness.run(&["check"]).expect_exit(3);
    assert!(checked.out.contains("is an operator's") || checked.err.contains("is an operator's"), "{checked:?}");
    let refused = harness.run(&["serve"]).expect_exit(3);
    assert!(
        refused.err.contains("the same account is an operator's")
            || refused.out.contains("the same account is an operator's"),
        "{refused:?}"
    );
}
