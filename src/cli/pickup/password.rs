//! Where the password of a certificate's file comes from: the terminal, a file, or the first line of standard input. Never an
//! argument or an environment variable, which others on the machine may see.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::super::input;
use super::super::output::{Exit, Failure};
use super::pkcs12::Password;
use crate::platform::hidden_input::{self, NotTyped};

/// Somebody who types may mistype.
const TRIES_AT_A_TERMINAL: u32 = 3;

/// Where the password comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum PasswordFrom {
    /// It is asked for, without being shown.
    Terminal,
    /// The first line of a file.
    File(PathBuf),
    /// The first line of standard input; the e-mail follows.
    StandardInput,
}

impl PasswordFrom {
    /// What `--password-file` names.
    pub(super) fn named(text: &str) -> Result<Self, Infallible> {
        Ok(if text == "-" { Self::StandardInput } else { Self::File(PathBuf::from(text)) })
    }

    /// How often another password may be tried.
    pub(super) fn tries(&self) -> u32 {
        match self {
            Self::Terminal => TRIES_AT_A_TERMINAL,
            Self::StandardInput if io::stdin().is_terminal() => TRIES_AT_A_TERMINAL,
            Self::File(_) | Self::StandardInput => 1,
        }
    }

    /// The password of this file.
    pub(super) fn ask(&self, of: &Path) -> Result<Password, Failure> {
        let line = match self {
            Self::Terminal => hidden_input::ask(&format!("Password of {}: ", of.display())),
            Self::StandardInput if io::stdin().is_terminal() => return Self::Terminal.ask(of),
            Self::StandardInput => hidden_input::first_line(input::unbuffered()?),
            Self::File(path) => {
                let open = File::open(path).map_err(NotTyped::NoTerminal);
                open.and_then(hidden_input::first_line)
            }
        };
        line.map(Password::new).map_err(|why| self.failure(of, &why))
    }

    /// The mode of the password's file, if others can read it.
    pub(super) fn open_mode(&self) -> Option<(&Path, u32)> {
        let Self::File(path) = self else { return None };
        let found = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
        let mode = found.mode() & 0o7777;
        (mode & 0o044 != 0).then_some((path.as_path(), mode))
    }

    fn failure(&self, of: &Path, why: &NotTyped) -> Failure {
        match (self, why) {
            (Self::File(path), NotTyped::NoTerminal(cause)) => {
                Failure::new("read the password from", path.display(), cause)
                    .hint("name a file with the password on its first line, which only you can read")
                    .exit(Exit::Refused)
            }
            (Self::Terminal, NotTyped::NoTerminal(_)) => Failure::new("ask for the password of", of.display(), why)
                .hint(
                    "in a script, name a file with the password on its first line: --password-file FILE; with \
                     --password-file - it is the first line of standard input, and the e-mail follows",
                ),
            _ => Failure::new("take the password of", of.display(), why).hint("run the same command again"),
        }
    }
}
