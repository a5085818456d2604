//! `tallyd requests`: what waits for a second person, and what became of the rest. Also what `approve` and `deny` show.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::consequences;
use super::operator::{Daemon, instant, text};
use super::output::{Exit, Failure, Output, Reader};
use super::show::verifying;
use crate::domain::campaign::Filter;
use crate::domain::duration::spelled;
use crate::domain::issuance::Replacement;
use crate::domain::organisation::Party;
use crate::domain::request::{Asked, Content, RequestId};
use crate::http::client::Question;
use crate::journal::request_id;

/// The most requests that the daemon gives at a time.
const PAGE: usize = 500;

/// What to show.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this request, with everything that approving it would do.
    request: Option<RequestId>,

    /// Also those that are approved, denied, expired or failed.
    #[arg(long, conflicts_with = "request")]
    all: bool,

    #[command(flatten)]
    daemon: Daemon,
}

/// Shows them, the newest first.
pub fn run(args: &Args, config: &Path, output: &mut Output) -> Result<Exit, Failure> {
    if let Some(request) = args.request {
        let shown = Shown::ask(&args.daemon, config, "show the request", request)?;
        match output.reader() {
            Reader::People => output.data(shown.told()),
            Reader::Programs => output.json(&shown.document),
        }
        return Ok(Exit::Done);
    }
    let mut rows = Vec::new();
    let mut before = String::new();
    loop {
        let waiting = if args.all { "" } else { "&waiting=true" };
        let target = format!("/v1/requests?limit={PAGE}{waiting}{before}");
        let page = args.daemon.ask_json(config, "list requests", "", Question::get(target))?;
        let requests = page.as_array().cloned().unwrap_or_default();
        before = requests.last().map(|last| format!("&before={}", text(last, "/request"))).unwrap_or_default();
        match output.reader() {
            Reader::People => rows.extend(requests.iter().map(row)),
            Reader::Programs => requests.iter().for_each(|request| output.json(request)),
        }
        if requests.len() < PAGE {
            break;
        }
    }
    if output.reader() == Reader::People {
        let none = if args.all { "Nothing was ever asked for." } else { "Nothing waits for a second person." };
        output.table(&["request", "order", "client", "asked by", "reason", "state", "expires"], &rows, none);
    }
    Ok(Exit::Done)
}

fn row(request: &Value) -> Vec<String> {
    vec![
        text(request, "/request"),
        text(request, "/command"),
        text(request, "/content/application"),
        asked_by(request),
        text(request, "/content/reason"),
        state(request),
        instant(&text(request, "/content/expires")),
    ]
}

/// Where a request stands, and by whom: `denied by bo: …`.
fn state(request: &Value) -> String {
    let by = person(request, "/decided_by");
    let by = if by.is_empty() { by } else { format!(" by {by}") };
    let cause = text(request, "/cause");
    let cause = if cause.is_empty() { cause } else { format!(": {cause}") };
    format!("{}{by}{cause}", text(request, "/state"))
}

fn asked_by(request: &Value) -> String {
    person(request, "/content/by")
}

fn person(request: &Value, path: &str) -> String {
    let (account, uid) = (text(request, &format!("{path}/account")), text(request, &format!("{path}/uid")));
    if account.is_empty() && !uid.is_empty() { format!("uid {uid}") } else { account }
}

/// What waits about one client, in a line: `revoke, asked by anna, K7QF-2M9D-0R4T-8WXZ until …`.
pub(super) fn waits(client: &Value) -> Vec<String> {
    let requests = client.pointer("/requests").and_then(Value::as_array).cloned().unwrap_or_default();
    let line = |request: &Value| {
        let (command, id) = (text(request, "/command"), text(request, "/request"));
        let expires = instant(&text(request, "/content/expires"));
        format!("{command}, asked by {}, {id} until {expires}", asked_by(request))
    };
    requests.iter().map(line).collect()
}

/// What is to be said of an order that waits for a second person instead of being carried out.
pub(super) fn put_off(answer: &Value) -> Option<String> {
    if text(answer, "/status") != "awaiting-approval" {
        return None;
    }
    let (id, expires) = (text(answer, "/request"), instant(&text(answer, "/content/expires")));
    let mut said = vec!["Nothing has been done yet: this takes a second person.".to_owned()];
    let is_urgent = ["/command", "/content/asked/replaces"].map(|path| text(answer, path));
    if is_urgent.iter().any(|word| ["reissue-compromised", "revoke", "compromised"].contains(&word.as_str())) {
        said.push("Until it is approved, whatever verifies now still verifies.".to_owned());
    }
    if text(answer, "/command") == "contacts-forget" {
        said.push(format!("If nobody denies it by {expires}, it is carried out all the same."));
    }
    said.push(format!(
        "Before {expires} another operator, from another account than yours, is to run: tallyd approve {id}"
    ));
    Some(said.join("\n"))
}

/// Whether the order waits; then that is said, and what to do.
pub(super) fn is_put_off(answer: &Value, output: &mut Output) -> bool {
    let Some(said) = put_off(answer) else { return false };
    match output.reader() {
        Reader::Programs => output.json(answer),
        Reader::People => {
            output.data(text(answer, "/request"));
            output.say(said);
        }
    }
    true
}

