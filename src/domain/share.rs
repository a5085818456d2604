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
        let mut text = String::with_capacity(160);
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
