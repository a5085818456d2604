//! What approving a request will bring about, as things are now: what ends and when, what is superseded, and who gets
//! mail. The order in words is for `requests`; what it comes to depends on where the client stands.

use std::time::Duration;

use serde_json::Value;

use super::operator::{instant, text};
use crate::domain::duration::spelled;
use crate::domain::issuance::Replacement;
use crate::domain::request::{Asked, Governed};

/// Each with its name; what is not touched is said to be so.
pub(super) fn of(asked: &Asked, client: &Value) -> Vec<(&'static str, String)> {
    let (ends, superseded, mail) = match asked {
        Asked::ReissueAll { replaces, .. } => (
            each(*replaces),
            "whatever is on its way to them".to_owned(),
            "part 1 to each technical contact; their contacts are told of what ends".to_owned(),
        ),
        Asked::Reissue { .. } | Asked::ReissueCompromised {} => {
            let replaces = asked.replaces().unwrap_or(Replacement::Compromised);
            let part_one = format!("part 1 to the technical contact{}", language(client, "technical"));
            let mail = [Some(part_one), told_of_the_end(replaces, client)];
            (ended(replaces, client), on_its_way(client), joined(mail))
        }
        Asked::ReissueTo { replaces, contact, .. } => {
            let technical = contacts(client).find(|it| text(it, "/role") == "technical");
            let part_one = format!("part 1 to the new address ({}){}", contact.language, unencrypted(technical));
            let change = format!("the change to {}", changed(client, true));
            let mail = [Some(part_one), told_of_the_end(*replaces, client), Some(change)];
            (ended(*replaces, client), on_its_way(client), joined(mail))
        }
        Asked::Revoke {} => {
            let replaces = Replacement::Compromised;
            (ended(replaces, client), on_its_way(client), joined([told_of_the_end(replaces, client)]))
        }
        Asked::ContactsAdd { .. } => {
            (NOTHING.to_owned(), NOTHING.to_owned(), format!("the change to {}", changed(client, false)))
        }
        Asked::ContactsChange { contact, .. } => {
            let before = "the address before, from which part 1 of new keys stays away";
            let is = contacts(client).find(|it| text(it, "/contact_id") == contact.to_string());
            let told = format!("the change to {}{}", changed(client, true), unencrypted(is));
            (NOTHING.to_owned(), before.to_owned(), told)
        }
        Asked::ContactsSpeak { .. } => (NOTHING.to_owned(), NOTHING.to_owned(), "nobody is told of it".to_owned()),
        Asked::ContactsForget { contact } => (
            NOTHING.to_owned(),
            erased(&contact.to_string(), client),
            "the contacts that remain, and the operators".to_owned(),
        ),
    };
    let mut told = vec![("ends", ends), ("superseded", superseded), ("mail", mail)];
    if asked.command() == Governed::ContactsForget {
        told.push(("unanswered", "carried out all the same when the request expires; only deny stops it".to_owned()));
    }
    told
}

const NOTHING: &str = "nothing";

fn each(replaces: Replacement) -> String {
    match replaces {
        Replacement::Compromised | Replacement::First => "whatever verifies of them, at once".to_owned(),
        Replacement::GraceSeconds(seconds) => {
            format!("each when its new one is proven, and {} after that", grace(seconds))
        }
    }
}

fn grace(seconds: u32) -> String {
    spelled(Duration::from_secs(u64::from(seconds)))
}

/// `active v3 when the new one is proven, and 7d after that; retiring v2 at …, as before`.
fn ended(replaces: Replacement, client: &Value) -> String {
    let mut ends: Vec<String> = Vec::new();
    for version in versions(client) {
        let (state, number) = (text(version, "/state"), text(version, "/version"));
        let by_itself = instant(&text(version, "/ends"));
        let at_the_latest = if by_itself.is_empty() { by_itself } else { format!(", at the latest {by_itself}") };
        match (replaces, state.as_str()) {
            (Replacement::GraceSeconds(seconds), "active") => {
                let grace = grace(seconds);
                ends.push(format!(
                    "active v{number} when the new one is proven and {grace} have passed{at_the_latest}"
                ));
            }
            (Replacement::GraceSeconds(_), "retiring") => {
                ends.push(format!("retiring v{number} at {}, as before", instant(&text(version, "/until"))));
            }
            (Replacement::Compromised | Replacement::First, "active" | "retiring") => {
                ends.push(format!("{state} v{number} at once"));
            }
            (Replacement::GraceSeconds(_) | Replacement::Compromised | Replacement::First, _) => {}
        }
    }
    if ends.is_empty() { "nothing: none of the client verifies".to_owned() } else { ends.join("; ") }
}

