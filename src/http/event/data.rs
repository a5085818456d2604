//! The `data` of each type of event, read into domain types.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::time::Duration;

use serde_json::Value;

use super::envelope::Envelope;
use super::fields::{Faults, Fields, parse_text};
use crate::domain::approval::{ContactGiven, Requested};
use crate::domain::contact::{EmailAddress, Role};
use crate::domain::contacts::CONTACTS_MAX;
use crate::domain::digest::SpkiPin;
use crate::domain::event::EventType;
use crate::domain::ids::{ApiName, ApplicationId, Environment, EventPart, Label};
use crate::domain::issuance::Replacement;
use crate::domain::name::Name;
use crate::domain::openpgp::{BadKey, OpenPgpKey};
use crate::domain::policy::{PersonalMailbox, Policy};
use crate::domain::time::Timestamp;
use crate::issuance::agreement::{AgreementChange, AgreementEvent};

/// What an event asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// A client and its first credential.
    Approval(Box<Requested>),
    /// A new credential for a client.
    Reissue(OrderData, Replacement),
    /// The end of a client's credentials.
    Revoke(OrderData),
    /// What became of an agreement.
    Agreement(Box<AgreementEvent>),
}

/// What orders by event have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderData {
    /// About which client.
    pub application: ApplicationId,
    /// Why.
    pub reason: Name,
    /// Under which case.
    pub case: Option<EventPart>,
}

/// Reads the data of one event. The policy says which APIs there are and what their bundles hold; keys must be fit for use
/// at this time.
pub fn read(envelope: &Envelope, policy: &Policy, now: Timestamp, faults: &mut Faults) -> Option<Wanted> {
    let pointer = envelope.data_pointer.as_str();
    let mut fields = Fields::of(&envelope.data, pointer, faults)?;
    match envelope.kind {
        EventType::ApplicationApproved => {
            approval(fields, policy, now, faults).map(|wanted| Wanted::Approval(Box::new(wanted)))
        }
        EventType::CredentialReissue => {
            let data = order(&mut fields, faults);
            let replaces = replacement(&mut fields, policy, faults);
            fields.finish(faults);
            Some(Wanted::Reissue(data?, replaces?))
        }
        EventType::CredentialRevoke => {
            let data = order(&mut fields, faults);
            fields.finish(faults);
            Some(Wanted::Revoke(data?))
        }
        EventType::AgreementSigned => {
            let until = until(&mut fields, faults);
            let event = agreement(&mut fields, |until| AgreementChange::Signed { until }, until, faults);
            fields.finish(faults);
            event.map(|event| Wanted::Agreement(Box::new(event)))
        }
        EventType::AgreementEnded => {
            let event = agreement(&mut fields, |()| AgreementChange::Ended, Some(()), faults);
            fields.finish(faults);
            event.map(|event| Wanted::Agreement(Box::new(event)))
        }
    }
}

fn approval(mut fields: Fields<'_>, policy: &Policy, now: Timestamp, faults: &mut Faults) -> Option<Requested> {
    let application = fields.parsed("application_id", faults);
    let environment = fields.parsed::<Environment>("environment", faults);
    let organisation = fields.object("organisation", faults).and_then(|mut organisation| {
        let number = organisation.parsed("number", faults);
        let name = organisation.parsed("name", faults);
        organisation.finish(faults);
        Some((number?, name?))
    });
    let software = fields.parsed("software", faults);
    let apis = set::<ApiName>(&mut fields, "apis", Presence::Required, faults);
    known_apis(&fields, apis.as_ref(), environment, policy, faults);
    let keys = set::<Label>(&mut fields, "keys", Presence::Optional, faults);
    let contacts = contacts(&mut fields, policy, now, faults);
    let agreement = fields.optional("agreement_id", faults);
    if let (Some(Some(apis)), Some(environment), Some(None)) = (&apis, environment, &agreement)
        && policy.needs_agreement(apis, environment)
    {
        let pointer = fields.pointer_to("agreement_id");
        faults.add(&pointer, format_args!("is required: one of these APIs needs an agreement in {environment}"));
    }
    let reuse = fields.optional("reuse_application_id", faults);
    let pins = match fields.value("pickup") {
        None => Some(None),
        Some(value) => pins(value, &fields.pointer_to("pickup"), faults),
    };
    fields.finish(faults);
    let (number, name) = organisation?;
    Some(Requested {
        application: application?,
        environment: environment?,
        number,
        organisation: name,
        software: software?,
        apis: apis??,
        keys: keys?,
        contacts: contacts?,
        agreement: agreement?,
        reuse: reuse?,
        pins: pins?.unwrap_or_default(),
    })
}

