"""A disk that can lose power: what was synced is there afterwards, the rest may be.

It plays recorded calls. A file's content is certain as of its last sync; later writes may be kept,
lost, or torn at a sector. Names made or removed are certain once the folder was synced.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import NamedTuple

SECTORS = (512, 4096)

_HEAD = struct.Struct("<cHqq")


class Call(NamedTuple):
    """A call that took effect: a write, truncation, sync or unlink (`w t s u`) of a path."""

    kind: str
    path: Path
    offset: int
    data: bytes


def calls(recording: bytes) -> Iterator[Call]:
    """Read what the shim recorded."""
    at = 0
    while at < len(recording):
        kind, length, offset, size = _HEAD.unpack_from(recording, at)
        at += _HEAD.size
        path = Path(recording[at : at + length].decode())
        yield Call(kind.decode(), path, offset, recording[at + length : at + length + size])
        at += length + size


@dataclass
class File:
    """A file's certain content, and what was done to it since."""

    content: bytearray = field(default_factory=bytearray)
    unsynced: list[Call] = field(default_factory=list)

    def sync(self) -> None:
        """Mark everything as on the disk."""
        for call in self.unsynced:
            _apply(self.content, call)
        self.unsynced = []

    def after_loss(self, random: Random) -> bytes:
        """Return what may be there after a loss of power."""
        content = bytearray(self.content)
        chance = random.choice((0.0, 0.5, 0.9, 1.0))
        for call in self.unsynced:
            for part in _torn(call, random):
                if random.random() < chance:
                    _apply(content, part)
        return bytes(content)


class Disk:
    """The files of one folder; `names` are those that a reader sees, `certain` those synced."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: dict[str, File] = {}
        self._certain: dict[str, File] = {}

    def play(self, call: Call) -> None:
        """Apply a call."""
        if call.path == self._folder:
            self._certain = dict(self._names)
        elif call.kind == "u":
            self._names.pop(call.path.name, None)
        else:
            file = self._names.setdefault(call.path.name, File())
            if call.kind == "s":
                file.sync()
            else:
                file.unsynced.append(call)

    def lose_power(self, folder: Path, random: Random) -> None:
        """Write to a folder what may be left."""
        names = {**self._certain, **self._names}
        for name, file in names.items():
            is_there = {name in self._certain, name in self._names}
            if is_there == {True} or random.random() < 0.5:
                (folder / name).write_bytes(file.after_loss(random))


def _apply(content: bytearray, call: Call) -> None:
    end = call.offset + len(call.data)
    if call.kind == "t":
        del content[call.offset :]
        end = call.offset
    content.extend(bytes(max(0, end - len(content))))
    content[call.offset : call.offset + len(call.data)] = call.data


def _torn(call: Call, random: Random) -> Iterator[Call]:
    """Split a write at the sectors of the disk, if it is one of those."""
    if call.kind == "t" or random.random() < 0.5:
        yield call
        return
    sector = random.choice(SECTORS)
    at = call.offset
    end = at + len(call.data)
    while at < end:
        stop = min(end, (at // sector + 1) * sector)
        yield call._replace(offset=at, data=call.data[at - call.offset : stop - call.offset])
        at = stop
