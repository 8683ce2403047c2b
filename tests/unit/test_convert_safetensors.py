"""safetensors both ways, beside its own library: every dtype, layout, metadata, hostile files."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy

import fastckpt
import oracle
from fastckpt.tools.convert import convert
from fastckpt.tools.convert.safetensors import DTYPES
from golden.manifest import golden
from unit.convert_helpers import NUMBERS, all_numbers, assert_holds, random_bits, save
from unit.writer_helpers import loaded, names_in

GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
KNOWN = [name for name in NUMBERS if name.removeprefix("q") in DTYPES]
# What the library calls them, where that is not TensorFlow's name in capitals.
BITS = {"float4_e2m1fn": 4}


def header_of(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    found: dict[str, Any] = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return found


def pack(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


@pytest.fixture(scope="module")
def numbers() -> dict[str, Any]:
    return all_numbers(KNOWN)


def test_the_library_reads_every_dtype(tmp_path: Path, numbers: dict[str, Any]) -> None:
    save(tmp_path / "m", numbers)
    done = convert(tmp_path / "m", tmp_path / "m.safetensors")
    assert (done.tensors, done.format, done.skipped) == (len(numbers), "safetensors", ())
    rows = dict(safetensors.deserialize((tmp_path / "m.safetensors").read_bytes()))
    assert rows.keys() == numbers.keys()
    for name, (array, dtype) in numbers.items():
        row = rows[name]
        assert (row["dtype"], tuple(row["shape"])) == (
            DTYPES[dtype.removeprefix("q")],
            array.shape,
        )
        data = array.tobytes()
        if dtype == "float4_e2m1fn":
            data = bytes(low | high << 4 for low, high in zip(data[::2], data[1::2], strict=True))
        assert bytes(row["data"]) == data, name


def test_numpy_of_the_library(tmp_path: Path) -> None:
    tensors = {
        name: random_bits(name, (2, 3))
        for name in NUMBERS
        if name in DTYPES and np.dtype(NUMBERS[name][0]).isbuiltin == 1
    }
    save(tmp_path / "m", tensors)
    convert(tmp_path / "m", tmp_path / "m.safetensors")
    found = safetensors.numpy.load_file(tmp_path / "m.safetensors")
    assert len(found) == 13
    for name, array in tensors.items():
        assert (found[name].dtype, found[name].tobytes()) == (array.dtype, array.tobytes())
    safetensors.numpy.save_file(tensors, tmp_path / "theirs.safetensors")
    convert(tmp_path / "theirs.safetensors", tmp_path / "back")
    assert_holds(tmp_path / "back", {name: (x, name) for name, x in tensors.items()})


def test_there_and_back(tmp_path: Path, numbers: dict[str, Any]) -> None:
    save(tmp_path / "m", numbers)
    convert(tmp_path / "m", tmp_path / "m.safetensors")
    done = convert(tmp_path / "m.safetensors", tmp_path / "back")
    assert (done.source_format, done.format) == ("safetensors", "checkpoint")
    assert_holds(tmp_path / "back", numbers)


def test_files_are_the_same_every_time_and_aligned(tmp_path: Path) -> None:
    tensors = {"b": np.int8([1]), "a": np.float32([2, 3]), "c": np.float64([4])}
    for name in ("1", "2"):
        save(tmp_path / name, tensors)
        convert(tmp_path / name, tmp_path / f"{name}.safetensors")
    assert (tmp_path / "1.safetensors").read_bytes() == (tmp_path / "2.safetensors").read_bytes()
    header = header_of(tmp_path / "1.safetensors")
    assert header.pop("__metadata__") == {"format": "tf"}
    assert [(name, row["data_offsets"]) for name, row in header.items()] == [
        ("c", [0, 8]), ("a", [8, 16]), ("b", [16, 17]),
    ]  # fmt: skip


def test_metadata(tmp_path: Path) -> None:
    save(tmp_path / "m", {"a": np.ones(1)})
    convert(tmp_path / "m", tmp_path / "x.safetensors", metadata={"format": "pt", "k": "v"})
    with safetensors.safe_open(tmp_path / "x.safetensors", "np") as file:
        assert file.metadata() == {"format": "pt", "k": "v"}
    for wrong in ({"k": 1}, {1: "v"}):
        with pytest.raises(fastckpt.InvalidArgumentError, match="map str to str"):
            convert(tmp_path / "m", tmp_path / "y.safetensors", metadata=wrong)  # type: ignore[arg-type]


def test_object_graphs_travel(tmp_path: Path) -> None:
    prefix = golden("object").prefix
    convert(prefix, tmp_path / "m.safetensors")
    assert GRAPH not in safetensors.numpy.load_file(tmp_path / "m.safetensors")
    convert(tmp_path / "m.safetensors", tmp_path / "back")
    assert loaded(tmp_path / "back") == loaded(prefix)


def test_what_it_cannot_hold(tmp_path: Path) -> None:
    tensors = {
        "c": np.ones(2, np.complex128),
        "s": [b"text"],
        "odd": (random_bits("float4_e2m1fn", (3,)), "float4_e2m1fn"),
        "i4": (random_bits("int4", (2,)), "int4"),
        "__metadata__": np.ones(1),
        "caf\udce9": np.ones(1),
        "w": np.ones(1),
        "v": fastckpt.VariantRecord("x", b""),
    }
    save(tmp_path / "m", tensors)
    for dry_run in (True, False):
        with pytest.raises(fastckpt.UnsupportedError) as caught:
            convert(tmp_path / "m", tmp_path / "x.safetensors", dry_run=dry_run)
        for words in (
            "7 of the tensors", "'c': safetensors has no complex128", "'s': safetensors has no ",
            "'odd': an odd number", "has no int4", "of the format's metadata", "is not Unicode",
            "has no variant", "skip_unsupported",
        ):  # fmt: skip
            assert words in str(caught.value)
    assert "x.safetensors" not in names_in(tmp_path)
    done = convert(tmp_path / "m", tmp_path / "x.safetensors", skip_unsupported=True)
    assert len(done.skipped) == 7
    assert list(safetensors.numpy.load_file(tmp_path / "x.safetensors")) == ["w"]


def test_slices_big_endian_and_v1(tmp_path: Path) -> None:
    from fastckpt.checkpoint.legacy_writer import save_v1

    values = random_bits("float32", (6, 4))
    parts = [([(0, 6), (2, 2)], values[:, 2:]), ([(0, 6), (0, 2)], values[:, :2])]
    oracle.write_bundle(tmp_path / "sliced", {"x": oracle.Slices((6, 4), parts)})
    oracle.write_bundle(tmp_path / "big", {"x": values}, byte_order="big")
    save_v1(tmp_path / "old", {"x": values}, sync=False)
    for name in ("sliced", "big", "old"):
        convert(tmp_path / name, tmp_path / "x.safetensors")
        found = safetensors.numpy.load_file(tmp_path / "x.safetensors")["x"]
        assert found.tobytes() == values.tobytes()


def test_memory_is_bounded(tmp_path: Path) -> None:
    values = {f"t{i}": np.full(1 << 20, i, np.float32) for i in range(16)}
    save(tmp_path / "m", values)
    oracle.write_bundle(tmp_path / "big", {"x": np.ones(10 << 20, np.float32)}, byte_order="big")
    for source, target, bound in (
        ("m", "x.safetensors", 3 << 20),
        ("x.safetensors", "back", 1 << 20),
        ("big", "y.safetensors", 36 << 20),
    ):
        tracemalloc.start()
        convert(tmp_path / source, tmp_path / target, sync=False)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < bound
    assert fastckpt.load(tmp_path / "back")["t9"].tolist() == values["t9"].tolist()


# --- foreign and hostile files -------------------------------------------------------------------


def test_dtypes_that_no_checkpoint_holds(tmp_path: Path) -> None:
    row = {"dtype": "F8_E8M0", "shape": [2], "data_offsets": [0, 2]}
    (tmp_path / "x.safetensors").write_bytes(pack({"scale": row}, b"ab"))
    with pytest.raises(fastckpt.UnsupportedError, match="'scale': no checkpoint holds F8_E8M0"):
        convert(tmp_path / "x.safetensors", tmp_path / "m")
    assert names_in(tmp_path) == ["x.safetensors"]


def test_bytes_that_are_no_bool_become_true(tmp_path: Path) -> None:
    row = {"dtype": "BOOL", "shape": [3], "data_offsets": [0, 3]}
    (tmp_path / "x.safetensors").write_bytes(pack({"x": row}, b"\0\2\1"))
    convert(tmp_path / "x.safetensors", tmp_path / "m")
    assert loaded(tmp_path / "m") == {"x": [False, True, True]}


ROW = {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}


@pytest.mark.parametrize(
    "content",
    [
        pack({"x": ROW}, b"abc"),
        pack({"x": ROW}, b"a"),
        pack({"x": ROW, "y": ROW}, b"ab"),
        pack({"x": {**ROW, "data_offsets": [1, 3]}}, b"abc"),
        pack({"x": {**ROW, "data_offsets": [2, 0]}}, b"ab"),
        pack({"x": {**ROW, "shape": [3]}}, b"ab"),
        pack({"x": {**ROW, "shape": [-2]}}, b"ab"),
        pack({"x": {**ROW, "shape": [1 << 62, 4]}}, b"ab"),
        pack({"x": {**ROW, "shape": [2.0]}}, b"ab"),
        pack({"x": {**ROW, "shape": 2}}, b"ab"),
        pack({"x": {**ROW, "dtype": 7}}, b"ab"),
        pack({"x": {"dtype": "U8"}}, b"ab"),
        pack({"x": 7}),
        pack({"x": ROW, "__metadata__": {"a": 1}}, b"ab"),
        pack({"x": ROW, "__metadata__": 5}, b"ab"),
        pack(b'{"x":' + json.dumps(ROW).encode() + b',"x":' + json.dumps(ROW).encode() + b"}"),
        pack(b'{"x"'),
        pack(b'{"\xff":1}'),
        pack(b'{"a":' + b"[" * 100_000),
        (1 << 40).to_bytes(8, "little") + b"{}",
        (99_000_000).to_bytes(8, "little") + b'{"',
    ],
)
def test_hostile_files(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(fastckpt.DataLossError):
        convert(tmp_path / "x.safetensors", tmp_path / "m")
    assert names_in(tmp_path) == ["x.safetensors"]


def test_odd_metadata_of_ours_is_no_obstacle(tmp_path: Path) -> None:
    for text in ("{", "[]", '{"x": 5}', '{"x": "qint32"}'):
        metadata = {"fastckpt.dtypes": text, GRAPH: "not base64!"}
        (tmp_path / "x.safetensors").write_bytes(pack({"x": ROW, "__metadata__": metadata}, b"ab"))
        convert(tmp_path / "x.safetensors", tmp_path / "m")
        assert loaded(tmp_path / "m") == {"x": [97, 98]}
