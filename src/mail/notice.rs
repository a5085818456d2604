//! Notices and receipts: mails that tell that something happened to a delivery. They hold no part of a secret.

use std::collections::BTreeSet;

use askama::Template;

use super::message::{Agency, Envelope, MailNotWritten, OutgoingMail, finish};
use super::part_one::{PickupUrl, environment_en, environment_sv, render};
use crate::domain::contact::{EmailAddress, Language};
use crate::domain::credential::EndCause;
use crate::domain::ending::End;
use crate::domain::ids::{ApiName, ApplicationId, Environment, NoticeId};
use crate::domain::name::Name;
use crate::domain::notice::NoticeKind;
use crate::domain::reference::Reference;
use crate::domain::time::Timestamp;

/// Everything that a notice says.
#[derive(Debug, Clone)]
pub struct NoticeMail {
    /// To whom.
    pub to: EmailAddress,
    /// In which language.
    pub language: Language,
    /// Its id; the left part of the Message-ID.
    pub id: NoticeId,
    /// What happened.
    pub kind: NoticeKind,
    /// To which delivery; none when it is about the client as a whole.
    pub reference: Option<Reference>,
    /// Of which case.
    pub application: ApplicationId,
    /// For which software.
    pub software: Name,
    /// Whose.
    pub organisation: Name,
    /// Test or production.
    pub environment: Environment,
    /// What the client may call now.
    pub apis: BTreeSet<ApiName>,
    /// When the mail is written.
    pub written: Timestamp,
    /// When the pickup window closes; told while it is open.
    pub window_ends: Timestamp,
    /// When the active credential ends by itself, and why.
    pub end: Option<End>,
    /// Why it has ended, when it has.
    pub ended: Option<EndCause>,
    /// Where part 2 is.
    pub pickup: Option<PickupUrl>,
    /// Who writes.
    pub agency: Agency,
}

impl NoticeMail {
    /// Writes the mail.
    pub fn write(&self) -> Result<OutgoingMail, MailNotWritten> {
        let place = match self.language {
            Language::Sv => environment_sv(self.environment),
            Language::En => environment_en(self.environment),
        };
        let view = View {
            mail: self,
            place,
            window_ends: self.window_ends.to_the_minute(),
            ends: self.end.map(|end| end.at.to_the_minute()).unwrap_or_default(),
            agreement: self.end.is_some_and(|end| end.cause == EndCause::AgreementEnded),
            apis: self.apis.iter().map(ApiName::as_str).collect::<Vec<_>>().join(", "),
        };
        let (text, html) = match self.language {
            Language::Sv => (render(SvText { v: &view })?, render(SvHtml { v: &view })?),
            Language::En => (render(EnText { v: &view })?, render(EnHtml { v: &view })?),
        };
        let envelope = Envelope {
            agency: &self.agency,
            to: &self.to,
            id: self.id.to_string(),
            subject: self.subject(place),
            sent: self.written,
            language: self.language.as_str(),
            encrypted: None,
        };
        finish(envelope, text, html)
    }

    fn subject(&self, place: &str) -> String {
        match self.language {
            Language::Sv => {
                let what = match self.kind {
                    NoticeKind::Delivered => "del 1 är skickad",
                    NoticeKind::Collected => "del 2 är hämtad",
                    NoticeKind::Activated => "nycklarna gäller",
                    NoticeKind::Ended => "nycklarna gäller inte längre",
                    NoticeKind::Reminder => "väntar på att hämtas",
                    NoticeKind::Ending => "nycklarna slutar snart att gälla",
                    NoticeKind::Granted => "nycklarna gäller för fler API:er",
                    NoticeKind::Bounced => "brevet med del 1 kom tillbaka",
                    NoticeKind::ContactsChanged => "kontaktuppgifterna har ändrats",
                    NoticeKind::ContactReplaced => "den här adressen har ersatts",
                };
                let delivery = self.reference.map(|it| format!(", leverans {it}")).unwrap_or_default();
                format!("API-nycklar till {} ({place}){delivery}: {what}", self.software)
            }
            Language::En => {
                let what = match self.kind {
                    NoticeKind::Delivered => "part 1 has been sent",
                    NoticeKind::Collected => "part 2 has been collected",
                    NoticeKind::Activated => "the keys are active",
                    NoticeKind::Ended => "the keys are no longer valid",
                    NoticeKind::Reminder => "waiting to be collected",
                    NoticeKind::Ending => "the keys will soon cease to be valid",
                    NoticeKind::Granted => "the keys are valid for more APIs",
                    NoticeKind::Bounced => "the mail with part 1 came back",
                    NoticeKind::ContactsChanged => "the contacts have been changed",
                    NoticeKind::ContactReplaced => "this address has been replaced",
                };
                let delivery = self.reference.map(|it| format!(", delivery {it}")).unwrap_or_default();
                format!("API keys for {} ({place}){delivery}: {what}", self.software)
            }
        }
    }
}