fn known_apis(
    fields: &Fields<'_>,
    apis: Option<&Option<BTreeSet<ApiName>>>,
    environment: Option<Environment>,
    policy: &Policy,
    faults: &mut Faults,
) {
    for name in apis.into_iter().flatten().flatten() {
        let pointer = fields.pointer_to("apis");
        match policy.apis.get(name) {
            None => faults.add(&pointer, format_args!("{name} is not a published API")),
            Some(api) if environment.is_some_and(|environment| !api.environments.contains(&environment)) => {
                faults.add(&pointer, format_args!("{name} does not exist in this environment"));
            }
            Some(_) => {}
        }
    }
}

fn contacts(
    fields: &mut Fields<'_>,
    policy: &Policy,
    now: Timestamp,
    faults: &mut Faults,
) -> Option<Vec<ContactGiven>> {
    let pointer = fields.pointer_to("contacts");
    fields.required("contacts", faults)?;
    let items = fields.array("contacts", faults)?;
    if items.is_empty() || items.len() > CONTACTS_MAX {
        faults.add(&pointer, format_args!("must hold 1 to {CONTACTS_MAX} contacts"));
        return None;
    }
    let read: Vec<_> = items.iter().map(|(pointer, item)| contact(item, pointer, policy, now, faults)).collect();
    let contacts: Vec<ContactGiven> = read.into_iter().collect::<Option<_>>()?;
    if contacts.iter().filter(|contact| contact.role == Role::Technical).count() != 1 {
        faults.add(&pointer, "exactly one contact must be technical: the mail share goes to that one mailbox");
    }
    let addresses: BTreeMap<String, ()> =
        contacts.iter().map(|contact| (contact.email.as_str().to_ascii_lowercase(), ())).collect();
    if addresses.len() != contacts.len() {
        faults.add(&pointer, "an address is repeated");
    }
    Some(contacts)
}

fn contact(value: &Value, pointer: &str, policy: &Policy, now: Timestamp, faults: &mut Faults) -> Option<ContactGiven> {
    let mut fields = Fields::of(value, pointer, faults)?;
    let email = fields.parsed::<EmailAddress>("email", faults);
    let personal = email.as_ref().is_some_and(EmailAddress::looks_personal);
    if personal && policy.personal_mailbox == PersonalMailbox::Refuse {
        faults.add(&fields.pointer_to("email"), PERSONAL);
    }
    let language = fields.parsed("language", faults);
    let role = fields.parsed("role", faults);
    let openpgp_key = openpgp_key(&mut fields, role, now, faults);
    fields.finish(faults);
    Some(ContactGiven { email: email?, language: language?, role: role?, openpgp_key: openpgp_key? })
}

/// Whoever asks for encryption is never mailed in plain text: a key that cannot be used is refused, and so is one that
/// would not be used. `Some(None)` when there is none.
fn openpgp_key(
    fields: &mut Fields<'_>,
    role: Option<Role>,
    now: Timestamp,
    faults: &mut Faults,
) -> Option<Option<OpenPgpKey>> {
    let pointer = fields.pointer_to("openpgp_key");
    let Some(value) = fields.value("openpgp_key") else { return Some(None) };
    if cfg!(not(feature = "openpgp")) {
        // Its form is not the point then.
        faults.add(&pointer, BadKey::NotBuilt);
        return None;
    }
    if role == Some(Role::Administrative) {
        faults.add(&pointer, KEY_OF_NO_USE);
        return None;
    }
    let key = parse_text::<OpenPgpKey>(value, &pointer, faults)?;
    key.usable(now).map_err(|why| faults.add(&pointer, why)).ok()?;
    Some(Some(key))
}

