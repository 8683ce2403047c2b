"""Strings, variants and data shards that contradict the index."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import fastckpt
from corruption import forge
from corruption.forge import STRING, VARIANT, entry, header
from malformed.case import GOOD, NEIGHBOURS, Case, Expected, between, files, has_error
from oracle import mask, masked_crc
from oracle.coding import bytes_field, encode_varint
from oracle.tensor import encode_strings, encode_variants

LOSS = fastckpt.DataLossError
FIRST = struct.pack("<2f", 1, 2)

# --- strings and variants ------------------------------------------------------------------------

ITEMS = [b"ab", b"", b"xyz"]
STRINGS, STRINGS_CRC = encode_strings(ITEMS)
BIG_STRINGS, BIG_STRINGS_CRC = encode_strings(ITEMS, "big")
RECORDS = [bytes_field(1, b"type"), b""]
VARIANTS, VARIANTS_CRC = encode_variants(RECORDS)


def text(data: bytes, count: int = 3, crc: int | None = None, **how: int) -> tuple[bytes, bytes]:
    """An index with a string tensor between two others, and its shard."""
    record = entry(
        "bad", data, dtype=STRING, shape=(count,), offset=8,
        crc=mask(STRINGS_CRC if crc is None else crc), **how,
    )  # fmt: skip
    return between(record), GOOD + data


def lengths(*numbers: int) -> bytes:
    """Lengths and their checksum; nothing follows."""
    packed = b"".join(struct.pack("<I" if n < 2**32 else "<Q", n) for n in numbers)
    return b"".join(map(encode_varint, numbers)) + masked_crc(packed).to_bytes(4, "little")


# id: (index and shard, description, what reading "bad" gives)
STRING_CASES: dict[str, tuple[tuple[bytes, bytes], str, Expected]] = {
    "entry_checksum": (text(STRINGS, crc=1), "checksum of the entry", LOSS),
    "length_checksum": (
        text(STRINGS[:3] + bytes(4) + STRINGS[7:]), "checksum of the lengths is zero", LOSS,
    ),
    "length_checksum_unmasked": (
        text(STRINGS[:3] + STRINGS[3:7][::-1] + STRINGS[7:]),
        "checksum of the lengths backwards", LOSS,
    ),
    "one_more": (text(STRINGS, 4), "count one too large", LOSS),
    "one_less": (text(STRINGS, 2), "count one too small", LOSS),
    "none_of_three": (text(STRINGS, 0), "no strings in 12 bytes", LOSS),
    "length_too_large": (text(lengths(2, 0, 4) + b"abxyz"), "lengths longer than the text", LOSS),
    "length_too_small": (text(lengths(2, 0, 2) + b"abxyz"), "lengths shorter than the text", LOSS),
    "length_2_32": (text(lengths(2**32), 1), "a length of 4 GiB", LOSS),
    "length_2_63": (text(lengths(2**63), 1), "a length of 2^63", LOSS),
    "lengths_wrap_to_zero": (text(lengths(2**63, 2**63), 2), "lengths that add up to 2^64", LOSS),
    "lengths_wrap_to_right": (
        text(lengths(2**64 - 1, 3) + b"ab", 2), "lengths that wrap to the right sum", LOSS,
    ),
    "length_of_ten_bytes": (
        text(b"\x82" + b"\x80" * 8 + b"\0" + STRINGS[1:]), "a length in ten bytes", ITEMS,
    ),
    "length_of_eleven_bytes": (
        text(b"\x82" + b"\x80" * 9 + b"\0" + STRINGS[1:]), "a length in eleven bytes", LOSS,
    ),
    "lengths_never_end": (text(b"\x80" * 64), "lengths that never end", LOSS),
    "no_bytes": (text(b"", 0, 0), "no bytes for an empty string tensor", LOSS),
    "checksum_alone": (text(lengths(), 0, 0), "wrong entry checksum of no strings", LOSS),
    "cut_in_checksum": (text(STRINGS[:5]), "cut off in the checksum of the lengths", LOSS),
    "count_of_billions": (text(STRINGS, 2**33), "8 billion strings in 12 bytes", LOSS),
    "big_endian_checksum": (
        text(BIG_STRINGS, crc=BIG_STRINGS_CRC),
        "strings of the other byte order", LOSS,
    ),
}  # fmt: skip


def opaque(data: bytes, count: int = 2, crc: int | None = None) -> tuple[bytes, bytes]:
    """An index with a variant tensor between two others, and its shard."""
    record = entry(
        "bad", data, dtype=VARIANT, shape=(count,), offset=8,
        crc=mask(VARIANTS_CRC if crc is None else crc),
    )  # fmt: skip
    return between(record), GOOD + data


VARIANT_CASES: dict[str, tuple[tuple[bytes, bytes], str]] = {
    "entry_checksum": (opaque(VARIANTS, crc=7), "checksum of the entry"),
    "record_checksum": (
        opaque(VARIANTS[:8] + b"\0\0\0\0" + VARIANTS[12:]),
        "checksum of a record",
    ),
    "cut": (opaque(VARIANTS[:-1]), "last checksum cut off"),
    "tail": (opaque(VARIANTS + b"\0"), "a byte behind the last record"),
    "one_more": (opaque(VARIANTS, 3), "count one too large"),
    "one_less": (opaque(VARIANTS, 1), "count one too small"),
    "length_2_64": (opaque(encode_varint(2**64 - 1) + VARIANTS[1:]), "length that wraps around"),
    "length_never_ends": (opaque(b"\xff" * 40), "length that never ends"),
    "count_of_billions": (opaque(VARIANTS, 2**40), "2^40 records in 17 bytes"),
}

# --- shards --------------------------------------------------------------------------------------


def on_disk(change: Callable[[Path], None]) -> Callable[[Path], Path]:
    """Tensors "a" and "z" in shard 0 and "bad" in shard 1, whose file is then changed."""

    def build(folder: Path) -> Path:
        records = [header(2), entry("a", GOOD), entry("bad", FIRST, shard=1), entry("z", GOOD)]
        prefix = forge.write_records(folder, records, GOOD, FIRST)
        change(Path(f"{prefix}.data-00001-of-00002"))
        return prefix

    return build


def _replace(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


SHARDS: dict[str, tuple[Callable[[Path], Path], str, Expected]] = {
    "missing": (on_disk(Path.unlink), "a shard is missing", fastckpt.CheckpointNotFoundError),
    "empty": (on_disk(lambda p: p.write_bytes(b"") and None), "a shard is empty", LOSS),
    "short": (on_disk(lambda p: p.write_bytes(FIRST[:7]) and None), "one byte too short", LOSS),
    "directory": (
        on_disk(lambda p: _replace(p, Path.mkdir)),
        "a shard is a directory", fastckpt.CheckpointError,
    ),
    "pipe": (
        on_disk(lambda p: _replace(p, os.mkfifo)), "a shard is a pipe", fastckpt.CheckpointError,
    ),
    "dangling": (
        on_disk(lambda p: _replace(p, lambda q: q.symlink_to("nowhere"))), "a dangling link",
        fastckpt.CheckpointNotFoundError,
    ),
    "link_to_itself": (
        on_disk(lambda p: _replace(p, lambda q: q.symlink_to(q.name))), "a link to itself",
        fastckpt.CheckpointError,
    ),
    "device": (
        on_disk(lambda p: _replace(p, lambda q: q.symlink_to("/dev/zero"))), "an endless device",
        fastckpt.CheckpointError,
    ),
    "lfs_pointer": (
        on_disk(lambda p: p.write_bytes(b"version https://git-lfs.github.com/spec/v1\n") and None),
        "a Git-LFS pointer", LOSS,
    ),
    "longer": (
        on_disk(lambda p: p.write_bytes(FIRST + bytes(8)) and None),
        "zeros at the end", [1.0, 2.0],
    ),
}  # fmt: skip


def cases() -> list[Case]:
    """All of them."""
    found = []
    for name, ((index, shard), description, expected) in STRING_CASES.items():
        found.append(
            Case(
                f"strings/{name}",
                description,
                "FORMAT 3.4: lengths, their checksum, contents",
                files(index, shard),
                tensors=NEIGHBOURS | {"bad": expected},
                sound=not has_error(expected),
            )
        )
    for name, ((index, shard), description) in VARIANT_CASES.items():
        found.append(
            Case(
                f"variants/{name}",
                description,
                "FORMAT 3.5: length, record, running checksum",
                files(index, shard),
                tensors=NEIGHBOURS | {"bad": LOSS},
            )
        )
    for name, (build, description, expected) in SHARDS.items():
        found.append(
            Case(
                f"shards/{name}",
                description,
                "FORMAT 3.1, 6.2: an error for the tensors in it only",
                build,
                tensors=NEIGHBOURS | {"bad": expected},
                sound=not has_error(expected),
            )
        )
    return found
