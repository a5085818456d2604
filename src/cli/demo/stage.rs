//! Where the demonstration plays: a directory with a throw-away PKI, a configuration and room for state and logs; and
//! ports that nobody uses. It runs nothing.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::certs::pki::{Authority, Issued, Leaf, Pki, PkiProblem};
use super::super::output::{Exit, Failure};
use crate::domain::time::Timestamp;
use crate::platform::clock::{Clock, SystemClock};

/// A Unix socket's path has 107 bytes at most (unix(7)).
const SOCKET_PATH_MAX: usize = 107;

/// The revocation lists count for longer than anybody keeps a demonstration.
const CRL_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Everything on disk, and where everybody listens on 127.0.0.1.
#[derive(Debug)]
pub(super) struct Stage {
    dir: PathBuf,
    /// Whether the directory itself is ours to remove.
    made: bool,
    pub(super) ports: Ports,
}

/// One for each listener.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub(super) intake: u16,
    pub(super) pickup_test: u16,
    pub(super) pickup_production: u16,
    pub(super) gateway: u16,
    pub(super) metrics: u16,
    pub(super) mail: u16,
}

impl Stage {
    /// Makes all of it. What was made is removed again when a part fails.
    pub(super) fn build(dir: Option<&Path>) -> Result<Self, Failure> {
        let ports = Ports::free().map_err(|cause| Failure::new("find free ports", "", cause))?;
        let (dir, made) = directory(dir)?;
        let stage = Self { dir, made, ports };
        match stage.fill() {
            Ok(()) => Ok(stage),
            Err(failure) => {
                // The first failure is the one to tell.
                let _ = stage.remove();
                Err(failure)
            }
        }
    }

    fn fill(&self) -> Result<(), Failure> {
        if self.operator_socket().as_os_str().len() > SOCKET_PATH_MAX {
            let cause = format!("the path of a socket in it would be longer than {SOCKET_PATH_MAX} bytes");
            return Err(self.failed("use", cause).hint("name a directory with a shorter path").exit(Exit::Refused));
        }
        for name in ["tls", "keys", "run", "logs"] {
            private_directory(&self.dir.join(name)).map_err(|cause| self.failed("make a directory in", cause))?;
        }
        self.write_pki(SystemClock.now()).map_err(|problem| self.failed("write certificates to", problem))?;
        self.write("tallyd.toml", self.configuration().as_bytes(), 0o644)
            .map_err(|cause| self.failed("write the configuration to", cause))
    }

    /// The directory of it all.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// A file in it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The configuration.
    pub(super) fn config(&self) -> PathBuf {
        self.path("tallyd.toml")
    }

    /// The daemon's state.
    pub(super) fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// What the daemon says.
    pub(super) fn log(&self) -> PathBuf {
        self.path("logs/tallyd.log")
    }

    /// Where operators are heard.
    pub(super) fn operator_socket(&self) -> PathBuf {
        self.path("run/operator.sock")
    }

    /// A file of the PKI.
    pub(super) fn tls(&self, name: &str) -> PathBuf {
        self.dir.join("tls").join(name)
    }

    /// Writes a file that is not there yet.
    pub(super) fn write(&self, name: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(self.dir.join(name))?;
        file.write_all(bytes)
    }

    /// Removes everything.
    pub(super) fn remove(&self) -> Result<(), Failure> {
        let removed = if self.made { fs::remove_dir_all(&self.dir) } else { self.remove_children(None) };
        removed.map_err(|cause| self.failed("remove", cause).hint("it holds nothing but throw-away values"))
    }

    /// Removes everything but the log, and says where that is, if the daemon has said anything.
    pub(super) fn remove_all_but_log(&self) -> Option<PathBuf> {
        let log = self.log();
        if fs::metadata(&log).is_ok_and(|found| found.len() > 0) {
            // A failure is being told already.
            let _ = self.remove_children(Some("logs"));
            return Some(log);
        }
        let _ = self.remove();
        None
    }

    fn remove_children(&self, but: Option<&str>) -> io::Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            if but.is_some_and(|but| entry.file_name() == but) {
                continue;
            }
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn failed(&self, tried: &str, cause: impl std::fmt::Display) -> Failure {
        Failure::new(tried, self.dir.display(), cause)
    }

