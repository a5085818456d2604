//! Sealing of pickup shares: AES-256-GCM under a key that is made of two things kept apart, the sealing key (a
//! credential file) and an epoch's salt (a small file outside the database and outside backups).
//!
//! When an epoch's salt is destroyed, nothing that was sealed in it can be opened again, wherever a copy of it lies:
//! not in an old backup, not in a free page of the database, not in a snapshot. This file knows salts, keys and
//! bytes; when an epoch may go, and the journal entries about it, are its caller's.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use data_encoding::HEXLOWER;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use secrecy::{ExposeSecret, SecretBox};
use zeroize::Zeroizing;

use super::contract::SealedShare;
use crate::domain::ids::{ApplicationId, Label};
use crate::domain::random::{Randomness, RandomnessFailed};
use crate::domain::share::ShareToken;
use crate::domain::time::Timestamp;
use crate::platform::files::{self, FileRefused, FileSource};

/// The name of the directory in the state directory. It must not be in a backup.
const DIRECTORY: &str = "epochs";

/// A key may seal 2³² messages with random nonces (NIST SP 800-38D, section 8.3); a day's shares are far fewer.
const SALT_LENGTH: usize = 32;

/// Seals and opens pickup shares, and keeps the epochs.
pub struct Sealer {
    directory: PathBuf,
    key: SecretBox<[u8; 32]>,
    epochs: RwLock<BTreeMap<u32, Opened>>,
}

/// One epoch that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch {
    /// 1, 2, …
    pub number: u32,
    /// When it was opened.
    pub opened: Timestamp,
}

struct Opened {
    at: Timestamp,
    key: LessSafeKey,
}

/// Why something was not sealed, opened or destroyed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// No epoch was ever opened.
    #[error("no sealing epoch is open")]
    NoEpoch,
    /// The epoch was destroyed, or its file was lost: what was sealed in it is gone for good.
    #[error("sealing epoch {0} is gone")]
    EpochGone(u32),
    /// The newest epoch seals; another must be opened before it can go.
    #[error("sealing epoch {0} is the newest and cannot be destroyed")]
    Newest(u32),
    /// Changed, moved to another place, or sealed under another key.
    #[error("the sealed share does not open under its epoch's key")]
    Forged,
    /// An epoch's file is not as it was written.
    #[error("{} is not the salt of an epoch", .0.display())]
    Damaged(PathBuf),
    /// A file or the directory could not be used.
    #[error("sealing epochs: {0}")]
    File(#[from] FileRefused),
    /// The directory could not be made or listed.
    #[error("{}: {cause}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the kernel said.
        cause: io::Error,
    },
    /// The operating system gave no random bytes.
    #[error(transparent)]
    Randomness(#[from] RandomnessFailed),
    /// Numbers are used up, or the cryptographic library refused what it cannot refuse.
    #[error("sealing failed")]
    Failed,
}

