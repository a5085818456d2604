//! `tallyd reissue --all`: a campaign, from looking at what it would do to the table of what it did.
//!
//! The daemon does it, a page at a time; this command only asks for the next one. So it can be stopped, killed, begun
//! again or run twice at once, and no client is re-issued twice: what was done is decided where it is recorded.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::campaigns::{chosen, standing_rows};
use super::super::interrupt::Interrupt;
use super::super::operator::{Daemon, text};
use super::super::output::{Exit, Failure, Output, Reader};
use super::super::progress::Progress;
use super::super::requests::is_put_off;
use super::tally::{Tally, would_rows};
use crate::domain::duration::spelled;
use crate::domain::ids::{ApiName, CampaignId, Environment};
use crate::domain::organisation::OrganisationNumber;
use crate::domain::time::Timestamp;
use crate::http::client::Question;

/// How many clients are looked at at a time.
const PAGE: u32 = 250;

/// Which clients, and how.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "With --all")]
pub(super) struct All {
    /// Re-issue every client that matches what else is given.
    #[arg(long)]
    pub(super) all: bool,

    /// Only clients of this environment: test or production.
    #[arg(long, value_name = "ENVIRONMENT", conflicts_with = "client")]
    environment: Option<Environment>,

    /// Only clients that may call this API.
    #[arg(long, value_name = "API", conflicts_with = "client")]
    api: Option<ApiName>,

    /// Only clients of the organisation with this number.
    #[arg(long, value_name = "NUMBER", conflicts_with = "client")]
    organisation: Option<OrganisationNumber>,

    /// Only clients whose credential ends by itself before this day (UTC), such as 2027-03-01.
    #[arg(long, value_name = "DATE", conflicts_with = "client", value_parser = date)]
    ends_before: Option<String>,

    /// Re-issue no more clients than this.
    #[arg(long, value_name = "N", conflicts_with = "client", value_parser = clap::value_parser!(u64).range(1..=u64::MAX >> 1))]
    limit: Option<u64>,

    /// How many clients are re-issued in one go: Ctrl-C waits until they are done.
    #[arg(long, value_name = "N", conflicts_with = "client", default_value_t = 250,
        value_parser = clap::value_parser!(u32).range(1..=500))]
    at_a_time: u32,

    /// Show what would become of each client, and change nothing.
    #[arg(long, conflicts_with = "client")]
    pub(super) dry_run: bool,

    /// Do not ask.
    #[arg(long, conflicts_with = "client")]
    yes: bool,

    /// Go on with a campaign that was interrupted. It keeps its filters and its reason.
    #[arg(
        long,
        value_name = "CAMPAIGN",
        conflicts_with = "client",
        conflicts_with_all = [
            "environment", "api", "organisation", "ends_before", "limit", "dry_run",
            "reason", "case", "grace", "compromised",
        ]
    )]
    pub(super) resume: Option<CampaignId>,
}

/// What is ordered for every client alike.
pub(super) struct Terms<'a> {
    pub(super) reason: Option<&'a str>,
    pub(super) case: Option<&'a str>,
    pub(super) grace_seconds: Option<u64>,
    pub(super) compromised: bool,
}

/// The daemon, asked by this command.
struct Asking<'a> {
    daemon: &'a Daemon,
    config: &'a Path,
    at_a_time: u32,
}

/// Shows, asks, opens, advances, sums up.
pub(super) fn run(
    all: &All,
    terms: &Terms<'_>,
    daemon: &Daemon,
    config: &Path,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let asking = Asking { daemon, config, at_a_time: all.at_a_time };
    if let Some(campaign) = all.resume {
        let standing = asking.get("go on with the campaign", campaign)?;
        if text(&standing, "/state") != "open" {
            let cause = format!("it has ended ({})", text(&standing, "/state"));
            return Err(Failure::new("go on with the campaign", campaign, cause)
                .hint("tallyd campaigns --all shows every campaign and how its orders stand"));
        }
        return asking.advance(&standing, output);
    }
    let wanted = all.wanted(terms);
    if all.dry_run {
        return asking.dry_run(&wanted, all.limit, output);
    }
    if !all.yes {
        let matched = asking.foresee(&wanted, |_| {})?.0.re_issued(all.limit);
        if matched == 0 {
            return Err(Failure::new("re-issue", "all", "no client would be re-issued").hint(DRY_RUN));
        }
        if !confirmed(matched, terms.compromised, output)? {
            output.say("Nothing was changed.");
            return Ok(Exit::Failed);
        }
    }
    let mut order = wanted;
    order["reason"] = json!(terms.reason.unwrap_or_default());
    for (name, value) in [("case", terms.case.map(Value::from)), ("limit", all.limit.map(Value::from))] {
        if let Some(value) = value {
            order[name] = value;
        }
    }
    let question = Question::post("/v1/reissues/all", "application/json", order.to_string());
    let opened = daemon.ask_json(config, "re-issue", "all", question)?;
    if is_put_off(&opened, output) {
        return Ok(Exit::Done);
    }
    asking.advance(&opened, output)
}

