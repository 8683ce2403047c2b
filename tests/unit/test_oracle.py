"""The oracle against bytes that TensorFlow wrote, and against its own reader."""

from __future__ import annotations

import random
from itertools import product
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import oracle
from oracle import snappy
from oracle.coding import decode_fields, extend_by_table, group_field, varint_field
from oracle.table import BlockBuilder, TableWriter, decode_block, separator, successor

W = np.arange(12, dtype=np.float32).reshape(4, 3)

# What TensorFlow 2.21 saved; the index written by the SaveV2 operation, byte for byte.
TENSORS: dict[str, Any] = {
    "w": W,
    "b": np.array([1, 2], np.int64),
    "s": [b"ab", b"", b"xyz"],
    "scalar": np.int32(7),
    "empty": np.empty((0, 3), np.float32),
    "part": oracle.Slices((4, 3), [([(0, 2), None], W[:2]), ([(2, 2), None], W[2:])]),
}
INDEX = (
    bytes.fromhex("""
    00 00 06 08 01 1a 02 08 01
    00 0d 15 00 70 61 72 74 00 01 01 02 80 82 80 7f
             08 01 12 08 12 02 08 02 12 02 08 03 20 50 28 18 35 c0 db 3d 17
    09 04 15 82 82 80 7f
             08 01 12 08 12 02 08 02 12 02 08 03 20 68 28 18 35 d4 84 4e 02
    00 01 11 62 08 09 12 04 12 02 08 02 20 30 28 10 35 e0 2e 37 7d
    00 05 11 65 6d 70 74 79 08 01 12 06 12 00 12 02 08 03 20 50 35 d8 ea 82 a2
    00 04 1e 70 61 72 74 08 01 12 08 12 02 08 04 12 02 08 03
             3a 06 0a 02 10 02 0a 00 3a 08 0a 04 08 02 10 02 0a 00
    00 01 11 73 08 07 12 04 12 02 08 03 20 40 28 0c 35 10 ad c4 3f
    01 05 0d 63 61 6c 61 72 08 03 12 00 20 4c 28 04 35 a7 8d 9d 88
    00 01 13 77 08 01 12 08 12 02 08 04 12 02 08 03 28 30 35 d7 a6 55 dc
    00 00 00 00 01 00 00 00 00 98 b6 75 5b
    00 00 00 00 01 00 00 00 00 c0 f2 a1 b0
    00 01 03 78 00 e6 01 00 00 00 00 01 00 00 00 00 ac cf 84 21
    eb 01 08 f8 01 0f
""")
    + bytes(34)
    + bytes.fromhex("57fb808b247547db")
)
SHARD = (
    W.tobytes()
    + bytes.fromhex("0100000000000000 0200000000000000")
    + bytes.fromhex("020003 1b428bca 616278797a")
    + bytes.fromhex("07000000")
    + W.tobytes()
)

NO_TENSORS = (
    bytes.fromhex(
        "000006 08011a020801 0000000001000000 00629457f9"
        "0000000001000000 00c0f2a1b0"
        "0000020011 0000000001000000 00ccbf8b5d"
        "1608230d"
    )
    + bytes(36)
    + bytes.fromhex("57fb808b247547db")
)


def test_reproduces_the_files_of_tensorflow() -> None:
    bundle = oracle.build_bundle(TENSORS)
    assert len(INDEX) == 316
    assert bundle.index() == INDEX
    assert bundle.shards == [SHARD]


def test_reproduces_a_bundle_without_tensors() -> None:
    assert len(NO_TENSORS) == 101
    assert oracle.build_bundle({}).index() == NO_TENSORS


def test_a_table_without_entries_has_74_bytes() -> None:
    table = oracle.build_table([])
    assert len(table) == 74
    assert oracle.read_table(table) == []


