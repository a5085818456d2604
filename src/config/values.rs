//! How single values are read, and the few kinds of value that only the configuration knows.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use toml::de::DeValue;

use super::section::Refusal;
use crate::domain::duration::{parse_duration, spelled};

/// A name in the DNS: LDH labels, in lower case. A single label (`localhost`) will do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DnsName(String);

/// The text is not a name in the DNS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a DNS name such as mail.exempel.se, in ASCII and without wildcard")]
pub struct NotADnsName;

impl DnsName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DnsName {
    type Err = NotADnsName;

    fn from_str(text: &str) -> Result<Self, NotADnsName> {
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        // A last label of digits is an IPv4 address or a slip.
        let last_is_number = text.rsplit('.').next().is_none_or(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
        if text.len() <= 253 && text.split('.').all(is_label) && !last_is_number {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(NotADnsName)
        }
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Another machine: by name, or by address where its certificate has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// By name.
    Name(DnsName),
    /// By address.
    Address(IpAddr),
}

impl FromStr for Host {
    type Err = NotADnsName;

    fn from_str(text: &str) -> Result<Self, NotADnsName> {
        text.parse().map(Self::Address).or_else(|_| text.parse().map(Self::Name))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// The address of a page as it stands in mails: `https://`, a host, perhaps a port and a path, nothing that tracks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(String);

/// The text is not such an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an address such as https://nycklar.exempel.se, without user, query or fragment")]
pub struct NotAPublicUrl;

impl PublicUrl {
    /// The address, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PublicUrl {
    type Err = NotAPublicUrl;

    fn from_str(text: &str) -> Result<Self, NotAPublicUrl> {
        let url: http::Uri = text.parse().map_err(|_| NotAPublicUrl)?;
        let host = url.host().unwrap_or_default();
        let named = host.parse::<Host>().is_ok() || host.starts_with('[');
        let plain =
            text.len() <= 200 && text.starts_with("https://") && !text.contains(['@', '?', '#', '"', '\'', '<', '>']);
        if named && plain { Ok(Self(text.trim_end_matches('/').to_owned())) } else { Err(NotAPublicUrl) }
    }
}

/// The name of the journal as its checkpoints carry it (C2SP tlog-checkpoint, "origin").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

/// The text is not an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name such as exempel.se/tallyd: 1 to 200 printable ASCII characters, without space and plus sign")]
pub struct NotAnOrigin;

impl Origin {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = NotAnOrigin;

    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        let fits = |byte: u8| byte.is_ascii_graphic() && byte != b'+';
        if (1..=200).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAnOrigin)
        }
    }
}

/// A user or a group of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    /// By number.
    Id(u32),
    /// By name.
    Name(String),
}

/// A string of one kind. The kind's own error says what to write.
pub(super) fn text<T: FromStr<Err: fmt::Display>>(value: &DeValue<'_>) -> Result<T, Refusal> {
    let Some(text) = value.as_str() else {
        return Err(wrong_type(value, "a string"));
    };
    text.parse()
        .map_err(|form: T::Err| Refusal { reason: "is not of the right form".to_owned(), hint: form.to_string() })
}

/// An IP address and a port.
pub(super) fn socket_address(value: &DeValue<'_>) -> Result<std::net::SocketAddr, Refusal> {
    let form = "an address and a port, such as 0.0.0.0:8443 or [::1]:8443";
    let Some(text) = value.as_str() else {
        return Err(wrong_type(value, form));
    };
    text.parse().map_err(|_| Refusal { reason: "is not an address and a port".to_owned(), hint: form.to_owned() })
}

/// An absolute path.
pub(super) fn path(value: &DeValue<'_>) -> Result<std::path::PathBuf, Refusal> {
    let form = "an absolute path";
    match value.as_str() {
        None => Err(wrong_type(value, form)),
        Some(text) if text.starts_with('/') && !text.contains('\0') => Ok(text.into()),
        Some(_) => Err(Refusal { reason: "is not an absolute path".to_owned(), hint: form.to_owned() }),
    }
}

/// `true` or `false`.
pub(super) fn flag(value: &DeValue<'_>) -> Result<bool, Refusal> {
    value.as_bool().ok_or_else(|| wrong_type(value, "true or false"))
}

/// A whole number within bounds.
pub(super) fn number(bounds: RangeInclusive<u32>) -> impl Fn(&DeValue<'_>) -> Result<u32, Refusal> {
    move |value| {
        let form = format!("a whole number from {} to {}", bounds.start(), bounds.end());
        let Some(integer) = value.as_integer() else {
            return Err(wrong_type(value, &form));
        };
        let number =
            u32::from_str_radix(integer.as_str(), integer.radix()).ok().filter(|number| bounds.contains(number));
        number.ok_or_else(|| Refusal { reason: "is out of range".to_owned(), hint: form })
    }
}

