//! A database that somebody else has a hand in: locks it, adds a trigger, puts another file in its place, damages it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::harness::Harness;
use crate::harness::approval::Approval;
use crate::harness::people::Reply;
use crate::process::Process;

fn database(harness: &Harness) -> PathBuf {
    harness.path().join("state/tallyd.db")
}

/// SQLite's own command line, which stays in the database until it is dropped.
struct Stranger {
    program: Child,
    input: ChildStdin,
    output: BufReader<std::process::ChildStdout>,
}

impl Stranger {
    fn open(harness: &Harness) -> Self {
        let mut program = Command::new("sqlite3")
            .arg("-bail")
            .arg(database(harness))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (program.stdin.take().unwrap(), BufReader::new(program.stdout.take().unwrap()));
        Self { program, input, output }
    }

    /// Runs statements, and waits until they have run.
    fn run(&mut self, statements: &str) {
        writeln!(self.input, "PRAGMA busy_timeout=5000;\n{statements}\nSELECT 'done';").unwrap();
        let mut line = String::new();
        while line.trim_end() != "done" {
            line.clear();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "sqlite3 refused {statements}");
        }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

#[track_caller]
fn later(reply: &Reply) {
    assert_eq!(reply.status, 503, "{reply:?}");
    assert!(reply.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0), "{reply:?}");
}

#[test]
fn an_entry_that_cannot_be_written_takes_its_whole_command_back_and_nobody_elses() {
    let harness = Harness::start();
    let (struck, spared) = (Approval::new(), Approval::new());
    let mut stranger = Stranger::open(&harness);
    stranger.run(&format!(
        "CREATE TRIGGER strike BEFORE INSERT ON entry WHEN NEW.application = '{}' \
         BEGIN SELECT RAISE(ABORT, 'no'); END;",
        struck.application()
    ));
    let before = harness.journal_size();
    later(&harness.sender().post_event(&struck.event()));
    assert_eq!(harness.journal_size(), before, "nothing of it is on record");
    let batch = serde_json::json!([struck.event(), spared.event()]);
    let both = harness.sender().post("/v1/events", "application/cloudevents-batch+json", batch.to_string());
    assert_eq!(both.status, 207);
    assert_eq!(both.json()[0]["refused"]["status"], 503, "{both:?}");
    assert_eq!(both.json()[1]["accepted"]["status"], "accepted", "{both:?}");
    harness.receive(&spared, 0);
    stranger.run("DROP TRIGGER strike;");
    drop(stranger);
    harness.issue(&struck);
}

#[test]
fn a_receipt_that_cannot_be_written_takes_the_confirmation_back() {
    let harness = Harness::start();
    let approval = Approval::new();
    harness.approve(&approval);
    let part_one = harness.part_one(approval.technical(), 0);
    let mut stranger = Stranger::open(&harness);
    // The last table of the transaction: everything before it went well.
    stranger.run("CREATE TRIGGER strike BEFORE UPDATE ON head BEGIN SELECT RAISE(ABORT, 'no'); END;");
    let recipient = harness.recipient(approval.environment());
    later(&recipient.collect(&part_one.reference));
    stranger.run("DROP TRIGGER strike;");
    drop(stranger);
    harness.receive(&approval, 0);
}

#[test]
fn while_another_process_holds_the_database_the_answer_is_later() {
    let harness = Harness::start();
    let approval = Approval::new();
    let mut stranger = Stranger::open(&harness);
    stranger.run("BEGIN EXCLUSIVE;");
    later(&harness.sender().post_event(&approval.event()));
    stranger.run("COMMIT;");
    harness.issue(&approval);
}

#[test]
fn a_database_that_is_replaced_or_taken_away_ends_the_daemon() {
    let mut harness = Harness::start();
    harness.issue(&Approval::new());
    harness.stop();
    let (here, aside) = (database(&harness), harness.path().join("outside/tallyd.db"));
    for replaced in [true, false] {
        let mut daemon = Process::behind(&harness, &["env"]);
        assert!(daemon.ready(&harness));
        std::fs::rename(&here, &aside).unwrap();
        if replaced {
            std::fs::copy(&aside, &here).unwrap();
        }
        assert_eq!(daemon.wait().code(), Some(1), "replaced: {replaced}");
        std::fs::rename(&aside, &here).unwrap();
    }
    assert!(harness.log().contains("was replaced by another file") && harness.log().contains("is gone"));
    harness.serve();
    harness.issue(&Approval::new());
}

#[test]
fn a_damaged_database_is_not_served() {
    let mut harness = Harness::start_with(|settings| settings.ends_with_a_good_journal = false);
    for _ in 0..3 {
        harness.issue(&Approval::new());
    }
    harness.stop();
    let path = database(&harness);
    let whole = std::fs::read(&path).unwrap();
    let pages = whole.len() as u64 / 4096;
    assert!(pages > 10);
    for page in (1..pages).step_by(3) {
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(&[0x5a; 4096], page * 4096).unwrap();
        let ran = harness.run(&["serve"]);
        assert_eq!(ran.exit, 3, "page {page}:\n{}", ran.err);
        assert!(ran.err.contains("hint: ") && ran.err.contains("backup"), "page {page}:\n{}", ran.err);
        std::fs::write(&path, &whole).unwrap();
    }
    harness.serve();
    harness.issue(&Approval::new());
}
