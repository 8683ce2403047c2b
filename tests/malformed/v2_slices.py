"""Partitioned tensors whose slices do not fit: each other, their tensor, or the shards."""

from __future__ import annotations

import functools
import struct
from collections.abc import Sequence

import fastckpt
from corruption import forge
from corruption.forge import FLOAT, UINT8, Record, entry, header
from malformed.case import GOOD, NEIGHBOURS, Case, Expected, files, has_error, one_block
from oracle import Entry, masked_crc, slice_key
from oracle.coding import Extent, bytes_field, varint_field

LOSS = fastckpt.DataLossError
ARGUMENT = fastckpt.InvalidArgumentError
LIMIT = fastckpt.LimitExceededError
MISSING = fastckpt.TensorNotFoundError
LIMIT = fastckpt.LimitExceededError

# --- slices --------------------------------------------------------------------------------------

Spec = Sequence[Extent]
FIRST, SECOND = struct.pack("<2f", 1, 2), struct.pack("<2f", 3, 4)
DATA = GOOD + FIRST + SECOND
ROW_0: Spec = [(0, 1), None]
ROW_1: Spec = [(1, 1), None]
WHOLE = [[1.0, 2.0], [3.0, 4.0]]


def partitioned(
    shape: Sequence[int], *specs: Spec, dtype: int = FLOAT, extra: bytes = b""
) -> Record:
    """The entry of the partitioned tensor "bad"."""
    return b"bad", Entry(dtype, shape, slices=specs, extra=extra).encode()


def stored(
    spec: Spec, data: bytes, offset: int, *, shape: Sequence[int] = (1, 2), **how: int
) -> Record:
    """The entry of one of its slices."""
    return entry(slice_key(b"bad", spec), data, shape=shape, offset=offset, **how)


R0, R1 = stored(ROW_0, FIRST, 8), stored(ROW_1, SECOND, 16)
TWO = partitioned((2, 2), ROW_0, ROW_1)


def index_of(*records: Record) -> bytes:
    """An index of these records between two good tensors; slices stand first."""
    slices = sorted(record for record in records if record[0][:1] == b"\0")
    others = [record for record in records if record[0][:1] != b"\0"]
    return one_block([header(), *slices, entry("a", GOOD), *others, entry("z", GOOD)])


def raw_slice(*extents: tuple[int | None, int | None]) -> bytes:
    """The slices field with free starts and lengths."""
    out = b""
    for start, length in extents:
        content = b"" if start is None else varint_field(1, start)
        out += bytes_field(1, content + (b"" if length is None else varint_field(2, length)))
    return bytes_field(7, out)


