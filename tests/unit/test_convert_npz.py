"""npz both ways, beside NumPy: every dtype, bits, compressed and Fortran arrays, hostile files."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import fastckpt
from fastckpt.tools.convert import convert
from golden.manifest import golden
from unit.cli_helpers import flip_byte
from unit.convert_helpers import NUMBERS, all_numbers, assert_holds, random_bits, save
from unit.writer_helpers import loaded, names_in

BUILTIN = [name for name, (dtype, _) in NUMBERS.items() if dtype.isbuiltin == 1]


def member(array: Any, **options: Any) -> bytes:
    """The bytes of one .npy file."""
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asanyarray(array), **options)
    return stream.getvalue()


def pack(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_numpy_reads_every_dtype_it_has(tmp_path: Path) -> None:
    numbers = all_numbers(BUILTIN)
    save(tmp_path / "m", numbers)
    done = convert(tmp_path / "m", tmp_path / "m.npz")
    assert (done.format, done.tensors, done.skipped) == ("npz", len(numbers), ())
    with np.load(tmp_path / "m.npz", allow_pickle=False) as found:
        assert sorted(found.files) == sorted(numbers)
        for name, (array, _) in numbers.items():
            assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
            assert found[name].tobytes() == array.tobytes(), name


def test_there_and_back(tmp_path: Path) -> None:
    numbers = all_numbers()
    save(tmp_path / "m", numbers)
    convert(tmp_path / "m", tmp_path / "m.npz", as_bytes=True)
    done = convert(tmp_path / "m.npz", tmp_path / "back")
    assert (done.source_format, done.format) == ("npz", "checkpoint")
    assert_holds(tmp_path / "back", numbers)


def test_what_numpy_saved(tmp_path: Path) -> None:
    arrays = {
        "scope/fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "swapped": np.arange(4, dtype=">i4"),
        "text": np.array(["ä", "b"]),
        "bytes": np.array([[b"x"], [b"yz"]]),
        "scalar": np.float32(2),
        "empty": np.zeros((0, 2), np.int8),
        **{name: random_bits(name, (3,)) for name in BUILTIN if not name.startswith("q")},
    }
    for save_npz in (np.savez, np.savez_compressed):
        save_npz(tmp_path / "x.npz", **arrays)  # type: ignore[operator]
        convert(tmp_path / "x.npz", tmp_path / "m")
        found = fastckpt.load(tmp_path / "m")
        for name, array in arrays.items():
            if name not in ("text", "bytes"):
                np.testing.assert_array_equal(found[name], array)
        assert found["text"].tolist() == ["ä".encode(), b"b"]
        assert found["bytes"].tolist() == [[b"x"], [b"yz"]]


def test_bits_of_what_numpy_lacks(tmp_path: Path) -> None:
    values = np.array([1.5, -2, np.nan], ml_dtypes.bfloat16)
    save(tmp_path / "m", {"x": values, "y": (np.array([1, -3], ml_dtypes.int4), "int4")})
    with pytest.raises(fastckpt.UnsupportedError, match="'x': NumPy has no bfloat16; --as-bytes"):
        convert(tmp_path / "m", tmp_path / "x.npz")
    convert(tmp_path / "m", tmp_path / "x.npz", as_bytes=True)
    with np.load(tmp_path / "x.npz") as found:
        assert (found["x"].dtype, found["y"].dtype) == (np.uint16, np.uint8)
        assert found["x"].view(ml_dtypes.bfloat16).tobytes() == values.tobytes()


def test_names(tmp_path: Path) -> None:
    names = ["a/b", "/leading", "日本語", "..", "x.npy", " ", "*?", "a\\b"]
    save(tmp_path / "m", {name: np.int64([i]) for i, name in enumerate(names)})
    convert(tmp_path / "m", tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz") as found:
        assert {name: found[name].tolist() for name in names} == {
            name: [i] for i, name in enumerate(names)
        }
    convert(tmp_path / "x.npz", tmp_path / "back")
    assert loaded(tmp_path / "back") == loaded(tmp_path / "m")


def test_what_it_cannot_hold(tmp_path: Path) -> None:
    tensors = {
        "s": [b"x"], "a\0b": np.ones(1), "w": np.ones(1), "w.npy": np.ones(1),
        "caf\udce9": np.ones(1), "v": fastckpt.VariantRecord("x", b""),
    }  # fmt: skip
    save(tmp_path / "m", tensors)
    with pytest.raises(fastckpt.UnsupportedError) as caught:
        convert(tmp_path / "m", tmp_path / "x.npz")
    for words in (
        "5 of the tensors", "'s': NumPy stores string as Python objects", "NUL character",
        "'w.npy': numpy.load would confuse it with 'w'", "not Unicode", "'v': NumPy stores var",
    ):  # fmt: skip
        assert words in str(caught.value)
    done = convert(tmp_path / "m", tmp_path / "x.npz", skip_unsupported=True)
    assert [x.name for x in done.skipped] == ["s", "a\0b", "w.npy", "caf\udce9", "v"]
    with np.load(tmp_path / "x.npz") as found:
        assert found.files == ["w"]


def test_an_object_graph_is_left_out_and_told(tmp_path: Path) -> None:
    (note,) = convert(golden("object").prefix, tmp_path / "x.npz").notes
    assert "_CHECKPOINTABLE_OBJECT_GRAPH" in note
    with np.load(tmp_path / "x.npz") as found:
        assert len(found.files) == len(fastckpt.open(golden("object").prefix)) - 1


def test_files_are_the_same_every_time(tmp_path: Path) -> None:
    save(tmp_path / "m", {"a": np.ones(3), "b": np.ones(2)})
    for name in ("1.npz", "2.npz"):
        convert(tmp_path / "m", tmp_path / name)
    assert (tmp_path / "1.npz").read_bytes() == (tmp_path / "2.npz").read_bytes()


def test_memory_is_bounded(tmp_path: Path) -> None:
    save(tmp_path / "m", {f"t{i}": np.full(1 << 20, i, np.float32) for i in range(8)})
    for source, target in (("m", "x.npz"), ("x.npz", "back")):
        tracemalloc.start()
        convert(tmp_path / source, tmp_path / target, sync=False)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 3 << 20
    assert fastckpt.load(tmp_path / "back")["t7"][-1] == 7


# --- foreign and hostile files -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([{}], object), "Python objects, as a pickle"),
        (np.array(["2024-01-01"], "M8[D]"), r"no checkpoint holds datetime64\[D\]"),
        (np.zeros(2, [("a", "f4")]), "no checkpoint holds"),
        (np.zeros(2, "V2"), r"no checkpoint holds \|V2"),
        (np.zeros(2, np.longdouble), "no checkpoint holds float128"),
    ],
)
def test_arrays_that_no_checkpoint_holds(tmp_path: Path, array: Any, message: str) -> None:
    np.savez(tmp_path / "x.npz", bad=array, good=np.ones(2))
    with pytest.raises(fastckpt.UnsupportedError, match=message):
        convert(tmp_path / "x.npz", tmp_path / "m")
    done = convert(tmp_path / "x.npz", tmp_path / "m", skip_unsupported=True)
    assert [x.name for x in done.skipped] == ["bad"]
    assert loaded(tmp_path / "m") == {"good": [1.0, 1.0]}


def test_other_files_in_the_archive(tmp_path: Path) -> None:
    pack(tmp_path / "x.npz", {"readme.txt": b"hello", "a.npy": member(np.ones(1))})
    with pytest.raises(fastckpt.UnsupportedError, match=r"'readme.txt': it is no \.npy file"):
        convert(tmp_path / "x.npz", tmp_path / "m")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_flipped_byte(tmp_path: Path, method: int) -> None:
    values = np.frombuffer(np.random.default_rng(1).bytes(8000))
    pack(tmp_path / "x.npz", {"a.npy": member(values)}, method)
    flip_byte(tmp_path / "x.npz", 4000)
    with pytest.raises(fastckpt.DataLossError, match="'a'"):
        convert(tmp_path / "x.npz", tmp_path / "m")
    assert names_in(tmp_path) == ["x.npz"]


def header(shape: str, descr: str = "'<f8'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        b"not numpy at all",
        header("(2,)") + bytes(15),
        header("(2,)") + bytes(17),
        header("(-2, -1)") + bytes(16),
        header("(1 << 62, 4)"),
        header("(2.0,)") + bytes(16),
        header("(True, 2)") + bytes(16),
        header("(2,)", "'nonsense'") + bytes(16),
        header("(2,)", "__import__('os')") + bytes(16),
        header("(" * 5000) + bytes(16),
    ],
)
def test_hostile_members(tmp_path: Path, content: bytes) -> None:
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        pack(tmp_path / "x.npz", {"a.npy": content}, method)
        with pytest.raises(fastckpt.DataLossError):
            convert(tmp_path / "x.npz", tmp_path / "m")
    assert names_in(tmp_path) == ["x.npz"]


def test_hostile_archives(tmp_path: Path) -> None:
    pack(tmp_path / "x.npz", {"a.npy": member(np.ones(9))})
    good = (tmp_path / "x.npz").read_bytes()
    at = good.index(b"PK\x01\x02")
    twice = io.BytesIO()
    with zipfile.ZipFile(twice, "w") as archive:
        archive.writestr("a.npy", member(np.ones(9)))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.npy", member(np.ones(9)))
    forged = {
        "cut": good[:100],
        "no directory": good[:at],
        "far header": good[: at + 42] + b"\xff\xff\xff\x7f" + good[at + 46 :],
        "encrypted": good[: at + 8] + b"\x01" + good[at + 9 :],
        "twice": twice.getvalue(),
    }
    for name, content in forged.items():
        (tmp_path / "y.npz").write_bytes(content)
        with pytest.raises((fastckpt.DataLossError, fastckpt.UnsupportedError)) as caught:
            convert(tmp_path / "y.npz", tmp_path / "m")
        assert "y.npz" in str(caught.value), name
    assert names_in(tmp_path) == ["x.npz", "y.npz"]


def test_a_bomb(tmp_path: Path) -> None:
    head = np.lib.format.magic(1, 0)
    pack(tmp_path / "x.npz", {"a.npy": member(np.zeros(200))}, zipfile.ZIP_DEFLATED)
    content = bytearray((tmp_path / "x.npz").read_bytes())
    assert head not in content
    # The directory claims 2^40 bytes for a member of some hundred.
    huge = header(f"({(1 << 27) - 16},)")
    pack(tmp_path / "x.npz", {"a.npy": huge + bytes(100)}, zipfile.ZIP_DEFLATED)
    content = bytearray((tmp_path / "x.npz").read_bytes())
    at = content.index(b"PK\x01\x02")
    size = len(huge) + ((1 << 27) - 16) * 8
    content[at + 24 : at + 28] = size.to_bytes(4, "little")
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(fastckpt.LimitExceededError, match="more than its"):
        convert(tmp_path / "x.npz", tmp_path / "m")
