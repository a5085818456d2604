//! The witness as a process: what it answers, what it remembers, and that no moment to kill it makes it sign a fork.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use http::Method;
use signed_note::{Note, VerifierList};
use tallyd::journal::checkpoint::Checkpoint;
use tallyd::journal::cosignature::cosignatures;
use tallyd::journal::key::{SigningKey, WitnessKey};
use tallyd::journal::proof::{consistency_runs, run_hash};
use tallyd::journal::tree::{Frontier, LeafHash};
use tallyd::journal::witnessing::Submission;

use crate::harness::operator::{BINARY, finish};
use crate::harness::people::{Client, Reply};
use crate::harness::{Harness, SOON, free_port};

/// A witness beside a harness, whose certificates it has. Killed when dropped.
pub(crate) struct WitnessProcess {
    pub(crate) port: u16,
    pub(crate) key: WitnessKey,
    directory: PathBuf,
    child: Option<Child>,
    logs: Vec<String>,
}

impl WitnessProcess {
    /// Makes one for these logs; it does not run yet.
    pub(crate) fn prepare(harness: &Harness, logs: &[String]) -> Self {
        let directory = harness.path().join("outside/witness");
        fs::create_dir_all(harness.path().join("outside")).unwrap();
        let mut init = Command::new(BINARY);
        init.args(["witness", "init", "--name", "witness.exempel.se", "--directory"]).arg(&directory).env_clear();
        let made = finish(init).expect_exit(0).out;
        Self { port: free_port(), key: made.trim().parse().unwrap(), directory, child: None, logs: logs.to_vec() }
    }

    fn command(&self, harness: &Harness, before: &[String]) -> Command {
        let mut words: Vec<&str> = before.iter().map(String::as_str).collect();
        words.push(BINARY);
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args(["witness", "serve", "--directory"]).arg(&self.directory);
        command.args(["--listen", &format!("127.0.0.1:{}", self.port)]);
        command.arg("--certificate").arg(harness.path().join("tls/server.pem"));
        command.arg("--key").arg(harness.path().join("keys/server"));
        command.args(self.logs.iter().flat_map(|log| ["--log", log]));
        command.env_clear().env("PATH", "/usr/bin:/bin");
        command
    }

    /// Starts it and waits until it can be reached.
    pub(crate) fn serve(&mut self, harness: &Harness) {
        self.serve_behind(harness, &[]);
    }

    fn serve_behind(&mut self, harness: &Harness, before: &[String]) {
        let log = fs::OpenOptions::new().create(true).append(true).open(harness.path().join("outside/witness.log"));
        let mut command = self.command(harness, before);
        self.child = Some(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log.unwrap()).spawn().unwrap());
        let deadline = Instant::now() + SOON;
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < deadline, "the witness does not answer");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub(crate) fn forget(&self, origin: &str) {
        let mut command = Command::new(BINARY);
        command.args(["witness", "forget", origin, "--reason", "Their disk was lost", "--directory"]);
        command.arg(&self.directory).env_clear();
        finish(command).expect_exit(0);
    }
}

impl Drop for WitnessProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

fn log_key(seed: u8) -> SigningKey {
    SigningKey::from_seed("exempel.se/tallyd".parse().unwrap(), &[seed; 32]).unwrap()
}

fn leaf(branch: u64, number: u64) -> LeafHash {
    let branch = if number < 3 { 0 } else { branch };
    LeafHash::of(&[branch.to_be_bytes(), number.to_be_bytes()].concat())
}

fn submission(branch: u64, old: u64, size: u64) -> Submission {
    let runs = consistency_runs(old, size).filter(|_| old < size).unwrap_or_default();
    let proof = runs.into_iter().map(|run| run_hash(run.map(|number| leaf(branch, number)))).collect();
    let tree: Frontier = (0..size).map(|number| leaf(branch, number)).collect();
    Submission { old, proof, note: Checkpoint::sign(&tree, &log_key(1)) }
}

fn submit(client: &Client, submission: &Submission) -> Reply {
    client.post("/add-checkpoint", "text/plain", submission.to_body())
}

/// The verification of a cosignature as another implementation of signed notes calls it: our bytes, its parsing.
struct Cosignatures {
    name: String,
    id: u32,
    public: Vec<u8>,
}

