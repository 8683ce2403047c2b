"""Header and entries of an index: numbers, messages and names that are odd or wrong."""

from __future__ import annotations

import struct

import fastckpt
from corruption.forge import BOOL, FLOAT, STRING, UINT8, Record, entry, header, message
from malformed.case import (
    GOOD,
    NEIGHBOURS,
    VALUES,
    Case,
    ErrorClass,
    Expected,
    between,
    fields,
    files,
    one_block,
    wide_varint,
)
from oracle import masked_crc
from oracle.coding import bytes_field, encode_varint, fixed32_field, fixed64_field, group_field
from oracle.entry import encode_shape

LOSS = fastckpt.DataLossError
SHAPE = bytes_field(2, encode_shape((2,)))
CRC = fixed32_field(6, masked_crc(GOOD))
# dtype, shape, size and checksum of GOOD.
RIGHT = fields((1, FLOAT)) + SHAPE + fields((5, 8)) + CRC

# --- the header ----------------------------------------------------------------------------------

VERSION = bytes_field(3, fields((1, 1)))

# id: (message at the empty key, description, what opening raises)
HEADERS: dict[str, tuple[bytes, str, ErrorClass | None]] = {
    "empty": (b"", "header of no fields: no shards", None),
    "shards_absent": (VERSION, "number of shards is absent", None),
    "shards_zero": (fields((1, 0)) + VERSION, "zero shards", None),
    "shards_min": (fields((1, -(2**31))) + VERSION, "most negative number of shards", LOSS),
    "shards_64_bits": (
        fields((1, 2**32 + 1)), "number of shards of 33 bits: its low 32 count", None,
    ),
    "shards_twice": (fields((1, 5), (1, 1)), "number of shards twice: the last counts", None),
    "shards_as_bytes": (bytes_field(1, b"\x01"), "number of shards with another wire type", None),
    "shards_wide": (wide_varint(1, 1), "number of shards in ten bytes", None),
    "shards_eleven_bytes": (b"\x08" + b"\x81" + b"\x80" * 10 + b"\0", "varint of 12 bytes", LOSS),
    "endianness_twice": (
        fields((1, 1), (2, 1), (2, 0)), "byte order twice: the last counts", None,
    ),
    "endianness_negative": (fields((1, 1), (2, -1)), "byte order -1", LOSS),
    "endianness_huge": (fields((1, 1), (2, 2**31 - 1)), "byte order 2147483647", LOSS),
    "version_empty": (fields((1, 1)) + bytes_field(3, b""), "version without fields", None),
    "version_in_pieces": (
        fields((1, 1)) + VERSION + bytes_field(3, fields((2, 1))), "version in two pieces", None,
    ),
    "version_in_pieces_refused": (
        fields((1, 1)) + VERSION + bytes_field(3, fields((2, 9))),
        "version in two pieces, the second of which asks for a newer reader",
        fastckpt.InvalidArgumentError,
    ),
    "producer_min": (
        fields((1, 1)) + bytes_field(3, fields((1, -(2**31)))), "most negative producer",
        fastckpt.InvalidArgumentError,
    ),
    "bad_consumers_unpacked": (
        fields((1, 1)) + bytes_field(3, fields((1, 1), (3, 1))), "bad consumer, not packed",
        fastckpt.InvalidArgumentError,
    ),
    "bad_consumers_cut": (
        fields((1, 1)) + bytes_field(3, bytes_field(3, b"\x80")), "bad consumers cut off", LOSS,
    ),
    "version_cut": (fields((1, 1)) + b"\x1a\x7f", "version longer than the header", LOSS),
    "version_as_number": (fields((1, 1), (3, 7)), "version with another wire type", None),
    "field_zero": (fields((1, 1)) + b"\x00\x00", "field number 0", LOSS),
    "wire_type_6": (fields((1, 1)) + b"\x26\x00", "wire type 6", LOSS),
    "wire_type_7": (fields((1, 1)) + b"\x27\x00", "wire type 7", LOSS),
    "group_open": (fields((1, 1)) + b"\x23", "group that is never closed", LOSS),
    "group_closed_twice": (fields((1, 1)) + b"\x24", "end of a group that was not opened", LOSS),
    "group_of_another": (fields((1, 1)) + b"\x23\x2c", "group closed under another number", LOSS),
    "group_unknown": (fields((1, 1)) + group_field(9, fields((1, 5))), "unknown group", None),
    "groups_nested": (
        fields((1, 1)) + b"\x4b" * 200_000 + b"\x4c" * 200_000,
        "200 000 groups in one another", LOSS,
    ),
    "text": (b"num_shards: 1", "the header in text form", LOSS),
    "large": (
        fields((1, 1)) + bytes_field(99, bytes(1 << 20)), "a megabyte of unknown field", None,
    ),
}  # fmt: skip

