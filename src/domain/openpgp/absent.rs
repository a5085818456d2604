//! A build without the feature `openpgp`: no key can be used, so whatever must be encrypted is not sent.

use super::{BadKey, NotEncrypted};
use crate::domain::random::Randomness;
use crate::domain::time::Timestamp;

pub(super) fn check(_armour: &str, _now: Timestamp) -> Result<(), BadKey> {
    Err(BadKey::NotBuilt)
}

pub(super) fn encrypt(
    _armour: &str,
    _text: String,
    _now: Timestamp,
    _random: &dyn Randomness,
) -> Result<String, NotEncrypted> {
    Err(BadKey::NotBuilt.into())
}
