//! The words for a state that is not to be served: from where on what is missing, and what that touches.

use std::fmt::Write as _;

use super::refused::{Kind, Refused};
use super::{anchors, keys::Keys};
use crate::anchor::standing::Contradiction;
use crate::anchor::touched::Touched;
use crate::config::Config;
use crate::store::archive::Archive;
use crate::store::handle::StartError;

/// How many of each are named; `tallyd recover --dry-run` names all.
const NAMED: usize = 5;

const HINT: &str = "nothing is served until this is decided. Find out whether a newer state exists, here or on another \
                    machine that must be stopped, and put it back. When it is gone for good: tallyd recover --dry-run \
                    lists everything that is touched, and tallyd recover --accept-loss --reason … goes on without it, on record";

/// The refusal for a journal that anchors contradict.
pub(super) fn contradicted(config: &Config, contradictions: &[Contradiction]) -> Refused {
    refusal(config, contradictions.iter().map(Contradiction::to_string).collect())
}

/// The refusal for a store that does not open: with what the anchors say and what is touched, when it is the state itself
/// that cannot be trusted.
pub(super) fn not_opened(config: &Config, error: StartError) -> Refused {
    let StartError::Fence(fence) = &error else { return error.into() };
    if !fence.is_quarantine() {
        return error.into();
    }
    let mut causes = vec![fence.to_string()];
    causes.extend(said_by_anchors(config));
    refusal(config, causes)
}

fn said_by_anchors(config: &Config) -> Vec<String> {
    let Ok(keys) = Keys::load(config) else { return Vec::new() };
    let key = keys.journal.verifying_key();
    let asked = Archive::open(&config.state.directory).ok().and_then(|mut archive| {
        let anchors = anchors::of(config, &key).ok()?;
        // Witnesses are asked when the store is open; here it is not going to be.
        anchors::ask(&anchors, &mut archive, &key, anchors::Witnesses::LeftOut).ok()
    });
    asked.map(|asked| asked.contradict.iter().map(Contradiction::to_string).collect()).unwrap_or_default()
}

fn refusal(config: &Config, mut causes: Vec<String>) -> Refused {
    let directory = &config.state.directory;
    match Archive::open(directory)
        .map_err(|error| error.to_string())
        .and_then(|mut archive| archive.ask(Touched::gather).map_err(|error| error.to_string()))
    {
        Ok(touched) => causes.push(told(&touched)),
        Err(error) => causes.push(format!("what that touches cannot be read: {error}")),
    }
    Refused {
        kind: Kind::Quarantine,
        tried: "serve the journal in".to_owned(),
        object: directory.display().to_string(),
        cause: causes.join("\n"),
        hint: HINT.to_owned(),
    }
}

/// What is touched, in three lines.
fn told(touched: &Touched) -> String {
    let Touched { deliveries, orders, verifying } = touched;
    let deliveries: Vec<_> =
        deliveries.iter().map(|(application, reference)| format!("{application} {reference}")).collect();
    let orders: Vec<_> = orders.iter().map(ToString::to_string).collect();
    let verifying: Vec<_> =
        verifying.iter().map(|(application, version)| format!("{application} v{version}")).collect();
    let mut text = "what may have happened in it to what is here:".to_owned();
    for (what, of) in [
        ("deliveries on their way, which may have been picked up or taken back", deliveries),
        ("orders that are queued, which may have been delivered or called off", orders),
        ("credentials that verify, whose end may be missing", verifying),
    ] {
        // Writing to a string does not fail.
        let _ = write!(text, "\n  {what}: {}{}", of.len(), some(&of));
    }
    text
}

fn some(of: &[String]) -> String {
    if of.is_empty() {
        return String::new();
    }
    let more = if of.len() > NAMED { ", …" } else { "" };
    format!(" ({}{more})", of.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", "))
}
