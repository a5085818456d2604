//! Proofs that need not show the journal (RFC 9162, sections 2.1.3 and 2.1.4): that an entry is in a tree, and that a
//! larger tree holds a smaller one unchanged.
//!
//! What a proof is made of is a list of runs of leaves; whoever has the leaves hashes each run. So this knows neither
//! where leaves are kept nor how reading them may fail.

use std::ops::Range;

use super::tree::{Frontier, LeafHash, NodeHash, RootHash};

/// The proof does not show what it should show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the proof does not hold")]
pub struct ProofFails;

/// The runs of leaves whose hashes prove leaf `index` in a tree of `size`, lowest first. `None` when it has no such leaf.
pub fn inclusion_runs(index: u64, size: u64) -> Option<Vec<Range<u64>>> {
    if index >= size {
        return None;
    }
    let mut runs = Vec::new();
    let mut tree = 0..size;
    // From the root down; the sibling of each step is one element.
    while tree.end - tree.start > 1 {
        let middle = tree.start + split(tree.end - tree.start);
        if index < middle {
            runs.push(middle..tree.end);
            tree.end = middle;
        } else {
            runs.push(tree.start..middle);
            tree.start = middle;
        }
    }
    runs.reverse();
    Some(runs)
}

/// The runs of leaves whose hashes prove that the tree of `new` leaves begins with the tree of `old` leaves, lowest
/// first. `None` unless `0 < old ≤ new`: nothing is proved about an empty tree.
pub fn consistency_runs(old: u64, new: u64) -> Option<Vec<Range<u64>>> {
    if old == 0 || old > new {
        return None;
    }
    let mut runs = Vec::new();
    let mut tree = 0..new;
    // Down to the subtree that ends where the old tree ended.
    while tree.end != old {
        let middle = tree.start + split(tree.end - tree.start);
        if old <= middle {
            runs.push(middle..tree.end);
            tree.end = middle;
        } else {
            runs.push(tree.start..middle);
            tree.start = middle;
        }
    }
    // When that is the whole old tree, the verifier knows its hash.
    if tree.start != 0 {
        runs.push(tree);
    }
    runs.reverse();
    Some(runs)
}

/// The hash of one run of a proof. Of a run of [`inclusion_runs`] or [`consistency_runs`] that is its subtree's.
pub fn run_hash(leaves: impl IntoIterator<Item = LeafHash>) -> NodeHash {
    NodeHash::from_bytes(*leaves.into_iter().collect::<Frontier>().root().as_bytes())
}

/// Gathers the hashes of some runs while all leaves pass by once.
#[derive(Debug)]
pub struct Gathering {
    runs: Vec<(Range<u64>, Frontier)>,
    next: u64,
}

impl Gathering {
    /// Of these runs, in any order.
    pub fn of(runs: Vec<Range<u64>>) -> Self {
        Self { runs: runs.into_iter().map(|run| (run, Frontier::new())).collect(), next: 0 }
    }

    /// The next leaf.
    pub fn pass(&mut self, leaf: LeafHash) {
        for (run, tree) in &mut self.runs {
            if run.contains(&self.next) {
                tree.push(leaf);
            }
        }
        self.next += 1;
    }

    /// The hashes, in the order of the runs.
    pub fn hashes(&self) -> Vec<NodeHash> {
        self.runs.iter().map(|(_, tree)| NodeHash::from_bytes(*tree.root().as_bytes())).collect()
    }
}

/// Checks that `leaf` stands at `index` in the tree of `size` with `root` (RFC 9162, section 2.1.3.2).
pub fn verify_inclusion(
    leaf: LeafHash,
    index: u64,
    size: u64,
    proof: &[NodeHash],
    root: &RootHash,
) -> Result<(), ProofFails> {
    let last = size.checked_sub(1).filter(|last| index <= *last).ok_or(ProofFails)?;
    let (mut here, mut last) = (index, last);
    let mut node = NodeHash::from(leaf);
    for sibling in proof {
        if last == 0 {
            return Err(ProofFails);
        }
        if here & 1 == 1 || here == last {
            node = NodeHash::join(sibling, &node);
            (here, last) = up_to_left(here, last);
        } else {
            node = NodeHash::join(&node, sibling);
        }
        here >>= 1;
        last >>= 1;
    }
    fits(last == 0 && RootHash::from(node) == *root)
}