impl Cosignatures {
    fn of(key: &WitnessKey) -> Self {
        let text = key.to_string();
        let [name, id, public] = text.splitn(3, '+').collect::<Vec<_>>()[..] else { panic!("{text}") };
        let public = BASE64.decode(public.as_bytes()).unwrap()[1..].to_vec();
        Self { name: name.to_owned(), id: u32::from_str_radix(id, 16).unwrap(), public }
    }
}

impl signed_note::Verifier for Cosignatures {
    fn name(&self) -> &str {
        &self.name
    }

    fn key_id(&self) -> u32 {
        self.id
    }

    fn verify(&self, msg: &[u8], sig: &[u8]) -> bool {
        let (time, sig) = sig.split_at(8);
        let time = u64::from_be_bytes(time.try_into().unwrap());
        let signed = [format!("cosignature/v1\ntime {time}\n").as_bytes(), msg].concat();
        let public = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, &self.public);
        public.verify(&signed, sig).is_ok()
    }
}

#[test]
fn a_witness_answers_as_the_specification_says() {
    let harness = Harness::prepare(|settings| settings.ends_with_a_good_journal = false);
    let mut witness = WitnessProcess::prepare(&harness, &[log_key(1).verifying_key().to_string()]);
    witness.serve(&harness);
    let client = harness.client_of(witness.port, None);
    let first = submission(0, 0, 6);
    let reply = submit(&client, &first);
    assert_eq!(reply.status, 200, "{reply:?}");
    let lines = reply.text();
    assert!(lines.starts_with("\u{2014} witness.exempel.se ") && lines.ends_with('\n'), "{lines}");
    assert_eq!(cosignatures(&first.note, &lines, &witness.key).unwrap().len(), 1);
    // Another implementation of signed notes takes it as a signature of this note, beside the log's own.
    let cosigned = format!("{}{lines}", first.note);
    let note = Note::from_bytes(cosigned.as_bytes()).unwrap();
    let theirs = VerifierList::new(vec![Box::new(Cosignatures::of(&witness.key))]);
    let (known, unknown) = note.verify(&theirs).unwrap();
    assert_eq!((known.len(), unknown.len()), (1, 1));

    let size_is = |reply: &Reply, size: &str| {
        assert_eq!((reply.status, reply.text().as_str()), (409, size), "{reply:?}");
        assert_eq!(reply.header("content-type"), "text/x.tlog.size");
    };
    size_is(&submit(&client, &submission(0, 0, 9)), "6\n");
    size_is(&submit(&client, &submission(0, 3, 5)), "6\n");
    size_is(&submit(&client, &submission(1, 6, 6)), "6\n");
    assert_eq!(submit(&client, &submission(0, 6, 6)).status, 200, "the same again");
    assert_eq!(submit(&client, &submission(1, 6, 9)).code(), "proof-fails");
    assert_eq!(submit(&client, &submission(1, 6, 9)).status, 422);
    assert_eq!(submit(&client, &submission(0, 6, 9)).status, 200);
    let with = |note: String| submit(&client, &Submission { note, ..submission(0, 9, 12) });
    let good = submission(0, 9, 12).note;
    assert_eq!(with(good.replacen("exempel.se/tallyd", "other.se/log", 1)).status, 404);
    let tree: Frontier = (0..12).map(|number| leaf(0, number)).collect();
    assert_eq!(with(Checkpoint::sign(&tree, &log_key(2))).status, 403);
    assert_eq!(with(good.replace("\n12\n", "\n13\n")).status, 403);
    assert_eq!(submit(&client, &Submission { old: 13, ..submission(0, 9, 12) }).status, 400);
    for bad in ["", "old 9", "old 09\n\n", "old 9\nxx\n\nexempel.se/tallyd\n"] {
        assert_eq!(client.post("/add-checkpoint", "text/plain", bad).status, 400, "{bad}");
    }
    assert_eq!(client.post("/add-checkpoint", "text/plain", "a".repeat(100_000)).status, 413);
    assert_eq!(client.get("/add-checkpoint").status, 405);
    assert_eq!(client.request(Method::POST, "/", &[], None).status, 404);
    // It remembers over a restart, and only one process can be this witness.
    let second = finish(witness.command(&harness, &[]));
    assert!(second.exit == 3 && second.err.contains("is in use by"), "{second:?}");
    witness.kill();
    witness.serve(&harness);
    size_is(&submit(&client, &submission(1, 0, 20)), "9\n");
    assert_eq!(submit(&client, &submission(0, 9, 20)).status, 200);
    witness.kill();
    // What its operator has it forget may go on from another state; a log that it never knew cannot be forgotten.
    witness.forget("exempel.se/tallyd");
    witness.serve(&harness);
    assert_eq!(submit(&client, &submission(1, 0, 5)).status, 200);
    witness.kill();
    // What it remembers is not begun anew.
    fs::write(witness.directory.join("cosigned.json"), "{}").unwrap();
    let refused = finish(witness.command(&harness, &[])).expect_exit(4).err;
    assert!(refused.contains("may cosign two histories"), "{refused}");
}

