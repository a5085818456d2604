//! PKCS#12 files (RFC 7292), `.p12` and `.pfx`: what Windows, OpenSSL, NSS, Java and macOS export a certificate with its key
//! in. Reads them in two steps, because a damaged file is told before anybody is asked for a password. It knows nothing of
//! what the certificates are for.
//!
//! A file is a stranger's until its password fits: sizes, counts and work are bounded.

pub(super) mod ber;
mod scheme;

use std::borrow::Cow;
use std::num::NonZeroU32;

use ring::{digest, hmac};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use x509_parser::asn1_rs::{Class, oid};
use zeroize::Zeroizing;

use ber::{Malformed, Values};
use scheme::{Budget, Hash, Locked, Purpose, Scheme, derive, unknown};

pub(super) use scheme::Password;

/// The longest file. One identity with its chain has less than 10 KiB.
pub(super) const FILE_BYTES_MAX: usize = 1024 * 1024;

/// Keys and certificates in all.
const BAGS_MAX: usize = 256;

/// Rounds of hashing in all: NSS spends 1.8 million on a file, OpenSSL six thousand. Some seconds of work.
const ROUNDS_MAX: u64 = 10_000_000;

/// A file whose structure is sound; it is not opened yet.
pub(super) struct Sealed {
    /// The bytes that the checksum is over.
    safes: Vec<u8>,
    mac: Option<Mac>,
}

struct Mac {
    hash: &'static digest::Algorithm,
    hmac: hmac::Algorithm,
    digest: Vec<u8>,
    salt: Vec<u8>,
    rounds: NonZeroU32,
}

/// What a file holds, in its order.
#[derive(Default)]
pub(super) struct Opened {
    /// Private keys.
    pub(super) keys: Vec<Named<PrivateKeyDer<'static>>>,
    /// Certificates.
    pub(super) certificates: Vec<Named<CertificateDer<'static>>>,
    /// Whether the password decrypted anything.
    decrypted: bool,
}

/// Something with the name that it has in the file.
pub(super) struct Named<T> {
    /// The "friendly name", as it was chosen when the file was made.
    pub(super) name: Option<String>,
    /// The thing.
    pub(super) it: T,
}

/// Why a file is not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotOpened {
    /// Nothing can be said about its content without the right one.
    #[error("the password is wrong")]
    Password,
    /// It is not whole or was changed.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    /// It is sound, and protected in a way that is not read here.
    #[error("it is protected in a way that is not read here (object identifier {0})")]
    Scheme(String),
    /// It asks for more work than any program does.
    #[error("opening it takes more than {ROUNDS_MAX} rounds of hashing, which no known program asks for")]
    TooMuchWork,
    /// It holds more than any program puts there.
    #[error("it holds more than {BAGS_MAX} keys and certificates")]
    TooMany,
}

const STRUCTURE: NotOpened = NotOpened::Damaged("its structure does not follow RFC 7292; it may be cut off");
const CHECKSUM: NotOpened = NotOpened::Damaged("the password fits, but the checksum does not: it was changed or cut");
const INSIDE: NotOpened = NotOpened::Damaged("the password fits its checksum, but not all that is in it");

impl From<Malformed> for NotOpened {
    fn from(_: Malformed) -> Self {
        STRUCTURE
    }
}

const DATA: &[u8] = &oid!(raw 1.2.840.113549.1.7.1);
const ENCRYPTED_DATA: &[u8] = &oid!(raw 1.2.840.113549.1.7.6);
const KEY_BAG: &[u8] = &oid!(raw 1.2.840.113549.1.12.10.1.1);
const SHROUDED_KEY_BAG: &[u8] = &oid!(raw 1.2.840.113549.1.12.10.1.2);
const CERTIFICATE_BAG: &[u8] = &oid!(raw 1.2.840.113549.1.12.10.1.3);
const X509_CERTIFICATE: &[u8] = &oid!(raw 1.2.840.113549.1.9.22.1);
const FRIENDLY_NAME: &[u8] = &oid!(raw 1.2.840.113549.1.9.20);
const SHA1: &[u8] = &oid!(raw 1.3.14.3.2.26);
const SHA256: &[u8] = &oid!(raw 2.16.840.1.101.3.4.2.1);
const SHA384: &[u8] = &oid!(raw 2.16.840.1.101.3.4.2.2);
const SHA512: &[u8] = &oid!(raw 2.16.840.1.101.3.4.2.3);

