//! `tallyd audit export`: the verified journal as files that other programs read, for auditors who have no tallyd.
//!
//! In the directory: `entries.jsonl`, one canonical entry a line; `tile/…`, the same as C2SP `tlog-tiles`; `checkpoint`, the
//! newest one, and `checkpoints/SIZE` all that were exported; `verifier-key`. The checkpoint is written last, so an
//! export that was interrupted is an older one with something behind its end, which the next one puts right. When all of
//! it is on the disk it is read again and verified as it lies there.
//!
//! With `--before` it ends before a day: a closed part of the journal for the archive, under a checkpoint of exactly its
//! size, which this journal passed through. An export never ends before an earlier one of its directory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::super::output::{Exit, Failure, Output, Reader};
use super::exported;
use super::trust::{Trust, Trusted, closing_key};
use super::verify::{failure, in_verified};
use crate::anchor::hold::witnessed;
use crate::domain::time::Timestamp;
use crate::journal::checkpoint::Checkpoint;
use crate::journal::key::{SigningKey, VerifyingKey};
use crate::journal::tiles::{Tile, Tiles};
use crate::journal::tree::{Frontier, LeafHash};
use crate::journal::verify::Fault;
use crate::store::queries::{Queries, ReadError, first_entry};
use crate::store::verification::Finding;

/// Where to.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The directory; what an earlier export wrote there is gone on with.
    #[arg(value_name = "DIR")]
    directory: PathBuf,

    /// Only what was committed before this day (UTC), such as 2027-01-01, closed with a checkpoint of its own: for the archive.
    #[arg(long, value_name = "DATE", value_parser = day)]
    before: Option<Timestamp>,

    #[command(flatten)]
    trust: Trust,
}

fn day(text: &str) -> Result<Timestamp, &'static str> {
    Timestamp::beginning_of_day(text).ok_or("a date such as 2027-01-01")
}

/// Verifies, then writes what is new.
pub(super) fn run(args: &Args, config: &Path, output: &mut Output) -> Result<Exit, Failure> {
    let Trusted { state, key, pseudonyms } = args.trust.read(config)?;
    let failed = |cause: io::Error| {
        Failure::new("export the journal to", args.directory.display(), cause)
            .hint("name a directory that you may write to, with room in it")
    };
    let earlier = earlier(&args.directory, &key).map_err(|cause| failed(cause).exit(Exit::Refused))?;
    // What witnesses cosigned is a checkpoint that the journal must have passed through, like an earlier export's.
    let witnessed =
        witnessed(&state).map_err(|refused| failed(io::Error::other(refused.to_string())).exit(Exit::Refused))?;
    let notes: Vec<String> = earlier.iter().chain(&witnessed).cloned().collect();
    let before = earlier.map(|note| Checkpoint::verify(&note, &key)).transpose();
    let before = before.map_err(|cause| failure(&state, &Finding::Journal(Fault::CannotVerify(cause))))?;
    let before = before.map_or(0, |checkpoint| checkpoint.size);
    let closing = args.before.map(|day| closing_key(config).map(|key| (day, key))).transpose()?;
    let target = Target { directory: &args.directory, key: &key, before };
    let written = in_verified(&state, key.clone(), &notes, pseudonyms.as_ref(), output, |queries, verified| {
        let end = match &closing {
            Some((day, key)) => End::before(*day, key, queries)?,
            None => End { size: verified.checkpoint.size, note: queries.checkpoint()? },
        };
        if end.size < before || end.size == 0 {
            return Ok(Err(io::Error::other(format!(
                "an earlier export has {before} entries, and {} are older",
                end.size
            ))));
        }
        target.write(queries, &end)
    })?;
    let size = written.map_err(|found| failure(&state, &found))?.map_err(failed)?;
    if let Some(note) = witnessed {
        // The journal has passed through it, so it is a checkpoint of what was exported, unless that ended before it.
        let cosigned = Checkpoint::verify(&note, &key).map(|checkpoint| checkpoint.size).unwrap_or(size);
        if cosigned <= size {
            put(&args.directory.join("checkpoints").join(cosigned.to_string()), note.as_bytes()).map_err(failed)?;
        }
    }
    settle(&args.directory).map_err(failed)?;
    let lies_there = exported::verify(&args.directory, &key);
    lies_there.map_err(|flaw| failed(io::Error::other(format!("as it lies there, {flaw}"))).exit(Exit::NotVerified))?;
    match output.reader() {
        Reader::People => output.data(format_args!(
            "exported: {size} entries of {}, {} of them new, to {}",
            key.origin(),
            size - before,
            args.directory.display()
        )),
        Reader::Programs => output.json(&serde_json::json!({ "size": size, "new": size - before })),
    }
    Ok(Exit::Done)
}

/// The checkpoint of an earlier export, which must be of the same journal.
fn earlier(directory: &Path, key: &VerifyingKey) -> io::Result<Option<String>> {
    let known = absent_or(fs::read_to_string(directory.join("verifier-key")))?;
    if known.is_some_and(|known| known.trim_end() != key.to_string()) {
        return Err(io::Error::other("it holds the export of another journal"));
    }
    absent_or(fs::read_to_string(directory.join("checkpoint")))
}

