//! `tallyd deny`: the second person says no, and why.

use std::path::Path;

use serde_json::json;

use super::operator::Daemon;
use super::output::{Exit, Failure, Output, Reader};
use crate::domain::request::RequestId;
use crate::http::client::Question;

/// What to deny.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The request, as `tallyd requests` lists it.
    request: RequestId,

    /// Why, for the journal. No personal data.
    #[arg(long)]
    reason: String,

    #[command(flatten)]
    daemon: Daemon,
}

/// Closes it; nothing is carried out.
pub fn run(args: &Args, config: &Path, output: &mut Output) -> Result<Exit, Failure> {
    let body = json!({ "reason": args.reason }).to_string();
    let question = Question::post(format!("/v1/requests/{}/deny", args.request), "application/json", body);
    let answer = args.daemon.ask_json(config, "deny the request", &args.request.to_string(), question)?;
    match output.reader() {
        Reader::Programs => output.json(&answer),
        Reader::People => output.say("Denied. Nothing was done, and the request is closed."),
    }
    Ok(Exit::Done)
}
