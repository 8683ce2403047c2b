"""Whole checkpoints (V2 tensor bundles), written as TensorFlow writes them and read back.

bundle = build_bundle({"w": array, "s": [b"a", b"b"]}, num_shards=2)
bundle.entries[b"w"].size += 1          # entries may be changed, or replaced by raw bytes
bundle.write(prefix, block_size=1024)
values = read_bundle(prefix)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np

from oracle.coding import ByteOrder, Extent, OracleError, slice_key
from oracle.entry import Entry, Header
from oracle.table import BLOCK_SIZE, RESTART_INTERVAL, Pair, build_table, read_table
from oracle.tensor import Array, Slices, Stored, Value, decode, encode, numpy_dtype

Prefix: TypeAlias = "str | os.PathLike[str]"
Tensors: TypeAlias = (
    "Mapping[str, Value | Slices] | Mapping[bytes, Value | Slices]"
    " | Iterable[tuple[str | bytes, Value | Slices]]"
)
# Gives the shard of the n-th stored value, whose key is the second argument.
ShardOf: TypeAlias = Callable[[int, bytes], int]


def index_path(prefix: Prefix) -> Path:
    """Return the name of the index."""
    return Path(os.fspath(prefix) + ".index")


def shard_path(prefix: Prefix, shard_id: int, num_shards: int) -> Path:
    """Return the name of a shard."""
    return Path(f"{os.fspath(prefix)}.data-{shard_id:05d}-of-{num_shards:05d}")


def write_files(prefix: Prefix, index: bytes, shards: Sequence[bytes | bytearray]) -> None:
    """Write the files of a checkpoint, whatever they hold."""
    for shard_id, data in enumerate(shards):
        shard_path(prefix, shard_id, len(shards)).write_bytes(data)
    index_path(prefix).write_bytes(index)


def text(key: bytes) -> str:
    """Return a key as the name under which ``read_bundle`` lists it."""
    return key.decode("utf-8", "surrogateescape")


# --- writing -------------------------------------------------------------------------------------


@dataclass
class Bundle:
    """A checkpoint in memory. Everything may be changed before ``write``."""

    header: Header | bytes
    entries: dict[bytes, Entry | bytes] = field(default_factory=dict)
    shards: list[bytearray] = field(default_factory=list)

    def entry(self, key: str | bytes) -> Entry:
        """Return an entry that has not been replaced by raw bytes."""
        entry = self.entries[key.encode() if isinstance(key, str) else key]
        assert isinstance(entry, Entry)
        return entry

    def pairs(self) -> list[Pair]:
        """Return the pairs of the index: the header, then the entries in the order of keys."""
        return [(b"", _encoded(self.header))] + [
            (key, _encoded(self.entries[key])) for key in sorted(self.entries)
        ]

    def index(
        self,
        *,
        block_size: int = BLOCK_SIZE,
        restart_interval: int = RESTART_INTERVAL,
        compression: str = "none",
    ) -> bytes:
        """Return the bytes of the index; compression is "none", "literal" or "snappy"."""
        return build_table(
            self.pairs(),
            block_size=block_size,
            restart_interval=restart_interval,
            compression=compression,
        )

    def write(
        self,
        prefix: Prefix,
        *,
        block_size: int = BLOCK_SIZE,
        restart_interval: int = RESTART_INTERVAL,
        compression: str = "none",
    ) -> None:
        """Write all files."""
        index = self.index(
            block_size=block_size, restart_interval=restart_interval, compression=compression
        )
        write_files(prefix, index, self.shards)


def _encoded(message: Header | Entry | bytes) -> bytes:
    return message if isinstance(message, bytes) else message.encode()


def build_bundle(
    tensors: Tensors,
    *,
    num_shards: int = 1,
    shard_of: ShardOf | None = None,
    alignment: int = 1,
    byte_order: ByteOrder = "little",
) -> Bundle:
    """Lay out ``tensors`` in the given order. Shards take turns unless ``shard_of`` says more."""
    bundle = Bundle(
        Header(num_shards, int(byte_order == "big")), {}, [bytearray() for _ in range(num_shards)]
    )
    layout = _Layout(bundle, shard_of or (lambda n, key: n % num_shards), alignment, byte_order)
    items = tensors.items() if isinstance(tensors, Mapping) else tensors
    for name, value in items:
        key = name.encode() if isinstance(name, str) else name
        if isinstance(value, Slices):
            layout.add_slices(key, value)
        else:
            layout.add(key, value)
    return bundle


def write_bundle(
    prefix: Prefix,
    tensors: Tensors,
    *,
    num_shards: int = 1,
    shard_of: ShardOf | None = None,
    alignment: int = 1,
    byte_order: ByteOrder = "little",
    block_size: int = BLOCK_SIZE,
    restart_interval: int = RESTART_INTERVAL,
    compression: str = "none",
) -> Bundle:
    """Build a bundle and write its files."""
    bundle = build_bundle(
        tensors,
        num_shards=num_shards,
        shard_of=shard_of,
        alignment=alignment,
        byte_order=byte_order,
    )
    bundle.write(
        prefix,
        block_size=block_size,
        restart_interval=restart_interval,
        compression=compression,
    )
    return bundle


@dataclass
class _Layout:
    bundle: Bundle
    shard_of: ShardOf
    alignment: int
    byte_order: ByteOrder
    count: int = 0

    def add(self, key: bytes, value: Value) -> None:
        if key in self.bundle.entries:
            raise OracleError(f"duplicate key {key!r}")
        stored = encode(value, self.byte_order)
        shard_id = self.shard_of(self.count, key)
        self.count += 1
        shard = self.bundle.shards[shard_id]
        self.bundle.entries[key] = Entry(
            dtype=stored.dtype,
            shape=stored.shape,
            shard_id=shard_id,
            offset=len(shard),
            size=len(stored.data),
            masked_crc=stored.masked_crc,
        )
        shard += stored.data
        shard += bytes(-len(shard) % self.alignment)

    def add_slices(self, key: bytes, value: Slices) -> None:
        for extents, part in value.parts:
            if covers_all(extents, value.shape):
                self.add(key, part)
                continue
            part_key = slice_key(key, extents)
            self.add(part_key, part)
            dtype = self.bundle.entry(part_key).dtype
            full = self.bundle.entries.setdefault(key, Entry(dtype, tuple(value.shape)))
            assert isinstance(full, Entry)
            full.slices = (*full.slices, tuple(extents))


def covers_all(extents: Sequence[Extent], shape: Sequence[int]) -> bool:
    """Whether a slice is the whole tensor, which is then stored without slices."""
    return all(extent in (None, (0, size)) for extent, size in zip(extents, shape, strict=True))


# --- reading -------------------------------------------------------------------------------------


def read_entries(prefix: Prefix) -> tuple[Header, dict[bytes, Entry]]:
    """Return the header and the entries, slices' own ones included."""
    pairs = read_table(index_path(prefix).read_bytes())
    if not pairs or pairs[0][0] != b"":
        raise OracleError("the index does not begin with a header")
    return Header.decode(pairs[0][1]), {key: Entry.decode(value) for key, value in pairs[1:]}


