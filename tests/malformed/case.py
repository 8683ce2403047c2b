"""One malformed checkpoint: how it is made, and what a reader has to say to it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from corruption import forge
from corruption.forge import Record, entry, header
from oracle import encode_block
from oracle.coding import varint_field

ErrorClass: TypeAlias = type[Exception]
# What reading a tensor gives: its elements as nested lists, or an error.
Expected: TypeAlias = "list[Any] | float | bytes | ErrorClass"

GOOD = struct.pack("<2f", 1.5, -2.0)
VALUES = [1.5, -2.0]
# The tensors on both sides of a bad one, which nothing may happen to.
NEIGHBOURS: dict[str, Expected] = {"a": VALUES, "z": VALUES}


@dataclass(frozen=True)
class Case:
    """A malformed checkpoint.

    Attributes
    ----------
    id : str
        ``kind/name``; unique.
    description : str
        What is wrong with it.
    reason : str
        The rule that decides: a section of the format's description, or a promise.
    build : callable
        Writes the files into an empty folder and returns the path to open.
    opens : exception class, optional
        What opening raises; None where it opens.
    tensors : mapping
        All tensors that are listed, with their elements or what reading them raises.
    sound : bool
        What ``verify()`` finds.
    """

    id: str
    description: str
    reason: str
    build: Callable[[Path], Path]
    opens: ErrorClass | None = None
    tensors: Mapping[str, Expected] = field(default_factory=dict)
    sound: bool = False

    @property
    def kind(self) -> str:
        """The first part of the id."""
        return self.id.split("/")[0]


def has_error(expected: Expected) -> bool:
    """Whether reading has to raise."""
    return isinstance(expected, type)


def files(index: Callable[[], bytes] | bytes, *shards: bytes) -> Callable[[Path], Path]:
    """A builder that writes an index and shards; the index may be made when it is wanted."""

    def build(folder: Path) -> Path:
        return forge.write(folder, index if isinstance(index, bytes) else index(), *shards)

    return build


def one_block(records: Sequence[Record]) -> bytes:
    """A table whose records, in the given order, are one block."""
    return forge.table([encode_block(records)])


def between(*bad: Record) -> bytes:
    """An index with bad records between two good ones, "a" and "z"."""
    return one_block([header(), entry("a", GOOD), *bad, entry("z", GOOD)])


def blocks_of(*groups: Sequence[Record]) -> list[bytes]:
    """Finished blocks, one for each group of records."""
    return [encode_block(group) for group in groups]


def fields(*parts: tuple[int, int | bytes]) -> bytes:
    """A message of (number, value) pairs."""
    return forge.message(*parts)


def wide_varint(number: int, value: int) -> bytes:
    """A number field whose value takes ten bytes although fewer would do."""
    tag = varint_field(number, 0)[:-1]
    groups = [value >> 7 * i & 0x7F | 0x80 for i in range(9)]
    return tag + bytes(groups) + bytes([value >> 63 & 1])


__all__ = [
    "GOOD",
    "NEIGHBOURS",
    "VALUES",
    "Case",
    "ErrorClass",
    "Expected",
    "between",
    "blocks_of",
    "fields",
    "files",
    "has_error",
    "one_block",
    "wide_varint",
]
