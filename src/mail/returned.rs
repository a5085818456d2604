//! Mail that came back: what a delivery status notification (RFC 3464) says of a mail of ours, and nothing else of it.
//!
//! All of it may be written by a stranger, and what it returns may hold part 1. So the parts are walked here, to a bounded
//! depth and number and without a copy; only heads and the status are read, by a library that knows their grammar. What is
//! handed out are an id, a word and a number of our own types.

use std::borrow::Cow;
use std::collections::BTreeSet;

use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::{HeaderName, HeaderValue, Message, MessageParser, MimeHeaders};
use zeroize::Zeroizing;

use crate::domain::ids::MessageId;
use crate::domain::mail_status::MailStatus;

/// How deep parts stand in parts. A notification has two levels; gateways that append a notice add one each.
const DEPTH_MAX: usize = 8;

/// How many parts are looked at in all.
const PARTS_MAX: usize = 64;

/// The longest head that is read. A mail that went through thirty relays has some 20 KiB.
const HEAD_BYTES_MAX: usize = 128 * 1024;

/// The longest status that is read: a block of some 300 bytes for each recipient, and a mail of ours has one.
const STATUS_BYTES_MAX: usize = 64 * 1024;

/// What became of a mail of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Returned {
    /// The left part of its Message-ID.
    pub message_id: MessageId,
    /// What the mail system did.
    pub action: Action,
    /// Why, by number, where it says so.
    pub status: Option<MailStatus>,
}

/// What a mail system did with a mail (RFC 3464, section 2.3.3), the gravest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// It went on to a system that sends no notifications.
    Relayed,
    /// It went to all members of a list.
    Expanded,
    /// It is in the mailbox.
    Delivered,
    /// It is late, and tried again.
    Delayed,
    /// It was given up.
    Failed,
}

impl Action {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Relayed => "relayed",
            Self::Expanded => "expanded",
            Self::Delivered => "delivered",
            Self::Delayed => "delayed",
            Self::Failed => "failed",
        }
    }

    fn read(text: &str) -> Option<Self> {
        let all = [Self::Relayed, Self::Expanded, Self::Delivered, Self::Delayed, Self::Failed];
        all.into_iter().find(|action| text.eq_ignore_ascii_case(action.as_str()))
    }
}

/// Why a text says nothing of a mail of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotReturned {
    /// No part of it is a delivery status: an answer, an absence note, a receipt, anything.
    #[error("it is not a delivery status notification")]
    NotANotification,
    /// It is one, without a word of what was done.
    #[error("it is a delivery status notification that does not say what became of the mail")]
    NoAction,
    /// It returns nothing with a Message-ID as we give them, or with more than one.
    #[error("it does not say which of our mails it is about")]
    NotOurs,
}

impl Returned {
    /// Reads a whole mail. One that is cut off at its end is read as far as it goes.
    pub fn read(mail: &[u8]) -> Result<Self, NotReturned> {
        let mut leaves = Leaves::default();
        leaves.walk(mail, 0);
        let status = leaves.status.ok_or(NotReturned::NotANotification)?;
        let (action, status) = verdict(&status).ok_or(NotReturned::NoAction)?;
        let message_id = leaves.returned.and_then(|returned| our_message_id(&returned)).ok_or(NotReturned::NotOurs)?;
        Ok(Self { message_id, action, status })
    }
}

/// The two parts that matter: the first of each kind.
#[derive(Default)]
struct Leaves<'a> {
    status: Option<Body<'a>>,
    returned: Option<Body<'a>>,
    parts: usize,
}

/// The content of a part, decoded where it was encoded.
type Body<'a> = Cow<'a, [u8]>;

impl<'a> Leaves<'a> {
    fn walk(&mut self, entity: &'a [u8], depth: usize) {
        self.parts += 1;
        let (head, body) = divide(entity);
        if self.parts > PARTS_MAX || depth > DEPTH_MAX || head.len() > HEAD_BYTES_MAX {
            return;
        }
        let head = with_end(head);
        let Some(head) = parser().parse_headers(head.as_slice()) else { return };
        let Some(kind) = head.content_type() else { return };
        let is = |main: &str, sub: &str| {
            kind.ctype().eq_ignore_ascii_case(main) && kind.subtype().is_some_and(|it| it.eq_ignore_ascii_case(sub))
        };
        if kind.ctype().eq_ignore_ascii_case("multipart") {
            let Some(boundary) = kind.attribute("boundary").filter(|boundary| !boundary.is_empty()) else { return };
            for part in parts(body, boundary.as_bytes()) {
                self.walk(part, depth + 1);
            }
        } else if is("message", "delivery-status") || is("message", "global-delivery-status") {
            self.status = self.status.take().or_else(|| decoded(&head, body));
        } else if ["message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers"]
            .iter()
            .filter_map(|name| name.split_once('/'))
            .any(|(main, sub)| is(main, sub))
        {
            self.returned = self.returned.take().or_else(|| decoded(&head, body));
        }
    }
}

/// Reads the three fields that are asked for and passes over every other.
fn parser() -> MessageParser {
    MessageParser::new()
        .header_content_type(HeaderName::ContentType)
        .header_text(HeaderName::ContentTransferEncoding)
        .header_id(HeaderName::MessageId)
        .default_header_ignore()
}

