//! One agency in a temporary directory: the real binary on loopback ports, a throw-away PKI, a relay, and the people who
//! use it. What each test does with them is not known here.
//!
//! Every secret and every part that passes through is remembered. When the harness ends it stops the daemon, verifies
//! the journal, and searches everything that the daemon wrote for what it remembers.

pub(crate) mod approval;
pub(crate) mod browser;
mod configuration;
mod daemon;
pub(crate) mod desk;
mod directory;
pub(crate) mod keys;
pub(crate) mod mailbox;
pub(crate) mod nginx;
pub(crate) mod operator;
pub(crate) mod people;
pub(crate) mod pki;
pub(crate) mod search;
pub(crate) mod stock;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tallyd::domain::ids::Environment;
use tallyd::journal::key::SigningKey;
use tokio::runtime::Runtime;

use self::approval::Approval;
pub(crate) use self::configuration::{Ports, Settings, free_port};
use self::daemon::Daemon;
use self::directory::Directory;
use self::keys::Keys;
use self::mailbox::PartOne;
use self::operator::Ran;
use self::people::{Client, Reply, Way};
use self::pki::Files;
use self::search::{Remembered, search};
use self::stock::Stocked;
use crate::sink::{Behaviour, Door, Mail, Sink};

/// The release build, which `tests/run` makes before the tests. Without it, says what is not tested.
#[expect(clippy::print_stderr, reason = "whoever runs tests alone must be able to read that")]
pub(crate) fn release_build(what: &str) -> Option<PathBuf> {
    let program = std::env::var_os("TALLYD_RELEASE").map(PathBuf::from);
    if program.is_none() {
        eprintln!("NOT RUN: {what}, because TALLYD_RELEASE names none; tests/run does");
    }
    program
}

/// How long anything that should happen soon may take on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// The agency, for as long as it is held.
pub(crate) struct Harness {
    daemon: Option<Daemon>,
    sink: Option<Sink>,
    pub(crate) ports: Ports,
    pub(crate) files: Files,
    settings: Settings,
    remembered: Arc<Mutex<Remembered>>,
    runtime: Arc<Runtime>,
    // Last, so that it is removed after everything in it has ended.
    directory: Directory,
}

impl Harness {
    /// With the usual settings and a relay that behaves well.
    pub(crate) fn start() -> Self {
        Self::start_with(|_| {})
    }

