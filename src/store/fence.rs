//! The fence: a small file beside the database that says how far the journal had come, so that a database from an old
//! backup, or of another installation, is seen at start. It knows a size and an instance, not what the entries say.
//!
//! It is written after each commit and synced now and then, so it never says more than the database holds: it is a
//! lower bound. It must not be in a backup, or it would be put back together with what it is to find out.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::backend::Instance;
use crate::platform::files::{self, FileRefused};

/// The name of the file in the state directory.
const NAME: &str = "fence";

/// The name of the one that stands aside during a recovery.
const ASIDE: &str = "fence.recovered";

/// The fixed length of the text. Far below one disk sector (512 bytes), so that it is overwritten as a whole.
const LENGTH: usize = "tallyd fence v1\ninstance \nsize \ncrc32 \n".len() + 32 + 20 + 8;

/// The open fence file.
#[derive(Debug)]
pub struct Fence {
    path: PathBuf,
    file: File,
    instance: Instance,
    synced: bool,
}

/// How far the database was at least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fenced {
    path: PathBuf,
    instance: Instance,
    size: u64,
}

impl Fenced {
    /// Entries that were there at least.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Holds the number of entries in the database against it.
    pub fn admits(self, database: u64) -> Result<(), FenceError> {
        if database < self.size {
            return Err(FenceError::RolledBack { path: self.path, database, fence: self.size });
        }
        Ok(())
    }
}

fn read(state: &Path, options: &mut OpenOptions) -> Result<(File, Fenced), FenceError> {
    let path = state.join(NAME);
    let failed = |tried, cause| FenceError::System { path: state.join(NAME), tried, cause };
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = options.custom_flags(flags).open(&path).map_err(|cause| {
        if cause.kind() == io::ErrorKind::NotFound {
            FenceError::Missing(path.clone())
        } else {
            failed("open it", cause)
        }
    })?;
    let mut found = Vec::with_capacity(LENGTH + 1);
    let limit = u64::try_from(LENGTH + 1).unwrap_or(u64::MAX);
    (&file).take(limit).read_to_end(&mut found).map_err(|cause| failed("read it", cause))?;
    match parse(&found) {
        Some((instance, size)) => Ok((file, Fenced { path, instance, size })),
        None => Err(FenceError::Damaged(path)),
    }
}

/// The fence and the database do not belong together, or the fence cannot be read. Except for the last two it is a
/// quarantine: the daemon does not start (exit code 4) until an operator has found out which state is the true one.
#[derive(Debug, thiserror::Error)]
pub enum FenceError {
    /// The database has fewer entries than it once had: it was rolled back.
    #[error(
        "the journal in the database has {database} entries, but it had at least {fence} before (by {}): the database was rolled back", .path.display()
    )]
    RolledBack {
        /// The fence.
        path: PathBuf,
        /// Entries in the database.
        database: u64,
        /// Entries that were there.
        fence: u64,
    },
    /// The fence is of another journal.
    #[error("the fence {} is of journal {fence}, the database of journal {database}", .path.display())]
    OtherJournal {
        /// The fence.
        path: PathBuf,
        /// The database's journal.
        database: Instance,
        /// The fence's journal.
        fence: Instance,
    },
    /// There is none: a backup holds none, so a database that was put back from one is seen by that.
    #[error("there is no fence {}: the database was put back from a backup, or the fence was removed", .0.display())]
    Missing(PathBuf),
    /// It was changed by something else than this program.
    #[error("the fence {} is damaged", .0.display())]
    Damaged(PathBuf),
    /// It could not be read or written.
    #[error("the fence {}: cannot {tried}: {cause}", .path.display())]
    System {
        /// The fence.
        path: PathBuf,
        /// What was tried.
        tried: &'static str,
        /// What the kernel said.
        cause: io::Error,
    },
    /// It could not be made.
    #[error(transparent)]
    Refused(#[from] FileRefused),
}

impl FenceError {
    /// Whether state that cannot be trusted is the reason, rather than a file that cannot be used.
    pub fn is_quarantine(&self) -> bool {
        match self {
            Self::RolledBack { .. } | Self::OtherJournal { .. } | Self::Missing(_) | Self::Damaged(_) => true,
            Self::System { .. } | Self::Refused(_) => false,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::RolledBack { .. } | Self::OtherJournal { .. } | Self::Missing(_) | Self::Damaged(_) => {
                "put the newest state back; when it is gone for good, tallyd recover --dry-run says what going on without it means"
                    .to_owned()
            }
            Self::System { .. } => "see that the state directory is complete and belongs to the user of the service".to_owned(),
            Self::Refused(refused) => refused.hint(),
        }
    }
}

impl Fence {
    /// Makes the file, for `init`; it must not be there.
    pub fn create(state: &Path, instance: Instance) -> Result<(), FenceError> {
        Ok(files::write_new(&state.join(NAME), &text(instance, 0))?)
    }

    /// Opens the file and holds the database against it.
    pub fn open(state: &Path, instance: Instance, size: u64) -> Result<Self, FenceError> {
        let (file, fenced) = read(state, OpenOptions::new().read(true).write(true))?;
        if fenced.instance != instance {
            return Err(FenceError::OtherJournal { path: fenced.path, database: instance, fence: fenced.instance });
        }
        let path = fenced.path.clone();
        fenced.admits(size)?;
        Ok(Self { path, file, instance, synced: true })
    }

    /// Makes a fence that stands aside until [`Fence::take_its_place`], for a recovery: until that has been carried to its
    /// end, the next start meets the old one.
    pub fn begin_again(state: &Path, instance: Instance, size: u64) -> Result<Self, FenceError> {
        let path = state.join(ASIDE);
        files::replace(&path, &text(instance, size))?;
        let file = OpenOptions::new().read(true).write(true).open(&path);
        let file = file.map_err(|cause| FenceError::System { path: path.clone(), tried: "open it", cause })?;
        Ok(Self { path, file, instance, synced: true })
    }

