#!/usr/bin/env python3
"""Verifies what `tallyd audit export` wrote, with nothing but Python: for auditors who do not run tallyd.

    tallyd-verify.py KEY DIR                        the whole export in DIR
    tallyd-verify.py KEY DIR --since CHECKPOINT     also: that it still holds what an older checkpoint vouched for
    tallyd-verify.py KEY --proof FILE               one entry's proof, as `tallyd audit prove` printed it

KEY is the journal's public key (C2SP verifier key) as `tallyd init` printed it. Take it from somebody whom you
trust, not from the export. Exit code 0: verified; 4: not; 5: it cannot be said.

Formats: RFC 8032 (Ed25519), RFC 6962 (tree), RFC 8785 (canonical JSON), C2SP signed-note, tlog-checkpoint,
tlog-tiles and tlog-proof.
"""

import argparse
import base64
import binascii
import hashlib
import json
import os
import sys


class Wrong(Exception):
    """The journal is not what was signed."""


class CannotSay(Exception):
    """Nothing that the key vouches for was shown."""


# Ed25519 (RFC 8032, section 5.1 and appendix A).
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)


def add(a, b):
    """Adds two points in extended coordinates."""
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = f - e, h - g, h + g, f + e
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def multiply(number, point):
    """The point so many times."""
    sum_ = (0, 1, 1, 0)
    while number > 0:
        if number & 1:
            sum_ = add(sum_, point)
        point = add(point, point)
        number >>= 1
    return sum_


