//! `tallyd reissue`: a new credential for a client. Says what becomes of the old one, and until when. With `--all`, for
//! many clients.

mod all;
mod tally;

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

pub(super) use all::go_on;

use super::contacts::{address, warn};
use super::operator::{Daemon, text};
use super::output::{Exit, Failure, Output, Reader};
use super::requests::is_put_off;
use crate::domain::contact::Language;
use crate::domain::duration::{parse_duration, spelled};
use crate::http::client::Question;

/// What to order.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// An application id or a client_id.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    client: Option<String>,

    /// Why, for the journal. No personal data.
    #[arg(long, required_unless_present_any = ["dry_run", "resume"])]
    reason: Option<String>,

    /// The agency's case, for the journal.
    #[arg(long)]
    case: Option<String>,

    /// How long the old credential lives on after the new one is proven, such as 7d or 12h [default: policy.grace].
    #[arg(long, value_name = "TIME", value_parser = parse_duration, conflicts_with = "compromised")]
    grace: Option<Duration>,

    /// The secret has become known: the old credential dies before this command returns.
    #[arg(long)]
    compromised: bool,

    /// Another address for the technical contact: part 1 of the new keys goes there. `-` reads it from standard input,
    /// so that it stands neither in the list of processes nor in the shell's history.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "all")]
    contact: Option<String>,

    /// The language of that address [default: as before].
    #[arg(long, value_name = "sv|en", requires = "contact")]
    language: Option<Language>,

    #[command(flatten)]
    daemon: Daemon,

    #[command(flatten)]
    all: all::All,
}

/// Orders it.
pub fn run(args: &Args, config: &Path, output: &mut Output) -> Result<Exit, Failure> {
    let Some(client) = args.client.as_deref() else {
        let terms = all::Terms {
            reason: args.reason.as_deref(),
            case: args.case.as_deref(),
            grace_seconds: args.grace.map(|grace| grace.as_secs()),
            compromised: args.compromised,
        };
        return all::run(&args.all, &terms, &args.daemon, config, output);
    };
    let mut order = json!({ "client": client, "reason": args.reason });
    if let Some(case) = &args.case {
        order["case"] = json!(case);
    }
    if args.compromised {
        order["compromised"] = json!(true);
    }
    if let Some(grace) = args.grace {
        order["grace_seconds"] = json!(grace.as_secs());
    }
    if let Some(contact) = &args.contact {
        order["contact"] = json!(address(contact, output)?);
    }
    if let Some(language) = args.language {
        order["language"] = json!(language);
    }
    let question = Question::post("/v1/reissues", "application/json", order.to_string());
    let answer = args.daemon.ask_json(config, "re-issue", client, question)?;
    if is_put_off(&answer, output) {
        return Ok(Exit::Done);
    }
    warn(&answer, output);
    match output.reader() {
        Reader::Programs => output.json(&answer),
        Reader::People => {
            output.data(text(&answer, "/issuance_id"));
            output.say(fate(&answer));
            if args.contact.is_some() {
                output.say("Part 1 goes to the new address. All contacts are told. So is the address before, unless it was erased, and then it is.");
            }
        }
    }
    Ok(Exit::Done)
}

/// What becomes of the old credential, in a sentence.
pub(super) fn fate(answer: &Value) -> String {
    match text(answer, "/old_credential").as_str() {
        "ended" => "The old credential is refused from now on. The new one works when the recipient has confirmed it."
            .to_owned(),
        "lives-until-proven" => {
            let seconds = answer.pointer("/grace_seconds").and_then(Value::as_u64).unwrap_or(0);
            let grace = spelled(Duration::from_secs(seconds));
            format!(
                "The old credential verifies until the recipient has confirmed the new one, and for {grace} after that."
            )
        }
        _ => "No credential of the client verifies now. The new one works when the recipient has confirmed it."
            .to_owned(),
    }
}
