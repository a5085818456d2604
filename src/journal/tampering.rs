//! What a verifier must find: a journal of some 300 entries, changed in every way that a hand could change it.

use std::sync::LazyLock;

use super::checkpoint::{Checkpoint, NotACheckpoint};
use super::entry::Entry;
use super::key::SigningKey;
use super::sample::{History, ORIGIN, signing_key};
use super::tree::{Frontier, LeafHash};
use super::verify::{BadEntry, Fault, Verified, Verifier};
use super::world::World;
use crate::domain::dice::Dice;

const SEED: u64 = 2;
const ENTRIES: usize = 300;

/// The journal that nobody has touched, and who checks it.
struct Truth {
    lines: Vec<Vec<u8>>,
    /// The last checkpoint.
    note: String,
    /// Has a checkpoint of every size, so that a fault can be told to the entry.
    strict: Verifier,
    /// Has none but the last.
    lax: Verifier,
}

static TRUTH: LazyLock<Truth> = LazyLock::new(|| {
    let lines = History::of_length(SEED, ENTRIES).lines();
    let key = signing_key();
    let mut tree = Frontier::new();
    let mut notes = Vec::new();
    for line in &lines {
        tree.push(LeafHash::of(line));
        notes.push(Checkpoint::sign(&tree, &key));
    }
    let strict = Verifier::with_earlier(key.verifying_key(), notes.iter().map(String::as_str)).unwrap();
    Truth { lines, note: notes.pop().unwrap(), strict, lax: Verifier::new(key.verifying_key()) }
});

fn signed(lines: &[Vec<u8>]) -> String {
    let tree: Frontier = lines.iter().map(|line| LeafHash::of(line)).collect();
    Checkpoint::sign(&tree, &signing_key())
}

fn check(mut verifier: Verifier, lines: &[Vec<u8>], note: &str) -> Result<Verified, Fault> {
    for line in lines {
        verifier.entry(line)?;
    }
    verifier.finish(note)
}

/// The entries that the fault points at, first and last.
fn suspects(fault: &Fault) -> (u64, u64) {
    match fault {
        Fault::Entry { seq, vouched, .. } => (*vouched, *seq),
        Fault::Altered { vouched, last } => (*vouched, *last),
        Fault::Truncated { have, signed } => (*have, *signed - 1),
        Fault::Unsigned { have, signed } => (*signed, *have - 1),
        Fault::Forked { .. } | Fault::CannotVerify(_) => panic!("{fault} points at no entry"),
    }
}

#[test]
fn the_true_journal_verifies_and_adds_up_to_its_world() {
    let history = History::of_length(SEED, ENTRIES);
    for verifier in [&TRUTH.strict, &TRUTH.lax] {
        let verified = check(verifier.clone(), &TRUTH.lines, &TRUTH.note).unwrap();
        assert_eq!(verified.checkpoint.size, TRUTH.lines.len() as u64);
        assert_eq!(verified.fold, history.world);
    }
}

/// Offers to change what stands from each place on, and expects the change to be found there: to the entry when every
/// size has a checkpoint, within the range that is named when there is only the last.
fn each_place(tamper: impl Fn(&[Vec<u8>], usize) -> Option<Vec<Vec<u8>>>) -> usize {
    let mut found = 0;
    let (mut strict, mut lax) = (TRUTH.strict.clone(), TRUTH.lax.clone());
    for (place, line) in TRUTH.lines.iter().enumerate() {
        if let Some(rest) = tamper(&TRUTH.lines, place) {
            let fault = check(strict.clone(), &rest, &TRUTH.note).unwrap_err();
            assert_eq!(suspects(&fault), (place as u64, place as u64), "{fault}");
            found += 1;
            // To the end each time: one place in eight keeps that short.
            if place % 8 == 0 {
                let fault = check(lax.clone(), &rest, &TRUTH.note).unwrap_err();
                let (first, last) = suspects(&fault);
                assert!((first..=last).contains(&(place as u64)), "changed at {place}: {fault}");
            }
        }
        strict.entry(line).unwrap();
        lax.entry(line).unwrap();
    }
    found
}

#[test]
fn every_changed_byte_is_found() {
    let dice = Dice::new(9);
    let mut flips = 0;
    let mut before = TRUTH.strict.clone();
    for (place, line) in TRUTH.lines.iter().enumerate() {
        // Every byte of one entry in twenty, each with one of its bits turned.
        for byte in (0..line.len()).filter(|_| place % 20 == 0) {
            let mut changed = line.clone();
            changed[byte] ^= 1 << dice.roll(8);
            let fault = before.clone().entry(&changed).unwrap_err();
            assert_eq!(suspects(&fault), (place as u64, place as u64), "byte {byte} of {place}: {fault}");
            flips += 1;
        }
        before.entry(line).unwrap();
    }
    assert!(flips > 4_000, "{flips}");
    let one_byte = |lines: &[Vec<u8>], place: usize| {
        let mut rest = lines[place..].to_vec();
        let byte = dice.roll(rest[0].len());
        rest[0][byte] ^= 1 << dice.roll(8);
        Some(rest)
    };
    assert_eq!(each_place(one_byte), TRUTH.lines.len());
}

#[test]
fn every_removed_entry_is_found() {
    // Without the last one it is a cut tail, which has a test of its own.
    let removed = |lines: &[Vec<u8>], place: usize| lines.get(place + 1..).map(<[_]>::to_vec).filter(|r| !r.is_empty());
    assert_eq!(each_place(removed), TRUTH.lines.len() - 1);
}

#[test]
fn every_swapped_pair_is_found() {
    let swapped = |lines: &[Vec<u8>], place: usize| {
        let mut rest = lines[place..].to_vec();
        (rest.len() > 1).then(|| rest.swap(0, 1)).map(|()| rest)
    };
    assert_eq!(each_place(swapped), TRUTH.lines.len() - 1);
}

