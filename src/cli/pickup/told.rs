//! What is said about a delivery and its keys: in which state they are and what to do next. It asks the server about an e-mail
//! that was pasted by mistake, and changes nothing.

use std::path::Path;

use serde::Serialize;

use super::super::combine::{Pasted, mistake};
use super::super::output::{Failure, Output, Reader};
use super::credential::Keeping;
use super::door::{Collected, Delivery, Door, DoorError, Receipt};
use crate::domain::contact::Language;
use crate::domain::digest::Fingerprint;
use crate::domain::mistake::Mistake;
use crate::domain::reference::Reference;
use crate::domain::share::Side;
use crate::domain::time::Timestamp;
use crate::http::pickup::why;

/// A paste holds the e-mails of a few deliveries at most; the server is not asked about more.
const OTHERS_ASKED_MAX: usize = 3;

/// For programs, with `--json` and `--out`.
#[derive(Serialize)]
struct Printed<'a> {
    reference: Reference,
    state: &'static str,
    active_since: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_credential_until: Option<Timestamp>,
    file: &'a Path,
}

/// The delivery in one sentence.
pub(super) fn what_it_is(delivery: &Delivery) -> String {
    format!(
        "Delivery {}: keys for {} ({}; {}), to be collected before {}.",
        delivery.reference,
        delivery.software,
        delivery.environment,
        delivery.apis.join(", "),
        delivery.window_ends.date()
    )
}

/// Who had part 2 before, plainly: a stranger with the organisation's certificate is noticed here and nowhere else.
pub(super) fn earlier_fetches(collected: &Collected, own: Fingerprint, output: &mut Output) {
    if collected.earlier_fetches.is_empty() {
        return;
    }
    output.say("Part 2 was fetched before:");
    for fetch in &collected.earlier_fetches {
        let certificate = if fetch.certificate_sha256 == own {
            "this certificate".to_owned()
        } else {
            format!("the certificate with SHA-256 {}", fetch.certificate_sha256)
        };
        output.say(format_args!("  on {} from {} with {certificate}", fetch.time, fetch.address));
    }
    output.say("Was that you? If not, tell the agency, and quote the delivery.");
}

/// What the receipt says besides. Where the keys are in a file, programs get it on standard output.
pub(super) fn receipt(reference: Reference, receipt: &Receipt, path: Option<&Path>, output: &mut Output) {
    if let Some(until) = receipt.previous_credential_until {
        output.say(format_args!("The keys that they replace stay valid until {until}."));
    }
    if let (Some(file), Reader::Programs) = (path, output.reader()) {
        output.json(&Printed {
            reference,
            state: "active",
            active_since: receipt.active_since,
            previous_credential_until: receipt.previous_credential_until,
            file,
        });
    }
}

/// The confirmation did not come through, or was refused.
pub(super) fn unconfirmed(
    error: DoorError,
    reference: Reference,
    path: Option<&Path>,
    fetches_left: Option<u32>,
) -> Failure {
    let refused = error.is_refusal();
    let code = error.code().to_owned();
    let failure = error.explain("confirm delivery", reference);
    let state = match (refused, path) {
        (true, None) => "the keys that were printed are not valid".to_owned(),
        (true, Some(path)) => format!("the keys in {} are not valid", path.display()),
        (false, None) => "whether the printed keys are valid yet is not known".to_owned(),
        (false, Some(path)) => format!("the keys stay in {}; whether they are valid yet is not known", path.display()),
    };
    let next = match (path, fetches_left, code.as_str()) {
        // What the file holds was never handed over by this delivery, so the same command would come to the same end.
        (Some(path), None, "wrong-proof" | "not-collected") => {
            format!("Move {} away, then run the same command again with the e-mail", path.display())
        }
        (_, Some(left), _) => {
            format!("Nothing is lost: run the same command again (part 2 can be fetched {left} more times)")
        }
        (_, None, _) => "Nothing is lost: run the same command again".to_owned(),
    };
    let hint = match failure.hint.as_deref() {
        Some(hint) => format!("{state}. {next}; {hint}"),
        None => format!("{state}. {next}"),
    };
    failure.hint(hint)
}