def test_reads_the_files_of_tensorflow(tmp_path: Path) -> None:
    oracle.write_files(tmp_path / "ck", INDEX, [SHARD])
    values = oracle.read_bundle(tmp_path / "ck")
    assert sorted(values) == ["b", "empty", "part", "s", "scalar", "w"]
    assert (values["part"] == W).all()
    assert (values["w"] == W).all()
    assert values["s"].tolist() == [b"ab", b"", b"xyz"]
    assert values["scalar"].shape == ()
    assert values["scalar"] == 7
    assert values["empty"].shape == (0, 3)


# --- numbers and keys ----------------------------------------------------------------------------


def test_crc32c() -> None:
    assert oracle.crc32c(b"123456789") == 0xE3069283
    assert oracle.mask(0) == 0xA282EAD8
    assert oracle.mask(0xE3069283) == 0xC78AB0E5
    assert oracle.unmask(0xC78AB0E5) == 0xE3069283
    data = random.Random(1).randbytes(1000)
    for cut in (0, 1, 500, 1000):
        whole = extend_by_table(extend_by_table(0, data[:cut]), data[cut:])
        assert whole == oracle.crc32c(data[cut:], oracle.crc32c(data[:cut]))


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [
        (63, 1, "bf81"),
        (64, 64, "c040c040"),
        (8191, 8192, "dfffe02000"),
        (1048575, 1, "efffff81"),
        (1048576, 2, "f010000082"),
        (134217728, 3, "f80800000083"),
        (17179869183, 2, "fbffffffff82"),
        (17179869184, 2, "fc040000000082"),
        (2199023255552, 2, "fe02000000000082"),
        (281474976710656, 1, "ff0100000000000081"),
        (2**55, 1, "ff808000000000000081"),
        (2**62, 3, "ffc0400000000000000083"),
        (9223372036854775000, 2, "ffc07ffffffffffffcd882"),
    ],
)
def test_slice_keys(start: int, length: int, expected: str) -> None:
    key = oracle.slice_key(b"n\x00m\xff!", [(start, length)])
    assert key.hex() == "006e00ff6dff002100010101" + expected


def test_separator_and_successor() -> None:
    assert separator(b"abc!x", b"abd") == b"abc!x"
    assert separator(b"abc!x", b"abe") == b"abd"
    assert separator(b"ab!x", b"abz") == b'ab"'
    assert separator(b"a\x7f!", b"a\x90") == b"a\x80"
    assert separator(b"a\xfe!", b"a\xff") == b"a\xfe!"
    assert separator(b"ab", b"abc") == b"ab"
    assert successor(b"w") == b"x"
    assert successor(b"\xff\xffa!") == b"\xff\xffb"
    assert successor(b"\xff\xff") == b"\xff\xff"


def test_sixteen_entries_have_one_restart_and_seventeen_two() -> None:
    for count, restarts in ((0, 1), (1, 1), (16, 1), (17, 2), (33, 3)):
        block = oracle.encode_block((b"%03d" % i, b"") for i in range(count))
        assert int.from_bytes(block[-4:], "little") == restarts
        assert len(decode_block(block)) == count


def test_a_block_is_closed_when_it_reaches_its_size() -> None:
    first = BlockBuilder()
    first.add(b"a", bytes(100))
    for block_size, blocks in ((first.size(), 2), (first.size() + 1, 1)):
        writer = TableWriter(block_size)
        writer.add(b"a", bytes(100))
        writer.add(b"b", b"")
        assert len(writer.close()) == blocks


def test_a_huge_entry_closes_the_block_before_it() -> None:
    for size, index_keys in ((1998, [b"c"]), (1999, [b"", b"c"])):
        writer = TableWriter(1000)
        writer.add(b"", b"header")
        writer.add(b"b", bytes(size))
        assert [block.index_key for block in writer.close()] == index_keys


# --- round trips ---------------------------------------------------------------------------------

