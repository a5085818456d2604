//! The daemon under measurement: the real binary, its state, its configuration and its doors. It ends when it is
//! dropped.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rusqlite::{Connection, OpenFlags};
use rustix::process::{Pid, Signal, kill_process};

use super::place::Place;

/// The binary, as cargo built it for this run.
pub(crate) const TALLYD: &str = env!("CARGO_BIN_EXE_tallyd");

/// The name in the sender's certificate.
pub(crate) const SENDER: &str = "cases.exempel.se";

/// The name in the gateway's certificate.
pub(crate) const GATEWAY: &str = "apigw.exempel.se";

/// A start takes a tenth of a second.
const START: Duration = Duration::from_secs(30);

/// Nothing measured here takes as long.
const PATIENCE: Duration = Duration::from_secs(300);

/// Where the daemon mails to, and over how many kept sessions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mailing {
    /// A port on this machine.
    pub(crate) port: u16,
    pub(crate) sessions: usize,
}

impl Mailing {
    /// To nobody: every connection is refused, so that nothing but the door under measurement is at work.
    pub(crate) fn nowhere() -> Result<Self> {
        Ok(Self { port: free_port()?, sessions: 1 })
    }
}

/// A running daemon.
pub(crate) struct Daemon {
    process: Child,
    state: PathBuf,
    pub(crate) intake: u16,
    pub(crate) pickup: u16,
    pub(crate) gateway: u16,
    /// From the start of the process to READY=1.
    pub(crate) ready_after: Duration,
}

/// Makes a fresh state under this name.
pub(crate) fn init(place: &Place, state: &str) -> Result<()> {
    // The keys were made with the place's first state and serve all of them.
    let config = configure(place, state, &Mailing::nowhere()?, [0; 3])?;
    let made = Command::new(TALLYD).arg("--config").arg(config).arg("init").output()?;
    if !made.status.success() {
        bail!("tallyd init: {}", String::from_utf8_lossy(&made.stderr));
    }
    Ok(())
}

/// What is run as the daemon.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Program {
    /// The product.
    Product,
    /// This benchmark's own binary, in this mode.
    Own(&'static str),
}

impl Program {
    fn command(self, config: &Path) -> Result<Command> {
        let mut command = match self {
            Self::Product => Command::new(TALLYD),
            Self::Own(_) => Command::new(std::env::current_exe()?),
        };
        match self {
            Self::Product => command.arg("--config").arg(config).arg("serve"),
            Self::Own(mode) => command.arg(mode).arg(config),
        };
        Ok(command)
    }
}

impl Daemon {
    /// Starts the product on the state of this name and waits until it serves.
    pub(crate) fn start(place: &Place, state: &str, mailing: &Mailing) -> Result<Self> {
        Self::start_program(place, state, mailing, Program::Product)
    }

    /// Starts what is to be the daemon.
    pub(crate) fn start_program(place: &Place, state: &str, mailing: &Mailing, program: Program) -> Result<Self> {
        let doors = [free_port()?, free_port()?, free_port()?];
        let config = configure(place, state, mailing, doors)?;
        let notices = place.path(&format!("{state}.notify"));
        // Left over from an earlier start on the same state, or not there.
        let _ = fs::remove_file(&notices);
        let notified = UnixDatagram::bind(&notices)?;
        notified.set_read_timeout(Some(Duration::from_millis(200)))?;
        let log = place.path(&format!("{state}.log"));
        let began = Instant::now();
        let process = program
            .command(&config)?
            .env("NOTIFY_SOCKET", &notices)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()?;
        let [intake, pickup, gateway] = doors;
        let state = place.path(state);
        let mut daemon = Self { process, state, intake, pickup, gateway, ready_after: Duration::ZERO };
        let mut message = [0; 256];
        loop {
            let length = notified.recv(&mut message).unwrap_or(0);
            if message.get(..length).is_some_and(|text| text.starts_with(b"READY=1")) {
                daemon.ready_after = began.elapsed();
                return Ok(daemon);
            }
            if daemon.process.try_wait()?.is_some() || began.elapsed() > START {
                bail!("the daemon did not start: {}", fs::read_to_string(&log)?);
            }
        }
    }

