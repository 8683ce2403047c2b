"""Turns little-endian checkpoints into what a big-endian machine would have written.

Works on finished files and shares no code with the oracle's own way of writing in the other byte
order: elements are turned by `bytes`, checksums are google-crc32c's. Only the tables around the
entries, which have no byte order, go through the oracle.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import Path

import google_crc32c

from oracle.coding import decode_fields, decode_varint, fixed32_field, varint_field
from oracle.entry import Entry, Header
from oracle.table import build_table, read_table

STRING, VARIANT = 7, 21

# Bytes that turn together, by DataType number; complex numbers are two halves. Others are single.
WIDTHS: dict[int, int] = {
    1: 4, 2: 8, 3: 4, 5: 2, 8: 4, 9: 8, 13: 4, 14: 2, 15: 2, 16: 2, 17: 2, 18: 8, 19: 2, 22: 4,
    23: 8,
}  # fmt: skip


def make_twin(prefix: Path, twin: Path) -> Path:
    """Write the big-endian twin of the checkpoint at `prefix` and return its prefix."""
    records = read_table(Path(f"{prefix}.index").read_bytes())
    header = Header.decode(records[0][1])
    assert header.endianness == 0
    shards = [
        bytearray(_shard(prefix, number, header.num_shards).read_bytes())
        for number in range(header.num_shards)
    ]
    swapped = [(b"", _big_endian_header(records[0][1]))]
    swapped += [(key, _swap_entry(value, shards)) for key, value in records[1:]]
    twin.parent.mkdir(parents=True, exist_ok=True)
    Path(f"{twin}.index").write_bytes(build_table(swapped))
    for number, data in enumerate(shards):
        _shard(twin, number, header.num_shards).write_bytes(data)
    return twin


def _shard(prefix: Path, number: int, num_shards: int) -> Path:
    return Path(f"{prefix}.data-{number:05d}-of-{num_shards:05d}")


def _big_endian_header(message: bytes) -> bytes:
    """The header with endianness = BIG in its place."""
    fields = [(number, raw) for number, _, _, raw in decode_fields(message) if number != 2]
    fields.append((2, varint_field(2, 1)))
    return b"".join(raw for _, raw in sorted(fields))


def _swap_entry(message: bytes, shards: list[bytearray]) -> bytes:
    """Turn the bytes of an entry in its shard, and give the entry with their checksum."""
    entry = Entry.decode(message)
    if entry.slices:
        return message
    shard = shards[entry.shard_id]
    where = slice(entry.offset, entry.offset + entry.size)
    if entry.dtype == STRING:
        shard[where], crc = _swap_strings(bytes(shard[where]), prod(entry.shape or ()))
    else:
        assert entry.dtype != VARIANT, "nothing says how a big-endian machine writes variants"
        shard[where] = b"".join(_turned(bytes(shard[where]), WIDTHS.get(entry.dtype, 1)))
        crc = google_crc32c.value(bytes(shard[where]))
    return b"".join(
        fixed32_field(6, _mask(crc)) if number == 6 else raw
        for number, _, _, raw in decode_fields(message)
    )


def _turned(data: bytes, width: int) -> Iterator[bytes]:
    assert len(data) % width == 0
    for at in range(0, len(data), width):
        yield data[at : at + width][::-1]


def _swap_strings(stored: bytes, count: int) -> tuple[bytes, int]:
    """Lengths and texts stay; the checksum between them is of, and is itself, the other order."""
    at, lengths = 0, b""
    for _ in range(count):
        length, at = decode_varint(stored, at)
        lengths += length.to_bytes(4, "big")
    crc = google_crc32c.value(lengths)
    checksum = _mask(crc).to_bytes(4, "big")
    text = stored[at + 4 :]
    return stored[:at] + checksum + text, google_crc32c.extend(crc, checksum + text)


def _mask(crc: int) -> int:
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
