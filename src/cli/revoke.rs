//! `tallyd revoke`: end a client's credentials, and take back what is on its way.

use std::path::Path;

use serde_json::{Value, json};

use super::operator::{Daemon, text};
use super::output::{Exit, Failure, Output, Reader};
use super::requests::is_put_off;
use crate::http::client::Question;

/// What to end.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// An application id or a client_id.
    client: String,

    /// Why, for the journal. No personal data.
    #[arg(long)]
    reason: String,

    /// The agency's case, for the journal.
    #[arg(long)]
    case: Option<String>,

    #[command(flatten)]
    daemon: Daemon,
}

/// Ends them: when this returns, no credential of the client verifies.
pub fn run(args: &Args, config: &Path, output: &mut Output) -> Result<Exit, Failure> {
    let answer = order(&args.daemon, config, &args.client, &args.reason, args.case.as_deref())?;
    if is_put_off(&answer, output) {
        return Ok(Exit::Done);
    }
    match output.reader() {
        Reader::Programs => output.json(&answer),
        Reader::People => output.say(told(&answer)),
    }
    Ok(Exit::Done)
}

/// The order itself, whichever command it is given by.
pub(super) fn order(
    daemon: &Daemon,
    config: &Path,
    client: &str,
    reason: &str,
    case: Option<&str>,
) -> Result<Value, Failure> {
    let mut order = json!({ "client": client, "reason": reason });
    if let Some(case) = case {
        order["case"] = json!(case);
    }
    let question = Question::post("/v1/revocations", "application/json", order.to_string());
    daemon.ask_json(config, "revoke", client, question)
}

/// What the answer says, for people.
pub(super) fn told(answer: &Value) -> String {
    let ended = match text(answer, "/credentials_ended").as_str() {
        "0" => "No credential verified".to_owned(),
        "1" => "1 credential was ended".to_owned(),
        more => format!("{more} credentials were ended"),
    };
    let withdrawn = match text(answer, "/delivery_withdrawn").as_str() {
        "true" => "; the delivery under way was taken back",
        _ => "",
    };
    format!("{ended}{withdrawn}. None of the client verifies now.")
}