/// What is said of a key that nothing would be encrypted to.
const KEY_OF_NO_USE: &str = "only part 1 is encrypted, and only the technical contact gets it; notices hold no part and \
    go to this contact as they are";

/// What is said of an address that looks like a person's own.
pub const PERSONAL: &str = "looks like a person's own address; give a shared mailbox, which stays when people move on";

/// What both events about an agreement have, and what the one at hand says became of it.
fn agreement<T>(
    fields: &mut Fields<'_>,
    change: impl FnOnce(T) -> AgreementChange,
    told: Option<T>,
    faults: &mut Faults,
) -> Option<AgreementEvent> {
    let agreement = fields.parsed("agreement_id", faults);
    let organisation = fields.object("organisation", faults).and_then(|mut organisation| {
        let number = organisation.parsed("number", faults);
        let name = organisation.optional("name", faults);
        organisation.finish(faults);
        Some((number?, name?))
    });
    let (number, organisation) = organisation?;
    Some(AgreementEvent { number, organisation, agreement: agreement?, change: change(told?) })
}

/// `valid_until`: a date, which means to the end of that day in UTC, or an instant; `Some(None)` when there is none.
fn until(fields: &mut Fields<'_>, faults: &mut Faults) -> Option<Option<Timestamp>> {
    let pointer = fields.pointer_to("valid_until");
    let text = fields.optional::<String>("valid_until", faults)?;
    let Some(text) = text else { return Some(None) };
    let day = Duration::from_secs(86_400);
    let instant = match Timestamp::beginning_of_day(&text) {
        // The last day that there is does for "without end" in many registers; it stays in the range.
        Some(midnight) => Some(midnight.after(day)),
        None => text.parse::<jiff::Timestamp>().ok().and_then(|it| Timestamp::from_millis(it.as_millisecond())),
    };
    if instant.is_none() {
        faults.add(&pointer, "must be a date such as 2027-12-31, or an RFC 3339 timestamp");
    }
    instant.map(Some)
}

fn pins(value: &Value, pointer: &str, faults: &mut Faults) -> Option<Option<BTreeSet<SpkiPin>>> {
    let mut fields = Fields::of(value, pointer, faults)?;
    let pins = set::<SpkiPin>(&mut fields, "spki_sha256", Presence::Required, faults);
    fields.finish(faults);
    pins
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Required,
    Optional,
}

/// A set of texts: 1 to 32 of them, none repeated. `Some(None)` when it is absent and may be.
fn set<T: FromStr<Err: ToString> + Ord>(
    fields: &mut Fields<'_>,
    name: &'static str,
    presence: Presence,
    faults: &mut Faults,
) -> Option<Option<BTreeSet<T>>> {
    let pointer = fields.pointer_to(name);
    if presence == Presence::Required {
        fields.required(name, faults)?;
    } else if fields.value(name).is_none() {
        return Some(None);
    }
    let items = fields.array(name, faults)?;
    if items.is_empty() || items.len() > 32 {
        faults.add(&pointer, "must hold 1 to 32 items");
        return None;
    }
    let mut set = BTreeSet::new();
    let mut whole = true;
    for (pointer, item) in items {
        let item = parse_text::<T>(item, &pointer, faults);
        let new = item.map(|item| set.insert(item));
        if new == Some(false) {
            faults.add(&pointer, "is repeated");
        }
        whole &= new == Some(true);
    }
    whole.then_some(Some(set))
}

fn order(fields: &mut Fields<'_>, faults: &mut Faults) -> Option<OrderData> {
    let application = fields.parsed("application_id", faults);
    let reason = fields.parsed("reason", faults);
    let case = fields.optional("case", faults);
    Some(OrderData { application: application?, reason: reason?, case: case? })
}

