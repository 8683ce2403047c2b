"""Damage of the container, the header or the order of keys raises when a checkpoint is opened.

Nothing is dropped in silence: a damaged block is skipped only where that is asked for, and is then
listed.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import fastckpt
from corruption import forge
from corruption.forge import Record, entry, header
from oracle import encode_block
from oracle.coding import encode_varint
from oracle.table import MAGIC, encode_footer

GOOD = struct.pack("<2f", 1.5, -2.0)


def assert_refused(
    prefix: Path, error: type[Exception] | tuple[type[Exception], ...] = fastckpt.DataLossError
) -> None:
    """Check that nothing opens, not even when damage may be skipped."""
    for on_damage in ("raise", "skip"):
        with pytest.raises(error) as caught:
            fastckpt.open(prefix, on_damage=on_damage)
        assert "forged.ckpt" in str(caught.value.path)


# --- header and order of keys --------------------------------------------------------------------

BAD_RECORDS: dict[str, list[Record]] = {
    "empty_table": [],
    "no_header": [entry("a", GOOD)],
    "header_is_a_tensor_name": [(b"a", header()[1]), entry("b", GOOD)],
    "header_unparsable": [(b"", b"\x08"), entry("a", GOOD)],
    "header_bad_version": [(b"", b"\x08\x01\x1a\x05"), entry("a", GOOD)],
    "unknown_byte_order": [(b"", forge.message((1, 1), (2, 2))), entry("a", GOOD)],
    "negative_shards": [header(-1), entry("a", GOOD)],
    "two_headers": [header(), header(), entry("a", GOOD)],
}


@pytest.mark.parametrize("case", BAD_RECORDS)
def test_bad_records(case: str, tmp_path: Path) -> None:
    prefix = forge.write_records(tmp_path, BAD_RECORDS[case], GOOD)
    with pytest.raises(fastckpt.DataLossError):
        fastckpt.open(prefix)


@pytest.mark.parametrize("names", ["aa", "ba", "acb", "abca"])
def test_keys_out_of_order(names: str, tmp_path: Path) -> None:
    records = [header(), *(entry(name, GOOD) for name in names)]
    with pytest.raises(fastckpt.DataLossError, match="order"):
        fastckpt.open(forge.write_records(tmp_path, records, GOOD))


def test_keys_out_of_order_across_blocks(tmp_path: Path) -> None:
    blocks = [encode_block([header(), entry("m", GOOD)]), encode_block([entry("a", GOOD)])]
    with pytest.raises(fastckpt.DataLossError, match="order"):
        fastckpt.open(forge.write(tmp_path, forge.table(blocks), GOOD))


@pytest.mark.parametrize(
    ("version", "fine"),
    [
        ({}, True),
        ({"producer": 0}, True),
        ({"producer": 2}, True),
        ({"producer": 2**31 - 1, "min_consumer": 1}, True),
        ({"bad_consumers": [0, 2]}, True),
        ({"producer": -1}, False),
        ({"min_consumer": 2}, False),
        ({"min_consumer": 2**31 - 1}, False),
        ({"bad_consumers": [1]}, False),
        ({"bad_consumers": [0, 1, 2]}, False),
    ],
)
def test_version_rules(version: dict[str, int], fine: bool, tmp_path: Path) -> None:
    prefix = forge.write_records(tmp_path, [header(**version), entry("a", GOOD)], GOOD)
    if fine:
        with fastckpt.open(prefix) as ckpt:
            assert ckpt.verify().ok
    else:
        assert_refused(prefix, fastckpt.InvalidArgumentError)


def test_header_without_version(tmp_path: Path) -> None:
    prefix = forge.write_records(tmp_path, [(b"", b"\x08\x01"), entry("a", GOOD)], GOOD)
    with fastckpt.open(prefix) as ckpt:
        assert ckpt["a"].tolist() == [1.5, -2.0]


def test_header_is_no_tensor(tmp_path: Path) -> None:
    prefix = forge.write_records(tmp_path, [header(), entry("a", GOOD)], GOOD)
    with fastckpt.open(prefix) as ckpt:
        assert "" not in ckpt
        with pytest.raises(fastckpt.TensorNotFoundError):
            ckpt[""]


def test_zero_tensors(tmp_path: Path) -> None:
    with fastckpt.open(forge.write_records(tmp_path, [header()], b"")) as ckpt:
        assert list(ckpt) == []
        assert ckpt.load() == {}
        assert ckpt.verify().ok


# --- blocks, handles, footer ---------------------------------------------------------------------

PLAIN = encode_block([header(), entry("a", GOOD)])
RESTARTS = struct.pack("<II", 0, 1)


def raw_entry(shared: int, unshared: int, value_size: int, rest: bytes = b"") -> bytes:
    """A block entry with free lengths."""
    return b"".join(map(encode_varint, (shared, unshared, value_size))) + rest


FIRST = raw_entry(0, 0, len(header()[1]), header()[1])

BAD_TABLES: dict[str, bytes] = {
    "nothing": b"",
    "one_byte": b"\0",
    "47_bytes": forge.table([PLAIN])[-47:],
    "no_magic": bytes(200),
    "magic_alone": bytes(40) + MAGIC,
    "text": b"version https://example.org/spec/v1\noid sha256:4d7a\nsize 12345\n" * 3,
    "block_type_2": forge.table([PLAIN], kinds=[2]),
    "block_type_255": forge.table([PLAIN], kinds=[255]),
    "index_block_type": forge.table([PLAIN], index_kind=7),
    "not_snappy": forge.table([PLAIN], kinds=[forge.SNAPPY]),
    "block_of_3_bytes": forge.table([b"\0\0\0"]),
    "no_restarts": forge.table([FIRST + struct.pack("<I", 0)]),
    "too_many_restarts": forge.table([FIRST + struct.pack("<I", 2**32 - 1)]),
    "restarts_wrap": forge.table([FIRST + struct.pack("<I", 2**30)]),
    "first_entry_shares": forge.table([raw_entry(1, 0, 0) + RESTARTS]),
    "shares_too_much": forge.table([FIRST + raw_entry(1, 1, 0, b"b") + RESTARTS]),
    "key_past_end": forge.table([FIRST + raw_entry(0, 100, 0, b"b") + RESTARTS]),
    "value_past_end": forge.table([FIRST + raw_entry(0, 1, 100, b"b") + RESTARTS]),
    "lengths_wrap_32_bits": forge.table([FIRST + raw_entry(0, 2**32 - 1, 2, b"bb") + RESTARTS]),
    "lengths_past_32_bits": forge.table([FIRST + raw_entry(0, 2**63, 2**63, b"") + RESTARTS]),
    "endless_length": forge.table([FIRST + b"\xff" * 12 + RESTARTS]),
    "handle_past_end": forge.table([PLAIN], handles=[forge.encode_handle(0, 1 << 40)]),
    "handle_into_footer": forge.table([PLAIN], handles=[forge.encode_handle(0, len(PLAIN) + 200)]),
    "handle_wraps": forge.table([PLAIN], handles=[forge.encode_handle(2**64 - 1, 2**64 - 1)]),
    "handle_size_wraps": forge.table([PLAIN], handles=[forge.encode_handle(1, 2**64 - 2)]),
    "handle_cut": forge.table([PLAIN], handles=[b"\x00"]),
    "handle_empty": forge.table([PLAIN], handles=[b""]),
    "handle_endless": forge.table([PLAIN], handles=[b"\xff" * 20]),
    "handle_twice": forge.table([PLAIN], handles=[forge.encode_handle(0, len(PLAIN))] * 2),
    "handle_to_index_block": forge.table(
        [PLAIN], handles=[forge.encode_handle(len(PLAIN) + 5 + 8 + 5, 22)]
    ),
    "footer_handles_cut": forge.seal(PLAIN) + b"\xff" * 40 + MAGIC,
    "footer_index_past_end": forge.seal(PLAIN)
    + encode_footer(forge.encode_handle(0, 8), forge.encode_handle(1 << 50, 8)),
    "footer_index_wraps": forge.seal(PLAIN)
    + encode_footer(forge.encode_handle(0, 8), forge.encode_handle(2**64 - 3, 2**64 - 3)),
    "footer_index_is_footer": encode_footer(forge.encode_handle(0, 8), forge.encode_handle(0, 43)),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_table(case: str, tmp_path: Path) -> None:
    prefix = forge.write(tmp_path, BAD_TABLES[case], GOOD)
    with pytest.raises(fastckpt.DataLossError) as caught:
        fastckpt.open(prefix)
    assert "forged.ckpt.index" in str(caught.value)


def test_forged_table_is_fine_when_left_alone(tmp_path: Path) -> None:
    tail = forge.table([PLAIN], handles=[forge.encode_handle(0, len(PLAIN)) + b"more"])
    for index in (forge.table([PLAIN]), tail):
        with fastckpt.open(forge.write(tmp_path, index, GOOD)) as ckpt:
            assert ckpt["a"].tolist() == [1.5, -2.0]
            assert ckpt.verify().ok


UNREAD: dict[str, Callable[[bytes], bytes]] = {
    "footer_padding": lambda index: index[:-9] + b"\x01" + index[-8:],
    "metaindex_content": lambda index: index.replace(
        forge.seal(forge.EMPTY_BLOCK), forge.seal(forge.EMPTY_BLOCK)[:-1] + b"\0"
    ),
}


@pytest.mark.parametrize("case", UNREAD)
def test_what_no_reader_needs_is_verified(case: str, tmp_path: Path) -> None:
    index = UNREAD[case](forge.table([PLAIN]))
    assert index != forge.table([PLAIN])
    with fastckpt.open(forge.write(tmp_path, index, GOOD)) as ckpt:
        assert ckpt["a"].tolist() == [1.5, -2.0]
        report = ckpt.verify()
    assert not report.ok
    assert len(report.failures) == 1


def test_bytes_between_tensors_are_verified(tmp_path: Path) -> None:
    records = [header(), entry("a", GOOD), entry("b", GOOD, offset=64)]
    for gap, fine in ((bytes(56), True), (bytes(55) + b"\1", False)):
        prefix = forge.write_records(tmp_path, records, GOOD + gap + GOOD)
        with fastckpt.open(prefix) as ckpt:
            assert np.array_equal(ckpt["a"], ckpt["b"])
            assert ckpt.verify().ok is fine


# --- later blocks --------------------------------------------------------------------------------


def three_blocks() -> list[list[Record]]:
    """An index of three blocks: the header and a0..a9, b0..b9, c0..c9."""
    blocks = [[entry(f"{letter}{i}", GOOD) for i in range(10)] for letter in "abc"]
    blocks[0].insert(0, header())
    return blocks


def with_damaged_block(number: int) -> bytes:
    """The table of three_blocks() with one bit of one block flipped."""
    blocks = [encode_block(records) for records in three_blocks()]
    index = bytearray(forge.table(blocks))
    index[sum(len(stored) + 5 for stored in blocks[:number]) + 20] ^= 1
    return bytes(index)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_damaged_block_raises_at_open(number: int, tmp_path: Path) -> None:
    prefix = forge.write(tmp_path, with_damaged_block(number), GOOD)
    with pytest.raises(fastckpt.DataLossError, match="checksum") as caught:
        fastckpt.open(prefix)
    assert caught.value.offset is not None


@pytest.mark.parametrize("number", [1, 2])
def test_damaged_block_can_be_skipped(number: int, tmp_path: Path) -> None:
    prefix = forge.write(tmp_path, with_damaged_block(number), GOOD)
    lost = {f"{'abc'[number]}{i}" for i in range(10)}
    with fastckpt.open(prefix, on_damage="skip") as ckpt:
        assert set(ckpt) == {f"{letter}{i}" for letter in "abc" for i in range(10)} - lost
        assert len(ckpt.damage) == 1
        for name in ckpt:
            assert ckpt[name].tolist() == [1.5, -2.0]
        assert not ckpt.verify().ok


def test_header_block_cannot_be_skipped(tmp_path: Path) -> None:
    assert_refused(forge.write(tmp_path, with_damaged_block(0), GOOD))


def test_intact_blocks_open_without_damage(tmp_path: Path) -> None:
    index = forge.table([encode_block(records) for records in three_blocks()])
    with fastckpt.open(forge.write(tmp_path, index, GOOD), on_damage="skip") as ckpt:
        assert len(ckpt) == 30
        assert not ckpt.damage
        assert ckpt.verify().ok
