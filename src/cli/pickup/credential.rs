//! The keys as they are kept: as lines for an environment file or as JSON, printed or in a file of their own.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use zeroize::Zeroizing;

use super::super::combine::Bundle;
use super::super::output::{Exit, Failure};
use super::door::{Collected, Delivery};
use crate::domain::ids::Label;
use crate::domain::reference::Reference;
use crate::platform::files::{self, Why};

/// How keys are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum Format {
    /// `OAUTH2_CLIENT_ID=…` and `OAUTH2_CLIENT_SECRET=…`, as shells, systemd and containers read them.
    Env,
    /// One JSON object.
    Json,
}

/// Where keys go.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Keeping {
    /// To standard output.
    Print,
    /// To a file that is not there yet, or that an earlier run of the same delivery wrote.
    File(PathBuf),
}

impl Keeping {
    /// Refuses a file that is something else already, before anything is fetched.
    pub(super) fn plan(out: Option<&Path>, reference: Reference) -> Result<Self, Failure> {
        let Some(path) = out else { return Ok(Self::Print) };
        match fs::read(path).map(Zeroizing::new) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
                if parent.is_dir() { Ok(Self::File(path.to_owned())) } else { Err(nowhere(path)) }
            }
            Ok(bytes) if beginnings(reference).iter().any(|ours| bytes.starts_with(ours.as_bytes())) => {
                Ok(Self::File(path.to_owned()))
            }
            Ok(_) | Err(_) => Err(occupied(path)),
        }
    }
}

/// The keys of one delivery.
#[derive(Serialize)]
pub(super) struct Credential<'a> {
    reference: Reference,
    application_id: &'a str,
    environment: &'a str,
    keys: BTreeMap<&'a str, Pair<'a>>,
}

#[derive(Serialize)]
struct Pair<'a> {
    client_id: &'a str,
    client_secret: &'a str,
}

impl<'a> Credential<'a> {
    pub(super) fn new(delivery: &'a Delivery, collected: &'a Collected, bundle: &'a Bundle) -> Self {
        let pair = |(label, secret): (&'a Label, &'a crate::domain::secret::ClientSecret)| {
            let part = collected.shares.iter().find(|part| part.label == *label)?;
            let pair = Pair { client_id: part.client_id.as_str(), client_secret: secret.reveal_to_recipient() };
            Some((label.as_str(), pair))
        };
        Self {
            reference: bundle.reference,
            application_id: &delivery.application_id,
            environment: &delivery.environment,
            keys: bundle.secrets.iter().filter_map(pair).collect(),
        }
    }

    /// The text; ends with a line end.
    pub(super) fn write(&self, format: Format) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(64 * 1024));
        match format {
            Format::Json => {
                // Strings under string keys always become JSON.
                text.push_str(&Zeroizing::new(serde_json::to_string(self).unwrap_or_default()));
                text.push('\n');
            }
            Format::Env => {
                let [heading, _] = beginnings(self.reference);
                text.push_str(&heading);
                for (label, pair) in &self.keys {
                    let name = variable(label);
                    for (what, value) in [("ID", pair.client_id), ("SECRET", pair.client_secret)] {
                        for piece in [&name, "_CLIENT_", what, "=", value, "\n"] {
                            text.push_str(piece);
                        }
                    }
                }
            }
        }
        text
    }
}

/// Writes a new file, mode 0600, to the disk. One that holds the very same is what an earlier run left.
pub(super) fn keep(path: &Path, text: &str) -> Result<(), Failure> {
    let Err(refused) = files::write_new(path, text.as_bytes()) else { return Ok(()) };
    match &refused.why {
        Why::System { cause, .. } if cause.kind() == io::ErrorKind::AlreadyExists => {
            let same = fs::read(path).map(Zeroizing::new).is_ok_and(|found| found.as_slice() == text.as_bytes());
            if same { Ok(()) } else { Err(occupied(path)) }
        }
        Why::System { .. }
        | Why::SymbolicLink
        | Why::NotRegular
        | Why::Owner { .. }
        | Why::Mode { .. }
        | Why::TooLong { .. }
        | Why::NoCredentialsDirectory => {
            let hint = "nothing was confirmed: name another file with --out and run the command again";
            Err(Failure::new("write the keys to", path.display(), &refused.why).hint(hint).exit(Exit::Refused))
        }
    }
}