fn absent_or(read: io::Result<String>) -> io::Result<Option<String>> {
    match read {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

struct Target<'a> {
    directory: &'a Path,
    key: &'a VerifyingKey,
    /// Entries that an earlier export wrote.
    before: u64,
}

impl Target<'_> {
    fn write(&self, queries: &mut dyn Queries, end: &End) -> Result<io::Result<u64>, ReadError> {
        let mut entries = match self.open() {
            Ok(entries) => entries,
            Err(error) => return Ok(Err(error)),
        };
        let mut outcome = Ok(());
        queries.each_entry(0, &mut |stored| {
            outcome = entries.take(stored.bytes);
            if outcome.is_ok() && entries.size < end.size { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok(outcome.and_then(|()| entries.finish()).and_then(|()| self.sign(end)).map(|()| end.size))
    }

    fn open(&self) -> io::Result<Entries<'_>> {
        fs::create_dir_all(self.directory.join("checkpoints"))?;
        put(&self.directory.join("verifier-key"), format!("{}\n", self.key).as_bytes())?;
        let path = self.directory.join("entries.jsonl");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        Ok(Entries { target: self, lines: BufWriter::new(file), offset: 0, size: 0, tiles: Tiles::new() })
    }

    /// A full tile never changes; those before the earlier checkpoint are there.
    fn put_tile(&self, tile: &Tile, ends_with: u64) -> io::Result<()> {
        let path = self.directory.join(&tile.path);
        if ends_with <= self.before && path.exists() {
            return Ok(());
        }
        put(&path, &tile.bytes)
    }

    /// The checkpoint last, when everything that it vouches for lasts.
    fn sign(&self, end: &End) -> io::Result<()> {
        put(&self.directory.join("checkpoints").join(end.size.to_string()), end.note.as_bytes())?;
        settle(self.directory)?;
        put(&self.directory.join("checkpoint"), end.note.as_bytes())
    }
}

/// Where an export ends.
struct End {
    size: u64,
    note: String,
}

impl End {
    /// Before a day. What was signed over more entries vouches for these as well, but a checkpoint of exactly these is what
    /// others verify them with: it is signed here, over the tree that the verified journal had then.
    fn before(day: Timestamp, key: &SigningKey, queries: &mut dyn Queries) -> Result<Self, ReadError> {
        let size = first_entry(queries, |entry| entry.time >= day)?;
        let mut tree = Frontier::new();
        queries.each_entry(0, &mut |stored| {
            if tree.size() == size {
                return ControlFlow::Break(());
            }
            tree.push(LeafHash::of(stored.bytes));
            ControlFlow::Continue(())
        })?;
        Ok(Self { size, note: Checkpoint::sign(&tree, key) })
    }
}

/// Names last when their directories are synced.
fn settle(directory: &Path) -> io::Result<()> {
    for file in fs::read_dir(directory)? {
        let file = file?;
        if file.file_type()?.is_dir() {
            settle(&file.path())?;
        }
    }
    File::open(directory)?.sync_all()
}

/// What is being written.
struct Entries<'a> {
    target: &'a Target<'a>,
    lines: BufWriter<File>,
    /// Where the next line begins.
    offset: u64,
    size: u64,
    tiles: Tiles,
}

impl Entries<'_> {
    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.size == self.target.before {
            // Behind the earlier end there may be what an interrupted export left.
            self.lines.get_ref().set_len(self.offset)?;
            self.lines.seek(SeekFrom::Start(self.offset))?;
        }
        if self.size >= self.target.before {
            self.lines.write_all(bytes)?;
            self.lines.write_all(b"\n")?;
        }
        self.offset += bytes.len() as u64 + 1;
        self.size += 1;
        let mut full = Vec::new();
        self.tiles.push(bytes, &mut |tile| full.push(tile)).map_err(io::Error::other)?;
        for tile in full {
            self.target.put_tile(&tile, self.size)?;
            forget(&self.target.directory.join(format!("{}.p", tile.path)), None)?;
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        self.lines.flush()?;
        self.lines.get_ref().sync_all()?;
        for tile in self.tiles.partial() {
            let path = self.target.directory.join(&tile.path);
            put(&path, &tile.bytes)?;
            if let Some(folder) = path.parent() {
                forget(folder, path.file_name().and_then(|name| name.to_str()))?;
            }
        }
        Ok(())
    }
}

/// Removes partial tiles that another has taken the place of.
fn forget(folder: &Path, but: Option<&str>) -> io::Result<()> {
    let Ok(found) = fs::read_dir(folder) else { return Ok(()) };
    for file in found {
        let file = file?;
        if file.file_name().to_str() != but {
            fs::remove_file(file.path())?;
        }
    }
    if but.is_none() { fs::remove_dir(folder) } else { Ok(()) }
}

/// Puts a file in its place: after a crash there is the old or the new content.
fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    let mut file = File::create(&aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&aside, path)
}
