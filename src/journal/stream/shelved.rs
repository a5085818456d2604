//! Things by their names, of which only so much is held: those that nobody has asked for longest are put on a shelf.

use std::collections::HashMap;
use std::hash::Hash;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Weighs;

/// Where things wait that there is no room for. What is taken is what was put: it is the verifier's own.
pub trait Shelf: Send {
    /// Puts something there under its name.
    fn put(&mut self, what: What, name: &str, value: &[u8]) -> Result<(), ShelfFailed>;

    /// Takes it away again, when it is there.
    fn take(&mut self, what: What, name: &str) -> Result<Option<Vec<u8>>, ShelfFailed>;

    /// Shows everything of a kind.
    fn each(&mut self, what: What, show: &mut dyn FnMut(&[u8])) -> Result<(), ShelfFailed>;
}

/// Which kind of thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A client.
    Client = 1,
    /// An agreement.
    Agreement = 2,
    /// A campaign.
    Campaign = 3,
    /// A request.
    Request = 4,
}

/// The shelf is full or broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("what has to wait cannot be put aside: {0}")]
pub struct ShelfFailed(pub String);

/// Things of one kind.
pub(super) struct Shelved<K, V> {
    what: What,
    held: HashMap<K, Held<V>>,
    weight: usize,
    most: usize,
    /// How many lie on the shelf.
    away: u64,
}

struct Held<V> {
    value: V,
    weight: usize,
    touched: u64,
}

impl<K: Clone + Eq + Hash + Serialize, V: Weighs + Serialize + DeserializeOwned> Shelved<K, V> {
    pub(super) fn new(what: What, most: usize) -> Self {
        Self { what, held: HashMap::new(), weight: 0, most, away: 0 }
    }

    pub(super) fn take(&mut self, key: &K, shelf: &mut dyn Shelf) -> Result<Option<V>, ShelfFailed> {
        if let Some(held) = self.held.remove(key) {
            self.weight -= held.weight;
            return Ok(Some(held.value));
        }
        if self.away == 0 {
            return Ok(None);
        }
        let Some(bytes) = shelf.take(self.what, &name(key)?)? else { return Ok(None) };
        self.away -= 1;
        Ok(Some(read(&bytes)?))
    }

    /// `now` only ever grows.
    pub(super) fn put(&mut self, key: K, value: V, now: u64, shelf: &mut dyn Shelf) -> Result<(), ShelfFailed> {
        let weight = value.weight();
        self.weight += weight;
        self.held.insert(key, Held { value, weight, touched: now });
        if self.weight > self.most { self.make_room(shelf) } else { Ok(()) }
    }

    pub(super) fn each(self, shelf: &mut dyn Shelf, mut show: impl FnMut(&V)) -> Result<(), ShelfFailed> {
        for held in self.held.values() {
            show(&held.value);
        }
        let mut unread = None;
        if self.away > 0 {
            shelf.each(self.what, &mut |bytes| match read(bytes) {
                Ok(value) => show(&value),
                Err(failed) => unread = Some(failed),
            })?;
        }
        unread.map_or(Ok(()), Err)
    }

    /// Half of it, so that it is not done again at once.
    fn make_room(&mut self, shelf: &mut dyn Shelf) -> Result<(), ShelfFailed> {
        let mut oldest: Vec<(u64, K)> = self.held.iter().map(|(key, held)| (held.touched, key.clone())).collect();
        oldest.sort_unstable_by_key(|(touched, _)| *touched);
        for (_, key) in oldest {
            if self.weight <= self.most / 2 {
                break;
            }
            let Some(held) = self.held.remove(&key) else { continue };
            self.weight -= held.weight;
            let value = serde_json::to_vec(&held.value).map_err(|error| ShelfFailed(error.to_string()))?;
            shelf.put(self.what, &name(&key)?, &value)?;
            self.away += 1;
        }
        Ok(())
    }
}

fn name(key: &impl Serialize) -> Result<String, ShelfFailed> {
    serde_json::to_string(key).map_err(|error| ShelfFailed(error.to_string()))
}

fn read<V: DeserializeOwned>(bytes: &[u8]) -> Result<V, ShelfFailed> {
    serde_json::from_slice(bytes).map_err(|error| ShelfFailed(error.to_string()))
}
