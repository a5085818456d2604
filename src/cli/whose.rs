//! `tallyd whose`: says whose a found secret or client_id is, and can end it. The text that it was found in stays here:
//! what goes to the daemon are SHA-256 verifiers and client_ids, and neither opens anything.

mod found;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use super::combine::Pasted;
use super::input;
use super::operator::{Daemon, instant, text};
use super::output::{Exit, Failure, Output, Reader};
use super::requests::put_off;
use super::revoke;
use crate::http::client::Question;
use found::{Found, Thing};

/// How many things one request asks about.
const AT_ONCE: usize = 100;

/// What to do with what is known.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Standard input is a secret, a client_id, or any text that holds some: a leaked file, a log, an HTTP request. Exit codes: 0 \
when at least one is of this agency, 1 when none is.

--revoke ends all credentials of every client of which a secret was found that verifies or may yet. A client_id is no \
secret: one is ended only if it is all that was found.")]
pub struct Args {
    /// End the credentials of whoever it belongs to.
    #[arg(long, requires = "reason")]
    revoke: bool,

    /// Why, for the journal. No personal data.
    #[arg(long, requires = "revoke")]
    reason: Option<String>,

    /// The agency's case, for the journal.
    #[arg(long, requires = "revoke")]
    case: Option<String>,

    #[command(flatten)]
    daemon: Daemon,
}

/// Looks, asks, shows, and ends what is to be ended.
pub fn run(args: &Args, config: &Path, output: &mut Output) -> Result<Exit, Failure> {
    let prompt =
        "Paste the secret, the client_id or the text they were found in, then press Ctrl-D on a line of its own:";
    let found = {
        let pasted = input::text(prompt, "split it, and ask about one piece at a time", output)?;
        let found = Found::in_text(&pasted);
        if found.things.is_empty() && found.damaged.is_empty() {
            return Err(nothing_found(&pasted));
        }
        found
    };
    for damaged in &found.damaged {
        output.say(format_args!(
            "Something begins like a client_secret ({damaged}…) and is not whole: it was cut off or mistyped, so nobody can \
             say whose it is. Look for the rest of it."
        ));
    }
    let known = ask(args, config, &found)?;
    show(&found, &known, output);
    if args.revoke
        && let Some(reason) = &args.reason
    {
        let clients = to_revoke(&found, &known)?;
        if clients.is_empty() {
            output.say("There is nothing to end: no secret that was found verifies, or may yet.");
        }
        for client in clients {
            let answer = revoke::order(&args.daemon, config, &client, reason, args.case.as_deref())?;
            let said = put_off(&answer).unwrap_or_else(|| revoke::told(&answer));
            output.say(format_args!("{client}: {said}"));
        }
    }
    Ok(if known.iter().any(|answer| !answer.is_null()) { Exit::Done } else { Exit::Failed })
}

/// One answer for each thing, in the same order; null for what nobody here has.
fn ask(args: &Args, config: &Path, found: &Found) -> Result<Vec<Value>, Failure> {
    let mut known = Vec::with_capacity(found.things.len());
    for things in found.things.chunks(AT_ONCE) {
        let asked: Vec<_> = things
            .iter()
            .map(|thing| match thing {
                Thing::Secret { verifier, .. } => json!({ "verifier": verifier }),
                Thing::ClientId(client_id) => json!({ "client_id": client_id }),
            })
            .collect();
        let question = Question::post("/v1/whose", "application/json", json!({ "of": asked }).to_string());
        let answer = args.daemon.ask_json(config, "ask whose it is", "", question)?;
        let answers = answer.as_array().filter(|answers| answers.len() == things.len());
        let answers =
            answers.ok_or_else(|| Failure::new("ask whose it is", "", "the daemon's answer has another length"))?;
        known.extend_from_slice(answers);
    }
    Ok(known)
}

fn show(found: &Found, known: &[Value], output: &mut Output) {
    let all = found.things.iter().zip(known);
    if output.reader() == Reader::Programs {
        let all: Vec<_> = all.map(|(thing, answer)| json!({ "found": thing.kind(), "of": answer })).collect();
        return output.json(&all);
    }
    let mut rows = Vec::new();
    let mut numbers = 1..;
    for (thing, answer) in all {
        let name = match thing {
            // The secret itself is not shown again.
            Thing::Secret { start, .. } => format!("secret {} ({start}…)", numbers.next().unwrap_or_default()),
            Thing::ClientId(client_id) => client_id.to_string(),
        };
        if answer.is_null() {
            output.say(format_args!("{name} is well formed, and no client of this agency has it."));
        } else {
            rows.push(row(name, answer));
        }
    }
    let headings = ["found", "application", "environment", "organisation", "client_id", "version", "state", "since"];
    output.table(&headings, &rows, "None of it is known here.");
}

fn row(name: String, answer: &Value) -> Vec<String> {
    let (state, cause) = (text(answer, "/version/state"), text(answer, "/version/cause"));
    let state = match (state.as_str(), cause.is_empty()) {
        ("", _) => "no version yet".to_owned(),
        ("retiring", _) => format!("retiring until {}", instant(&text(answer, "/version/until"))),
        (_, true) => state,
        (_, false) => format!("{state} ({cause})"),
    };
    let since = ["/version/ended", "/version/active_since", "/version/generated"];
    let since = since.iter().map(|path| text(answer, path)).find(|since| !since.is_empty()).unwrap_or_default();
    vec![
        name,
        text(answer, "/application_id"),
        text(answer, "/environment"),
        text(answer, "/organisation/name"),
        format!("{} {}", text(answer, "/label"), text(answer, "/client_id")),
        text(answer, "/version/version"),
        state,
        instant(&since),
    ]
}

/// The applications whose credentials are to end, each once.
fn to_revoke(found: &Found, known: &[Value]) -> Result<BTreeSet<String>, Failure> {
    let mut clients = BTreeSet::new();
    let mut ids_alone = BTreeSet::new();
    let mut secrets = 0;
    for (thing, answer) in found.things.iter().zip(known).filter(|(_, answer)| !answer.is_null()) {
        let application = text(answer, "/application_id");
        match thing {
            Thing::Secret { .. } => {
                secrets += 1;
                let state = text(answer, "/version/state");
                if !["ended", "abandoned"].contains(&state.as_str()) {
                    clients.insert(application);
                }
            }
            Thing::ClientId(_) => drop(ids_alone.insert(application)),
        }
    }
    if secrets > 0 || ids_alone.is_empty() {
        return Ok(clients);
    }
    if ids_alone.len() > 1 {
        let cause = "the text holds client_ids of several clients and no secret, and a client_id is no secret";
        return Err(
            Failure::new("revoke", "", cause).hint("name the one that is to end: tallyd revoke CLIENT --reason …")
        );
    }
    Ok(ids_alone)
}

fn nothing_found(pasted: &str) -> Failure {
    let failure = Failure::new("find a client_secret or a client_id in", "standard input", "there is none");
    match Pasted::find(pasted).shares.first() {
        Some(share) => failure.hint(format!(
            "it holds a part of delivery {}, and one part alone opens nothing; tallyd list shows what awaits its pickup",
            share.reference
        )),
        None => failure.hint("a client_secret looks like ex_prod_ and 49 letters and digits, a client_id like ex-prod- and 20"),
    }
}