    fn write_pki(&self, now: Timestamp) -> Result<(), NotWritten> {
        let mut pki = Pki::new(now)?;
        self.authority("servers", &mut pki.servers, now)?;
        self.pair("server", &pki.servers.issue(&Leaf::server(["localhost"], now))?)?;
        self.pair("mail", &pki.servers.issue(&Leaf::server(["localhost"], now))?)?;
        self.authority("systems", &mut pki.systems, now)?;
        self.pair("case-system", &pki.systems.issue(&Leaf::system("case-system.exempel.se", now))?)?;
        self.pair("gateway", &pki.systems.issue(&Leaf::system("gateway.exempel.se", now))?)?;
        self.authority("partners-test", &mut pki.partners_test, now)?;
        self.authority("partners-production", &mut pki.partners_production, now)?;
        let own = Leaf::organisation("Exempel AB", "165590000005", now);
        self.pair("exempel", &pki.partners_test.issue(&own)?)?;
        let stranger = Leaf::organisation("Annat Exempel AB", "165590000013", now);
        self.pair("stranger", &pki.partners_test.issue(&stranger)?)
    }

    fn authority(&self, name: &str, authority: &mut Authority, now: Timestamp) -> Result<(), NotWritten> {
        self.write(&format!("tls/{name}-ca.pem"), authority.certificate().as_bytes(), 0o644)?;
        let list = authority.crl(now, now.after(CRL_LIFE))?;
        Ok(self.write(&format!("tls/{name}.crl.pem"), list.as_bytes(), 0o644)?)
    }

    fn pair(&self, name: &str, issued: &Issued) -> Result<(), NotWritten> {
        self.write(&format!("tls/{name}.pem"), issued.certificate.as_bytes(), 0o644)?;
        Ok(self.write(&format!("tls/{name}.key"), issued.key.as_bytes(), 0o600)?)
    }

    fn configuration(&self) -> String {
        let quoted = |path: PathBuf| serde_json::Value::from(path.to_string_lossy()).to_string();
        let file = |name: &str| quoted(self.path(name));
        let tls = |name: &str| quoted(self.tls(name));
        let Ports { intake, pickup_test, pickup_production, gateway, metrics, mail } = self.ports;
        let door = |port: u16, clients: &str| {
            format!(
                "listen = \"127.0.0.1:{port}\"\ncertificate = {}\nkey = {}\nclient_ca = {}\nclient_crl = {}\n",
                tls("server.pem"),
                tls("server.key"),
                tls(&format!("{clients}-ca.pem")),
                tls(&format!("{clients}.crl.pem")),
            )
        };
        [
            "# Made by tallyd demo. Example certificates are let in here and nowhere else.\n".to_owned(),
            "allow_example_certificates = true\nstop_deadline = \"5s\"\n\n".to_owned(),
            "[agency]\nname = \"Exempelmyndigheten\"\ncontact = \"api-support@exempel.se\"\nprefix = \"demo\"\n".to_owned(),
            "language = \"en\"\n\n".to_owned(),
            format!("[state]\ndirectory = {}\n\n[store]\nurl = \"sqlite:\"\n\n", quoted(self.state())),
            format!("[journal]\norigin = \"exempel.se/tallyd-demo\"\nsigning_key = {}\n\n", file("keys/journal-signing-key")),
            format!("[sealing]\nkey = {}\n\n[pseudonyms]\nkey = {}\n\n", file("keys/sealing-key"), file("keys/pseudonym-key")),
            format!("[intake]\n{}\n", door(intake, "systems")),
            "[[sender]]\nname = \"case-system\"\nsan_dns = \"case-system.exempel.se\"\n".to_owned(),
            "may = [\"tallyd.application.approved.v1\", \"tallyd.credential.reissue.v1\", \"tallyd.credential.revoke.v1\"]\n\n"
                .to_owned(),
            format!("[[pickup]]\nenvironment = \"test\"\nurl = \"https://localhost:{pickup_test}\"\n"),
            format!("{}\n", door(pickup_test, "partners-test")),
            format!("[[pickup]]\nenvironment = \"production\"\nurl = \"https://localhost:{pickup_production}\"\n"),
            format!("{}\n", door(pickup_production, "partners-production")),
            format!("[gateway]\n{}\n", door(gateway, "systems")),
            "[[gateway.client]]\nname = \"gateway\"\nsan_dns = \"gateway.exempel.se\"\n\n".to_owned(),
            format!("[operator]\nsocket = {}\n", quoted(self.operator_socket())),
            format!("users = [{}]\n\n", rustix::process::geteuid().as_raw()),
            format!("[metrics]\nlisten = \"127.0.0.1:{metrics}\"\n\n"),
            format!("[mail]\nhost = \"localhost\"\nport = {mail}\nca = {}\n", tls("servers-ca.pem")),
            "from = \"api-keys@exempel.se\"\nsessions = 1\nretry_first = \"1s\"\n\n".to_owned(),
            "[policy]\n\n[[api]]\nname = \"population-register\"\nkeys = [\"oauth2\", \"apigw\"]\n\n".to_owned(),
            "[log]\nformat = \"json\"\nlevel = \"debug\"\n".to_owned(),
        ]
        .concat()
    }
}

