//! What an entry says, as a sentence for people. Digests, certificates and ids that only programs compare are left to the
//! canonical form.

use std::fmt::Display;
use std::time::Duration;

use super::fact::{
    AgreementFollowed, ApprovalAccepted, CampaignOpened, CredentialGenerated, Fact, JournalRecovered, NoticeQueued,
    Ordered, Reported, RequestMade, ServiceStarted,
};
use crate::domain::agreement::AgreementState;
use crate::domain::duration::spelled;
use crate::domain::ids::EventPart;
use crate::domain::issuance::Replacement;
use crate::domain::name::Name;
use crate::domain::organisation::Party;
use crate::domain::time::Timestamp;

/// The sentence, without a full stop.
pub(super) fn sentence(fact: &Fact) -> String {
    match fact {
        Fact::JournalOpened(it) => format!("{} began the journal of {}", it.software, it.origin),
        Fact::JournalRecovered(it) => recovered(it),
        Fact::ServiceStarted(it) => started(it),
        Fact::ClockStepped(it) => format!("the clock was set from {} to {}", it.from, it.to),
        Fact::EventConflicted(it) => {
            format!("the event {} came with another body and was refused", it.event.id.as_str())
        }
        Fact::EventRefused(it) => format!("an event that its sender may not send was refused ({})", it.r#type),
        Fact::ApprovalAccepted(it) => approved(it),
        Fact::ApprovalRepeated(_) => "approved once more; nothing was issued".to_owned(),
        Fact::GrantAdded(it) => {
            format!("case {} grants {} as well; nothing was issued", it.application, list(&it.apis))
        }
        Fact::AgreementSigned(it) => format!("the agreement was {}", signed(it.until)),
        Fact::AgreementEnded(_) => "the agreement was ended".to_owned(),
        Fact::AgreementFollowed(it) => followed(it),
        Fact::CampaignOpened(it) => campaign(it),
        Fact::CampaignClosed(it) => format!("the campaign is {} with {} clients re-issued", it.outcome, it.ordered),
        Fact::ReissueOrdered(it) => ordered("new keys were ordered", it),
        Fact::RevocationOrdered(it) => ordered("its keys were ordered to end", it),
        Fact::RequestMade(it) => asked(it),
        Fact::RequestApproved(_) => "a second person said yes".to_owned(),
        Fact::RequestDenied(it) => format!("a second person said no: {}", it.reason),
        Fact::RequestExpired(_) => "nobody said anything in time".to_owned(),
        Fact::RequestFailed(it) => format!("a second person said yes, and it could not be carried out ({})", it.cause),
        Fact::RequestContested(it) => format!("whoever asked tried to be the second person ({} so far)", it.count),
        Fact::RequestReported(it) => reported(it.outcome),
        Fact::ContactAdded(it) => because(&format!("the {} contact was added", it.contact.role), &it.reason, &it.case),
        Fact::ContactReplaced(it) => {
            because(&format!("the {} contact was replaced", it.contact.role), &it.reason, &it.case)
        }
        Fact::ContactLanguageChanged(it) => {
            because(&format!("a contact is written to in {}", it.language), &it.reason, &it.case)
        }
        Fact::ContactForgotten(it) => because("a contact's address was erased", &it.reason, &it.case),
        Fact::ContactErased(_) => "the address of a contact that was replaced was erased".to_owned(),
        Fact::ContactsTold(it) | Fact::NoticeQueued(it) => notices(it),
        Fact::IssuanceOpened(it) => format!("an order was opened; {}", old(it.replaces)),
        Fact::IssuanceQueued(it) => format!("the order {}", waits(it.attempts, it.not_before)),
        Fact::IssuanceFailed(it) => format!("the order is parked for an operator ({})", it.cause),
        Fact::IssuanceCancelled(it) => format!("the order was called off ({})", it.cause),
        Fact::IssuanceCompleted(_) => "the order is done".to_owned(),
        Fact::CredentialGenerated(it) => generated(it),
        Fact::MailAccepted(_) => "the relay took the mail with part 1".to_owned(),
        Fact::MailReturned(it) => format!("the mail with part 1 came back{}", in_brackets(it.status)),
        Fact::CredentialAbandoned(it) => format!("it will never verify ({})", it.cause),
        Fact::ShareCollected(it) => format!("part 2 was fetched (fetch {})", it.fetch),
        Fact::PickupReminded(_) => "half of the pickup window is over without a proof".to_owned(),
        Fact::PickupRefused(it) => format!("part 2 was refused to another certificate ({} so far)", it.count),
        Fact::ProofRefused(it) => format!("a wrong proof was refused ({} so far)", it.count),
        Fact::CredentialActivated(it) => format!("both parts are proven; it verifies{}", until(it.life_ends)),
        Fact::CredentialRetiring(it) => format!("a newer version took over; it verifies{}", until(Some(it.until))),
        Fact::CredentialEnded(it) => format!("it verifies no more ({})", it.cause),
        Fact::EndingAnnounced(it) => format!("{} days are left; it ends {}", it.days, it.ends.to_the_minute()),
        Fact::NoticeAccepted(_) => "the relay took a notice".to_owned(),
        Fact::NoticeDeferred(it) => format!("a notice {}", waits(it.attempts, it.not_before)),
        Fact::NoticeDropped(_) => "a notice was given up".to_owned(),
        Fact::EpochOpened(it) => format!("sealing epoch {} began", it.epoch),
        Fact::EpochDestroyed(it) => format!("the key of sealing epoch {} was destroyed", it.epoch),
    }
}

fn recovered(it: &JournalRecovered) -> String {
    let lost: Vec<_> = it.lost.iter().map(|lost| format!("{} entries of {}", lost.size, lost.held_by)).collect();
    let went_on = format!("the journal goes on from {} entries, without {}", it.had, lost.join(", "));
    because(&went_on, &it.reason, &it.case)
}

fn started(it: &ServiceStarted) -> String {
    let governed = list(&it.four_eyes);
    let eyes = if governed.is_empty() { String::new() } else { format!("; a second person is needed for {governed}") };
    format!("{} came up{eyes}", it.software)
}

fn approved(it: &ApprovalAccepted) -> String {
    let under = it.agreement.as_ref().map(|agreement| format!(", under agreement {agreement}")).unwrap_or_default();
    let (software, party, apis) = (&it.software, party(&it.party), list(&it.apis));
    format!("approved for {}: {software} of {party} may call {apis}{under}", it.environment)
}

fn followed(it: &AgreementFollowed) -> String {
    let stands = match it.state {
        AgreementState::Signed { until } => signed(until),
        AgreementState::Ended { .. } => "ended".to_owned(),
    };
    format!("the agreement that it rests on was {stands} (entry {})", it.as_of)
}

fn campaign(it: &CampaignOpened) -> String {
    let limit = it.limit.map(|limit| format!(", at most {limit}")).unwrap_or_default();
    let ordered = format!("new keys were ordered for {} clients{limit}; {}", it.matched, old(it.replaces));
    because(&ordered, &it.reason, &it.case)
}

fn asked(it: &RequestMade) -> String {
    let waits = format!("{} waits for a second person{}", it.asked.command(), until(Some(it.expires)));
    because(&waits, &it.reason, &it.case)
}

fn reported(outcome: Reported) -> String {
    match outcome {
        Reported::Accepted {} => "the relay took the mail about the request".to_owned(),
        Reported::Dropped {} => "the mail about the request was given up".to_owned(),
        Reported::Deferred { attempts, not_before } => {
            format!("the mail about the request {}", waits(attempts, not_before))
        }
    }
}

fn ordered(what: &str, it: &Ordered) -> String {
    let by_request = it.request.map(|request| format!(", by request {request}")).unwrap_or_default();
    because(&format!("{what}{by_request}"), &it.reason, &it.case)
}

fn generated(it: &CredentialGenerated) -> String {
    let labels = list(it.keys.keys());
    format!("secrets were made and split ({labels}); pickup is open{}", until(Some(it.window_ends)))
}

fn notices(it: &NoticeQueued) -> String {
    let operators = if it.operators.is_some() { " and to the agency's operators" } else { "" };
    match it.notices.len() {
        1 => format!("a notice goes to a contact{operators} ({})", it.what),
        several => format!("notices go to {several} contacts{operators} ({})", it.what),
    }
}

fn waits(attempts: u32, not_before: Timestamp) -> String {
    format!("waits for its next attempt, not before {}; {attempts} failed", not_before.to_the_minute())
}

fn signed(ends: Option<Timestamp>) -> String {
    if ends.is_some() {
        format!("signed, in force{}", until(ends))
    } else {
        "signed, in force until it is ended".to_owned()
    }
}

fn until(end: Option<Timestamp>) -> String {
    end.map(|end| format!(" until {}", end.to_the_minute())).unwrap_or_default()
}

/// What becomes of the old keys.
fn old(replaces: Replacement) -> String {
    match replaces {
        Replacement::First => "the keys are the first".to_owned(),
        Replacement::GraceSeconds(seconds) => {
            format!("the old live until the new are proven, and {}", spelled(Duration::from_secs(seconds.into())))
        }
        Replacement::Compromised => "the old ended at once".to_owned(),
    }
}

/// With why, in the words of whoever ordered it.
fn because(what: &str, reason: &Name, case: &Option<EventPart>) -> String {
    let case = case.as_ref().map(|case| format!(", case {}", case.as_str())).unwrap_or_default();
    format!("{what}{case}: {reason}")
}

fn in_brackets(detail: Option<impl Display>) -> String {
    detail.map(|detail| format!(" ({detail})")).unwrap_or_default()
}

fn party(party: &Party) -> String {
    match party {
        Party::Organisation(number) => number.to_string(),
        Party::Person(_) => "a sole trader".to_owned(),
    }
}

fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::journal::sample::History;

    #[test]
    fn every_kind_of_fact_is_told_in_a_sentence_of_its_own() {
        let (mut kinds, mut openings) = (BTreeSet::new(), BTreeSet::new());
        for entry in History::of_length(5, 2500).entries {
            let said = sentence(&entry.fact);
            assert!(said.len() > 10 && !said.contains('\n'), "{said:?}");
            // What only programs compare is not read by people.
            assert!(!said.split(' ').any(|word| word.len() >= 43), "{said}");
            if kinds.insert(entry.fact.kind()) {
                openings.insert(said.split([':', '(', ';']).next().map(str::to_owned));
            }
        }
        assert_eq!(kinds.len(), Fact::KINDS.len());
        // Notices are told of in the same words, whatever they are about.
        assert!(openings.len() + 1 >= kinds.len(), "{openings:?}");
    }
}
