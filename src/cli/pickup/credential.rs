//! The keys as they are kept: as lines for an environment file or as JSON, printed or in a file of their own.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::super::combine::Bundle;
use super::super::output::{Exit, Failure};
use super::door::{Collected, Delivery};
use crate::domain::ids::Label;
use crate::domain::reference::Reference;
use crate::domain::secret::ClientSecret;
use crate::platform::files::{self, Why};

/// More than all pairs of a delivery take in either form.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// How keys are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum Format {
    /// `OAUTH2_CLIENT_ID=…` and `OAUTH2_CLIENT_SECRET=…`, as shells, systemd and containers read them.
    Env,
    /// One JSON object.
    Json,
}

/// Where keys go.
#[derive(Debug)]
pub(super) enum Keeping {
    /// To standard output.
    Print,
    /// To a file that is not there yet.
    New(PathBuf),
    /// They are in a file already: an earlier run of the same delivery wrote it.
    Kept(PathBuf, Bundle),
}

impl Keeping {
    /// Refuses a file that is something else already, before anything is fetched.
    pub(super) fn plan(out: Option<&Path>, delivery: &Delivery) -> Result<Self, Failure> {
        let Some(path) = out else { return Ok(Self::Print) };
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
                return if parent.is_dir() { Ok(Self::New(path.to_owned())) } else { Err(nowhere(path)) };
            }
            Err(_) => return Err(occupied(path)),
            Ok(file) => file,
        };
        // Larger than any file of ours is not ours; it is not read further than it takes to see that.
        let mut bytes = Zeroizing::new(Vec::with_capacity(TEXT_BYTES_MAX + 1));
        file.take(TEXT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(|_| occupied(path))?;
        let ours = beginnings(delivery.reference).iter().any(|ours| bytes.starts_with(ours.as_bytes()));
        if !ours || bytes.len() > TEXT_BYTES_MAX {
            return Err(occupied(path));
        }
        match kept(&bytes, delivery) {
            Some(bundle) => Ok(Self::Kept(path.to_owned(), bundle)),
            None => Err(incomplete(path, delivery.reference)),
        }
    }
}

/// The secrets in a file that an earlier run wrote; `None` if one of the delivery's pairs is not there, whole.
fn kept(bytes: &[u8], delivery: &Delivery) -> Option<Bundle> {
    let text = std::str::from_utf8(bytes).ok()?;
    let json = serde_json::from_str::<Read<'_>>(text).ok();
    let value = |label: &Label| match &json {
        Some(read) => read.keys.get(label.as_str()).map(|pair| pair.client_secret),
        None => {
            let name = format!("{}_CLIENT_SECRET=", variable(label.as_str()));
            text.lines().find_map(|line| line.strip_prefix(&name))
        }
    };
    let secret = |label: Label| {
        let secret = ClientSecret::parse(value(&label)?.as_bytes()).ok()?;
        Some((label, secret))
    };
    let secrets = delivery.labels().into_iter().map(secret).collect::<Option<_>>()?;
    Some(Bundle { reference: delivery.reference, secrets })
}

/// What is read of a file of JSON. The values stand there without escapes.
#[derive(Deserialize)]
struct Read<'a> {
    #[serde(borrow)]
    keys: BTreeMap<&'a str, ReadPair<'a>>,
}

