//! Searches files for secrets and parts of secrets, in every form in which they could have been written down.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};

use super::keys::payload;
use super::mailbox::tokens;

/// Every needle begins with this many bytes that are looked up at once.
const HEAD: usize = 8;

/// What must be found nowhere.
#[derive(Default)]
pub(crate) struct Remembered {
    known: HashSet<Vec<u8>>,
    needles: HashMap<[u8; HEAD], Vec<(Vec<u8>, String)>>,
}

impl Remembered {
    /// A whole secret.
    pub(crate) fn secret(&mut self, text: &str) {
        self.add(text.as_bytes(), "a secret");
    }

    /// A share token: the bytes that it carries, and the text that carries them.
    pub(crate) fn share(&mut self, token: &str) {
        let what = format!("the {} part of {}", token.split('.').nth(2).unwrap(), token.split('.').nth(1).unwrap());
        self.add(&payload(token), &what);
        self.add(token.split('.').nth(4).unwrap().as_bytes(), &what);
    }

    /// Every share token in a text.
    pub(crate) fn shares_in(&mut self, text: &str) {
        tokens(text).iter().for_each(|token| self.share(token));
    }

    /// Anything else, such as a person's number.
    pub(crate) fn add(&mut self, bytes: &[u8], what: &str) {
        if !self.known.insert(bytes.to_vec()) {
            return;
        }
        // Thirds, so that what was cut off somewhere is found as well; each is still longer than chance makes.
        let piece = if bytes.len() >= 48 { bytes.len() / 3 } else { bytes.len() };
        for part in bytes.chunks_exact(piece) {
            for (form, needle) in forms(part) {
                let head = needle[..HEAD].try_into().unwrap();
                self.needles.entry(head).or_default().push((needle, format!("{what}, {form}")));
            }
        }
    }
}

/// Raw, in hexadecimal, and in base64 at all three alignments without the characters that the neighbours decide.
fn forms(part: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut forms = vec![
        ("as it is", part.to_vec()),
        ("in hexadecimal", HEXLOWER.encode(part).into_bytes()),
        ("in hexadecimal", HEXUPPER.encode(part).into_bytes()),
    ];
    for skipped in 0..3 {
        let whole = (part.len() - skipped) / 3 * 3;
        let aligned = &part[skipped..skipped + whole];
        forms.push(("in base64", BASE64.encode(aligned).into_bytes()));
        forms.push(("in base64url", BASE64URL.encode(aligned).into_bytes()));
    }
    forms
}

/// Every place below `root` where something of what is remembered stands, but for the places that are left out.
pub(crate) fn search(root: &Path, left_out: &[PathBuf], remembered: &Remembered) -> Vec<String> {
    let mut found = Vec::new();
    let mut first_bytes = vec![false; 1 << 16];
    for head in remembered.needles.keys() {
        first_bytes[usize::from(u16::from_ne_bytes([head[0], head[1]]))] = true;
    }
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let entry = entry.unwrap();
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            if left_out.contains(&path) {
                continue;
            } else if kind.is_dir() {
                directories.push(path);
            } else if kind.is_file() {
                let content = fs::read(&path).unwrap();
                for what in in_bytes(&content, remembered, &first_bytes) {
                    found.push(format!("{}: {what}", path.display()));
                }
            }
        }
    }
    found
}

fn in_bytes(content: &[u8], remembered: &Remembered, first_bytes: &[bool]) -> Vec<String> {
    let mut found = Vec::new();
    for (place, window) in content.windows(HEAD).enumerate() {
        if !first_bytes[usize::from(u16::from_ne_bytes([window[0], window[1]]))] {
            continue;
        }
        for (needle, what) in remembered.needles.get(window).into_iter().flatten() {
            if content[place..].starts_with(needle) {
                found.push(format!("{what}, at byte {place}"));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "tally1.K7QF2M9D.mail.oauth2.3q2-7wABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fICEiIyQlJicoKSorLC0uLzAxMjM0NTY.0f1e2d3c";

    fn places(content: &[u8]) -> usize {
        let mut remembered = Remembered::default();
        remembered.share(TOKEN);
        let directory = std::env::temp_dir().join(format!("tallyd-search-{}", std::process::id()));
        fs::create_dir_all(directory.join("below")).unwrap();
        fs::write(directory.join("below/file"), content).unwrap();
        let found = search(&directory, &[], &remembered).len();
        assert_eq!(search(&directory, &[directory.join("below")], &remembered), [""; 0]);
        fs::remove_dir_all(&directory).unwrap();
        found
    }

    #[test]
    fn every_form_of_a_part_is_found_wherever_it_stands() {
        let bytes = payload(TOKEN);
        assert_eq!(places(b"nothing of it"), 0);
        assert!(places(TOKEN.as_bytes()) > 0);
        assert!(places(&[b"before".as_slice(), &bytes, b"after"].concat()) > 0);
        assert!(places(&bytes[..bytes.len() - 20]) > 0, "cut off at its end");
        assert!(places(&bytes[20..]) > 0, "cut off at its beginning");
        assert!(places(HEXLOWER.encode(&bytes).as_bytes()) > 0);
        assert!(places(HEXUPPER.encode(&bytes).as_bytes()) > 0);
        for before in ["", "x", "xy", "xyz"] {
            let around = [before.as_bytes(), &bytes, b"after"].concat();
            assert!(places(BASE64.encode(&around).as_bytes()) > 0, "after {before:?}");
            assert!(places(BASE64URL.encode(&around).as_bytes()) > 0, "after {before:?}");
            let around = [before.as_bytes(), TOKEN.as_bytes()].concat();
            assert!(places(BASE64.encode(&around).as_bytes()) > 0, "the token after {before:?}");
        }
    }
}