/// The head and what comes after the empty line that ends it.
fn divide(entity: &[u8]) -> (&[u8], &[u8]) {
    let mut end = 0;
    for line in entity.split_inclusive(|byte| *byte == b'\n') {
        let next = end + line.len();
        if line.trim_ascii().is_empty() {
            return (&entity[..end], &entity[next..]);
        }
        end = next;
    }
    (entity, &[])
}

/// A head that ends as the library expects heads to end.
fn with_end(head: &[u8]) -> Zeroizing<Vec<u8>> {
    const END: &[u8] = b"\r\n\r\n";
    let mut whole = Zeroizing::new(Vec::with_capacity(head.len() + END.len()));
    whole.extend_from_slice(head);
    whole.extend_from_slice(END);
    whole
}

/// What stands between the lines that delimit the parts of a multipart (RFC 2046, section 5.1.1).
fn parts<'a, 'b>(body: &'a [u8], boundary: &'b [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a, 'b> {
    let mut rest = body;
    let mut ended = !skip_to_delimiter(&mut rest, boundary).1;
    std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let (part, more) = skip_to_delimiter(&mut rest, boundary);
        ended = !more;
        Some(part)
    })
}

/// Moves past the next delimiter: what stood before it, and whether a part follows. Without one, everything is before it.
fn skip_to_delimiter<'a>(rest: &mut &'a [u8], boundary: &[u8]) -> (&'a [u8], bool) {
    let whole = *rest;
    let mut start = 0;
    for line in whole.split_inclusive(|byte| *byte == b'\n') {
        let next = start + line.len();
        if let Some(after) = line.strip_prefix(b"--").and_then(|line| line.strip_prefix(boundary)) {
            let closing = after.strip_prefix(b"--");
            if closing.unwrap_or(after).trim_ascii().is_empty() {
                *rest = &whole[next..];
                return (&whole[..start], closing.is_none());
            }
        }
        start = next;
    }
    *rest = &[];
    (whole, false)
}

fn decoded<'a>(head: &Message<'_>, body: &'a [u8]) -> Option<Body<'a>> {
    match head.content_transfer_encoding() {
        Some(encoding) if encoding.eq_ignore_ascii_case("base64") => base64_decode(body).map(Cow::Owned),
        Some(encoding) if encoding.eq_ignore_ascii_case("quoted-printable") => {
            quoted_printable_decode(body).map(Cow::Owned)
        }
        Some(_) | None => Some(Cow::Borrowed(body)),
    }
}

/// The gravest thing that was done for any recipient, and why. A mailbox that several people read may be several
/// recipients to its own system: one that is out of reach is for an operator to look at.
fn verdict(status: &[u8]) -> Option<(Action, Option<MailStatus>)> {
    let status = &status[..status.len().min(STATUS_BYTES_MAX)];
    let text = String::from_utf8_lossy(status);
    let mut gravest: Option<(Action, Option<MailStatus>)> = None;
    for block in blocks(&text) {
        let first_word =
            |value: &str| value.split([' ', '\t', ';', '(']).find(|word| !word.is_empty()).map(str::to_owned);
        let field = |name: &str| {
            let found = block.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            found.and_then(|(_, value)| first_word(value))
        };
        let Some(action) = field("Action").and_then(|word| Action::read(&word)) else { continue };
        if gravest.is_none_or(|(other, _)| other < action) {
            gravest = Some((action, field("Status").and_then(|word| word.parse().ok())));
        }
    }
    gravest
}

/// Fields with their values, unfolded, in groups between empty lines.
fn blocks(text: &str) -> Vec<Vec<(&str, String)>> {
    let mut blocks: Vec<Vec<(&str, String)>> = vec![Vec::new()];
    for line in text.lines() {
        let Some(block) = blocks.last_mut() else { break };
        if line.trim().is_empty() {
            blocks.push(Vec::new());
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = block.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            block.push((name.trim_end(), value.trim().to_owned()));
        }
    }
    blocks
}

/// The one Message-ID of our form in the head of a returned mail.
fn our_message_id(returned: &[u8]) -> Option<MessageId> {
    let mut returned = returned.trim_ascii_start();
    if returned.starts_with(b"From ") {
        // As mailboxes keep mails: a line before the head (RFC 4155).
        let line = returned.iter().position(|byte| *byte == b'\n').unwrap_or(returned.len() - 1);
        returned = &returned[line + 1..];
    }
    let (head, _) = divide(returned);
    if head.len() > HEAD_BYTES_MAX {
        return None;
    }
    let head = with_end(head);
    let head = parser().parse_headers(head.as_slice())?;
    let named = head.headers().iter().filter(|header| header.name == HeaderName::MessageId);
    let mut ours = BTreeSet::new();
    for header in named {
        ours.extend(texts(&header.value).filter_map(|id| id.split('@').next()?.trim().parse::<MessageId>().ok()));
    }
    let message_id = ours.pop_first()?;
    ours.is_empty().then_some(message_id)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "another crate's enum of values, of which an id is one of two")]
fn texts<'a>(value: &'a HeaderValue<'_>) -> impl Iterator<Item = &'a str> {
    let several: &[Cow<'_, str>] = match value {
        HeaderValue::Text(text) => std::slice::from_ref(text),
        HeaderValue::TextList(texts) => texts,
        _ => &[],
    };
    several.iter().map(AsRef::as_ref)
}

#[cfg(test)]
mod tests;