/// Checks that the tree of `new` leaves with `new_root` begins with the tree of `old` leaves with `old_root`
/// (RFC 9162, section 2.1.4.2). An empty old tree is the beginning of any.
pub fn verify_consistency(
    old: u64,
    old_root: &RootHash,
    new: u64,
    new_root: &RootHash,
    proof: &[NodeHash],
) -> Result<(), ProofFails> {
    if old == 0 {
        return fits(proof.is_empty() && *old_root == Frontier::new().root());
    }
    if old >= new {
        return fits(old == new && proof.is_empty() && old_root == new_root);
    }
    let whole_old = [NodeHash::from_bytes(*old_root.as_bytes())];
    let known: &[NodeHash] = if old.is_power_of_two() { &whole_old } else { &[] };
    let mut path = known.iter().chain(proof);
    let first = *path.next().ok_or(ProofFails)?;
    let shared = (old - 1).trailing_ones();
    let (mut here, mut last) = ((old - 1) >> shared, (new - 1) >> shared);
    let (mut old_node, mut new_node) = (first, first);
    for sibling in path {
        if last == 0 {
            return Err(ProofFails);
        }
        if here & 1 == 1 || here == last {
            old_node = NodeHash::join(sibling, &old_node);
            new_node = NodeHash::join(sibling, &new_node);
            (here, last) = up_to_left(here, last);
        } else {
            new_node = NodeHash::join(&new_node, sibling);
        }
        here >>= 1;
        last >>= 1;
    }
    fits(last == 0 && RootHash::from(old_node) == *old_root && RootHash::from(new_node) == *new_root)
}

/// The largest power of two below `leaves`, which is at least 2.
fn split(leaves: u64) -> u64 {
    1 << (leaves - 1).ilog2()
}

/// A node at the right edge without a sibling is its own parent: goes up until it is a right child.
fn up_to_left(here: u64, last: u64) -> (u64, u64) {
    let levels = if here == 0 { 0 } else { here.trailing_zeros() };
    (here >> levels, last >> levels)
}

fn fits(holds: bool) -> Result<(), ProofFails> {
    if holds { Ok(()) } else { Err(ProofFails) }
}

#[cfg(test)]
mod tests {
    use tlog_tiles::tlog;

    use super::*;

    const LARGEST: u64 = 130;

    fn leaf(number: u64) -> LeafHash {
        LeafHash::of(&number.to_be_bytes())
    }

    fn root(size: u64) -> RootHash {
        (0..size).map(leaf).collect::<Frontier>().root()
    }

    fn hashes(runs: Vec<Range<u64>>) -> Vec<NodeHash> {
        runs.into_iter().map(|run| run_hash(run.map(leaf))).collect()
    }

    /// The other implementation's tree over the same leaves.
    struct Theirs(Vec<tlog::Hash>);

    impl Theirs {
        fn build() -> Self {
            let mut theirs = Self(Vec::new());
            for number in 0..LARGEST {
                let more = tlog::stored_hashes(number, &number.to_be_bytes(), &theirs).unwrap();
                theirs.0.extend(more);
            }
            theirs
        }
    }

    impl tlog::HashReader for Theirs {
        fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog::Hash>, tlog::Error> {
            Ok(indexes.iter().map(|index| self.0[*index as usize]).collect())
        }
    }

    fn ours(hash: &tlog::Hash) -> NodeHash {
        NodeHash::from_bytes(hash.0)
    }

    #[test]
    fn roots_are_those_of_another_implementation() {
        let theirs = Theirs::build();
        for size in 0..=LARGEST {
            assert_eq!(root(size).as_bytes(), &tlog::tree_hash(size, &theirs).unwrap().0, "{size}");
        }
    }

