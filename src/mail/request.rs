//! Mails to the agency's own operators about orders that wait for a second person. Of people they name accounts only; why
//! something was asked or denied stays where operators look it up.

use askama::Template;

use super::message::{Agency, Envelope, MailNotWritten, OutgoingMail, finish};
use super::part_one::render;
use crate::domain::contact::{EmailAddress, Language};
use crate::domain::ids::{ApplicationId, NoticeId};
use crate::domain::request::{Governed, News, Person, RequestId};
use crate::domain::time::Timestamp;

/// Everything that such a mail says.
#[derive(Debug, Clone)]
pub struct RequestMail {
    /// The operators' mailbox.
    pub to: EmailAddress,
    /// In which language.
    pub language: Language,
    /// The left part of the Message-ID.
    pub id: NoticeId,
    /// What happened.
    pub news: News,
    /// To which request.
    pub request: RequestId,
    /// What was asked for.
    pub command: Governed,
    /// About which client, where it is about one.
    pub application: Option<ApplicationId>,
    /// By whom.
    pub asked_by: Person,
    /// Who decided it, once somebody has.
    pub decided_by: Option<Person>,
    /// Until when it waits.
    pub expires: Timestamp,
    /// When the mail is written.
    pub written: Timestamp,
    /// Who writes.
    pub agency: Agency,
}

impl RequestMail {
    /// Writes the mail.
    pub fn write(&self) -> Result<OutgoingMail, MailNotWritten> {
        let view = View {
            mail: self,
            expires: self.expires.to_the_minute(),
            application: self.application.as_ref().map_or("-", ApplicationId::as_str),
            decided_by: self.decided_by.as_ref().map(ToString::to_string).unwrap_or_default(),
        };
        let (text, html) = match self.language {
            Language::Sv => (render(SvText { v: &view })?, render(SvHtml { v: &view })?),
            Language::En => (render(EnText { v: &view })?, render(EnHtml { v: &view })?),
        };
        let envelope = Envelope {
            agency: &self.agency,
            to: &self.to,
            id: self.id.to_string(),
            subject: self.subject(),
            sent: self.written,
            language: self.language.as_str(),
            encrypted: None,
        };
        finish(envelope, text, html)
    }

    fn subject(&self) -> String {
        let about = self.application.as_ref().map(|application| format!(" {application}")).unwrap_or_default();
        match self.language {
            Language::Sv => {
                let what = match self.news {
                    News::Made => "väntar på en andra person",
                    News::Approved => "godkänd och utförd",
                    News::Denied => "avslagen",
                    News::Expired => "förfallen",
                    News::Failed => "godkänd men inte utförd",
                };
                format!("Order {}{about}, begäran {}: {what}", self.command, self.request)
            }
            Language::En => {
                let what = match self.news {
                    News::Made => "waits for a second person",
                    News::Approved => "approved and carried out",
                    News::Denied => "denied",
                    News::Expired => "expired",
                    News::Failed => "approved and not carried out",
                };
                format!("Order {}{about}, request {}: {what}", self.command, self.request)
            }
        }
    }
}

/// What the templates see.
struct View<'a> {
    mail: &'a RequestMail,
    expires: String,
    application: &'a str,
    decided_by: String,
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

page!(SvText, "request.sv.txt");
page!(SvHtml, "request.sv.html");
page!(EnText, "request.en.txt");
page!(EnHtml, "request.en.html");

#[cfg(test)]
mod tests {
    use mail_parser::MessageParser;

    use super::super::message::tests::assert_both_forms_are_alike;
    use super::*;

    fn as_read(news: News, language: Language) -> String {
        let person = |uid, account: &str| Person { uid, account: account.parse().ok() };
        let mail = RequestMail {
            to: "api-drift@exempel.se".parse().unwrap(),
            language,
            id: "019aaf5e-7b00-7000-8000-000000000002".parse().unwrap(),
            news,
            request: "K7QF-2M9D-0R4T-8WXZ".parse().unwrap(),
            command: Governed::Revoke,
            application: "A-2026-1".parse().ok(),
            asked_by: person(1000, "anna"),
            decided_by: matches!(news, News::Approved | News::Denied | News::Failed).then(|| person(1001, "bo")),
            expires: "2026-11-24T07:30:00.000Z".parse().unwrap(),
            written: "2026-11-23T07:30:00.000Z".parse().unwrap(),
            agency: Agency {
                name: "Exempelmyndigheten".parse().unwrap(),
                contact: "010-123 45 67".parse().unwrap(),
                from: "api@myndigheten.example".parse().unwrap(),
            },
        };
        let mail = mail.write().unwrap();
        assert_both_forms_are_alike(&mail);
        let message = MessageParser::default().parse(mail.bytes()).unwrap();
        let html = message.body_html(0).unwrap();
        assert!(html.contains(&format!("<html lang=\"{language}\">")) && html.contains("K7QF-2M9D-0R4T-8WXZ"));
        let (id, subject) = (message.message_id().unwrap(), message.subject().unwrap());
        format!("{id}\n{subject}\n\n{}", message.body_text(0).unwrap()).replace('\r', "")
    }

    #[test]
    fn every_report_in_both_languages() {
        let in_both = |news| Language::ALL.iter().map(move |language| as_read(news, *language));
        let all = News::ALL.iter().flat_map(|news| in_both(*news));
        insta::assert_snapshot!(all.collect::<Vec<_>>().join("\n==========\n"));
    }
}
