//! `tallyd show`: one client, its versions, and its timeline from the journal.

use std::path::Path;

use serde_json::{Value, json};

use super::operator::{Daemon, encoded, instant, text};
use super::output::{Exit, Failure, Output, Reader};
use super::requests::waits;
use crate::http::client::Question;
use crate::journal::entry::Entry;
use crate::journal::line::Timeline;

/// Whom to show.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// An application id or a client_id.
    client: String,

    #[command(flatten)]
    daemon: Daemon,
}

/// Shows everything that the daemon knows of one client, which is no part of a secret.
pub fn run(args: &Args, config: &Path, output: &mut Output) -> Result<Exit, Failure> {
    let target = format!("/v1/client?name={}", encoded(&args.client));
    let client = args.daemon.ask_json(config, "show the client", &args.client, Question::get(target))?;
    let application = text(&client, "/application_id");
    let entries = entries(args, config, &application)?;
    if output.reader() == Reader::Programs {
        output.json(&json!({ "client": client, "entries": entries }));
        return Ok(Exit::Done);
    }
    output.data(facts(&client));
    if text(&client, "/order/cause") == "contact-erased" {
        output.say(format_args!(
            "The technical contact was erased: tallyd reissue {application} --contact - names a new one and orders new keys."
        ));
    }
    if text(&client, "/order/cause") == "openpgp-key-unusable" {
        output.say(format_args!(
            "Part 1 must be encrypted to the OpenPGP key of the technical contact, which cannot be used any more. A new approval \
             cannot bring another for this client: tallyd reissue {application} --contact - names another mailbox, which part 1 then goes to \
             by TLS only."
        ));
    }
    output.data("");
    let headings = ["version", "reference", "state", "generated", "pick up until", "fetched"];
    let versions = client.pointer("/versions").and_then(Value::as_array).cloned().unwrap_or_default();
    let rows: Vec<_> = versions.iter().map(version).collect();
    output.table(&headings, &rows, "No credential has been made yet.");
    output.data("");
    let mut timeline = Timeline::default();
    entries.iter().for_each(|entry| output.data(timeline.next(entry)));
    Ok(Exit::Done)
}

fn entries(args: &Args, config: &Path, application: &str) -> Result<Vec<Entry>, Failure> {
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let from = entries.last().map_or(0, |entry| entry.seq + 1);
        let target = format!("/v1/entries?application_id={}&from={from}&limit=500", encoded(application));
        let page = args.daemon.ask(config, "read the journal of", application, Question::get(target))?;
        let before = entries.len();
        for line in page.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let entry = Entry::parse(line);
            entries.push(entry.map_err(|cause| Failure::new("read the journal of", application, cause))?);
        }
        if entries.len() - before < 500 {
            return Ok(entries);
        }
    }
}

fn facts(client: &Value) -> String {
    let list = |path: &str| {
        let items = client.pointer(path).and_then(Value::as_array).cloned().unwrap_or_default();
        let items: Vec<_> = items.iter().map(|item| text(item, "")).collect();
        items.join(", ")
    };
    let number = text(client, "/organisation/number");
    let organisation = match (text(client, "/organisation/name"), number.is_empty()) {
        (name, true) => name,
        (name, false) => format!("{name} ({number})"),
    };
    let keys = client.pointer("/keys").and_then(Value::as_array).cloned().unwrap_or_default();
    let keys: Vec<_> = keys.iter().map(|key| format!("{} {}", text(key, "/label"), text(key, "/client_id"))).collect();
    let cause = text(client, "/order/cause");
    let mut order = text(client, "/order/state");
    if !cause.is_empty() {
        order = format!("{order} ({cause})");
    }
    let next = text(client, "/order/next_attempt");
    if !next.is_empty() {
        order = format!("{order}, next attempt not before {}", instant(&next));
    }
    let categories = client.get("categories").cloned().unwrap_or_default();
    let apis = client.pointer("/apis").and_then(Value::as_array).cloned().unwrap_or_default();
    let apis = apis.iter().filter_map(Value::as_str).map(|api| match categories.get(api).and_then(Value::as_str) {
        Some(category) => format!("{api} ({category})"),
        None => api.to_owned(),
    });
    let lines = [
        ("application", text(client, "/application_id")),
        ("environment", text(client, "/environment")),
        ("organisation", organisation),
        ("software", text(client, "/software")),
        ("apis", apis.collect::<Vec<_>>().join(", ")),
        ("agreement", agreement(client)),
        ("granted", list("/granted_applications")),
        ("contacts", contacts(client)),
        ("keys", keys.join("\n              ")),
        ("order", format!("{order}, attempts {}", text(client, "/order/attempts"))),
        ("campaign", text(client, "/order/campaign_id")),
        ("waits", waits(client).join("\n              ")),
    ];
    // What a client does not have is left out.
    let told = lines.iter().filter(|(_, value)| !value.is_empty());
    told.map(|(name, value)| format!("{name:<13} {value}")).collect::<Vec<_>>().join("\n")
}

/// What verifies: `active v3`, `active v3, retiring v2`.
pub(super) fn verifying(client: &Value) -> String {
    let versions = client.pointer("/versions").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut verifying: Vec<String> = versions
        .iter()
        .filter(|version| ["active", "retiring"].contains(&text(version, "/state").as_str()))
        .map(|version| format!("{} v{}", text(version, "/state"), text(version, "/version")))
        .collect();
    verifying.sort();
    if verifying.is_empty() { "none".to_owned() } else { verifying.join(", ") }
}

/// `technical (sv), administrative (en, erased)`. Their addresses are for `tallyd contacts list`.
fn contacts(client: &Value) -> String {
    let contacts = client.pointer("/contacts").and_then(Value::as_array).cloned().unwrap_or_default();
    let contact = |contact: &Value| {
        let (language, state) = (text(contact, "/language"), text(contact, "/state"));
        let state = if state == "current" { String::new() } else { format!(", {state}") };
        format!("{} ({language}{state})", text(contact, "/role"))
    };
    contacts.iter().map(contact).collect::<Vec<_>>().join(", ")
}

/// `AVT-1, signed until …`; only the id where the client does not rest on it.
fn agreement(client: &Value) -> String {
    let (id, state) = (text(client, "/agreement_id"), text(client, "/agreement/state"));
    let until = text(client, "/agreement/until");
    match (state.is_empty(), until.is_empty()) {
        (true, _) => id,
        (false, true) => format!("{id}, {state}"),
        (false, false) => format!("{id}, {state} until {}", instant(&until)),
    }
}

fn version(version: &Value) -> Vec<String> {
    let state = text(version, "/state");
    let detail = ["/cause", "/until"].iter().map(|path| text(version, path)).find(|detail| !detail.is_empty());
    let ends = text(version, "/ends");
    let state = match detail {
        Some(detail) if state == "retiring" => format!("{state} until {}", instant(&detail)),
        Some(detail) => format!("{state} ({detail})"),
        None if !ends.is_empty() => format!("{state}, ends {}", instant(&ends)),
        None => state,
    };
    vec![
        text(version, "/version"),
        text(version, "/reference"),
        state,
        instant(&text(version, "/generated")),
        instant(&text(version, "/window_ends")),
        text(version, "/fetches"),
    ]
}