impl Sealer {
    /// Makes the directory, for `init`; it must not be there.
    pub fn create(state: &Path) -> Result<(), SealError> {
        let path = state.join(DIRECTORY);
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|cause| SealError::Directory { path, cause })
    }

    /// Destroys every epoch that there is and opens this one alone, which the caller has recorded. For a recovery: nothing
    /// is in flight any more, and a number that the lost entries gave out is not used again.
    pub fn begin_again(state: &Path, number: u32, now: Timestamp, random: &dyn Randomness) -> Result<(), SealError> {
        let directory = state.join(DIRECTORY);
        if !directory.exists() {
            Self::create(state)?;
        }
        for old in numbers_in(&directory)? {
            files::erase(&file_of(&directory, old))?;
        }
        let mut salt = Zeroizing::new([0; SALT_LENGTH]);
        random.fill(salt.as_mut_slice())?;
        Ok(files::write_new(&file_of(&directory, number), salt_text(number, now, &salt).as_bytes())?)
    }

    /// The highest number of an epoch that there is a file of, whatever it holds.
    pub fn highest(state: &Path) -> Result<Option<u32>, SealError> {
        let directory = state.join(DIRECTORY);
        if !directory.exists() { Ok(None) } else { Ok(numbers_in(&directory)?.into_iter().max()) }
    }

    /// Reads the epochs that exist. Creates nothing; the removal of an epoch that a crash interrupted is finished.
    pub fn open(state: &Path, key: SecretBox<[u8; 32]>) -> Result<Self, SealError> {
        let directory = state.join(DIRECTORY);
        let mut epochs = BTreeMap::new();
        for number in numbers_in(&directory)? {
            if let Some(opened) = read_epoch(&directory, number, &key)? {
                epochs.insert(number, opened);
            }
        }
        Ok(Self { directory, key, epochs: RwLock::new(epochs) })
    }

    /// The epoch to seal in, if it is one of today (UTC); otherwise a new one is to be opened first.
    pub fn current(&self, now: Timestamp) -> Option<u32> {
        let epochs = self.epochs.read().unwrap_or_else(PoisonError::into_inner);
        let (number, newest) = epochs.last_key_value()?;
        // A clock that was set back opens no second epoch for the same day.
        (now < newest.at || newest.at.date() == now.date()).then_some(*number)
    }

    /// Opens the next epoch, which the caller has recorded. Its salt is on disk when this returns; after a crash it is
    /// there whole or not at all.
    pub fn open_new(&self, now: Timestamp, random: &dyn Randomness) -> Result<u32, SealError> {
        let mut epochs = self.epochs.write().unwrap_or_else(PoisonError::into_inner);
        let newest = epochs.last_key_value().map_or(0, |(number, _)| *number);
        let number = newest.checked_add(1).ok_or(SealError::Failed)?;
        let mut salt = Zeroizing::new([0; SALT_LENGTH]);
        random.fill(salt.as_mut_slice())?;
        let opened = Opened { at: now, key: derive(&self.key, &salt)? };
        files::write_new(&file_of(&self.directory, number), salt_text(number, now, &salt).as_bytes())?;
        epochs.insert(number, opened);
        Ok(number)
    }

    /// Destroys an epoch's salt: overwritten, synced, unlinked, and forgotten in memory. The newest one stays. On a
    /// copy-on-write file system or a flash disk old blocks may outlive it; encrypt the disk there.
    pub fn destroy(&self, number: u32) -> Result<(), SealError> {
        let mut epochs = self.epochs.write().unwrap_or_else(PoisonError::into_inner);
        if epochs.last_key_value().is_some_and(|(newest, _)| *newest == number) {
            return Err(SealError::Newest(number));
        }
        // Forgotten first: even if the file resists, this process opens nothing of it any more.
        epochs.remove(&number).ok_or(SealError::EpochGone(number))?;
        Ok(files::erase(&file_of(&self.directory, number))?)
    }

    /// The epochs that exist, oldest first.
    pub fn list(&self) -> Vec<Epoch> {
        let epochs = self.epochs.read().unwrap_or_else(PoisonError::into_inner);
        let epoch = |(number, opened): (&u32, &Opened)| Epoch { number: *number, opened: opened.at };
        epochs.iter().map(epoch).collect()
    }

    /// Seals a pickup token in the newest epoch, bound to its application, version and label.
    pub fn seal(
        &self,
        application: &ApplicationId,
        version: u32,
        label: &Label,
        token: &ShareToken,
        random: &dyn Randomness,
    ) -> Result<SealedShare, SealError> {
        let epochs = self.epochs.read().unwrap_or_else(PoisonError::into_inner);
        let (&epoch, opened) = epochs.last_key_value().ok_or(SealError::NoEpoch)?;
        let mut nonce = [0; NONCE_LEN];
        random.fill(&mut nonce)?;
        // One buffer from plaintext to ciphertext, of the final length, so that no copy stays behind.
        let text = token.release().as_bytes();
        let mut buffer = Zeroizing::new(Vec::with_capacity(NONCE_LEN + text.len() + AES_256_GCM.tag_len()));
        buffer.extend_from_slice(&nonce);
        buffer.extend_from_slice(text);
        let (_, body) = buffer.split_at_mut(NONCE_LEN);
        let bound = Aad::from(bound_to(application, version, label));
        let tag = opened.key.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), bound, body);
        let tag = tag.map_err(|_| SealError::Failed)?;
        buffer.extend_from_slice(tag.as_ref());
        Ok(SealedShare { version, label: label.clone(), epoch, sealed: std::mem::take(&mut *buffer) })
    }

    /// Opens a sealed share: the identical token that was sealed.
    pub fn unseal(&self, application: &ApplicationId, share: &SealedShare) -> Result<ShareToken, SealError> {
        let epochs = self.epochs.read().unwrap_or_else(PoisonError::into_inner);
        let opened = epochs.get(&share.epoch).ok_or(SealError::EpochGone(share.epoch))?;
        let (nonce, body) = share.sealed.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Forged)?;
        let mut buffer = Zeroizing::new(body.to_vec());
        let bound = Aad::from(bound_to(application, share.version, &share.label));
        let text = opened.key.open_in_place(Nonce::assume_unique_for_key(*nonce), bound, &mut buffer);
        let length = text.map_err(|_| SealError::Forged)?.len();
        buffer.truncate(length);
        // The buffer itself becomes the token, which wipes it when dropped.
        let text = String::from_utf8(std::mem::take(&mut *buffer)).map_err(|error| {
            drop(Zeroizing::new(error.into_bytes()));
            SealError::Forged
        })?;
        Ok(ShareToken::from_text(text))
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer")
    }
}