/// What is under way and would be taken back.
fn on_its_way(client: &Value) -> String {
    let order = text(client, "/order/state");
    let is_open = ["waiting-for-agreement", "queued", "delivering", "awaiting-pickup"].contains(&order.as_str());
    let delivered =
        versions(client).find(|version| ["generated", "mailed"].contains(&text(version, "/state").as_str()));
    match delivered {
        Some(version) => {
            format!("delivery {} of v{}: its parts are void", text(version, "/reference"), text(version, "/version"))
        }
        None if is_open => format!("the order that is {order}"),
        None => NOTHING.to_owned(),
    }
}

fn told_of_the_end(replaces: Replacement, client: &Value) -> Option<String> {
    let verifies = versions(client).any(|version| ["active", "retiring"].contains(&text(version, "/state").as_str()));
    let at_once = match replaces {
        Replacement::Compromised | Replacement::First => true,
        Replacement::GraceSeconds(_) => false,
    };
    (verifies && at_once).then(|| format!("the end to {}", current(client)))
}

/// What a contact's OpenPGP key means for the address in its place: that has none.
fn unencrypted(before: Option<&Value>) -> &'static str {
    match before.and_then(|contact| contact.get("encrypted")).and_then(Value::as_bool) {
        Some(true) => "; part 1 no longer encrypted: the OpenPGP key is that of the address before",
        Some(false) | None => "",
    }
}

/// Whom a change of contacts is told.
fn changed(client: &Value, also_before: bool) -> String {
    let before = if also_before { ", the address before" } else { "" };
    format!("every contact after it{before} and the operators (now: {})", current(client))
}

/// `technical (sv), administrative (en)`: those who are told.
fn current(client: &Value) -> String {
    let told = contacts(client).filter(|contact| text(contact, "/state") == "current");
    let told: Vec<_> = told.map(|it| format!("{} ({})", text(it, "/role"), text(it, "/language"))).collect();
    if told.is_empty() { "nobody".to_owned() } else { told.join(", ") }
}

fn erased(contact: &str, client: &Value) -> String {
    let Some(contact) = contacts(client).find(|it| text(it, "/contact_id") == contact) else {
        return "a contact that the client has no more".to_owned();
    };
    let role = text(contact, "/role");
    let queued = role == "technical" && text(client, "/order/state") == "queued";
    let parked = if queued { "; the order that is queued is parked" } else { "" };
    format!("the address of the {role} contact, for good{parked}")
}

fn language(client: &Value, role: &str) -> String {
    let contact = contacts(client).find(|it| text(it, "/role") == role && text(it, "/state") == "current");
    contact.map(|it| format!(" ({})", text(it, "/language"))).unwrap_or_default()
}

fn joined(mail: impl IntoIterator<Item = Option<String>>) -> String {
    let mail: Vec<_> = mail.into_iter().flatten().collect();
    if mail.is_empty() { "nobody".to_owned() } else { mail.join("; ") }
}

fn versions(client: &Value) -> impl Iterator<Item = &Value> {
    client.pointer("/versions").and_then(Value::as_array).into_iter().flatten()
}

fn contacts(client: &Value) -> impl Iterator<Item = &Value> {
    client.pointer("/contacts").and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(asked: &Asked) -> Vec<String> {
        let client = json!({
            "order": { "state": "awaiting-pickup" },
            "versions": [
                { "version": 1, "reference": "AAAA-AAAA", "state": "retiring", "until": "2026-12-01T10:00:00.000Z" },
                { "version": 2, "reference": "BBBB-BBBB", "state": "active", "ends": "2027-01-01T10:00:00.000Z" },
                { "version": 3, "reference": "CCCC-CCCC", "state": "mailed" },
            ],
            "contacts": [
                { "role": "technical", "language": "sv", "state": "current" },
                { "role": "administrative", "language": "en", "state": "erased" },
            ],
        });
        of(asked, &client).into_iter().map(|(name, what)| format!("{name}: {what}")).collect()
    }

    #[test]
    fn each_order_says_what_ends_when_what_it_supersedes_and_who_gets_mail() {
        assert_eq!(
            told(&Asked::Reissue { grace_seconds: 3600 }),
            [
                "ends: retiring v1 at 2026-12-01 10:00:00, as before; active v2 when the new one is proven and 1h have passed, \
             at the latest 2027-01-01 10:00:00",
                "superseded: delivery CCCC-CCCC of v3: its parts are void",
                "mail: part 1 to the technical contact (sv)",
            ]
        );
        assert_eq!(
            told(&Asked::ReissueCompromised {}),
            [
                "ends: retiring v1 at once; active v2 at once",
                "superseded: delivery CCCC-CCCC of v3: its parts are void",
                "mail: part 1 to the technical contact (sv); the end to technical (sv)",
            ]
        );
        assert_eq!(told(&Asked::Revoke {})[2], "mail: the end to technical (sv)");
        let nothing = of(&Asked::Revoke {}, &json!({ "order": { "state": "queued" } }));
        let nothing: Vec<_> = nothing.into_iter().map(|(_, what)| what).collect();
        assert_eq!(nothing, ["nothing: none of the client verifies", "the order that is queued", "nobody"]);
    }
}
