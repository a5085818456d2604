//! Every misbehaviour of a relay that the sink knows, against the whole daemon: what is on record afterwards, that no
//! version is mailed twice, and that the order is completed as soon as the relay behaves (FAULTS, section 2.4).

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use tallyd::mail::{MailFailure, Phase, Verdict};

use crate::harness::Harness;
use crate::harness::approval::Approval;
use crate::harness::mailbox::PartOne;
use crate::mail_hostile::{expected, nothing_in_clear};
use crate::sink::{Behaviour, Door};

/// Each is mostly waiting for a deadline.
const LANES: usize = 6;

/// More than the daemon ever needs here, and less than any of the endless replies would fill.
const PEAK_KIB: u64 = 96 * 1024;

/// What is on record after one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Record {
    /// The mail is out.
    Mailed,
    /// Nothing: the relay could not be talked to, which is not about this order.
    Nothing,
    /// No version was made; the order waits.
    Queued,
    /// No version was made; the order waits for an operator.
    Failed,
    /// A version was made and is void; the order waits, unless the relay refused for good.
    Abandoned(&'static str),
}

fn right(result: Result<u16, MailFailure>) -> Record {
    let Err(failure) = result else { return Record::Mailed };
    let void = match failure.verdict() {
        Verdict::Later => Record::Abandoned("mail-deferred"),
        Verdict::Never => Record::Abandoned("mail-refused"),
        Verdict::Unknown => Record::Abandoned("mail-unknown"),
    };
    match failure {
        MailFailure::Unknown { .. } => void,
        MailFailure::Deferred { phase: Phase::Content, .. }
        | MailFailure::Refused { phase: Phase::Content, .. }
        | MailFailure::Unreachable { phase: Phase::Content, .. } => void,
        // A relay that refuses the sender refuses us, and may change its mind; one that refuses the recipient knows best.
        // DATA leaves with both, before a version is made.
        MailFailure::Deferred { phase: Phase::Sender | Phase::Recipient | Phase::Data, .. }
        | MailFailure::Refused { phase: Phase::Sender, .. } => Record::Queued,
        MailFailure::Refused { phase: Phase::Recipient | Phase::Data, .. } => Record::Failed,
        MailFailure::Deferred { .. }
        | MailFailure::Refused { .. }
        | MailFailure::Unreachable { .. }
        | MailFailure::Untrusted(_)
        | MailFailure::Login(_) => Record::Nothing,
        MailFailure::Misaddressed => panic!("no relay does that"),
    }
}

/// The harness's configuration with short deadlines, and with a login where the relay knows logins.
fn lay_out(behaviour: Behaviour, door: Door) -> Harness {
    let mut harness = Harness::prepare(|settings| settings.start_tls = door == Door::StartTls);
    let password = harness.path().join("keys/mail-password");
    std::fs::write(&password, "correct-horse-battery").unwrap();
    std::fs::set_permissions(&password, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    if !matches!(behaviour, Behaviour::No8BitMime | Behaviour::TinySize) {
        let login = format!("username = \"tallyd\"\npassword = \"{}\"", password.display());
        harness.reconfigure(|settings| settings.mail = login);
    }
    let mut text = std::fs::read_to_string(harness.configuration()).unwrap();
    for (usual, short) in [
        ("connect_deadline = \"5s\"", "connect_deadline = \"1s\""),
        ("reply_deadline = \"5s\"", "reply_deadline = \"1s\""),
        ("exchange_deadline = \"10s\"", "exchange_deadline = \"2s\""),
        ("attempts = 5", "attempts = 1000"),
    ] {
        assert!(text.contains(usual), "{usual}");
        text = text.replace(usual, short);
    }
    std::fs::write(harness.configuration(), text).unwrap();
    harness.run(&["init"]).expect_exit(0);
    harness
}

/// The journal from the order on, as (kind, data).
fn journal(harness: &Harness) -> Vec<(String, Value)> {
    let shown = harness.run(&["audit", "show", "--json"]).expect_exit(0);
    let entries = shown.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    entries.map(|entry| (entry["kind"].as_str().unwrap().to_owned(), entry["data"].clone())).collect()
}

fn has(journal: &[(String, Value)], kind: &str, cause: Option<&str>) -> bool {
    journal.iter().any(|(found, data)| found == kind && cause.is_none_or(|cause| data["cause"] == cause))
}

fn on_record(journal: &[(String, Value)], record: Record) -> bool {
    let generated = has(journal, "credential.generated", None);
    match record {
        Record::Mailed => has(journal, "mail.accepted", None),
        Record::Nothing => {
            !generated && !has(journal, "issuance.queued", None) && !has(journal, "issuance.failed", None)
        }
        Record::Queued => !generated && has(journal, "issuance.queued", None),
        Record::Failed => !generated && has(journal, "issuance.failed", Some("mail-refused")),
        Record::Abandoned(cause) => {
            let then = if cause == "mail-refused" { "issuance.failed" } else { "issuance.queued" };
            has(journal, "credential.abandoned", Some(cause)) && has(journal, then, None)
        }
    }
}

fn one_behaviour(behaviour: Behaviour) {
    let (door, outcome) = expected(behaviour);
    let record = right(outcome.result);
    let mut harness = lay_out(behaviour, door);
    harness.sink().behave(behaviour);
    harness.serve();
    let approval = Approval::new();
    harness.approve(&approval);

    if let Err(failure) = outcome.result {
        let complaint = if failure.is_alarm() { "must be looked at" } else { "cannot be reached" };
        let complaints = [complaint, "did not go out"];
        let told =
            || complaints[..if failure.is_alarm() { 1 } else { 2 }].iter().any(|told| harness.log().contains(told));
        harness.until(&format!("complaint about {behaviour:?}"), || told().then_some(()));
    }
    let what = format!("right record of {behaviour:?} ({record:?})");
    // A greylisted recipient is taken the second time, so that by now a version may have been made.
    if behaviour != Behaviour::Grey450 {
        harness.until(&what, || on_record(&journal(&harness), record).then_some(()));
    }
    // The daemon greets with the domain of its sender.
    nothing_in_clear(harness.sink(), "myndigheten.example", behaviour);

    harness.sink().behave(Behaviour::Ok);
    if matches!(record, Record::Failed | Record::Abandoned("mail-refused")) {
        let ordered = ["reissue", approval.application(), "--reason", "the relay was mended"];
        harness.run(&ordered).expect_exit(0);
    }
    harness.receive(&approval, 0);

    let sent = harness.sink().mails().into_iter().chain(harness.sink().refused_mails());
    let parts: Vec<_> = sent.filter_map(|mail| PartOne::read(&mail.raw)).collect();
    parts.iter().for_each(|part_one| harness.remember(part_one));
    let versions: BTreeSet<_> = parts.iter().map(|part_one| &part_one.reference).collect();
    assert_eq!(versions.len(), parts.len(), "{behaviour:?}: a version was mailed twice");
    assert!(peak_kib(harness.pid()) < PEAK_KIB, "{behaviour:?}: {} KiB", peak_kib(harness.pid()));
}

/// The highest resident size that a process ever had.
fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn every_behaviour_is_put_on_record_rightly_and_a_good_relay_completes_the_order() {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                while let Some(behaviour) = Behaviour::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // They wait for the test to answer, and are no misbehaviours of their own.
                    if ![Behaviour::Late250, Behaviour::LateRcpt].contains(behaviour) {
                        one_behaviour(*behaviour);
                    }
                }
            });
        }
    });
}
