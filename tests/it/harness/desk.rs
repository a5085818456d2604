//! A recipient's own machine: a directory with a certificate and its key, a shell, the agency's authority as trusted, and
//! `tallyd` in the path.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Harness;
use super::daemon::BINARY;
use super::operator::{Ran, finish};
use super::pki::Pair;

/// The machine.
pub(crate) struct Desk<'a> {
    harness: &'a Harness,
    pub(crate) directory: PathBuf,
}

impl<'a> Desk<'a> {
    /// With this certificate as `organisation.pem` and its key as `organisation.key`.
    pub(crate) fn with(harness: &'a Harness, pair: &Pair) -> Self {
        let directory = harness.path().join("client").join("desk");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::copy(&pair.certificate, directory.join("organisation.pem")).unwrap();
        std::fs::copy(&pair.key, directory.join("organisation.key")).unwrap();
        Self { harness, directory }
    }

    /// Types commands, and pastes.
    pub(crate) fn shell(&self, script: &str, variables: &[(&str, &str)], pasted: &str) -> Ran {
        let paste = self.directory.join("pasted");
        std::fs::write(&paste, pasted).unwrap();
        let programs = Path::new(BINARY).parent().unwrap().display();
        let mut command = Command::new("bash");
        command.args(["-c", &format!("({script}\n) <'{}'", paste.display())]).current_dir(&self.directory);
        command.env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap()));
        command.env("CURL_CA_BUNDLE", self.harness.files.server_ca()).envs(variables.iter().copied());
        finish(command)
    }

    /// Types a command of `tallyd` that connects; it is told whose server certificates to trust, because the system's list
    /// has no throw-away authorities.
    pub(crate) fn tallyd(&self, command: &str, variables: &[(&str, &str)], pasted: &str) -> Ran {
        let trusted = self.harness.files.server_ca();
        self.shell(&format!("{command} --ca '{}'", trusted.display()), variables, pasted)
    }
}
