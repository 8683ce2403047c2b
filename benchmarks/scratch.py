"""Where contenders write, what they write, and the page cache of files."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import native
from data import owned_tensors, settle
from measure import Contender, Inputs, Unavailable

# The question's dataset of the kind "empty" has this name in `needs`.
SCRATCH = "scratch"

Tensors = dict[str, Any]


@cache
def tensors(kind: str, size: int) -> Tensors:
    """Return the arrays that all contenders of one process save."""
    return owned_tensors(kind, size)


@dataclasses.dataclass(frozen=True)
class Scratch:
    """A folder that is empty before every sample, so that every file is new."""

    folder: Path
    nbytes: int

    @classmethod
    def of(cls, inputs: Inputs, nbytes: int) -> Scratch:
        """Return the folder of a question whose contenders write about `nbytes`."""
        return cls(Path(inputs[SCRATCH]).parent, nbytes)

    def path(self, name: str) -> str:
        """Return a path in the folder."""
        return str(self.folder / name)

    def prepare(self) -> None:
        """Empty the folder, and have the memory ready that new pages of the cache need."""
        for found in self.folder.iterdir():
            if found.is_dir():
                shutil.rmtree(found)
            else:
                found.unlink()
        settle(self.folder)
        native.claim_memory(self.nbytes)

    def make_durable(self) -> None:
        """Wait until all files and their names are on the device."""
        for found in self.folder.iterdir():
            settle(found)
        settle(self.folder)


def writer(
    name: str, scratch: Scratch, save: Callable[[], Any], peer: str, note: str = ""
) -> Contender:
    """Return a contender that writes new files."""
    return Contender(name, lambda _: save(), scratch.prepare, peer, note)


def durable(contender: Contender, scratch: Scratch) -> Contender:
    """Return a contender that syncs what it wrote, as a durable save does by itself."""

    def run(state: Any) -> None:
        contender.run(state)
        scratch.make_durable()

    return dataclasses.replace(contender, name=f"{contender.name} + fsync", run=run)


# --- cold files ----------------------------------------------------------------------------------


def drop_pages(folder: Path) -> None:
    """Drop the pages of a folder's files from the page cache; they are written first."""
    for found in folder.iterdir():
        settle(found)
        descriptor = os.open(found, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def is_cached(path: Path) -> bool:
    """Whether the first page of a file is in the page cache."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.preadv(descriptor, [bytearray(1)], 0, os.RWF_NOWAIT) == 1
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)


def require_cold(folder: Path) -> None:
    """Raise Unavailable where the file system keeps pages that it is asked to drop."""
    drop_pages(folder)
    largest = max(folder.iterdir(), key=lambda found: found.stat().st_size)
    try:
        cached = is_cached(largest)
    except OSError as error:
        raise Unavailable(f"whether a file is cached cannot be told here ({error})") from error
    if cached:
        raise Unavailable("this file system keeps its pages in memory: no cold reads")


def cold(contender: Contender, path: str) -> Contender:
    """Return a contender that finds nothing of the files beside `path` in the page cache."""
    folder = Path(path).parent
    require_cold(folder)

    def prepare() -> Any:
        state = contender.prepare()
        drop_pages(folder)
        return state

    return dataclasses.replace(contender, prepare=prepare)