/// Goes on with a campaign that is open, such as one that was approved just now.
pub(in crate::cli) fn go_on(
    campaign: CampaignId,
    daemon: &Daemon,
    config: &Path,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let asking = Asking { daemon, config, at_a_time: PAGE };
    let standing = asking.get("go on with the campaign", campaign)?;
    asking.advance(&standing, output)
}

const DRY_RUN: &str = "tallyd reissue --all --dry-run shows every client that matches, and why it is left alone";

impl All {
    fn wanted(&self, terms: &Terms<'_>) -> Value {
        let given = [
            ("environment", self.environment.map(|it| json!(it.as_str()))),
            ("api", self.api.as_ref().map(|it| json!(it.as_str()))),
            ("organisation", self.organisation.as_ref().map(|it| json!(it.as_str()))),
            ("ends_before", self.ends_before.as_ref().map(|it| json!(it))),
            ("compromised", terms.compromised.then_some(json!(true))),
            ("grace_seconds", terms.grace_seconds.map(|it| json!(it))),
        ];
        given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

impl Asking<'_> {
    fn get(&self, tried: &str, campaign: CampaignId) -> Result<Value, Failure> {
        let question = Question::get(format!("/v1/campaigns/{campaign}"));
        self.daemon.ask_json(self.config, tried, &campaign.to_string(), question)
    }

    /// Goes through everybody who matches. What would become of them, and of their old credentials.
    fn foresee(&self, wanted: &Value, mut each: impl FnMut(&Value)) -> Result<(Tally, String), Failure> {
        let mut tally = Tally::default();
        let mut asked = wanted.clone();
        loop {
            asked["limit"] = json!(PAGE);
            let question = Question::post("/v1/reissues/all/preview", "application/json", asked.to_string());
            let page = self.daemon.ask_json(self.config, "look at what would be re-issued of", "all", question)?;
            for client in clients(&page) {
                tally.count(client);
                each(client);
            }
            match page.get("next").filter(|next| !next.is_null()) {
                Some(next) => asked["after"] = next.clone(),
                None => return Ok((tally, old_fate(&page))),
            }
        }
    }

    fn dry_run(&self, wanted: &Value, limit: Option<u64>, output: &mut Output) -> Result<Exit, Failure> {
        let mut found = Vec::new();
        let (tally, old) = match output.reader() {
            Reader::People => self.foresee(wanted, |client| found.push(client.clone()))?,
            Reader::Programs => self.foresee(wanted, |client| output.json(&json!({ "client": client })))?,
        };
        if output.reader() == Reader::Programs {
            output.json(&json!({ "summary": tally.summary() }));
            return Ok(Exit::Done);
        }
        let (re_issued, skipped) = would_rows(&found, &old);
        let headings = ["client", "organisation", "environment", "apis", "old credential", "mail to"];
        output.table(&headings, &re_issued, "No client would be re-issued.");
        if !skipped.is_empty() {
            output.data("");
            output.table(&["client", "organisation", "environment", "apis", "left alone"], &skipped, "");
        }
        if !found.is_empty() {
            output.data("");
            output.table(&["outcome", "cause", "clients"], &tally.rows(), "");
        }
        let kept = tally.re_issued(None);
        if let Some(limit) = limit.filter(|limit| *limit < kept) {
            output.say(format_args!("Of these {kept}, the first {limit} would be re-issued."));
        }
        output.say("Nothing was changed.");
        Ok(Exit::Done)
    }

    /// Page after page, until everybody was reached or somebody wants it to stop.
    fn advance(&self, opened: &Value, output: &mut Output) -> Result<Exit, Failure> {
        let id = text(opened, "/campaign_id");
        let length = number(opened, "/limit").unwrap_or(u64::MAX).min(number(opened, "/matched").unwrap_or(0));
        let interrupt = Interrupt::listen().map_err(|cause| Failure::new("listen for Ctrl-C", "", cause))?;
        match output.reader() {
            Reader::Programs => output.json(&json!({ "campaign": opened })),
            Reader::People => {
                output.data(&id);
                output.say(format_args!(
                    "Re-issuing {length} clients ({}). Ctrl-C stops between two of them; it goes on with:\n  \
                     tallyd reissue --all --resume {id}",
                    chosen(opened)
                ));
            }
        }
        let mut progress = Progress::over("clients", length, number(opened, "/ordered").unwrap_or(0));
        let ended = self.pages(&id, &interrupt, &mut progress, output);
        progress.end();
        let tally = ended?;
        let standing = self.finish(&id, &tally).map_err(|failure| resumable(failure, &id))?;
        match output.reader() {
            Reader::Programs => {
                output.json(&json!({ "summary": { "clients": tally.summary(), "campaign": standing } }));
            }
            Reader::People => {
                output.data("");
                let mut rows =
                    vec![vec!["ordered".to_owned(), String::new(), text(&standing, "/ordered"), String::new()]];
                rows.extend(tally.rows_but("ordered"));
                rows.extend(standing_rows(&standing));
                output.table(&["outcome", "cause", "clients", "such as"], &rows, "");
                if text(&standing, "/state") == "completed" {
                    output.say("The couriers mail what was ordered; tallyd campaigns --all shows how far they are.");
                }
            }
        }
        match tally.refused() {
            0 => Ok(Exit::Done),
            refused => Err(Failure::new("re-issue", format_args!("{refused} clients"), "each for the cause above")
                .hint(format!(
                    "the log of the daemon says more; when it is mended: tallyd reissue --all --resume {id}"
                ))),
        }
    }

    fn pages(
        &self,
        id: &str,
        interrupt: &Interrupt,
        progress: &mut Progress,
        output: &mut Output,
    ) -> Result<Tally, Failure> {
        let mut tally = Tally::default();
        let mut asked = json!({ "limit": self.at_a_time });
        loop {
            let target = format!("/v1/campaigns/{id}/pages");
            let question = Question::post(target, "application/json", asked.to_string());
            let page = self.daemon.ask_json(self.config, "go on with the campaign", id, question);
            let page = page.map_err(|failure| resumable(failure, id))?;
            for client in clients(&page) {
                tally.count(client);
                if output.reader() == Reader::Programs {
                    output.json(&json!({ "client": client }));
                }
            }
            let ordered = number(&page, "/ordered").unwrap_or(0);
            progress.reached(ordered, output);
            if text(&page, "/state") == "given-up" {
                let cause = format!("somebody gave it up; {ordered} clients were re-issued");
                return Err(Failure::new("go on with the campaign", id, cause));
            }
            match page.get("next").filter(|next| !next.is_null()) {
                Some(_) if interrupt.came() => {
                    let cause = format!("it was interrupted; {ordered} clients are re-issued so far");
                    return Err(Failure::new("finish the campaign", id, cause)
                        .hint(format!("go on with tallyd reissue --all --resume {id}")));
                }
                Some(next) => asked["after"] = next.clone(),
                None => return Ok(tally),
            }
        }
    }

    /// Ends the campaign, unless somebody was refused and is to be tried again. How it stands.
    fn finish(&self, id: &str, tally: &Tally) -> Result<Value, Failure> {
        let question = if tally.refused() == 0 {
            let end = json!({ "outcome": "completed" });
            Question::post(format!("/v1/campaigns/{id}/end"), "application/json", end.to_string())
        } else {
            Question::get(format!("/v1/campaigns/{id}"))
        };
        self.daemon.ask_json(self.config, "finish the campaign", id, question)
    }
}

/// A failure in the middle loses nothing.
fn resumable(failure: Failure, id: &str) -> Failure {
    let first = failure.hint.as_ref().map(|hint| format!("{hint}; then ")).unwrap_or_default();
    failure.hint(format!("{first}go on with tallyd reissue --all --resume {id}"))
}

/// Asks whoever sits there. Where nobody can be asked, nothing is done without `--yes`.
fn confirmed(matched: u64, compromised: bool, output: &mut Output) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        let failure = Failure::new("re-issue", format_args!("{matched} clients"), "nobody can be asked whether to");
        return Err(failure.hint("give --yes, after a look with --dry-run").exit(Exit::Usage));
    }
    let old =
        if compromised { "The old ones are refused at once." } else { "The old ones live until the new are proven." };
    output.say(format_args!("New credentials for {matched} clients. {old} Go on? [y/N]"));
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    read.map_err(|cause| Failure::new("read the answer from", "the terminal", cause))?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

/// What becomes of the old credential of each client, in words.
fn old_fate(page: &Value) -> String {
    match number(page, "/grace_seconds").map(Duration::from_secs) {
        Some(grace) => format!("until the new one is proven, and {}", spelled(grace)),
        None => "ends at once".to_owned(),
    }
}

fn clients(page: &Value) -> impl Iterator<Item = &Value> {
    page.get("clients").and_then(Value::as_array).into_iter().flatten()
}

fn number(value: &Value, path: &str) -> Option<u64> {
    value.pointer(path).and_then(Value::as_u64)
}

fn date(text: &str) -> Result<String, &'static str> {
    Timestamp::beginning_of_day(text).map(|_| text.to_owned()).ok_or("a date such as 2027-03-01")
}
