//! Which entries somebody wants to see, as he writes it and as each entry is held against it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::super::output::{Exit, Failure};
use super::trust::own_keys;
use crate::domain::duration::parse_duration;
use crate::domain::ids::ApplicationId;
use crate::domain::organisation::{OrganisationNumber, Party};
use crate::domain::pseudonym::Pseudonyms;
use crate::domain::time::Timestamp;
use crate::journal::actor::Actor;
use crate::journal::entry::Entry;
use crate::journal::fact::{ApprovalAccepted, Fact};
use crate::store::archive::Archive;
use crate::store::queries::{ClientFilter, ReadError, application_named};

/// The most clients of an organisation that are asked for at a time.
const CLIENTS: u32 = 250;

/// What an entry must be. Whatever is given must be so; of several kinds, one.
#[derive(Debug, clap::Args)]
pub(super) struct Filter {
    /// Only entries about this client: an application id, a case that was granted to it, or a client_id.
    #[arg(long, value_name = "CLIENT", conflicts_with = "application")]
    client: Option<String>,

    /// Only entries about this application.
    #[arg(long, value_name = "ID")]
    application: Option<ApplicationId>,

    /// Only entries about the organisation with this number, about its clients and its agreements, or by it.
    #[arg(long, value_name = "NUMBER")]
    organisation: Option<OrganisationNumber>,

    /// Only entries of this kind, such as credential.activated, or of all that begin so, such as credential.; again for more.
    #[arg(long = "kind", value_name = "KIND", value_parser = kind)]
    kinds: Vec<String>,

    /// Only what these did: daemon, sender, recipient, operator or mail-system; one of them by name or number, such as
    /// operator:anna or recipient:5590000005; or the name alone.
    #[arg(long, value_name = "ACTOR")]
    actor: Option<Who>,

    /// Not before: an instant such as 2026-11-23T07:30:00Z, a date (UTC), or so long ago, such as 2d or 30m.
    #[arg(long, value_name = "TIME", value_parser = When::since)]
    since: Option<When>,

    /// Not after: the same; a date means all of that day.
    #[arg(long, value_name = "TIME", value_parser = When::until)]
    until: Option<When>,

    /// From this entry on.
    #[arg(long, value_name = "SEQ")]
    pub(super) from: Option<u64>,

    /// Up to this entry.
    #[arg(long, value_name = "SEQ")]
    to: Option<u64>,
}

/// A kind that there is, or a group of them: a misspelled one would silently show nothing.
fn kind(text: &str) -> Result<String, String> {
    let is_one = |kind: &&str| *kind == text || (text.ends_with('.') && kind.starts_with(text));
    let refused =
        || "there are no entries of this kind; such as credential.activated, or credential. for the group".to_owned();
    Fact::KINDS.iter().any(is_one).then(|| text.to_owned()).ok_or_else(refused)
}

/// An instant, or a length of time before now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    At(Timestamp),
    Ago(Duration),
}

impl When {
    fn since(text: &str) -> Result<Self, &'static str> {
        Self::read(text, Timestamp::beginning_of_day)
    }

    fn until(text: &str) -> Result<Self, &'static str> {
        const LAST_INSTANT: Duration = Duration::from_millis(86_400_000 - 1);
        Self::read(text, |text| Timestamp::beginning_of_day(text).map(|day| day.after(LAST_INSTANT)))
    }

    fn read(text: &str, of_date: impl Fn(&str) -> Option<Timestamp>) -> Result<Self, &'static str> {
        let at = of_date(text).or_else(|| Timestamp::of_rfc3339(text)).map(Self::At);
        at.or_else(|| parse_duration(text).ok().map(Self::Ago)).ok_or(
            "an instant such as 2026-11-23T07:30:00Z, a date such as 2026-11-23, or a time ago such as 2d, 12h or 30m",
        )
    }

    fn instant(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(instant) => instant,
            Self::Ago(ago) => now.before(ago),
        }
    }
}

