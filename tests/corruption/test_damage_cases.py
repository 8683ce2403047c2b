"""Damage of one entry or of its bytes is a typed error of that tensor and of nothing else.

The other tensors stay readable, and verify() names every damaged one. TensorFlow's process dies of
several of these.
"""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

import fastckpt
from corruption import forge
from corruption.forge import Record, entry, header
from oracle import crc32c, mask, masked_crc
from oracle.coding import encode_varint, fixed32_field
from oracle.entry import encode_shape
from oracle.tensor import encode_strings, encode_variants

GOOD = struct.pack("<2f", 1.5, -2.0)
GOOD_CRC = masked_crc(GOOD)
MANY = 2**62


def two_neighbours(bad: Record) -> list[Record]:
    """An index with a bad entry between two good ones that share the bytes GOOD."""
    return [header(), entry("a", GOOD), bad, entry("z", GOOD)]


def assert_only_bad(prefix: Path, error: type[Exception] | tuple[type[Exception], ...]) -> None:
    """Check that `bad` raises, names itself, and leaves its neighbours alone."""
    with fastckpt.open(prefix) as ckpt:
        assert list(ckpt) == ["a", "bad", "z"]
        for read in (
            lambda: ckpt["bad"],
            lambda: ckpt.tensor("bad").read(),
            lambda: ckpt.load(["a", "bad"]),
            lambda: dict(ckpt.stream()),
        ):
            with pytest.raises(error) as caught:
                read()
            assert caught.value.key == "bad"
        for name in ("a", "z"):
            assert ckpt[name].tolist() == [1.5, -2.0]
        report = ckpt.verify()
        assert [failure.name for failure in report.failures] == ["bad"]
        assert not report.ok


# --- one entry -----------------------------------------------------------------------------------

BAD_ENTRIES: dict[str, Record] = {
    "unparsable": (b"bad", b"\x08"),
    "unparsable_length": (b"bad", b"\x12\xff\xff\xff\xff\x0f"),
    "group_wire_type": (b"bad", b"\x0b\x0c"),
    "negative_dim": entry("bad", GOOD, shape=(-2,)),
    "most_negative_dim": entry("bad", GOOD, shape=(-(2**63),)),
    "two_negative_dims": entry("bad", GOOD, shape=(-1, -2)),
    "count_overflow": entry("bad", GOOD, shape=(2**32, 2**32)),
    "count_overflow_behind_zero": entry("bad", b"", shape=(2**62, 2**62, 0)),
    "bytes_overflow": entry("bad", GOOD, shape=(2**62,)),
    "rank_255": entry("bad", GOOD[:4], shape=(1,) * 255),
    "unknown_rank": (b"bad", forge.message((1, 1), (2, forge.message((3, 1))), (5, 4))),
    "size_short": entry("bad", GOOD, size=4),
    "size_long": entry("bad", GOOD, size=12),
    "size_negative": entry("bad", GOOD, size=-8),
    "size_absent": (b"bad", forge.message((1, 1), (2, encode_shape((2,))))),
    "size_of_an_empty_tensor": entry("bad", GOOD, shape=(0,)),
    "crc_wrong": entry("bad", GOOD, crc=GOOD_CRC ^ 1),
    "crc_unmasked": entry("bad", GOOD, crc=crc32c(GOOD)),
    "crc_absent": (b"bad", forge.message((1, 1), (2, encode_shape((2,))), (5, 8))),
    "offset_negative": entry("bad", GOOD, offset=-1),
    "offset_at_end": entry("bad", GOOD, offset=len(GOOD)),
    "offset_beyond_file": entry("bad", GOOD, offset=1 << 40),
    "offset_overflow": entry("bad", GOOD, offset=2**63 - 1),
    "end_beyond_file": entry("bad", GOOD, offset=4),
    "shard_negative": entry("bad", GOOD, shard=-1),
    "shard_out_of_range": entry("bad", GOOD, shard=1),
    "shard_far_out_of_range": entry("bad", GOOD, shard=2**31 - 1),
    "huge_but_consistent": entry("bad", GOOD, dtype=forge.UINT8, shape=(MANY,), size=MANY),
}