def read_bundle(prefix: Prefix) -> dict[str, Array]:
    """Return all tensors by name, checked; items of strings and variants are bytes."""
    header, entries = read_entries(prefix)
    hidden = {slice_key(key, s) for key, entry in entries.items() for s in entry.slices}
    reader = _Reader(prefix, header, entries)
    return {text(key): reader.read(key) for key in entries if key not in hidden}


@dataclass
class _Reader:
    prefix: Prefix
    header: Header
    entries: dict[bytes, Entry]

    def __post_init__(self) -> None:
        self._shards: dict[int, bytes] = {}

    def read(self, key: bytes) -> Array:
        entry = self.entries[key]
        return self._read_slices(key, entry) if entry.slices else self._read_stored(entry)

    def _read_stored(self, entry: Entry) -> Array:
        shard = self._shard(entry.shard_id)
        if entry.offset < 0 or entry.size < 0 or entry.offset + entry.size > len(shard):
            raise OracleError(f"entry runs past the end of shard {entry.shard_id}")
        data = shard[entry.offset : entry.offset + entry.size]
        stored = Stored(entry.dtype, tuple(entry.shape or ()), data, entry.masked_crc or 0)
        return decode(stored, self.header.byte_order)

    def _shard(self, shard_id: int) -> bytes:
        if shard_id not in self._shards:
            if not 0 <= shard_id < self.header.num_shards:
                raise OracleError(f"shard {shard_id} of {self.header.num_shards}")
            path = shard_path(self.prefix, shard_id, self.header.num_shards)
            self._shards[shard_id] = path.read_bytes()
        return self._shards[shard_id]

    def _read_slices(self, key: bytes, entry: Entry) -> Array:
        shape = tuple(entry.shape or ())
        array = np.empty(shape, numpy_dtype(entry.dtype))
        written = np.zeros(shape, int)
        for extents in entry.slices:
            where = tuple(slice(None) if e is None else slice(e[0], e[0] + e[1]) for e in extents)
            array[where] = self.read(slice_key(key, extents))
            written[where] += 1
        if (written != 1).any():
            raise OracleError(f"slices of {key!r} overlap or leave gaps")
        return array