/// What the templates see.
struct View<'a> {
    mail: &'a NoticeMail,
    place: &'static str,
    window_ends: String,
    /// Empty when nothing ends by itself.
    ends: String,
    /// Whether it is the agreement that ends.
    agreement: bool,
    apis: String,
}

impl View<'_> {
    /// Where to look, and to go on, while there is something to do.
    fn page(&self) -> Option<String> {
        let open = match self.mail.kind {
            NoticeKind::Delivered | NoticeKind::Collected | NoticeKind::Reminder => true,
            NoticeKind::Activated
            | NoticeKind::Ended
            | NoticeKind::Ending
            | NoticeKind::Granted
            | NoticeKind::Bounced
            | NoticeKind::ContactsChanged
            | NoticeKind::ContactReplaced => false,
        };
        let (pickup, reference) = (self.mail.pickup.as_ref()?, self.mail.reference?);
        open.then(|| pickup.delivery(&reference))
    }
}

macro_rules! page {
    ($name:ident, $path:literal) => {
        #[derive(Template)]
        #[template(path = $path, config = "src/mail/templates/askama.toml")]
        struct $name<'a> {
            v: &'a View<'a>,
        }
    };
}

page!(SvText, "notice.sv.txt");
page!(SvHtml, "notice.sv.html");
page!(EnText, "notice.en.txt");
page!(EnHtml, "notice.en.html");

#[cfg(test)]
mod tests {
    use mail_parser::MessageParser;

    use super::super::message::tests::assert_both_forms_are_alike;
    use super::*;

    fn about_a_delivery(kind: NoticeKind) -> bool {
        !matches!(kind, NoticeKind::ContactsChanged | NoticeKind::ContactReplaced)
    }

    fn as_read(kind: NoticeKind, language: Language, cause: EndCause) -> String {
        let notice = NoticeMail {
            to: "registrator@exempel.se".parse().unwrap(),
            language,
            id: "019aaf5e-7b00-7000-8000-000000000002".parse().unwrap(),
            kind,
            reference: "K7QF-2M9D".parse().ok().filter(|_| about_a_delivery(kind)),
            application: "A-2026-1".parse().unwrap(),
            software: "Ärendehanteraren & Co".parse().unwrap(),
            organisation: "Exempel AB".parse().unwrap(),
            environment: Environment::Test,
            apis: ["population-register", "permits"].map(|api| api.parse().unwrap()).into(),
            written: "2026-11-23T07:30:00.000Z".parse().unwrap(),
            window_ends: "2026-12-07T08:00:00.000Z".parse().unwrap(),
            end: Some(End { at: "2027-01-01T00:00:00.000Z".parse().unwrap(), cause }),
            ended: Some(cause),
            pickup: "https://hamta.myndigheten.example".parse().ok(),
            agency: Agency {
                name: "Exempelmyndigheten".parse().unwrap(),
                contact: "010-123 45 67".parse().unwrap(),
                from: "api@myndigheten.example".parse().unwrap(),
            },
        };
        let mail = notice.write().unwrap();
        assert_both_forms_are_alike(&mail);
        let message = MessageParser::default().parse(mail.bytes()).unwrap();
        assert!(message.body_html(0).unwrap().contains(&format!("<html lang=\"{language}\">")));
        let (id, subject) = (message.message_id().unwrap(), message.subject().unwrap());
        format!("{id}\n{subject}\n\n{}", message.body_text(0).unwrap()).replace('\r', "")
    }

    #[test]
    fn every_notice_in_both_languages() {
        let cause = EndCause::AgreementEnded;
        let in_both = |kind| Language::ALL.iter().map(move |language| as_read(kind, *language, cause));
        let all = NoticeKind::ALL.iter().flat_map(|kind| in_both(*kind));
        insta::assert_snapshot!(all.collect::<Vec<_>>().join("\n==========\n"));
    }

    #[test]
    fn every_cause_of_an_end_is_told_apart() {
        for language in Language::ALL {
            let said: BTreeSet<_> =
                EndCause::ALL.iter().map(|cause| as_read(NoticeKind::Ended, *language, *cause)).collect();
            assert_eq!(said.len(), EndCause::ALL.len());
        }
    }

    #[test]
    fn an_end_that_no_agreement_brings_asks_for_new_keys() {
        for (language, words) in [(Language::Sv, "nya nycklar"), (Language::En, "new keys")] {
            assert!(as_read(NoticeKind::Ending, language, EndCause::Expired).contains(words));
            assert!(!as_read(NoticeKind::Ending, language, EndCause::AgreementEnded).contains(words));
        }
    }
}
