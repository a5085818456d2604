//! The journal in the hands of outsiders: the export, the proofs, and programs that share no line with ours.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use signed_note::{Note, StandardVerifier, VerifierList};
use tallyd::journal::checkpoint::Checkpoint;
use tallyd::journal::key::SigningKey;
use tallyd::journal::tree::{Frontier, LeafHash};
use tlog_tiles::tlog;
use tlog_tiles::{Tile, TileHashReader, TileReader};

use crate::harness::Harness;
use crate::harness::approval::Approval;
use crate::harness::operator::Ran;
use crate::harness::stock::Stocked;

const CLIENTS: usize = 60;

/// A journal of some 430 entries at rest, and its public key.
fn journal() -> (Harness, String) {
    let mut harness = Harness::prepare(|_| {});
    let key = harness.run(&["init"]).expect_exit(0).out.trim().to_owned();
    harness.serve();
    harness.issue(&Approval::new());
    harness.stock(&(0..CLIENTS).map(Stocked::new).collect::<Vec<_>>());
    harness.stop();
    (harness, key)
}

fn outside(harness: &Harness, name: &str) -> PathBuf {
    harness.path().join("outside").join(name)
}

fn export(harness: &Harness, to: &Path) -> Ran {
    harness.run(&["audit", "export", &to.display().to_string()])
}

/// What the independent verifier says, and its exit code.
fn verifier(arguments: &[&str]) -> (i32, String) {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/tallyd-verify.py");
    let ran = Command::new("python3").arg("-B").arg(program).args(arguments).output().unwrap();
    let said = [ran.stdout, ran.stderr].concat();
    (ran.status.code().unwrap(), String::from_utf8(said).unwrap())
}

fn verify(key: &str, directory: &Path) -> (i32, String) {
    verifier(&[key, &directory.display().to_string()])
}

/// Every file below a directory.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![directory.to_owned()]);
    while let Some(folder) = folders.pop() {
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = fs::read(&path).unwrap();
                found.insert(path.strip_prefix(directory).unwrap().to_owned(), bytes);
            }
        }
    }
    found
}