@pytest.mark.parametrize("case", BAD_ENTRIES)
def test_bad_entry(case: str, tmp_path: Path) -> None:
    prefix = forge.write_records(tmp_path, two_neighbours(BAD_ENTRIES[case]), GOOD)
    assert_only_bad(prefix, fastckpt.DataLossError)


@pytest.mark.parametrize("dtype", [0, 20, 34, 99, 101, 107, 2**31 - 1, -1])
def test_bad_dtype(dtype: int, tmp_path: Path) -> None:
    prefix = forge.write_records(tmp_path, two_neighbours(entry("bad", GOOD, dtype=dtype)), GOOD)
    assert_only_bad(prefix, (fastckpt.DataLossError, fastckpt.UnsupportedError))


def test_every_bad_entry_is_reported(tmp_path: Path) -> None:
    bad = {f"bad/{case}": value for case, (_, value) in BAD_ENTRIES.items()}
    bad |= {f"bad/dtype_{n}": entry("", GOOD, dtype=n)[1] for n in (0, 20, 99, 101)}
    good = dict(entry(f"good/{i}", GOOD) for i in range(10))
    records = {name.encode(): value for name, value in bad.items()} | good
    prefix = forge.write_records(tmp_path, [header(), *sorted(records.items())], GOOD)
    with fastckpt.open(prefix) as ckpt:
        report = ckpt.verify()
        for name in good:
            assert ckpt[name.decode()].tolist() == [1.5, -2.0]
    assert sorted(failure.name for failure in report.failures) == sorted(bad)
    assert report.tensors == len(records)


def test_rank_254_is_fine(tmp_path: Path) -> None:
    shape = (1,) * 253 + (2,)
    prefix = forge.write_records(tmp_path, [header(), entry("deep", GOOD, shape=shape)], GOOD)
    with fastckpt.open(prefix) as ckpt:
        assert ckpt.tensor("deep").shape == shape
        assert ckpt.verify().ok


def test_empty_tensor_may_stand_beyond_the_end(tmp_path: Path) -> None:
    records = [header(), entry("none", b"", shape=(0, 3), offset=1 << 40)]
    with fastckpt.open(forge.write_records(tmp_path, records, b"")) as ckpt:
        assert ckpt["none"].shape == (0, 3)
        assert ckpt.verify().ok


def test_unknown_fields_are_ignored(tmp_path: Path) -> None:
    name, value = entry("w", GOOD)
    extra = forge.message((1000, b"kept"), (1001, 7)) + fixed32_field(1002, 1)
    start, version = header()
    with fastckpt.open(
        forge.write_records(tmp_path, [(start, version + extra), (name, value + extra)], GOOD)
    ) as ckpt:
        assert ckpt["w"].tolist() == [1.5, -2.0]
        assert ckpt.verify().ok


# --- strings and variants ------------------------------------------------------------------------

STRINGS, STRINGS_CRC = encode_strings([b"ab", b"", b"xyz"])


def long_lengths(*lengths: int) -> bytes:
    """String bytes whose length varints are the given ones; nothing follows the checksum."""
    packed = b"".join(struct.pack("<I" if n < 2**32 else "<Q", n) for n in lengths)
    return b"".join(map(encode_varint, lengths)) + masked_crc(packed).to_bytes(4, "little")


BAD_STRINGS: dict[str, tuple[bytes, int]] = {
    # name: (stored bytes, number of elements)
    "length_checksum": (STRINGS[:3] + b"\0\0\0\0" + STRINGS[7:], 3),
    "too_short_for_its_count": (STRINGS, 3 * len(STRINGS)),
    "more_elements_than_bytes": (STRINGS, 2**40),
    "content_cut": (STRINGS[:-1], 3),
    "content_long": (STRINGS + b"!", 3),
    "length_runs_past": (long_lengths(1000), 1),
    "lengths_overflow": (long_lengths(2**63, 2**63, 1), 3),
    "length_of_all_ones": (long_lengths(2**64 - 1), 1),
    "endless_varint": (b"\x80" * 12 + STRINGS, 3),
    "no_checksum": (b"\0", 1),
}


@pytest.mark.parametrize("case", BAD_STRINGS)
def test_bad_strings(case: str, tmp_path: Path) -> None:
    stored, count = BAD_STRINGS[case]
    # The checksum agrees with the elements as far as they can be told apart.
    bad = entry("bad", stored, dtype=forge.STRING, shape=(count,), offset=len(GOOD),
                crc=mask(STRINGS_CRC))  # fmt: skip
    prefix = forge.write_records(tmp_path, two_neighbours(bad), GOOD + stored)
    assert_only_bad(prefix, fastckpt.DataLossError)


