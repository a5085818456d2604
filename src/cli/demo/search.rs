//! Looks through every file of a directory for anything of a secret: not for the whole of it in one spelling, but for any
//! fragment of sixteen bytes, raw, in hexadecimal and in base64.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};

/// Long enough not to appear by chance, short enough for the smallest part that would be worth anything.
const FRAGMENT: usize = 16;

/// What is looked for.
#[derive(Default)]
pub(super) struct Fragments(HashSet<[u8; FRAGMENT]>);

/// Where something was found, and how much was looked through.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) places: Vec<PathBuf>,
    pub(super) files: usize,
    pub(super) bytes: usize,
}

impl Fragments {
    /// Adds all spellings of a value.
    pub(super) fn add(&mut self, value: &[u8]) {
        self.add_windows(value);
        self.add_windows(HEXLOWER.encode(value).as_bytes());
        self.add_windows(HEXUPPER.encode(value).as_bytes());
        // In the base64 of something larger, the value may begin at any of the three places of a group. What stands
        // before it spoils at most the first four characters, what stands after it the last four.
        for before in 0..3 {
            let mut shifted = vec![0; before];
            shifted.extend_from_slice(value);
            for encoded in [BASE64_NOPAD.encode(&shifted), BASE64URL_NOPAD.encode(&shifted)] {
                let clean = encoded.as_bytes();
                self.add_windows(clean.get(4..clean.len().saturating_sub(4)).unwrap_or_default());
            }
        }
    }

    fn add_windows(&mut self, spelling: &[u8]) {
        self.0.extend(spelling.windows(FRAGMENT).filter_map(|window| <[u8; FRAGMENT]>::try_from(window).ok()));
    }

    fn are_in(&self, bytes: &[u8]) -> bool {
        bytes.windows(FRAGMENT).any(|window| self.0.contains(window))
    }

    /// Looks through every regular file below `directory`, names included.
    pub(super) fn search(&self, directory: &Path) -> io::Result<Found> {
        let mut found = Found::default();
        let mut left = vec![directory.to_owned()];
        while let Some(directory) = left.pop() {
            for entry in fs::read_dir(&directory)? {
                let entry = entry?;
                let (path, kind) = (entry.path(), entry.file_type()?);
                let mut hit = self.are_in(entry.file_name().as_encoded_bytes());
                if kind.is_dir() {
                    left.push(path.clone());
                } else if kind.is_file() {
                    let bytes = fs::read(&path)?;
                    hit |= self.are_in(&bytes);
                    found.files += 1;
                    found.bytes += bytes.len();
                }
                if hit {
                    found.places.push(path);
                }
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"demo_test_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG000001";

    #[test]
    fn a_secret_is_found_in_every_spelling_and_in_part() {
        let mut fragments = Fragments::default();
        fragments.add(SECRET);
        let mut spellings = vec![
            SECRET.to_vec(),
            SECRET[20..36].to_vec(),
            HEXLOWER.encode(SECRET).into_bytes(),
            HEXUPPER.encode(SECRET).into_bytes(),
        ];
        for before in 0..6 {
            let around = [&b"xyzxyz"[..before], SECRET, b"after"].concat();
            spellings.push(BASE64_NOPAD.encode(&around).into_bytes());
            spellings.push(BASE64URL_NOPAD.encode(&around).into_bytes());
        }
        for spelling in spellings {
            let text = [b"noise".as_slice(), &spelling, b"noise"].concat();
            assert!(fragments.are_in(&text), "{}", String::from_utf8_lossy(&text));
        }
        assert!(!fragments.are_in(&SECRET[20..35]));
        assert!(!fragments.are_in(&[0; 4096]), "nothing but zeroes is no fragment");
    }

    #[test]
    fn every_file_below_is_looked_through() {
        let directory = std::env::temp_dir().join(format!("tallyd-search-{}", std::process::id()));
        fs::create_dir_all(directory.join("a/b")).unwrap();
        fs::write(directory.join("a/clean"), [7; 100]).unwrap();
        fs::write(directory.join("a/b/dirty"), [b"..", SECRET].concat()).unwrap();
        let mut fragments = Fragments::default();
        fragments.add(SECRET);
        let found = fragments.search(&directory).unwrap();
        fs::remove_dir_all(&directory).unwrap();
        assert_eq!(found.places, [directory.join("a/b/dirty")]);
        assert_eq!((found.files, found.bytes), (2, 102 + SECRET.len()));
    }
}