#[test]
fn killed_at_any_moment_a_witness_never_cosigns_a_fork() {
    let harness = Harness::prepare(|settings| settings.ends_with_a_good_journal = false);
    let log = [log_key(1).verifying_key().to_string()];
    let mut witness = WitnessProcess::prepare(&harness, &log);
    let client = harness.client_of(witness.port, None);
    let aside = harness.path().join("outside/empty-witness");
    let copy = |from: &Path, to: &Path| {
        let _ = fs::remove_dir_all(to);
        assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
    };
    copy(&witness.directory, &aside);
    let (one, other) = (submission(0, 0, 6), submission(1, 0, 6));
    let (mut answered, mut silent_and_remembered, mut forgotten) = (0, 0, 0);
    for call in ["openat", "write", "fsync", "linkat", "rename", "unlink", "sendto"] {
        for place in 1..=3 {
            copy(&aside, &witness.directory);
            let mut strace: Vec<String> =
                ["strace", "-D", "-f", "-qq", "-o", "/dev/null"].iter().map(|&word| word.to_owned()).collect();
            // What is sent goes through no file; all else is about these.
            for name in ["cosigned.json", "cosigned.json.new", ""].iter().filter(|_| call != "sendto") {
                strace.extend(["-P".to_owned(), witness.directory.join(name).display().to_string()]);
            }
            let inject = format!("inject={call}:signal=KILL:when={place}");
            strace.extend(["-e".to_owned(), format!("trace={call}"), "-e".to_owned(), inject]);
            // Some are met by the start already.
            let began = fs::OpenOptions::new().append(true).create(true).open(harness.path().join("outside/log"));
            let mut command = witness.command(&harness, &strace);
            let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(began.unwrap()).spawn().unwrap();
            witness.child = Some(child);
            let deadline = Instant::now() + SOON;
            let up = loop {
                if std::net::TcpStream::connect(("127.0.0.1", witness.port)).is_ok() {
                    break true;
                }
                if witness.child.as_mut().unwrap().try_wait().unwrap().is_some() {
                    break false;
                }
                assert!(Instant::now() < deadline, "neither up nor dead: {call} {place}");
                std::thread::sleep(Duration::from_millis(5));
            };
            let question =
                tallyd::http::client::Question::post("/add-checkpoint", "text/plain", one.to_body().into_bytes());
            let cosigned = up && client.try_ask(question).is_ok_and(|reply| reply.status == 200);
            witness.kill();
            witness.serve(&harness);
            let fork = submit(&client, &other).status;
            match (cosigned, fork) {
                (true, 409) => answered += 1,
                (true, _) => panic!("killed at {call} {place}, it cosigned two histories"),
                (false, 409) => silent_and_remembered += 1,
                (false, 200) => {
                    forgotten += 1;
                    assert_eq!(submit(&client, &one).status, 409, "{call} {place}");
                }
                (false, status) => panic!("{call} {place}: {status}"),
            }
            witness.kill();
        }
    }
    // Each kind of moment was met, or the test shows nothing.
    assert!(
        answered > 0 && silent_and_remembered > 0 && forgotten > 0,
        "{answered} {silent_and_remembered} {forgotten}"
    );
}
