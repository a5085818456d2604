//! The daemon's own three keys: read from files that nobody else may know, made once by `tallyd init`.

use data_encoding::HEXLOWER;
use secrecy::SecretBox;
use zeroize::Zeroizing;

use super::refused::Refused;
use crate::config::Config;
use crate::domain::pseudonym::Pseudonyms;
use crate::domain::random::Randomness;
use crate::journal::key::{Origin, SigningKey};
use crate::platform::files::{self, FileSource};

/// Keys as the daemon uses them.
pub struct Keys {
    /// Signs checkpoints.
    pub journal: SigningKey,
    /// One of the two halves of every sealing key; the other is an epoch's salt.
    pub sealing: SecretBox<[u8; 32]>,
    /// Hashes personal data.
    pub pseudonyms: Pseudonyms,
}

impl Keys {
    /// Reads all three.
    pub fn load(config: &Config) -> Result<Self, Refused> {
        let text = files::read_secret(&config.journal.signing_key)?;
        let text = std::str::from_utf8(&text).unwrap_or_default();
        let journal = SigningKey::parse(text.trim_end())?;
        if journal.origin().as_str() != config.journal.origin.as_str() {
            return Err(Refused::files(
                "use the journal's signing key for",
                config.journal.origin.as_str(),
                format_args!("it was made for {}", journal.origin()),
                "correct journal.origin, or name the key that belongs to it",
            ));
        }
        let sealing = read_32(&config.keys.sealing)?;
        let pseudonyms = read_32(&config.keys.pseudonyms)?;
        Ok(Self {
            journal,
            sealing: SecretBox::init_with_mut(|key: &mut [u8; 32]| key.copy_from_slice(sealing.as_slice())),
            pseudonyms: Pseudonyms::new(&pseudonyms),
        })
    }

    /// Makes those that are not there yet, and says which. A key that is there is never touched.
    pub fn make_missing(config: &Config, random: &dyn Randomness) -> Result<Vec<String>, Refused> {
        let mut made = Vec::new();
        let origin: Origin = config.journal.origin.as_str().parse().map_err(|error| {
            Refused::files("name the journal", config.journal.origin.as_str(), error, "correct journal.origin")
        })?;
        let no_random = |error| Refused::failed("draw a key", "", error, "see that the kernel's generator works");
        make(&config.journal.signing_key, &mut made, || {
            let key = SigningKey::generate(origin.clone(), random).map_err(no_random)?;
            let text = key.to_text();
            Ok(Zeroizing::new(secrecy::ExposeSecret::expose_secret(&text).as_bytes().to_vec()))
        })?;
        for source in [&config.keys.sealing, &config.keys.pseudonyms] {
            make(source, &mut made, || {
                let mut key = Zeroizing::new([0_u8; 32]);
                random.fill(key.as_mut_slice()).map_err(no_random)?;
                Ok(Zeroizing::new(HEXLOWER.encode(key.as_slice()).into_bytes()))
            })?;
        }
        Ok(made)
    }
}

fn make(
    source: &FileSource,
    made: &mut Vec<String>,
    draw: impl FnOnce() -> Result<Zeroizing<Vec<u8>>, Refused>,
) -> Result<(), Refused> {
    let path = source.path()?;
    if path.symlink_metadata().is_ok() {
        return Ok(());
    }
    let mut text = draw()?;
    text.push(b'\n');
    files::write_new(&path, &text)?;
    made.push(path.display().to_string());
    Ok(())
}

/// A key file of 64 hexadecimal digits.
fn read_32(source: &FileSource) -> Result<Zeroizing<[u8; 32]>, Refused> {
    let bytes = files::read_secret(source)?;
    let mut key = Zeroizing::new([0_u8; 32]);
    let digits = bytes.trim_ascii_end();
    let fits = digits.len() == 64 && HEXLOWER.decode_mut(digits, key.as_mut_slice()).is_ok();
    if fits {
        return Ok(key);
    }
    let path = source.path()?;
    let hint = "it is the file that tallyd init made; restore it from where you keep it";
    Err(Refused::files("read the key", path.display(), "it is not 64 lower-case hexadecimal digits", hint))
}
