//! The journal as static files (C2SP `tlog-tiles`): hash tiles of height 8 and bundles of entries, so that tools for
//! public logs read it. It knows paths and bytes, not where they are put.

use super::proof::run_hash;
use super::tree::{LeafHash, NodeHash};

/// Hashes in a full tile, and entries in a full bundle.
pub const WIDTH: u64 = 256;

const WIDTH_BYTES: usize = 256 * 32;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// Its path below the log's prefix.
    pub path: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// An entry does not fit into a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an entry is longer than the 65,535 bytes that a bundle can say")]
pub struct TooLong;

/// Takes entries in order and gives tiles as they become full.
#[derive(Debug, Default)]
pub struct Tiles {
    bundle: Vec<u8>,
    size: u64,
    levels: Vec<Level>,
}

#[derive(Debug, Default)]
struct Level {
    /// Full tiles before this one.
    full: u64,
    /// The hashes of the tile that is being filled.
    hashes: Vec<u8>,
}

impl Tiles {
    /// Before the first entry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next entry. `full` is handed every file that it completes.
    pub fn push(&mut self, entry: &[u8], full: &mut dyn FnMut(Tile)) -> Result<(), TooLong> {
        let length = u16::try_from(entry.len()).map_err(|_| TooLong)?;
        self.bundle.extend_from_slice(&length.to_be_bytes());
        self.bundle.extend_from_slice(entry);
        self.size += 1;
        if self.size.is_multiple_of(WIDTH) {
            let path = path("entries", self.size / WIDTH - 1, WIDTH);
            full(Tile { path, bytes: std::mem::take(&mut self.bundle) });
        }
        let mut hash = Some(NodeHash::from(LeafHash::of(entry)));
        let mut depth = 0;
        while let Some(node) = hash {
            if self.levels.len() == depth {
                self.levels.push(Level::default());
            }
            hash = self.levels.get_mut(depth).and_then(|level| level.push(depth, node, full));
            depth += 1;
        }
        Ok(())
    }

    /// The files that are not full yet.
    pub fn partial(&self) -> Vec<Tile> {
        let rest = self.size % WIDTH;
        let bundle = Tile { path: path("entries", self.size / WIDTH, rest), bytes: self.bundle.clone() };
        let bundle = (rest > 0).then_some(bundle);
        let levels = self.levels.iter().enumerate().filter(|(_, level)| !level.hashes.is_empty());
        let tiles = levels.map(|(depth, level)| {
            let width = level.hashes.len() as u64 / 32;
            Tile { path: path(&depth.to_string(), level.full, width), bytes: level.hashes.clone() }
        });
        bundle.into_iter().chain(tiles).collect()
    }
}

impl Level {
    /// Adds a hash; when that fills the tile, gives the hash over it, which belongs one level up.
    fn push(&mut self, depth: usize, node: NodeHash, full: &mut dyn FnMut(Tile)) -> Option<NodeHash> {
        self.hashes.extend_from_slice(node.as_bytes());
        if self.hashes.len() < WIDTH_BYTES {
            return None;
        }
        let bytes = std::mem::take(&mut self.hashes);
        // A full subtree over nodes is hashed as one over leaves is.
        let (hashes, _) = bytes.as_chunks::<32>();
        let above = run_hash(hashes.iter().copied().map(LeafHash::from_bytes));
        full(Tile { path: path(&depth.to_string(), self.full, WIDTH), bytes });
        self.full += 1;
        Some(above)
    }
}

/// `tile/<kind>/x001/x234/067`, with `.p/<width>` while it is not full.
fn path(kind: &str, number: u64, width: u64) -> String {
    let mut groups = vec![format!("{:03}", number % 1000)];
    let mut rest = number / 1000;
    while rest > 0 {
        groups.push(format!("x{:03}", rest % 1000));
        rest /= 1000;
    }
    groups.reverse();
    let partial = if width < WIDTH { format!(".p/{width}") } else { String::new() };
    format!("tile/{kind}/{}{partial}", groups.join("/"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tlog_tiles::tlog;

    use super::*;
    use crate::journal::tree::Frontier;

    fn entry(number: u64) -> Vec<u8> {
        format!("entry {number}").into_bytes()
    }

    fn files(size: u64) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut tiles = Tiles::new();
        for number in 0..size {
            let mut keep = |tile: Tile| assert_eq!(files.insert(tile.path, tile.bytes), None);
            tiles.push(&entry(number), &mut keep).unwrap();
        }
        files.extend(tiles.partial().into_iter().map(|tile| (tile.path, tile.bytes)));
        files
    }

    /// The other implementation finds each hash in the tile that it says it is in.
    #[test]
    fn every_stored_hash_is_where_another_implementation_looks_for_it() {
        struct Ours(Vec<tlog::Hash>);
        impl tlog::HashReader for Ours {
            fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog::Hash>, tlog::Error> {
                Ok(indexes.iter().map(|index| self.0[*index as usize]).collect())
            }
        }
        for size in [1, 2, 255, 256, 257, 700, 65_536 + 300] {
            let mut theirs = Ours(Vec::new());
            for number in 0..size {
                let more = tlog::stored_hashes(number, &entry(number), &theirs).unwrap();
                theirs.0.extend(more);
            }
            let files = files(size);
            // The first hash of each tile of level 0 and 1, and the last.
            for (path, bytes) in files.iter().filter(|(path, _)| !path.contains("entries")) {
                let mut parts = path.trim_start_matches("tile/").splitn(2, '/');
                let depth: u8 = parts.next().unwrap().parse().unwrap();
                let number = parts.next().unwrap().split(".p").next().unwrap().replace(['x', '/'], "");
                let first = number.parse::<u64>().unwrap() * WIDTH;
                for place in [0, bytes.len() as u64 / 32 - 1] {
                    let index = tlog::stored_hash_index(depth * 8, first + place);
                    let at = place as usize * 32;
                    assert_eq!(theirs.0[index as usize].0, bytes[at..at + 32], "{path} {place} of {size}");
                }
            }
        }
    }

    #[test]
    fn bundles_hold_every_entry_with_its_length_and_hash_to_the_root() {
        let size = 700;
        let files = files(size);
        let mut tree = Frontier::new();
        for path in ["tile/entries/000", "tile/entries/001", "tile/entries/002.p/188"] {
            let mut rest = files[path].as_slice();
            while let Some((length, more)) = rest.split_first_chunk() {
                let (entry, more) = more.split_at(u16::from_be_bytes(*length).into());
                tree.push(LeafHash::of(entry));
                rest = more;
            }
        }
        assert_eq!(tree.size(), size);
        let whole: Frontier = (0..size).map(|number| LeafHash::of(&entry(number))).collect();
        assert_eq!(tree.root(), whole.root());
        let paths: Vec<&str> = files.keys().map(String::as_str).collect();
        assert_eq!(
            paths,
            [
                "tile/0/000",
                "tile/0/001",
                "tile/0/002.p/188",
                "tile/1/000.p/2",
                "tile/entries/000",
                "tile/entries/001",
                "tile/entries/002.p/188",
            ]
        );
    }

    #[test]
    fn large_numbers_are_written_in_groups_and_long_entries_refused() {
        assert_eq!(path("0", 1_234_067, WIDTH), "tile/0/x001/x234/067");
        assert_eq!(path("entries", 5, 7), "tile/entries/005.p/7");
        let refused = Tiles::new().push(&vec![0; 65_536], &mut |_| {});
        assert_eq!(refused, Err(TooLong));
    }
}
