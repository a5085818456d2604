//! Reading and writing of single files, with the checks that make their content worth trusting. It does not know what
//! is in them.
//!
//! A secret file is ours or root's, a regular file by its own name, and open to nobody else. A public file (a
//! certificate, a CRL, the configuration) may be read by all and reached by a symbolic link, as certificate tools
//! lay them, but be written by nobody but us and root: whoever writes a CA decides who comes in.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustix::fs::{AtFlags, CWD, OFlags};
use zeroize::Zeroizing;

/// Keys and passwords are short; a file beyond this is the wrong file.
pub const SECRET_FILE_MAX_BYTES: u64 = 64 * 1024;

/// A CRL of a national CA has some hundred thousand entries of about 40 bytes.
pub const PUBLIC_FILE_MAX_BYTES: u64 = 32 * 1024 * 1024;

/// Where a file is: at an absolute path, or among the credentials that the service manager hands over
/// (`credential:NAME` means `$CREDENTIALS_DIRECTORY/NAME`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileSource {
    /// At this absolute path.
    Path(PathBuf),
    /// In the credentials directory under this name.
    Credential(String),
}

/// The text is neither an absolute path nor the name of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an absolute path, or credential:NAME with a name of A-Z a-z 0-9 . _ -")]
pub struct NotAFileSource;

impl FileSource {
    /// The path to open.
    pub fn path(&self) -> Result<PathBuf, FileRefused> {
        self.path_with(credentials_directory().as_deref())
    }

    fn path_with(&self, credentials: Option<&Path>) -> Result<PathBuf, FileRefused> {
        match self {
            Self::Path(path) => Ok(path.clone()),
            Self::Credential(name) => match credentials {
                Some(directory) => Ok(directory.join(name)),
                None => Err(FileRefused { path: PathBuf::from(self.to_string()), why: Why::NoCredentialsDirectory }),
            },
        }
    }
}

impl FromStr for FileSource {
    type Err = NotAFileSource;

    fn from_str(text: &str) -> Result<Self, NotAFileSource> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        match text.strip_prefix("credential:") {
            Some(name) if (1..=255).contains(&name.len()) && name.bytes().all(allowed) && !name.starts_with('.') => {
                Ok(Self::Credential(name.to_owned()))
            }
            Some(_) => Err(NotAFileSource),
            None if text.starts_with('/') && !text.contains('\0') => Ok(Self::Path(PathBuf::from(text))),
            None => Err(NotAFileSource),
        }
    }
}

impl fmt::Display for FileSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Credential(name) => write!(f, "credential:{name}"),
        }
    }
}

/// A file that is not used, and why.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub struct FileRefused {
    /// Which file.
    pub path: PathBuf,
    /// Why.
    pub why: Why,
}

/// Why a file is not used.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    /// The operating system refused an operation.
    #[error("cannot {tried}: {cause}")]
    System {
        /// What was tried.
        tried: &'static str,
        /// What the kernel said.
        cause: io::Error,
    },
    /// A secret file is reached by its own name only.
    #[error("is a symbolic link")]
    SymbolicLink,
    /// A directory, a pipe, a device.
    #[error("is not a regular file")]
    NotRegular,
    /// Somebody else could have put it there.
    #[error("belongs to user {uid}, neither to this process's user nor to root")]
    Owner {
        /// Whose it is.
        uid: u32,
    },
    /// Others may read or write it.
    #[error("has mode {mode:04o}, which lets others {may}")]
    Mode {
        /// The permission bits.
        mode: u32,
        /// What others may do.
        may: &'static str,
    },
    /// Longer than such a file can be.
    #[error("is longer than {max} bytes")]
    TooLong {
        /// The limit in bytes.
        max: u64,
    },
    /// `credential:NAME` outside of a service.
    #[error("there is no $CREDENTIALS_DIRECTORY")]
    NoCredentialsDirectory,
}

