//! What every backend must do, written once. [`suite`], [`campaigns`], [`contacts`], [`faults`] and [`fold`] have the
//! tests, generic over a [`Kind`] of database; this file
//! has what they need: scratch directories, a store that can be sabotaged, and [`steps`], small commands of their own.

mod campaigns;
mod contacts;
mod faults;
mod fold;
mod requests;
mod sqlite;
mod steps;
mod suite;
mod tampering;

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::backend::{Backend, Change, Fault, Head, Holder, Instance, Reading};
use super::contract::{Enclosure, Loaded, Scope};
use super::fence::Fence;
use super::handle::{StartError, Store};
use super::tally::Counts;
use crate::domain::ids::{ApplicationId, ClientId};
use crate::domain::pseudonym::Pseudonyms;
use crate::domain::random::{Randomness, RandomnessFailed};
use crate::domain::request::RequestId;
use crate::domain::time::Timestamp;
use crate::journal::key::SigningKey;
use crate::platform::clock::Clock;

/// A directory of mode 0700 under the system's temporary one, removed when dropped.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new(name: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tallyd-store-{name}-{}-{number}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&path).unwrap();
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// A kind of database, and how a test gets at it behind the store's back.
trait Kind {
    type Backend: Backend;
    type Reading: Reading;

    fn create(state: &Path, instance: Instance);
    fn open(state: &Path) -> (Self::Backend, Self::Reading);
    /// Makes the database refuse every entry about this application.
    fn refuse_entries_of(state: &Path, application: &ApplicationId);
    fn refuse_nothing(state: &Path);
    /// Lets the database grow by no page more than this; `None`: by as many as it wants.
    fn limit(backend: &Self::Backend, pages: Option<u32>);
    /// Holds the database as another process would, until the guard is dropped.
    fn hold(state: &Path) -> Box<dyn Send>;
    /// Has a request ask for a compromised re-issue, whatever it asked for.
    fn swap_what_is_asked(state: &Path, request: RequestId);
    /// Takes the database's file away under its user.
    fn replace(state: &Path);
}

/// Faults that a test switches on while the store runs.
#[derive(Default)]
struct Sabotage {
    full: AtomicBool,
    commit_fails: AtomicBool,
    fatal: AtomicU32,
}

struct Sabotaged<K: Kind> {
    inner: K::Backend,
    sabotage: Arc<Sabotage>,
}

impl<K: Kind + 'static> Backend for Sabotaged<K> {
    fn begin(&mut self) -> Result<Head, Fault> {
        let full = self.sabotage.full.load(Ordering::Relaxed);
        K::limit(&self.inner, full.then_some(0));
        self.inner.begin()
    }
    fn load(&mut self, scope: &Scope) -> Result<Loaded, Fault> {
        self.inner.load(scope)
    }
    fn append(&mut self, seq: u64, application: Option<&ApplicationId>, bytes: &[u8]) -> Result<(), Fault> {
        self.inner.append(seq, application, bytes)
    }
    fn save(&mut self, change: &Change<'_>) -> Result<(), Fault> {
        self.inner.save(change)
    }
    fn enclose(&mut self, enclosure: &Enclosure) -> Result<(), Fault> {
        self.inner.enclose(enclosure)
    }
    fn save_head(&mut self, head: &Head) -> Result<(), Fault> {
        self.inner.save_head(head)
    }
    fn commit(&mut self) -> Result<(), Fault> {
        if self.sabotage.commit_fails.load(Ordering::Relaxed) {
            return Err(Fault::Fatal("disk I/O error".to_owned()));
        }
        self.inner.commit()
    }
    fn roll_back(&mut self) {
        self.inner.roll_back();
    }
    fn keep_up(&mut self) -> Result<(), Fault> {
        self.inner.keep_up()
    }
    fn purge(&mut self) -> Result<(), Fault> {
        self.inner.purge()
    }
    fn still_there(&mut self) -> Result<(), Fault> {
        self.inner.still_there()
    }
    fn holders(&mut self) -> Result<Vec<(ClientId, Holder)>, Fault> {
        self.inner.holders()
    }
    fn counts(&mut self) -> Result<Counts, Fault> {
        self.inner.counts()
    }
}

/// A store over a scratch directory. Dropping stops it.
struct Bench<K: Kind> {
    scratch: Scratch,
    store: Option<Store>,
    clock: Arc<SetClock>,
    sabotage: Arc<Sabotage>,
    kind: std::marker::PhantomData<K>,
}

impl<K: Kind + 'static> Bench<K> {
    fn new(name: &str) -> Self {
        let scratch = Scratch::new(name);
        let instance = Instance::from_bytes([7; 16]);
        K::create(scratch.path(), instance);
        Fence::create(scratch.path(), instance).unwrap();
        let mut bench = Self {
            scratch,
            store: None,
            clock: Arc::new(SetClock(AtomicI64::new(1_795_419_000_000))),
            sabotage: Arc::new(Sabotage::default()),
            kind: std::marker::PhantomData,
        };
        bench.start().unwrap();
        bench
    }

    fn start(&mut self) -> Result<(), StartError> {
        let (inner, reading) = K::open(self.scratch.path());
        let sabotage = Arc::clone(&self.sabotage);
        let backend = Sabotaged::<K> { inner, sabotage: Arc::clone(&sabotage) };
        let on_fatal = Arc::new(move |_: &Fault| {
            sabotage.fatal.fetch_add(1, Ordering::SeqCst);
        });
        let clock = Arc::clone(&self.clock);
        self.store = Some(Store::start(backend, reading, self.scratch.path(), key(), clock, on_fatal)?);
        Ok(())
    }

    fn stop(&mut self) {
        if let Some(store) = self.store.take() {
            store.stop();
        }
    }

    /// What was counted along the way is what is counted anew.
    fn restart(&mut self) {
        let counted = |bench: &Self| -> Counts {
            bench.store().tally().counts().into_iter().filter(|(_, count)| *count > 0).collect()
        };
        let before = counted(self);
        self.stop();
        self.start().unwrap();
        assert_eq!(counted(self), before);
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    /// Waits for what the writer does by itself.
    fn until(&self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        for _ in 0..400 {
            if done(self) {
                return;
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        panic!("{what} did not happen within ten seconds");
    }
}

impl<K: Kind> Drop for Bench<K> {
    fn drop(&mut self) {
        if let Some(store) = self.store.take() {
            store.stop();
        }
    }
}

pub(super) fn key() -> SigningKey {
    SigningKey::from_seed("journal.exempel.se".parse().unwrap(), &[3; 32]).unwrap()
}

/// The key behind the hashes of the suite's addresses.
fn pseudonyms() -> Pseudonyms {
    Pseudonyms::new(&[5; 32])
}

/// A clock that stands where it was set.
struct SetClock(AtomicI64);

impl SetClock {
    fn step(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

/// Bytes that never repeat in one run of the tests.
struct Counted;

impl Randomness for Counted {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomnessFailed> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        for chunk in buffer.chunks_mut(8) {
            // Weyl sequence through the finaliser of SplitMix64: a bijection, so no value comes twice.
            let mut mixed = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let bytes = (mixed ^ (mixed >> 31)).to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
        Ok(())
    }
}
