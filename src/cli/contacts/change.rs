//! `tallyd contacts change`: another address or language for a contact. It orders no keys and touches none.

use std::path::Path;

use serde_json::json;

use super::{address, warn};
use crate::cli::operator::{Daemon, text};
use crate::cli::output::{Exit, Failure, Output, Reader};
use crate::cli::requests::is_put_off;
use crate::domain::contact::Language;
use crate::http::client::Question;

/// What to change.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").args(["email", "language"]).required(true).multiple(true)))]
pub struct Args {
    /// An application id or a client_id.
    client: String,

    /// The contact: its id or the beginning of it, as `tallyd contacts list` shows it, or `technical`.
    contact: String,

    /// Its new address, as an argument or, with `-`, from standard input: then it stands neither in the list of processes
    /// nor in the shell's history.
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,

    /// The language of its mails.
    #[arg(long, value_name = "sv|en")]
    language: Option<Language>,

    /// Why, for the journal. No personal data.
    #[arg(long)]
    reason: String,

    /// The agency's case, for the journal.
    #[arg(long)]
    case: Option<String>,

    #[command(flatten)]
    daemon: Daemon,
}

/// Changes it and prints its id from now on.
pub(super) fn run(args: &Args, config: &Path, output: &mut Output) -> Result<Exit, Failure> {
    let email = args.email.as_ref().map(|given| address(given, output)).transpose()?;
    let order = json!({
        "client": args.client, "contact": args.contact, "email": email, "language": args.language,
        "reason": args.reason, "case": args.case,
    });
    let question = Question::post("/v1/contacts/changes", "application/json", order.to_string());
    let answer = args.daemon.ask_json(config, "change a contact of", &args.client, question)?;
    if is_put_off(&answer, output) {
        return Ok(Exit::Done);
    }
    warn(&answer, output);
    match output.reader() {
        Reader::Programs => output.json(&answer),
        Reader::People => {
            output.data(text(&answer, "/contact_id"));
            output.say(said(args, &text(&answer, "/role")));
        }
    }
    Ok(Exit::Done)
}

fn said(args: &Args, role: &str) -> &'static str {
    match (&args.email, role) {
        (None, _) => "The contact's next mails are in that language.",
        (Some(_), "technical") => {
            "The new address has an id of its own. All contacts are told. So is the address before, unless it was erased, \
             and then it is.\nPart 1 of new keys goes to the new address. None are ordered by this: tallyd reissue does that."
        }
        (Some(_), _) => {
            "The new address has an id of its own. All contacts are told. So is the address before, unless it was erased, \
             and then it is."
        }
    }
}
