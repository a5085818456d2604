//! The two parts of a secret and the token that carries one of them.
//!
//! A token names its delivery, its side and its label and has a checksum, so that a wrong pair is explained and never
//! silently combined. Either payload alone is uniformly random.

use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};
use secrecy::{ExposeSecret, SecretBox, SecretString};

use super::ids::Label;
use super::reference::Reference;
use super::secret::{ClientSecret, MAX_SECRET_LENGTH, NotASecret, SecretBytes};

/// The longest token: the fixed parts, a label of 32 and 72 bytes in base64.
const MAX_TOKEN_LENGTH: usize = "tally1.K7QF2M9D.pickup..".len() + 32 + 96 + ".00000000".len();

/// Which channel a part travels by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// By e-mail.
    Mail,
    /// By the mTLS pickup endpoint.
    Pickup,
}

impl Side {
    fn as_str(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Pickup => "pickup",
        }
    }
}

/// The part that is mailed: the pad. It is never stored.
pub struct MailShare(SecretBox<SecretBytes>);

/// The part that is picked up: the secret under the pad. It is sealed before it reaches any table.
pub struct PickupShare(SecretBox<SecretBytes>);

impl MailShare {
    pub(super) fn from_pad(pad: SecretBox<SecretBytes>) -> Self {
        Self(pad)
    }

    /// The token for the mail's body.
    pub fn into_token(self, reference: &Reference, label: &Label) -> ShareToken {
        ShareToken::encode(reference, Side::Mail, label, self.0.expose_secret().as_slice())
    }
}

impl PickupShare {
    pub(super) fn from_masked(masked: SecretBox<SecretBytes>) -> Self {
        Self(masked)
    }

    /// The token that the pickup endpoint answers with. This, as text, is what gets sealed, so that every fetch gives
    /// the identical bytes.
    pub fn into_token(self, reference: &Reference, label: &Label) -> ShareToken {
        ShareToken::encode(reference, Side::Pickup, label, self.0.expose_secret().as_slice())
    }
}

/// `tally1.<reference>.<mail|pickup>.<label>.<payload>.<crc>`.
pub struct ShareToken(SecretString);

impl ShareToken {
    fn encode(reference: &Reference, side: Side, label: &Label, payload: &[u8]) -> Self {
        // The longest token there is, so that no half of it is left behind by a move to a larger block.
        let mut text = String::with_capacity(MAX_TOKEN_LENGTH);
        text.push_str("tally1.");
        text.push_str(reference.plain());
        text.push('.');
        text.push_str(side.as_str());
        text.push('.');
        text.push_str(label.as_str());
        text.push('.');
        let mut encoded = zeroize::Zeroizing::new([0_u8; MAX_SECRET_LENGTH.div_ceil(3) * 4]);
        // The buffer fits the longest payload there is.
        text.push_str(Base64UrlUnpadded::encode(payload, encoded.as_mut_slice()).unwrap_or_default());
        let crc = crc32fast::hash(text.as_bytes());
        text.push_str(&format!(".{crc:08x}"));
        Self(SecretString::from(text))
    }

    /// Takes a token's text as it came from a table (unsealed) or from the other side; checked when it is combined.
    pub fn from_text(text: String) -> Self {
        Self(SecretString::from(text))
    }

    /// The text, for its one channel: the mail's body, the pickup answer, or the sealer.
    pub fn release(&self) -> &str {
        self.0.expose_secret()
    }

    /// Reads the parts of the token. Checks the form first, then the checksum.
    pub fn read(&self) -> Result<Share, NotAShare> {
        Share::parse(self.0.expose_secret())
    }
}

impl fmt::Debug for MailShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MailShare")
    }
}

impl fmt::Debug for PickupShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PickupShare")
    }
}

impl fmt::Debug for ShareToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShareToken")
    }
}

/// What is wrong with a text that should be a share token. It never holds the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAShare {
    /// Not of the form at all.
    #[error("not a share: a share begins with tally1. and has six parts separated by dots")]
    Form,
    /// The form is right, the checksum is not.
    #[error("the share's checksum does not fit: it was changed or cut off when it was copied")]
    Checksum,
}

/// A share token taken apart.
pub struct Share {
    /// The delivery that it belongs to.
    pub reference: Reference,
    /// The channel that it came by.
    pub side: Side,
    /// The pair that it belongs to.
    pub label: Label,
    payload: SecretBox<Vec<u8>>,
}

impl Share {
    fn parse(text: &str) -> Result<Self, NotAShare> {
        let (body, crc) = text.rsplit_once('.').ok_or(NotAShare::Form)?;
        let parts: Vec<&str> = body.split('.').collect();
        let ["tally1", reference, side, label, payload] = parts[..] else {
            return Err(NotAShare::Form);
        };
        let side = match side {
            "mail" => Side::Mail,
            "pickup" => Side::Pickup,
            _ => return Err(NotAShare::Form),
        };
        // A wrong checksum is told before a wrong payload: it is the likelier cause of both.
        if format!("{:08x}", crc32fast::hash(body.as_bytes())) != crc {
            return Err(NotAShare::Checksum);
        }
        let payload = Base64UrlUnpadded::decode_vec(payload).map_err(|_| NotAShare::Form)?;
        Ok(Self {
            reference: reference.parse().map_err(|_| NotAShare::Form)?,
            side,
            label: label.parse().map_err(|_| NotAShare::Form)?,
            payload: SecretBox::new(Box::new(payload)),
        })
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Share({} {} {})", self.reference, self.side.as_str(), self.label)
    }
}