/// Whose doing.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Who {
    /// As what.
    role: Option<Role>,
    /// Which of them.
    name: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Daemon,
    Sender,
    Recipient,
    MailSystem,
    Operator,
}

impl Role {
    fn named(text: &str) -> Option<Self> {
        Some(match text {
            "daemon" => Self::Daemon,
            "sender" => Self::Sender,
            "recipient" => Self::Recipient,
            "mail-system" => Self::MailSystem,
            "operator" => Self::Operator,
            _ => return None,
        })
    }

    fn of(actor: &Actor) -> Self {
        match actor {
            Actor::Daemon => Self::Daemon,
            Actor::Sender { .. } => Self::Sender,
            Actor::Recipient { .. } => Self::Recipient,
            Actor::MailSystem { .. } => Self::MailSystem,
            Actor::Operator { .. } => Self::Operator,
        }
    }
}

impl std::str::FromStr for Who {
    type Err = &'static str;

    /// `operator`, `operator:anna`, `operator anna` as the timeline has it, `anna`.
    fn from_str(text: &str) -> Result<Self, &'static str> {
        let (role, name) = match text.split_once([':', ' ']) {
            Some((role, name)) => (Some(Role::named(role).ok_or(NO_ACTOR)?), Some(name)),
            None => match Role::named(text) {
                Some(role) => (Some(role), None),
                None => (None, Some(text)),
            },
        };
        if name.is_some_and(str::is_empty) { Err(NO_ACTOR) } else { Ok(Self { role, name: name.map(str::to_owned) }) }
    }
}

const NO_ACTOR: &str =
    "daemon, sender, recipient, operator or mail-system, such as operator or operator:anna, or a name alone";

impl Who {
    fn is(&self, actor: &Actor) -> bool {
        self.role.is_none_or(|role| role == Role::of(actor))
            && self.name.as_ref().is_none_or(|name| goes_by(actor, name))
    }
}

/// Whether an actor goes by a name or a number, in whatever spelling. A sole trader has none in the journal.
fn goes_by(actor: &Actor, name: &str) -> bool {
    match actor {
        Actor::Daemon => false,
        Actor::Sender { name: own, .. } => own.as_str() == name,
        Actor::Recipient { party: Party::Organisation(own), .. } => {
            name.parse().is_ok_and(|number: OrganisationNumber| number == *own)
        }
        Actor::Recipient { party: Party::Person(_), .. } => false,
        Actor::MailSystem { uid, account } | Actor::Operator { uid, account } => {
            account.as_ref().is_some_and(|own| own.as_str() == name) || name == uid.to_string()
        }
    }
}

impl Filter {
    /// With everything looked up that is needed to hold entries against it.
    pub(super) fn wanted(&self, config: &Path, archive: &mut Archive, now: Timestamp) -> Result<Wanted<'_>, Failure> {
        let application = match &self.client {
            Some(name) => Some(client_named(archive, name)?),
            None => self.application.clone(),
        };
        let organisation = self.organisation.as_ref().map(|number| Organisation::find(number, config, archive));
        let instant = |when: Option<When>| when.map(|when| when.instant(now));
        Ok(Wanted {
            application,
            since: instant(self.since),
            until: instant(self.until),
            organisation: organisation.transpose()?,
            filter: self,
        })
    }
}

fn client_named(archive: &mut Archive, name: &str) -> Result<ApplicationId, Failure> {
    let found = archive.ask(|queries| application_named(queries, name)).map_err(|error| unreadable(name, &error))?;
    found.ok_or_else(|| {
        Failure::new("show the entries of the client", name, "no client goes by this application id or client_id")
            .hint("tallyd list shows every client; --application looks for the id alone")
    })
}

fn unreadable(name: &str, error: &ReadError) -> Failure {
    let hint = "tallyd audit verify says what is wrong";
    Failure::new("look up", name, error).hint(hint).exit(Exit::NotVerified)
}

