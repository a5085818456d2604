//! One attempt to bring a credential to its recipient: the relay accepts the mailbox, the secret is made, what is kept
//! of it goes on record, the mail leaves, and what the relay said goes on record.
//!
//! A crash anywhere in here needs no memory of it: what has no answer on record is abandoned at the next start.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::desk::Desk;
use super::errand::{Done, Next, OnRecord, ReadAhead, Recording, Successor, Way, after_reading, unread};
use super::generate::{Bundle, Generated, MailShares};
use super::notify::{NoticeOutcome, SettleNotice};
use super::request_time::SettleReport;
use super::retry::Setback;
use super::settle::{Outcome, Settle};
use crate::domain::contact::{Contact, EmailAddress, Language};
use crate::domain::credential::{AbandonCause, Credential};
use crate::domain::ids::{ApplicationId, ContactId, Environment, IssuanceId, NoticeId};
use crate::domain::notice::{Addressee, NoticeKind};
use crate::domain::openpgp::{BadKey, NotEncrypted, OpenPgpKey};
use crate::domain::request::{News, Request, RequestId, RequestState};
use crate::mail::{
    Agency, Following, MailFailure, MailNotWritten, NoticeMail, Offered, OutgoingMail, PartOne, PickupUrl, RequestMail,
    Session, Verdict,
};
use crate::platform::memory::Scrubbed;
use crate::store::contract::{Command, Recorded, SubmitError};
use crate::store::queries::{Correspondence, ReadError};

/// How long to wait before something that could not be put on record is tried again.
const RECORD_AGAIN: Duration = Duration::from_secs(1);

/// What the agency's mails say of itself.
pub struct Letterhead {
    /// Who writes.
    pub agency: Agency,
    /// Where the agency's own operators are told, and in which language.
    pub operators: Option<(EmailAddress, Language)>,
    /// Where part 2 is, per environment.
    pub pickup: BTreeMap<Environment, PickupUrl>,
}

/// Takes mails to the relay.
#[derive(Clone)]
pub struct Courier {
    desk: Arc<Desk>,
    letterhead: Arc<Letterhead>,
}

impl Courier {
    /// Works for this desk, under this letterhead.
    pub fn new(desk: Arc<Desk>, letterhead: Arc<Letterhead>) -> Self {
        Self { desk, letterhead }
    }

    /// The desk that it works for.
    pub fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    /// Makes one attempt at one order. What was read ahead of it serves for as long as nobody can have noticed; what
    /// changed since then is found out when the version is to be put on record.
    pub async fn deliver(
        &self,
        way: Way,
        application: ApplicationId,
        issuance: IssuanceId,
        ahead: Option<ReadAhead>,
        successor: Successor<'_>,
    ) -> Done {
        // It was handed out before issuing stopped; it is due again when issuing goes on.
        if self.desk.is_held() {
            return Done::with(way.take_back().await);
        }
        let own = application.clone();
        let read = match ahead.and_then(ReadAhead::if_fresh) {
            Some(correspondence) => Ok(Some(correspondence)),
            None => self.desk.read(move |queries| queries.correspondence(&own)).await,
        };
        let addressee = match read {
            Ok(Some(addressee)) if addressee.client.issuance.id == issuance => addressee,
            // Superseded between the queue and here.
            Ok(_) => return Done::with(way.take_back().await),
            Err(error) => return unread(way.take_back().await, &application, error),
        };
        let to = addressee.client.contacts.technical().map(|contact| contact.id);
        let attempt = Attempt { courier: self, application, issuance, to };
        let Some(contact) = addressee.technical() else {
            tracing::error!(%issuance, "the technical contact was erased; the order needs a new one");
            let session = way.take_back().await;
            return attempt.settle(Following::Nothing(session), None, Outcome::NoVersion(Setback::Permanent));
        };
        if let Err(why) =
            self.key_of(contact).and_then(|key| key.map_or(Ok(()), |key| key.usable(self.desk.clock.now())))
        {
            tracing::error!(%issuance, "the OpenPGP key of the technical contact {why}; part 1 is not mailed without it");
            let session = way.take_back().await;
            return attempt.settle(Following::Nothing(session), None, Outcome::NoVersion(Setback::KeyUnusable));
        }
        let to = contact.email.clone();
        match way.offer(&to).await {
            // The address was changed since it was offered; the order is still due.
            Ok(offered) if *offered.to() != to => Done::with(offered.withdraw().await),
            // This is the future that sees plaintext: its stack is wiped at every pause.
            Ok(offered) => Scrubbed::new(attempt.run(offered, to, addressee, successor)).await,
            Err((session, failure)) => attempt.put_off(session, failure),
        }
    }

