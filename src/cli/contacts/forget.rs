//! `tallyd contacts forget`: an address is erased, of one contact or wherever it stands.

use std::path::Path;

use serde_json::{Value, json};

use super::address_from_standard_input;
use crate::cli::operator::{Daemon, instant, text};
use crate::cli::output::{Exit, Failure, Output, Reader};
use crate::cli::requests::is_put_off;
use crate::http::client::Question;

/// Whom to forget.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The journal goes on without the address: it has an id and a keyed hash in its place, and verifies as before. From the \
database's files the address is gone within half a minute. Mails that were sent, and backups, are out of tallyd's reach.")]
pub struct Args {
    /// An application id or a client_id.
    #[arg(required_unless_present = "everywhere", requires = "contact")]
    client: Option<String>,

    /// The contact: its id or the beginning of it, as `tallyd contacts list` shows it, or `technical`.
    contact: Option<String>,

    /// Erase an address wherever it stands, among all clients. It is read from standard input and from there only.
    #[arg(long, conflicts_with_all = ["client", "contact"])]
    everywhere: bool,

    /// Only say where the address stands, and erase nothing.
    #[arg(long, requires = "everywhere")]
    dry_run: bool,

    /// Why, for the journal. No personal data.
    #[arg(long, required_unless_present = "dry_run")]
    reason: Option<String>,

    /// The agency's case, for the journal.
    #[arg(long)]
    case: Option<String>,

    #[command(flatten)]
    daemon: Daemon,
}

/// Erases it.
pub(super) fn run(args: &Args, config: &Path, output: &mut Output) -> Result<Exit, Failure> {
    match (&args.client, &args.contact) {
        (Some(client), Some(contact)) => one(args, client, contact, config, output),
        (None, _) | (_, None) => everywhere(args, config, output),
    }
}

fn one(args: &Args, client: &str, contact: &str, config: &Path, output: &mut Output) -> Result<Exit, Failure> {
    let order = json!({ "client": client, "contact": contact, "reason": args.reason, "case": args.case });
    let question = Question::post("/v1/contacts/erasures", "application/json", order.to_string());
    let answer = args.daemon.ask_json(config, "erase a contact of", client, question)?;
    if is_put_off(&answer, output) {
        return Ok(Exit::Done);
    }
    match output.reader() {
        Reader::Programs => output.json(&answer),
        Reader::People => {
            output.say("The address is erased; from the database's files it is gone within half a minute.");
            if let Some(next) = what_next(&answer) {
                output.say(next);
            }
        }
    }
    Ok(Exit::Done)
}

fn everywhere(args: &Args, config: &Path, output: &mut Output) -> Result<Exit, Failure> {
    let email = address_from_standard_input(output)?;
    let order = json!({ "email": email, "look_only": args.dry_run, "reason": args.reason, "case": args.case });
    let question = Question::post("/v1/contacts/address-erasures", "application/json", order.to_string());
    let tried = if args.dry_run { "look for" } else { "erase" };
    let answer = args.daemon.ask_json(config, tried, "the address", question)?;
    let places = answer.get("places").and_then(Value::as_array).cloned().unwrap_or_default();
    let row = |place: &Value| vec![text(place, "/application_id"), text(place, "/contact_id"), text(place, "/role")];
    let rows: Vec<_> = places.iter().map(row).collect();
    match output.reader() {
        Reader::Programs => output.json(&answer),
        Reader::People if args.dry_run => {
            let rows: Vec<_> = rows.into_iter().map(|row| row.into_iter().take(2).collect()).collect();
            output.table(&["application", "contact"], &rows, "The address stands nowhere.");
        }
        Reader::People if places.iter().any(|place| !text(place, "/request").is_empty()) => {
            let waits = |place: &Value| vec![text(place, "/request"), instant(&text(place, "/expires"))];
            let rows: Vec<_> = rows.iter().zip(&places).map(|(row, it)| [&row[..2], &waits(it)].concat()).collect();
            output.table(&["application", "contact", "request", "expires"], &rows, "");
            output.say(
                "Nothing has been erased yet: this takes a second person, who runs tallyd approve or deny for each.\n\
                 What nobody denies is erased all the same when its request expires.",
            );
        }
        Reader::People => {
            output.table(&["application", "contact", "role"], &rows, "The address stands nowhere; nothing was erased.");
            if !places.is_empty() {
                output.say("The address is erased; from the database's files it is gone within half a minute.");
            }
            for next in places.iter().filter_map(what_next) {
                output.say(next);
            }
        }
    }
    if output.reader() == Reader::People {
        for request in answer.get("requests").and_then(Value::as_array).into_iter().flatten() {
            let request = text(request, "");
            output.say(format_args!(
                "The request {request} brings the address, and has it for as long as it waits: tallyd deny {request} erases it."
            ));
        }
    }
    Ok(Exit::Done)
}

/// Without a technical contact no keys can be sent.
pub(super) fn what_next(erased: &Value) -> Option<String> {
    let application = text(erased, "/application_id");
    let is_so = |member: &str| erased.get(member).and_then(Value::as_bool).unwrap_or(false);
    let parked = if is_so("order_parked") { " and its order is parked" } else { "" };
    is_so("technical_missing").then(|| {
        format!(
            "{application} has no technical contact now{parked}. Name one: tallyd contacts change {application} technical \
             --email -, or with new keys: tallyd reissue {application} --contact -"
        )
    })
}
