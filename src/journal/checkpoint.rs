//! Checkpoints: what the tree was at some size, signed (C2SP `tlog-checkpoint` inside a C2SP `signed-note`).
//!
//! A checkpoint that left the machine is what a rolled back or rewritten journal is found by. It knows nothing of
//! entries and nothing of where checkpoints are sent.

use data_encoding::BASE64;

use super::key::{Origin, SigningKey, VerifyingKey};
use super::tree::{Frontier, RootHash};

/// More than any checkpoint with a hundred witnesses needs; a longer text is refused unread.
pub const MAX_LENGTH: usize = 64 * 1024;

/// A log's size and root at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: Origin,
    /// How many entries.
    pub size: u64,
    /// The root over them.
    pub root: RootHash,
}

/// Why a text is not a checkpoint that this key vouches for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotACheckpoint {
    /// Not of the form; says what is wrong.
    #[error("not a signed checkpoint: {0}")]
    Form(&'static str),
    /// A checkpoint of another log.
    #[error("a checkpoint of another log: {found:?}")]
    OtherLog {
        /// The origin that it names.
        found: String,
    },
    /// The key did not sign it; somebody else may have.
    #[error("not signed by this key")]
    Unsigned,
    /// It has a signature under this key's name and hash that does not fit the text.
    #[error("the signature does not fit the text")]
    BadSignature,
}

impl Checkpoint {
    /// Signs the tree as it stands and gives the whole note.
    pub fn sign(tree: &Frontier, key: &SigningKey) -> String {
        let text = format!("{}\n{}\n{}\n", key.origin(), tree.size(), tree.root());
        let signature = key.signature_line(&text);
        format!("{text}\n{signature}")
    }

    /// Reads a note and believes it only if `key` signed it. Signatures by others are passed over, and so are
    /// extension lines (C2SP `tlog-checkpoint`).
    pub fn verify(note: &str, key: &VerifyingKey) -> Result<Self, NotACheckpoint> {
        let (text, signatures) = split_note(note)?;
        let mut lines = text.lines();
        // The origin is looked at first, so that a checkpoint of another log is called that.
        let origin = lines.next().unwrap_or_default();
        if origin != key.origin().as_str() {
            return Err(NotACheckpoint::OtherLog { found: origin.to_owned() });
        }
        check_signatures(text, signatures, key)?;
        let size = read_size(lines.next().unwrap_or_default())?;
        let root = read_root(lines.next().unwrap_or_default())?;
        if lines.any(str::is_empty) {
            return Err(NotACheckpoint::Form("an extension line is empty"));
        }
        Ok(Self { origin: key.origin().clone(), size, root })
    }
}

/// Text with its final line end, and the signature lines. The text ends before the last empty line.
pub(super) fn split_note(note: &str) -> Result<(&str, &str), NotACheckpoint> {
    if note.len() > MAX_LENGTH {
        return Err(NotACheckpoint::Form("it is longer than 64 KiB"));
    }
    if note.chars().any(|c| c < ' ' && c != '\n') {
        return Err(NotACheckpoint::Form("it holds a control character"));
    }
    let end = note.rfind("\n\n").ok_or(NotACheckpoint::Form("no empty line before the signatures"))?;
    let (text, rest) = note.split_at(end + 1);
    let signatures = rest.strip_prefix('\n').and_then(|lines| lines.strip_suffix('\n'));
    signatures.map(|signatures| (text, signatures)).ok_or(NotACheckpoint::Form("the last line has no line end"))
}

/// Every signature line must have the form; those under the key's name and hash must be good, and there must be one.
fn check_signatures(text: &str, signatures: &str, key: &VerifyingKey) -> Result<(), NotACheckpoint> {
    let mut signed = false;
    for line in signatures.split('\n') {
        let (name, hash, signature) = read_signature(line).ok_or(NotACheckpoint::Form("a line is no signature"))?;
        if name != key.origin().as_str() || hash != key.hash().0 {
            continue;
        }
        if !key.accepts(text, &signature) {
            return Err(NotACheckpoint::BadSignature);
        }
        signed = true;
    }
    if signed { Ok(()) } else { Err(NotACheckpoint::Unsigned) }
}