#[derive(Deserialize)]
struct ReadPair<'a> {
    client_secret: &'a str,
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
        let pair = |(label, secret): (&'a Label, &'a ClientSecret)| {
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
        let mut text = Zeroizing::new(String::with_capacity(TEXT_BYTES_MAX));
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

fn incomplete(path: &Path, reference: Reference) -> Failure {
    let cause = format!("it is of delivery {reference}, but not all keys are in it, whole: it was changed");
    Failure::new("use the keys in", path.display(), cause)
        .hint("move the file away, then run the same command again with the e-mail")
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

    const SECRETS: [&str; 2] = [
        "ex_prod_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg4Qp0pN",
        "ex_test_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg0fYBzP",
    ];

    fn credential() -> Credential<'static> {
        let pair = |client_id, client_secret| Pair { client_id, client_secret };
        let keys = [("api-gw", pair("ex-test-a", SECRETS[0])), ("2nd", pair("ex-test-b", SECRETS[1]))];
        let reference = "K7QF2M9D".parse().unwrap();
        Credential { reference, application_id: "case-1", environment: "test", keys: keys.into() }
    }

    fn delivery(reference: &str) -> Delivery {
        let client_id = "ex-test-abcdefghijklmnopqrst";
        serde_json::from_value(serde_json::json!({
            "reference": reference, "application_id": "case-1", "software": "x", "environment": "test", "apis": ["a"],
            "keys": [{ "label": "api-gw", "client_id": client_id }, { "label": "2nd", "client_id": client_id }],
            "state": "mailed", "window_ends": "2026-12-07T08:00:00.000Z", "earlier_fetches": [],
        }))
        .unwrap()
    }

    #[test]
    fn keys_are_written_as_shells_read_them_or_as_json() {
        insta::assert_snapshot!(credential().write(Format::Env).as_str(), @r"
        # tallyd delivery K7QF-2M9D
        KEY_2ND_CLIENT_ID=ex-test-b
        KEY_2ND_CLIENT_SECRET=ex_test_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg0fYBzP
        API_GW_CLIENT_ID=ex-test-a
        API_GW_CLIENT_SECRET=ex_prod_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg4Qp0pN
        ");
        insta::assert_snapshot!(credential().write(Format::Json).as_str(), @r#"{"reference":"K7QF-2M9D","application_id":"case-1","environment":"test","keys":{"2nd":{"client_id":"ex-test-b","client_secret":"ex_test_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg0fYBzP"},"api-gw":{"client_id":"ex-test-a","client_secret":"ex_prod_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg4Qp0pN"}}}"#);
    }

    #[test]
    fn a_file_is_new_and_private_and_a_second_run_reads_its_own() {
        let scratch = Scratch::new("own");
        let delivery = delivery("K7QF-2M9D");
        for (name, format) in [("env", Format::Env), ("json", Format::Json)] {
            let path = scratch.0.join(name);
            assert!(matches!(Keeping::plan(Some(&path), &delivery), Ok(Keeping::New(_))));
            let text = credential().write(format);
            keep(&path, &text).unwrap();
            assert_eq!(std::os::unix::fs::MetadataExt::mode(&fs::metadata(&path).unwrap()) & 0o7777, 0o600);
            let Ok(Keeping::Kept(_, bundle)) = Keeping::plan(Some(&path), &delivery) else { panic!("{name}") };
            let read: Vec<_> = bundle.secrets.iter().map(|(l, s)| (l.as_str(), s.reveal_to_recipient())).collect();
            assert_eq!(read, [("2nd", SECRETS[1]), ("api-gw", SECRETS[0])]);
            keep(&path, &text).unwrap();
            assert!(keep(&path, "other").is_err());
            assert_eq!(fs::read_to_string(&path).unwrap(), text.as_str());
            assert!(Keeping::plan(Some(&path), &self::delivery("0000-0000")).is_err(), "another delivery's file");
        }
    }

    #[test]
    fn a_file_of_the_same_delivery_that_was_changed_is_not_used_and_not_overwritten() {
        let scratch = Scratch::new("changed");
        for (name, format) in [("env", Format::Env), ("json", Format::Json)] {
            let path = scratch.0.join(name);
            let whole = credential().write(format);
            for text in [&whole[..whole.len() - 20], &whole.replace("Qp0pN", "Qp0pM"), &whole.replace("API_GW", "X")] {
                if text == whole.as_str() {
                    continue;
                }
                fs::write(&path, text).unwrap();
                let refused = Keeping::plan(Some(&path), &delivery("K7QF-2M9D")).unwrap_err().to_string();
                assert!(
                    refused.contains("not all keys are in it") && refused.contains("move the file away"),
                    "{refused}"
                );
                assert!(!refused.contains("0123456789"), "{refused}");
            }
        }
    }

    #[test]
    fn nothing_is_overwritten_and_a_missing_directory_is_told_beforehand() {
        let scratch = Scratch::new("other");
        let mail = scratch.0.join("mail");
        fs::write(&mail, "Subject: delivery K7QF-2M9D").unwrap();
        for (path, why) in [
            (mail.clone(), "holds something else"),
            (scratch.0.clone(), "holds something else"),
            (PathBuf::from("/dev/zero"), "holds something else"),
            (scratch.0.join("no/such/file"), "no such directory"),
        ] {
            let refused = Keeping::plan(Some(&path), &delivery("K7QF-2M9D")).unwrap_err().to_string();
            assert!(refused.contains(why), "{refused}");
        }
        assert_eq!(fs::read_to_string(&mail).unwrap(), "Subject: delivery K7QF-2M9D");
        assert!(matches!(Keeping::plan(None, &delivery("K7QF-2M9D")), Ok(Keeping::Print)));
    }
}