def point_of(text):
    """The point that 32 bytes stand for, or none."""
    y = int.from_bytes(text, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


BASE = point_of((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def signed_by(public, message, signature):
    """Whether the signature over the message is the key's."""
    if len(signature) != 64:
        return False
    key, half = point_of(public), point_of(signature[:32])
    number = int.from_bytes(signature[32:], "little")
    if key is None or half is None or number >= L:
        return False
    digest = hashlib.sha512(signature[:32] + public + message).digest()
    challenge = int.from_bytes(digest, "little") % L
    a, b = multiply(number, BASE), add(half, multiply(challenge, key))
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


# Signed notes and checkpoints.
def bytes_of(text, why):
    """Strict base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise CannotSay(why) from None


class Key:
    """A verifier key: NAME+HASH+BASE64."""

    def __init__(self, text):
        try:
            self.name, hash_, encoded = text.strip().split("+", 2)
        except ValueError:
            raise CannotSay("the key is not of the form <origin>+<hash>+<base64>") from None
        typed = bytes_of(encoded, "the key is not base64")
        self.hash = hashlib.sha256(self.name.encode() + b"\n" + typed).digest()[:4]
        if len(typed) != 33 or typed[0] != 1 or self.hash.hex() != hash_:
            raise CannotSay("the key is not an Ed25519 key, or its hash does not fit it")
        self.public = typed[1:]


def checkpoint(note, key):
    """Size and root of a checkpoint that the key signed."""
    text, _, signatures = note.rpartition("\n\n")
    lines, good = text.split("\n"), False
    if len(lines) < 3 or lines[0] != key.name:
        raise CannotSay("the checkpoint is none, or another log's")
    for line in signatures.rstrip("\n").split("\n"):
        dash, name, encoded = (line.split(" ") + ["", ""])[:3]
        signature = bytes_of(encoded, "a line of the checkpoint is no signature")
        if dash == "\u2014" and name == key.name and signature[:4] == key.hash:
            if not signed_by(key.public, text.encode() + b"\n", signature[4:]):
                raise CannotSay("the checkpoint's signature does not fit its text")
            good = True
    if not good:
        raise CannotSay("the checkpoint is not signed by this key")
    root = bytes_of(lines[2], "the checkpoint's root is not base64")
    if not lines[1].isascii() or str(int(lines[1])) != lines[1] or len(root) != 32:
        raise CannotSay("the checkpoint has no size and root")
    return int(lines[1]), root


# The tree.
def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


class Tree:
    """Its right edge, and the tiles that it fills."""

    def __init__(self):
        self.size, self.peaks, self.levels = 0, [], []

    def push(self, leaf):
        node, rest, depth = leaf, self.size, 0
        self.tile(0, leaf)
        while rest & 1:
            node = node_hash(self.peaks.pop(), node)
            rest, depth = rest >> 1, depth + 1
            if depth % 8 == 0:
                self.tile(depth // 8, node)
        self.peaks.append(node)
        self.size += 1

    def tile(self, level, node):
        if level == len(self.levels):
            self.levels.append(bytearray())
        self.levels[level] += node

    def root(self):
        root = None
        for peak in reversed(self.peaks):
            root = peak if root is None else node_hash(peak, root)
        return root if root else hashlib.sha256(b"").digest()


def tile_path(kind, number, width):
    """Where C2SP tlog-tiles puts a tile."""
    groups = ["%03d" % (number % 1000)]
    while number >= 1000:
        number //= 1000
        groups.insert(0, "x%03d" % (number % 1000))
    return "tile/%s/%s%s" % (kind, "/".join(groups), ".p/%d" % width if width < 256 else "")


def pairs(members):
    """No name stands twice in an object."""
    if len({name for name, _ in members}) != len(members):
        raise ValueError("a name stands twice")
    return dict(members)


def check_entry(line, seq, latest):
    """One line of entries.jsonl: canonical, in its place, not before the one before it. Gives its time."""
    try:
        entry = json.loads(line, object_pairs_hook=pairs)
        again = json.dumps(entry, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
        place, time = entry["seq"], entry["time"]
    except (ValueError, KeyError, TypeError):
        raise Wrong("entry %d is not an entry" % seq) from None
    if again != line:
        raise Wrong("entry %d is not in canonical form" % seq)
    if place != seq or time < latest:
        raise Wrong("entry %d does not follow the one before it" % seq)
    return time


def read(directory, name):
    with open(os.path.join(directory, name), "rb") as file:
        return file.read()


def check_export(directory, key, since):
    """Everything in an export against its checkpoint."""
    size, root = checkpoint(read(directory, "checkpoint").decode(), key)
    older = dict([checkpoint(read(".", since).decode(), key)]) if since else {}
    for name in os.listdir(os.path.join(directory, "checkpoints")):
        number, then = checkpoint(read(directory, os.path.join("checkpoints", name)).decode(), key)
        if older.setdefault(number, then) != then:
            raise Wrong("two checkpoints for %d entries disagree: the journal was forked" % number)
    if max(older, default=0) > size:
        raise Wrong("there are %d entries, but %d were signed: the end is missing" % (size, max(older)))
    tree, bundle, latest, vouched = Tree(), bytearray(), "", 0
    with open(os.path.join(directory, "entries.jsonl"), "rb") as lines:
        for line in lines:
            if not line.endswith(b"\n") or tree.size == size:
                raise Wrong("there is something behind entry %d" % (size - 1))
            latest = check_entry(line[:-1], tree.size, latest)
            tree.push(hashlib.sha256(b"\0" + line[:-1]).digest())
            bundle += (len(line) - 1).to_bytes(2, "big") + line[:-1]
            if tree.size in older:
                if older[tree.size] != tree.root():
                    raise Wrong("an entry from %d to %d is not the one that was signed" % (vouched, tree.size - 1))
                vouched = tree.size
            if tree.size % 256 == 0:
                check_tile(directory, tile_path("entries", tree.size // 256 - 1, 256), bundle)
                bundle = bytearray()
    if tree.size < size:
        raise Wrong("there are %d entries, but %d were signed: the end is missing" % (tree.size, size))
    if tree.root() != root:
        raise Wrong("an entry from %d to %d is not the one that was signed" % (vouched, size - 1))
    if bundle:
        check_tile(directory, tile_path("entries", size // 256, size % 256), bundle)
    for level, hashes in enumerate(tree.levels):
        for start in range(0, len(hashes), 8192):
            tile = hashes[start : start + 8192]
            check_tile(directory, tile_path(str(level), start // 8192, len(tile) // 32), tile)
    return "verified: %d entries of %s, root %s" % (size, key.name, base64.b64encode(root).decode())


def check_tile(directory, path, expected):
    if not os.path.exists(os.path.join(directory, path)) or read(directory, path) != bytes(expected):
        raise Wrong("%s does not hold what the entries add up to" % path)


def check_proof(name, key):
    """A C2SP tlog-proof with the entry as its extra data."""
    head, _, note = read(".", name).decode().partition("\n\n")
    lines = head.split("\n")
    if lines[0] != "c2sp.org/tlog-proof@v1" or not lines[1].startswith("extra ") or not lines[2].startswith("index "):
        raise CannotSay("the file is no proof")
    size, root = checkpoint(note, key)
    entry, index = bytes_of(lines[1][6:], "the entry is not base64"), int(lines[2][6:])
    check_entry(entry, index, "")
    node, here, last = hashlib.sha256(b"\0" + entry).digest(), index, size - 1
    for line in lines[3:]:
        sibling = bytes_of(line, "a hash is not base64")
        if last == 0:
            raise Wrong("the proof does not hold")
        if here & 1 or here == last:
            node = node_hash(sibling, node)
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        here, last = here >> 1, last >> 1
    if index >= size or last or node != root:
        raise Wrong("the proof does not hold")
    return "verified: entry %d of %s is %s" % (index, key.name, entry.decode())


def main():
    parser = argparse.ArgumentParser(description="Verifies what tallyd audit export and tallyd audit prove wrote.")
    parser.add_argument("key", metavar="KEY")
    parser.add_argument("directory", metavar="DIR", nargs="?")
    parser.add_argument("--since", metavar="CHECKPOINT")
    parser.add_argument("--proof", metavar="FILE")
    args = parser.parse_args()
    if (args.directory is None) == (args.proof is None):
        parser.error("name either a directory or a proof")
    try:
        key = Key(args.key)
        print(check_proof(args.proof, key) if args.proof else check_export(args.directory, key, args.since))
        return 0
    except Wrong as wrong:
        print("not verified: %s" % wrong, file=sys.stderr)
        return 4
    except (CannotSay, OSError, ValueError) as reason:
        print("cannot verify: %s" % reason, file=sys.stderr)
        return 5


if __name__ == "__main__":
    sys.exit(main())