fn write(directory: &Path, files: &BTreeMap<PathBuf, Vec<u8>>) {
    for (path, bytes) in files {
        let path = directory.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

#[test]
fn an_export_goes_on_where_the_last_one_ended_and_the_independent_verifier_accepts_it() {
    let (mut harness, key) = journal();
    let growing = outside(&harness, "growing");
    let first = export(&harness, &growing).expect_exit(0).out;
    assert!(first.starts_with("exported: ") && first.contains(" of exempel.se/tallyd, "), "{first}");
    let (code, said) = verify(&key, &growing);
    assert_eq!(code, 0, "{said}");
    let before = outside(&harness, "before.checkpoint");
    fs::copy(growing.join("checkpoint"), &before).unwrap();
    // An export that was interrupted behind its end is put right by the next one.
    let lines = growing.join("entries.jsonl");
    fs::write(&lines, [fs::read(&lines).unwrap(), b"{\"half a".to_vec()].concat()).unwrap();
    harness.stock(&(CLIENTS..2 * CLIENTS).map(Stocked::new).collect::<Vec<_>>());
    harness.stop();
    export(&harness, &growing).expect_exit(0);
    assert!(export(&harness, &growing).expect_exit(0).out.contains(" 0 of them new"));
    let (code, said) = verifier(&[&key, &growing.display().to_string(), "--since", &before.display().to_string()]);
    assert_eq!(code, 0, "{said}");
    // As if it had been exported in one go, but for the checkpoints on the way.
    let at_once = outside(&harness, "at-once");
    export(&harness, &at_once).expect_exit(0);
    let newest = |files: BTreeMap<PathBuf, Vec<u8>>| -> BTreeMap<PathBuf, Vec<u8>> {
        files.into_iter().filter(|(path, _)| !path.starts_with("checkpoints")).collect()
    };
    assert!(newest(files(&growing)) == newest(files(&at_once)), "the two exports differ");
    assert_eq!(fs::read_dir(growing.join("checkpoints")).unwrap().count(), 2);
}

/// Exports that are not what was exported, each with what was done to it.
fn tampered(good: &BTreeMap<PathBuf, Vec<u8>>) -> Vec<(&'static str, BTreeMap<PathBuf, Vec<u8>>)> {
    let lines = good[Path::new("entries.jsonl")].clone();
    let with = |path: &str, bytes: Vec<u8>| {
        let mut changed = good.clone();
        changed.insert(path.into(), bytes);
        changed
    };
    let without = |path: &Path| {
        let mut changed = good.clone();
        changed.remove(path).unwrap();
        changed
    };
    let split: Vec<&[u8]> = lines.split_inclusive(|byte| *byte == b'\n').collect();
    let mut swapped = split.clone();
    swapped.swap(7, 8);
    let mut tampered = vec![
        ("a removed line", with("entries.jsonl", [&split[..9], &split[10..]].concat().concat())),
        ("swapped lines", with("entries.jsonl", swapped.concat())),
        ("a cut tail", with("entries.jsonl", split[..split.len() - 1].concat())),
        ("a repeated line", with("entries.jsonl", [&split[..9], &split[8..]].concat().concat())),
        ("something at the end", with("entries.jsonl", [&lines, b"{}\n".as_slice()].concat())),
        ("no line end", with("entries.jsonl", lines[..lines.len() - 1].to_vec())),
        ("no checkpoint", without(Path::new("checkpoint"))),
    ];
    for place in (0..lines.len()).step_by(lines.len() / 16) {
        let mut changed = lines.clone();
        changed[place] ^= 1;
        tampered.push(("a byte of an entry", with("entries.jsonl", changed)));
    }
    for (path, bytes) in good.iter().filter(|(path, _)| path.starts_with("tile") || path.starts_with("checkpoint")) {
        let mut changed = bytes.clone();
        changed[bytes.len() / 2] ^= 1;
        tampered.push(("a byte of a file", with(path.to_str().unwrap(), changed)));
        if path.starts_with("tile") {
            tampered.push(("a removed tile", without(path)));
        }
    }
    // Signed anew, by somebody else and for another log.
    let tree: Frontier = split.iter().map(|line| LeafHash::of(&line[..line.len() - 1])).collect();
    for origin in ["exempel.se/tallyd", "exempel.se/other"] {
        let other = SigningKey::from_seed(origin.parse().unwrap(), &[7; 32]).unwrap();
        tampered.push(("signed anew", with("checkpoint", Checkpoint::sign(&tree, &other).into_bytes())));
    }
    tampered
}

#[test]
fn the_independent_verifier_refuses_every_export_that_was_tampered_with() {
    let (harness, key) = journal();
    let good = outside(&harness, "good");
    export(&harness, &good).expect_exit(0);
    for (number, (what, files)) in tampered(&files(&good)).iter().enumerate() {
        let directory = outside(&harness, &format!("tampered-{number}"));
        write(&directory, files);
        let (code, said) = verify(&key, &directory);
        assert!([4, 5].contains(&code), "{what} {number}: {code} {said}");
        assert!(said.starts_with("not verified: ") || said.starts_with("cannot verify: "), "{what}: {said}");
        let ours = harness.run(&["audit", "verify", "--key", &key, "--export", &directory.display().to_string()]);
        assert!([4, 5].contains(&ours.exit), "{what} {number}: {ours:?}");
    }
    let (code, said) = verify("exempel.se/tallyd+00000000+AAAA", &outside(&harness, "good"));
    assert_eq!(code, 5, "{said}");
}

/// The tiles as another implementation reads them, authenticated by the root that it is given.
struct Exported(PathBuf);

impl TileReader for Exported {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog::Error> {
        // It names the height in the path, as the Go checksum database does; C2SP tlog-tiles leaves it out.
        let read = |tile: &Tile| {
            fs::read(self.0.join(tile.path().replacen("tile/8/", "tile/", 1)))
                .map_err(|_| tlog::Error::InvalidInput(tile.path()))
        };
        tiles.iter().map(read).collect()
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

/// What public implementations that we do not use ourselves say of an export: `signed_note` of the checkpoint's signature,
/// `tlog_tiles` of its text, of the tiles under its root, and of every line as the record with its number.
fn as_others_read_it(directory: &Path, key: &str) -> Result<u64, String> {
    let told = |error: &dyn std::fmt::Debug| format!("{error:?}");
    let note = fs::read(directory.join("checkpoint")).map_err(|error| told(&error))?;
    let note = Note::from_bytes(&note).map_err(|error| told(&error))?;
    let theirs = StandardVerifier::new(key).map_err(|error| told(&error))?;
    note.verify(&VerifierList::new(vec![Box::new(theirs)])).map_err(|error| told(&error))?;
    let checkpoint = tlog_tiles::Checkpoint::from_bytes(note.text()).map_err(|error| told(&error))?;
    let (size, root) = (checkpoint.size(), *checkpoint.hash());
    let lines = fs::read(directory.join("entries.jsonl")).map_err(|error| told(&error))?;
    let lines: Vec<&[u8]> = lines.split_inclusive(|byte| *byte == b'\n').collect();
    if lines.len() as u64 != size {
        return Err(format!("{} lines for {size} records", lines.len()));
    }
    let exported = Exported(directory.to_owned());
    let tiles = TileHashReader::new(size, root, &exported);
    for (number, line) in (0..).zip(lines) {
        let record = line.strip_suffix(b"\n").ok_or("a line without its end")?;
        let proof = tlog::prove_record(size, number, &tiles).map_err(|error| told(&error))?;
        tlog::check_record(&proof, size, root, number, tlog::record_hash(record)).map_err(|error| told(&error))?;
    }
    Ok(size)
}

#[test]
fn public_implementations_of_notes_and_tiles_accept_the_export_and_refuse_every_tampered_one() {
    let (harness, key) = journal();
    let directory = outside(&harness, "export");
    export(&harness, &directory).expect_exit(0);
    let size = as_others_read_it(&directory, &key).unwrap();
    assert!(size > 256, "{size} entries fill no tile");
    let good = files(&directory);
    // The bundles of entries are no part of what they read, nor are older checkpoints.
    let is_read = |path: &Path| !path.starts_with("tile/entries") && !path.starts_with("checkpoints");
    let mut refused = 0;
    for (number, (what, files)) in tampered(&good).iter().enumerate() {
        let changed = good.keys().find(|path| files.get(*path) != good.get(*path)).unwrap();
        if !is_read(changed) {
            continue;
        }
        let directory = outside(&harness, &format!("tampered-{number}"));
        write(&directory, files);
        let said = as_others_read_it(&directory, &key);
        assert!(said.is_err(), "{what} ({}) is accepted", changed.display());
        refused += 1;
    }
    assert!(refused > 25, "{refused}");
}

#[test]
fn a_proof_stands_alone_and_convinces_the_independent_verifier() {
    let (mut harness, key) = journal();
    let told = harness.run(&["audit", "checkpoint"]).expect_exit(0).out;
    let older = outside(&harness, "older.checkpoint");
    fs::write(&older, &told).unwrap();
    let size: u64 = told.lines().nth(1).unwrap().parse().unwrap();
    let file = outside(&harness, "one.tlog-proof");
    for seq in [0, 1, 255, 256, size - 1] {
        let proof = harness.run(&["audit", "prove", &seq.to_string()]).expect_exit(0).out;
        fs::write(&file, &proof).unwrap();
        let (code, said) = verifier(&[&key, "--proof", &file.display().to_string()]);
        assert_eq!(code, 0, "{said}");
        assert!(said.starts_with(&format!("verified: entry {seq} of exempel.se/tallyd is {{")), "{said}");
        for (line, text) in proof.lines().enumerate() {
            let place = text.char_indices().filter(|(_, c)| c.is_ascii_alphanumeric()).map(|(at, _)| at).nth(9);
            let Some(place) = place else { continue };
            let other = if &text[place..=place] == "1" { "2" } else { "1" };
            let changed = [&text[..place], other, &text[place + 1..]].concat();
            let all: Vec<&str> =
                proof.lines().enumerate().map(|(at, was)| if at == line { &changed } else { was }).collect();
            fs::write(&file, all.join("\n") + "\n").unwrap();
            let (code, said) = verifier(&[&key, "--proof", &file.display().to_string()]);
            assert_ne!(code, 0, "line {line} of the proof of {seq}: {said}");
        }
    }
    harness.run(&["audit", "prove", &size.to_string()]).expect_exit(1);
    harness.run(&["audit", "prove"]).expect_exit(2);
    harness.stock(&[Stocked::new(900)]);
    harness.stop();
    let since = ["audit", "prove", "--since", &older.display().to_string()];
    let proof = harness.run(&since).expect_exit(0).out;
    // The other implementation's word for it.
    let (head, note) = proof.split_once("\n\n").unwrap();
    let hashes = head.lines().skip(1).map(|line| tlog::Hash::parse_hash(line).unwrap()).collect::<Vec<_>>();
    assert_eq!(head.lines().next(), Some(format!("old {size}").as_str()));
    let read = |note: &str| {
        let text = format!("{}\n", note.split_once("\n\n").unwrap().0);
        tlog_tiles::Checkpoint::from_bytes(text.as_bytes()).unwrap()
    };
    let (new, old) = (read(note), read(&told));
    tlog::check_tree(&hashes, new.size(), *new.hash(), old.size(), *old.hash()).unwrap();
    // A checkpoint of somebody else proves nothing about this journal.
    let other = SigningKey::from_seed("exempel.se/tallyd".parse().unwrap(), &[7; 32]).unwrap();
    fs::write(&older, Checkpoint::sign(&Frontier::new(), &other)).unwrap();
    harness.run(&since).expect_exit(5);
}

#[test]
fn a_closed_part_is_exported_for_the_archive_and_goes_on_with_the_next() {
    let mut harness = Harness::prepare(|_| {});
    let key = harness.run(&["init"]).expect_exit(0).out.trim().to_owned();
    harness.serve();
    harness.approve(&Approval::new());
    let whole = harness.journal_size();
    // Two days later there is more; what is archived is what was committed before the day between.
    harness.serve_later("+48h");
    harness.approve(&Approval::new());
    harness.stop();
    let entries = harness.run(&["audit", "show", "--json"]).expect_exit(0).out;
    let day_of = |line: &str| {
        serde_json::from_str::<serde_json::Value>(line).unwrap()["time"].as_str().unwrap()[..10].to_owned()
    };
    let between = entries.lines().map(day_of).max().unwrap();
    let older = entries.lines().take_while(|line| day_of(line) < between).count();
    assert!(older >= whole && older < entries.lines().count(), "{older} of {entries}");
    let directory = outside(&harness, "archive");
    let path = directory.display().to_string();
    let closed = harness.run(&["audit", "export", &path, "--before", &between]).expect_exit(0).out;
    assert!(
        closed.starts_with(&format!("exported: {older} entries of exempel.se/tallyd, {older} of them new")),
        "{closed}"
    );
    let exported = fs::read_to_string(directory.join("entries.jsonl")).unwrap();
    assert_eq!(exported.lines().collect::<Vec<_>>(), entries.lines().take(older).collect::<Vec<_>>());
    // Everybody who reads exports reads this one; none needs the database.
    let (code, said) = verify(&key, &directory);
    assert!(code == 0 && said.starts_with(&format!("verified: {older} entries")), "{said}");
    assert_eq!(as_others_read_it(&directory, &key).unwrap(), older as u64);
    let ours = harness.run(&["audit", "verify", "--key", &key, "--export", &path]).expect_exit(0).out;
    assert!(ours.starts_with(&format!("verified: {older} entries of exempel.se/tallyd, root ")), "{ours}");
    // The journal itself holds what the part is closed with, which is kept as a checkpoint when the next part follows.
    let note = directory.join(format!("checkpoints/{older}"));
    harness.run(&["audit", "prove", "--since", &note.display().to_string()]).expect_exit(0);
    let before = fs::read(&note).unwrap();
    harness.run(&["audit", "export", &path, "--before", "2026-01-01"]).expect_exit(1);
    harness.run(&["audit", "export", &path]).expect_exit(0);
    assert_eq!(fs::read(&note).unwrap(), before);
    let (code, said) = verify(&key, &directory);
    assert!(code == 0 && said.starts_with(&format!("verified: {} entries", entries.lines().count())), "{said}");
    // An auditor has no key to close anything with.
    let refused =
        harness.run(&["audit", "export", &path, "--before", &between, "--config", "/nonexistent", "--key", &key]);
    assert_ne!(refused.exit, 0);
}

#[test]
fn a_journal_that_does_not_verify_or_was_taken_back_is_not_exported() {
    let (harness, _) = journal();
    let directory = outside(&harness, "export");
    export(&harness, &directory).expect_exit(0);
    let exported = files(&directory);
    let change = |statement: &str| {
        let database = rusqlite::Connection::open(harness.path().join("state/tallyd.db")).unwrap();
        database.execute_batch(statement).unwrap();
    };
    change("UPDATE credential SET state = 'ended', cause = 'revoked' WHERE application = 'A-2026-00007'");
    let refused = export(&harness, &directory).expect_exit(4).err;
    let row = "table credential, row application=A-2026-00007 version=1: state is not what the entries add up to";
    assert!(refused.contains(row), "{refused}");
    assert!(files(&directory) == exported);
    harness.run(&["audit", "verify"]).expect_exit(4);
    change("UPDATE credential SET state = 'active', cause = NULL WHERE application = 'A-2026-00007'");
    harness.run(&["audit", "verify"]).expect_exit(0);
    // The export is an anchor: a journal that no longer passes through it is found.
    let key = fs::read_to_string(harness.path().join("keys/journal")).unwrap();
    let key = SigningKey::parse(key.trim_end()).unwrap();
    let forged: Frontier = (0..500_u64).map(|number| LeafHash::of(&number.to_be_bytes())).collect();
    fs::write(directory.join("checkpoint"), Checkpoint::sign(&forged, &key)).unwrap();
    let refused = export(&harness, &directory).expect_exit(4).err;
    assert!(refused.contains("the end is missing"), "{refused}");
}