pub(super) fn read_signature(line: &str) -> Option<(&str, [u8; 4], Vec<u8>)> {
    let (name, encoded) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
    let named = !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '+');
    let bytes = BASE64.decode(encoded.as_bytes()).ok()?;
    let (hash, signature) = bytes.split_first_chunk::<4>()?;
    (named && !signature.is_empty()).then(|| (name, *hash, signature.to_vec()))
}

/// Decimal, no sign, no leading zero.
fn read_size(line: &str) -> Result<u64, NotACheckpoint> {
    let size: u64 = line.parse().map_err(|_| NotACheckpoint::Form("the size is no number"))?;
    if size.to_string() == line { Ok(size) } else { Err(NotACheckpoint::Form("the size is not in its shortest form")) }
}

fn read_root(line: &str) -> Result<RootHash, NotACheckpoint> {
    line.parse().map_err(|_| NotACheckpoint::Form("the root is not 32 bytes in base64"))
}

#[cfg(test)]
mod tests {
    use signed_note::{Note, NoteError, StandardSigner, StandardVerifier, VerifierList};

    use super::super::tree::LeafHash;
    use super::*;

    fn key(origin: &str, seed: u8) -> SigningKey {
        SigningKey::from_seed(origin.parse().unwrap(), &[seed; 32]).unwrap()
    }

    fn tree(size: u64) -> Frontier {
        (0..size).map(|number| LeafHash::of(&number.to_be_bytes())).collect()
    }

    fn refused(note: &str) -> NotACheckpoint {
        Checkpoint::verify(note, &key("exempel.se/tallyd", 1).verifying_key()).unwrap_err()
    }

    /// A note over any text, signed by the right key.
    fn signed(text: &str) -> String {
        format!("{text}\n{}", key("exempel.se/tallyd", 1).signature_line(text))
    }

    #[test]
    fn the_signed_form_is_golden() {
        let key = key("exempel.se/tallyd", 1);
        let note = Checkpoint::sign(&tree(3), &key);
        let golden = "exempel.se/tallyd\n3\nm0ll+LIgukL3A5rQeByWbPkLsa6hWoBYbWNLMiqx9M4=\n\n\
            \u{2014} exempel.se/tallyd Lwo4TmYqqaYVO1tNNuwPMiieIThhJgVC8o5LYVuIU/Wq/pAXwFNxj26JefdfEF24sYN1x0UYSv8ThpLmAhyl9qEg4AY=\n";
        assert_eq!(note, golden);
    }

    #[test]
    fn what_was_signed_is_read_back() {
        let key = key("exempel.se/tallyd", 1);
        for size in [0, 1, 3, 300] {
            let read = Checkpoint::verify(&Checkpoint::sign(&tree(size), &key), &key.verifying_key()).unwrap();
            assert_eq!((read.size, read.root), (size, tree(size).root()));
            assert_eq!(read.origin, *key.origin());
        }
    }

    #[test]
    fn another_implementation_verifies_our_notes() {
        let key = key("exempel.se/tallyd", 1);
        let note = Note::from_bytes(Checkpoint::sign(&tree(70), &key).as_bytes()).unwrap();
        let theirs = StandardVerifier::new(&key.verifying_key().to_string()).unwrap();
        let (known, unknown) = note.verify(&VerifierList::new(vec![Box::new(theirs)])).unwrap();
        assert_eq!((known.len(), unknown.len()), (1, 0));
        let checkpoint = tlog_tiles::Checkpoint::from_bytes(note.text()).unwrap();
        assert_eq!((checkpoint.origin(), checkpoint.size()), ("exempel.se/tallyd", 70));
        assert_eq!(&checkpoint.hash().0, tree(70).root().as_bytes());

        let stranger = StandardVerifier::new(&self::key("exempel.se/tallyd", 2).verifying_key().to_string()).unwrap();
        let verdict = note.verify(&VerifierList::new(vec![Box::new(stranger)]));
        assert!(matches!(verdict, Err(NoteError::UnverifiedNote)));
    }

    #[test]
    fn notes_of_another_implementation_verify_here() {
        use secrecy::ExposeSecret;
        let key = key("exempel.se/tallyd", 1);
        let witness = self::key("witness.example", 9);
        let theirs = |key: &SigningKey| StandardSigner::new(key.to_text().expose_secret().trim_end()).unwrap();
        let hash = tlog_tiles::Hash(*tree(5).root().as_bytes());
        let text = tlog_tiles::Checkpoint::new("exempel.se/tallyd", 5, hash, "an extension\n").unwrap();
        let mut note = Note::new(&text.to_bytes(), &[]).unwrap();
        note.add_sigs(&[&theirs(&witness), &theirs(&key)]).unwrap();
        let note = String::from_utf8(note.to_bytes()).unwrap();
        let read = Checkpoint::verify(&note, &key.verifying_key()).unwrap();
        assert_eq!((read.size, read.root), (5, tree(5).root()));
    }

