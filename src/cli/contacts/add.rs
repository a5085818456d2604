//! `tallyd contacts add`: one more who is told of what happens.

use std::path::Path;

use serde_json::json;

use super::{address, warn};
use crate::cli::operator::{Daemon, text};
use crate::cli::output::{Exit, Failure, Output, Reader};
use crate::cli::requests::is_put_off;
use crate::domain::contact::{Language, Role};
use crate::http::client::Question;

/// Whom to add.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// An application id or a client_id.
    client: String,

    /// The address, as an argument or, with `-`, from standard input: then it stands neither in the list of processes nor
    /// in the shell's history.
    #[arg(long, value_name = "ADDRESS")]
    email: String,

    /// The language of its mails.
    #[arg(long, value_name = "sv|en")]
    language: Language,

    /// administrative: notices and receipts. technical: part 1 of new keys, where the technical contact was erased.
    #[arg(long, default_value = "administrative")]
    role: Role,

    /// Why, for the journal. No personal data.
    #[arg(long)]
    reason: String,

    /// The agency's case, for the journal.
    #[arg(long)]
    case: Option<String>,

    #[command(flatten)]
    daemon: Daemon,
}

/// Adds it and prints its id.
pub(super) fn run(args: &Args, config: &Path, output: &mut Output) -> Result<Exit, Failure> {
    let email = address(&args.email, output)?;
    let order = json!({
        "client": args.client, "email": email, "language": args.language, "role": args.role,
        "reason": args.reason, "case": args.case,
    });
    let question = Question::post("/v1/contacts/additions", "application/json", order.to_string());
    let answer = args.daemon.ask_json(config, "add a contact to", &args.client, question)?;
    if is_put_off(&answer, output) {
        return Ok(Exit::Done);
    }
    warn(&answer, output);
    match output.reader() {
        Reader::Programs => output.json(&answer),
        Reader::People => {
            output.data(text(&answer, "/contact_id"));
            output.say("The contact was added. All contacts of the client are told.");
        }
    }
    Ok(Exit::Done)
}
