//! What is wrong with a configuration, in words that lead to the place and the remedy.

use std::fmt;
use std::path::{Path, PathBuf};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The line in the file, from 1; none when it concerns the file as a whole.
    pub line: Option<usize>,
    /// The dotted key, such as `mail.sessions` or `sender[2].may`; empty when it concerns the file as a whole.
    pub key: String,
    /// What is wrong. Never repeats the value.
    pub reason: String,
    /// What to write instead.
    pub hint: String,
}

/// A configuration file that is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigRefused {
    /// Which file.
    pub file: PathBuf,
    /// Everything that is wrong, in the order of the file; not empty.
    pub faults: Vec<Fault>,
}

impl ConfigRefused {
    pub(super) fn whole_file(file: &Path, reason: String, hint: String) -> Self {
        let fault = Fault { line: None, key: String::new(), reason, hint };
        Self { file: file.to_owned(), faults: vec![fault] }
    }
}

impl fmt::Display for ConfigRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, fault) in self.faults.iter().enumerate() {
            let separator = if place == 0 { "" } else { "\n" };
            write!(f, "{separator}{}", self.file.display())?;
            if let Some(line) = fault.line {
                write!(f, ":{line}")?;
            }
            if !fault.key.is_empty() {
                write!(f, ": {}", fault.key)?;
            }
            write!(f, ": {}\n  hint: {}", fault.reason, fault.hint)?;
        }
        Ok(())
    }
}
