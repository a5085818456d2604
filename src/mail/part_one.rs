//! The mail with part 1: what it says, in both languages and both forms. Part 1 stands in the body and nowhere else.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use askama::Template;

use super::message::{Agency, Envelope, MailNotWritten, OutgoingMail, finish};
use super::plain::part_in_lines;
use crate::domain::contact::{EmailAddress, Language};
use crate::domain::ids::{ApiName, ClientId, Environment, Label, MessageId};
use crate::domain::issuance::Replacement;
use crate::domain::name::Name;
use crate::domain::openpgp::OpenPgpKey;
use crate::domain::programs::PYTHON;
use crate::domain::random::Randomness;
use crate::domain::reference::Reference;
use crate::domain::share::ShareToken;
use crate::domain::time::Timestamp;

/// Everything that the mail with part 1 says.
pub struct PartOne {
    /// The technical contact's mailbox, and no other.
    pub to: EmailAddress,
    /// In which language.
    pub language: Language,
    /// The left part of the Message-ID.
    pub message_id: MessageId,
    /// The delivery.
    pub reference: Reference,
    /// For which software.
    pub software: Name,
    /// Whose; its certificate opens the pickup.
    pub organisation: Name,
    /// Test or production.
    pub environment: Environment,
    /// What may be called.
    pub apis: BTreeSet<ApiName>,
    /// When the mail is written.
    pub written: Timestamp,
    /// When the pickup window closes.
    pub window_ends: Timestamp,
    /// Where part 2 is.
    pub pickup: PickupUrl,
    /// Who writes.
    pub agency: Agency,
    /// One for each pair of the bundle.
    pub shares: Vec<(Label, ClientId, ShareToken)>,
    /// What becomes of the credential that this one replaces.
    pub replaces: Replacement,
    /// Whether the approval narrows who of the organisation may collect.
    pub pinned: bool,
}

impl PartOne {
    /// Writes the mail. The shares are consumed: the mail is the only thing that holds them afterwards.
    pub fn write(self) -> Result<OutgoingMail, MailNotWritten> {
        self.write_to(None)
    }

    /// The same with everything but the headers encrypted to a key, of which nothing else is said in the mail.
    pub fn write_encrypted(self, key: &OpenPgpKey, random: &dyn Randomness) -> Result<OutgoingMail, MailNotWritten> {
        self.write_to(Some((key, random)))
    }

    fn write_to(self, encrypted: Option<(&OpenPgpKey, &dyn Randomness)>) -> Result<OutgoingMail, MailNotWritten> {
        let view = View::of(&self);
        let (subject, text, html) = match self.language {
            Language::Sv => (
                format!("API-nycklar till {} ({}), leverans {}: del 1 av 2", self.software, view.place, self.reference),
                render(SvText { v: &view })?,
                render(SvHtml { v: &view })?,
            ),
            Language::En => (
                format!("API keys for {} ({}), delivery {}: part 1 of 2", self.software, view.place, self.reference),
                render(EnText { v: &view })?,
                render(EnHtml { v: &view })?,
            ),
        };
        let envelope = Envelope {
            agency: &self.agency,
            to: &self.to,
            id: self.message_id.to_string(),
            subject,
            sent: self.written,
            language: self.language.as_str(),
            encrypted,
        };
        finish(envelope, text, html)
    }
}

impl fmt::Debug for PartOne {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PartOne({})", self.reference)
    }
}

/// The address of the pickup endpoint: `https://` and a host, an optional port and path; ends with `/`.
///
/// It stands on a command line and in HTML, so it has no character that either would read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PickupUrl(String);

/// The text is not the address of a pickup endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an address such as https://pickup.exempel.se/ with only letters, digits and . - _ : / in it")]
pub struct BadUrl;

impl FromStr for PickupUrl {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Self, BadUrl> {
        let rest = text.strip_prefix("https://").ok_or(BadUrl)?;
        let starts_well = rest.as_bytes().first().is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'[');
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:/[]".contains(&byte);
        if starts_well && text.len() <= 200 && rest.bytes().all(plain) {
            Ok(Self(format!("{}/", text.trim_end_matches('/'))))
        } else {
            Err(BadUrl)
        }
    }
}