/// What is wanted.
pub(super) struct Wanted<'a> {
    /// Of this application alone.
    pub(super) application: Option<ApplicationId>,
    /// Not before.
    pub(super) since: Option<Timestamp>,
    until: Option<Timestamp>,
    organisation: Option<Organisation>,
    filter: &'a Filter,
}

/// What becomes of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is wanted.
    Shown,
    /// It is not.
    Skipped,
    /// Neither it nor any later one is.
    Over,
}

impl Wanted<'_> {
    /// Holds the next entry against it.
    pub(super) fn verdict(&mut self, entry: &Entry) -> Verdict {
        let Filter { kinds, actor, to, .. } = self.filter;
        if to.is_some_and(|to| entry.seq > to) || self.until.is_some_and(|until| entry.time > until) {
            return Verdict::Over;
        }
        let is_of_kind = |wanted: &String| match wanted.ends_with('.') {
            true => entry.fact.kind().starts_with(wanted),
            false => entry.fact.kind() == wanted,
        };
        let fits = self.organisation.as_mut().is_none_or(|organisation| organisation.is_in(entry))
            && self.since.is_none_or(|since| entry.time >= since)
            && (kinds.is_empty() || kinds.iter().any(is_of_kind))
            && actor.as_ref().is_none_or(|who| who.is(&entry.actor));
        if fits { Verdict::Shown } else { Verdict::Skipped }
    }
}

/// An organisation as the journal names it, and the applications of its clients, which most entries name alone.
struct Organisation {
    party: Party,
    written: Value,
    applications: BTreeSet<ApplicationId>,
}

impl Organisation {
    fn find(number: &OrganisationNumber, config: &Path, archive: &mut Archive) -> Result<Self, Failure> {
        let party = party(number, config)?;
        let filter = ClientFilter { party: Some(party.clone()), ..ClientFilter::default() };
        let mut applications = BTreeSet::new();
        loop {
            let after = applications.last();
            let page = archive.ask(|queries| queries.clients(&filter, after, CLIENTS));
            let page = page.map_err(|error| unreadable("the clients of the organisation", &error))?;
            let known = applications.len();
            applications.extend(page.into_iter().map(|view| view.client.application));
            if applications.len() == known {
                break;
            }
        }
        // Every part of an entry can be written as JSON.
        let written = serde_json::to_value(&party).unwrap_or_default();
        Ok(Self { party, written, applications })
    }

    /// Whether an entry is about the organisation or by it. Clients that are new to it are learnt on the way.
    fn is_in(&mut self, entry: &Entry) -> bool {
        if let (Fact::ApprovalAccepted(approval), Some(application)) = (&entry.fact, entry.subject.application())
            && self.is_of(approval)
        {
            self.applications.insert(application.clone());
        }
        entry.subject.application().is_some_and(|application| self.applications.contains(application))
            || serde_json::to_value(entry).is_ok_and(|entry| stands_in(&self.written, &entry))
    }

    fn is_of(&self, approval: &ApprovalAccepted) -> bool {
        approval.party == self.party
    }
}

/// A sole trader's number stands in the journal as a hash, which takes the agency's key.
fn party(number: &OrganisationNumber, config: &Path) -> Result<Party, Failure> {
    if !number.is_person() {
        return Ok(Party::Organisation(number.clone()));
    }
    let pseudonyms: Option<Pseudonyms> = own_keys(config)?.1;
    let pseudonyms = pseudonyms.ok_or_else(|| {
        Failure::new("find a sole trader", "", "the journal names people by a keyed hash").exit(Exit::Refused)
    })?;
    Ok(pseudonyms.party(number))
}