/// Why two shares cannot be put together, in words that tell the holder what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CannotCombine {
    /// They belong to two deliveries.
    #[error("the two shares belong to different deliveries: {mail} came by mail, {pickup} was picked up")]
    Deliveries {
        /// The delivery of the mail share.
        mail: Reference,
        /// The delivery of the pickup share.
        pickup: Reference,
    },
    /// They belong to two pairs of one bundle.
    #[error("the two shares belong to different keys of the bundle")]
    Labels,
    /// They are both of one side.
    #[error("both shares came by the same channel: one must be the mail share, the other the pickup share")]
    Sides,
    /// Together they give no secret.
    #[error("the two shares do not fit together: {0}")]
    Secret(NotASecret),
}

/// Puts the two parts of one secret together, in either order.
pub fn combine(one: &Share, other: &Share) -> Result<ClientSecret, CannotCombine> {
    let (mail, pickup) = match (one.side, other.side) {
        (Side::Mail, Side::Pickup) => (one, other),
        (Side::Pickup, Side::Mail) => (other, one),
        (Side::Mail, Side::Mail) | (Side::Pickup, Side::Pickup) => return Err(CannotCombine::Sides),
    };
    if mail.reference != pickup.reference {
        return Err(CannotCombine::Deliveries { mail: mail.reference, pickup: pickup.reference });
    }
    if mail.label != pickup.label {
        return Err(CannotCombine::Labels);
    }
    ClientSecret::join(mail.payload.expose_secret(), pickup.payload.expose_secret()).map_err(CannotCombine::Secret)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::dice::{Counting, Dice, Repeating};
    use crate::domain::ids::Environment;

    fn secret(seed: u64) -> ClientSecret {
        ClientSecret::generate(&"ex".parse().unwrap(), Environment::Test, &Dice::new(seed)).unwrap()
    }

    fn reference() -> Reference {
        "K7QF-2M9D".parse().unwrap()
    }

    fn pair(secret: ClientSecret, seed: u64) -> (ShareToken, ShareToken) {
        let (mail, pickup) = secret.split(&Dice::new(seed)).unwrap();
        let label = "oauth2".parse().unwrap();
        (mail.into_token(&reference(), &label), pickup.into_token(&reference(), &label))
    }

    fn read(text: &str) -> Result<Share, NotAShare> {
        ShareToken::from_text(text.to_owned()).read()
    }

    /// A token over any payload, with the right checksum.
    fn token(reference: &str, side: &str, label: &str, payload: &[u8]) -> Share {
        let body = format!("tally1.{reference}.{side}.{label}.{}", Base64UrlUnpadded::encode_string(payload));
        read(&format!("{body}.{:08x}", crc32fast::hash(body.as_bytes()))).unwrap()
    }

    /// The values were worked out by another program from DESIGN, section 5.
    #[test]
    fn tokens_are_golden() {
        let random = Counting::default();
        let secret = ClientSecret::generate(&"ex".parse().unwrap(), Environment::Production, &random).unwrap();
        let (mail, pickup) = secret.split(&random).unwrap();
        let label = "oauth2".parse().unwrap();
        let mail = mail.into_token(&reference(), &label);
        let pickup = pickup.into_token(&reference(), &label);
        let golden_mail = "tally1.K7QF2M9D.mail.oauth2.\
            QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl9gYWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4.43f4b914";
        let golden_pickup = "tally1.K7QF2M9D.pickup.oauth2.\
            JTkdMzYqIhh4eHh4eHh4eGhoExEXERMRHxETERcRExEvMTMxNzEzMT8xMzENDw0LFRcVRyUFRgc2.f8878c8a";
        assert_eq!((mail.release(), pickup.release()), (golden_mail, golden_pickup));
        let joined = combine(&mail.read().unwrap(), &pickup.read().unwrap()).unwrap();
        assert_eq!(joined.reveal_to_recipient(), "ex_prod_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg4Qp0pN");
    }

    #[test]
    fn a_recipient_combines_with_two_lines_of_python() {
        let whole = secret(3);
        let expected = whole.reveal_to_recipient().to_owned();
        let (mail, pickup) = pair(whole, 4);
        let script = "import base64; d = lambda t: base64.urlsafe_b64decode(t.split('.')[4] + '===')\n\
                      print(bytes(a ^ b for a, b in zip(d(input()), d(input()))).decode())";
        let mut python = Command::new("python3")
            .args(["-c", script])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let both = format!("{}\n{}\n", mail.release(), pickup.release());
        std::io::Write::write_all(&mut python.stdin.take().unwrap(), both.as_bytes()).unwrap();
        let output = python.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap().trim_end(), expected);
    }

    #[test]
    fn the_mail_share_does_not_depend_on_the_secret() {
        let (one, _) = pair(secret(1), 9);
        let (other, _) = pair(secret(2), 9);
        assert_eq!(one.release(), other.release());
    }

    #[test]
    fn a_pickup_share_can_stand_for_any_secret() {
        let (one, other) = (secret(1), secret(2));
        let pad = vec![0x5A; one.reveal_to_recipient().len()];
        let both = one.reveal_to_recipient().bytes().zip(other.reveal_to_recipient().bytes());
        let other_pad: Vec<u8> = pad.iter().zip(both).map(|(pad, (one, other))| pad ^ one ^ other).collect();
        let label: Label = "oauth2".parse().unwrap();
        let pickup = |secret: ClientSecret, pad: Vec<u8>| {
            let (_, pickup) = secret.split(&Repeating(pad)).unwrap();
            pickup.into_token(&reference(), &label).release().to_owned()
        };
        assert_eq!(pickup(one, pad), pickup(other, other_pad));
    }

    #[test]
    fn any_changed_character_is_found() {
        let (mail, pickup) = pair(secret(1), 2);
        for token in [mail.release(), pickup.release()] {
            assert!(read(token).is_ok());
            for place in 0..token.len() {
                for replacement in ["A", "a", "0", ".", "-", "_", "ä", ""] {
                    let mut changed = token.to_owned();
                    changed.replace_range(place..=place, replacement);
                    assert!(changed == token || read(&changed).is_err(), "{replacement:?} at {place}");
                }
            }
            for end in 0..token.len() {
                assert!(read(&token[..end]).is_err());
            }
        }
    }

    #[test]
    fn wrong_pairs_are_explained() {
        let whole = secret(1);
        let text = whole.reveal_to_recipient().as_bytes().to_vec();
        let zeroes = vec![0; text.len()];
        let mail = token("K7QF2M9D", "mail", "oauth2", &zeroes);
        let pickup = |payload: &[u8]| token("K7QF2M9D", "pickup", "oauth2", payload);
        let why = |one: &Share, other: &Share| combine(one, other).err();
        assert_eq!(why(&mail, &pickup(&text)), None);
        assert_eq!(why(&pickup(&text), &mail), None);
        assert_eq!(why(&mail, &mail), Some(CannotCombine::Sides));
        assert_eq!(why(&pickup(&text), &pickup(&text)), Some(CannotCombine::Sides));
        let elsewhere = token("00000000", "pickup", "oauth2", &text);
        let deliveries = CannotCombine::Deliveries { mail: reference(), pickup: "0000-0000".parse().unwrap() };
        assert_eq!(why(&elsewhere, &mail), Some(deliveries));
        let other_label = token("K7QF2M9D", "pickup", "apigw", &text);
        assert_eq!(why(&mail, &other_label), Some(CannotCombine::Labels));
        let mut mistyped = text.clone();
        mistyped[20] = if mistyped[20] == b'x' { b'y' } else { b'x' };
        assert_eq!(why(&mail, &pickup(&mistyped)), Some(CannotCombine::Secret(NotASecret::Checksum)));
        for payload in [&text[..40], &[0xFF; 57], &[b'a'; 200], &[]] {
            assert_eq!(why(&mail, &pickup(payload)), Some(CannotCombine::Secret(NotASecret::Form)));
        }
    }

    #[test]
    fn debug_shows_no_part() {
        let (mail, pickup) = secret(1).split(&Dice::new(2)).unwrap();
        assert_eq!(format!("{mail:?} {pickup:?}"), "MailShare PickupShare");
        let token = mail.into_token(&reference(), &"oauth2".parse().unwrap());
        assert_eq!(format!("{token:?}"), "ShareToken");
        assert_eq!(format!("{:?}", token.read().unwrap()), "Share(K7QF-2M9D mail oauth2)");
    }

    #[test]
    fn the_longest_token_fits_the_buffer_that_is_made_for_it() {
        let whole =
            ClientSecret::generate(&"abcdefgh".parse().unwrap(), Environment::Production, &Dice::new(1)).unwrap();
        assert!(whole.reveal_to_recipient().len() <= MAX_SECRET_LENGTH);
        let (_, pickup) = whole.split(&Dice::new(2)).unwrap();
        let token = pickup.into_token(&reference(), &"a".repeat(32).parse().unwrap());
        assert!(token.release().len() <= MAX_TOKEN_LENGTH);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_split_is_joined_to_the_same(seed in any::<u64>(), pad in any::<u64>()) {
            let whole = secret(seed);
            let (expected, verifier) = (whole.reveal_to_recipient().to_owned(), whole.verifier());
            let (mail, pickup) = pair(whole, pad);
            let joined = combine(&pickup.read().unwrap(), &mail.read().unwrap()).unwrap();
            prop_assert_eq!(joined.reveal_to_recipient(), expected);
            prop_assert!(joined.verifier().matches(&verifier));
        }

        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,200}", tail in "[a-z0-9.]{0,60}") {
            prop_assert!(read(&text).is_err());
            let begun = ["tally1.", tail.as_str()].concat();
            prop_assert!(read(&begun).is_err());
        }
    }
}
