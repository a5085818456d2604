//! A campaign that is stopped in the middle, on either side, goes on where it was: no client twice, and nobody left out.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{agency, campaign, lines, once_each, ordered_by_campaigns, with};
use crate::harness::approval::Approval;
use crate::harness::operator::{BINARY, Ran};
use crate::harness::{Harness, SOON};
use crate::sink::Behaviour;

/// The command line while it works; killed at the latest when this is dropped.
struct Working {
    program: Child,
    out: BufReader<ChildStdout>,
    told: String,
}

impl Working {
    fn start(harness: &Harness, arguments: &[&str]) -> Self {
        let mut command = Command::new(BINARY);
        command.args(arguments).arg("--config").arg(harness.configuration()).env_clear();
        let streams = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut program = streams.spawn().unwrap();
        let out = BufReader::new(program.stdout.take().unwrap());
        Self { program, out, told: String::new() }
    }

    /// Waits until it has told of so many clients.
    fn until_clients(&mut self, count: usize) {
        let mut seen = 0;
        while seen < count {
            let mut line = String::new();
            assert!(self.out.read_line(&mut line).unwrap() > 0, "it ended after {seen} clients:\n{}", self.told);
            seen += usize::from(line.starts_with("{\"client\""));
            self.told.push_str(&line);
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.program), signal).unwrap();
    }

    /// Waits for its end. What it tells is read meanwhile, so that it is never held up.
    fn ended(mut self) -> Ran {
        let began = Instant::now();
        let mut out = std::mem::take(&mut self.told);
        self.out.read_to_string(&mut out).unwrap();
        let mut err = String::new();
        self.program.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        let exit = self.program.wait().unwrap().code().unwrap_or(-1);
        assert!(began.elapsed() < SOON);
        Ran { exit, out, err }
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

const BEGIN: &[&str] = &["reissue", "--all", "--reason", "Yearly", "--yes", "--json", "--at-a-time", "1"];

#[test]
fn after_ctrl_c_it_goes_on_and_no_client_is_reissued_twice() {
    let (mut harness, clients) = agency(150, |_| {});
    let mut working = Working::start(&harness, BEGIN);
    working.until_clients(20);
    working.signal(Signal::INT);
    let stopped = working.ended();
    assert_eq!(stopped.exit, 1, "{stopped:?}");
    let unfinished = campaign(&harness);
    let (id, ordered) = (unfinished["campaign_id"].as_str().unwrap(), unfinished["ordered"].as_u64().unwrap());
    assert!((20..150).contains(&ordered), "{ordered}");
    let cause = format!("cannot finish the campaign {id}: it was interrupted; {ordered} clients are re-issued so far");
    assert!(stopped.err.contains(&cause), "{}", stopped.err);
    assert!(
        stopped.err.ends_with(&format!("hint: go on with tallyd reissue --all --resume {id}\n")),
        "{}",
        stopped.err
    );
    assert_eq!(ordered_by_campaigns(&harness).len() as u64, ordered, "nothing is half done");

    // Whoever comes now is not one of those that it was opened for.
    let late = Approval::new();
    harness.issue(&late);
    let listed = harness.run(&["campaigns"]).expect_exit(0);
    assert!(listed.out.contains(&format!(" {ordered} of 150 ")), "{}", listed.out);
    // It goes on after any time, also after a restart.
    harness.stop();
    harness.serve();
    let resumed = harness.run(&["reissue", "--all", "--resume", id, "--json"]).expect_exit(0);
    let done = lines(&resumed, "client");
    assert_eq!(with(&done, "ordered").len() as u64, 150 - ordered);
    assert!(done.iter().all(|client| client["application_id"] != late.application()));
    let [summary] = &lines(&resumed, "summary")[..] else { panic!("one summary: {}", resumed.out) };
    assert_eq!((&summary["campaign"]["ordered"], &summary["campaign"]["state"]), (&json!(150), &json!("completed")));
    let expected: usize = ordered_by_campaigns(&harness).values().sum();
    assert_eq!(expected, 150);
    harness.until("mails", || (harness.entries("mail.accepted").len() == 2 * clients.len() + 1).then_some(()));
}

#[test]
fn after_the_daemon_was_killed_it_goes_on_and_no_client_is_reissued_twice() {
    let (mut harness, clients) = agency(120, |_| {});
    // The relay is out, so that no version is under way when the daemon dies: a crash would make another one.
    harness.sink().behave(Behaviour::Banner421);
    let mut working = Working::start(&harness, BEGIN);
    working.until_clients(15);
    harness.kill();
    let stopped = working.ended();
    assert_eq!(stopped.exit, 1, "{stopped:?}");
    let id = lines(&stopped, "campaign")[0]["campaign_id"].as_str().unwrap().to_owned();
    assert!(stopped.err.contains(&format!("go on with tallyd reissue --all --resume {id}\n")), "{}", stopped.err);
    harness.sink().behave(Behaviour::Ok);
    harness.serve();
    let so_far = ordered_by_campaigns(&harness).len();
    assert!((15..120).contains(&so_far), "{so_far}");
    harness.run(&["reissue", "--all", "--resume", &id]).expect_exit(0);
    once_each(&harness, &clients);
}

#[test]
fn two_who_drive_the_same_campaign_at_once_do_it_once() {
    let (harness, clients) = agency(100, |_| {});
    let order = json!({ "reason": "Yearly" }).to_string();
    let opened = harness.operator().post("/v1/reissues/all", "application/json", order).json();
    let id = opened["campaign_id"].as_str().unwrap();
    let resume = ["reissue", "--all", "--resume", id, "--json", "--at-a-time", "3"];
    let both = [Working::start(&harness, &resume), Working::start(&harness, &resume)];
    let ran = both.map(Working::ended);
    let shares: Vec<_> = ran.iter().map(|ran| with(&lines(ran, "client"), "ordered")).collect();
    for ran in &ran {
        assert_eq!(ran.exit, 0, "{ran:?}");
        let [summary] = &lines(ran, "summary")[..] else { panic!("one summary: {}", ran.out) };
        assert_eq!(summary["campaign"]["state"], "completed");
    }
    assert!(shares[0].is_disjoint(&shares[1]) && !shares[0].is_empty() && !shares[1].is_empty(), "{shares:?}");
    assert_eq!(shares[0].len() + shares[1].len(), 100);
    assert_eq!(harness.entries("campaign.closed").len(), 1);
    once_each(&harness, &clients);
}

#[test]
fn a_client_that_cannot_be_recorded_is_told_and_the_others_are_done() {
    let (harness, clients) = agency(30, |_| {});
    let database = harness.path().join("state/tallyd.db");
    let run = |statements: &str| {
        let mut command = Command::new("sqlite3");
        command.arg("-bail").arg(&database).arg(format!("PRAGMA busy_timeout=5000; {statements}"));
        crate::harness::operator::finish(command).expect_exit(0);
    };
    run(&format!(
        "CREATE TRIGGER sabotage BEFORE INSERT ON entry WHEN NEW.application = '{}' \
         BEGIN SELECT RAISE(ABORT, 'sabotage'); END",
        clients[7].application
    ));
    let ran = harness.run(&["reissue", "--all", "--reason", "Yearly", "--yes"]).expect_exit(1);
    let row = ran.out.lines().find(|line| line.starts_with(" refused")).unwrap();
    assert!(row.contains(" write-refused  1        A-2026-00007"), "{}", ran.out);
    assert!(ran.err.contains("cannot re-issue 1 clients") && ran.err.contains("--resume"), "{}", ran.err);
    let unfinished = campaign(&harness);
    assert_eq!((&unfinished["state"], &unfinished["ordered"]), (&json!("open"), &json!(29)));
    run("DROP TRIGGER sabotage");
    let id = unfinished["campaign_id"].as_str().unwrap();
    let resumed = harness.run(&["reissue", "--all", "--resume", id, "--json"]).expect_exit(0);
    let reached: Vec<Value> = lines(&resumed, "client");
    assert_eq!(with(&reached, "ordered").into_iter().collect::<Vec<_>>(), [clients[7].application.clone()]);
    once_each(&harness, &clients);
}
