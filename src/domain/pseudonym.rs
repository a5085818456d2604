//! Keyed hashes that stand in the journal for personal data, so that a person can be forgotten and the trail still holds.

use std::fmt;
use std::net::IpAddr;

use ring::hmac;

use super::contact::EmailAddress;
use super::digest::Pseudonym;
use super::openpgp::OpenPgpKey;
use super::organisation::{OrganisationNumber, Party};

/// The agency's pseudonym key. Without it nobody can test whether a known address stands behind a hash.
pub struct Pseudonyms(hmac::Key);

impl Pseudonyms {
    /// From the 32 bytes of the key file.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// Of a contact's address, whatever the case of its letters: people do not tell mailboxes apart by case.
    pub fn of_address(&self, address: &EmailAddress) -> Pseudonym {
        self.tag(b"address\n", address.as_str().to_ascii_lowercase().as_bytes())
    }

    /// Of a contact's OpenPGP key, as it was given.
    pub fn of_openpgp_key(&self, key: &OpenPgpKey) -> Pseudonym {
        self.tag(b"openpgp-key\n", key.as_str().as_bytes())
    }

    /// Of the network address that a share was fetched from.
    pub fn of_network(&self, address: IpAddr) -> Pseudonym {
        self.tag(b"network\n", address.to_canonical().to_string().as_bytes())
    }

    /// An organisation as the journal may name it: a sole trader's number only as a hash.
    pub fn party(&self, number: &OrganisationNumber) -> Party {
        if number.is_person() {
            Party::Person(self.tag(b"person\n", number.as_str().as_bytes()))
        } else {
            Party::Organisation(number.clone())
        }
    }

    fn tag(&self, domain: &[u8], value: &[u8]) -> Pseudonym {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(domain);
        context.update(value);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.sign().as_ref());
        Pseudonym::from_bytes(bytes)
    }
}

impl fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pseudonyms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_persons_number_is_hidden() {
        let pseudonyms = Pseudonyms::new(&[7; 32]);
        let firm: OrganisationNumber = "5590000005".parse().unwrap();
        assert_eq!(pseudonyms.party(&firm), Party::Organisation(firm));
        let person: OrganisationNumber = "191212121212".parse().unwrap();
        assert!(matches!(pseudonyms.party(&person), Party::Person(_)));
    }

    #[test]
    fn another_key_or_another_kind_of_value_gives_another_hash() {
        let address: EmailAddress = "api@exempel.se".parse().unwrap();
        let spelled: EmailAddress = "API@exempel.se".parse().unwrap();
        let (one, other) = (Pseudonyms::new(&[1; 32]), Pseudonyms::new(&[2; 32]));
        assert_eq!(one.of_address(&address), one.of_address(&spelled));
        assert_ne!(one.of_address(&address), other.of_address(&address));
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", Pseudonyms::new(&[7; 32])), "Pseudonyms");
    }
}
