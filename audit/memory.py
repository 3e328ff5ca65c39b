"""What the notary remembers of each log, in files outside the database: the reason why a roll-back is noticed.

A file is written before the signature that it covers: temporary file, fsync, rename, fsync of the directory.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from audit.envelope import genesis_hash
from audit.merkle import CompactRange, ProofError


class MemoryUnreadable(Exception):
    """The file is there and cannot be trusted; a person must look."""


@dataclass(slots=True)
class LogMemory:
    """A verified prefix of one log: its size, its last link, its last time, its frontier."""

    origin: str
    last_hash: bytes
    recorded_us: int = 0
    frontier: CompactRange = field(default_factory=CompactRange)

    @classmethod
    def fresh(cls, origin: str) -> LogMemory:
        """Of a log from which nothing was read yet."""
        return cls(origin, genesis_hash(origin))

    @property
    def size(self) -> int:
        """How many entries were verified."""
        return self.frontier.end

    def advanced(self, hashes: Sequence[bytes], recorded_us: int) -> LogMemory:
        """The memory after these verified links."""
        frontier = CompactRange(0, self.frontier.end, list(self.frontier.hashes))
        for item in hashes:
            frontier.append(item)
        return LogMemory(self.origin, hashes[-1] if hashes else self.last_hash, recorded_us, frontier)


def path_for(directory: Path, origin: str) -> Path:
    """The file of the log `origin`; named by a hash, since an origin holds slashes."""
    return directory / f"{sha256(origin.encode()).hexdigest()[:32]}.json"


def load(directory: Path, origin: str) -> LogMemory | None:
    """The memory of a log, or None where there is no file. Raises MemoryUnreadable."""
    try:
        text = path_for(directory, origin).read_text(encoding="ascii")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise MemoryUnreadable("the file cannot be read") from error
    try:
        data = json.loads(text)
        if data["origin"] != origin:
            raise MemoryUnreadable("the file is of another log")
        frontier = CompactRange.restore(0, data["size"], [bytes.fromhex(item) for item in data["frontier"]])
        return LogMemory(origin, bytes.fromhex(data["last_hash"]), int(data["recorded_us"]), frontier)
    except (ValueError, KeyError, TypeError, ProofError) as error:
        raise MemoryUnreadable("the file is damaged") from error


def save(directory: Path, memory: LogMemory) -> None:
    """Writes the memory so that it survives a crash the moment this returns."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = path_for(directory, memory.origin)
    data = {
        "origin": memory.origin,
        "size": memory.size,
        "last_hash": memory.last_hash.hex(),
        "recorded_us": memory.recorded_us,
        "frontier": [item.hex() for item in memory.frontier.hashes],
    }
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    with open(draft, "w", encoding="ascii") as file:
        json.dump(data, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