impl PickupUrl {
    /// The page of one delivery, which is also where programs ask for it.
    pub(super) fn delivery(&self, reference: &Reference) -> String {
        format!("{}v1/deliveries/{}", self.0, reference.plain())
    }
}

impl fmt::Display for PickupUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the templates see.
struct View<'a> {
    mail: &'a PartOne,
    place: &'static str,
    apis: String,
    window_ends: String,
    /// The address of the delivery.
    delivery: String,
    keys: Vec<Key<'a>>,
}

struct Key<'a> {
    label: &'a Label,
    client_id: &'a ClientId,
    share: &'a str,
}

impl Key<'_> {
    fn lines(&self) -> Vec<&str> {
        part_in_lines(self.share)
    }
}

impl<'a> View<'a> {
    fn of(mail: &'a PartOne) -> Self {
        let key = |(label, client_id, share): &'a (Label, ClientId, ShareToken)| Key {
            label,
            client_id,
            share: share.release(),
        };
        let apis: Vec<&str> = mail.apis.iter().map(ApiName::as_str).collect();
        let place = match mail.language {
            Language::Sv => environment_sv(mail.environment),
            Language::En => environment_en(mail.environment),
        };
        Self {
            mail,
            place,
            apis: apis.join(", "),
            window_ends: mail.window_ends.to_the_minute(),
            delivery: mail.pickup.delivery(&mail.reference),
            keys: mail.shares.iter().map(key).collect(),
        }
    }

    /// How long the credential before this one lives on, in whole days or hours; `None` if there is none that does.
    fn grace(&self, [hour, hours, days]: [&str; 3]) -> Option<String> {
        let Replacement::GraceSeconds(seconds) = self.mail.replaces else {
            return None;
        };
        // Rounded down: nobody is told that an old key lives longer than it does.
        match seconds / 3600 {
            1 => Some(format!("1 {hour}")),
            whole if whole >= 48 => Some(format!("{} {days}", whole / 24)),
            whole => Some(format!("{whole} {hours}")),
        }
    }

    fn grace_sv(&self) -> Option<String> {
        self.grace(["timme", "timmar", "dygn"])
    }

    fn grace_en(&self) -> Option<String> {
        self.grace(["hour", "hours", "days"])
    }

    fn replaces_compromised(&self) -> bool {
        match self.mail.replaces {
            Replacement::Compromised => true,
            Replacement::First | Replacement::GraceSeconds(_) => false,
        }
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

page!(SvText, "part_one.sv.txt");
page!(SvHtml, "part_one.sv.html");
page!(EnText, "part_one.en.txt");
page!(EnHtml, "part_one.en.html");

/// Renders a page. It is wiped when it is freed, as every block on the heap is.
pub(super) fn render(page: impl Template) -> Result<String, MailNotWritten> {
    let mut text = String::with_capacity(8 * 1024);
    page.render_into(&mut text).map_err(|_| MailNotWritten::Assembly)?;
    Ok(text)
}

pub(super) fn environment_sv(environment: Environment) -> &'static str {
    match environment {
        Environment::Test => "testmiljön",
        Environment::Production => "produktionsmiljön",
    }
}

pub(super) fn environment_en(environment: Environment) -> &'static str {
    match environment {
        Environment::Test => "the test environment",
        Environment::Production => "production",
    }
}

#[cfg(test)]
mod tests {
    use mail_parser::{HeaderValue, MessageParser, MimeHeaders};
    use proptest::prelude::*;

    use super::super::message::tests::assert_both_forms_are_alike;
    use super::*;

    const MAIL_SHARE: &str = "tally1.K7QF2M9D.mail.oauth2.3q2-7wABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fICEiIyQlJicoKSorLC0uLzAxMjM0NTY.0f1e2d3c";

