"""Malformed checkpoints in few words: records, tables and files on top of the oracle's parts.

Every checksum is right unless a test says otherwise; anything else may be wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from oracle import Block, Entry, Header, assemble, encode_block, masked_crc, write_files
from oracle.coding import bytes_field, varint_field
from oracle.table import EMPTY_BLOCK, RAW, SNAPPY, encode_handle, index_pairs, seal

__all__ = ["EMPTY_BLOCK", "RAW", "SNAPPY", "encode_handle", "seal"]

Record = tuple[bytes, bytes]

FLOAT, UINT8, STRING, BOOL, VARIANT, INT4 = 1, 4, 7, 10, 21, 29


def message(*fields: tuple[int, int | bytes]) -> bytes:
    """Encode a protobuf message from (number, value) pairs; zeros are written like the rest."""
    return b"".join(
        bytes_field(number, value) if isinstance(value, bytes) else varint_field(number, value)
        for number, value in fields
    )


def header(
    num_shards: int = 1,
    *,
    big_endian: bool = False,
    producer: int = 1,
    min_consumer: int = 0,
    bad_consumers: Sequence[int] = (),
) -> Record:
    """The record of the empty key."""
    return b"", Header(num_shards, big_endian, producer, min_consumer, bad_consumers).encode()


def entry(
    name: str | bytes,
    data: bytes = b"",
    *,
    dtype: int = FLOAT,
    shape: Sequence[int] = (2,),
    shard: int = 0,
    offset: int = 0,
    size: int | None = None,
    crc: int | None = None,
) -> Record:
    """A tensor's record; size and masked checksum are those of `data` unless given."""
    key = name.encode() if isinstance(name, str) else name
    value = Entry(
        dtype=dtype,
        shape=shape,
        shard_id=shard,
        offset=offset,
        size=len(data) if size is None else size,
        masked_crc=masked_crc(data) if crc is None else crc,
    )
    return key, value.encode()


def table(
    blocks: Sequence[bytes],
    *,
    kinds: Sequence[int] = (),
    handles: Sequence[bytes] | None = None,
    index_kind: int = RAW,
    index_stored: bytes | None = None,
) -> bytes:
    """Build a table from finished blocks.

    `handles` replaces the handles in the index block, `index_stored` the whole stored index block.
    """
    kinds = kinds or [RAW] * len(blocks)
    parts = [
        Block(stored, b"\xff%08d" % i, kind)
        for i, (stored, kind) in enumerate(zip(blocks, kinds, strict=True))
    ]
    if handles is not None:
        index_stored = encode_block(((b"\xff%08d" % i, h) for i, h in enumerate(handles)), 1)
    elif index_stored is None:
        index_stored = encode_block(index_pairs(parts), 1)
    return assemble(parts, index=Block(index_stored, b"", index_kind))


def write(folder: Path, index: bytes, *shards: bytes) -> Path:
    """Write a checkpoint's files and return its prefix."""
    prefix = folder / "forged.ckpt"
    write_files(prefix, index, shards)
    return prefix


def write_records(folder: Path, records: Iterable[Record], *shards: bytes) -> Path:
    """Write a checkpoint whose index is one block of these records."""
    return write(folder, table([encode_block(records)]), *shards)