    #[test]
    fn inclusion_proofs_are_those_of_another_implementation_and_hold() {
        let theirs = Theirs::build();
        for size in 1..=LARGEST {
            let root = root(size);
            for index in 0..size {
                let proof = hashes(inclusion_runs(index, size).unwrap());
                let mut gathering = Gathering::of(inclusion_runs(index, size).unwrap());
                (0..size).for_each(|number| gathering.pass(leaf(number)));
                assert_eq!(gathering.hashes(), proof);
                let their_proof = tlog::prove_record(size, index, &theirs).unwrap();
                assert_eq!(proof, their_proof.iter().map(ours).collect::<Vec<_>>(), "{index} of {size}");
                assert_eq!(verify_inclusion(leaf(index), index, size, &proof, &root), Ok(()));
            }
            assert_eq!(inclusion_runs(size, size), None);
        }
    }

    #[test]
    fn consistency_proofs_are_those_of_another_implementation_and_hold() {
        let theirs = Theirs::build();
        let roots: Vec<RootHash> = (0..=LARGEST).map(root).collect();
        for new in 1..=LARGEST {
            for old in 1..=new {
                let proof = hashes(consistency_runs(old, new).unwrap());
                let their_proof = tlog::prove_tree(new, old, &theirs).unwrap();
                assert_eq!(proof, their_proof.iter().map(ours).collect::<Vec<_>>(), "{old} of {new}");
                let [old_root, new_root] = [old, new].map(|size| &roots[size as usize]);
                assert_eq!(verify_consistency(old, old_root, new, new_root, &proof), Ok(()));
            }
            assert_eq!(consistency_runs(0, new), None);
            assert_eq!(consistency_runs(new + 1, new), None);
        }
    }

    #[test]
    fn a_changed_inclusion_proof_fails() {
        for (index, size) in [(0, 1), (0, 7), (6, 7), (3, 8), (12, 13), (100, 130)] {
            let (proof, root) = (hashes(inclusion_runs(index, size).unwrap()), root(size));
            let fails = |leaf, index, size, proof: &[NodeHash]| {
                assert_eq!(verify_inclusion(leaf, index, size, proof, &root), Err(ProofFails));
            };
            fails(leaf(index + 1), index, size, &proof);
            fails(leaf(index), size, size, &proof);
            fails(leaf(index), index, 0, &proof);
            for other in (0..size).filter(|other| *other != index) {
                fails(leaf(index), other, size, &proof);
            }
            for element in 0..proof.len() {
                let mut changed = proof.clone();
                changed[element] = leaf(999).into();
                fails(leaf(index), index, size, &changed);
                changed.remove(element);
                fails(leaf(index), index, size, &changed);
            }
            fails(leaf(index), index, size, &[proof.as_slice(), &[leaf(0).into()]].concat());
        }
    }

    #[test]
    fn a_changed_consistency_proof_fails() {
        for (old, new) in [(1, 2), (4, 8), (3, 7), (6, 8), (64, 130), (100, 130)] {
            let proof = hashes(consistency_runs(old, new).unwrap());
            let (old_root, new_root) = (root(old), root(new));
            let fails = |old, old_root: &RootHash, new, proof: &[NodeHash]| {
                assert_eq!(verify_consistency(old, old_root, new, &new_root, proof), Err(ProofFails));
            };
            fails(old, &root(old + 1), new, &proof);
            fails(new, &old_root, old, &proof);
            fails(old, &old_root, old, &proof);
            fails(0, &old_root, new, &proof);
            for element in 0..proof.len() {
                let mut changed = proof.clone();
                changed[element] = leaf(999).into();
                fails(old, &old_root, new, &changed);
                changed.remove(element);
                fails(old, &old_root, new, &changed);
            }
            fails(old, &old_root, new, &[proof.as_slice(), &[leaf(0).into()]].concat());
        }
    }

    #[test]
    fn the_empty_tree_begins_every_tree_without_proof() {
        assert_eq!(verify_consistency(0, &root(0), 5, &root(5), &[]), Ok(()));
        assert_eq!(verify_consistency(0, &root(0), 5, &root(5), &[leaf(0).into()]), Err(ProofFails));
    }
}