impl FileRefused {
    /// What to do about it.
    pub fn hint(&self) -> String {
        let path = self.path.display();
        match &self.why {
            Why::System { cause, .. } if cause.kind() == io::ErrorKind::NotFound => {
                "create the file, or correct the path in the configuration".to_owned()
            }
            Why::System { cause, .. } if cause.kind() == io::ErrorKind::AlreadyExists => {
                "nothing was overwritten; move the file away if it is to be made anew".to_owned()
            }
            Why::System { cause, .. } if cause.kind() == io::ErrorKind::PermissionDenied => {
                "run the command as the user of the service, or as root".to_owned()
            }
            Why::System { .. } => "see that the file system is mounted, writable and not full".to_owned(),
            Why::SymbolicLink => "put the file itself there".to_owned(),
            Why::NotRegular => "name a regular file".to_owned(),
            Why::Owner { .. } => format!("chown root {path}"),
            Why::Mode { may: READ, .. } => format!("chmod 0600 {path}"),
            Why::Mode { .. } => format!("chmod go-w {path}"),
            Why::TooLong { .. } => "name the right file".to_owned(),
            Why::NoCredentialsDirectory => {
                "as root, run the command with CREDENTIALS_DIRECTORY=/etc/tallyd/keys before it; for the service, systemd sets it"
                    .to_owned()
            }
        }
    }
}

const READ: &str = "read it";
const WRITE: &str = "write it";

/// The directory of the credentials, as the service manager names it to us (systemd.exec(5), `LoadCredential=`).
pub fn credentials_directory() -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from).filter(|path| path.is_absolute())
}

/// Reads a file that nobody else may know, at most [`SECRET_FILE_MAX_BYTES`]. The bytes are wiped when dropped.
pub fn read_secret(source: &FileSource) -> Result<Zeroizing<Vec<u8>>, FileRefused> {
    read_secret_with(source, credentials_directory().as_deref())
}

fn read_secret_with(source: &FileSource, credentials: Option<&Path>) -> Result<Zeroizing<Vec<u8>>, FileRefused> {
    let path = source.path_with(credentials)?;
    let handed_over = credentials.is_some() && path.parent() == credentials;
    read_checked(&path, OFlags::NOFOLLOW, SECRET_FILE_MAX_BYTES, |mode| {
        // systemd makes credentials 0400, and shows 0440 where an access list lets the service's user read.
        let open_to_others = if handed_over { mode & 0o037 } else { mode & 0o077 };
        if open_to_others == 0 { None } else { Some(READ) }
    })
    .map(Zeroizing::new)
    .map_err(|why| FileRefused { path, why })
}

/// Reads a file that all may know but only we and root may change, at most [`PUBLIC_FILE_MAX_BYTES`].
pub fn read_public(source: &FileSource) -> Result<Vec<u8>, FileRefused> {
    let path = source.path()?;
    read_checked(
        &path,
        OFlags::empty(),
        PUBLIC_FILE_MAX_BYTES,
        |mode| {
            if mode & 0o022 == 0 { None } else { Some(WRITE) }
        },
    )
    .map_err(|why| FileRefused { path, why })
}

fn read_checked(
    path: &Path,
    flags: OFlags,
    max: u64,
    others_may: impl Fn(u32) -> Option<&'static str>,
) -> Result<Vec<u8>, Why> {
    // NONBLOCK: opening a named pipe must not wait for its writer.
    let flags = (flags | OFlags::NONBLOCK).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(opening)?;
    // All checks are made on the open file, so that it cannot be exchanged between check and use.
    let metadata = file.metadata().map_err(system("look at it"))?;
    if !metadata.is_file() {
        return Err(Why::NotRegular);
    }
    if !is_ours(metadata.uid()) {
        return Err(Why::Owner { uid: metadata.uid() });
    }
    let mode = metadata.mode() & 0o7777;
    if let Some(may) = others_may(mode) {
        return Err(Why::Mode { mode, may });
    }
    // One allocation: a buffer that grows would leave copies.
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len().min(max)).unwrap_or(0) + 1);
    file.take(max + 1).read_to_end(&mut bytes).map_err(system("read it"))?;
    if bytes.len() as u64 > max { Err(Why::TooLong { max }) } else { Ok(bytes) }
}

