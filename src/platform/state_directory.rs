//! The directory that one daemon has to itself: checked, locked, and the only place where it writes. It does not know
//! what is stored there.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;

use super::files::{self, FileRefused, Why, opening, system};
use super::filesystem::FileSystem;

const LOCK_NAME: &str = "tallyd.lock";

/// `tallyd check` holds the lock for a moment to see whether it is free: ten looks, 20 ms apart, outlast that.
const LOCK_ATTEMPTS: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// A state directory under this process's exclusive lock, held until dropped.
#[derive(Debug)]
pub struct StateDirectory {
    path: PathBuf,
    filesystem: FileSystem,
    // The kernel lets go of the lock when the file is closed, also by a kill.
    _lock: File,
}

/// A state directory that is not used.
#[derive(Debug, thiserror::Error)]
pub enum StateRefused {
    /// The directory, or a file in it, does not pass.
    #[error("state directory {0}")]
    Directory(#[from] FileRefused),
    /// It is not a directory.
    #[error("state directory {}: is not a directory", .0.display())]
    NotADirectory(PathBuf),
    /// Another daemon has it.
    #[error("state directory {}: is in use by {}", path.display(), by(*pid))]
    Held {
        /// Which directory.
        path: PathBuf,
        /// By which process, if it said so.
        pid: Option<u32>,
    },
}

fn by(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

impl StateRefused {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Directory(FileRefused { path, why: Why::Mode { .. } }) => format!("chmod 0700 {}", path.display()),
            Self::Directory(FileRefused { path, why: Why::Owner { uid } }) => {
                format!(
                    "run the command as user {uid} (the service: systemctl start tallyd), or chown {}",
                    path.display()
                )
            }
            Self::Directory(FileRefused { why: Why::System { cause, .. }, .. })
                if cause.kind() == io::ErrorKind::NotFound =>
            {
                "make it once with tallyd init, or correct state.directory".to_owned()
            }
            Self::Directory(FileRefused { why: Why::SymbolicLink, .. }) => {
                "name the directory itself in state.directory".to_owned()
            }
            Self::Directory(refused) => refused.hint(),
            Self::NotADirectory(_) => "name a directory in state.directory".to_owned(),
            Self::Held { .. } => "one daemon per state directory: stop the other one first".to_owned(),
        }
    }
}

/// What a look at a state directory shows without taking it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateReport {
    /// What it lies on.
    pub filesystem: FileSystem,
    /// Whether a daemon has it, and its process id if it said so.
    pub held_by: Option<Option<u32>>,
}

impl StateDirectory {
    /// Makes the directory with mode 0700 if it is not there, then opens it. For `tallyd init`; the daemon makes nothing.
    pub fn create(path: &Path) -> Result<Self, StateRefused> {
        match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => {}
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
            Err(cause) => {
                return Err(refused(path, Why::System { tried: "create it", cause }));
            }
        }
        Self::open(path)
    }

    /// Opens a directory that is there: ours, mode 0700 or 0750, no symbolic link, and not in use.
    pub fn open(path: &Path) -> Result<Self, StateRefused> {
        let directory = open_checked(path, |uid| uid == rustix::process::geteuid().as_raw())?;
        let filesystem =
            FileSystem::of(&directory).map_err(|cause| refused(path, system("look at its file system")(cause)))?;
        let lock = take_lock(path)?;
        Ok(Self { path: path.to_owned(), filesystem, _lock: lock })
    }

    /// Looks without taking: for `tallyd check`, which may be run by root beside a running daemon.
    pub fn look(path: &Path) -> Result<StateReport, StateRefused> {
        let root = rustix::process::geteuid().is_root();
        let directory = open_checked(path, |uid| root || files::is_ours(uid))?;
        let filesystem =
            FileSystem::of(&directory).map_err(|cause| refused(path, system("look at its file system")(cause)))?;
        Ok(StateReport { filesystem, held_by: holder(&path.join(LOCK_NAME))? })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// What it lies on.
    pub fn filesystem(&self) -> FileSystem {
        self.filesystem
    }
}

fn refused(path: &Path, why: Why) -> StateRefused {
    StateRefused::Directory(FileRefused { path: path.to_owned(), why })
}

fn open_checked(path: &Path, may_own: impl Fn(u32) -> bool) -> Result<File, StateRefused> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let directory =
        OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|cause| refused(path, opening(cause)))?;
    let metadata = directory.metadata().map_err(|cause| refused(path, system("look at it")(cause)))?;
    if !metadata.is_dir() {
        return Err(StateRefused::NotADirectory(path.to_owned()));
    }
    if !may_own(metadata.uid()) {
        return Err(refused(path, Why::Owner { uid: metadata.uid() }));
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o027 != 0 {
        return Err(refused(path, Why::Mode { mode, may: "change or read it" }));
    }
    Ok(directory)
}

