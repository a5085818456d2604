//! A file on other storage to which every checkpoint is added as one line. It can lie where nothing that was written can be
//! changed (`chattr +a`, a share that only takes additions): then whoever has the daemon's machine cannot shorten it.
//!
//! A line that a crash or a full disk cut off is left as it is, and the next one begins anew. The file is never made here:
//! where it should be and is not, something is not mounted.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::journal::checkpoint::Checkpoint;
use crate::journal::checkpoint_line::verify_line;
use crate::journal::key::VerifyingKey;

/// As far from its end the file is searched for the newest checkpoint: some three hundred lines.
const TAIL: u64 = 64 * 1024;

/// The file.
#[derive(Debug)]
pub struct FileAnchor {
    path: PathBuf,
    key: VerifyingKey,
}

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileTrouble {
    /// The operating system refused something.
    #[error("{}: cannot {tried}: {cause}", path.display())]
    System {
        /// The file.
        path: PathBuf,
        /// What was tried.
        tried: &'static str,
        /// What the kernel said.
        cause: io::Error,
    },
    /// It is something else than a file.
    #[error("{}: is not a regular file", .0.display())]
    NotRegular(PathBuf),
    /// It is not empty, and its end holds no checkpoint of this journal.
    #[error("{}: the last {TAIL} bytes hold no checkpoint that this journal's key signed", .0.display())]
    Strange(PathBuf),
}

impl FileTrouble {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::System { path, cause, .. } if cause.kind() == io::ErrorKind::NotFound => format!(
                "mount what it lies on; if it was never made, make it empty, once: \
                 install -m 0640 -o tallyd -g tallyd /dev/null {}",
                path.display()
            ),
            Self::System { .. } => {
                "see that what it lies on is mounted, not full, and open to the service's user (ReadWritePaths=)"
                    .to_owned()
            }
            Self::NotRegular(_) => "name a regular file".to_owned(),
            Self::Strange(_) => "keep the file for examination, and see who else writes to it".to_owned(),
        }
    }
}

impl FileAnchor {
    /// The file at this path, for the journal with this key.
    pub fn new(path: PathBuf, key: VerifyingKey) -> Self {
        Self { path, key }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The newest checkpoint in it. Blocks for as long as the storage takes.
    ///
    /// # Errors
    /// Also when it holds something, but no checkpoint of this journal.
    pub fn newest(&self) -> Result<Option<Checkpoint>, FileTrouble> {
        let mut file = self.open(OpenOptions::new().read(true))?;
        self.newest_in(&mut file)
    }

    /// Adds a line and makes it last. Blocks for as long as the storage takes.
    pub fn append(&self, line: &str) -> Result<(), FileTrouble> {
        let mut file = self.open(OpenOptions::new().read(true).append(true))?;
        let unfinished = self.ends_unfinished(&mut file).map_err(|cause| self.failed("read it", cause))?;
        let text = if unfinished { format!("\n{line}\n") } else { format!("{line}\n") };
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        written.map_err(|cause| self.failed("write it", cause))
    }

    fn open(&self, options: &mut OpenOptions) -> Result<File, FileTrouble> {
        // NONBLOCK: opening a named pipe must not wait for its writer.
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let file = options.custom_flags(flags).open(&self.path).map_err(|cause| self.failed("open it", cause))?;
        let metadata = file.metadata().map_err(|cause| self.failed("look at it", cause))?;
        if metadata.is_file() { Ok(file) } else { Err(FileTrouble::NotRegular(self.path.clone())) }
    }

    fn newest_in(&self, file: &mut File) -> Result<Option<Checkpoint>, FileTrouble> {
        let tail = tail_of(file, TAIL).map_err(|cause| self.failed("read it", cause))?;
        if tail.is_empty() {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&tail);
        // What is cut off at either end, or is not ours, does not verify.
        let newest = text.lines().rev().find_map(|line| verify_line(line, &self.key).ok());
        newest.map(Some).ok_or_else(|| FileTrouble::Strange(self.path.clone()))
    }

    fn ends_unfinished(&self, file: &mut File) -> io::Result<bool> {
        Ok(tail_of(file, 1)?.last().is_some_and(|last| *last != b'\n'))
    }

    fn failed(&self, tried: &'static str, cause: io::Error) -> FileTrouble {
        FileTrouble::System { path: self.path.clone(), tried, cause }
    }
}

fn tail_of(file: &mut File, bytes: u64) -> io::Result<Vec<u8>> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(bytes)))?;
    let mut tail = Vec::new();
    file.take(bytes).read_to_end(&mut tail)?;
    Ok(tail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::checkpoint_line::line_of;
    use crate::journal::key::SigningKey;
    use crate::journal::tree::{Frontier, LeafHash};

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed("exempel.se/tallyd".parse().unwrap(), &[seed; 32]).unwrap()
    }

    fn line(size: u64, seed: u8) -> String {
        let tree: Frontier = (0..size).map(|number| LeafHash::of(&number.to_be_bytes())).collect();
        line_of(&Checkpoint::sign(&tree, &key(seed))).unwrap()
    }

    fn anchor(name: &str, content: &str) -> FileAnchor {
        let path = std::env::temp_dir().join(format!("tallyd-anchor-{name}-{}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        FileAnchor::new(path, key(1).verifying_key())
    }

    fn size(anchor: &FileAnchor) -> Option<u64> {
        anchor.newest().unwrap().map(|checkpoint| checkpoint.size)
    }

    impl Drop for FileAnchor {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.path);
        }
    }

    #[test]
    fn the_newest_good_line_counts_whatever_stands_behind_it() {
        let anchor = anchor("newest", "");
        assert_eq!(size(&anchor), None);
        for entries in [3, 5, 900] {
            anchor.append(&line(entries, 1)).unwrap();
            assert_eq!(size(&anchor), Some(entries));
        }
        // A line that was cut off, by a full disk or a crash, is passed over, and the next one stands alone.
        for cut in [1, 40, line(901, 1).len() - 1] {
            let mut file = OpenOptions::new().append(true).open(anchor.path()).unwrap();
            file.write_all(&line(901, 1).as_bytes()[..cut]).unwrap();
            assert_eq!(size(&anchor), Some(900));
        }
        anchor.append(&line(902, 1)).unwrap();
        assert_eq!(size(&anchor), Some(902));
        // So is what somebody else wrote, also under our name.
        anchor.append(&line(1000, 2)).unwrap();
        anchor.append("something else").unwrap();
        assert_eq!(size(&anchor), Some(902));
    }

    #[test]
    fn a_file_without_any_checkpoint_of_ours_a_missing_one_and_what_is_no_file_are_trouble() {
        let strange = anchor("strange", &format!("{}\n", line(7, 2)));
        assert!(matches!(strange.newest(), Err(FileTrouble::Strange(_))));
        let missing = anchor("missing", "");
        std::fs::remove_file(missing.path()).unwrap();
        assert!(missing.append(&line(7, 1)).unwrap_err().hint().contains("mount"));
        assert!(!missing.path().exists(), "it is never made");
        let directory = FileAnchor::new(std::env::temp_dir(), key(1).verifying_key());
        assert!(matches!(directory.newest(), Err(FileTrouble::NotRegular(_))));
        std::mem::forget(directory);
    }
}
