//! `tallyd backup`: a consistent copy of the database while the daemon runs, without any share, verified before it gets its
//! name.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::audit::trust::{Trust, Trusted};
use super::audit::verify::failure;
use super::output::{Exit, Failure, Output, Reader};
use super::progress::Progress;
use crate::domain::time::Timestamp;
use crate::journal::checkpoint::Checkpoint;
use crate::journal::verify::Verifier;
use crate::platform::clock::{Clock, SystemClock};
use crate::platform::files;
use crate::store::archive::Archive;
use crate::store::verification::verify_backup;

/// Where to.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file, which must not be there; or a directory, in which the file is named after the time.
    #[arg(value_name = "FILE")]
    to: PathBuf,

    #[command(flatten)]
    trust: Trust,
}

/// Copies, verifies, and gives the copy its name.
pub fn run(args: &Args, config: &Path, output: &mut Output) -> Result<Exit, Failure> {
    let trusted = args.trust.read(config)?;
    let file = named(&args.to, SystemClock.now());
    if file.symlink_metadata().is_ok() {
        let cause = io::Error::from(io::ErrorKind::AlreadyExists);
        return Err(cannot_write(&file, &cause).hint("name a file that is not there: no backup is overwritten"));
    }
    let partial = beside(&file);
    // What an earlier run left that was interrupted.
    let _ = fs::remove_file(&partial);
    let verified = make(&trusted, &partial, output).and_then(|verified| {
        take_name(&partial, &file).map_err(|cause| cannot_write(&file, &cause))?;
        Ok(verified)
    });
    let verified = verified.inspect_err(|_| {
        // The reason of the failure is told; half a copy helps nobody.
        let _ = fs::remove_file(&partial);
    })?;
    let (size, root) = (verified.size, verified.root.to_string());
    match output.reader() {
        Reader::People => {
            output.data(format_args!("{}: {size} entries, verified, without shares", file.display()));
            output.say("Keep it apart from the keys. A journal that is put back from it goes on with tallyd recover.");
        }
        Reader::Programs => {
            let file = file.display().to_string();
            output.json(&serde_json::json!({ "file": file, "size": size, "root": root, "verified": true }));
        }
    }
    Ok(Exit::Done)
}

fn named(to: &Path, now: Timestamp) -> PathBuf {
    if !to.is_dir() {
        return to.to_owned();
    }
    let time: String = now.to_string().chars().filter(|c| c.is_ascii_digit()).take(14).collect();
    to.join(format!("tallyd-{time}.db"))
}

fn beside(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    file.with_file_name(name)
}

fn make(trusted: &Trusted, partial: &Path, output: &mut Output) -> Result<Checkpoint, Failure> {
    let Trusted { state, key, pseudonyms } = trusted;
    files::write_new(partial, b"").map_err(|refused| {
        let hint = refused.hint();
        cannot_write(partial, &refused.why).hint(hint)
    })?;
    // Only to say how far it is.
    let note = Archive::open(state).ok().and_then(|mut archive| archive.ask(|queries| queries.checkpoint()).ok());
    let size = note.and_then(|note| Checkpoint::verify(&note, key).ok()).map_or(0, |checkpoint| checkpoint.size);
    let mut progress = Progress::over("entries", size, 0);
    let copied = Archive::copy(state, partial, &mut |copied| progress.reached(copied, output));
    progress.end();
    copied.map_err(|error| {
        let hint = error.hint();
        Failure::new("copy the database in", state.display(), error).hint(hint)
    })?;
    File::open(partial).and_then(|copy| copy.sync_all()).map_err(|cause| cannot_write(partial, &cause))?;
    let unreadable = |error: &dyn std::fmt::Display| Failure::new("read the copy", partial.display(), error);
    let mut archive = Archive::open_copy(partial).map_err(|error| unreadable(&error))?;
    let mut progress = Progress::over("entries", size, 0);
    let verified = archive.ask(|queries| {
        verify_backup(queries, Verifier::new(key.clone()), pseudonyms.as_ref(), &mut |reached| {
            progress.verified(reached, output)
        })
    });
    progress.end();
    let verified = verified.map_err(|error| unreadable(&error))?.map_err(|found| failure(state, &found))?;
    Ok(verified.checkpoint)
}

/// Never in the place of another file.
fn take_name(partial: &Path, file: &Path) -> io::Result<()> {
    renameat_with(CWD, partial, CWD, file, RenameFlags::NOREPLACE)?;
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

fn cannot_write(file: &Path, cause: &dyn std::fmt::Display) -> Failure {
    Failure::new("write the backup", file.display(), cause)
        .hint("name a file in a directory that you may write to, with room in it")
}
