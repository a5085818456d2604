//! `tallyd audit`: the journal, read from the files and trusted only as far as a signature carries.

mod show;
mod verify;

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::operator::{instant, text};
use super::output::{Exit, Failure, Output};
use crate::config::Config;
use crate::store::archive::Archive;

pub use verify::{Checked, verify_state};

/// What to do with the journal.
#[derive(Debug, clap::Subcommand)]
pub enum Audit {
    /// Verify every entry, the tree over them, and the signature.
    Verify(verify::Args),
    /// Show entries.
    Show(show::Args),
}

/// Which journal.
#[derive(Debug, Clone, clap::Args)]
pub struct Source {
    /// The state directory [default: state.directory of the configuration].
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// Runs it.
pub fn run(audit: &Audit, config: &Path, output: &mut Output) -> Result<Exit, Failure> {
    match audit {
        Audit::Verify(args) => verify::run(args, config, output),
        Audit::Show(args) => show::run(args, config, output),
    }
}

impl Source {
    fn directory(&self, config: &Path) -> Result<PathBuf, Failure> {
        match &self.state {
            Some(state) => Ok(state.clone()),
            None => Ok(Config::load(config)?.state.directory),
        }
    }
}

fn open(state: &Path) -> Result<Archive, Failure> {
    Archive::open(state).map_err(|error| {
        let hint = error.hint();
        Failure::new("open the journal in", state.display(), error).hint(hint).exit(Exit::Refused)
    })
}

/// Entries for people, one line each.
pub(super) fn timeline(entries: &[Value], output: &mut Output) {
    for entry in entries {
        output.data(line(entry));
    }
}

fn line(entry: &Value) -> String {
    let about = match text(entry, "/subject/of").as_str() {
        "service" => String::new(),
        "agreement" => text(entry, "/subject/agreement"),
        "campaign" => text(entry, "/subject/campaign"),
        "request" => {
            let (application, request) = (text(entry, "/subject/application"), text(entry, "/subject/request"));
            format!("{application} {request}").trim_start().to_owned()
        }
        "credential" => format!(
            "{} v{} {}",
            text(entry, "/subject/application"),
            text(entry, "/subject/version"),
            text(entry, "/subject/reference")
        ),
        _ => text(entry, "/subject/application"),
    };
    let who = match text(entry, "/actor/who").as_str() {
        "sender" => format!("sender {}", text(entry, "/actor/name")),
        "recipient" => {
            let number = text(entry, "/actor/party/organisation");
            if number.is_empty() { "recipient (sole trader)".to_owned() } else { format!("recipient {number}") }
        }
        of_the_machine @ ("operator" | "mail-system") => {
            let account = text(entry, "/actor/account");
            if account.is_empty() {
                format!("{of_the_machine} uid {}", text(entry, "/actor/uid"))
            } else {
                format!("{of_the_machine} {account}")
            }
        }
        other => other.to_owned(),
    };
    let details = details(entry.get("data").unwrap_or(&Value::Null));
    let words = [
        text(entry, "/seq"),
        instant(&text(entry, "/time")),
        format!("{:<22}", text(entry, "/kind")),
        about,
        format!("by {who}"),
        details,
    ];
    words.iter().filter(|word| !word.is_empty()).map(String::as_str).collect::<Vec<_>>().join("  ")
}

/// The plain members of an entry's data; what is nested or long is left to `--json`.
fn details(data: &Value) -> String {
    let plain = |(name, value): (&String, &Value)| match value {
        Value::String(text) if text.len() <= 80 => Some(format!("{name}={text}")),
        Value::Number(number) => Some(format!("{name}={number}")),
        // What a request asks for.
        Value::Object(asked) => asked.get("do").and_then(Value::as_str).map(|command| format!("{name}={command}")),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Array(_) => None,
    };
    data.as_object().map(|members| members.iter().filter_map(plain).collect::<Vec<_>>().join(" ")).unwrap_or_default()
}