fn take_lock(directory: &Path) -> Result<File, StateRefused> {
    let path = directory.join(LOCK_NAME);
    let mut lock = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(&path)
        .map_err(|cause| refused(&path, opening(cause)))?;
    for attempt in 1..=LOCK_ATTEMPTS {
        match lock.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if attempt < LOCK_ATTEMPTS => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::WouldBlock) => {
                return Err(StateRefused::Held { path: directory.to_owned(), pid: written_pid(&lock) });
            }
            Err(TryLockError::Error(cause)) => return Err(refused(&path, system("lock it")(cause))),
        }
    }
    // The process id is for people; the lock is what counts.
    lock.set_len(0)
        .and_then(|()| lock.rewind())
        .and_then(|()| writeln!(lock, "{}", std::process::id()))
        .map_err(|cause| refused(&path, system("write it")(cause)))?;
    Ok(lock)
}

fn holder(path: &Path) -> Result<Option<Option<u32>>, StateRefused> {
    let flags = OFlags::NOFOLLOW.bits().cast_signed();
    let lock = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(lock) => lock,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(refused(path, opening(cause))),
    };
    match lock.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(written_pid(&lock))),
        Err(TryLockError::Error(cause)) => Err(refused(path, system("look at its lock")(cause))),
    }
}

fn written_pid(mut lock: &File) -> Option<u32> {
    let mut text = String::new();
    lock.rewind().ok()?;
    lock.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    /// A directory of mode 0700 under the system's temporary one, removed when dropped.
    pub(in crate::platform) struct Scratch(PathBuf);

    impl Scratch {
        pub(in crate::platform) fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("tallyd-unit-{name}-{}", std::process::id()));
            DirBuilder::new().mode(0o700).create(&path).unwrap();
            Self(path)
        }

        pub(in crate::platform) fn path(&self, name: &str) -> PathBuf {
            self.0.join(name)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn a_second_daemon_is_refused_and_told_by_whom() {
        let scratch = Scratch::new("lock");
        let held = StateDirectory::open(&scratch.0).unwrap();
        let refused = StateDirectory::open(&scratch.0).unwrap_err();
        assert!(refused.to_string().ends_with(&format!("is in use by process {}", std::process::id())), "{refused}");
        assert_eq!(StateDirectory::look(&scratch.0).unwrap().held_by, Some(Some(std::process::id())));
        drop(held);
        assert_eq!(StateDirectory::look(&scratch.0).unwrap().held_by, None);
        StateDirectory::open(&scratch.0).unwrap();
    }

    #[test]
    fn what_others_may_enter_is_refused_with_the_remedy() {
        let scratch = Scratch::new("state-modes");
        for mode in [0o755, 0o770, 0o701, 0o777] {
            std::fs::set_permissions(&scratch.0, Permissions::from_mode(mode)).unwrap();
            let refused = StateDirectory::open(&scratch.0).unwrap_err();
            assert!(refused.hint().starts_with("chmod 0700 /"), "{refused}");
        }
        for mode in [0o700, 0o750] {
            std::fs::set_permissions(&scratch.0, Permissions::from_mode(mode)).unwrap();
            StateDirectory::open(&scratch.0).unwrap();
        }
    }

    #[test]
    fn a_link_a_file_and_nothing_are_refused_and_opening_creates_nothing() {
        let scratch = Scratch::new("state-kinds");
        symlink(&scratch.0, scratch.path("link")).unwrap();
        let link = StateDirectory::open(&scratch.path("link")).unwrap_err();
        assert!(link.to_string().ends_with("is a symbolic link"), "{link}");
        std::fs::write(scratch.path("file"), "").unwrap();
        assert!(matches!(StateDirectory::open(&scratch.path("file")), Err(StateRefused::NotADirectory(_))));
        let absent = StateDirectory::open(&scratch.path("absent")).unwrap_err();
        assert!(absent.hint().contains("tallyd init"), "{absent}");
        assert!(!scratch.path("absent").exists());
    }

    #[test]
    fn creating_makes_a_private_directory_once() {
        let scratch = Scratch::new("state-create");
        let made = StateDirectory::create(&scratch.path("state")).unwrap();
        assert_eq!(std::fs::metadata(made.path()).unwrap().mode() & 0o7777, 0o700);
    }

    #[test]
    fn the_directory_of_another_user_is_refused() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let scratch = Scratch::new("state-owner");
        std::os::unix::fs::chown(&scratch.0, Some(4242), None).unwrap();
        assert!(StateDirectory::open(&scratch.0).unwrap_err().hint().starts_with("run the command as user 4242"));
        assert_eq!(StateDirectory::look(&scratch.0).unwrap().held_by, None);
    }
}
