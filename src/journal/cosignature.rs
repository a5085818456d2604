//! Cosignatures: a witness's word that it has seen this checkpoint of a log, and none that contradicts it, at a time (C2SP
//! `tlog-cosignature`, Ed25519). They stand among a note's signature lines.

use super::checkpoint::{NotACheckpoint, read_signature, split_note};
use super::key::{CosigningKey, WitnessKey};
use crate::domain::time::Timestamp;

/// Cosigns a note and gives the whole signature line. That the note may be cosigned is what the caller has found out.
pub fn cosign(note: &str, key: &CosigningKey, at: Timestamp) -> Result<String, NotACheckpoint> {
    let (text, _) = split_note(note)?;
    let seconds = u64::try_from(at.millis() / 1000).unwrap_or(0);
    Ok(key.line_over(&message(text, seconds), &seconds.to_be_bytes()))
}

/// The signature lines among `lines` that are good cosignatures of the note by this witness, each with its time. Lines of
/// others are passed over.
///
/// # Errors
/// A line has no form, or one by this witness does not fit the note.
pub fn cosignatures<'l>(
    note: &str,
    lines: &'l str,
    key: &WitnessKey,
) -> Result<Vec<(&'l str, Timestamp)>, NotACheckpoint> {
    let (text, _) = split_note(note)?;
    let mut good = Vec::new();
    for line in lines.lines() {
        let (name, hash, signature) = read_signature(line).ok_or(NotACheckpoint::Form("a line is no signature"))?;
        if name != key.origin().as_str() || hash != key.hash().0 {
            continue;
        }
        let (seconds, signature) = signature.split_first_chunk().ok_or(NotACheckpoint::BadSignature)?;
        let seconds = u64::from_be_bytes(*seconds);
        if !key.accepts(&message(text, seconds), signature) {
            return Err(NotACheckpoint::BadSignature);
        }
        let millis = i64::try_from(seconds).ok().and_then(|seconds| seconds.checked_mul(1000));
        let at = millis.and_then(Timestamp::from_millis).ok_or(NotACheckpoint::BadSignature)?;
        good.push((line, at));
    }
    Ok(good)
}

/// The signature lines of a note, with their line ends.
pub fn signature_lines(note: &str) -> Result<&str, NotACheckpoint> {
    let (_, lines) = split_note(note)?;
    Ok(lines)
}

fn message(text: &str, seconds: u64) -> String {
    format!("cosignature/v1\ntime {seconds}\n{text}")
}

#[cfg(test)]
mod tests {
    use super::super::checkpoint::Checkpoint;
    use super::super::key::SigningKey;
    use super::super::tree::{Frontier, LeafHash};
    use super::*;

    fn note(size: u64) -> String {
        let key = SigningKey::from_seed("exempel.se/tallyd".parse().unwrap(), &[1; 32]).unwrap();
        let tree: Frontier = (0..size).map(|number| LeafHash::of(&number.to_be_bytes())).collect();
        Checkpoint::sign(&tree, &key)
    }

    fn witness(seed: u8) -> CosigningKey {
        CosigningKey::from_seed("witness.exempel.se".parse().unwrap(), &[seed; 32]).unwrap()
    }

    fn at() -> Timestamp {
        "2026-11-26T07:30:00.900Z".parse().unwrap()
    }

    #[test]
    fn a_cosignature_is_read_back_with_its_time_and_does_not_disturb_the_logs_own() {
        let (note, key) = (note(9), witness(7));
        let line = cosign(&note, &key, at()).unwrap();
        let cosigned = format!("{note}{line}");
        let read = cosignatures(&note, signature_lines(&cosigned).unwrap(), &key.verifying_key()).unwrap();
        assert_eq!(read, [(line.trim_end(), "2026-11-26T07:30:00.000Z".parse().unwrap())]);
        let log = SigningKey::from_seed("exempel.se/tallyd".parse().unwrap(), &[1; 32]).unwrap();
        assert_eq!(Checkpoint::verify(&cosigned, &log.verifying_key()).unwrap().size, 9);
    }

    /// The published form, put together here by hand and verified by a public implementation of Ed25519 notes.
    #[test]
    fn a_cosignature_has_the_bytes_that_the_specification_names() {
        let (note, key) = (note(9), witness(7));
        let line = cosign(&note, &key, at()).unwrap();
        let encoded = line.trim_end().rsplit_once(' ').unwrap().1;
        let bytes = data_encoding::BASE64.decode(encoded.as_bytes()).unwrap();
        assert_eq!(bytes.len(), 4 + 8 + 64);
        let seconds = at().millis() as u64 / 1000;
        assert_eq!(bytes[4..12], seconds.to_be_bytes());
        let vkey = key.verifying_key().to_string();
        let public = data_encoding::BASE64.decode(vkey.rsplit_once('+').unwrap().1.as_bytes()).unwrap();
        assert_eq!(public[0], 0x04);
        let hashed = [b"witness.exempel.se\n\x04".as_slice(), &public[1..]].concat();
        let hash = ring::digest::digest(&ring::digest::SHA256, &hashed);
        assert_eq!(bytes[..4], hash.as_ref()[..4]);
        let text = note.split_once("\n\n").unwrap().0;
        let signed = format!("cosignature/v1\ntime {seconds}\n{text}\n");
        let public = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, &public[1..]);
        public.verify(signed.as_bytes(), &bytes[12..]).unwrap();
    }

    #[test]
    fn what_another_signed_is_passed_over_and_what_does_not_fit_is_refused() {
        let (note, key) = (note(9), witness(7));
        let line = cosign(&note, &key, at()).unwrap();
        assert_eq!(cosignatures(&note, &line, &witness(8).verifying_key()), Ok(Vec::new()));
        let other = self::note(10);
        assert_eq!(cosignatures(&other, &line, &key.verifying_key()), Err(NotACheckpoint::BadSignature));
        for place in line.find("se ").unwrap() + 9..line.len() - 2 {
            let mut changed = line.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            let read = cosignatures(&note, &changed, &key.verifying_key());
            // The last characters hold bits that base64 does not use.
            assert!(changed == line || read.is_err() || read == Ok(Vec::new()), "byte {place}");
        }
        assert!(cosignatures(&note, "nonsense", &key.verifying_key()).is_err());
        assert!(cosign("nonsense", &key, at()).is_err());
    }
}
