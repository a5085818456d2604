//! `tallyd audit show`: each filter against what the entries themselves say, and following a journal that is written to.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::harness::approval::Approval;
use crate::harness::operator::BINARY;
use crate::harness::{Harness, SOON};

fn shown(harness: &Harness, filters: &[&str]) -> Vec<Value> {
    let arguments = [&["audit", "show", "--json"], filters].concat();
    let ran = harness.run(&arguments).expect_exit(0);
    ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_is_shown_is_what_matches_everything_that_is_asked_for() {
    let mut harness = Harness::start();
    let first = Approval::new();
    let trader = Approval::new().with("/organisation/number", "191212121212");
    harness.issue(&first);
    harness.approve(&trader);
    harness.part_one(trader.technical(), 0);
    harness.run(&["revoke", first.application(), "--reason", "Seen elsewhere"]).expect_exit(0);
    harness.until("end of the keys", || (harness.entries("credential.ended").len() == 1).then_some(()));
    harness.stop();
    let all = shown(&harness, &[]);
    let client = shown(&harness, &["--kind", "approval.accepted"])[0]["data"]["keys"].clone();
    let client_id = client.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned();
    let middle = all[all.len() / 2]["time"].as_str().unwrap().to_owned();

    let text = |entry: &Value, path: &str| entry.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let is_about = |entry: &Value, approval: &Approval| text(entry, "/subject/application") == approval.application();
    type Matches<'a> = Box<dyn Fn(&Value) -> bool + 'a>;
    let of_first = || -> Matches<'_> { Box::new(|entry| is_about(entry, &first)) };
    let by = |who: &'static str| -> Matches<'_> { Box::new(move |entry| text(entry, "/actor/who") == who) };
    let of_kind = |kind: &'static str| -> Matches<'_> { Box::new(move |entry| text(entry, "/kind").starts_with(kind)) };
    let cases: Vec<(Vec<&str>, Matches<'_>)> = vec![
        (vec!["--application", first.application()], of_first()),
        (vec!["--client", first.application()], of_first()),
        (vec!["--client", &client_id], of_first()),
        (vec!["--organisation", "NTRSE-559000-0005"], of_first()),
        (vec!["--organisation", "19121212-1212"], Box::new(|entry| is_about(entry, &trader))),
        (vec!["--kind", "credential."], of_kind("credential.")),
        (
            vec!["--kind", "mail.accepted", "--kind", "share."],
            Box::new(|entry| ["mail.accepted", "share.collected"].contains(&text(entry, "/kind").as_str())),
        ),
        (vec!["--actor", "operator"], by("operator")),
        (vec!["--actor", "case-system"], by("sender")),
        (vec!["--actor", "recipient:16559000-0005"], by("recipient")),
        (vec!["--since", &middle], Box::new(|entry| text(entry, "/time") >= middle)),
        (vec!["--until", &middle], Box::new(|entry| text(entry, "/time") <= middle)),
        (
            vec!["--from", "3", "--to", "7", "--limit", "3"],
            Box::new(|entry| (3..6).contains(&entry["seq"].as_u64().unwrap())),
        ),
        (
            vec!["--organisation", "5590000005", "--kind", "credential.", "--actor", "daemon", "--since", "1d"],
            Box::new(|entry| is_about(entry, &first) && of_kind("credential.")(entry) && by("daemon")(entry)),
        ),
    ];
    for (filters, matches) in cases {
        let expected: Vec<&Value> = all.iter().filter(|entry| matches(entry)).collect();
        assert!(!expected.is_empty() && expected.len() < all.len(), "{filters:?} tell nothing apart");
        assert_eq!(shown(&harness, &filters).iter().collect::<Vec<_>>(), expected, "{filters:?}");
    }
    assert_eq!(shown(&harness, &["--since", "1d"]), all);
    assert!(
        shown(&harness, &["--until", "1d"]).is_empty()
            && shown(&harness, &["--actor", "operator:nobody-at-all"]).is_empty()
    );
    let unknown = harness.run(&["audit", "show", "--client", "nobody"]).expect_exit(1);
    assert!(unknown.err.contains("no client goes by this") && unknown.out.is_empty(), "{unknown:?}");
}

#[test]
fn an_entry_in_the_place_of_another_is_told_and_not_shown_for_ever() {
    let mut harness = Harness::prepare(|settings| settings.ends_with_a_good_journal = false);
    harness.run(&["init"]).expect_exit(0);
    harness.serve();
    harness.stop();
    let database = rusqlite::Connection::open(harness.path().join("state/tallyd.db")).unwrap();
    let swap = "DROP TRIGGER entry_is_not_changed;
                UPDATE entry SET bytes = (SELECT bytes FROM entry WHERE seq = 0) WHERE seq = 2";
    database.execute_batch(swap).unwrap();
    let ran = harness.run(&["audit", "show"]).expect_exit(4);
    assert!(ran.err.contains("entry 0 stands where entry 2 or a later one must"), "{ran:?}");
}

/// A command that follows. Killed when dropped.
struct Follower {
    child: Child,
    lines: Receiver<String>,
}

impl Follower {
    /// Starts it, and waits until it has begun to look.
    fn start(harness: &Harness, arguments: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>) {
        let mut command = Command::new(BINARY);
        command.args(["audit", "show", "--json", "--follow", "--config"]).arg(harness.configuration());
        command.args(arguments).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
        assert!(told.next().unwrap().unwrap().starts_with("As it is stored"));
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        (child, lines)
    }

    fn listening(harness: &Harness, arguments: &[&str]) -> Self {
        let (child, read) = Self::start(harness, arguments);
        let (sender, lines) = channel();
        std::thread::spawn(move || read.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines }
    }

    fn next(&self) -> Value {
        serde_json::from_str(&self.lines.recv_timeout(SOON).unwrap()).unwrap()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn until_ended(child: &mut Child) -> Option<i32> {
    let deadline = Instant::now() + SOON;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        assert!(Instant::now() < deadline, "it goes on");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn a_follower_is_shown_what_is_committed_from_then_on_until_ctrl_c() {
    let harness = Harness::start();
    let approvals = [Approval::new(), Approval::new(), Approval::new()];
    harness.approve(&approvals[0]);
    let mut follower = Follower::listening(&harness, &["--kind", "approval.", "--organisation", "559000-0005"]);
    for approval in &approvals[1..] {
        harness.approve(approval);
        let entry = follower.next();
        assert_eq!(entry["kind"], "approval.accepted");
        assert_eq!(entry["subject"]["application"], approval.application());
    }
    kill_process(Pid::from_child(&follower.child), Signal::INT).unwrap();
    assert_eq!(until_ended(&mut follower.child), Some(0));
    // What was there before is shown when it is asked for, and a limit is an end.
    let began = shown(&harness, &["--follow", "--since", "1d", "--kind", "approval.", "--limit", "3"]);
    assert_eq!(began.len(), 3);
}

#[test]
fn a_follower_whose_reader_has_gone_ends_though_nothing_new_is_committed() {
    let mut harness = Harness::start();
    harness.stop();
    let (mut child, mut lines) = Follower::start(&harness, &["--from", "0"]);
    assert!(lines.next().unwrap().unwrap().contains("journal.opened"));
    assert_eq!(child.try_wait().unwrap(), None);
    drop(lines);
    assert_eq!(until_ended(&mut child), Some(0));
}