    /// What part 1 must be encrypted to: the key that the journal vouches for, and no other.
    fn key_of<'a>(&self, contact: &'a Contact) -> Result<Option<&'a OpenPgpKey>, BadKey> {
        let key = contact.openpgp_key.as_ref();
        let is_on_record = key.map(|key| self.desk.pseudonyms.of_openpgp_key(key)) == contact.reference.openpgp_key;
        if is_on_record { Ok(key) } else { Err(BadKey::NotOnRecord) }
    }

    /// Mails one notice.
    pub async fn tell(&self, session: Session, application: ApplicationId, notice: NoticeId) -> Done {
        let addressee = match self.whole(&application).await {
            Ok(Some(addressee)) => addressee,
            Ok(None) => return Done::with(Some(session)),
            Err(error) => return unread(Some(session), &application, error),
        };
        let (session, outcome) = match self.notice(&addressee, notice) {
            Some(mail) => match hand_over(session, mail).await {
                Ok(sent) => sent,
                Err(done) => return done,
            },
            None => (Some(session), NoticeOutcome::Dropped),
        };
        let desk = Arc::clone(&self.desk);
        let settle = move || SettleNotice {
            application: application.clone(),
            notice,
            outcome,
            jitter: desk.jitter(),
            policy: Arc::clone(&desk.policy),
        };
        Done::recording(Following::Nothing(session), self.record(settle))
    }

    fn notice(&self, addressee: &Correspondence, id: NoticeId) -> Option<OutgoingMail> {
        let notice = addressee.client.notices.get(&id)?;
        let (to, language) = match notice.to {
            Addressee::Contact(id) => {
                let contact = addressee.contacts.iter().find(|contact| contact.reference.id == id)?;
                (contact.email.clone(), contact.reference.language)
            }
            Addressee::Operators => self.letterhead.operators.clone()?,
        };
        let of_notice = |credential: &&Credential| Some(credential.reference) == notice.reference;
        let client = &addressee.client;
        let credential = client.credentials.values().find(of_notice);
        let end = credential.filter(|credential| client.active() == Some(*credential));
        let end = end.and_then(|active| client.end_of(active));
        if notice.what == NoticeKind::Ending && end.is_none() {
            // Renewed or ended since it was queued: there is no end ahead to tell of.
            return None;
        }
        let now = self.desk.clock.now();
        let mail = NoticeMail {
            to,
            language,
            id,
            kind: notice.what,
            reference: notice.reference,
            application: client.application.clone(),
            software: client.software.clone(),
            organisation: addressee.organisation_name()?,
            environment: client.environment,
            apis: client.apis.clone(),
            written: now,
            window_ends: credential.map_or(now, |credential| credential.window_ends),
            end,
            ended: credential.and_then(Credential::end_cause),
            pickup: self.letterhead.pickup.get(&client.environment).cloned(),
            agency: self.letterhead.agency.clone(),
        };
        mail.write().map_err(|error| tracing::error!(notice = %id, %error, "a notice could not be written")).ok()
    }

    /// Mails the report on one request that has waited longest.
    pub async fn report(&self, session: Session, request: RequestId) -> Done {
        let found = match self.desk.read(move |queries| queries.request(request)).await {
            Ok(found) => found,
            Err(error) => {
                tracing::error!(%request, %error, "a request cannot be read from the tables");
                return after_reading(Some(session), &error);
            }
        };
        let due =
            |request: &Request| request.reports.iter().min_by_key(|(_, report)| report.not_before).map(|(id, _)| *id);
        let Some((request, report)) = found.and_then(|found| due(&found).map(|report| (found, report))) else {
            return Done::with(Some(session));
        };
        let (session, outcome) = match self.write_report(&request, report) {
            Some(mail) => match hand_over(session, mail).await {
                Ok(sent) => sent,
                Err(done) => return done,
            },
            None => (Some(session), NoticeOutcome::Dropped),
        };
        let (desk, request) = (Arc::clone(&self.desk), request.id);
        let settle =
            move || SettleReport { request, report, outcome, jitter: desk.jitter(), policy: Arc::clone(&desk.policy) };
        Done::recording(Following::Nothing(session), self.record(settle))
    }

    fn write_report(&self, request: &Request, id: NoticeId) -> Option<OutgoingMail> {
        let (to, language) = self.letterhead.operators.clone()?;
        let decided_by = match &request.state {
            RequestState::Waiting | RequestState::Expired { .. } => None,
            RequestState::Approved { by, .. } | RequestState::Denied { by, .. } | RequestState::Failed { by, .. } => {
                Some(by.clone())
            }
        };
        let news = request.reports.get(&id)?.news;
        if news == News::Made && request.state != RequestState::Waiting {
            // Decided before anybody could be told: the outcome is told.
            return None;
        }
        let mail = RequestMail {
            to,
            language,
            id,
            news,
            request: request.id,
            command: request.content.asked.command(),
            application: request.content.application.clone(),
            asked_by: request.content.by.clone(),
            decided_by,
            expires: request.content.expires,
            written: self.desk.clock.now(),
            agency: self.letterhead.agency.clone(),
        };
        mail.write().map_err(|error| tracing::error!(report = %id, %error, "a report could not be written")).ok()
    }

    /// Also what is final: notices tell of it.
    async fn whole(&self, application: &ApplicationId) -> Result<Option<Correspondence>, ReadError> {
        let application = application.clone();
        self.desk
            .read(move |queries| {
                let Some(view) = queries.client(&application)? else { return Ok(None) };
                let contacts = queries.contacts(&application)?;
                Ok(Some(Correspondence { client: view.client, contacts, organisation: view.organisation }))
            })
            .await
    }

    /// Submits until it is on record. A refusal means that the order was overtaken: then there is nothing to record.
    /// While the disk is full the version stays as it is; a stop or a crash now leaves it to the next start.
    fn record<C: Command>(&self, command: impl Fn() -> C + Send + 'static) -> Recording {
        let desk = Arc::clone(&self.desk);
        Box::pin(async move {
            loop {
                match desk.submit(command()).await {
                    Ok(recorded) => {
                        recorded.into_answer();
                        desk.work.notify_one();
                        return OnRecord::Yes;
                    }
                    Err(SubmitError::Refused(_)) => return OnRecord::Yes,
                    Err(SubmitError::Unavailable(why)) if why.concerns_one() => {
                        tracing::error!(%why, "what the relay said cannot be put on record; the next start clears it up");
                        return OnRecord::CannotBe;
                    }
                    Err(SubmitError::Unavailable(why)) => {
                        tracing::warn!(%why, "what the relay said cannot be put on record yet; trying again");
                        tokio::time::sleep(RECORD_AGAIN).await;
                    }
                }
            }
        })
    }
}

