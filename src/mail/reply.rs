//! SMTP replies, read byte by byte: where one ends, what its code is, and when a server breaks the rules. It keeps no
//! text: a relay may echo anything, so only numbers leave this file.

use std::fmt;

use crate::domain::mail_status::MailStatus;

/// The most bytes that one reply may have, all its lines together. An EHLO reply has some hundreds. The SMTP library
/// parses a reply from its start again at each line, so the work grows with the square: 64 KiB of short lines held an
/// unoptimised build for ten seconds, past every deadline.
pub(super) const MAX_REPLY_BYTES: usize = 8 * 1024;

/// How much of a line is looked at: the code, a separator and the longest enhanced code, `5.123.123`, with its space, or
/// the one keyword that is looked for, `PIPELINING`.
const HEAD: usize = 14;

/// What a server answered, in numbers (RFC 5321, section 4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyCode {
    /// Three digits, 200 to 599.
    pub code: u16,
    /// The enhanced status code of the reply's last line, where it has one that agrees with the code.
    pub enhanced: Option<MailStatus>,
}

impl ReplyCode {
    /// A code alone.
    pub(super) fn bare(code: u16) -> Self {
        Self { code, enhanced: None }
    }

    /// "Not now": 4yz.
    pub fn is_transient(self) -> bool {
        self.code / 100 == 4
    }

    /// "Not ever": 5yz.
    pub fn is_permanent(self) -> bool {
        self.code / 100 == 5
    }

    /// 421: the server closes the connection after it (RFC 5321, section 3.8).
    pub fn is_goodbye(self) -> bool {
        self.code == 421
    }
}

impl fmt::Display for ReplyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.enhanced {
            Some(status) => write!(f, "{} {status}", self.code),
            None => write!(f, "{}", self.code),
        }
    }
}

/// How a server broke the rules of replying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Violation {
    /// It said more than the one reply that was due.
    Surplus,
    /// The reply passed [`MAX_REPLY_BYTES`].
    TooLong,
    /// Not the form of a reply.
    Garbled,
}

/// Finds the end of one reply in a stream of bytes.
#[derive(Debug)]
pub(super) struct ReplyScanner {
    total: usize,
    line: usize,
    head: [u8; HEAD],
    code: Option<[u8; 3]>,
    after_return: bool,
    pipelining: bool,
}

/// The end of a reply was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Complete {
    /// How many of the bytes that were fed belong to it.
    pub(super) used: usize,
    /// What it said.
    pub(super) reply: ReplyCode,
    /// Whether a line of it names the keyword PIPELINING (RFC 2920), which means something in the reply to EHLO.
    pub(super) pipelining: bool,
}

impl ReplyScanner {
    pub(super) fn new() -> Self {
        Self { total: 0, line: 0, head: [0; HEAD], code: None, after_return: false, pipelining: false }
    }

    /// Takes more bytes; says when the reply is complete. Bytes past [`Complete::used`] are not looked at.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Option<Complete>, Violation> {
        for (index, byte) in bytes.iter().enumerate() {
            self.total += 1;
            if self.total > MAX_REPLY_BYTES {
                return Err(Violation::TooLong);
            }
            match (self.after_return, byte) {
                (true, b'\n') => {
                    if let Some(reply) = self.end_line()? {
                        return Ok(Some(Complete { used: index + 1, reply, pipelining: self.pipelining }));
                    }
                }
                (false, b'\r') => self.after_return = true,
                (false, b'\t' | b' '..=b'~' | 0x80..) => self.push(*byte),
                // A lone CR or LF, NUL and the other control characters.
                (true, _) | (false, _) => return Err(Violation::Garbled),
            }
        }
        Ok(None)
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.head.get_mut(self.line) {
            *place = byte;
        }
        self.line += 1;
    }

    /// RFC 5321, section 4.2.1: the same code on each line, `-` after it on all but the last.
    fn end_line(&mut self) -> Result<Option<ReplyCode>, Violation> {
        let head = self.head.get(..self.line.min(HEAD)).unwrap_or_default();
        let [a @ b'2'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] = head else {
            return Err(Violation::Garbled);
        };
        let digits = [*a, *b, *c];
        if *self.code.get_or_insert(digits) != digits {
            return Err(Violation::Garbled);
        }
        let number = digits.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0'));
        // Longer lines have other keywords.
        self.pipelining |= self.line == HEAD && rest.get(1..).is_some_and(|it| it.eq_ignore_ascii_case(b"PIPELINING"));
        let reply = match rest {
            [b'-', ..] => None,
            [] => Some(ReplyCode::bare(number)),
            [b' ', text @ ..] => Some(ReplyCode { code: number, enhanced: enhanced(digits[0] - b'0', text) }),
            [_, ..] => return Err(Violation::Garbled),
        };
        (self.line, self.after_return) = (0, false);
        Ok(reply)
    }
}