/// HKDF-SHA-256 (RFC 5869) with the epoch's salt.
fn derive(key: &SecretBox<[u8; 32]>, salt: &[u8; SALT_LENGTH]) -> Result<LessSafeKey, SealError> {
    let extracted = Salt::new(HKDF_SHA256, salt).extract(key.expose_secret());
    let expanded = extracted.expand(&[b"tallyd pickup share v1"], &AES_256_GCM);
    let key = expanded.map_err(|_| SealError::Failed)?;
    Ok(LessSafeKey::new(UnboundKey::from(key)))
}

/// The associated data: each text with its length before it, so that no two places give the same bytes.
fn bound_to(application: &ApplicationId, version: u32, label: &Label) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    for part in [application.as_str().as_bytes(), &version.to_be_bytes(), label.as_str().as_bytes()] {
        // Ids are at most 64 bytes long.
        bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

fn file_of(directory: &Path, number: u32) -> PathBuf {
    directory.join(number.to_string())
}

fn numbers_in(directory: &Path) -> Result<Vec<u32>, SealError> {
    let failed = |cause| SealError::Directory { path: directory.to_owned(), cause };
    let mut numbers = Vec::new();
    for file in fs::read_dir(directory).map_err(failed)? {
        let file = file.map_err(failed)?;
        let number = file.file_name().to_str().and_then(|name| name.parse().ok());
        let number: u32 = number.ok_or_else(|| SealError::Damaged(file.path()))?;
        numbers.push(number);
    }
    Ok(numbers)
}

fn salt_text(number: u32, opened: Timestamp, salt: &[u8; SALT_LENGTH]) -> Zeroizing<String> {
    let salt = Zeroizing::new(HEXLOWER.encode(salt));
    Zeroizing::new(format!("tallyd epoch v1\nnumber {number}\nopened {opened}\nsalt {}\n", salt.as_str()))
}

fn read_epoch(directory: &Path, number: u32, key: &SecretBox<[u8; 32]>) -> Result<Option<Opened>, SealError> {
    let path = file_of(directory, number);
    let bytes = files::read_secret(&FileSource::Path(path.clone()))?;
    // Overwritten and still there: a crash came before the name was removed.
    if bytes.iter().all(|byte| *byte == 0) && !bytes.is_empty() {
        files::erase(&path)?;
        return Ok(None);
    }
    let Some((at, salt)) = parse_salt(number, &bytes) else {
        return Err(SealError::Damaged(path));
    };
    Ok(Some(Opened { at, key: derive(key, &salt)? }))
}

fn parse_salt(number: u32, bytes: &[u8]) -> Option<(Timestamp, Zeroizing<[u8; SALT_LENGTH]>)> {
    let mut lines = std::str::from_utf8(bytes).ok()?.lines().skip(2);
    let opened: Timestamp = lines.next()?.strip_prefix("opened ")?.parse().ok()?;
    let salt = lines.next()?.strip_prefix("salt ")?;
    let decoded = Zeroizing::new(HEXLOWER.decode(salt.as_bytes()).ok()?);
    let salt = Zeroizing::new(<[u8; SALT_LENGTH]>::try_from(decoded.as_slice()).ok()?);
    (salt_text(number, opened, &salt).as_bytes() == bytes).then_some((opened, salt))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::random::SystemRandomness;
    use crate::store::conformance::Scratch;

    const DAY: std::time::Duration = std::time::Duration::from_hours(24);

    fn now() -> Timestamp {
        "2026-11-23T07:30:00.000Z".parse().unwrap()
    }

    fn random() -> SystemRandomness {
        SystemRandomness::probe().unwrap()
    }

    fn open(state: &Path, key: u8) -> Sealer {
        Sealer::open(state, SecretBox::new(Box::new([key; 32]))).unwrap()
    }

    fn sealer(name: &str) -> (Scratch, Sealer) {
        let scratch = Scratch::new(name);
        Sealer::create(scratch.path()).unwrap();
        let sealer = open(scratch.path(), 7);
        (scratch, sealer)
    }

    fn token() -> ShareToken {
        ShareToken::from_text("tally1.K7QF2M9D.pickup.oauth2.AAAA.00000000".to_owned())
    }

    fn place() -> (ApplicationId, Label) {
        ("A-1".parse().unwrap(), "oauth2".parse().unwrap())
    }

    #[test]
    fn what_was_sealed_opens_to_the_identical_token_also_after_a_restart() {
        let (scratch, sealer) = sealer("seal-open");
        let (application, label) = place();
        assert!(matches!(sealer.seal(&application, 1, &label, &token(), &random()), Err(SealError::NoEpoch)));
        sealer.open_new(now(), &random()).unwrap();
        let sealed = sealer.seal(&application, 1, &label, &token(), &random()).unwrap();
        let again = sealer.seal(&application, 1, &label, &token(), &random()).unwrap();
        assert_ne!(sealed.sealed, again.sealed);
        let reopened = open(scratch.path(), 7);
        assert_eq!(reopened.unseal(&application, &sealed).unwrap().release(), token().release());
    }

    #[test]
    fn a_share_opens_nowhere_else_and_not_after_any_change() {
        let (scratch, sealer) = sealer("seal-forged");
        let (application, label) = place();
        sealer.open_new(now(), &random()).unwrap();
        let sealed = sealer.seal(&application, 1, &label, &token(), &random()).unwrap();
        let forged = |share: &SealedShare, application: &ApplicationId| {
            matches!(sealer.unseal(application, share), Err(SealError::Forged))
        };
        assert!(forged(&sealed, &"A-2".parse().unwrap()));
        assert!(forged(&SealedShare { version: 2, ..sealed.clone() }, &application));
        assert!(forged(&SealedShare { label: "apigw".parse().unwrap(), ..sealed.clone() }, &application));
        for place in 0..sealed.sealed.len() {
            let mut changed = sealed.clone();
            changed.sealed[place] ^= 1;
            assert!(forged(&changed, &application), "byte {place}");
            changed.sealed.truncate(place);
            assert!(forged(&changed, &application), "cut at {place}");
        }
        let other_key = open(scratch.path(), 8);
        assert!(matches!(other_key.unseal(&application, &sealed), Err(SealError::Forged)));
    }

    #[test]
    fn a_destroyed_epoch_is_gone_and_the_newest_cannot_be() {
        let (scratch, sealer) = sealer("seal-epochs");
        let (application, label) = place();
        assert_eq!(sealer.current(now()), None);
        let first = sealer.open_new(now(), &random()).unwrap();
        assert_eq!(sealer.current(now()), Some(first));
        assert_eq!(sealer.current(now().after(DAY)), None);
        let sealed = sealer.seal(&application, 1, &label, &token(), &random()).unwrap();
        assert!(matches!(sealer.destroy(first), Err(SealError::Newest(1))));
        let second = sealer.open_new(now().after(DAY), &random()).unwrap();
        assert_eq!((first, second), (1, 2));
        sealer.unseal(&application, &sealed).unwrap();
        sealer.destroy(first).unwrap();
        assert!(matches!(sealer.unseal(&application, &sealed), Err(SealError::EpochGone(1))));
        let reopened = open(scratch.path(), 7);
        assert!(matches!(reopened.unseal(&application, &sealed), Err(SealError::EpochGone(1))));
        assert_eq!(reopened.list(), [Epoch { number: 2, opened: now().after(DAY) }]);
        assert_eq!(reopened.current(now()), Some(2));
    }

    #[test]
    fn a_removal_that_a_crash_interrupted_is_finished_at_the_next_start() {
        let (scratch, sealer) = sealer("seal-interrupted");
        sealer.open_new(now(), &random()).unwrap();
        sealer.open_new(now().after(DAY), &random()).unwrap();
        let path = scratch.path().join(DIRECTORY).join("1");
        let length = fs::read(&path).unwrap().len();
        fs::write(&path, vec![0; length]).unwrap();
        assert_eq!(open(scratch.path(), 7).list().len(), 1);
        assert!(!path.exists());
    }

    #[test]
    fn a_changed_salt_is_refused() {
        let (scratch, sealer) = sealer("seal-damaged");
        sealer.open_new(now(), &random()).unwrap();
        let path = scratch.path().join(DIRECTORY).join("1");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("number 1", "number 2")).unwrap();
        let key = SecretBox::new(Box::new([7; 32]));
        let refused = Sealer::open(scratch.path(), key);
        assert!(matches!(refused, Err(SealError::Damaged(_))));
    }
}