/// One attempt at one order.
struct Attempt<'a> {
    courier: &'a Courier,
    application: ApplicationId,
    issuance: IssuanceId,
    /// The contact that the mail is for.
    to: Option<ContactId>,
}

impl Attempt<'_> {
    /// The relay has accepted the recipient.
    async fn run(
        self,
        offered: Offered,
        to: EmailAddress,
        addressee: Correspondence,
        successor: Successor<'_>,
    ) -> Done {
        let desk = &self.courier.desk;
        let made =
            Bundle::make(&addressee.client, Arc::clone(&desk.policy), &desk.sealer, &*desk.random, desk.clock.now());
        let (record, shares) = match made {
            Ok(bundle) => bundle.into_parts(),
            Err(error) => {
                tracing::error!(issuance = %self.issuance, %error, "no secret could be made; the order stays queued");
                return Done::not_begun(offered.withdraw().await);
            }
        };
        // A crash from here to the answer on record leaves a version that the next start abandons.
        let recorded = match desk.submit(record).await {
            Ok(recorded) => recorded,
            Err(SubmitError::Refused(_)) => return Done::with(offered.withdraw().await),
            Err(SubmitError::Unavailable(why)) => {
                tracing::warn!(issuance = %self.issuance, %why, "no version can be put on record now");
                let session = offered.withdraw().await;
                return if why.concerns_one() { Done::aside(session) } else { Done::not_begun(session) };
            }
        };
        let (version, reference) = (recorded.answer().version, recorded.answer().reference);
        let Some(mail) = self.write(&addressee, &to, shares, &recorded) else {
            let session = offered.withdraw().await;
            return self.settle(Following::Nothing(session), Some(version), Outcome::Void(AbandonCause::MailRefused));
        };
        let (following, sent) = match successor() {
            Some(next) => offered.send_and_offer(mail, &next).await,
            None => {
                let (session, sent) = offered.send(mail).await;
                (Following::Nothing(session), sent)
            }
        };
        let outcome = match sent {
            Ok(receipt) => {
                tracing::info!(issuance = %self.issuance, %reference, reply = %receipt.reply(), "the relay took the mail with part 1");
                Outcome::Accepted
            }
            Err(failure) => {
                self.warn(failure);
                Outcome::Void(match failure.verdict() {
                    Verdict::Later => AbandonCause::MailDeferred,
                    Verdict::Never => AbandonCause::MailRefused,
                    Verdict::Unknown => AbandonCause::MailUnknown,
                })
            }
        };
        self.settle(following, Some(version), outcome)
    }

    /// The relay did not take the recipient; no secret was made.
    fn put_off(&self, session: Option<Session>, failure: MailFailure) -> Done {
        self.warn(failure);
        match failure {
            // The connection is gone or nobody can be trusted: that is about the relay, not about this order.
            MailFailure::Unreachable { .. } | MailFailure::Untrusted(_) | MailFailure::Login(_) => {
                return Done::not_begun(session);
            }
            MailFailure::Deferred { .. }
            | MailFailure::Refused { .. }
            | MailFailure::Unknown { .. }
            | MailFailure::Misaddressed => {}
        }
        let setback = match failure.verdict() {
            Verdict::Never => Setback::Permanent,
            Verdict::Later | Verdict::Unknown => Setback::Passing,
        };
        self.settle(Following::Nothing(session), None, Outcome::NoVersion(setback))
    }

    fn write(
        &self,
        addressee: &Correspondence,
        to: &EmailAddress,
        shares: MailShares,
        recorded: &Recorded<Generated>,
    ) -> Option<OutgoingMail> {
        let client = &addressee.client;
        let letterhead = &self.courier.letterhead;
        let contact = addressee.technical()?;
        let mail = PartOne {
            to: to.clone(),
            language: contact.reference.language,
            message_id: recorded.answer().message_id,
            reference: recorded.answer().reference,
            software: client.software.clone(),
            organisation: addressee.organisation_name()?,
            environment: client.environment,
            apis: client.apis.clone(),
            written: recorded.at(),
            window_ends: recorded.answer().window_ends,
            pickup: letterhead.pickup.get(&client.environment)?.clone(),
            agency: letterhead.agency.clone(),
            shares: shares.release(recorded)?,
            replaces: client.issuance.replaces,
            pinned: !client.pins.is_empty(),
        };
        let failed = |error| tracing::error!(issuance = %self.issuance, %error, "the mail could not be written");
        let written = match self.courier.key_of(contact) {
            Ok(None) => mail.write(),
            Ok(Some(key)) => mail.write_encrypted(key, &*self.courier.desk.random),
            Err(why) => Err(MailNotWritten::from(NotEncrypted::from(why))),
        };
        written.map_err(failed).ok()
    }

    fn settle(&self, following: Following, version: Option<u32>, outcome: Outcome) -> Done {
        let Ok(notices) = self.courier.desk.notice_ids() else {
            // No random bytes: nothing more will be issued, and the next start clears this version up.
            return Done { following, next: Next::Nothing };
        };
        let (application, issuance, to, notices) =
            (self.application.clone(), self.issuance, self.to, Arc::new(notices));
        let desk = Arc::clone(&self.courier.desk);
        let settle = move || Settle {
            application: application.clone(),
            issuance,
            version,
            to,
            outcome,
            jitter: desk.jitter(),
            notices: Arc::clone(&notices),
            policy: Arc::clone(&desk.policy),
        };
        Done::recording(following, self.courier.record(settle))
    }

    fn warn(&self, failure: MailFailure) {
        if failure.is_alarm() {
            tracing::error!(issuance = %self.issuance, %failure, "the relay must be looked at");
        } else {
            tracing::warn!(issuance = %self.issuance, %failure, "the mail with part 1 did not go out");
        }
    }
}

/// Offers and sends a notice. `Err`: the relay could not be talked to.
async fn hand_over(session: Session, mail: OutgoingMail) -> Result<(Option<Session>, NoticeOutcome), Done> {
    let (session, failure) = match session.offer(mail.to()).await {
        Err((session, failure)) => (session, failure),
        Ok(offered) => match offered.send(mail).await {
            (session, Ok(_receipt)) => return Ok((session, NoticeOutcome::Accepted)),
            (session, Err(failure)) => (session, failure),
        },
    };
    if matches!(failure, MailFailure::Unreachable { .. } | MailFailure::Untrusted(_) | MailFailure::Login(_)) {
        return Err(Done::not_begun(session));
    }
    tracing::warn!(%failure, "a notice did not go out");
    Ok(match failure.verdict() {
        Verdict::Never => (session, NoticeOutcome::Dropped),
        Verdict::Later | Verdict::Unknown => (session, NoticeOutcome::Deferred),
    })
}
