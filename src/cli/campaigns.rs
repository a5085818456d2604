//! `tallyd campaigns`: re-issues of many clients, and how far each has come.

use std::path::Path;

use serde_json::{Value, json};

use super::operator::{Daemon, instant, text};
use super::output::{Exit, Failure, Output, Reader};
use crate::domain::ids::CampaignId;
use crate::http::client::Question;

/// The most campaigns that are asked for at a time: the orders of each are counted, and others ask in between.
const PAGE: usize = 20;

/// What to show.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Those that have ended as well.
    #[arg(long)]
    all: bool,

    /// End this campaign: whom it has not reached is left alone. What was ordered stays ordered.
    #[arg(long, value_name = "CAMPAIGN", conflicts_with = "all")]
    give_up: Option<CampaignId>,

    #[command(flatten)]
    daemon: Daemon,
}

/// Lists them, or gives one up.
pub fn run(args: &Args, config: &Path, output: &mut Output) -> Result<Exit, Failure> {
    match args.give_up {
        Some(campaign) => give_up(args, campaign, config, output),
        None => list(args, config, output),
    }
}

fn list(args: &Args, config: &Path, output: &mut Output) -> Result<Exit, Failure> {
    let mut rows = Vec::new();
    let mut after = String::new();
    loop {
        let mut target = format!("/v1/campaigns?open={}&limit={PAGE}", !args.all);
        if !after.is_empty() {
            target.push_str(&format!("&after={after}"));
        }
        let page = args.daemon.ask_json(config, "list campaigns", "", Question::get(target))?;
        let campaigns = page.as_array().cloned().unwrap_or_default();
        after = campaigns.last().map(|campaign| text(campaign, "/campaign_id")).unwrap_or_default();
        let last = campaigns.len() < PAGE;
        match output.reader() {
            Reader::People => rows.extend(campaigns.iter().map(row)),
            Reader::Programs => campaigns.iter().for_each(|campaign| output.json(campaign)),
        }
        if last {
            break;
        }
    }
    if output.reader() == Reader::People {
        let headings = ["campaign", "state", "opened", "clients", "ordered", "waiting", "mailed", "failed", "reason"];
        let none = if args.all { "There are no campaigns." } else { "No campaign is unfinished." };
        output.table(&headings, &rows, none);
        if !args.all && !rows.is_empty() {
            output.say("Go on with one: tallyd reissue --all --resume CAMPAIGN");
        }
    }
    Ok(Exit::Done)
}

fn give_up(args: &Args, campaign: CampaignId, config: &Path, output: &mut Output) -> Result<Exit, Failure> {
    let end = json!({ "outcome": "given-up" }).to_string();
    let question = Question::post(format!("/v1/campaigns/{campaign}/end"), "application/json", end);
    let ended = args.daemon.ask_json(config, "give up the campaign", &campaign.to_string(), question)?;
    match output.reader() {
        Reader::Programs => output.json(&ended),
        Reader::People => output.say(format_args!(
            "The campaign has ended. {} of {} clients were re-issued, and stay so.",
            text(&ended, "/ordered"),
            text(&ended, "/matched")
        )),
    }
    Ok(Exit::Done)
}

fn row(campaign: &Value) -> Vec<String> {
    let stands = Stands::of(campaign);
    vec![
        text(campaign, "/campaign_id"),
        text(campaign, "/state"),
        instant(&text(campaign, "/opened")),
        chosen(campaign),
        format!("{} of {}", text(campaign, "/ordered"), text(campaign, "/matched")),
        stands.waiting.to_string(),
        stands.mailed.to_string(),
        stands.failed.values().sum::<u64>().to_string(),
        text(campaign, "/reason"),
    ]
}

/// Which clients a campaign is about, and what becomes of their old credentials, in words.
pub(super) fn chosen(campaign: &Value) -> String {
    let given = [
        ("", text(campaign, "/filter/environment")),
        ("api ", text(campaign, "/filter/api")),
        ("organisation ", text(campaign, "/filter/organisation")),
        ("ending before ", text(campaign, "/filter/ends_before")),
        ("", if text(campaign, "/compromised") == "true" { "compromised".to_owned() } else { String::new() }),
    ];
    let words: Vec<_> = given.iter().filter(|(_, value)| !value.is_empty()).collect();
    if words.is_empty() {
        return "all".to_owned();
    }
    words.iter().map(|(name, value)| format!("{name}{value}")).collect::<Vec<_>>().join(", ")
}

/// How the orders of a campaign stand.
#[derive(Default)]
struct Stands {
    waiting: u64,
    mailed: u64,
    failed: std::collections::BTreeMap<String, u64>,
}

impl Stands {
    fn of(campaign: &Value) -> Self {
        let mut stands = Self::default();
        for order in campaign.get("orders").and_then(Value::as_array).into_iter().flatten() {
            let count = order.get("count").and_then(Value::as_u64).unwrap_or(0);
            match text(order, "/state").as_str() {
                "awaiting-pickup" | "completed" => stands.mailed += count,
                "failed" | "cancelled" => *stands.failed.entry(text(order, "/cause")).or_default() += count,
                _ => stands.waiting += count,
            }
        }
        stands
    }
}

/// Rows for the summary of a campaign: what has become of its mails so far.
pub(super) fn standing_rows(campaign: &Value) -> Vec<Vec<String>> {
    let stands = Stands::of(campaign);
    let row = |what: &str, cause: &str, count: u64| vec![what.to_owned(), cause.to_owned(), count.to_string()];
    let mut rows = vec![row("mailed so far", "", stands.mailed), row("to be mailed", "", stands.waiting)];
    rows.extend(stands.failed.iter().map(|(cause, count)| row("failed", cause, *count)));
    rows.into_iter().filter(|row| row.get(2).is_some_and(|count| count != "0")).collect()
}
