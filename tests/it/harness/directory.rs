//! A temporary directory of one test. It is removed in the end, unless the test failed and somebody may want to look.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// The directory.
pub(super) struct Directory {
    path: PathBuf,
    kept: bool,
}

impl Directory {
    /// A new one with what the daemon and its neighbours expect in it.
    pub(super) fn make() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tallyd-it-{}-{number}", std::process::id()));
        // What a process with the same number left there is of no use to anybody.
        let _ = std::fs::remove_dir_all(&path);
        for part in ["", "keys", "tls", "run", "client", "outside"] {
            // A Postfix that runs as a user of its own must reach its own directory below.
            let mode = if ["", "outside"].contains(&part) { 0o755 } else { 0o700 };
            DirBuilder::new().mode(mode).create(path.join(part)).unwrap();
        }
        Self { path, kept: false }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// It stays after the end.
    #[expect(clippy::print_stderr, reason = "cargo shows it with the failed test")]
    pub(super) fn keep(&mut self) {
        self.kept = true;
        eprintln!("what the test left behind is in {}", self.path.display());
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if !self.kept && !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
