//! The Merkle tree over the journal (RFC 6962, section 2.1): leaf, node and root hashes, and the right edge that is
//! all one needs to go on. It knows bytes, not entries; proofs are in [`super::proof`].

use std::fmt;

use data_encoding::BASE64;
use ring::digest::{Context, SHA256};

/// The most leaves that a tree may have: an entry's number stays exact in every JSON reader.
pub const MAX_SIZE: u64 = 1 << 53;

macro_rules! hash_kind {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Takes 32 bytes that are already such a hash.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The 32 bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        /// Standard base64, as C2SP writes hashes.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&BASE64.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

hash_kind!(
    /// The hash of one entry's canonical bytes.
    LeafHash
);
hash_kind!(
    /// The hash over a run of leaves inside a tree: an element of a proof or of the right edge.
    NodeHash
);
hash_kind!(
    /// The hash over all leaves of a tree.
    RootHash
);

impl LeafHash {
    /// `SHA-256(0x00 || entry)`.
    pub fn of(entry: &[u8]) -> Self {
        Self(sha256(&[&[0x00], entry]))
    }
}

impl NodeHash {
    /// `SHA-256(0x01 || left || right)`.
    #[must_use]
    pub fn join(left: &Self, right: &Self) -> Self {
        Self(sha256(&[&[0x01], &left.0, &right.0]))
    }
}

impl std::str::FromStr for RootHash {
    type Err = NotARoot;

    fn from_str(text: &str) -> Result<Self, NotARoot> {
        let bytes = BASE64.decode(text.as_bytes()).ok();
        bytes.and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or(NotARoot)
    }
}

impl serde::Serialize for RootHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for RootHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A text is not a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the root is not 32 bytes in base64")]
pub struct NotARoot;

/// A tree of one leaf is that leaf.
impl From<LeafHash> for NodeHash {
    fn from(leaf: LeafHash) -> Self {
        Self(leaf.0)
    }
}

impl From<NodeHash> for RootHash {
    fn from(node: NodeHash) -> Self {
        Self(node.0)
    }
}

/// The right edge of a tree: one hash for each power of two in its size, the largest first. Enough to add leaves
/// and to give the root, in at most 54 hashes, however long the journal is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    peaks: Vec<NodeHash>,
}

/// Bytes that should be a frontier are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the right edge of a tree")]
pub struct NotAFrontier;

impl Frontier {
    /// The empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many leaves the tree has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The full subtrees that the tree consists of, left to right, each with the run of leaves below it.
    pub fn peaks(&self) -> impl Iterator<Item = (std::ops::Range<u64>, NodeHash)> {
        let mut start = 0;
        let mut left = self.size;
        self.peaks.iter().map(move |peak| {
            // One for each power of two in the size, the largest first.
            let width = 1 << left.ilog2();
            left -= width;
            let run = start..start + width;
            start = run.end;
            (run, *peak)
        })
    }

    /// Adds the next leaf.
    pub fn push(&mut self, leaf: LeafHash) {
        let mut node = NodeHash::from(leaf);
        // Each trailing one of the size is a full subtree that this leaf completes into the next larger one.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                node = NodeHash::join(&left, &node);
            }
        }
        self.peaks.push(node);
        self.size += 1;
    }

    /// The root of the tree as it stands. Of the empty tree it is the hash of nothing.
    pub fn root(&self) -> RootHash {
        let whole = self.peaks.iter().rev().copied();
        match whole.reduce(|right, left| NodeHash::join(&left, &right)) {
            Some(node) => node.into(),
            None => RootHash(sha256(&[])),
        }
    }

    /// The size as eight bytes, big-endian, then the hashes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.size.to_be_bytes().to_vec();
        for peak in &self.peaks {
            bytes.extend_from_slice(&peak.0);
        }
        bytes
    }

    /// Reads what [`Frontier::to_bytes`] wrote. That the hashes are right only the root can show.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NotAFrontier> {
        let (size, rest) = bytes.split_first_chunk().ok_or(NotAFrontier)?;
        let size = u64::from_be_bytes(*size);
        let (hashes, []) = rest.as_chunks::<32>() else {
            return Err(NotAFrontier);
        };
        if size > MAX_SIZE || hashes.len() != size.count_ones() as usize {
            return Err(NotAFrontier);
        }
        let peaks = hashes.iter().copied().map(NodeHash).collect();
        Ok(Self { size, peaks })
    }
}

impl FromIterator<LeafHash> for Frontier {
    fn from_iter<I: IntoIterator<Item = LeafHash>>(leaves: I) -> Self {
        let mut frontier = Self::new();
        for leaf in leaves {
            frontier.push(leaf);
        }
        frontier
    }
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

#[cfg(test)]
mod tests {
    use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};

    use super::*;

    /// The leaves of the test vectors that came with Certificate Transparency's own implementation (`merkletree`).
    const LEAVES: [&str; 8] =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];

    const ROOTS: [&str; 9] = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    fn known_leaves() -> Vec<Vec<u8>> {
        let decode = |hex: &&str| HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).unwrap();
        LEAVES.iter().map(decode).collect()
    }

    #[test]
    fn the_known_roots_come_out() {
        let mut frontier = Frontier::new();
        assert_eq!(HEXLOWER.encode(frontier.root().as_bytes()), ROOTS[0]);
        for (entry, root) in known_leaves().iter().zip(&ROOTS[1..]) {
            frontier.push(LeafHash::of(entry));
            assert_eq!(HEXLOWER.encode(frontier.root().as_bytes()), *root);
        }
    }

    #[test]
    fn the_edge_survives_its_bytes_at_every_size() {
        let mut frontier = Frontier::new();
        for number in 0..130_u64 {
            let restored = Frontier::from_bytes(&frontier.to_bytes()).unwrap();
            assert_eq!(restored, frontier);
            assert_eq!(frontier.size(), number);
            frontier.push(LeafHash::of(&number.to_be_bytes()));
        }
    }

    #[test]
    fn bytes_that_are_no_edge_are_refused() {
        let good: Frontier = (0..6_u64).map(|n| LeafHash::of(&n.to_be_bytes())).collect();
        let good = good.to_bytes();
        let mut longer = good.clone();
        longer.extend_from_slice(&[0; 32]);
        let mut huge = u64::MAX.to_be_bytes().to_vec();
        huge.extend_from_slice(&[0; 64 * 32]);
        for bad in [&good[..good.len() - 1], &good[..good.len() - 32], &longer, &huge, &[], &[0; 7]] {
            assert_eq!(Frontier::from_bytes(bad), Err(NotAFrontier));
        }
    }

    #[test]
    fn a_leaf_cannot_pass_for_a_node() {
        let [left, right] = [LeafHash::of(b"left"), LeafHash::of(b"right")];
        let node = NodeHash::join(&left.into(), &right.into());
        let joined = [left.as_bytes().as_slice(), right.as_bytes()].concat();
        assert_ne!(NodeHash::from(LeafHash::of(&joined)), node);
    }
}
