//! `tallyd list`: clients, and how their orders are going.

use std::path::Path;

use serde_json::Value;

use super::operator::{Daemon, encoded, instant, text};
use super::output::{Exit, Failure, Output, Reader};
use super::requests::waits;
use super::show::verifying;
use crate::domain::ids::Environment;
use crate::http::client::Question;

/// The most clients that the daemon gives at a time.
const PAGE: usize = 500;

/// What to list.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only clients of this environment: test or production.
    #[arg(long, value_name = "ENVIRONMENT")]
    environment: Option<Environment>,

    /// Only clients with an order that is under way or parked.
    #[arg(long)]
    unfinished: bool,

    #[command(flatten)]
    daemon: Daemon,
}

/// Lists page by page, so that neither side holds everything at once.
pub fn run(args: &Args, config: &Path, output: &mut Output) -> Result<Exit, Failure> {
    let mut rows = Vec::new();
    let mut after = String::new();
    loop {
        let mut target = format!("/v1/clients?limit={PAGE}");
        if let Some(environment) = args.environment {
            target.push_str(&format!("&environment={environment}"));
        }
        if args.unfinished {
            target.push_str("&unfinished=true");
        }
        if !after.is_empty() {
            target.push_str(&format!("&after={}", encoded(&after)));
        }
        let page = args.daemon.ask_json(config, "list clients", "", Question::get(target))?;
        let clients = page.as_array().cloned().unwrap_or_default();
        after = clients.last().map(|client| text(client, "/application_id")).unwrap_or_default();
        let last = clients.len() < PAGE;
        match output.reader() {
            Reader::People => rows.extend(clients.iter().map(row)),
            Reader::Programs => clients.iter().for_each(|client| output.json(client)),
        }
        if last {
            break;
        }
    }
    if output.reader() == Reader::People {
        let mut headings =
            vec!["application", "environment", "organisation", "software", "order", "since", "credential"];
        // Most agencies have no such column, and most days it would be empty.
        if rows.iter().any(|row| row.last().is_some_and(|waits| !waits.is_empty())) {
            headings.push("waits for a second person");
        } else {
            rows.iter_mut().for_each(|row| drop(row.pop()));
        }
        output.table(&headings, &rows, "There are no clients.");
    }
    Ok(Exit::Done)
}

fn row(client: &Value) -> Vec<String> {
    let cause = text(client, "/order/cause");
    let order = text(client, "/order/state");
    vec![
        text(client, "/application_id"),
        text(client, "/environment"),
        text(client, "/organisation/name"),
        text(client, "/software"),
        if cause.is_empty() { order } else { format!("{order} ({cause})") },
        instant(&text(client, "/order/changed")),
        verifying(client),
        waits(client).join("; "),
    ]
}