# id: (records, description, what reading "bad" gives)
SLICES: dict[str, tuple[list[Record], str, Expected]] = {
    "right": ([R0, R1, TWO], "nothing: two rows", WHOLE),
    "reversed": ([R0, R1, partitioned((2, 2), ROW_1, ROW_0)], "slices in falling order", WHOLE),
    "gap": ([R0, partitioned((2, 2), ROW_0)], "the second row is not listed", ARGUMENT),
    "gap_of_many": (
        [R0, partitioned((2**40, 2), ROW_0)], "one row of 2^40, 8 TiB in all", ARGUMENT,
    ),
    "missing_entry": ([R0, TWO], "the second slice has no entry", MISSING),
    "missing_both": ([TWO], "no slice has an entry", MISSING),
    "listed_twice": ([R0, partitioned((2, 2), ROW_0, ROW_0)], "one slice listed twice", ARGUMENT),
    "overlap": (
        [R0, R1, stored([None, (0, 1)], FIRST, 8, shape=(2, 1)),
         partitioned((2, 2), ROW_0, ROW_1, [None, (0, 1)])],
        "a column across two rows", ARGUMENT,
    ),
    "overlap_same_region": (
        [R0, R1, stored([(1, 1), (0, 2)], SECOND, 16),
         partitioned((2, 2), ROW_0, ROW_1, [(1, 1), (0, 2)])],
        "one region in two spellings", ARGUMENT,
    ),
    "overlap_makes_the_count": (
        [R0, partitioned((2, 2), ROW_0, [(0, 1), (0, 2)]), stored([(0, 1), (0, 2)], FIRST, 8)],
        "the first row twice, so that the elements add up", ARGUMENT,
    ),
    "past_the_end": ([R0, partitioned((2, 2), ROW_0, [(1, 2), None])], "slice past the end", LOSS),
    "start_past_the_end": ([partitioned((2, 2), [(3, 1), None])], "slice behind the end", LOSS),
    "start_negative": ([partitioned((2, 2), [(-1, 1), None])], "negative start", LOSS),
    "length_negative": ([partitioned((2, 2), [(1, -2), None])], "length of -2", LOSS),
    "length_minus_one": (
        [R0, R1, (b"bad", Entry(FLOAT, (2, 2)).encode() + raw_slice((0, 1), (None, -1))
                  + raw_slice((1, 1), (None, -1)))],
        "length of -1, the number that stands for all in a key", WHOLE,
    ),
    "start_without_length": (
        [R0, R1, (b"bad", Entry(FLOAT, (2, 2)).encode() + raw_slice((0, 1), (1, None)))],
        "a start without a length", LOSS,
    ),
    "start_overflows": ([partitioned((2, 2), [(2**63 - 1, 1), None])], "start of 2^63 - 1", LOSS),
    "length_overflows": (
        [partitioned((2, 2), [(1, 2**63 - 1), None])], "length of 2^63 - 1", LOSS,
    ),
    "length_zero": (
        [R0, R1, stored([(1, 0), None], b"", 16, shape=(0, 2)),
         partitioned((2, 2), ROW_0, [(1, 0), None], ROW_1)],
        "a slice of no elements", WHOLE,
    ),
    "too_few_extents": ([R0, R1, partitioned((2, 2), [(0, 1)], [(1, 1)])], "rank 1 of 2", LOSS),
    "too_many_extents": (
        [R0, R1, partitioned((2, 2), [*ROW_0, None], [*ROW_1, None])], "rank 3 of 2", LOSS,
    ),
    "extents_differ": ([R0, partitioned((2, 2), ROW_0, [(1, 1)])], "slices of two ranks", LOSS),
    "extents_add_up": (
        [partitioned((2, 2), [(0, 1)], [(1, 1), None, None])], "ranks 1 and 3 of 2", LOSS,
    ),
    "scalar": ([partitioned((), [])], "a slice of a scalar", LOSS),
    "no_elements": (
        [partitioned((0, 2), [(0, 0), None]), stored([(0, 0), None], b"", 8, shape=(0, 2))],
        "a slice of a tensor without elements", None,
    ),
    "other_dtype": (
        [stored(ROW_0, FIRST, 8, dtype=3), R1, TWO], "a slice of int32 in a float tensor", LOSS,
    ),
    "other_shape": (
        [stored(ROW_0, FIRST, 8, shape=(2,)), R1, TWO], "a slice of another shape", LOSS,
    ),
    "transposed": (
        [stored(ROW_0, FIRST, 8, shape=(2, 1)), R1, TWO], "a slice on its side", LOSS,
    ),
    "larger": (
        [stored(ROW_0, DATA[8:24], 8, shape=(2, 2)), R1, TWO],
        "a slice as large as the tensor", LOSS,
    ),
    "slice_of_slices": (
        [(R0[0], Entry(FLOAT, (1, 2), slices=[ROW_0]).encode()), R1, TWO],
        "a slice that is partitioned itself", LOSS,
    ),
    "slice_malformed": ([(R0[0], b"\x08"), R1, TWO], "a slice's entry cannot be parsed", LOSS),
    "slice_checksum": ([stored(ROW_0, FIRST, 8, crc=1), R1, TWO], "checksum of a slice", LOSS),
    "slice_past_shard": ([R0, stored(ROW_1, SECOND, 1 << 30), TWO], "slice past the shard", LOSS),
    "slice_in_missing_shard": (
        [R0, stored(ROW_1, SECOND, 16, shard=1), TWO], "shard 1 of 1", LOSS,
    ),
    "mixed_entry": (
        [R0, R1, (b"bad", Entry(FLOAT, (2, 2), 0, 0, 16, 1, [ROW_0, ROW_1]).encode())],
        "offset, size and checksum beside slices: they do not count", WHOLE,
    ),
    "bad_dtype": (
        [R0, R1, partitioned((2, 2), ROW_0, ROW_1, dtype=99)], "dtype 99 in slices", LOSS,
    ),
    "huge_shape": (
        [R0, R1, partitioned((2**62, 2**62), ROW_0, ROW_1)], "a shape of 2^124 elements", LOSS,
    ),
}  # fmt: skip

# Where the tensor's own entry is malformed nothing tells that these keys are those of its slices.
SHOWN = (
    "past_the_end", "start_without_length", "too_few_extents", "too_many_extents",
    "extents_differ", "bad_dtype", "huge_shape",
)  # fmt: skip
ROWS: dict[bytes, Expected] = {R0[0]: [[1.0, 2.0]], R1[0]: [[3.0, 4.0]]}

MANY = 200_000


@functools.cache
def many_slices(*, overlap: bool = False) -> tuple[bytes, bytes]:
    """An index of a vector in slices of one byte each, and its shard."""
    data = bytes(i % 251 for i in range(MANY))
    crcs = [masked_crc(bytes([i])) for i in range(251)]
    specs = [[(i, 1)] for i in range(MANY)]
    records = [
        (slice_key(b"bad", spec), Entry(UINT8, (1,), 0, i, 1, crcs[i % 251]).encode())
        for i, spec in enumerate(specs)
    ]
    if overlap:
        specs.append([(MANY - 2, 2)])
        record = entry(slice_key(b"bad", specs[-1]), data[-2:], dtype=UINT8, offset=MANY - 2)
        records.append(record)
    full = Entry(UINT8, (MANY,), slices=specs).encode()
    return one_block([header(), *sorted(records), (b"bad", full)]), data


def cases() -> list[Case]:
    """All of them."""
    found = []
    for name, (records, description, expected) in SLICES.items():
        given = [] if expected is None else expected
        shown = {
            key.decode("utf-8", "surrogateescape"): ROWS[key]
            for key, _ in records
            if name in SHOWN and key in ROWS
        }
        found.append(
            Case(
                f"slices/{name}", description, "FORMAT 4: slices, their keys, what reading asks",
                files(index_of(*records), DATA), tensors=NEIGHBOURS | {"bad": given} | shown,
                sound=not has_error(given) and name != "no_elements",
            )
        )  # fmt: skip
    return [*found, *_large()]


def _large() -> list[Case]:
    bound = "DESIGN 4.4: no hang, memory bounded by the bytes that are there"
    return [
        Case(
            "slices/many", f"{MANY} slices of one byte", bound,
            lambda folder: forge.write(folder, *many_slices()),
            tensors={"bad": LIMIT},
        ),
        Case(
            "slices/many_overlap", f"{MANY} slices, the last two overlap", bound,
            lambda folder: forge.write(folder, *many_slices(overlap=True)),
            tensors={"bad": LIMIT},
        ),
    ]  # fmt: skip