impl Ports {
    /// Asked of the kernel all at once, so that they differ.
    fn free() -> io::Result<Self> {
        let held = (0..6).map(|_| TcpListener::bind(("127.0.0.1", 0))).collect::<io::Result<Vec<_>>>()?;
        let ports = held.iter().map(|socket| Ok(socket.local_addr()?.port())).collect::<io::Result<Vec<_>>>()?;
        match ports[..] {
            [intake, pickup_test, pickup_production, gateway, metrics, mail] => {
                Ok(Self { intake, pickup_test, pickup_production, gateway, metrics, mail })
            }
            _ => Err(io::Error::other("too few ports")),
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum NotWritten {
    #[error(transparent)]
    Certificate(#[from] PkiProblem),
    #[error(transparent)]
    File(#[from] io::Error),
}

/// A new directory, or an empty one that is somebody's.
fn directory(wanted: Option<&Path>) -> Result<(PathBuf, bool), Failure> {
    let failed = |path: &Path, cause: &dyn std::fmt::Display| {
        Failure::new("use", path.display(), cause)
            .hint("name a directory that is empty or not there yet, and yours")
            .exit(Exit::Refused)
    };
    let path = match wanted {
        Some(path) => std::path::absolute(path).map_err(|cause| failed(path, &cause))?,
        None => {
            // Somebody else's directory of the same name is refused, not followed.
            let name = format!("tallyd-demo-{}-{}", std::process::id(), SystemClock.now().millis());
            std::env::temp_dir().join(name)
        }
    };
    match private_directory(&path) {
        Ok(()) => Ok((path, true)),
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists && wanted.is_some() => {
            let mut children = fs::read_dir(&path).map_err(|cause| failed(&path, &cause))?;
            if children.next().is_some() {
                return Err(failed(&path, &"it is not empty"));
            }
            Ok((path, false))
        }
        Err(cause) => Err(failed(&path, &cause)),
    }
}

fn private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn scratch(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("tallyd-stage-{name}-{}", std::process::id()))
    }

    #[test]
    fn the_stage_holds_a_configuration_that_loads_and_goes_without_a_trace() {
        let dir = scratch("build");
        let stage = Stage::build(Some(&dir)).unwrap();
        let config = Config::load(&stage.config()).unwrap();
        assert!(config.allow_example_certificates);
        assert_eq!(config.pickups.len(), 2);
        stage.remove().unwrap();
        assert!(!dir.exists());
    }

    #[test]
    fn a_directory_with_something_in_it_is_refused_and_left_alone() {
        let dir = scratch("occupied");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("mine"), "x").unwrap();
        let refused = Stage::build(Some(&dir)).unwrap_err();
        assert!(refused.to_string().contains("it is not empty"), "{refused}");
        assert_eq!(fs::read_to_string(dir.join("mine")).unwrap(), "x");
        fs::remove_file(dir.join("mine")).unwrap();

        // An empty one is used, and stays when the rest goes.
        let stage = Stage::build(Some(&dir)).unwrap();
        stage.remove().unwrap();
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
        fs::remove_dir(&dir).unwrap();
    }

    #[test]
    fn after_a_failure_only_the_log_is_kept() {
        let dir = scratch("log");
        let stage = Stage::build(Some(&dir)).unwrap();
        stage.write("logs/tallyd.log", b"why\n", 0o600).unwrap();
        assert_eq!(stage.remove_all_but_log(), Some(dir.join("logs/tallyd.log")));
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
        fs::remove_dir_all(&dir).unwrap();
        let silent = Stage::build(Some(&dir)).unwrap();
        assert_eq!(silent.remove_all_but_log(), None);
        assert!(!dir.exists());
    }

    #[test]
    fn a_path_too_long_for_a_socket_is_refused_before_anything_is_made() {
        let dir = scratch(&"x".repeat(100));
        let refused = Stage::build(Some(&dir)).unwrap_err();
        assert!(refused.to_string().contains("longer than 107 bytes"), "{refused}");
        assert!(!dir.exists());
    }
}