# Without shards there is no place for any tensor.
WITHOUT_SHARDS = {"empty", "shards_absent", "shards_zero", "shards_as_bytes"}

# --- one entry between two others ----------------------------------------------------------------

SCALAR = GOOD[:4]


def bad(value: bytes) -> Record:
    """The record of the tensor "bad"."""
    return b"bad", value


def bytes_entry(data: bytes, **how: object) -> Record:
    """An entry of GOOD's first bytes, whatever it says of them."""
    return entry("bad", data, **how)  # type: ignore[arg-type]


# id: (record, description, what reading it gives)
ENTRIES: dict[str, tuple[Record, str, Expected]] = {
    "no_bytes": (bad(b""), "message of no bytes: dtype 0", LOSS),
    "only_dtype": (bad(fields((1, FLOAT))), "nothing but a dtype: a scalar of no bytes", LOSS),
    "dtype_absent": (bad(SHAPE + fields((5, 8)) + CRC), "dtype is absent", LOSS),
    "dtype_as_bytes": (
        bad(bytes_field(1, b"\x01") + SHAPE + fields((5, 8)) + CRC),
        "dtype of another wire type", LOSS,
    ),
    "dtype_33_bits": (
        bad(fields((1, 2**32 + FLOAT)) + SHAPE + fields((5, 8)) + CRC),
        "dtype of 33 bits: its low 32 count", VALUES,
    ),
    "dtype_twice": (bad(fields((1, 2)) + RIGHT), "dtype twice: the last counts", VALUES),
    "dtype_resource": (bytes_entry(GOOD, dtype=20), "a resource", LOSS),
    "dtype_34": (bytes_entry(GOOD, dtype=34), "the first unused dtype number", LOSS),
    "dtype_ref": (bytes_entry(GOOD, dtype=101), "a reference type", LOSS),
    "dtype_min": (bytes_entry(GOOD, dtype=-(2**31)), "most negative dtype", LOSS),
    "dtype_127": (bytes_entry(GOOD, dtype=127), "dtype that fills a signed byte", LOSS),
    "dtype_257": (bytes_entry(GOOD, dtype=257), "dtype 1 in its low byte", LOSS),
    "dtype_of_another_size": (bytes_entry(GOOD, dtype=2), "float64 of four bytes each", LOSS),
    "shape_absent": (
        bad(fields((1, FLOAT), (5, 4)) + fixed32_field(6, masked_crc(SCALAR))),
        "shape is absent: a scalar", 1.5,
    ),
    "shape_in_pieces": (
        bad(fields((1, FLOAT)) + bytes_field(2, encode_shape((1,))) + RIGHT[2:]),
        "shape in two pieces: their dimensions count together", [VALUES],
    ),
    "shape_named_dims": (
        bad(
            fields((1, FLOAT))
            + bytes_field(2, bytes_field(2, fields((1, 2)) + bytes_field(2, b"rows")))
            + fields((5, 8))
            + CRC
        ),
        "dimension with a name", VALUES,
    ),
    "shape_dim_twice": (
        bad(RIGHT[:2] + bytes_field(2, bytes_field(2, fields((1, 9), (1, 2)))) + RIGHT[8:]),
        "size of a dimension twice: the last counts", VALUES,
    ),
    "shape_cut": (bad(fields((1, FLOAT)) + b"\x12\x04\x12\x02\x08"), "shape cut off", LOSS),
    "shape_as_number": (
        bad(fields((1, FLOAT), (2, 2), (5, 8)) + CRC), "shape of another type", LOSS,
    ),
    "shape_unknown_rank": (
        bad(fields((1, FLOAT)) + bytes_field(2, fields((3, 1))) + fields((5, 8)) + CRC),
        "unknown rank", LOSS,
    ),
    "shape_unknown_rank_and_dims": (
        bad(fields((1, FLOAT)) + bytes_field(2, encode_shape((2,)) + fields((3, 1))) + RIGHT[8:]),
        "dimensions and unknown rank", LOSS,
    ),
    "shape_minus_one": (bytes_entry(GOOD, shape=(-1,)), "dimension of -1", LOSS),
    "shape_minus_times_minus": (
        bytes_entry(GOOD, shape=(-1, -2)), "two negative dimensions with a right product", LOSS,
    ),
    "shape_zero_and_minus": (bytes_entry(b"", shape=(0, -1)), "zero and negative dimension", LOSS),
    "shape_product_wraps_to_right": (
        bytes_entry(GOOD, shape=(2**32, 2**31, 2, 2)), "product that wraps around to zero", LOSS,
    ),
    "shape_bytes_wrap_to_right": (
        bytes_entry(GOOD, shape=(2**62 + 2,)), "bytes that wrap around to the right size", LOSS,
    ),
    "shape_max": (bytes_entry(GOOD, shape=(2**63 - 1,)), "the largest dimension", LOSS),
    "shape_rank_255": (bytes_entry(SCALAR, shape=(1,) * 255), "rank 255", LOSS),
    "shape_rank_65": (bytes_entry(SCALAR, shape=(1,) * 65), "rank 65", fastckpt.UnsupportedError),
    "shape_rank_10000": (bytes_entry(SCALAR, shape=(1,) * 10_000), "rank 10 000", LOSS),
    "shape_zero_times_huge": (
        bytes_entry(b"", shape=(0, 2**40, 2**20)), "no elements, dimensions beyond any memory", [],
    ),
    "size_one_more": (bytes_entry(GOOD, size=9), "size one too large", LOSS),
    "size_one_less": (bytes_entry(GOOD, size=7), "size one too small", LOSS),
    "size_33_bits": (bytes_entry(GOOD, size=2**32 + 8), "size right in its low 32 bits", LOSS),
    "size_min": (bytes_entry(GOOD, size=-(2**63)), "most negative size", LOSS),
    "size_wide": (
        bad(fields((1, FLOAT)) + SHAPE + wide_varint(5, 8) + CRC), "size in ten bytes", VALUES,
    ),
    "size_as_fixed64": (
        bad(fields((1, FLOAT)) + SHAPE + fixed64_field(5, 8) + CRC),
        "size of another wire type", LOSS,
    ),
    "size_of_nothing": (bytes_entry(b"", shape=(0,), size=8), "bytes for no elements", LOSS),
    "offset_min": (bytes_entry(GOOD, offset=-(2**63)), "most negative offset", LOSS),
    "offset_max": (bytes_entry(GOOD, offset=2**63 - 1), "largest offset: the end wraps", LOSS),
    "offset_one": (bytes_entry(GOOD, offset=1), "offset one too large: past the end", LOSS),
    "offset_one_inside": (
        bytes_entry(SCALAR, shape=(1,), offset=1), "offset one too large: other bytes", LOSS,
    ),
    "shard_one": (bytes_entry(GOOD, shard=1), "shard 1 of 1", LOSS),
    "shard_min": (bytes_entry(GOOD, shard=-(2**31)), "most negative shard number", LOSS),
    "shard_33_bits": (
        bad(RIGHT + fields((3, 2**32))), "shard of 33 bits: its low 32 count", VALUES,
    ),
    "crc_of_zeros": (bytes_entry(GOOD, crc=masked_crc(bytes(8))), "checksum of zeros", LOSS),
    "crc_zero": (bad(RIGHT[:-5] + fixed32_field(6, 0)), "checksum of zero", LOSS),
    "crc_as_varint": (
        bad(RIGHT[:-5] + fields((6, masked_crc(GOOD)))), "checksum as a varint", LOSS,
    ),
    "crc_as_fixed64": (
        bad(RIGHT[:-5] + fixed64_field(6, masked_crc(GOOD))), "checksum of eight bytes", LOSS,
    ),
    "crc_twice": (
        bad(RIGHT[:-5] + fixed32_field(6, 1) + CRC), "two checksums: the last counts", VALUES,
    ),
    "crc_cut": (bad(RIGHT[:-1]), "checksum cut off", LOSS),
    "crc_of_nothing": (bytes_entry(b"", shape=(0,), crc=1), "wrong checksum of no bytes", LOSS),
    "field_zero": (bad(RIGHT + b"\x00\x01"), "field number 0", LOSS),
    "field_number_huge": (
        bad(RIGHT + encode_varint(1 << 35) + b"\0"), "field number of 33 bits", LOSS,
    ),
    "length_wraps": (
        bad(RIGHT + b"\x4a" + encode_varint(2**64 - 1)),
        "length of a field that wraps around", LOSS,
    ),
    "group_open": (bad(RIGHT + b"\x4b\x08\x01"), "group that is never closed", LOSS),
    "groups_nested": (
        bad(RIGHT + b"\x4b" * 100_000 + b"\x4c" * 100_000), "100 000 groups in one another", LOSS,
    ),
    "groups_of_siblings": (bad(RIGHT + b"\x4b\x4c" * 1000), "1000 empty groups in a row", VALUES),
    "unknown_fields": (
        bad(RIGHT + bytes_field(1000, b"\0" * 64) + fixed32_field(1001, 7)),
        "unknown fields", VALUES,
    ),
    "text": (bad(b'dtype: DT_FLOAT shape { dim { size: 2 } }'), "the entry in text form", LOSS),
    "header_message": (bad(header()[1]), "a header in place of an entry", LOSS),
    "bool_of_odd_bytes": (
        bytes_entry(GOOD, dtype=BOOL, shape=(8,)), "bool bytes other than 0 and 1",
        [byte != 0 for byte in GOOD],
    ),
    "uint8_of_huge_size": (
        bytes_entry(GOOD, dtype=UINT8, shape=(2**50,), size=2**50),
        "a petabyte that is not there", LOSS,
    ),
    "string_of_huge_count": (
        bytes_entry(GOOD, dtype=STRING, shape=(2**50,), size=2**51),
        "2^50 strings in no bytes", LOSS,
    ),
}  # fmt: skip