    fn example(language: Language, replaces: Replacement) -> PartOne {
        let share = |label: &str| ShareToken::from_text(MAIL_SHARE.replace("oauth2", label));
        PartOne {
            to: "api@exempel.se".parse().unwrap(),
            language,
            message_id: "019aaf5e-7b00-7000-8000-000000000001".parse().unwrap(),
            reference: "K7QF-2M9D".parse().unwrap(),
            software: "Ärendehanteraren & Co".parse().unwrap(),
            organisation: "Exempel AB".parse().unwrap(),
            environment: Environment::Production,
            apis: ["folkbokforing-v2", "adresser-v1"].map(|api| api.parse().unwrap()).into(),
            written: "2026-11-23T07:30:00.000Z".parse().unwrap(),
            window_ends: "2026-12-07T08:00:00.000Z".parse().unwrap(),
            pickup: "https://hamta.myndigheten.example".parse().unwrap(),
            agency: Agency {
                name: "Exempelmyndigheten".parse().unwrap(),
                contact: "010-123 45 67, api@myndigheten.example".parse().unwrap(),
                from: "api@myndigheten.example".parse().unwrap(),
            },
            shares: vec![
                ("oauth2".parse().unwrap(), "exmp-prod-abcdefghijklmnopqrst".parse().unwrap(), share("oauth2")),
                ("apigw".parse().unwrap(), "exmp-prod-tsrqponmlkjihgfedcba".parse().unwrap(), share("apigw")),
            ],
            replaces,
            pinned: false,
        }
    }

    /// The mail as a recipient's program reads it, with the headers as they went over the wire.
    fn as_read(mail: &OutgoingMail) -> String {
        let message = MessageParser::default().parse(mail.bytes()).unwrap();
        let raw = String::from_utf8(mail.bytes().to_vec()).unwrap();
        let (headers, _) = raw.split_once("\r\n\r\n").unwrap();
        let (text, html) = (message.body_text(0).unwrap(), message.body_html(0).unwrap());
        assert_eq!(message.attachment_count(), 0);
        format!("{headers}\n\n----- text\n{text}\n----- html\n{html}").replace('\r', "")
    }

    #[test]
    fn the_first_mail_in_swedish() {
        insta::assert_snapshot!(as_read(&example(Language::Sv, Replacement::First).write().unwrap()));
    }

    #[test]
    fn the_first_mail_in_english() {
        insta::assert_snapshot!(as_read(&example(Language::En, Replacement::First).write().unwrap()));
    }

    #[test]
    fn a_mail_that_replaces_keys_says_what_becomes_of_the_old_ones() {
        let text = |language, replaces| as_read(&example(language, replaces).write().unwrap());
        assert!(text(Language::Sv, Replacement::GraceSeconds(7 * 86_400)).contains("att gälla i 7 dygn efter"));
        assert!(text(Language::En, Replacement::GraceSeconds(7200)).contains("stay valid for 2 hours after"));
        assert!(text(Language::En, Replacement::GraceSeconds(3600)).contains("stay valid for 1 hour after"));
        assert!(text(Language::Sv, Replacement::Compromised).contains("De gamla är spärrade"));
        assert!(text(Language::En, Replacement::Compromised).contains("The old ones have been revoked"));
    }

    #[test]
    fn the_wire_form_is_seven_bits_in_short_lines_and_shares_stand_only_in_the_body() {
        let mail = example(Language::Sv, Replacement::First).write().unwrap();
        assert!(mail.bytes().is_ascii());
        assert!(
            mail.bytes()
                .split(|byte| *byte == b'\n')
                .all(|line| line.len() <= 79 && line.iter().all(|byte| *byte != 0))
        );
        let read = as_read(&mail);
        let (headers, body) = read.split_once("\n\n").unwrap();
        assert!(!headers.contains("tally1"), "{headers}");
        for label in ["oauth2", "apigw"] {
            let (share, joined) = (MAIL_SHARE.replace("oauth2", label), body.replace('\n', ""));
            assert_eq!(joined.matches(&share).count(), 2, "in the text and in the HTML");
            assert_eq!(body.matches(&share).count(), 1, "whole in the HTML");
        }
        assert_eq!(format!("{mail:?}"), "OutgoingMail");
    }

    #[test]
    fn the_text_has_short_lines_and_the_html_says_the_same() {
        for language in Language::ALL {
            for replaces in [Replacement::First, Replacement::GraceSeconds(7200), Replacement::Compromised] {
                let mut mail = example(*language, replaces);
                mail.pinned = true;
                mail.organisation = "Exempel och Exempel ".repeat(8).trim().parse().unwrap();
                assert_both_forms_are_alike(&mail.write().unwrap());
            }
        }
    }

