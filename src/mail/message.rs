//! A finished mail, and the one way to finish it: headers that hold no part of a secret, text and HTML side by side,
//! everything in seven bits. What the text says is in `part_one` and `notice`.

use std::fmt;
use std::time::{Duration, SystemTime};

use lettre::Address;
use lettre::message::header::{ContentDisposition, ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, Message, MultiPart, MultiPartKind, SinglePart};

use super::header::{phrase, unstructured};
use super::plain::folded;
use super::quoted::quoted_printable;
use crate::domain::contact::EmailAddress;
use crate::domain::name::Name;
use crate::domain::openpgp::{NotEncrypted, OpenPgpKey};
use crate::domain::random::Randomness;
use crate::domain::time::Timestamp;

/// The most bytes that a finished mail may have. A bundle of ten pairs makes about 20 KiB.
const MAX_MAIL_BYTES: usize = 256 * 1024;

/// Who writes.
#[derive(Debug, Clone)]
pub struct Agency {
    /// Its name, in the `From` and in the text.
    pub name: Name,
    /// How people reach it: a telephone number, an address, a page.
    pub contact: Name,
    /// The `From` address. Its domain is in the Message-ID.
    pub from: EmailAddress,
}

/// A mail as it goes over the wire. It may hold part 1 of a secret: it is not shown, and like every block on the heap it
/// is wiped when it is freed (`platform::memory`), which is faster by far than wiping it here.
#[must_use]
pub struct OutgoingMail {
    to: EmailAddress,
    text: String,
}

impl OutgoingMail {
    /// The one mailbox that it is written to.
    pub fn to(&self) -> &EmailAddress {
        &self.to
    }

    /// For the wire: ASCII, in lines that end with CR LF.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// For the tests, which read it as others do.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl fmt::Debug for OutgoingMail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OutgoingMail")
    }
}

/// The mail could not be put together. Nothing that it was made of is in the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MailNotWritten {
    /// An address that the domain takes and the mail library does not.
    #[error("the mail library does not take the address")]
    Address,
    /// More keys than fit into a mail.
    #[error("the mail would be larger than 256 KiB")]
    TooLarge,
    /// A template or the assembly failed.
    #[error("the mail could not be put together")]
    Assembly,
    /// It must be encrypted and cannot be.
    #[error(transparent)]
    NotEncrypted(#[from] NotEncrypted),
}

/// What every mail has.
pub(super) struct Envelope<'a> {
    pub(super) agency: &'a Agency,
    pub(super) to: &'a EmailAddress,
    /// The left part of the Message-ID.
    pub(super) id: String,
    pub(super) subject: String,
    pub(super) sent: Timestamp,
    /// As RFC 5646 writes it.
    pub(super) language: &'static str,
    /// What the text is encrypted to, and where the randomness for it comes from.
    pub(super) encrypted: Option<(&'a OpenPgpKey, &'a dyn Randomness)>,
}

/// Puts headers and the two forms of the text together.
pub(super) fn finish(envelope: Envelope<'_>, text: String, html: String) -> Result<OutgoingMail, MailNotWritten> {
    let Envelope { agency, to, id, subject, sent, language, encrypted } = envelope;
    // The boundary stands in no quoted-printable text, where `=` is followed by two digits or the end of the line.
    let boundary = format!("=_{id}");
    let parts = MultiPart::builder()
        .kind(MultiPartKind::Alternative)
        .boundary(boundary)
        .singlepart(part(ContentType::TEXT_PLAIN, &folded(&text)))
        .singlepart(part(ContentType::TEXT_HTML, &html));
    let parts = match encrypted {
        None => parts,
        Some((key, random)) => {
            let text = String::from_utf8(parts.formatted()).map_err(|_| MailNotWritten::Assembly)?;
            armoured(&id, key.encrypt(text, sent, random)?)?
        }
    };
    let message = Message::builder()
        .raw_header(from_header(agency))
        .to(Mailbox::new(None, address(to)?))
        .raw_header(HeaderValue::dangerous_new_pre_encoded(name("Subject"), String::new(), unstructured(&subject)))
        .date(SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(sent.millis()).unwrap_or(0)))
        .message_id(Some(format!("<{id}@{}>", agency.from.domain())))
        // RFC 3834, section 5: nobody's absence note should answer this.
        .raw_header(HeaderValue::new(name("Auto-Submitted"), "auto-generated".to_owned()))
        .raw_header(HeaderValue::new(name("Content-Language"), language.to_owned()))
        .multipart(parts)
        .map_err(|_| MailNotWritten::Assembly)?;
    let text = String::from_utf8(message.formatted()).map_err(|_| MailNotWritten::Assembly)?;
    if text.len() > MAX_MAIL_BYTES {
        return Err(MailNotWritten::TooLarge);
    }
    Ok(OutgoingMail { to: to.clone(), text })
}