/// Decrypts a key that stands alone (`EncryptedPrivateKeyInfo`, RFC 5958), as in PEM files that begin
/// `ENCRYPTED PRIVATE KEY`.
pub(super) fn open_key(encrypted: &[u8], password: &Password) -> Result<PrivateKeyDer<'static>, NotOpened> {
    let mut values = Values::of_sequence(encrypted)?;
    shrouded_key(&mut values, password, &mut Budget(ROUNDS_MAX))
        .map_err(|locked| not_opened(locked, NotOpened::Password))
}

impl Sealed {
    /// Looks at the structure, as far as it is not encrypted.
    pub(super) fn read(file: &[u8]) -> Result<Self, NotOpened> {
        let mut values = Values::of_sequence(file)?;
        if values.number()? != 3 {
            return Err(STRUCTURE);
        }
        let mut content = values.sequence()?;
        match content.oid()? {
            DATA => {}
            other => return Err(not_opened(unknown(other), STRUCTURE)),
        }
        let safes = content.explicit_zero()?.octets()?.into_owned();
        let mac = if values.is_empty() { None } else { Some(Mac::read(&mut values)?) };
        let sealed = Self { safes, mac };
        // What the file asks for is known without its password, but for keys that are encrypted inside of something
        // encrypted; those are paid for when they are met.
        let mut budget = Budget(ROUNDS_MAX);
        let asked = |locked| not_opened(locked, STRUCTURE);
        if let Some(mac) = &sealed.mac {
            budget.pay(mac.rounds.get(), 1).map_err(asked)?;
        }
        sealed.each_safe(|kind, safe| match kind {
            DATA => shrouded_keys(&safe.octets()?, |values| Scheme::read(values)?.pay(&mut budget)).map_err(asked),
            _ => encrypted_content(safe).and_then(|(scheme, _)| scheme.pay(&mut budget)).map_err(asked),
        })?;
        Ok(sealed)
    }

    /// Opens it: all keys and certificates that are in it.
    pub(super) fn open(&self, password: &Password) -> Result<Opened, NotOpened> {
        match self.open_with(password) {
            Err(NotOpened::Password) if password.is_empty() => self.open_with(&Password::none()),
            outcome => outcome,
        }
    }

    fn open_with(&self, password: &Password) -> Result<Opened, NotOpened> {
        let mut budget = Budget(ROUNDS_MAX);
        let fits = match &self.mac {
            Some(mac) => {
                mac.fits(&self.safes, password, &mut budget).map_err(|locked| not_opened(locked, STRUCTURE))?
            }
            None => true,
        };
        let wrong = if self.mac.is_some() { INSIDE } else { NotOpened::Password };
        let mut opened = Opened::default();
        let read = self.each_safe(|kind, safe| {
            let bags = match kind {
                DATA => Zeroizing::new(safe.octets()?.into_owned()),
                _ => {
                    let bags = encrypted_data(safe, password, &mut budget);
                    let bags = bags.map_err(|locked| not_opened(locked, wrong.clone()))?;
                    opened.decrypted = true;
                    bags
                }
            };
            opened.take(&bags, password, &mut budget, &wrong)
        });
        match (fits, read) {
            (true, read) => read.map(|()| opened),
            (false, Err(refused @ (NotOpened::TooMuchWork | NotOpened::Scheme(_)))) => Err(refused),
            // Only the right password decrypts anything.
            (false, _) if opened.decrypted => Err(CHECKSUM),
            (false, _) => Err(NotOpened::Password),
        }
    }