    #[test]
    fn the_ways_to_be_wrong_are_told_apart() {
        let good = Checkpoint::sign(&tree(3), &key("exempel.se/tallyd", 1));
        let other_log = Checkpoint::sign(&tree(3), &key("other.example", 1));
        let found = "other.example".to_owned();
        assert_eq!(refused(&other_log), NotACheckpoint::OtherLog { found });
        let other_key = Checkpoint::sign(&tree(3), &key("exempel.se/tallyd", 2));
        assert_eq!(refused(&other_key), NotACheckpoint::Unsigned);
        assert_eq!(refused(&good.replace("\n3\n", "\n4\n")), NotACheckpoint::BadSignature);
        let other_root = good.replace(&tree(3).root().to_string(), &tree(4).root().to_string());
        assert_eq!(refused(&other_root), NotACheckpoint::BadSignature);
        // One good signature does not excuse a bad one under the same name and hash.
        let of_another_text = key("exempel.se/tallyd", 1).signature_line("another text\n");
        assert_eq!(refused(&format!("{good}{of_another_text}")), NotACheckpoint::BadSignature);
    }

    #[test]
    fn a_wrong_form_is_refused_even_when_signed() {
        let root = tree(3).root();
        let text = |size: &str| format!("exempel.se/tallyd\n{size}\n{root}\n");
        assert!(Checkpoint::verify(&signed(&text("3")), &key("exempel.se/tallyd", 1).verifying_key()).is_ok());
        for size in ["03", "+3", "-3", "", " 3", "3 ", "0x3", "18446744073709551616", "3.0"] {
            assert!(matches!(refused(&signed(&text(size))), NotACheckpoint::Form(_)), "{size:?}");
        }
        let with_root = |root: &str| signed(&format!("exempel.se/tallyd\n3\n{root}\n"));
        let padded = root.to_string();
        for bad in ["", &padded[..40], padded.trim_end_matches('='), &format!("{padded}AAAA"), &format!("{padded} ")] {
            assert!(matches!(refused(&with_root(bad)), NotACheckpoint::Form(_)), "{bad:?}");
        }
        assert!(matches!(refused(&signed("exempel.se/tallyd\n3\n")), NotACheckpoint::Form(_)));
        assert!(matches!(refused(&signed(&format!("{}\nx\n", text("3")))), NotACheckpoint::Form(_)));
    }

    #[test]
    fn a_wrong_note_is_refused() {
        let good = Checkpoint::sign(&tree(3), &key("exempel.se/tallyd", 1));
        let (text, line) = good.split_once("\n\n").unwrap();
        let bad_notes = [
            String::new(),
            text.to_owned(),
            format!("{text}\n"),
            format!("{text}\n\n"),
            good.trim_end().to_owned(),
            format!("{good}\n"),
            format!("\n{good}"),
            good.replace('\n', "\r\n"),
            good.replace('\u{2014}', "-"),
            good.replace("\u{2014} ", "\u{2014}  "),
            format!("{text}\n\n{line}x\n"),
            format!("{good}no signature\n"),
            format!("{good}\u{2014} a+b AAAAAAAA\n"),
            format!("{good}\u{2014} witness AAAAAA==\n"),
            format!("{good}{}", " ".repeat(MAX_LENGTH)),
        ];
        for note in &bad_notes {
            let fault = refused(note);
            let found = matches!(fault, NotACheckpoint::Form(_) | NotACheckpoint::OtherLog { .. });
            assert!(found, "{note:?}: {fault}");
        }
    }

    #[test]
    fn no_changed_byte_passes() {
        let good = Checkpoint::sign(&tree(3), &key("exempel.se/tallyd", 1)).into_bytes();
        for place in 0..good.len() {
            for bit in 0..8 {
                let mut bytes = good.clone();
                bytes[place] ^= 1 << bit;
                // What is not UTF-8 is no note to begin with.
                if let Ok(note) = String::from_utf8(bytes) {
                    refused(&note);
                }
            }
        }
    }
}