/// It was confirmed, and this run has no keys to hand over.
pub(super) fn keys_are_elsewhere(delivery: &Delivery) -> Failure {
    let cause = format!("it was confirmed, and its keys are valid{}", since(delivery));
    Failure::new("pick up delivery", delivery.reference, cause).hint(
        "the keys that an earlier run printed or wrote are the right ones; if nobody has them, ask the agency for a new issue",
    )
}

/// It was confirmed, and whether with the keys in the file is not known or not so.
pub(super) fn other_keys(error: DoorError, delivery: &Delivery, path: &Path) -> Failure {
    let (path, since) = (path.display(), since(delivery));
    if error.is_refusal() {
        let cause = format!("it was confirmed, with other keys than those in {path}; the others are valid{since}");
        return Failure::new("pick up delivery", delivery.reference, cause)
            .hint("use the keys that were confirmed; if nobody has them, ask the agency for a new issue");
    }
    let failure = error.explain("ask for the receipt of delivery", delivery.reference);
    let hint = format!(
        "the delivery was confirmed, and its keys are valid{since}. Run the same command again for the receipt"
    );
    failure.hint(hint)
}

/// Nothing more can be done with it.
pub(super) fn over(delivery: &Delivery, keeping: &Keeping) -> Failure {
    let code = match (delivery.state.as_str(), delivery.cause.as_deref().unwrap_or_default()) {
        ("generated", _) => "not-yet",
        ("retiring", _) | (_, "grace-ended") => "replaced",
        (_, "mail-deferred" | "mail-refused" | "mail-unknown" | "stopped" | "crashed") => "mail-failed",
        (_, cause) => cause,
    };
    let said = why(code, Language::En);
    // The first sentence says what is so, the others what to do.
    let (cause, rest) = said.split_once(". ").unwrap_or((said.trim_end_matches('.'), ""));
    let mut hints: Vec<String> = Vec::new();
    if let Keeping::Kept(path, _) = keeping {
        hints.push(match delivery.state.as_str() {
            "retiring" => format!("The keys in {} stay valid for a while.", path.display()),
            _ => format!("The keys in {} are not valid.", path.display()),
        });
    }
    match &delivery.replaced_by {
        Some(newer) => hints.push(format!(
            "It was replaced by {0} on {1}: use the e-mail with {0}.",
            newer.reference,
            newer.time.to_the_minute()
        )),
        None => hints.extend((!rest.is_empty()).then(|| rest.to_owned())),
    }
    if hints.is_empty() {
        hints.push("Without a delivery, tallyd pickup lists what awaits you.".to_owned());
    }
    Failure::new("pick up delivery", delivery.reference, cause).hint(hints.join(" "))
}

/// The e-mail of another delivery was pasted: what became of that one. `None` if something else is wrong with the paste.
pub(super) async fn about_others(door: &Door, ours: Reference, pasted: &Pasted) -> Option<Failure> {
    let theirs = pasted.references(Side::Mail);
    if theirs.is_empty() || theirs.contains(&ours) {
        return None;
    }
    for theirs in theirs.into_iter().take(OTHERS_ASKED_MAX) {
        let Ok(delivery) = door.show(theirs).await else { continue };
        let (ours, theirs) = (ours.to_string(), theirs.to_string());
        let both = [("{theirs}", theirs.as_str()), ("{ours}", ours.as_str())];
        match &delivery.replaced_by {
            Some(newer) => {
                let (newer, time) = (newer.reference.to_string(), newer.time.to_the_minute());
                let values = [both[0], both[1], ("{newer}", newer.as_str()), ("{time}", time.as_str())];
                return Some(mistake(Mistake::OtherReplaced, &values));
            }
            None if delivery.state == "mailed" => return Some(mistake(Mistake::OtherOpen, &both)),
            None => {}
        }
    }
    None
}

fn since(delivery: &Delivery) -> String {
    delivery.active_since.map(|at| format!(" since {at}")).unwrap_or_default()
}