#[test]
fn every_repeated_entry_is_found() {
    let repeated = |lines: &[Vec<u8>], place: usize| place.checked_sub(1).map(|before| lines[before..].to_vec());
    assert_eq!(each_place(repeated), TRUTH.lines.len() - 1);
}

#[test]
fn every_inserted_entry_is_found() {
    let foreign = History::of_length(SEED + 1, TRUTH.lines.len()).lines();
    let inserted = |lines: &[Vec<u8>], place: usize| Some([&foreign[place..=place], &lines[place..]].concat());
    // Every journal begins alike, so an entry of another one differs from the second on.
    let at_the_start = each_place(|lines, place| inserted(lines, place).filter(|rest| rest[0] != lines[place]));
    assert!(at_the_start >= TRUTH.lines.len() - 2, "{at_the_start}");
}

#[test]
fn every_cut_tail_is_found() {
    let mut lax = TRUTH.lax.clone();
    for (have, line) in TRUTH.lines.iter().enumerate() {
        let expected = Fault::Truncated { have: have as u64, signed: TRUTH.lines.len() as u64 };
        assert_eq!(lax.clone().finish(&TRUTH.note), Err(expected));
        lax.entry(line).unwrap();
    }
}

/// The control: without a checkpoint to compare with, a cut tail is not seen, so the test above sees the checkpoint.
#[test]
fn without_the_checkpoint_no_cut_tail_is_found() {
    let truth = &TRUTH.lines[..60];
    let unseen = |have: &usize| {
        let mut world = World::new();
        truth[..*have].iter().all(|line| Entry::parse(line).is_ok_and(|entry| world.apply(&entry).is_ok()))
    };
    assert_eq!((1..60).filter(unseen).count(), 59);
}

#[test]
fn a_tail_that_nobody_signed_is_found() {
    let mut history = History::of_length(SEED, ENTRIES);
    history.approve();
    let lines = history.lines();
    let fault = check(TRUTH.lax.clone(), &lines, &TRUTH.note).unwrap_err();
    let (have, signed) = (lines.len() as u64, TRUTH.lines.len() as u64);
    assert_eq!(fault, Fault::Unsigned { have, signed });
}

#[test]
fn a_rewritten_journal_signed_with_another_key_vouches_for_nothing() {
    let lines = &TRUTH.lines;
    let other = SigningKey::from_seed(ORIGIN.parse().unwrap(), &[2; 32]).unwrap();
    let tree: Frontier = lines.iter().map(|line| LeafHash::of(line)).collect();
    let note = Checkpoint::sign(&tree, &other);
    let verdict = check(TRUTH.lax.clone(), lines, &note);
    assert_eq!(verdict, Err(Fault::CannotVerify(NotACheckpoint::Unsigned)));
    let verdict = check(TRUTH.lax.clone(), lines, "no checkpoint");
    assert!(matches!(verdict, Err(Fault::CannotVerify(NotACheckpoint::Form(_)))));
}

#[test]
fn a_journal_rewritten_with_the_stolen_key_is_found_by_an_older_checkpoint() {
    let (truth, forged) = (&TRUTH.lines, History::of_length(SEED + 1, ENTRIES).lines());
    // The forger has the key: on its own the new journal is perfect.
    assert!(check(TRUTH.lax.clone(), &forged, &signed(&forged)).is_ok());
    let witness = signed(&truth[..100]);
    let key = signing_key().verifying_key();
    let verifier = Verifier::with_earlier(key.clone(), [witness.as_str()]).unwrap();
    let fault = check(verifier, &forged, &signed(&forged)).unwrap_err();
    assert_eq!(fault, Fault::Altered { vouched: 0, last: 99 });
    // Rolled back to before the witness looked, with a genuine older checkpoint.
    let verifier = Verifier::with_earlier(key.clone(), [witness.as_str()]).unwrap();
    let fault = check(verifier, &truth[..50], &signed(&truth[..50])).unwrap_err();
    assert_eq!(fault, Fault::Truncated { have: 50, signed: 100 });
    let forked = Verifier::with_earlier(key, [witness.as_str(), &signed(&forged[..100])]).unwrap_err();
    assert_eq!(forked, Fault::Forked { size: 100 });
}

#[test]
fn the_journal_of_another_log_and_an_empty_one_are_told_so() {
    let lines = &TRUTH.lines;
    let other = SigningKey::from_seed("other.example".parse().unwrap(), &[1; 32]).unwrap();
    let tree: Frontier = lines.iter().map(|line| LeafHash::of(line)).collect();
    let note = Checkpoint::sign(&tree, &other);
    let fault = check(Verifier::new(other.verifying_key()), lines, &note).unwrap_err();
    let why = BadEntry::OtherLog(ORIGIN.to_owned());
    assert_eq!(fault, Fault::Entry { seq: 0, why, vouched: 0 });
    let fault = check(TRUTH.lax.clone(), &[], &signed(&[])).unwrap_err();
    assert!(matches!(fault, Fault::Entry { seq: 0, why: BadEntry::Misfit(_), .. }), "{fault}");
}

#[test]
fn after_the_first_fault_nothing_more_is_taken() {
    let lines = &TRUTH.lines;
    let mut verifier = TRUTH.lax.clone();
    let fault = verifier.entry(b"{}").unwrap_err();
    assert_eq!(verifier.entry(&lines[0]), Err(fault.clone()));
    assert_eq!(verifier.entry(&vec![b' '; 2 * 1024 * 1024]), Err(fault.clone()));
    assert_eq!(verifier.finish(&TRUTH.note), Err(fault));
}