/// What the file of a delivery begins with, as lines and as JSON: by that an earlier run's file is known.
fn beginnings(reference: Reference) -> [String; 2] {
    [format!("# tallyd delivery {reference}\n"), format!("{{\"reference\":\"{reference}\",")]
}

fn nowhere(path: &Path) -> Failure {
    Failure::new("write the keys to", path.display(), "there is no such directory")
        .hint("make the directory, or name another file with --out")
        .exit(Exit::Refused)
}

fn occupied(path: &Path) -> Failure {
    Failure::new("write the keys to", path.display(), "it exists already and holds something else")
        .hint("nothing was overwritten or confirmed: name a new file with --out")
        .exit(Exit::Refused)
}

/// A label as the beginning of a variable's name, which must not be a digit.
fn variable(label: &str) -> String {
    let name = label.to_ascii_uppercase().replace('-', "_");
    if name.starts_with(|first: char| first.is_ascii_digit()) { format!("KEY_{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let directory = std::env::temp_dir().join(format!("tallyd-keys-{name}-{}", std::process::id()));
            fs::create_dir_all(&directory).unwrap();
            Self(directory)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn credential() -> Credential<'static> {
        let pair = |client_id, client_secret| Pair { client_id, client_secret };
        let keys = [("api-gw", pair("ex-test-a", "ex_test_1")), ("2nd", pair("ex-test-b", "ex_test_2"))];
        let reference = "K7QF2M9D".parse().unwrap();
        Credential { reference, application_id: "case-1", environment: "test", keys: keys.into() }
    }

    #[test]
    fn keys_are_written_as_shells_read_them_or_as_json() {
        insta::assert_snapshot!(credential().write(Format::Env).as_str(), @r"
        # tallyd delivery K7QF-2M9D
        KEY_2ND_CLIENT_ID=ex-test-b
        KEY_2ND_CLIENT_SECRET=ex_test_2
        API_GW_CLIENT_ID=ex-test-a
        API_GW_CLIENT_SECRET=ex_test_1
        ");
        insta::assert_snapshot!(credential().write(Format::Json).as_str(), @r#"{"reference":"K7QF-2M9D","application_id":"case-1","environment":"test","keys":{"2nd":{"client_id":"ex-test-b","client_secret":"ex_test_2"},"api-gw":{"client_id":"ex-test-a","client_secret":"ex_test_1"}}}"#);
    }

    #[test]
    fn a_file_is_new_and_private_and_a_second_run_finds_its_own() {
        let scratch = Scratch::new("own");
        for (name, format) in [("env", Format::Env), ("json", Format::Json)] {
            let path = scratch.0.join(name);
            let reference = credential().reference;
            assert_eq!(Keeping::plan(Some(&path), reference).unwrap(), Keeping::File(path.clone()));
            let text = credential().write(format);
            keep(&path, &text).unwrap();
            assert_eq!(std::os::unix::fs::MetadataExt::mode(&fs::metadata(&path).unwrap()) & 0o7777, 0o600);
            assert_eq!(Keeping::plan(Some(&path), reference).unwrap(), Keeping::File(path.clone()));
            keep(&path, &text).unwrap();
            assert!(keep(&path, "other").is_err());
            assert_eq!(fs::read_to_string(&path).unwrap(), text.as_str());
            assert!(Keeping::plan(Some(&path), "00000000".parse().unwrap()).is_err(), "another delivery's file");
        }
    }

    #[test]
    fn nothing_is_overwritten_and_a_missing_directory_is_told_beforehand() {
        let scratch = Scratch::new("other");
        let reference = credential().reference;
        let mail = scratch.0.join("mail");
        fs::write(&mail, "Subject: delivery K7QF-2M9D").unwrap();
        for (path, why) in [
            (mail.clone(), "holds something else"),
            (scratch.0.clone(), "holds something else"),
            (scratch.0.join("no/such/file"), "no such directory"),
        ] {
            let refused = Keeping::plan(Some(&path), reference).unwrap_err().to_string();
            assert!(refused.contains(why), "{refused}");
        }
        assert_eq!(fs::read_to_string(&mail).unwrap(), "Subject: delivery K7QF-2M9D");
        assert_eq!(Keeping::plan(None, reference).unwrap(), Keeping::Print);
    }
}
