"""Merkle trees of RFC 6962: compact ranges, roots, and proofs of inclusion and consistency. Pure.

Hashes are 32 bytes. Leaves arrive hashed: a leaf is a row hash of the chain.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

EMPTY_ROOT: Final = sha256(b"").digest()


class ProofError(ValueError):
    """The proof does not show what it claims."""


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right)."""
    return sha256(b"\x01" + left + right).digest()


@dataclass(slots=True)
class CompactRange:
    """Hashes of the maximal perfect subtrees that cover the leaves [begin, end), left to right.

    From 0, this is the frontier: all that is needed to go on appending and to know the root.
    """

    begin: int = 0
    end: int = 0
    hashes: list[bytes] = field(default_factory=list)

    @classmethod
    def of(cls, begin: int, leaves: Iterable[bytes]) -> CompactRange:
        """The range of these consecutive leaves, the first of which has index `begin`."""
        made = cls(begin, begin, [])
        for leaf in leaves:
            made.append(leaf)
        return made

    @classmethod
    def restore(cls, begin: int, end: int, hashes: Sequence[bytes]) -> CompactRange:
        """A range from its stored hashes. Raises ProofError when their number or size is wrong for [begin, end)."""
        if not 0 <= begin <= end or len(hashes) != len(subtree_sizes(begin, end)):
            raise ProofError("wrong number of subtree hashes for the range")
        if any(len(item) != 32 for item in hashes):
            raise ProofError("a subtree hash is not 32 bytes")
        return cls(begin, end, list(hashes))

    def append(self, leaf: bytes) -> None:
        """Adds the leaf of index `end`."""
        self._push(leaf, 1)

    def extend(self, other: CompactRange) -> None:
        """Adds the range that starts where this one ends. Raises ProofError when it does not."""
        if other.begin != self.end:
            raise ProofError("the ranges do not meet")
        for size, item in zip(subtree_sizes(other.begin, other.end), other.hashes, strict=True):
            self._push(item, size)

    def _push(self, item: bytes, size: int) -> None:
        """Adds a perfect subtree and merges it with its left siblings as far as they lie in the range."""
        start = self.end
        self.end += size
        while self.hashes and start % (2 * size) == size and start - size >= self.begin:
            item = node_hash(self.hashes.pop(), item)
            start -= size
            size *= 2
        self.hashes.append(item)

    def root(self) -> bytes:
        """The root of the tree of `end` leaves. Raises ProofError for a range that does not start at 0."""
        if self.begin != 0:
            raise ProofError("only a range from 0 has a root")
        if not self.hashes:
            return EMPTY_ROOT
        found = self.hashes[-1]
        for item in reversed(self.hashes[:-1]):
            found = node_hash(item, found)
        return found


def subtree_sizes(begin: int, end: int) -> list[int]:
    """Sizes of the maximal perfect, aligned subtrees that cover [begin, end), left to right."""
    sizes = []
    while begin < end:
        size = begin & -begin if begin else 1 << (end.bit_length() - 1)
        while begin + size > end:
            size //= 2
        sizes.append(size)
        begin += size
    return sizes


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root of the tree of these leaves."""
    return CompactRange.of(0, leaves).root()


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The audit path of leaf `index`, from the leaf up (RFC 6962, section 2.1.1)."""
    if not 0 <= index < len(leaves):
        raise ProofError("no such leaf")
    if len(leaves) == 1:
        return []
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    if index < split:
        return [*inclusion_proof(leaves[:split], index), root_of(leaves[split:])]
    return [*inclusion_proof(leaves[split:], index - split), root_of(leaves[:split])]


def consistency_proof(leaves: Sequence[bytes], older_size: int) -> list[bytes]:
    """Shows that the tree of `older_size` leaves is a prefix of this one (RFC 6962, section 2.1.2)."""
    if not 0 <= older_size <= len(leaves):
        raise ProofError("the older tree is larger")
    if older_size in (0, len(leaves)):
        return []
    return _subproof(leaves, older_size, whole=True)


def _subproof(leaves: Sequence[bytes], older: int, *, whole: bool) -> list[bytes]:
    if older == len(leaves):
        return [] if whole else [root_of(leaves)]
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    if older <= split:
        return [*_subproof(leaves[:split], older, whole=whole), root_of(leaves[split:])]
    return [*_subproof(leaves[split:], older - split, whole=False), root_of(leaves[:split])]


def verify_inclusion(*, index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Returns when `proof` shows `leaf` at `index` in the tree (size, root); raises ProofError otherwise.

    Source: RFC 9162, section 2.1.3.2. It does not prove the size: only a signature does.
    """
    if not 0 <= index < size:
        raise ProofError("the index lies outside the tree")
    _check_sizes(leaf, root, *proof)
    position, last, found = index, size - 1, leaf
    for item in proof:
        if last == 0:
            raise ProofError("the proof is too long")
        if position & 1 or position == last:
            found = node_hash(item, found)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            found = node_hash(found, item)
        position >>= 1
        last >>= 1
    if last != 0:
        raise ProofError("the proof is too short")
    if found != root:
        raise ProofError("the proof leads to another root")


def verify_consistency(*, size1: int, size2: int, root1: bytes, root2: bytes, proof: Sequence[bytes]) -> None:
    """Returns when `proof` shows that tree 2 only appends to tree 1; raises ProofError otherwise.

    Source: RFC 9162, section 2.1.4.2; an empty older tree needs an empty proof and shows nothing.
    """
    if not 0 <= size1 <= size2:
        raise ProofError("the older tree is larger")
    _check_sizes(root1, root2, *proof)
    if size1 == size2 or size1 == 0:
        if proof:
            raise ProofError("the proof must be empty")
        if size1 == size2 and root1 != root2:
            raise ProofError("equal sizes, different roots")
        return
    if not proof:
        raise ProofError("the proof is too short")
    path = [root1, *proof] if size1 & (size1 - 1) == 0 else list(proof)
    position, last = size1 - 1, size2 - 1
    while position & 1:
        position >>= 1
        last >>= 1
    older = newer = path[0]
    for item in path[1:]:
        if last == 0:
            raise ProofError("the proof is too long")
        if position & 1 or position == last:
            older, newer = node_hash(item, older), node_hash(item, newer)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            newer = node_hash(newer, item)
        position >>= 1
        last >>= 1
    if last != 0:
        raise ProofError("the proof is too short")
    if older != root1 or newer != root2:
        raise ProofError("the proof leads to other roots")


def _check_sizes(*hashes: bytes) -> None:
    if any(len(item) != 32 for item in hashes):
        raise ProofError("a hash is not 32 bytes")
