"""V1 files: what they say of their tensors, the records of slices, the values in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

import fastckpt
from malformed.case import Case, ErrorClass, Expected, wide_varint
from oracle import Block, assemble, encode_block, slice_key
from oracle.coding import bytes_field, fixed32_field, varint_field
from oracle.entry import encode_shape, encode_slice
from oracle.legacy import MetaItem, V1File, build_v1, encode_record, encode_tensor

LOSS = fastckpt.DataLossError
ARGUMENT = fastckpt.InvalidArgumentError
UNSUPPORTED = fastckpt.UnsupportedError

VALUES = [1.5, -2.0]
GOOD = np.array(VALUES, np.float32)
FINE: dict[str, Expected] = {"a": VALUES, "z": VALUES}
Change = Callable[[V1File], object]


def three() -> V1File:
    """Three equal tensors: "a", "bad" and "z"."""
    return build_v1({"a": GOOD, "bad": GOOD, "z": GOOD})


def built(change: Change) -> Callable[[Path], Path]:
    """A builder that changes the three tensors and writes them."""

    def build(folder: Path) -> Path:
        v1 = three()
        change(v1)
        return v1.write(folder / "model.ckpt-1")

    return build


def raw(make: Callable[[], bytes]) -> Callable[[Path], Path]:
    """A builder that writes these bytes."""

    def build(folder: Path) -> Path:
        path = folder / "model.ckpt-1"
        path.write_bytes(make())
        return path

    return build


def blocks_of(v1: V1File) -> list[Block]:
    """One block for each record."""
    return [Block(encode_block([pair]), pair[0]) for pair in v1.pairs()]


def damaged_block(number: int, **changes: int) -> bytes:
    """The three tensors with one block for each record; one of them has a wrong checksum."""
    blocks = blocks_of(three())
    for name, value in (changes or {"masked_crc": 0}).items():
        setattr(blocks[number], name, value)
    return assemble(blocks)


# --- the record at the empty key -----------------------------------------------------------------


def set_meta(meta: bytes) -> Change:
    return lambda v1: setattr(v1, "meta", meta)


def set_version(version: bytes) -> Change:
    return lambda v1: setattr(v1, "version", version)


def _whole() -> Block:
    """All records in one block."""
    return Block(encode_block(three().pairs()), b"z")


# id: (builder, description, what opening raises)
METAS: dict[str, tuple[Callable[[Path], Path], str, ErrorClass]] = {
    "absent": (
        raw(lambda: assemble(blocks_of(three())[1:])), "no record at the empty key", LOSS,
    ),
    "unparsable": (built(set_meta(b"\x0a\x7f\x0a")), "record at the empty key is cut off", LOSS),
    "without_meta": (built(set_meta(b"")), "record at the empty key without fields", LOSS),
    "a_slice": (
        built(set_meta(encode_record(b"a", [None], encode_tensor(GOOD, 1)))),
        "a slice's record at the empty key", LOSS,
    ),
    "block_checksum": (
        raw(lambda: damaged_block(0)), "checksum of the first block", LOSS,
    ),
    "no_entries": (
        raw(lambda: assemble([Block(encode_block([]), b"x")])), "table of no entries", LOSS,
    ),
    "no_blocks": (raw(lambda: assemble([])), "table of no blocks", LOSS),
    "truncated": (raw(lambda: three().table()[:-1]), "last byte is missing", LOSS),
    "first_half": (raw(lambda: three().table()[:100]), "second half is missing", LOSS),
    "empty_file": (raw(lambda: b""), "file of no bytes", LOSS),
    "zeros": (raw(lambda: bytes(300)), "nothing but zeros", LOSS),
    "producer_negative": (built(set_version(varint_field(1, -1))), "producer -1", ARGUMENT),
    "min_consumer_2": (
        built(set_version(varint_field(2, 2))), "asks for a newer reader", ARGUMENT,
    ),
    "bad_consumer": (
        built(set_version(bytes_field(3, b"\x00\x01"))),
        "names this reader as a bad one", ARGUMENT,
    ),
    "bad_consumer_unpacked": (
        built(set_version(varint_field(3, 1))), "names this reader, not packed", ARGUMENT,
    ),
    "version_cut": (built(set_version(b"\x1a\x05")), "version cut off", LOSS),
    "index_block_garbage": (
        raw(lambda: assemble([_whole()], index=Block(b"\xff" * 20, b""))),
        "index block of garbage", LOSS,
    ),
}  # fmt: skip

# --- what the file says of one tensor ------------------------------------------------------------


def item(**changes: object) -> Change:
    """Change what the file says of "bad"."""

    def change(v1: V1File) -> None:
        for name, value in changes.items():
            setattr(v1.item("bad"), name, value)

    return change


def raw_item(message: bytes) -> Change:
    """Replace what the file says of "bad" by a message."""

    def change(v1: V1File) -> None:
        v1.items[1] = message

    return change


def again(**changes: object) -> Change:
    """Let the file describe "bad" twice, with changes."""

    def change(v1: V1File) -> None:
        second = MetaItem(b"bad", (2,), 1, [[None]])
        for name, value in changes.items():
            setattr(second, name, value)
        v1.items.insert(2, second)

    return change


NAME = bytes_field(1, b"bad")
ALL = bytes_field(4, encode_slice([None]))
SHAPE = bytes_field(2, encode_shape((2,)))
FLOAT = varint_field(3, 1)

# id: (change, description, what reading "bad" gives)
ITEMS: dict[str, tuple[Change, str, Expected]] = {
    "dtype_absent": (item(dtype=0), "dtype is absent", LOSS),
    "dtype_99": (item(dtype=99), "dtype 99", LOSS),
    "dtype_negative": (item(dtype=-1), "dtype -1", LOSS),
    "dtype_ref": (item(dtype=101), "a reference type", LOSS),
    "dtype_resource": (item(dtype=20), "a resource", UNSUPPORTED),
    "dtype_variant": (item(dtype=21), "a variant", UNSUPPORTED),
    "dtype_bfloat16": (item(dtype=14), "a type that V1 does not have", UNSUPPORTED),
    "dtype_uint32": (item(dtype=22), "another type that V1 does not have", UNSUPPORTED),
    "dtype_int32_of_floats": (item(dtype=3), "int32 in the list, floats in the record", LOSS),
    "dtype_string_of_floats": (item(dtype=7), "strings in the list, floats in the record", LOSS),
    "shape_negative": (item(shape=(-2,)), "negative dimension", LOSS),
    "shape_minus_times_minus": (item(shape=(-1, -2)), "two negative dimensions", LOSS),
    "shape_overflow": (item(shape=(2**62, 4)), "2^64 elements", LOSS),
    "shape_one_more": (item(shape=(3,)), "one element more than stored", LOSS),
    "shape_one_less": (item(shape=(1,)), "one element less than stored", LOSS),
    "shape_of_billions": (item(shape=(2**45,)), "2^45 elements in 8 bytes", LOSS),
    "shape_rank_255": (
        item(shape=(1,) * 255, slices=[[None] * 255]), "rank 255", LOSS,
    ),
    "shape_absent": (
        raw_item(NAME + FLOAT + bytes_field(4, b"")), "no shape: a scalar without a record", LOSS,
    ),
    "shape_unknown": (
        raw_item(NAME + bytes_field(2, varint_field(3, 1)) + FLOAT + ALL), "unknown rank", LOSS,
    ),
    "shape_cut": (raw_item(NAME + b"\x12\x02\x12\x09" + FLOAT + ALL), "shape cut off", LOSS),
    "item_cut": (raw_item(NAME + SHAPE + FLOAT + b"\x22\x40"), "list of slices cut off", LOSS),
    "slices_absent": (item(slices=[]), "no slices are listed", ARGUMENT),
    "slice_other_rank": (item(slices=[[None, None]]), "a slice of rank 2 of 1", LOSS),
    "slice_rank_0": (item(slices=[[]]), "a slice of rank 0 of 1", LOSS),
    "slice_past_end": (item(slices=[[(1, 2)]]), "a slice past the end", LOSS),
    "slice_negative": (item(slices=[[(-1, 1)]]), "a slice of negative start", LOSS),
    "slice_overflow": (item(slices=[[(1, 2**63 - 1)]]), "a slice whose end overflows", LOSS),
    "slice_twice": (item(slices=[[None], [None]]), "one slice listed twice", LOSS),
    "slice_not_stored": (item(slices=[[(0, 1)], [(1, 1)]]), "slices that are not there", LOSS),
    "slice_half": (item(slices=[[(0, 1)]]), "one slice of two, and not there", ARGUMENT),
    "twice": (again(), "described twice", LOSS),
    "twice_other_dtype": (again(dtype=3), "described twice, with two dtypes", LOSS),
    "twice_other_shape": (again(shape=(3,)), "described twice, with two shapes", LOSS),
    "unknown_fields": (item(extra=bytes_field(99, b"x" * 100)), "unknown fields", VALUES),
    "dtype_wide": (
        raw_item(NAME + SHAPE + wide_varint(3, 1) + ALL), "dtype in ten bytes", VALUES,
    ),
}  # fmt: skip

# --- the record of one slice ---------------------------------------------------------------------

KEY = slice_key(b"bad", [None])


def tensor(message: bytes) -> Change:
    """Replace the values of "bad"."""
    return lambda v1: v1.set_tensor("bad", message)


def record(message: bytes) -> Change:
    """Replace the whole record of "bad"."""
    return lambda v1: v1.records.__setitem__(KEY, message)


def typed(dtype: int, message: bytes) -> Change:
    """Change dtype and values of "bad"."""

    def change(v1: V1File) -> None:
        item(dtype=dtype)(v1)
        tensor(message)(v1)

    return change


def moved(key: bytes) -> Change:
    """Store the record of "bad" under another key."""
    return lambda v1: v1.records.__setitem__(key, v1.records.pop(KEY))


PACKED = bytes_field(5, GOOD.tobytes())

# id: (change, description, what reading "bad" gives)
VALUE_CASES: dict[str, tuple[Change, str, Expected]] = {
    "missing": (lambda v1: v1.records.pop(KEY), "the record is missing", LOSS),
    "other_key": (moved(KEY[:-1] + b"\x80"), "record under the key of another slice", LOSS),
    "key_cut": (moved(KEY[:-1]), "record under a key that is cut off", LOSS),
    "no_bytes": (record(b""), "record of no bytes", LOSS),
    "unparsable": (record(b"\x12\x7f\x01"), "record cut off", LOSS),
    "meta_in_place": (
        lambda v1: record(v1.pairs()[0][1])(v1), "a list of tensors in its place", LOSS,
    ),
    "data_absent": (
        record(bytes_field(2, NAME + bytes_field(2, encode_slice([None])))),
        "no TensorProto", LOSS,
    ),
    "tensor_empty": (tensor(b""), "TensorProto without values", LOSS),
    "tensor_content": (
        tensor(bytes_field(4, GOOD.tobytes())), "values in tensor_content", UNSUPPORTED,
    ),
    "one_value": (tensor(PACKED[:1] + b"\x04" + GOOD.tobytes()[:4]), "one value of two", LOSS),
    "three_values": (tensor(PACKED + bytes_field(5, bytes(4))), "three values of two", LOSS),
    "half_a_value": (tensor(bytes_field(5, GOOD.tobytes()[:7])), "last value cut off", LOSS),
    "value_cut": (
        tensor(b"\x2a\x20" + GOOD.tobytes()), "packed values longer than the record", LOSS,
    ),
    "other_field": (
        tensor(bytes_field(6, GOOD.tobytes())), "values in the field for doubles", LOSS,
    ),
    "as_varints": (tensor(varint_field(5, 1) * 2), "floats as varints", LOSS),
    "unpacked": (
        tensor(fixed32_field(5, 0x3FC00000) + fixed32_field(5, 0xC0000000)), "not packed", VALUES,
    ),
    "in_pieces": (
        tensor(bytes_field(5, GOOD.tobytes()[:4]) + fixed32_field(5, 0xC0000000)),
        "one value packed, one not", VALUES,
    ),
    "dtype_inside": (
        tensor(varint_field(1, 3) + bytes_field(2, encode_shape((9, 9))) + PACKED),
        "dtype and shape in the TensorProto, both wrong: nobody reads them", VALUES,
    ),
    "name_inside": (
        record(bytes_field(2, bytes_field(1, b"another") + bytes_field(3, PACKED))),
        "another name in the record: nobody reads it", VALUES,
    ),
    "varint_of_eleven_bytes": (
        typed(9, bytes_field(10, b"\x81" + b"\x80" * 9 + b"\0" + b"\x01")),
        "int64 in eleven bytes", LOSS,
    ),
    "varint_never_ends": (typed(9, bytes_field(10, b"\xff" * 30)), "int64 that never ends", LOSS),
    "varint_count": (typed(9, bytes_field(10, b"\x01\x02\x03")), "three int64 of two", LOSS),
    "int8_too_large": (
        typed(6, encode_tensor(np.array([128, 300]), 6)), "int8 beyond its range: low bits count",
        [-128, 44],
    ),
    "uint8_negative": (
        typed(4, encode_tensor(np.array([-1, -256]), 4)),
        "negative uint8: low bits count", [255, 0],
    ),
    "bool_of_two": (typed(10, bytes_field(11, b"\x02\x00")), "bool of 2 is true", [True, False]),
    "half_of_32_bits": (
        typed(19, bytes_field(13, b"\x80\x80\xfb\x07" + b"\x80\x78")), "half of more than 16 bits",
        [-2.0, 1.0],
    ),
    "complex_odd": (
        typed(8, bytes_field(9, bytes(12))), "three halves of two complex numbers", LOSS,
    ),
    "strings_one_more": (typed(7, bytes_field(8, b"x") * 3), "three strings of two", LOSS),
    "strings_as_numbers": (typed(7, varint_field(8, 1) * 2), "strings as varints", LOSS),
    "string_cut": (typed(7, b"\x42\x01x\x42\x7f"), "last string cut off", LOSS),
    "strings_of_all_bytes": (
        typed(7, bytes_field(8, b"\xff\x00") + bytes_field(8, b"")), "strings that are no text",
        [b"\xff\x00", b""],
    ),
    "groups_nested": (
        record(b"\x4b" * 100_000 + b"\x4c" * 100_000), "100 000 groups in one another", LOSS,
    ),
}  # fmt: skip


def cases() -> list[Case]:
    """All of them."""
    found = [
        Case(f"v1meta/{name}", description, "FORMAT 7.1, 7.2, 7.4", build, opens=error)
        for name, (build, description, error) in METAS.items()
    ]
    for name, (change, description, expected) in ITEMS.items():
        found.append(_case(f"v1item/{name}", change, description, "FORMAT 7.2", expected))
    for name, (change, description, expected) in VALUE_CASES.items():
        found.append(_case(f"v1record/{name}", change, description, "FORMAT 7.2, 7.4", expected))
    return found


def _case(name: str, change: Change, description: str, reason: str, expected: Expected) -> Case:
    reason += "; DESIGN 4.5: an error for its tensor only"
    is_sound = not isinstance(expected, type)
    tensors = FINE | {"bad": expected}
    return Case(name, description, reason, built(change), tensors=tensors, sound=is_sound)