/// A time within bounds: a whole number with `ms`, `s`, `m`, `h` or `d`.
pub(super) fn time(bounds: RangeInclusive<Duration>) -> impl Fn(&DeValue<'_>) -> Result<Duration, Refusal> {
    move |value| {
        let (least, most) = (spelled(*bounds.start()), spelled(*bounds.end()));
        let form =
            format!("a time in quotes, from {least} to {most}, such as \"250ms\", \"30s\", \"5m\", \"12h\" or \"14d\"");
        let Some(text) = value.as_str() else {
            return Err(wrong_type(value, &form));
        };
        match parse_duration(text) {
            Ok(time) if bounds.contains(&time) => Ok(time),
            Ok(_) => Err(Refusal { reason: "is out of range".to_owned(), hint: form }),
            Err(_) => Err(Refusal { reason: "is not a time".to_owned(), hint: form }),
        }
    }
}

/// A deadline: from a tenth of a second to so many seconds.
pub(super) fn seconds_to(most: u64) -> impl Fn(&DeValue<'_>) -> Result<Duration, Refusal> {
    time(Duration::from_millis(100)..=Duration::from_secs(most))
}

/// One of a closed set of words.
pub(super) fn word<T: Copy>(words: impl AsRef<[(&'static str, T)]>) -> impl Fn(&DeValue<'_>) -> Result<T, Refusal> {
    move |value| {
        let all: Vec<_> = words.as_ref().iter().map(|(word, _)| format!("\"{word}\"")).collect();
        let form = format!("one of {}", all.join(", "));
        let Some(text) = value.as_str() else {
            return Err(wrong_type(value, &form));
        };
        let found = words.as_ref().iter().find(|(word, _)| *word == text);
        found
            .map(|(_, meaning)| *meaning)
            .ok_or_else(|| Refusal { reason: "is none of the known words".to_owned(), hint: form })
    }
}

/// A list of at least `least` different values.
pub(super) fn list<T: PartialEq>(
    least: usize,
    read: impl Fn(&DeValue<'_>) -> Result<T, Refusal>,
) -> impl Fn(&DeValue<'_>) -> Result<Vec<T>, Refusal> {
    move |value| {
        let Some(entries) = value.as_array() else {
            return Err(wrong_type(value, "a list in brackets"));
        };
        let mut all = Vec::new();
        for (place, entry) in entries.iter().enumerate() {
            let at = |reason: &str| format!("entry {} {reason}", place + 1);
            let one =
                read(entry.get_ref()).map_err(|refusal| Refusal { reason: at(&refusal.reason), hint: refusal.hint })?;
            if all.contains(&one) {
                return Err(Refusal { reason: at("stands there twice"), hint: "name each once".to_owned() });
            }
            all.push(one);
        }
        if all.len() < least {
            return Err(Refusal { reason: "is empty".to_owned(), hint: "name at least one".to_owned() });
        }
        Ok(all)
    }
}

/// A user or a group, by name or number.
pub(super) fn account(value: &DeValue<'_>) -> Result<Account, Refusal> {
    let form = "a name of this machine's, or a number";
    if let Some(integer) = value.as_integer() {
        let id = u32::from_str_radix(integer.as_str(), integer.radix()).ok();
        // The highest number means "no change" to the kernel and is nobody's.
        return id
            .filter(|&id| id != u32::MAX)
            .map(Account::Id)
            .ok_or_else(|| Refusal { reason: "is out of range".to_owned(), hint: form.to_owned() });
    }
    let Some(text) = value.as_str() else {
        return Err(wrong_type(value, form));
    };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-$".contains(&byte);
    let starts_well = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if starts_well && text.len() <= 32 && text.bytes().all(allowed) {
        Ok(Account::Name(text.to_owned()))
    } else {
        Err(Refusal { reason: "is not the name of an account".to_owned(), hint: form.to_owned() })
    }
}

fn wrong_type(value: &DeValue<'_>, form: &str) -> Refusal {
    Refusal { reason: format!("is of type {}", value.type_str()), hint: form.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_machines() {
        assert_eq!("Mail.Exempel.SE".parse::<DnsName>().unwrap().as_str(), "mail.exempel.se");
        assert!("localhost".parse::<DnsName>().is_ok());
        for text in ["", ".", "a..b", "-a.se", "*.exempel.se", "a b", "127.0.0.1", "exämpel.se", "a.se."] {
            assert_eq!(text.parse::<DnsName>(), Err(NotADnsName), "{text}");
        }
        assert!(matches!("127.0.0.1".parse(), Ok(Host::Address(_))));
    }

    #[test]
    fn addresses_for_mails_are_plain_https() {
        for text in ["https://nycklar.exempel.se", "https://nycklar.exempel.se:8443/", "https://[::1]:8443"] {
            assert!(text.parse::<PublicUrl>().is_ok(), "{text}");
        }
        for text in [
            "",
            "http://exempel.se",
            "https://",
            "https://a@exempel.se",
            "https://exempel.se/?id=1",
            "/x",
            "https://exempel.se/\"",
            "https://a b",
        ] {
            assert_eq!(text.parse::<PublicUrl>(), Err(NotAPublicUrl), "{text}");
        }
    }
}
