//! One head: first its end is found, byte by byte; then the whole of it is examined.

use super::Violation;

/// Looks for the empty line that ends a head, and refuses what may not stand in one.
#[derive(Debug, Default)]
pub(super) struct HeadScan {
    /// Bytes that were looked at already, so that a head that drips in is not read again from its start.
    looked_at: usize,
    line_start: usize,
    after_cr: bool,
}

/// Whether the head is whole.
pub(super) enum Scanned<'a> {
    Unfinished,
    Whole(&'a [u8]),
}

/// What follows a head (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    None,
    Sized(u64),
    Chunked,
}

impl HeadScan {
    pub(super) fn is_untouched(&self) -> bool {
        self.looked_at == 0
    }

    pub(super) fn advance<'a>(&mut self, bytes: &'a [u8], bytes_max: usize) -> Result<Scanned<'a>, Violation> {
        let fresh = bytes.get(self.looked_at..).unwrap_or_default();
        for (place, &byte) in (self.looked_at..).zip(fresh) {
            if place >= bytes_max {
                return Err(if self.line_start == 0 { Violation::TargetTooLong } else { Violation::HeadTooLarge });
            }
            if self.after_cr {
                if byte != b'\n' {
                    return Err(Violation::BareCr);
                }
                self.after_cr = false;
                if place - self.line_start == 1 {
                    return bytes.get(..=place).map(Scanned::Whole).ok_or(Violation::RequestLine);
                }
                self.line_start = place + 1;
            } else if byte == b'\r' {
                self.after_cr = true;
            } else if byte == b'\n' {
                return Err(Violation::BareLf);
            } else if is_control(byte) {
                return Err(Violation::Control);
            }
        }
        self.looked_at = bytes.len();
        Ok(Scanned::Unfinished)
    }
}

/// Examines a whole head, its empty line included.
pub(super) fn examine(head: &[u8], fields_max: usize) -> Result<Body, Violation> {
    let mut lines = Lines(head);
    let version = request_line(lines.next().unwrap_or_default())?;
    let mut framing = FramingFields::default();
    let mut fields = 0;
    for line in lines {
        fields += 1;
        if fields > fields_max {
            return Err(Violation::TooManyFields);
        }
        framing.note(line)?;
    }
    framing.body(version)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    Http10,
    Http11,
}

/// The lines of a head up to its empty line. The scan made sure that every one ends with CRLF.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|&byte| byte == b'\r')?;
        let line = self.0.get(..end)?;
        self.0 = self.0.get(end + 2..).unwrap_or_default();
        (!line.is_empty()).then_some(line)
    }
}

fn request_line(line: &[u8]) -> Result<Version, Violation> {
    let mut words = line.split(|&byte| byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Violation::RequestLine);
    };
    if method.is_empty() || !method.iter().all(is_token) {
        return Err(Violation::RequestLine);
    }
    let version = match version {
        b"HTTP/1.1" => Version::Http11,
        b"HTTP/1.0" => Version::Http10,
        _ if version.starts_with(b"HTTP/") => return Err(Violation::Version),
        _ => return Err(Violation::RequestLine),
    };
    if !target.starts_with(b"/") {
        return Err(Violation::Target);
    }
    if target.iter().all(|byte| byte.is_ascii_graphic()) { Ok(version) } else { Err(Violation::RequestLine) }
}

/// The three fields that say whom a message is for and where it ends.
#[derive(Default)]
struct FramingFields {
    host: bool,
    length: Option<u64>,
    coding: bool,
}

impl FramingFields {
    fn note(&mut self, line: &[u8]) -> Result<(), Violation> {
        if matches!(line.first(), Some(b' ' | b'\t')) {
            return Err(Violation::Folded);
        }
        let colon = line.iter().position(|&byte| byte == b':').ok_or(Violation::FieldName)?;
        let (name, value) = line.split_at(colon);
        if name.is_empty() || !name.iter().all(is_token) {
            return Err(Violation::FieldName);
        }
        let value = || value.get(1..).unwrap_or_default().trim_ascii();
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.note_host(value()),
            14 if name.eq_ignore_ascii_case(b"content-length") => self.note_length(value()),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.note_coding(value()),
            _ => Ok(()),
        }
    }

    fn note_host(&mut self, value: &[u8]) -> Result<(), Violation> {
        if self.host {
            return Err(Violation::RepeatedHost);
        }
        if value.is_empty() {
            return Err(Violation::MissingHost);
        }
        let may_stand = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(byte);
        self.host = value.iter().all(may_stand);
        if self.host { Ok(()) } else { Err(Violation::BadHost) }
    }

    fn note_length(&mut self, value: &[u8]) -> Result<(), Violation> {
        if self.length.is_some() {
            return Err(Violation::RepeatedLength);
        }
        let digits = value.iter().all(u8::is_ascii_digit) && (1..=18).contains(&value.len());
        let text = std::str::from_utf8(value).ok().filter(|_| digits).ok_or(Violation::BadLength)?;
        self.length = Some(text.parse().map_err(|_| Violation::BadLength)?);
        Ok(())
    }

    fn note_coding(&mut self, value: &[u8]) -> Result<(), Violation> {
        if self.coding || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Violation::UnknownCoding);
        }
        self.coding = true;
        Ok(())
    }

    fn body(&self, version: Version) -> Result<Body, Violation> {
        if !self.host {
            return Err(Violation::MissingHost);
        }
        match (self.coding, self.length) {
            (true, Some(_)) => Err(Violation::LengthAndCoding),
            (true, None) if version == Version::Http10 => Err(Violation::CodingInHttp10),
            (true, None) => Ok(Body::Chunked),
            (false, None | Some(0)) => Ok(Body::None),
            (false, Some(length)) => Ok(Body::Sized(length)),
        }
    }
}

fn is_control(byte: u8) -> bool {
    (byte < b' ' && byte != b'\t') || byte == 0x7f
}

/// RFC 9110, section 5.6.2, as a table: this runs over every byte of every field name.
fn is_token(byte: &u8) -> bool {
    const TOKEN: [bool; 256] = token_table();
    TOKEN[usize::from(*byte)]
}

const fn token_table() -> [bool; 256] {
    let marks = b"!#$%&'*+-.^_`|~";
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut mark = 0;
    while mark < marks.len() {
        table[marks[mark] as usize] = true;
        mark += 1;
    }
    table
}