def test_forged_strings_are_fine_when_left_alone(tmp_path: Path) -> None:
    good = entry("s", STRINGS, dtype=forge.STRING, shape=(3,), crc=mask(STRINGS_CRC))
    with fastckpt.open(forge.write_records(tmp_path, [header(), good], STRINGS)) as ckpt:
        assert ckpt["s"].tolist() == [b"ab", b"", b"xyz"]
        assert ckpt.verify().ok


def test_variant_of_foreign_byte_order(tmp_path: Path) -> None:
    stored, crc = encode_variants([b"record"])
    bad = entry("bad", stored, dtype=forge.VARIANT, shape=(), crc=mask(crc))
    records = [header(big_endian=True), bad]
    with fastckpt.open(forge.write_records(tmp_path, records, stored)) as ckpt:
        assert ckpt.byteorder == "big"
        with pytest.raises(fastckpt.UnsupportedError):
            ckpt["bad"]


def test_upper_bits_of_sub_byte_types_are_ignored(tmp_path: Path) -> None:
    stored = b"\xfe\xf8\x07"
    record = entry("nibbles", stored, dtype=forge.INT4, shape=(3,))
    with fastckpt.open(forge.write_records(tmp_path, [header(), record], stored)) as ckpt:
        handle = ckpt.tensor("nibbles")
        assert not handle.can_view
        for values in (ckpt["nibbles"], handle.read(), ckpt.load()["nibbles"]):
            assert values.astype(int).tolist() == [-2, -8, 7]
            assert values.tobytes() == b"\x0e\x08\x07"
        assert ckpt.verify().ok


def test_bool_bytes_are_normalised(tmp_path: Path) -> None:
    stored = b"\x00\x01\x02\xff"
    record = entry("flags", stored, dtype=forge.BOOL, shape=(4,))
    with fastckpt.open(forge.write_records(tmp_path, [header(), record], stored)) as ckpt:
        assert ckpt["flags"].tobytes() == b"\x00\x01\x01\x01"
        assert ckpt.tensor("flags").read().tobytes() == b"\x00\x01\x01\x01"
        assert ckpt.load()["flags"].tobytes() == b"\x00\x01\x01\x01"
        assert dict(ckpt.stream())["flags"].tobytes() == b"\x00\x01\x01\x01"


# --- shards --------------------------------------------------------------------------------------


def test_missing_shard(tmp_path: Path) -> None:
    records = [header(2), entry("a", GOOD), entry("bad", GOOD, shard=1), entry("z", GOOD)]
    prefix = forge.write_records(tmp_path, records, GOOD, GOOD)
    with fastckpt.open(prefix) as ckpt:
        assert ckpt.verify().ok
    Path(f"{prefix}.data-00001-of-00002").unlink()
    assert_only_bad(prefix, fastckpt.CheckpointNotFoundError)


def test_wrong_number_of_shards(tmp_path: Path) -> None:
    prefix = forge.write_records(tmp_path, [header(3), entry("a", GOOD)], GOOD)
    with fastckpt.open(prefix) as ckpt:
        assert list(ckpt) == ["a"]
        with pytest.raises(fastckpt.CheckpointNotFoundError, match="data-00000-of-00003"):
            ckpt["a"]
        assert [failure.name for failure in ckpt.verify().failures] == ["a"]


@pytest.mark.parametrize("num_shards", [0, 2**31 - 1])
def test_absurd_number_of_shards(num_shards: int, tmp_path: Path) -> None:
    prefix = forge.write_records(tmp_path, [header(num_shards), entry("a", GOOD)], GOOD)
    with pytest.raises(fastckpt.CheckpointError), fastckpt.open(prefix) as ckpt:
        ckpt["a"]


def test_short_shard(tmp_path: Path) -> None:
    bad = entry("bad", GOOD, offset=len(GOOD))
    prefix = forge.write_records(tmp_path, two_neighbours(bad), GOOD + GOOD[:-1])
    assert_only_bad(prefix, fastckpt.DataLossError)
