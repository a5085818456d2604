//! A checkpoint on one line, for places that keep lines: an append-only file, a system log. It is the whole signed note in
//! another form: `<origin> <size> <root> <signature>`, none of which has a space in it.

use super::checkpoint::{Checkpoint, NotACheckpoint};
use super::key::VerifyingKey;

/// More than any such line: an origin of 200 characters, a number, and two texts in base64.
pub const LINE_MAX: usize = 512;

/// The line of a note: its checkpoint with the signature by the log's own name. `None` for what is no such note.
pub fn line_of(note: &str) -> Option<String> {
    let (text, signatures) = note.split_once("\n\n")?;
    let mut lines = text.lines();
    let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
    // A checkpoint with extension lines has no such form; ours have none.
    if lines.next().is_some() {
        return None;
    }
    let own = format!("\u{2014} {origin} ");
    let signature = signatures.lines().find_map(|line| line.strip_prefix(&own))?;
    Some(format!("{origin} {size} {root} {signature}"))
}

/// The note of a line. Whether it is good is what [`Checkpoint::verify`] says.
pub fn note_of(line: &str) -> Option<String> {
    let mut parts = line.split(' ');
    let (origin, size, root, signature) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let whole = parts.next().is_none() && line.len() <= LINE_MAX;
    whole.then(|| format!("{origin}\n{size}\n{root}\n\n\u{2014} {origin} {signature}\n"))
}

/// Reads a line and believes it only if `key` signed it.
pub fn verify_line(line: &str, key: &VerifyingKey) -> Result<Checkpoint, NotACheckpoint> {
    let note = note_of(line).ok_or(NotACheckpoint::Form("it is not four words on one line"))?;
    Checkpoint::verify(&note, key)
}

#[cfg(test)]
mod tests {
    use super::super::key::SigningKey;
    use super::super::tree::{Frontier, LeafHash};
    use super::*;

    fn note() -> (String, VerifyingKey) {
        let key = SigningKey::from_seed("exempel.se/tallyd".parse().unwrap(), &[1; 32]).unwrap();
        let tree: Frontier = (0..9_u64).map(|number| LeafHash::of(&number.to_be_bytes())).collect();
        (Checkpoint::sign(&tree, &key), key.verifying_key())
    }

    #[test]
    fn a_line_is_the_note_in_another_form() {
        let (note, key) = note();
        let line = line_of(&note).unwrap();
        assert!(line.starts_with("exempel.se/tallyd 9 ") && line.len() < LINE_MAX, "{line}");
        assert_eq!(note_of(&line).unwrap(), note);
        assert_eq!(verify_line(&line, &key), Checkpoint::verify(&note, &key));
        // Signatures by others are left behind.
        let cosigned = format!("{note}\u{2014} witness.exempel.se AAAAAAAA\n");
        assert_eq!(line_of(&cosigned).unwrap(), line);
    }

    #[test]
    fn a_changed_line_is_refused() {
        let (note, key) = note();
        let line = line_of(&note).unwrap();
        for place in 0..line.len() {
            let mut changed = line.clone().into_bytes();
            changed[place] ^= 1;
            let Ok(changed) = String::from_utf8(changed) else { continue };
            assert!(verify_line(&changed, &key).is_err(), "byte {place}");
        }
        for bad in ["", " ", &line[..40], &line[..line.len() - 1], &format!("{line} x"), &format!(" {line}")] {
            assert!(verify_line(bad, &key).is_err(), "{bad}");
        }
    }
}