/// The filters of a campaign, in words.
fn chosen(filter: &Filter) -> String {
    let party = filter.party.as_ref().map(|party| match party {
        Party::Organisation(number) => format!("organisation {number}"),
        Party::Person(_) => "one sole trader".to_owned(),
    });
    let given = [
        filter.environment.map(|environment| format!("environment {environment}")),
        filter.api.as_ref().map(|api| format!("API {api}")),
        party,
        filter.ends_before.map(|before| format!("ends before {}", before.date())),
        filter.registered_by.map(|by| format!("registered by {}", instant(&by.to_string()))),
    ];
    let given: Vec<_> = given.into_iter().flatten().collect();
    if given.is_empty() { "all that there are".to_owned() } else { given.join(", ") }
}

/// One request as the daemon shows it, held against its id.
pub(super) struct Shown {
    id: RequestId,
    content: Content,
    document: Value,
}

impl Shown {
    /// Asks for it. What the daemon shows must be what the id stands for.
    pub(super) fn ask(daemon: &Daemon, config: &Path, tried: &str, id: RequestId) -> Result<Self, Failure> {
        let question = Question::get(format!("/v1/requests/{id}"));
        let document = daemon.ask_json(config, tried, &id.to_string(), question)?;
        let content = document.get("content").cloned().unwrap_or_default();
        let content: Content = serde_json::from_value(content).map_err(|cause| Failure::new(tried, id, cause))?;
        if request_id(&content) != id {
            let cause = "the daemon shows another content than the one that this id stands for";
            return Err(Failure::new(tried, id, cause).hint("nothing was done; have the machine looked at"));
        }
        Ok(Self { id, content, document })
    }

    /// Everything that there is to know before saying yes.
    pub(super) fn told(&self) -> String {
        let document = &self.document;
        let client = document.get("client").cloned().unwrap_or_default();
        let about = ["/application_id", "/environment", "/organisation/name", "/organisation/number", "/software"]
            .map(|path| text(&client, path));
        let about: Vec<_> = about.iter().filter(|part| !part.is_empty()).map(String::as_str).collect();
        let lines = [
            ("request", self.id.to_string()),
            ("order", self.order()),
            ("address", self.address()),
            ("client", about.join(", ")),
            ("verifies now", if client.is_null() { String::new() } else { verifying(&client) }),
        ];
        let consequences = if text(document, "/state") == "waiting" {
            consequences::of(&self.content.asked, &client)
        } else {
            Vec::new()
        };
        let asked = [
            ("asked by", format!("{} (uid {})", self.content.by, self.content.by.uid)),
            ("reason", self.content.reason.to_string()),
            ("case", self.content.case.as_ref().map(ToString::to_string).unwrap_or_default()),
            ("asked", instant(&self.content.made.to_string())),
            ("expires", instant(&self.content.expires.to_string())),
            ("state", state(document)),
        ];
        let told = lines.iter().chain(&consequences).chain(&asked).filter(|(_, value)| !value.is_empty());
        told.map(|(name, value)| format!("{name:<13} {value}")).collect::<Vec<_>>().join("\n")
    }

    /// The address that it brings; the daemon has held it against the hash in the content.
    fn address(&self) -> String {
        let address = text(&self.document, "/address");
        let missing = self.content.asked.brings().is_some() && text(&self.document, "/state") == "waiting";
        if address.is_empty() && missing {
            return "is not there any more, or is another than was asked for: approving will fail".to_owned();
        }
        address
    }

    /// The order in words, with every parameter.
    fn order(&self) -> String {
        let command = self.content.asked.command();
        let after = |grace_seconds: u32| spelled(Duration::from_secs(u64::from(grace_seconds)));
        match &self.content.asked {
            Asked::Reissue { grace_seconds } => {
                let grace = after(*grace_seconds);
                format!("{command}: a new credential; the old one verifies until it is proven, and {grace} after that")
            }
            Asked::ReissueAll { filter, replaces, matched, limit } => {
                let old = match replaces {
                    Replacement::GraceSeconds(grace_seconds) => {
                        let grace = after(*grace_seconds);
                        format!("each old one verifies until the new one is proven, and {grace} after that")
                    }
                    Replacement::Compromised | Replacement::First => {
                        "whatever verifies of them ends at once".to_owned()
                    }
                };
                let clients = chosen(filter);
                format!("{command}: new credentials for {limit} of {matched} clients at most ({clients}); {old}")
            }
            Asked::ReissueCompromised {} => {
                format!("{command}: a new credential; whatever verifies now ends at once")
            }
            Asked::ReissueTo { replaces, contact } => {
                let old = match replaces {
                    Replacement::GraceSeconds(grace_seconds) => {
                        let grace = after(*grace_seconds);
                        format!("the old one verifies until it is proven, and {grace} after that")
                    }
                    Replacement::Compromised | Replacement::First => "whatever verifies now ends at once".to_owned(),
                };
                let language = contact.language;
                format!("{command}: a new credential, part 1 of which goes to another address ({language}); {old}")
            }
            Asked::ContactsAdd { contact } => {
                format!("{command}: one more contact, {} ({})", contact.role, contact.language)
            }
            Asked::ContactsChange { contact, to } => {
                let (role, language) = (to.role, to.language);
                format!("{command}: another address for the {role} contact {contact}, written to in {language}")
            }
            Asked::ContactsSpeak { contact, language } => {
                format!("{command}: the contact {contact} is written to in {language}")
            }
            Asked::ContactsForget { contact } => {
                format!("{command}: the address of the contact {contact} is erased")
            }
            Asked::Revoke {} => format!("{command}: whatever verifies ends, and what is on its way is taken back"),
        }
    }
}