/// Whether a value stands anywhere in another.
fn stands_in(sought: &Value, value: &Value) -> bool {
    sought == value
        || match value {
            Value::Object(members) => members.values().any(|member| stands_in(sought, member)),
            Value::Array(items) => items.iter().any(|item| stands_in(sought, item)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::sample::History;
    use crate::journal::subject::Subject;

    #[test]
    fn a_time_is_an_instant_a_date_or_so_long_ago() {
        let now: Timestamp = "2026-11-23T07:30:00.000Z".parse().unwrap();
        let since = |text| When::since(text).map(|when| when.instant(now).to_string());
        let until = |text| When::until(text).map(|when| when.instant(now).to_string());
        assert_eq!(since("2026-11-20").unwrap(), "2026-11-20T00:00:00.000Z");
        assert_eq!(until("2026-11-20").unwrap(), "2026-11-20T23:59:59.999Z");
        assert_eq!(since("2026-11-20T08:00:00+01:00").unwrap(), "2026-11-20T07:00:00.000Z");
        assert_eq!(until("2026-11-20T08:00:00.5Z").unwrap(), "2026-11-20T08:00:00.500Z");
        assert_eq!(since("2d").unwrap(), "2026-11-21T07:30:00.000Z");
        for text in ["", "yesterday", "2026-11", "2026-11-20 08:00", "2026-11-20T08:00:00", "-2d", "2 d"] {
            assert!(since(text).is_err() && until(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_actor_is_found_by_what_it_is_and_by_its_name() {
        let certificate = crate::domain::digest::Fingerprint::of(b"certificate");
        let sender = Actor::Sender { name: "case-system".parse().unwrap(), certificate };
        let operator = Actor::Operator { uid: 1000, account: "anna".parse().ok() };
        let recipient = Actor::Recipient { party: Party::Organisation("5590000005".parse().unwrap()), certificate };
        let is = |text: &str| -> Vec<bool> {
            let who: Who = text.parse().unwrap();
            [&Actor::Daemon, &sender, &operator, &recipient].iter().map(|actor| who.is(actor)).collect()
        };
        assert_eq!(is("daemon"), [true, false, false, false]);
        for text in ["sender", "sender:case-system", "sender case-system", "case-system"] {
            assert_eq!(is(text), [false, true, false, false], "{text}");
        }
        for text in ["operator:anna", "operator:1000", "anna", "1000"] {
            assert_eq!(is(text), [false, false, true, false], "{text}");
        }
        assert_eq!(is("recipient:NTRSE-5590000005"), [false, false, false, true]);
        assert_eq!(is("operator:case-system"), [false; 4]);
        assert!(["", "operator:", "clerk:anna"].iter().all(|text| text.parse::<Who>().is_err()));
    }

    #[test]
    fn a_kind_is_one_or_all_of_a_group_and_nothing_that_there_is_not() {
        assert!(kind("credential.activated").is_ok() && kind("credential.").is_ok());
        assert!(["credential", "credential.activate", ".", "", "x."].iter().all(|text| kind(text).is_err()));
    }

    #[test]
    fn an_organisation_is_found_in_everything_about_its_clients_and_agreements_and_by_it() {
        let entries = History::of_length(5, 2500).entries;
        let party = entries.iter().find_map(|entry| match (&entry.fact, &entry.subject) {
            (Fact::AgreementSigned(_), Subject::Agreement { party, .. }) => Some(party.clone()),
            _ => None,
        });
        let party = party.unwrap();
        let written = serde_json::to_value(&party).unwrap();
        let mut organisation = Organisation { party: party.clone(), written, applications: BTreeSet::new() };
        let text = serde_json::to_string(&party).unwrap();
        let mut own = BTreeSet::new();
        let mut found = (0, 0);
        for entry in &entries {
            let named = String::from_utf8(entry.canonical()).unwrap().contains(&text);
            if matches!(&entry.fact, Fact::ApprovalAccepted(approval) if approval.party == party) {
                own.extend(entry.subject.application().cloned());
            }
            let about = entry.subject.application().is_some_and(|application| own.contains(application));
            assert_eq!(organisation.is_in(entry), named || about, "{entry:?}");
            found = (found.0 + usize::from(named), found.1 + usize::from(about && !named));
        }
        assert!(found.0 > 1 && found.1 > 1 && found.0 + found.1 < entries.len(), "{found:?}");
    }
}