/// `compromised: true`, or `grace_seconds`, or neither for the agency's usual grace.
fn replacement(fields: &mut Fields<'_>, policy: &Policy, faults: &mut Faults) -> Option<Replacement> {
    let compromised = match fields.value("compromised") {
        None => false,
        Some(Value::Bool(compromised)) => *compromised,
        Some(_) => {
            faults.add(&fields.pointer_to("compromised"), "must be true or false");
            return None;
        }
    };
    let pointer = fields.pointer_to("grace_seconds");
    let grace = match fields.value("grace_seconds") {
        None => None,
        Some(value) => match value.as_u64().and_then(|seconds| u32::try_from(seconds).ok()) {
            Some(seconds) => Some(seconds),
            None => {
                faults.add(&pointer, "must be a whole number of seconds");
                return None;
            }
        },
    };
    if grace.is_some_and(|seconds| Duration::from_secs(seconds.into()) > policy.grace_max) {
        faults.add(&pointer, format_args!("must be at most {} seconds", policy.grace_max.as_secs()));
        return None;
    }
    match (compromised, grace) {
        (true, None) => Some(Replacement::Compromised),
        (true, Some(_)) => {
            faults.add(&pointer, "cannot go with compromised: the old credential ends at once");
            None
        }
        (false, seconds) => {
            let usual = u32::try_from(policy.grace.as_secs()).unwrap_or(u32::MAX);
            Some(Replacement::GraceSeconds(seconds.unwrap_or(usual)))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::digest::BodyDigest;
    use crate::domain::ids::EventKey;
    use crate::domain::policy::{AgreementRule, Api};
    use crate::http::problem::Fault;
    use crate::journal::fact::EventIdentity;

    fn policy(personal_mailbox: PersonalMailbox) -> Policy {
        let api = Api {
            category: "restricted".parse().unwrap(),
            keys: ["oauth2".parse().unwrap()].into(),
            environments: Environment::ALL.iter().copied().collect(),
            agreement: AgreementRule::Production,
            life: None,
        };
        Policy {
            prefix: "ex".parse().unwrap(),
            pickup_window: Duration::ZERO,
            fetches_max: 1,
            wrong_proofs_max: 1,
            refusals_recorded_max: 1,
            attempts_max: 1,
            retry_first: Duration::ZERO,
            retry_longest: Duration::ZERO,
            grace: Duration::ZERO,
            grace_max: Duration::ZERO,
            personal_mailbox,
            tells_operators: false,
            four_eyes: Default::default(),
            case_required: Default::default(),
            request_life: Duration::ZERO,
            apis: [("register".parse().unwrap(), api)].into(),
        }
    }

    fn read_as(kind: &str, data: Value, personal: PersonalMailbox) -> Result<Wanted, Vec<Fault>> {
        let event = EventKey { source: "/cases".parse().unwrap(), id: "e-1".parse().unwrap() };
        let identity = EventIdentity { event, body: BodyDigest::of(b"body") };
        let envelope = Envelope { identity, kind: kind.parse().unwrap(), data, data_pointer: "/data".to_owned() };
        let mut faults = Faults::default();
        let now = "2026-11-26T12:00:00.000Z".parse().unwrap();
        let wanted = read(&envelope, &policy(personal), now, &mut faults);
        wanted.filter(|_| faults.is_empty()).ok_or_else(|| faults.into_vec())
    }

    fn faults(kind: &str, data: Value) -> Vec<String> {
        let faults = read_as(kind, data, PersonalMailbox::Refuse).unwrap_err();
        faults.into_iter().map(|fault| fault.pointer).collect()
    }

    fn approval(environment: &str, agreement: Option<&str>, email: &str) -> Value {
        json!({
            "application_id": "A-1", "environment": environment,
            "organisation": {"number": "559000-0005", "name": "Exempel AB"},
            "software": "Exempel", "apis": ["register"], "agreement_id": agreement,
            "contacts": [{"email": email, "language": "sv", "role": "technical"}],
        })
    }

    const APPROVED: &str = "tallyd.application.approved.v1";
    const SIGNED: &str = "tallyd.agreement.signed.v1";

    #[test]
    fn an_agreement_is_required_where_the_api_needs_one() {
        let mailbox = "api@exempel.se";
        assert_eq!(faults(APPROVED, approval("production", None, mailbox)), ["/data/agreement_id"]);
        for data in [approval("test", None, mailbox), approval("production", Some("AVT-1"), mailbox)] {
            assert!(matches!(read_as(APPROVED, data, PersonalMailbox::Refuse), Ok(Wanted::Approval(_))));
        }
    }

    #[test]
    fn a_persons_own_mailbox_is_refused_only_where_the_agency_says_so() {
        let data = || approval("test", None, "anna.svensson@exempel.se");
        assert_eq!(faults(APPROVED, data()), ["/data/contacts/0/email"]);
        for personal in [PersonalMailbox::Allow, PersonalMailbox::Warn] {
            assert!(read_as(APPROVED, data(), personal).is_ok());
        }
    }

    /// With the feature: tests/it/openpgp.rs.
    #[cfg(not(feature = "openpgp"))]
    #[test]
    fn an_approval_that_asks_for_encrypted_mail_is_refused_and_never_mailed_in_plain_text() {
        let mut data = approval("test", None, "api@exempel.se");
        for asked in [json!("-----BEGIN PGP PUBLIC KEY BLOCK-----"), json!(""), json!({})] {
            data["contacts"][0]["openpgp_key"] = asked;
            assert_eq!(faults(APPROVED, data.clone()), ["/data/contacts/0/openpgp_key"]);
        }
        let refused = read_as(APPROVED, data, PersonalMailbox::Warn).unwrap_err();
        assert!(refused[0].detail.contains("mail is not encrypted here"), "{}", refused[0].detail);
    }

    #[test]
    fn reuse_names_the_earlier_application() {
        let mut data = approval("test", None, "api@exempel.se");
        data["reuse_application_id"] = json!("A-0");
        let Ok(Wanted::Approval(requested)) = read_as(APPROVED, data.clone(), PersonalMailbox::Warn) else {
            panic!("it is read");
        };
        assert_eq!(requested.reuse, Some("A-0".parse().unwrap()));
        data["reuse_application_id"] = json!(7);
        assert_eq!(faults(APPROVED, data), ["/data/reuse_application_id"]);
    }

    #[test]
    fn an_agreement_is_valid_to_the_end_of_its_last_day() {
        let until = |text: Option<&str>| {
            let data = json!({
                "agreement_id": "AVT-1", "organisation": {"number": "5590000005"}, "valid_until": text,
            });
            match read_as(SIGNED, data, PersonalMailbox::Warn) {
                Ok(Wanted::Agreement(event)) => event.change,
                other => panic!("{other:?}"),
            }
        };
        let signed = |text: &str| AgreementChange::Signed { until: Some(text.parse().unwrap()) };
        assert_eq!(until(None), AgreementChange::Signed { until: None });
        assert_eq!(until(Some("2027-12-31")), signed("2028-01-01T00:00:00.000Z"));
        assert_eq!(until(Some("2027-12-31T12:00:00+01:00")), signed("2027-12-31T11:00:00.000Z"));
        assert_eq!(until(Some("9999-12-31")), AgreementChange::Signed { until: Some(Timestamp::LAST) });
        for wrong in ["2027-02-30", "2027", "tomorrow", "", "1969-12-31", "2027-12-31 12:00"] {
            let data = json!({
                "agreement_id": "AVT-1", "organisation": {"number": "5590000005"}, "valid_until": wrong,
            });
            assert_eq!(faults(SIGNED, data), ["/data/valid_until"], "{wrong}");
        }
    }

    #[test]
    fn an_ended_agreement_has_no_other_field() {
        let ended = "tallyd.agreement.ended.v1";
        let mut data = json!({"agreement_id": "AVT-1", "organisation": {"number": "5590000005"}});
        let read = read_as(ended, data.clone(), PersonalMailbox::Warn);
        assert!(matches!(read, Ok(Wanted::Agreement(event)) if event.change == AgreementChange::Ended));
        data["valid_until"] = json!("2027-12-31");
        assert_eq!(faults(ended, data), ["/data/valid_until"]);
        assert_eq!(faults(ended, json!({})), ["/data/agreement_id", "/data/organisation"]);
    }
}