    #[test]
    fn nothing_in_the_mail_is_fetched_when_it_is_read() {
        let read = as_read(&example(Language::En, Replacement::First).write().unwrap()).to_lowercase();
        for fetcher in ["<img", "src=", "<link", "url(", "<script", "<iframe", "@import", "http://"] {
            assert!(!read.contains(fetcher), "{fetcher}");
        }
    }

    #[test]
    fn a_name_cannot_write_html() {
        let mut mail = example(Language::En, Replacement::First);
        mail.software = "<img src=x onerror=alert(1)> & \"quotes\"".parse().unwrap();
        let read = as_read(&mail.write().unwrap());
        let (_, html) = read.split_once("----- html").unwrap();
        assert!(!html.contains("<img"), "{html}");
    }

    #[test]
    fn a_pickup_address_is_safe_on_a_command_line() {
        assert_eq!("https://p.exempel.se:8443".parse::<PickupUrl>().unwrap().to_string(), "https://p.exempel.se:8443/");
        for text in [
            "",
            "https://",
            "http://p.exempel.se/",
            "https://p.exempel.se/?a=b",
            "https://p.exempel.se/$(id)",
            "https://a b/",
            "https://-o/",
            "https://p.exempel.se/\"",
            "https://u@p.exempel.se/",
            "https://p.exempel.se/\n",
        ] {
            assert_eq!(text.parse::<PickupUrl>(), Err(BadUrl), "{text}");
        }
    }

    /// Any name that the domain takes, with a taste for what headers and encoded words are made of.
    fn name() -> impl Strategy<Value = Name> {
        let piece = prop_oneof![
            Just("=?utf-8?Q?x?=".to_owned()),
            Just("=?UTF-8?B?QQ==?=".to_owned()),
            Just("Bcc: x@exempel.se".to_owned()),
            Just("\"".to_owned()),
            Just("\\".to_owned()),
            Just("<a@exempel.se>,".to_owned()),
            Just("(".to_owned()),
            Just("  ".to_owned()),
            Just("å".repeat(40)),
            Just("漢字🗝".to_owned()),
            "[ -~]{0,30}",
            "\\PC{0,20}",
        ];
        let joined = prop::collection::vec(piece, 1..6).prop_map(|pieces| pieces.concat());
        joined.prop_filter_map("a name", |text| text.trim().chars().take(200).collect::<String>().trim().parse().ok())
    }

    proptest! {
        #[test]
        fn what_is_written_into_headers_is_read_back_and_nothing_else(software in name(), agency in name(), organisation in name()) {
            let mut mail = example(Language::En, Replacement::First);
            (mail.software, mail.agency.name, mail.organisation) = (software.clone(), agency.clone(), organisation.clone());
            let mail = mail.write().unwrap();
            let message = MessageParser::default().parse(mail.bytes()).unwrap();

            let expected = format!("API keys for {software} (production), delivery K7QF-2M9D: part 1 of 2");
            prop_assert_eq!(message.subject().unwrap(), expected);
            let from = message.from().unwrap().as_list().unwrap();
            prop_assert_eq!(from.len(), 1);
            prop_assert_eq!(from[0].address().unwrap(), "api@myndigheten.example");
            prop_assert_eq!(from[0].name().unwrap(), agency.as_str());
            let to = message.to().unwrap().as_list().unwrap();
            prop_assert_eq!((to.len(), to[0].address().unwrap(), to[0].name()), (1, "api@exempel.se", None));

            let headers: Vec<&str> = message.parts[0].headers.iter().map(|header| header.name.as_str()).collect();
            prop_assert_eq!(headers, ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "Content-Language", "MIME-Version", "Content-Type"]);
            prop_assert!(message.parts[0].headers.iter().all(|header| header.value != HeaderValue::Empty));
            prop_assert_eq!(message.parts.len(), 3);
            prop_assert_eq!(message.parts[1].content_type().unwrap().subtype(), Some("plain"));
            let (head, _) = std::str::from_utf8(mail.bytes()).unwrap().split_once("\r\n\r\n").unwrap();
            prop_assert!(head.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n', '\0'])));
            let without_space = |text: &str| text.split_whitespace().collect::<String>();
            let body = without_space(&message.body_text(0).unwrap());
            prop_assert!(body.contains(&without_space(organisation.as_str())));
        }
    }
}