VARIED: dict[str, Any] = {
    **TENSORS,
    "complex": np.array([1 + 2j, 3 - 4j], np.complex64),
    "bool": np.array([True, False]),
    "bfloat16": np.arange(6).astype(ml_dtypes.bfloat16),
    "int4": np.array([-8, 7, -1], ml_dtypes.int4),
    "name/with\xff": np.arange(300, dtype=np.uint16),
    "text": np.array([["naïve", "b"], ["", "\0"]], object),
}


def check_varied(values: dict[str, Any]) -> None:
    assert sorted(values) == sorted(VARIED)
    for name in ("complex", "bool", "bfloat16", "int4", "name/with\xff"):
        assert values[name].dtype == VARIED[name].dtype
        assert (values[name] == VARIED[name]).all()
    assert (values["part"] == W).all()
    assert values["text"].tolist() == [["naïve".encode(), b"b"], [b"", b"\0"]]


@pytest.mark.parametrize("compression", ["none", "literal", "snappy"])
@pytest.mark.parametrize(("block_size", "restart_interval"), [(1, 1), (200, 2), (262144, 16)])
def test_every_table_layout_is_read_back(
    tmp_path: Path, compression: str, block_size: int, restart_interval: int
) -> None:
    oracle.write_bundle(
        tmp_path / "ck",
        VARIED,
        block_size=block_size,
        restart_interval=restart_interval,
        compression=compression,
    )
    check_varied(oracle.read_bundle(tmp_path / "ck"))


@pytest.mark.parametrize("num_shards", [1, 2, 7])
def test_every_shard_layout_is_read_back(tmp_path: Path, num_shards: int) -> None:
    bundle = oracle.write_bundle(tmp_path / "ck", VARIED, num_shards=num_shards, alignment=64)
    assert all(len(shard) % 64 == 0 for shard in bundle.shards)
    assert len(list(tmp_path.glob("ck.data-*-of-*"))) == num_shards
    check_varied(oracle.read_bundle(tmp_path / "ck"))


def test_both_byte_orders_are_read_back(tmp_path: Path) -> None:
    bundle = oracle.write_bundle(tmp_path / "ck", VARIED, byte_order="big")
    assert bundle.shards[0][4:8] == np.array(1, ">f4").tobytes()
    check_varied(oracle.read_bundle(tmp_path / "ck"))


def test_alignment_pads_after_every_tensor() -> None:
    sizes = {"a": 12, "b": 5, "c": 0, "d": 64, "e": 7}
    tensors = {name: np.zeros(size, np.uint8) for name, size in sizes.items()}
    bundle = oracle.build_bundle(tensors, alignment=64)
    assert [bundle.entry(name).offset for name in sizes] == [0, 64, 128, 128, 192]
    assert len(bundle.shards[0]) == 256


def test_variants_are_kept_as_records(tmp_path: Path) -> None:
    records = [b"first", b"", b"third" * 100]
    oracle.write_bundle(tmp_path / "ck", {"v": oracle.Variants((3,), records)})
    assert oracle.read_bundle(tmp_path / "ck")["v"].tolist() == records


def test_a_slice_that_covers_all_is_an_ordinary_entry() -> None:
    whole = oracle.Slices((4, 3), [([(0, 4), None], W)])
    assert oracle.build_bundle({"w": whole}).index() == oracle.build_bundle({"w": W}).index()


def test_snappy_matches_a_package() -> None:
    cramjam = pytest.importorskip("cramjam")
    rng = random.Random(2)
    for size in (0, 1, 60, 61, 300, 5000):
        data = bytes(rng.choice(b"abc") for _ in range(size))
        assert snappy.decode(snappy.encode(data)) == data
        for chunk in (50, 100, 65536):
            literals = snappy.encode_literals(data, chunk)
            assert snappy.decode(literals) == data
            assert bytes(cramjam.snappy.decompress_raw(literals)) == data


# --- messages and damage -------------------------------------------------------------------------


