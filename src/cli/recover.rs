//! `tallyd recover`: goes on from an older state when the newer one is gone for good, on record, with everything that the
//! missing entries may have touched named.

use std::path::Path;

use serde_json::{Value, json};

use super::output::{Exit, Failure, Output, Reader};
use super::progress::Progress;
use crate::anchor::standing::Contradiction;
use crate::config::Config;
use crate::daemon::accounts::user_name;
use crate::daemon::recover::{AtRest, Decision, Loss};
use crate::domain::ids::EventPart;
use crate::domain::name::Name;
use crate::journal::actor::Actor;

/// Whether to go on, and why.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Go on without the entries that are missing. What was in flight is abandoned; nothing goes out by itself.
    #[arg(long, requires = "reason", required_unless_present = "dry_run")]
    accept_loss: bool,

    /// Why, for the journal.
    #[arg(long, value_name = "TEXT")]
    reason: Option<Name>,

    /// The agency's case.
    #[arg(long, value_name = "ID")]
    case: Option<EventPart>,

    /// Say what is missing and what it touches; change nothing.
    #[arg(long, conflicts_with = "accept_loss")]
    dry_run: bool,
}

/// Looks, and goes on if told to.
pub fn run(args: &Args, config: &Path, output: &mut Output) -> Result<Exit, Failure> {
    let config = Config::load(config)?;
    // Before the process takes the service's account: who is asking is the kernel's word on this process.
    let uid = rustix::process::getuid().as_raw();
    let account = user_name(uid).and_then(|name| name.parse().ok());
    let mut progress = None;
    let at_rest = AtRest::open(&config, &mut |read, of| {
        progress.get_or_insert_with(|| Progress::over("entries", of, 0)).reached(read, output);
    });
    if let Some(progress) = progress {
        progress.end();
    }
    let at_rest = at_rest?;
    let Some(reason) = args.reason.clone().filter(|_| args.accept_loss) else {
        show(at_rest.loss(), false, output);
        return Ok(Exit::Done);
    };
    let decision = Decision { actor: Actor::Operator { uid, account }, reason, case: args.case.clone() };
    let loss = at_rest.go_on(decision)?;
    show(&loss, true, output);
    output.say(
        "The journal goes on, and says so (journal.recovered). Start the service, and look at each of these: tallyd",
    );
    output.say("show tells its timeline as far as it is known; reissue and revoke are yours to decide.");
    Ok(Exit::Done)
}

fn show(loss: &Loss, done: bool, output: &mut Output) {
    match output.reader() {
        Reader::Programs => output.json(&as_json(loss, done)),
        Reader::People => for_people(loss, done, output),
    }
}

fn for_people(loss: &Loss, done: bool, output: &mut Output) {
    let missing =
        loss.fence.iter().map(ToString::to_string).chain(loss.asked.contradict.iter().map(Contradiction::to_string));
    missing.for_each(|cause| output.say(cause));
    for (anchor, cause, hint) in &loss.asked.silent {
        output.say(format_args!("anchor {anchor} could not be asked: {cause}\nhint: {hint}"));
    }
    let became = |given_up: &'static str, known: &'static str| if done { given_up } else { known };
    let deliveries = loss.touched.deliveries.iter().map(|(application, reference)| {
        let meaning = became("abandoned (state-lost)", "on its way; would be abandoned");
        vec![application.to_string(), reference.to_string(), meaning.to_owned()]
    });
    let orders = loss.touched.orders.iter().map(|application| {
        let meaning = became("order failed (state-lost)", "queued; would be parked");
        vec![application.to_string(), String::new(), meaning.to_owned()]
    });
    let verifying = loss.touched.verifying.iter().map(|(application, version)| {
        vec![application.to_string(), format!("v{version}"), "verifies; its end may be missing".to_owned()]
    });
    let rows: Vec<_> = deliveries.chain(orders).chain(verifying).collect();
    output.table(&["application", "delivery", "what is known"], &rows, "Nothing that is known here is touched.");
}

fn as_json(loss: &Loss, done: bool) -> Value {
    let touched = &loss.touched;
    let deliveries = touched.deliveries.iter().map(|(application, reference)| {
        json!({ "application_id": application.as_str(), "reference": reference.to_string() })
    });
    let verifying = touched
        .verifying
        .iter()
        .map(|(application, version)| json!({ "application_id": application.as_str(), "version": version }));
    json!({
        "recovered": done,
        "had": loss.had,
        "fence": loss.fence.as_ref().map(ToString::to_string),
        "lost": loss.asked.contradict.iter().map(Contradiction::given_up).collect::<Vec<_>>(),
        "silent_anchors": loss.asked.silent.iter().map(|(anchor, ..)| anchor.as_str()).collect::<Vec<_>>(),
        "deliveries": deliveries.collect::<Vec<_>>(),
        "orders": touched.orders.iter().map(|application| application.as_str()).collect::<Vec<_>>(),
        "verifying": verifying.collect::<Vec<_>>(),
    })
}
