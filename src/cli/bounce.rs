//! `tallyd bounce`: takes a mail that came back from a mail system's alias and tells the daemon of it. The mail may hold
//! part 1, so it stays here: what goes on are a Message-ID, a word and a number.
//!
//! It ends as mail systems understand (sysexits.h): 0 when there is nothing more to do with this mail, 75 when it should be
//! handed over again later. Nothing else, so that a mail which is no bounce at all does not make one.

use std::path::Path;

use serde_json::json;

use super::input;
use super::operator::{Daemon, text};
use super::output::{Exit, Failure, Output, Reader};
use crate::http::client::Question;
use crate::mail::{Action, Returned};

/// How much of a mail is looked at. What it says stands before the mail that it returns, which has 256 KiB at most.
const MAIL_BYTES_MAX: usize = 1024 * 1024;

/// Where the daemon is.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 taken, also when it was not about a mail of ours; 75 (EX_TEMPFAIL) try again later."
)]
pub struct Args {
    #[command(flatten)]
    daemon: Daemon,
}

/// Reads the mail and tells the daemon what became of ours.
pub fn run(args: &Args, config: &Path, output: &mut Output) -> Result<Exit, Failure> {
    let taken = take(args, config, output);
    // The mail system keeps the mail and comes again, whatever it was that failed.
    taken.map(|()| Exit::Done).map_err(|failure| failure.exit(Exit::TryLater))
}

fn take(args: &Args, config: &Path, output: &mut Output) -> Result<(), Failure> {
    let mail = input::beginning(MAIL_BYTES_MAX)?;
    let returned = match Returned::read(&mail) {
        Ok(returned) => returned,
        Err(why) => {
            output.say(format_args!("This mail changes nothing: {why}."));
            return Ok(());
        }
    };
    drop(mail);
    let action = match returned.action {
        Action::Failed | Action::Delayed => returned.action.as_str(),
        Action::Delivered | Action::Relayed | Action::Expanded => {
            output.say(format_args!(
                "This mail changes nothing: the one that it is about was {}.",
                returned.action.as_str()
            ));
            return Ok(());
        }
    };
    let mut told = json!({ "message_id": returned.message_id, "action": action });
    if let Some(status) = returned.status {
        told["status"] = json!(status);
    }
    let question = Question::post("/v1/bounces", "application/json", told.to_string());
    let hint = "the mail system keeps the mail and tries again; does the daemon run, and is this account in \
                mail.bounce_users of its configuration?";
    let asked = args.daemon.ask_json(config, "tell of the returned mail", &returned.message_id.to_string(), question);
    let answer = asked.map_err(|failure| failure.hint(hint))?;
    match output.reader() {
        Reader::Programs => output.json(&answer),
        Reader::People => output.say(match text(&answer, "/outcome").as_str() {
            "withdrawn" => "The delivery is withdrawn. Correct the address, and re-issue.",
            "noted" => "It is in the daemon's log, and nothing else changes.",
            "over" => "The delivery was confirmed or over already, and nothing changes.",
            _ => "Nothing was mailed from here under that Message-ID.",
        }),
    }
    Ok(())
}
