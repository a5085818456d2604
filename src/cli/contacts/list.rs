//! `tallyd contacts list`: the one command that shows addresses.

use std::path::Path;

use serde_json::Value;

use crate::cli::operator::{Daemon, encoded, text};
use crate::cli::output::{Exit, Failure, Output};
use crate::http::client::Question;

/// Whose contacts.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// An application id or a client_id.
    client: String,

    #[command(flatten)]
    daemon: Daemon,
}

/// Lists them.
pub(super) fn run(args: &Args, config: &Path, output: &mut Output) -> Result<Exit, Failure> {
    let target = format!("/v1/contacts?name={}", encoded(&args.client));
    let answer = args.daemon.ask_json(config, "list the contacts of", &args.client, Question::get(target))?;
    let contacts = answer.get("contacts").and_then(Value::as_array).cloned().unwrap_or_default();
    let row = |contact: &Value| {
        let members = ["/contact_id", "/role", "/language", "/state", "/email"];
        let mut row: Vec<_> = members.iter().map(|member| text(contact, member)).collect();
        let encrypted = contact.get("encrypted").and_then(Value::as_bool) == Some(true);
        if let Some(address) = row.last_mut().filter(|_| encrypted) {
            address.push_str(" (OpenPGP)");
        }
        row
    };
    let rows: Vec<Vec<String>> = contacts.iter().map(row).collect();
    output.show(&answer, &["contact", "role", "language", "state", "address"], &rows, "The client has no contact.");
    Ok(Exit::Done)
}