    /// With other settings.
    pub(crate) fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut harness = Self::prepare(change);
        harness.run(&["init"]).expect_exit(0);
        harness.serve();
        harness
    }

    /// Everything laid out and configured; nothing made by the daemon yet, and no daemon.
    pub(crate) fn prepare(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::default();
        change(&mut settings);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let directory = Directory::make();
        let files = Files::write(directory.path(), settings.certified_by);
        let sink = settings.relay.is_none().then(|| {
            let door = if settings.start_tls { Door::StartTls } else { Door::Implicit };
            runtime.block_on(Sink::start(Behaviour::Ok, door, files.relay_tls())).unwrap()
        });
        let harness = Self {
            daemon: None,
            sink,
            ports: Ports::find(),
            files,
            settings,
            remembered: Arc::default(),
            runtime: Arc::new(runtime),
            directory,
        };
        harness.configure();
        harness
    }

    /// Writes the configuration again, after a change of the settings.
    pub(crate) fn reconfigure(&mut self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings);
        self.configure();
    }

    fn configure(&self) {
        let relay = self.settings.relay.unwrap_or_else(|| self.sink().port());
        let text = self.settings.text(self.directory.path(), &self.ports, relay);
        std::fs::write(self.configuration(), text).unwrap();
    }

    /// Starts the daemon and waits until it is ready.
    pub(crate) fn serve(&mut self) {
        self.serve_ahead(None);
    }

    /// Stops the daemon and starts it again with a clock that is ahead of the machine's, such as `+25h`.
    pub(crate) fn serve_later(&mut self, ahead: &str) {
        self.stop();
        self.serve_ahead(Some(ahead));
    }

    fn serve_ahead(&mut self, ahead: Option<&str>) {
        let daemon = Daemon::start(self.directory.path(), &self.configuration(), ahead);
        self.daemon = Some(daemon);
        let deadline = Instant::now() + SOON;
        loop {
            if self.is_ready() {
                return;
            }
            if let Some(status) = self.daemon.as_mut().and_then(Daemon::ended) {
                panic!("the daemon ended with {status} before it was ready:\n{}", self.log());
            }
            assert!(Instant::now() < deadline, "the daemon is not ready after {SOON:?}:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether the daemon says that it serves.
    pub(crate) fn is_ready(&self) -> bool {
        self.metrics("/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200 "))
    }

    /// Puts clients with working keys into the store, and serves again.
    pub(crate) fn stock(&mut self, clients: &[Stocked]) {
        self.stop();
        let key = std::fs::read_to_string(self.path().join("keys/journal")).unwrap();
        let key = SigningKey::parse(key.trim_end()).unwrap();
        let pseudonyms = stock::pseudonyms(&self.path().join("keys/pseudonyms"));
        stock::stock(&self.path().join("state"), key, pseudonyms, clients);
        self.serve();
    }

    /// Stops the daemon as a service manager does, and expects a good end.
    pub(crate) fn stop(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            let ended = daemon.stop();
            assert!(ended.success(), "the daemon ended with {ended}:\n{}", self.log());
        }
    }

    /// Kills the daemon; nothing in it has a say.
    pub(crate) fn kill(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            daemon.kill();
        }
    }

    /// Waits until the daemon has ended by itself, and gives its exit code.
    pub(crate) fn until_ended(&mut self) -> Option<i32> {
        let deadline = Instant::now() + SOON;
        loop {
            if let Some(status) = self.daemon.as_mut().expect("the daemon runs").ended() {
                self.daemon = None;
                return status.code();
            }
            assert!(Instant::now() < deadline, "the daemon has not ended after {SOON:?}:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The daemon's process.
    pub(crate) fn pid(&self) -> u32 {
        self.daemon.as_ref().expect("the daemon runs").pid()
    }

    /// Where everything is.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The daemon's configuration file.
    pub(crate) fn configuration(&self) -> PathBuf {
        self.path().join("tallyd.toml")
    }

    /// What the daemon logged so far, over all its starts.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path().join("log")).unwrap_or_default()
    }

    /// The relay inside of the test.
    pub(crate) fn sink(&self) -> &Sink {
        self.sink.as_ref().expect("this agency has a relay of its own")
    }

    /// The case system.
    pub(crate) fn sender(&self) -> Client {
        self.client_of(self.ports.intake, Some(&self.files.sender))
    }

    /// Exempel AB's technician, in one environment.
    pub(crate) fn recipient(&self, environment: Environment) -> Client {
        let pair = match environment {
            Environment::Test => &self.files.organisation_test,
            Environment::Production => &self.files.organisation_production,
        };
        self.recipient_with(environment, pair)
    }

    /// Whoever has this certificate, at the pickup door of one environment.
    pub(crate) fn recipient_with(&self, environment: Environment, pair: &pki::Pair) -> Client {
        self.client_of(self.ports.pickup(environment), Some(pair))
    }

    /// The API gateway.
    pub(crate) fn gateway(&self) -> Client {
        self.client_of(self.ports.gateway, Some(&self.files.gateway))
    }

    /// Any client at any port.
    pub(crate) fn client_of(&self, port: u16, pair: Option<&pki::Pair>) -> Client {
        self.client_by(Way::Tls(port, self.files.client_config(pair)))
    }

    /// The operator door without the command line, as the user of the test.
    pub(crate) fn operator(&self) -> Client {
        self.client_by(Way::Socket(self.path().join("run/operator.sock")))
    }

    fn client_by(&self, way: Way) -> Client {
        Client::new(way, Arc::clone(&self.runtime), Arc::clone(&self.remembered))
    }

    /// What the metrics door answers to a `GET`, head and body, if anybody answers.
    pub(crate) fn metrics(&self, target: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.ports.metrics)).ok()?;
        stream.set_read_timeout(Some(SOON)).unwrap();
        write!(stream, "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// Runs the binary with this agency's configuration, to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        operator::run(&self.configuration(), arguments)
    }

    /// The same, with something on standard input.
    pub(crate) fn run_with_input(&self, arguments: &[&str], input: impl AsRef<[u8]>) -> Ran {
        operator::run_with_input(&self.configuration(), arguments, input.as_ref())
    }

    /// Journal entries of one kind, as `audit show` reads them from the files.
    pub(crate) fn entries(&self, kind: &str) -> Vec<Value> {
        let shown = self.run(&["audit", "show", "--json", "--kind", kind]).expect_exit(0);
        shown.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// How many entries the journal has.
    pub(crate) fn journal_size(&self) -> usize {
        self.run(&["audit", "show", "--json"]).expect_exit(0).out.lines().count()
    }

    /// The n-th mail with part 1 that the relay took for a mailbox.
    pub(crate) fn part_one(&self, mailbox: &str, nth: usize) -> PartOne {
        let found = self.until("a mail with part 1", || {
            let mails = self.sink().mails();
            mails.iter().filter(|mail| mail.to == [mailbox]).filter_map(|mail| PartOne::read(&mail.raw)).nth(nth)
        });
        self.remember(&found);
        // The relay has it before its acceptance is on record; until then the pickup door says "not yet".
        let shown = format!("{}-{}", &found.reference[..4], &found.reference[4..]);
        self.until("entry that the mail was taken", || {
            let accepted = self.entries("mail.accepted");
            accepted.iter().any(|entry| entry["subject"]["reference"] == shown.as_str()).then_some(())
        });
        found
    }

    /// The mails without any part that the relay took for a mailbox.
    pub(crate) fn notices(&self, mailbox: &str) -> Vec<Mail> {
        let mails = self.sink().mails().into_iter();
        mails.filter(|mail| mail.to == [mailbox] && PartOne::read(&mail.raw).is_none()).collect()
    }

    /// Remembers the shares of a mail that came another way.
    pub(crate) fn remember(&self, part_one: &PartOne) {
        let mut remembered = self.remembered.lock().unwrap();
        part_one.shares.values().for_each(|share| remembered.share(share));
    }

    /// Remembers a secret that was put together elsewhere.
    pub(crate) fn remember_secret(&self, secret: &str) {
        self.remembered.lock().unwrap().secret(secret);
    }

    /// Posts an approval and expects 202.
    pub(crate) fn approve(&self, approval: &Approval) -> Value {
        let reply = self.sender().post_event(&approval.event());
        assert_eq!(reply.status, 202, "{reply:?}");
        reply.json()
    }

    /// From the approval to working keys, by the ways of the people of Exempel AB.
    pub(crate) fn issue(&self, approval: &Approval) -> Keys {
        self.approve(approval);
        self.receive(approval, 0)
    }

    /// From the n-th mail with part 1 to working keys.
    pub(crate) fn receive(&self, approval: &Approval, nth: usize) -> Keys {
        let part_one = self.part_one(approval.technical(), nth);
        let (keys, receipt) = self.pick_up(&self.recipient(approval.environment()), &part_one);
        assert_eq!(receipt.status, 200, "{receipt:?}");
        keys
    }

    /// Collects, combines and confirms.
    pub(crate) fn pick_up(&self, recipient: &Client, part_one: &PartOne) -> (Keys, Reply) {
        let collected = self.until("answer but to wait", || {
            Some(recipient.collect(&part_one.reference)).filter(|reply| reply.status != 503)
        });
        assert_eq!(collected.status, 200, "{collected:?}");
        let keys = Keys::combine(part_one, &collected.json());
        keys.pairs.values().for_each(|pair| self.remember_secret(&pair.secret));
        let receipt = recipient.confirm(&part_one.reference, &keys.proofs());
        (keys, receipt)
    }

    /// Asks again and again until there is something, for as long as [`SOON`].
    pub(crate) fn until<T>(&self, what: &str, mut found: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + SOON;
        loop {
            if let Some(found) = found() {
                return found;
            }
            assert!(Instant::now() < deadline, "no {what} after {SOON:?}; the log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until every notice that is queued has gone out, so that the journal is still until somebody does something.
    pub(crate) fn until_quiet(&self) {
        self.until("quiet journal", || {
            let queued = self.entries("notice.queued");
            let of_one = |entry: &Value| {
                let to_contacts = entry["data"]["notices"].as_object().map_or(0, serde_json::Map::len);
                to_contacts + usize::from(!entry["data"]["operators"].is_null())
            };
            let done = self.entries("notice.accepted").len() + self.entries("notice.dropped").len();
            (queued.iter().map(of_one).sum::<usize>() == done).then_some(())
        });
    }

    /// Where what is remembered stands in what the daemon wrote.
    pub(crate) fn found(&self) -> Vec<String> {
        let client_side = [self.path().join("client"), self.path().join("outside")];
        search(self.path(), &client_side, &self.remembered.lock().unwrap())
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.kill();
            self.directory.keep();
            return;
        }
        self.stop();
        assert!(!self.log().contains("panicked"), "something panicked:\n{}", self.log());
        if self.settings.ends_with_a_good_journal {
            self.run(&["audit", "verify"]).expect_exit(0);
        }
        let found = self.found();
        assert!(found.is_empty(), "secrets or parts were left behind:\n{}", found.join("\n"));
    }
}
