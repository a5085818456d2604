//! `tallyd approve`: the second person says yes, after having seen what it is to.

use std::io::{self, BufRead, IsTerminal};
use std::path::Path;

use serde_json::Value;

use super::operator::{Daemon, text};
use super::output::{Exit, Failure, Output, Reader};
use super::requests::Shown;
use super::{contacts, reissue, revoke};
use crate::domain::ids::CampaignId;
use crate::domain::request::RequestId;
use crate::http::client::Question;

/// What to approve.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The request, as `tallyd requests` lists it.
    request: RequestId,

    /// Do not ask: it has been looked at already.
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    daemon: Daemon,
}

/// Shows it, asks, and has exactly that carried out.
pub fn run(args: &Args, config: &Path, output: &mut Output) -> Result<Exit, Failure> {
    let shown = Shown::ask(&args.daemon, config, "approve the request", args.request)?;
    if !args.yes && !asked(&shown, args.request, output)? {
        output.say("Nothing was done; the request goes on waiting.");
        return Ok(Exit::Failed);
    }
    // The id is a digest of what was shown: the daemon can carry out nothing else under it.
    let question = Question::post(format!("/v1/requests/{}/approve", args.request), "application/json", "");
    let answer = args.daemon.ask_json(config, "approve the request", &args.request.to_string(), question)?;
    match output.reader() {
        Reader::Programs => output.json(&answer),
        Reader::People => tell(&answer, output),
    }
    // A campaign is driven by whoever opens it.
    match text(&answer, "/campaign_id").parse::<CampaignId>() {
        Ok(campaign) => reissue::go_on(campaign, &args.daemon, config, output),
        Err(_) => Ok(Exit::Done),
    }
}

fn asked(shown: &Shown, request: RequestId, output: &mut Output) -> Result<bool, Failure> {
    let input = io::stdin();
    if !input.is_terminal() || output.reader() == Reader::Programs {
        let cause = "there is nobody at a terminal to ask";
        let hint = format!("look at it with tallyd requests {request}, then approve it with --yes");
        return Err(Failure::new("approve the request", request, cause).hint(hint).exit(Exit::Usage));
    }
    output.say(shown.told());
    output.say("Type yes to have this carried out now:");
    Ok(is_yes(&first_line(input.lock())))
}

/// A line of a few characters; more is not read.
fn first_line(input: impl BufRead) -> String {
    let mut line = Vec::new();
    // An answer that cannot be read is no yes.
    let _ = input.take(64).read_until(b'\n', &mut line);
    String::from_utf8_lossy(&line).into_owned()
}

fn is_yes(line: &str) -> bool {
    line.trim().eq_ignore_ascii_case("yes")
}

fn tell(answer: &Value, output: &mut Output) {
    output.say("Approved, and carried out.");
    if !text(answer, "/campaign_id").is_empty() {
        return;
    }
    if !text(answer, "/contact_id").is_empty() {
        output.data(text(answer, "/contact_id"));
        return contacts::tell_what_is_missing(answer, output);
    }
    if text(answer, "/issuance_id").is_empty() {
        output.say(revoke::told(answer));
    } else {
        output.data(text(answer, "/issuance_id"));
        output.say(reissue::fate(answer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_word_is_a_yes() {
        for line in ["yes\n", "YES\r\n", " yes "] {
            assert!(is_yes(&first_line(line.as_bytes())), "{line:?}");
        }
        for line in ["", "\n", "y\n", "no\n", "yes please\n", "\nyes\n", "j\n"] {
            assert!(!is_yes(&first_line(line.as_bytes())), "{line:?}");
        }
        assert_eq!(first_line("x".repeat(100).as_bytes()).len(), 64);
    }
}