# --- names ---------------------------------------------------------------------------------------

# id: (names, description); all of them hold GOOD.
NAMES: dict[str, tuple[list[bytes], str]] = {
    "not_utf8": ([b"\x80", b"\xc3(", b"\xff\xfe"], "names that are not UTF-8"),
    "surrogates": ([b"\xed\xa0\x80", b"\xf4\x90\x80\x80"], "surrogates and numbers past Unicode"),
    "nul": ([b"\0", b"\0\0", b"a\0", b"a\0b"], "names with NUL bytes"),
    "slice_keys_of_nobody": (
        [b"\0\0\x01\0", b"\0a\0\x01\x01\x01\x80\x7f", b"\0a\0\x01\xff"],
        "names that look like slice keys, whole and cut off",
    ),
    "control": ([b"\x01", b"\x1b[31mred", b"\r\n", b"a\x08"], "control characters"),
    "paths": ([b"../../etc/passwd", b"/etc/passwd", b"C:\\x"], "names that look like paths"),
    "long": ([b"x" * 100_000, b"x" * 100_001], "names of 100 000 bytes"),
}


def cases() -> list[Case]:
    """All of them."""
    found = [
        Case(
            f"header/{name}",
            description,
            "FORMAT 2.1, 6.1: protobuf's rules, a possible number of shards, version rules",
            files(one_block([(b"", value), entry("a", GOOD), entry("z", GOOD)]), GOOD),
            opens=error,
            tensors=dict.fromkeys(NEIGHBOURS, LOSS) if name in WITHOUT_SHARDS else NEIGHBOURS,
            sound=name not in WITHOUT_SHARDS,
        )
        for name, (value, description, error) in HEADERS.items()
    ]
    for name, (record, description, expected) in ENTRIES.items():
        is_fine = not isinstance(expected, type)
        found.append(
            Case(
                f"entry/{name}",
                description,
                "FORMAT 2.2, 6.2; DESIGN 4.5: one bad entry is an error for its tensor only",
                files(between(record), GOOD),
                tensors=NEIGHBOURS | {"bad": expected},
                sound=is_fine or expected is fastckpt.UnsupportedError,
            )
        )
    for name, (names, description) in NAMES.items():
        records = [header(), *(entry(key, GOOD) for key in sorted(names))]
        found.append(
            Case(
                f"names/{name}",
                description,
                "FORMAT 0: names are bytes",
                files(one_block(records), GOOD),
                tensors={key.decode("utf-8", "surrogateescape"): VALUES for key in names},
                sound=True,
            )
        )
    return found


assert message((1, FLOAT)) + SHAPE + message((5, 8)) + CRC == RIGHT
assert struct.unpack("<2f", GOOD) == tuple(VALUES)