    /// Puts the fence that stands aside into the place of the old one, for good.
    pub fn take_its_place(state: &Path) -> Result<(), FenceError> {
        let (aside, path) = (state.join(ASIDE), state.join(NAME));
        let renamed = std::fs::rename(aside, &path).and_then(|()| File::open(state)?.sync_all());
        renamed.map_err(|cause| FenceError::System { path, tried: "put it in its place", cause })
    }

    /// What the file says, for somebody who only looks: before the database, which may grow meanwhile.
    pub fn look(state: &Path) -> Result<Fenced, FenceError> {
        read(state, OpenOptions::new().read(true)).map(|(_, fenced)| fenced)
    }

    /// Says that the database durably holds `size` entries.
    pub fn write(&mut self, size: u64) -> Result<(), FenceError> {
        let written = self.file.write_all_at(&text(self.instance, size), 0);
        self.synced = false;
        written.map_err(|cause| self.failed("write it", cause))
    }

    /// Makes the last write survive a power cut. Without it the fence is only lower, not wrong.
    pub fn sync(&mut self) -> Result<(), FenceError> {
        if !self.synced {
            self.file.sync_data().map_err(|cause| self.failed("sync it", cause))?;
            self.synced = true;
        }
        Ok(())
    }

    /// Whether the last write survives a power cut.
    pub fn is_synced(&self) -> bool {
        self.synced
    }

    fn failed(&self, tried: &'static str, cause: io::Error) -> FenceError {
        FenceError::System { path: self.path.clone(), tried, cause }
    }
}

fn text(instance: Instance, size: u64) -> Vec<u8> {
    let body = format!("tallyd fence v1\ninstance {instance}\nsize {size:020}\n");
    let crc = crc32fast::hash(body.as_bytes());
    format!("{body}crc32 {crc:08x}\n").into_bytes()
}

fn parse(bytes: &[u8]) -> Option<(Instance, u64)> {
    let text_found = std::str::from_utf8(bytes).ok()?;
    let mut lines = text_found.lines().skip(1);
    let instance = lines.next()?.strip_prefix("instance ")?;
    let size = lines.next()?.strip_prefix("size ")?.parse().ok()?;
    let instance = data_encoding::HEXLOWER.decode(instance.as_bytes()).ok()?;
    let instance = Instance::from_bytes(instance.try_into().ok()?);
    // One fence has one spelling: writing it again gives the same bytes, or it is not ours.
    (text(instance, size) == bytes).then_some((instance, size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance::Scratch;

    const ONE: Instance = Instance::from_bytes([1; 16]);

    fn fenced(name: &str, size: u64) -> Scratch {
        let scratch = Scratch::new(name);
        Fence::create(scratch.path(), ONE).unwrap();
        let mut fence = Fence::open(scratch.path(), ONE, 0).unwrap();
        fence.write(size).unwrap();
        fence.sync().unwrap();
        scratch
    }

    #[test]
    fn a_database_that_went_on_passes_and_one_that_went_back_is_named_with_both_sizes() {
        let scratch = fenced("fence-back", 7);
        Fence::open(scratch.path(), ONE, 7).unwrap();
        Fence::open(scratch.path(), ONE, 9).unwrap();
        let error = Fence::open(scratch.path(), ONE, 6).unwrap_err();
        assert!(matches!(error, FenceError::RolledBack { database: 6, fence: 7, .. }), "{error}");
        assert!(error.is_quarantine());
        assert!(error.to_string().contains("has 6 entries") && error.to_string().contains("at least 7"), "{error}");
    }

    #[test]
    fn a_fence_that_stands_aside_counts_from_when_it_took_its_place() {
        let scratch = fenced("fence-aside", 9);
        let mut aside = Fence::begin_again(scratch.path(), ONE, 5).unwrap();
        aside.write(6).unwrap();
        aside.sync().unwrap();
        drop(aside);
        // As after a crash in between: the old one still stands.
        assert!(matches!(Fence::open(scratch.path(), ONE, 6), Err(FenceError::RolledBack { fence: 9, .. })));
        drop(Fence::begin_again(scratch.path(), ONE, 6).unwrap());
        Fence::take_its_place(scratch.path()).unwrap();
        Fence::open(scratch.path(), ONE, 6).unwrap();
        assert!(Fence::open(scratch.path(), ONE, 5).is_err());
    }

    #[test]
    fn the_fence_of_another_journal_a_damaged_one_and_a_missing_one_are_refused() {
        let scratch = fenced("fence-other", 7);
        let other = Instance::from_bytes([2; 16]);
        let error = Fence::open(scratch.path(), other, 7).unwrap_err();
        assert!(matches!(error, FenceError::OtherJournal { .. }) && error.is_quarantine());
        let path = scratch.path().join(NAME);
        let good = std::fs::read(&path).unwrap();
        assert_eq!(good.len(), LENGTH);
        for place in 0..good.len() {
            let mut bad = good.clone();
            bad[place] ^= 1;
            std::fs::write(&path, bad).unwrap();
            assert!(matches!(Fence::open(scratch.path(), ONE, 7), Err(FenceError::Damaged(_))), "byte {place}");
        }
        std::fs::remove_file(&path).unwrap();
        let error = Fence::open(scratch.path(), ONE, 7).unwrap_err();
        assert!(error.is_quarantine() && matches!(error, FenceError::Missing(_)));
        assert!(!path.exists());
    }
}