def test_messages_are_parsed_back() -> None:
    for header in (
        oracle.Header(),
        oracle.Header(3, 1, producer=2, min_consumer=-1, bad_consumers=(1, -2)),
        oracle.Header(has_version=False, producer=0),
    ):
        assert oracle.Header.decode(header.encode()) == header
    unknown = varint_field(1000, 5) + group_field(9, group_field(8, varint_field(1, 1)))
    for entry in (
        oracle.Entry(1, (2, 0, 3), 1, 5, 2**40, 7, extra=unknown),
        oracle.Entry(-1, (), -1, -5, -6),
        oracle.Entry(1, (4, 3), slices=((None, (0, 2)), ((2, 2), None))),
    ):
        assert oracle.Entry.decode(entry.encode()) == entry


@pytest.mark.parametrize(
    "message", ["08", "0880", "0a05616263", "00", "0601", "0b", "0b14", "0c", "35010203", "0901"]
)
def test_malformed_messages_are_refused(message: str) -> None:
    with pytest.raises(oracle.OracleError):
        decode_fields(bytes.fromhex(message))


def test_entries_can_be_made_wrong_under_right_checksums(tmp_path: Path) -> None:
    for field, value in (("size", 47), ("offset", 200), ("shard_id", 1), ("masked_crc", 1)):
        bundle = oracle.build_bundle(TENSORS)
        setattr(bundle.entry("w"), field, value)
        bundle.write(tmp_path / "ck")
        assert oracle.read_entries(tmp_path / "ck")[1][b"w"] == bundle.entry("w")
        with pytest.raises((oracle.OracleError, FileNotFoundError)):
            oracle.read_bundle(tmp_path / "ck")
    bundle.entries[b"w"] = b"\xff\xff"
    assert (b"w", b"\xff\xff") in oracle.read_table(bundle.index())


def test_tables_can_be_made_wrong_under_right_checksums() -> None:
    def closed() -> list[oracle.Block]:
        writer = TableWriter(1)
        for key in (b"a", b"b"):
            writer.add(key, b"value")
        return writer.close()

    assert len(oracle.read_table(oracle.assemble(closed()))) == 2
    for change in (
        {"handle": b"\xff\x7f\x05"},
        {"masked_crc": 0},
        {"kind": 2},
        {"kind": 1},
        {"index_key": b""},
        {"stored": b"\x05\x01\x01ab" + bytes.fromhex("0000000001000000")},
    ):
        blocks = closed()
        for field, value in change.items():
            setattr(blocks[0], field, value)
        with pytest.raises(oracle.OracleError):
            oracle.read_table(oracle.assemble(blocks))
    with pytest.raises(oracle.OracleError):
        oracle.read_table(oracle.assemble(closed()[::-1]))
    with pytest.raises(oracle.OracleError):
        oracle.read_table(oracle.assemble(closed(), footer=lambda _, index: index * 24))


FOOTER = len(INDEX) - 48
METAINDEX = range(0xEB, 0xF8)
HANDLES = range(FOOTER, FOOTER + 6)
PADDING = range(FOOTER + 6, FOOTER + 40)


def pairs_or_none(table: bytes) -> list[tuple[bytes, bytes]] | None:
    try:
        return oracle.read_table(table)
    except oracle.OracleError:
        return None


def test_every_flipped_bit_is_noticed() -> None:
    intact = oracle.read_table(INDEX)
    for at, bit in product(range(len(INDEX)), range(8)):
        damaged = bytearray(INDEX)
        damaged[at] ^= 1 << bit
        read = pairs_or_none(bytes(damaged))
        if at in METAINDEX or at in PADDING:
            assert read == intact, at
        elif at in HANDLES:
            # Where the metaindex is does not matter, nor how many bytes a varint takes.
            assert read in (None, intact), at
        else:
            assert read is None, at


def test_every_cut_is_noticed() -> None:
    accepted = [size for size in range(len(INDEX)) if pairs_or_none(INDEX[:size]) is not None]
    assert accepted == []
