//! Why the daemon does not start, in the words of the operator's trade: what was tried on which object, and what to do.

use std::fmt;

use crate::config::ConfigRefused;
use crate::http::tls::TlsProblem;
use crate::journal::key::BadKey;
use crate::mail::BadSettings;
use crate::platform::clock::ClockUnset;
use crate::platform::files::FileRefused;
use crate::platform::state_directory::StateRefused;
use crate::store::handle::StartError;
use crate::store::seal::SealError;

/// A refusal to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What kind it is.
    pub kind: Kind,
    /// What was tried, without a subject.
    pub tried: String,
    /// On which object.
    pub object: String,
    /// Why it failed.
    pub cause: String,
    /// What to do.
    pub hint: String,
}

/// What kind of refusal it is; each has an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Something outside of our files failed.
    Failed,
    /// The configuration or a file is not as it must be.
    Files,
    /// The state cannot be trusted.
    Quarantine,
}

impl Refused {
    /// A refusal about the configuration or a file.
    pub fn files(tried: &str, object: impl fmt::Display, cause: impl fmt::Display, hint: impl Into<String>) -> Self {
        Self {
            kind: Kind::Files,
            tried: tried.to_owned(),
            object: object.to_string(),
            cause: cause.to_string(),
            hint: hint.into(),
        }
    }

    /// Another kind of failure.
    pub fn failed(tried: &str, object: impl fmt::Display, cause: impl fmt::Display, hint: impl Into<String>) -> Self {
        Self { kind: Kind::Failed, ..Self::files(tried, object, cause, hint) }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}: {}", self.tried, self.object, self.cause)
    }
}

impl From<ConfigRefused> for Refused {
    fn from(refused: ConfigRefused) -> Self {
        // Each of its faults brings a hint of its own.
        Self::files("use the configuration", "", &refused, "")
    }
}

impl From<FileRefused> for Refused {
    fn from(refused: FileRefused) -> Self {
        let hint = refused.hint();
        Self::files("use the file", refused.path.display(), &refused.why, hint)
    }
}

impl From<StateRefused> for Refused {
    fn from(refused: StateRefused) -> Self {
        let hint = refused.hint();
        Self::files("open the state directory", "", &refused, hint)
    }
}

impl From<StartError> for Refused {
    fn from(error: StartError) -> Self {
        let hint = error.hint();
        let kind = if error.is_quarantine() { Kind::Quarantine } else { Kind::Files };
        Self { kind, ..Self::files("open the store", "", &error, hint) }
    }
}

impl From<SealError> for Refused {
    fn from(error: SealError) -> Self {
        Self::files(
            "open the sealing epochs",
            "",
            &error,
            "restore the epoch's file if it was moved; otherwise the deliveries sealed in it need a re-issue",
        )
    }
}

impl From<TlsProblem> for Refused {
    fn from(problem: TlsProblem) -> Self {
        Self::files("set up TLS", "", &problem, "put the right PEM file in its place")
    }
}

impl From<BadSettings> for Refused {
    fn from(problem: BadSettings) -> Self {
        Self::files("set up the relay", "[mail]", &problem, "correct [mail] in the configuration")
    }
}

impl From<BadKey> for Refused {
    fn from(problem: BadKey) -> Self {
        let hint = "it is the file that tallyd init made; restore it from where you keep it";
        Self::files("read the journal's signing key", "", problem, hint)
    }
}

impl From<ClockUnset> for Refused {
    fn from(problem: ClockUnset) -> Self {
        Self::failed("trust the clock", "", problem, problem.hint())
    }
}
