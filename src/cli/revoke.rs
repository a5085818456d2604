//! `tallyd revoke`: end a client's credentials, and take back what is on its way.

use std::path::Path;

use serde_json::json;

use super::operator::{Daemon, text};
use super::output::{Exit, Failure, Output, Reader};
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
    let mut order = json!({ "client": args.client, "reason": args.reason });
    if let Some(case) = &args.case {
        order["case"] = json!(case);
    }
    let question = Question::post("/v1/revocations", "application/json", order.to_string());
    let answer = args.daemon.ask_json(config, "revoke", &args.client, question)?;
    match output.reader() {
        Reader::Programs => output.json(&answer),
        Reader::People => {
            let ended = match text(&answer, "/credentials_ended").as_str() {
                "0" => "No credential verified".to_owned(),
                "1" => "1 credential was ended".to_owned(),
                more => format!("{more} credentials were ended"),
            };
            let withdrawn = if text(&answer, "/delivery_withdrawn") == "true" {
                "; the delivery under way was taken back"
            } else {
                ""
            };
            output.say(format_args!("{ended}{withdrawn}. None of the client verifies now."));
        }
    }
    Ok(Exit::Done)
}