/// RFC 2034, section 4: the first word, whose class is the reply's own.
fn enhanced(class: u8, text: &[u8]) -> Option<MailStatus> {
    let word = std::str::from_utf8(text.split(|byte| *byte == b' ').next()?).ok()?;
    word.parse().ok().filter(|status: &MailStatus| status.class() == class)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(bytes: &[u8]) -> Result<Option<(usize, String)>, Violation> {
        let found = ReplyScanner::new().feed(bytes)?;
        Ok(found.map(|complete| (complete.used, complete.reply.to_string())))
    }

    #[test]
    fn a_reply_ends_with_its_last_line_and_not_before() {
        assert_eq!(scan(b"250 2.1.0 Ok\r\n"), Ok(Some((14, "250 2.1.0".to_owned()))));
        assert_eq!(scan(b"250-one\r\n250-STARTTLS\r\n250 SIZE 1\r\nsurplus"), Ok(Some((35, "250".to_owned()))));
        assert_eq!(scan(b"250\r\n"), Ok(Some((5, "250".to_owned()))));
        for unfinished in [&b""[..], b"250", b"250 ok", b"250 ok\r", b"250-ok\r\n"] {
            assert_eq!(scan(unfinished), Ok(None));
        }
    }

    #[test]
    fn the_offer_of_pipelining_is_a_keyword_of_its_own() {
        let offered = |bytes: &[u8]| ReplyScanner::new().feed(bytes).unwrap().unwrap().pipelining;
        assert!(offered(b"250-relay\r\n250-PIPELINING\r\n250 SIZE 1\r\n"));
        assert!(offered(b"250-relay\r\n250 pipelining\r\n"));
        for other in
            ["250-PIPELININGS\r\n250 a\r\n", "250 XPIPELININ\r\n", "250-PIPELININ\r\n250 G\r\n", "250 a PIPELINING\r\n"]
        {
            assert!(!offered(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn a_reply_that_comes_byte_by_byte_is_the_same_reply() {
        let mut scanner = ReplyScanner::new();
        let bytes = b"550-5.7.1 no\r\n550 5.7.1 no\r\n";
        let (last, before) = bytes.split_last().unwrap();
        for byte in before {
            assert_eq!(scanner.feed(&[*byte]), Ok(None));
        }
        assert_eq!(scanner.feed(&[*last]).unwrap().unwrap().reply.to_string(), "550 5.7.1");
    }

    #[test]
    fn what_is_no_reply_is_told_apart() {
        for bytes in [
            &b"hello\r\n"[..],
            b"150 no\r\n",
            b"650 no\r\n",
            b"250_no\r\n",
            b"250-a\r\n550 b\r\n",
            b"250 a\nb",
            b"250 \0\r\n",
            b"250 a\rb",
            b"\r\n",
        ] {
            assert_eq!(scan(bytes), Err(Violation::Garbled), "{bytes:?}");
        }
        assert_eq!(scan(&b"250-x\r\n".repeat(MAX_REPLY_BYTES / 7 + 1)), Err(Violation::TooLong));
        assert_eq!(scan(&vec![b'2'; MAX_REPLY_BYTES + 1]), Err(Violation::TooLong));
    }

    #[test]
    fn an_enhanced_code_is_numbers_only_and_agrees_with_the_reply() {
        for (line, expected) in [
            ("450 4.2.0 later\r\n", "450 4.2.0"),
            ("550 5.123.999 x\r\n", "550 5.123.999"),
            ("550 2.1.1 lies\r\n", "550"),
            ("550 5.1234.1 x\r\n", "550"),
            ("550 5.1 x\r\n", "550"),
            ("550 5.1.1.1 x\r\n", "550"),
            ("550 +5.1.1 x\r\n", "550"),
        ] {
            assert_eq!(scan(line.as_bytes()).unwrap().unwrap().1, expected);
        }
    }
}
