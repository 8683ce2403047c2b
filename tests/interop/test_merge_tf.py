"""A merge gives the files of TensorFlow's MergeV2Checkpoints, and has none of its traps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import fastckpt
import oracle
from merge_files import check_content, expected, numbers, snapshot, write_parts, write_plain
from oracle.coding import bytes_field, fixed32_field, fixed64_field, varint_field

pytest.importorskip("tensorflow", reason="TensorFlow is not installed")

import tensorflow as tf

from interop import zoo

pytestmark = pytest.mark.tf

Builder = Callable[[Path], list[str]]


def merge_by_tensorflow(prefixes: list[str], destination: Path, *, delete: bool = True) -> None:
    tf.raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=prefixes,
        destination_prefix=str(destination),
        delete_old_dirs=delete,
        allow_missing_files=False,
    )


def save_by_tensorflow(prefix: Path, names: list[str], specs: list[str], tensors: list) -> str:
    prefix.parent.mkdir(parents=True, exist_ok=True)
    tf.raw_ops.SaveV2(
        prefix=str(prefix), tensor_names=names, shape_and_slices=specs, tensors=tensors
    )
    return str(prefix)


# --- what is merged: each builder writes checkpoints into a folder, by its own rules -------------


def plain(count: int) -> Builder:
    def build(folder: Path) -> list[str]:
        tensors = {**zoo.dtype_tensors(), **zoo.string_tensors()}
        names = sorted(tensors)
        return [
            save_by_tensorflow(
                folder / f"in{part}" / "ck",
                names[part::count][::-1],
                [""] * len(names[part::count]),
                [tensors[name] for name in names[part::count][::-1]],
            )
            for part in range(count)
        ]

    return build


def partitioned(count: int) -> Builder:
    """Rows of two tensors over all parts, positions against the order of the parts."""

    def build(folder: Path) -> list[str]:
        prefixes = []
        for part in range(count):
            row = (count - 1 - part) * 2
            rows = numbers("embedding", (count * 2, 3))[row : row + 2]
            prefixes.append(
                save_by_tensorflow(
                    folder / f"in{part}" / "ck",
                    ["embedding", "explicit", f"own{part}"],
                    [f"{count * 2} 3 {row},2:-", f"{count * 2} 3 {row},2:0,3", ""],
                    [rows, rows + 1, np.float64(part)],
                )
            )
        return prefixes

    return build


def sharded(folder: Path) -> list[str]:
    """Inputs of several shards each, mentioned out of order by the order of names."""
    names = [f"t{i:02d}" for i in range(24)]
    return [
        write_plain(
            folder / f"in{part}" / "ck",
            names[part::2],
            num_shards=3 + part,
            shard_of=lambda n, key, part=part: (7 - n) % (3 + part),
        )
        for part in range(2)
    ]


def many(folder: Path) -> list[str]:
    """Several blocks of index, of which the parts hold alternating keys."""
    names = [f"layer{i:05d}/some/long/scope/kernel" for i in range(9000)]
    return [
        save_by_tensorflow(
            folder / f"in{part}" / "ck",
            names[part::3],
            [""] * len(names[part::3]),
            [np.int32(i) for i in range(len(names[part::3]))],
        )
        for part in range(3)
    ]


EXTRAS = [
    varint_field(1001, 7),
    varint_field(900, 1 << 63)
    + fixed64_field(9, 5)
    + bytes_field(8, b"eight")
    + varint_field(25, 0),
    bytes_field(1000, b"\x08\x80\x80\x80\x02\x12\x08abcdefgh") + fixed32_field(10, 0),
    # Known numbers with a wire type of their own are unknown fields as well.
    bytes_field(4, b"xy") + fixed32_field(1, 3) + bytes_field(300, b""),
]


def unknown_fields(folder: Path) -> list[str]:
    prefixes = []
    for part in range(2):
        bundle = oracle.build_bundle({f"w{part}{i}": numbers(f"{part}{i}") for i in range(4)})
        for i, extra in enumerate(EXTRAS):
            bundle.entry(f"w{part}{i}").extra = extra
        prefix = folder / f"in{part}" / "ck"
        prefix.parent.mkdir(parents=True)
        bundle.write(prefix)
        prefixes.append(str(prefix))
    return prefixes


def odd_encodings(folder: Path) -> list[str]:
    """Fields out of order, in several pieces, spelt out though zero, and named dimensions."""
    bundle = oracle.build_bundle({"a": numbers("a"), "b": numbers("b"), "c": numbers("c")})
    a, b, c = (bundle.entry(name) for name in "abc")
    assert a.masked_crc is not None
    assert b.masked_crc is not None
    dim3, dim5 = bytes_field(2, varint_field(1, 3)), bytes_field(2, varint_field(1, 5))
    bundle.entries[b"a"] = (
        fixed32_field(6, a.masked_crc)
        + varint_field(5, 60)
        + varint_field(77, 1)
        + varint_field(4, a.offset)
        + varint_field(3, 0)
        + bytes_field(2, dim3)
        + varint_field(1, 9)
        + bytes_field(2, dim5)
        + varint_field(1, 1)
    )
    named = bytes_field(2, bytes_field(2, b"rows") + varint_field(1, 3) + varint_field(5, 6))
    bundle.entries[b"b"] = (
        varint_field(1, 1)
        + bytes_field(2, varint_field(3, 0) + named + dim5 + varint_field(9, 9))
        + varint_field(4, b.offset)
        + varint_field(5, 60)
        + fixed32_field(6, 1)
        + fixed32_field(6, b.masked_crc)
    )
    bundle.entries[b"c"] = c.encode() + varint_field(3, (1 << 32) * 5)
    prefix = folder / "in0" / "ck"
    prefix.parent.mkdir(parents=True)
    bundle.write(prefix)
    return [str(prefix), write_plain(folder / "in1" / "ck", ["z"])]


def with_headers(**changes: object) -> Builder:
    def build(folder: Path) -> list[str]:
        prefixes = []
        for part in range(2):
            bundle = oracle.build_bundle({f"w{part}": numbers(f"w{part}")})
            assert isinstance(bundle.header, oracle.Header)
            for name, value in changes.items():
                setattr(bundle.header, name, value)
            prefix = folder / f"in{part}" / "ck"
            prefix.parent.mkdir(parents=True)
            bundle.write(prefix, compression="snappy" if part else "none", block_size=64)
            prefixes.append(str(prefix))
        return prefixes

    return build


def ours(folder: Path) -> list[str]:
    """Inputs with block CRCs, from our writer."""
    big = np.arange(3 << 20, dtype=np.float32)
    prefixes = []
    for part in range(2):
        prefix = str(folder / f"in{part}" / "ck")
        with fastckpt.CheckpointWriter(prefix, num_shards=2, sync=False) as writer:
            writer.add(f"big{part}", big[part:])
            writer.add(f"small{part}", [b"x", b"yz"])
        prefixes.append(prefix)
    return prefixes


BUILDERS = {
    "plain of 2": plain(2),
    "plain of 7": plain(7),
    "partitioned of 2": partitioned(2),
    "partitioned of 7": partitioned(7),
    "one": plain(1),
    "sharded": sharded,
    "many": many,
    "unknown fields": unknown_fields,
    "odd encodings": odd_encodings,
    "ours": ours,
    "no version": with_headers(has_version=False),
    "big-endian": with_headers(endianness=1),
    "newer producer": with_headers(producer=2, bad_consumers=(7, -3)),
    "header with more fields": with_headers(extra=varint_field(50, 1)),
}


@pytest.mark.parametrize("consume", [False, True])
@pytest.mark.parametrize("builder", BUILDERS.values(), ids=BUILDERS)
def test_files_are_those_of_tensorflow(tmp_path: Path, builder: Builder, consume: bool) -> None:
    theirs = tmp_path / "tf"
    mine = tmp_path / "ours"
    inputs = builder(theirs)
    merge_by_tensorflow(inputs, theirs / "out" / "ck")

    inputs = builder(mine)
    before = snapshot(mine)
    merged = fastckpt.merge(inputs, mine / "out" / "ck", consume=consume, sync=False)

    assert merged == str(mine / "out" / "ck")
    assert snapshot(mine / "out") == snapshot(theirs / "out")
    left = {name for name in snapshot(mine) if not name.startswith("out")}
    assert left == (set() if consume else before.keys())
    if consume:
        assert snapshot(mine) == snapshot(theirs)
    assert fastckpt.open(merged).verify().ok


def test_tensorflow_reads_what_took_the_next_free_total(tmp_path: Path) -> None:
    fastckpt.save(tmp_path / "ck", {"old": np.zeros(3)}, num_shards=2, sync=False)
    inputs = write_parts(tmp_path / "in", {"a": ["x"], "b": ["y"]})
    fastckpt.merge(inputs, tmp_path / "ck", sync=False)
    reader = tf.train.load_checkpoint(str(tmp_path / "ck"))
    assert sorted(reader.get_variable_to_shape_map()) == ["x", "y"]
    np.testing.assert_array_equal(reader.get_tensor("y"), numbers("y"))


def test_tensorflow_merges_our_parts_as_commit_does(tmp_path: Path) -> None:
    whole = numbers("rows", (8, 4))
    for side in ("tf", "ours"):
        for i in range(4):
            prefix = tmp_path / side / "ck"
            with fastckpt.CheckpointWriter(prefix, shard=i, num_shards=4, sync=False) as writer:
                writer.add(f"own{i}", numbers(f"own{i}"))
                writer.add_slice("rows", whole[2 * i : 2 * i + 2], (8, 4), (2 * i, 0))
    parts = [f"{tmp_path}/tf/ck_temp/part-{i:05d}-of-00004" for i in range(4)]
    merge_by_tensorflow(parts, tmp_path / "tf" / "ck")
    fastckpt.commit(tmp_path / "ours" / "ck", num_shards=4, sync=False)
    assert snapshot(tmp_path / "ours") == snapshot(tmp_path / "tf")
    reader = tf.train.load_checkpoint(str(tmp_path / "ours" / "ck"))
    np.testing.assert_array_equal(reader.get_tensor("rows"), whole)
    np.testing.assert_array_equal(reader.get_tensor("own3"), numbers("own3"))


# --- the traps: TensorFlow steps in, the merge here does not -------------------------------------


def test_destination_among_the_inputs(tmp_path: Path) -> None:
    for side in ("tf", "ours"):
        write_parts(tmp_path / side, {"a": ["x"], "b": ["y"]})
    inputs = [str(tmp_path / "tf" / name) for name in "ab"]
    merge_by_tensorflow(inputs, tmp_path / "tf" / "b")
    assert not list((tmp_path / "tf").glob("*.index"))  # it removed its own result

    before = snapshot(tmp_path / "ours")
    inputs = [str(tmp_path / "ours" / name) for name in "ab"]
    for destination in (tmp_path / "ours" / "b", f"{tmp_path}/ours/../ours/b"):
        with pytest.raises(fastckpt.InvalidArgumentError, match="one of the checkpoints"):
            fastckpt.merge(inputs, destination)
    assert snapshot(tmp_path / "ours") == before


def test_inputs_without_tensors(tmp_path: Path) -> None:
    for side in ("tf", "ours"):
        write_parts(tmp_path / side, {"a": ["x"], "empty": [], "b": ["y"]})
    inputs = [str(tmp_path / "tf" / name) for name in ("a", "empty", "b")]
    merge_by_tensorflow(inputs, tmp_path / "tf" / "out")
    with pytest.raises(tf.errors.OpError, match="No such file"):
        tf.train.load_checkpoint(str(tmp_path / "tf" / "out")).get_tensor("x")

    inputs = [str(tmp_path / "ours" / name) for name in ("a", "empty", "b")]
    fastckpt.merge(inputs, tmp_path / "ours" / "out", consume=True, sync=False)
    assert sorted(snapshot(tmp_path / "ours")) == [
        "out.data-00000-of-00002",
        "out.data-00001-of-00002",
        "out.index",
    ]
    reader = tf.train.load_checkpoint(str(tmp_path / "ours" / "out"))
    np.testing.assert_array_equal(reader.get_tensor("y"), numbers("y"))


def test_damage_in_a_later_block(tmp_path: Path) -> None:
    names = [f"n{i:03d}" for i in range(64)]
    for side in ("tf", "ours"):
        write_plain(tmp_path / side / "a", names, block_size=256)
        write_plain(tmp_path / side / "b", ["z"])
        index = bytearray((tmp_path / side / "a.index").read_bytes())
        index[len(index) // 2] ^= 1
        (tmp_path / side / "a.index").write_bytes(index)
    inputs = [str(tmp_path / "tf" / name) for name in "ab"]
    merge_by_tensorflow(inputs, tmp_path / "tf" / "out")
    kept = tf.train.load_checkpoint(str(tmp_path / "tf" / "out")).get_variable_to_shape_map()
    assert 0 < len(kept) < 65  # it lost tensors without a word

    before = snapshot(tmp_path / "ours")
    inputs = [str(tmp_path / "ours" / name) for name in "ab"]
    for consume in (False, True):
        with pytest.raises(fastckpt.DataLossError) as caught:
            fastckpt.merge(inputs, tmp_path / "ours" / "out", consume=consume)
        assert caught.value.path == f"{inputs[0]}.index"
    assert snapshot(tmp_path / "ours") == before


def test_overlapping_slices(tmp_path: Path) -> None:
    def build(folder: Path) -> list[str]:
        return [
            save_by_tensorflow(folder / "a", ["t"], ["4 3 0,2:-"], [numbers("t", (2, 3))]),
            save_by_tensorflow(folder / "b", ["t"], ["4 3 1,3:-"], [numbers("t", (3, 3))]),
        ]

    merge_by_tensorflow(build(tmp_path / "tf"), tmp_path / "tf" / "out")
    with pytest.raises(tf.errors.OpError):
        tf.train.load_checkpoint(str(tmp_path / "tf" / "out")).get_tensor("t")

    inputs = build(tmp_path / "ours")
    before = snapshot(tmp_path / "ours")
    with pytest.raises(fastckpt.InvalidArgumentError, match="overlap") as caught:
        fastckpt.merge(inputs, tmp_path / "ours" / "out", consume=True)
    assert inputs[0] in str(caught.value)
    assert inputs[1] in str(caught.value)
    assert snapshot(tmp_path / "ours") == before


def test_a_missing_data_file(tmp_path: Path) -> None:
    for side in ("tf", "ours"):
        write_parts(tmp_path / side, {"a": ["x"], "b": ["y"], "c": ["z"]})
        (tmp_path / side / "b.data-00000-of-00001").unlink()
    inputs = [str(tmp_path / "tf" / name) for name in "abc"]
    with pytest.raises(tf.errors.NotFoundError):
        merge_by_tensorflow(inputs, tmp_path / "tf" / "out")

    before = snapshot(tmp_path / "ours")
    inputs = [str(tmp_path / "ours" / name) for name in "abc"]
    with pytest.raises(fastckpt.CheckpointNotFoundError) as caught:
        fastckpt.merge(inputs, tmp_path / "ours" / "out", consume=True)
    assert caught.value.path == f"{inputs[1]}.data-00000-of-00001"
    assert snapshot(tmp_path / "ours") == before
    check_content(inputs[0], expected(["x"]))