    /// Resident memory, in MiB.
    pub(crate) fn resident_mib(&self) -> Result<f64> {
        self.status_mib("VmRSS:")
    }

    /// The most resident memory that there was at any time, in MiB.
    pub(crate) fn peak_mib(&self) -> Result<f64> {
        self.status_mib("VmHWM:")
    }

    fn status_mib(&self, field: &'static str) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let kib = status.lines().find_map(|line| line.strip_prefix(field)).context(field)?;
        let kib: f64 = kib.trim().trim_end_matches(" kB").parse()?;
        Ok(kib / 1024.0)
    }

    /// A look at the tables, beside the daemon.
    pub(crate) fn tables(&self) -> Result<Connection> {
        read_tables(&self.state)
    }

    /// Waits until every order that is due was mailed, and the relay's answer is on record.
    pub(crate) fn wait_until_mailed(&self) -> Result<()> {
        let tables = self.tables()?;
        // Both conditions are looked up in partial indexes, so that looking costs the daemon nothing.
        let mut open = tables.prepare(
            "SELECT EXISTS (SELECT 1 FROM client WHERE next_attempt IS NOT NULL) \
             OR EXISTS (SELECT 1 FROM credential WHERE state IN ('generated', 'mailed') AND state = 'generated')",
        )?;
        let began = Instant::now();
        while open.query_row([], |row| row.get(0))? {
            if began.elapsed() > PATIENCE {
                bail!("not everything was mailed in {PATIENCE:?}");
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Stops it as the service manager would, and waits.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.terminate()?;
        let status = self.process.wait()?;
        if !status.success() {
            bail!("the daemon ended with {status}");
        }
        Ok(())
    }

    fn terminate(&self) -> Result<()> {
        let pid = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw).context("no process id")?;
        Ok(kill_process(pid, Signal::TERM)?)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // After `stop` there is nothing left to end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The tables of a state, for reading.
pub(crate) fn read_tables(state: &Path) -> Result<Connection> {
    Ok(Connection::open_with_flags(state.join("tallyd.db"), OpenFlags::SQLITE_OPEN_READ_ONLY)?)
}

/// A port that is free now. Nobody else on the machine is expected to take it in the next moment.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn configure(place: &Place, state: &str, mailing: &Mailing, doors: [u16; 3]) -> Result<PathBuf> {
    let dir = place.path("");
    let dir = dir.display();
    let [intake, pickup, gateway] = doors;
    let Mailing { port, sessions } = mailing;
    let uid = rustix::process::geteuid().as_raw();
    let door = |port: u16, clients: &str| {
        format!(
            "listen = \"127.0.0.1:{port}\"\ncertificate = \"{dir}/server.crt\"\nkey = \"{dir}/server.key\"\n\
             client_ca = \"{dir}/{clients}-ca.crt\"\nclient_crl = \"{dir}/{clients}-ca.crl\""
        )
    };
    let (intake, gateway) = (door(intake, "systems"), door(gateway, "systems"));
    let pickup = door(pickup, "partners");
    let text = format!(
        r#"
allow_example_certificates = true
agency = {{ name = "Exempelmyndigheten", contact = "api@exempel.se", prefix = "ex" }}
state = {{ directory = "{dir}/{state}" }}
journal = {{ origin = "exempel.se/tallyd", signing_key = "{dir}/journal.key" }}
sealing = {{ key = "{dir}/sealing.key" }}
pseudonyms = {{ key = "{dir}/pseudonyms.key" }}
operator = {{ socket = "{dir}/{state}.sock", users = [{uid}] }}
policy = {{ fetches = 1000 }}

[intake]
{intake}
[[sender]]
name = "cases"
san_dns = "{SENDER}"
may = ["tallyd.application.approved.v1"]
requests_per_second = 1000000
[[pickup]]
environment = "test"
url = "https://localhost"
{pickup}
[gateway]
{gateway}
[[gateway.client]]
name = "apigw"
san_dns = "{GATEWAY}"
[mail]
host = "localhost"
port = {port}
ca = "{dir}/servers-ca.crt"
from = "api@exempel.se"
sessions = {sessions}
[[api]]
name = "population-register"
keys = ["oauth2", "apigw"]
"#
    );
    place.write(&format!("{state}.toml"), &text)
}
