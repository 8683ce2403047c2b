"""What a device may hold when the power fails: pictures of a simulated disk, and their files."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastckpt.tools.crashtest.disk import Disk, File, Folder, NameChange

__all__ = ["Content", "Picture", "Scratch", "all_of", "pictures"]

_Bytes = NDArray[np.uint8]

# A device writes no less.
_SECTOR_BYTES = 512

# How likely it is that a thing that was not synced is there: hardly, even, almost certainly.
_DENSITIES = (0.1, 0.5, 0.9)

_CONTENT_KINDS = ("whole", "zeros", "torn")


class Content(NamedTuple):
    """Which part of a file there is; equal ones of one disk are the same bytes.

    Attributes
    ----------
    number : int
        Of the file.
    kind : str
        "whole": its first `high` writes. "zeros": the size these give it, and of their data none.
        "torn": some sectors of that data, chosen by `seed`, and some size.
    low, high : int
        Writes that are there for certain, and those that may be.
    """

    number: int
    kind: str
    low: int
    high: int
    seed: int = 0

    def of(self, file: File) -> bytes:
        """Give the bytes."""
        data = file.content(self.high)
        if self.kind == "whole":
            return bytes(data)
        certain = file.content(self.low)
        size = max(len(data), len(certain))
        before, after = (np.frombuffer(x.ljust(size, b"\0"), np.uint8) for x in (certain, data))
        if self.kind == "zeros":
            return before[: len(data)].tobytes()
        return self._torn(before, after, (len(certain), len(data)))

    def _torn(self, before: _Bytes, after: _Bytes, sizes: tuple[int, int]) -> bytes:
        choice = random.Random(self.seed)  # noqa: S311 - repeatable, not secret
        num_sectors = -(-len(before) // _SECTOR_BYTES)
        density = choice.choice(_DENSITIES)
        written = np.random.default_rng(self.seed).random(num_sectors) < density
        if choice.random() < 0.3:
            # One after the other, up to some sector.
            written = np.arange(num_sectors) < choice.randint(0, num_sectors)
        mask = np.repeat(written, _SECTOR_BYTES)[: len(before)]
        size = choice.choice([*sizes, choice.randint(*sorted(sizes))])
        return np.where(mask, after, before)[:size].tobytes()


class Picture(NamedTuple):
    """Directories and files that a device holds, by their paths, and what tells how it came."""

    folders: frozenset[str]
    files: frozenset[tuple[str, Content]]
    text: str

    @property
    def key(self) -> tuple[frozenset[str], frozenset[tuple[str, Content]]]:
        """What makes two pictures equal."""
        return self.folders, self.files


def pictures(
    disk: Disk, choice: random.Random, *, is_ripe: bool, samples: int
) -> Iterator[Picture]:
    """Choose among what a device may hold: all or nothing of each kind, and random parts.

    A `ripe` disk, with as much unsynced as there will be before a sync, also gives the pictures in
    which one change of names alone is there, or one is missing.
    """
    every = _pending(disk)
    for changes in ([], every):
        for kind in ("none", "zeros", "whole"):
            yield _picture(disk, changes, kind, choice)
    for i in range(len(every) if is_ripe else 0):
        others = every[:i] + every[i + 1 :]
        yield _picture(disk, [every[i]], "none", choice)
        yield _picture(disk, others, "none", choice)
        yield _picture(disk, others, "whole", choice)
    for _ in range(samples):
        density = choice.choice(_DENSITIES)
        some = [change for change in every if choice.random() < density]
        choice.shuffle(some)
        yield _picture(disk, some, "any", choice)


def all_of(disk: Disk) -> Picture:
    """Give what programs see while the power is on."""
    return _picture(disk, _pending(disk), "whole", random.Random())  # noqa: S311 - not used


def _pending(disk: Disk) -> list[tuple[Folder, NameChange]]:
    return [(folder, change) for folder in disk.folders() for change in folder.pending]


def _picture(
    disk: Disk, changes: Sequence[tuple[Folder, NameChange]], kind: str, choice: random.Random
) -> Picture:
    folders: set[str] = set()
    files: dict[str, Content] = {}
    contents: dict[int, Content] = {}

    def walk(folder: Folder, path: str) -> None:
        applied = [change for place, change in changes if place is folder]
        for name, what in folder.entries(applied).items():
            below = os.path.join(path, name)
            if isinstance(what, Folder):
                folders.add(below)
                walk(what, below)
                continue
            if what.number not in contents:
                contents[what.number] = _content(what, kind, choice)
            files[below] = contents[what.number]

    walk(disk.root, "")
    names = ", ".join(str(change) for _, change in changes) or "none"
    return Picture(frozenset(folders), frozenset(files.items()), f"names: {names}; data: {kind}")


def _content(file: File, kind: str, choice: random.Random) -> Content:
    low, high = file.settled, len(file.writes)
    if kind == "any":
        high = choice.randint(low, high)
        kind = choice.choice(_CONTENT_KINDS)
    if low == high or kind == "none":
        return Content(file.number, "whole", low, low)
    if kind == "whole":
        return Content(file.number, "whole", high, high)
    return Content(file.number, kind, low, high, choice.getrandbits(32) if kind == "torn" else 0)


class Scratch:
    """A folder in which pictures become files."""

    def __init__(self, folder: Path) -> None:
        self.stage = folder / "stage"
        self._pool = folder / "pool"
        self._pool.mkdir()

    def show(self, picture: Picture, disk: Disk) -> None:
        """Let `stage` hold what a picture of this disk tells, and nothing else."""
        shutil.rmtree(self.stage, ignore_errors=True)
        self.stage.mkdir()
        for path in sorted(picture.folders):
            (self.stage / path).mkdir()
        for path, content in picture.files:
            self._place(content, disk.file(content.number), self.stage / path)

    def _place(self, content: Content, file: File, path: Path) -> None:
        if content.kind == "torn":
            # Seldom the same twice.
            path.write_bytes(content.of(file))
            return
        pooled = self._pool / "-".join(map(str, content))
        if not pooled.exists():
            pooled.write_bytes(content.of(file))
        os.link(pooled, path)