    /// Each safe with its kind: a safe is plain or encrypted.
    fn each_safe(
        &self,
        mut look: impl FnMut(&[u8], &mut Values<'_>) -> Result<(), NotOpened>,
    ) -> Result<(), NotOpened> {
        let mut safes = Values::of_sequence(&self.safes)?;
        let mut count = 0;
        while !safes.is_empty() {
            count += 1;
            if count > BAGS_MAX {
                return Err(NotOpened::TooMany);
            }
            let mut safe = safes.sequence()?;
            let kind = safe.oid()?;
            if kind != DATA && kind != ENCRYPTED_DATA {
                return Err(not_opened(unknown(kind), STRUCTURE));
            }
            look(kind, &mut safe.explicit_zero()?)?;
        }
        Ok(())
    }
}

impl Mac {
    fn read(values: &mut Values<'_>) -> Result<Self, NotOpened> {
        let mut values = values.sequence()?;
        let mut info = values.sequence()?;
        let (hash, hmac) = match info.sequence()?.oid()? {
            SHA1 => (&digest::SHA1_FOR_LEGACY_USE_ONLY, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
            SHA256 => (&digest::SHA256, hmac::HMAC_SHA256),
            SHA384 => (&digest::SHA384, hmac::HMAC_SHA384),
            SHA512 => (&digest::SHA512, hmac::HMAC_SHA512),
            other => return Err(not_opened(unknown(other), STRUCTURE)),
        };
        let digest = info.octets()?.into_owned();
        let salt = values.octets()?.into_owned();
        let rounds = if values.is_empty() { 1 } else { values.number()? };
        Ok(Self { hash, hmac, digest, salt, rounds: NonZeroU32::new(rounds).ok_or(STRUCTURE)? })
    }

    fn fits(&self, bytes: &[u8], password: &Password, budget: &mut Budget) -> Result<bool, Locked> {
        budget.pay(self.rounds.get(), 1)?;
        let length = self.hash.output_len();
        let key = derive(Hash(self.hash), Purpose::Mac, password.wide(), &self.salt, self.rounds, length);
        Ok(hmac::verify(&hmac::Key::new(self.hmac, &key), bytes, &self.digest).is_ok())
    }
}

impl Opened {
    fn take(
        &mut self,
        bags: &[u8],
        password: &Password,
        budget: &mut Budget,
        wrong: &NotOpened,
    ) -> Result<(), NotOpened> {
        let mut bags = Values::of_sequence(bags)?;
        while !bags.is_empty() {
            if self.keys.len() + self.certificates.len() >= BAGS_MAX {
                return Err(NotOpened::TooMany);
            }
            let mut bag = bags.sequence()?;
            let kind = bag.oid()?;
            let mut value = bag.explicit_zero()?;
            let name = friendly_name(&mut bag)?;
            match kind {
                KEY_BAG => {
                    let it = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(value.rest().to_vec()));
                    self.keys.push(Named { name, it });
                }
                SHROUDED_KEY_BAG => {
                    let key = shrouded_key(&mut value.sequence()?, password, budget);
                    let it = key.map_err(|locked| not_opened(locked, wrong.clone()))?;
                    self.decrypted = true;
                    self.keys.push(Named { name, it });
                }
                CERTIFICATE_BAG => {
                    let mut certificate = value.sequence()?;
                    if certificate.oid()? == X509_CERTIFICATE {
                        let octets = certificate.explicit_zero()?.octets()?.into_owned();
                        self.certificates.push(Named { name, it: CertificateDer::from(octets) });
                    }
                }
                // Revocation lists and secrets of Java are nothing to identify oneself with.
                _ => {}
            }
        }
        Ok(())
    }
}

fn encrypted_data(
    safe: &mut Values<'_>,
    password: &Password,
    budget: &mut Budget,
) -> Result<Zeroizing<Vec<u8>>, Locked> {
    let (scheme, encrypted) = encrypted_content(safe)?;
    scheme.decrypt(&encrypted, password, budget)
}

fn encrypted_content<'a>(safe: &mut Values<'a>) -> Result<(Scheme, Cow<'a, [u8]>), Locked> {
    let mut data = safe.sequence()?;
    data.number()?;
    let mut content = data.sequence()?;
    content.oid()?;
    let scheme = Scheme::read(&mut content)?;
    Ok((scheme, content.octets_under_zero()?))
}

/// Looks at each encrypted key of a plain safe.
fn shrouded_keys(bags: &[u8], mut look: impl FnMut(&mut Values<'_>) -> Result<(), Locked>) -> Result<(), Locked> {
    let mut bags = Values::of_sequence(bags)?;
    while !bags.is_empty() {
        let mut bag = bags.sequence()?;
        if bag.oid()? == SHROUDED_KEY_BAG {
            look(&mut bag.explicit_zero()?.sequence()?)?;
        }
    }
    Ok(())
}

fn shrouded_key(
    values: &mut Values<'_>,
    password: &Password,
    budget: &mut Budget,
) -> Result<PrivateKeyDer<'static>, Locked> {
    let scheme = Scheme::read(values)?;
    let key = scheme.decrypt(&values.octets()?, password, budget)?;
    Ok(PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.to_vec())))
}

fn friendly_name(bag: &mut Values<'_>) -> Result<Option<String>, Malformed> {
    if !bag.next_is(Class::Universal, 17) {
        return Ok(None);
    }
    let mut attributes = bag.set()?;
    while !attributes.is_empty() {
        let mut attribute = attributes.sequence()?;
        if attribute.oid()? == FRIENDLY_NAME {
            return attribute.set()?.wide_text().map(Some);
        }
    }
    Ok(None)
}

fn not_opened(locked: Locked, wrong: NotOpened) -> NotOpened {
    match locked {
        Locked::Password => wrong,
        Locked::Scheme(oid) => NotOpened::Scheme(oid),
        Locked::TooMuchWork => NotOpened::TooMuchWork,
        Locked::Malformed => STRUCTURE,
    }
}

#[cfg(test)]
pub(super) mod tests;
