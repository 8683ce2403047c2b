"""Damaged and malformed V1 files: the typed error each must give, for its tensor only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import fastckpt
from oracle.coding import bytes_field, slice_key, varint_field
from oracle.legacy import MetaItem, V1File, build_v1, encode_tensor

GOOD = np.array([1.5, -2.0], np.float32)
Change = Callable[[V1File], None]


def neighbours() -> V1File:
    """Three tensors; the middle one is to be harmed."""
    return build_v1({"a": GOOD, "bad": GOOD, "z": GOOD})


def set_tensor(tensor: bytes) -> Change:
    """Replace the TensorProto of `bad`."""
    return lambda v1: v1.set_tensor("bad", tensor)


def set_record(record: bytes) -> Change:
    """Replace the record of `bad`."""
    return lambda v1: v1.records.__setitem__(slice_key(b"bad", [None]), record)


def set_item(**fields: object) -> Change:
    """Change what the file says of `bad`."""

    def change(v1: V1File) -> None:
        for name, value in fields.items():
            setattr(v1.item("bad"), name, value)

    return change


def drop_record(v1: V1File) -> None:
    del v1.records[slice_key(b"bad", [None])]


def describe_twice(v1: V1File) -> None:
    v1.items.append(MetaItem(b"bad", (3,), 1, [[None]]))


def store_twice(v1: V1File) -> None:
    v1.add("bad", GOOD)


def overlap(v1: V1File) -> None:
    v1.item("bad").slices = []
    v1.add("bad", GOOD[:1], shape=(2,), extents=[(0, 1)])
    v1.add("bad", GOOD, shape=(2,), extents=[(0, 2)])


DATA_LOSS = fastckpt.DataLossError
TWO = encode_tensor(GOOD, 1)

CASES: dict[str, tuple[Change, type[Exception]]] = {
    "record_missing": (drop_record, DATA_LOSS),
    "record_unparsable": (set_record(b"\x12\x05\x0a"), DATA_LOSS),
    "slice_unparsable": (set_record(bytes_field(2, b"\x1a\x05")), DATA_LOSS),
    "tensor_unparsable": (set_tensor(TWO + b"\x2a"), DATA_LOSS),
    "record_empty": (set_record(b""), DATA_LOSS),
    "too_few": (set_tensor(encode_tensor(GOOD[:1], 1)), DATA_LOSS),
    "too_many": (set_tensor(encode_tensor(np.zeros(3, np.float32), 1)), DATA_LOSS),
    "half_a_number": (set_tensor(bytes_field(5, b"1234567")), DATA_LOSS),
    "wrong_field": (set_tensor(encode_tensor(GOOD.astype(np.float64), 2)), DATA_LOSS),
    "tensor_content": (set_tensor(bytes_field(4, GOOD.tobytes())), fastckpt.UnsupportedError),
    "varint_cut_off": (
        lambda v1: (
            set_item(dtype=9)(v1),
            set_tensor(bytes_field(10, b"\x01\x80"))(v1),
        )[0],
        DATA_LOSS,
    ),
    "varint_too_long": (
        lambda v1: (
            set_item(dtype=9)(v1),
            set_tensor(bytes_field(10, b"\x01" + b"\x80" * 10 + b"\x01"))(v1),
        )[0],
        DATA_LOSS,
    ),
    "negative_dim": (set_item(shape=(-2,)), DATA_LOSS),
    "overflowing_dims": (set_item(shape=(2**40, 2**40)), DATA_LOSS),
    "huge_dim": (set_item(shape=(2**60,)), DATA_LOSS),
    "rank_255": (set_item(shape=(1,) * 255, slices=[(None,) * 255]), DATA_LOSS),
    "unknown_rank": (set_item(extra=bytes_field(2, varint_field(3, 1))), DATA_LOSS),
    "dtype_invalid": (set_item(dtype=0), DATA_LOSS),
    "dtype_unknown": (set_item(dtype=77), DATA_LOSS),
    "dtype_ref": (set_item(dtype=101), DATA_LOSS),
    "dtype_bfloat16": (set_item(dtype=14), fastckpt.UnsupportedError),
    "dtype_uint32": (set_item(dtype=22), fastckpt.UnsupportedError),
    "dtype_variant": (set_item(dtype=21), fastckpt.UnsupportedError),
    "slice_outside": (set_item(slices=[[(1, 2)]]), DATA_LOSS),
    "slice_negative": (set_item(slices=[[(-1, 2)]]), DATA_LOSS),
    "slice_overflows": (set_item(slices=[[(2**62, 2**63 - 1)]]), DATA_LOSS),
    "slice_of_other_rank": (set_item(slices=[[None, None]]), DATA_LOSS),
    "slice_unparsable_in_meta": (set_item(extra=bytes_field(4, b"\x0a\x05")), DATA_LOSS),
    "item_unparsable": (set_item(extra=b"\x22"), DATA_LOSS),
    "no_slices": (set_item(slices=[]), fastckpt.InvalidArgumentError),
    "described_twice": (describe_twice, DATA_LOSS),
    "stored_twice": (store_twice, DATA_LOSS),
    "overlapping": (overlap, fastckpt.InvalidArgumentError),
}


@pytest.mark.parametrize("case", CASES)
def test_one_bad_tensor(tmp_path: Path, case: str) -> None:
    change, error = CASES[case]
    v1 = neighbours()
    change(v1)
    with fastckpt.open(v1.write(tmp_path / "model")) as ckpt:
        assert list(ckpt) == ["a", "bad", "z"]
        for read in (
            lambda: ckpt["bad"],
            lambda: ckpt.load(["a", "bad"]),
            lambda: dict(ckpt.stream()),
        ):
            with pytest.raises(error) as caught:
                read()
            assert type(caught.value) is error
            assert caught.value.key == "bad"  # type: ignore[attr-defined]
        for name in ("a", "z"):
            assert ckpt[name].tolist() == [1.5, -2.0]
        report = ckpt.verify()
    assert not report.ok
    assert {failure.error.key for failure in report.failures} == {"bad"}


def test_a_nameless_tensor(tmp_path: Path) -> None:
    v1 = neighbours()
    v1.items[1] = b""
    with fastckpt.open(v1.write(tmp_path / "model")) as ckpt:
        assert list(ckpt) == ["", "a", "z"]
        with pytest.raises(DATA_LOSS):
            ckpt[""]
        assert ckpt["z"].tolist() == [1.5, -2.0]
    with fastckpt.open(tmp_path / "model", on_damage="skip") as ckpt:
        assert list(ckpt) == ["a", "z"]
        assert [part.up_to for part in ckpt.damage] == [""]


# --- the file ------------------------------------------------------------------------------------

BAD_META = {
    "absent": (b"", DATA_LOSS),
    "not_a_message": (b"\x0a\x7f\x01", DATA_LOSS),
    "item_runs_past": (bytes_field(1, b"\x0a\x7f\x01"), DATA_LOSS),
    "version_unparsable": (bytes_field(1, bytes_field(2, b"\x08")), DATA_LOSS),
    "producer_negative": (
        bytes_field(1, bytes_field(2, varint_field(1, -1))),
        fastckpt.InvalidArgumentError,
    ),
    "consumer_too_old": (
        bytes_field(1, bytes_field(2, varint_field(2, 2))),
        fastckpt.InvalidArgumentError,
    ),
    "consumer_refused": (
        bytes_field(1, bytes_field(2, varint_field(3, 1))),
        fastckpt.InvalidArgumentError,
    ),
    "consumer_refused_packed": (
        bytes_field(1, bytes_field(2, bytes_field(3, b"\x05\x01"))),
        fastckpt.InvalidArgumentError,
    ),
}


@pytest.mark.parametrize("case", BAD_META)
def test_bad_meta_record(tmp_path: Path, case: str) -> None:
    meta, error = BAD_META[case]
    v1 = neighbours()
    v1.meta = meta
    path = v1.write(tmp_path / "model")
    with pytest.raises(error) as caught:
        fastckpt.open(path)
    assert caught.value.path == str(path)  # type: ignore[attr-defined]


def test_no_meta_record(tmp_path: Path) -> None:
    class Headless(V1File):
        def pairs(self):  # type: ignore[no-untyped-def]
            return super().pairs()[1:]

    v1 = Headless()
    v1.add("a", GOOD)
    with pytest.raises(DATA_LOSS, match="no record of its tensors"):
        fastckpt.open(v1.write(tmp_path / "model"))


def test_every_bit_flip(tmp_path: Path) -> None:
    v1 = build_v1({"f": GOOD, "s": [b"ab", b""], "i": np.array([-1, 300])})
    data = v1.table(block_size=40)
    path = tmp_path / "model"
    outcomes = set()
    for bit in range(len(data) * 8):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            with fastckpt.open(path) as ckpt:
                intact = ckpt.verify().ok
                values = ckpt.load()
        except fastckpt.CheckpointError as error:
            outcomes.add(type(error))
            continue
        outcomes.add("read")
        assert list(values) == ["f", "i", "s"]
        assert values["f"].tolist() == [1.5, -2.0]
        assert values["i"].tolist() == [-1, 300]
        assert values["s"].tolist() == [b"ab", b""]
        assert not intact, f"bit {bit} is checked by nobody"
    assert {DATA_LOSS, "read"} <= outcomes


def test_every_truncation(tmp_path: Path) -> None:
    data = neighbours().table(block_size=40)
    path = tmp_path / "model"
    for size in range(len(data)):
        path.write_bytes(data[:size])
        with pytest.raises(fastckpt.CheckpointError):
            fastckpt.open(path)


def test_damaged_block_of_values(tmp_path: Path) -> None:
    data = bytearray(neighbours().table(block_size=40))
    place = data.index(slice_key(b"bad", [None])[3:])
    data[place + 20] ^= 1
    path = tmp_path / "model"
    path.write_bytes(data)
    with fastckpt.open(path) as ckpt:
        assert ckpt["a"].tolist() == ckpt["z"].tolist() == [1.5, -2.0]
        for _ in range(2):
            with pytest.raises(DATA_LOSS, match="checksum") as caught:
                ckpt["bad"]
            assert (caught.value.key, caught.value.path) == ("bad", str(path))
        assert [x.name for x in ckpt.verify().failures] == ["bad", None]
    with pytest.raises(DATA_LOSS, match="checksum"):
        fastckpt.open(path, verify="eager")


# --- several files -------------------------------------------------------------------------------


def test_damaged_shard(tmp_path: Path) -> None:
    good = build_v1({"a": GOOD}).table()
    bad = bytearray(build_v1({"b": GOOD}).table())
    bad[5] ^= 1
    (tmp_path / "m-00000-of-00002").write_bytes(good)
    (tmp_path / "m-00001-of-00002").write_bytes(bad)
    pattern = tmp_path / "m-?????-of-00002"
    with pytest.raises(DATA_LOSS, match="checksum") as caught:
        fastckpt.open(pattern)
    assert caught.value.path == str(tmp_path / "m-00001-of-00002")
    with fastckpt.open(pattern, on_damage="skip") as ckpt:
        assert {name: value.tolist() for name, value in ckpt.items()} == {"a": [1.5, -2.0]}
        assert len(ckpt.damage) == 1
        assert ckpt.damage[0].error.path == str(tmp_path / "m-00001-of-00002")
        assert not ckpt.verify().ok
    (tmp_path / "m-00000-of-00002").write_bytes(bad)
    with pytest.raises(DATA_LOSS, match="checksum"):
        fastckpt.open(pattern, on_damage="skip")


@pytest.mark.parametrize("case", ["same_slice", "other_shape", "other_dtype"])
def test_shards_that_contradict(tmp_path: Path, case: str) -> None:
    values = {"same_slice": GOOD, "other_shape": np.zeros(3, np.float32), "other_dtype": GOOD + 0j}
    build_v1({"a": GOOD, "ok": GOOD}).write(tmp_path / "m-00000-of-00002")
    build_v1({"a": values[case]}).write(tmp_path / "m-00001-of-00002")
    with fastckpt.open(tmp_path / "m-?????-of-00002") as ckpt:
        with pytest.raises(DATA_LOSS) as caught:
            ckpt["a"]
        assert caught.value.key == "a"
        assert ckpt["ok"].tolist() == [1.5, -2.0]
        assert next(x.name for x in ckpt.verify().failures) == "a"


def test_file_that_changes_while_open(tmp_path: Path) -> None:
    path = neighbours().write(tmp_path / "model")
    with fastckpt.open(path) as ckpt:
        path.write_bytes(path.read_bytes()[:60])
        with pytest.raises(DATA_LOSS):
            ckpt["z"]
        path.write_bytes(build_v1({"a": GOOD, "bad": GOOD, "z": GOOD * 2}).table())
        kinds = {type(x.error) for x in ckpt.verify().failures}
    assert fastckpt.CheckpointChangedError in kinds