/// Makes a file of mode 0600 that must not be there yet, and makes it last: when this returns, it survives a power cut.
/// After a crash there is the whole file or none, because it gets its name last.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), FileRefused> {
    let refused = |why| FileRefused { path: path.to_owned(), why };
    let made = match unnamed_beside(path) {
        Ok(file) => write_and_name(file, path, bytes),
        // A file system without unnamed files, which is none that state may lie on. What else is wrong shows here too.
        Err(_) => write_under_its_name(path, bytes),
    };
    made.and_then(|()| sync_parent(path)).map_err(refused)
}

fn unnamed_beside(path: &Path) -> io::Result<File> {
    let flags = OFlags::TMPFILE.bits().cast_signed();
    OpenOptions::new().write(true).mode(0o600).custom_flags(flags).open(parent(path))
}

fn write_and_name(mut file: File, path: &Path, bytes: &[u8]) -> Result<(), Why> {
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(system("write it"))?;
    // open(2) names this way for those without CAP_DAC_READ_SEARCH.
    let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::linkat(CWD, &unnamed, CWD, path, AtFlags::SYMLINK_FOLLOW)
        .map_err(|errno| system("create it")(errno.into()))
}

fn write_under_its_name(path: &Path, bytes: &[u8]) -> Result<(), Why> {
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(system("create it"))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|cause| {
        // Half a key is worse than none. That the removal fails too changes nothing about the answer.
        let _ = std::fs::remove_file(path);
        Why::System { tried: "write it", cause }
    })
}

/// Puts new content in the place of a file: after a crash there is the old or the new content, never a part.
///
/// One writer per directory is assumed (the state directory's lock sees to it). An error other than before the
/// rename leaves the state unknown: the caller stops.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), FileRefused> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let next = path.with_file_name(name);
    match std::fs::remove_file(&next) {
        Ok(()) => {}
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
        Err(cause) => {
            return Err(FileRefused { path: next, why: Why::System { tried: "remove what a crash left", cause } });
        }
    }
    write_new(&next, bytes)?;
    std::fs::rename(&next, path)
        .map_err(system("put the new content in its place"))
        .and_then(|()| sync_parent(path))
        .map_err(|why| FileRefused { path: path.to_owned(), why })
}

/// Overwrites a small file, then removes it, both to the disk.
///
/// On ext4 and XFS the overwriting reaches the blocks that held the content. A copy-on-write file system or a flash
/// disk may keep old blocks; there, only encryption of the disk helps.
pub fn erase(path: &Path) -> Result<(), FileRefused> {
    let attempt = || -> Result<(), Why> {
        let flags = OFlags::NOFOLLOW.bits().cast_signed();
        let mut file = OpenOptions::new().write(true).custom_flags(flags).open(path).map_err(opening)?;
        let metadata = file.metadata().map_err(system("look at it"))?;
        if !metadata.is_file() {
            return Err(Why::NotRegular);
        }
        file.rewind().map_err(system("overwrite it"))?;
        io::copy(&mut io::repeat(0).take(metadata.len()), &mut file).map_err(system("overwrite it"))?;
        file.sync_all().map_err(system("overwrite it"))?;
        std::fs::remove_file(path).map_err(system("remove it"))?;
        sync_parent(path)
    };
    attempt().map_err(|why| FileRefused { path: path.to_owned(), why })
}

/// Whether a file of this user can be trusted: ours or root's.
pub(super) fn is_ours(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

pub(super) fn system(tried: &'static str) -> impl Fn(io::Error) -> Why {
    move |cause| Why::System { tried, cause }
}

/// With O_NOFOLLOW the kernel says ELOOP for a symbolic link.
pub(super) fn opening(cause: io::Error) -> Why {
    if cause.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
        Why::SymbolicLink
    } else {
        Why::System { tried: "open it", cause }
    }
}

/// A name in a directory lasts when the directory is synced.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn sync_parent(path: &Path) -> Result<(), Why> {
    File::open(parent(path)).and_then(|directory| directory.sync_all()).map_err(system("make its directory last"))
}

#[cfg(test)]
mod tests;