/// PGP/MIME (RFC 3156, section 4): a part that says so, and the one with the encrypted text in it.
fn armoured(id: &str, armour: String) -> Result<MultiPart, MailNotWritten> {
    let seven_bits = |text: String| Body::dangerous_pre_encoded(text.into_bytes(), ContentTransferEncoding::SevenBit);
    let kind = |text| ContentType::parse(text).map_err(|_| MailNotWritten::Assembly);
    let version = SinglePart::builder()
        .header(kind("application/pgp-encrypted")?)
        .header(ContentDisposition::inline_with_name("version.asc"))
        .body(seven_bits("Version: 1\r\n".to_owned()));
    let message = SinglePart::builder()
        .header(kind("application/octet-stream; name=\"encrypted.asc\"")?)
        .header(ContentDisposition::inline_with_name("encrypted.asc"))
        .body(seven_bits(armour.replace('\n', "\r\n")));
    Ok(MultiPart::builder()
        .kind(MultiPartKind::Encrypted { protocol: "application/pgp-encrypted".to_owned() })
        // Armour has `=` in its last lines only, and no line that begins with `--=`.
        .boundary(format!("=_{id}_openpgp"))
        .singlepart(version)
        .singlepart(message))
}

fn address(address: &EmailAddress) -> Result<Address, MailNotWritten> {
    address.as_str().parse().map_err(|_| MailNotWritten::Address)
}

/// Quoted-printable always: a relay need not have 8BITMIME, and no line passes 76 characters.
fn part(kind: ContentType, text: &str) -> SinglePart {
    let body = Body::dangerous_pre_encoded(quoted_printable(text), ContentTransferEncoding::QuotedPrintable);
    SinglePart::builder().header(kind).body(body)
}

/// The library takes the sender for its own use from the plain form, and writes the encoded one.
fn from_header(agency: &Agency) -> HeaderValue {
    let from = format!("{} <{}>", phrase(agency.name.as_str()), agency.from);
    HeaderValue::dangerous_new_pre_encoded(name("From"), agency.from.to_string(), from)
}

fn name(name: &'static str) -> HeaderName {
    HeaderName::new_from_ascii_str(name)
}

#[cfg(test)]
pub(super) mod tests {
    use mail_parser::MessageParser;

    use super::*;

    /// What a reader sees of HTML, without any white space.
    fn words_of_html(html: &str) -> String {
        let (_, body) = html.split_once("<body").unwrap();
        let text = body.split('<').skip(1).map(|piece| piece.split_once('>').unwrap().1).collect::<String>();
        let text = text.replace("&#60;", "<").replace("&#62;", ">").replace("&#34;", "\"").replace("&#39;", "'");
        text.replace("&#38;", "&").split_whitespace().collect()
    }

    /// The same of plain text, without the lines below headings and the numbers of items.
    fn words_of_text(text: &str) -> String {
        let rule = |line: &&str| line.is_empty() || !line.bytes().all(|byte| byte == b'-');
        let item = |line: &str| line.trim_start_matches(|character: char| character.is_ascii_digit()).to_owned();
        let plain = |line: &str| item(line).strip_prefix(". ").map_or(line.to_owned(), str::to_owned);
        text.lines().map(str::trim_end).filter(rule).map(plain).collect::<String>().split_whitespace().collect()
    }

    /// Text in lines that every program shows whole, and HTML that says the same, word for word, and fetches nothing.
    pub(in crate::mail) fn assert_both_forms_are_alike(mail: &OutgoingMail) {
        let message = MessageParser::default().parse(mail.bytes()).unwrap();
        let (text, html) = (message.body_text(0).unwrap(), message.body_html(0).unwrap());
        let long = text.lines().find(|line| line.chars().count() > 78);
        assert_eq!(long, None, "{text}");
        let (text, html) = (words_of_text(&text.replace('\r', "")), html.replace('\r', ""));
        assert_eq!(text, words_of_html(&html));
        for fetcher in ["<img", "src=", "<link", "url(", "<script", "<iframe", "@import", "http://", "<form"] {
            assert!(!html.contains(fetcher), "{fetcher}");
        }
    }
}
