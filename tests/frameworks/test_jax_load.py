"""fastckpt.jax: every dtype, views where JAX takes them, 64-bit numbers, damage."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

import fastckpt
import oracle
from fastckpt.jax import load
from golden.manifest import golden
from unit.cli_helpers import flip_byte, shard_of
from unit.convert_helpers import NUMBERS, random_bits, save

WIDE = ("int64", "uint64", "float64", "complex128")


def bits(array: jax.Array) -> bytes:
    return np.asarray(array).tobytes()


def test_every_dtype(tmp_path: Path) -> None:
    tensors = {
        f"{dtype}/{shape}": (random_bits(dtype, shape), dtype)
        for dtype in NUMBERS
        if dtype not in WIDE
        for shape in ((), (0, 3), (5,), (300, 41))
    }
    save(tmp_path / "m", tensors)
    found = load(tmp_path / "m")
    assert list(found) == sorted(tensors)
    for name, (array, _) in tensors.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert bits(found[name]) == array.tobytes(), name


def test_what_has_no_view(tmp_path: Path) -> None:
    values = random_bits("float32", (6, 4))
    parts = [([(0, 2), None], values[:2]), ([(2, 4), None], values[2:])]
    oracle.write_bundle(tmp_path / "sliced", {"x": oracle.Slices((6, 4), parts)})
    oracle.write_bundle(tmp_path / "big", {"x": values, "y": np.ones(2)}, byte_order="big")
    for name in ("sliced", "big"):
        assert bits(load(tmp_path / name)["x"]) == values.tobytes()


def test_arrays_lie_on_the_map_and_outlive_the_files(tmp_path: Path) -> None:
    values = random_bits("bfloat16", (9000,))
    save(tmp_path / "m", {"x": values})
    array = load(tmp_path / "m")["x"]
    (line,) = [
        x
        for x in Path("/proc/self/maps").read_text().splitlines()
        if str(shard_of(tmp_path / "m")) in x
    ]
    low, high = (int(x, 16) for x in line.split()[0].split("-"))
    assert low <= array.unsafe_buffer_pointer() < high
    for path in tmp_path.iterdir():
        path.unlink()
    assert bits(array) == values.tobytes()


def test_donated_arrays_do_not_write_to_the_map(tmp_path: Path) -> None:
    save(tmp_path / "m", {"x": np.ones(9000, np.float32)})
    code = f"""
import warnings, jax, fastckpt.jax
warnings.simplefilter("ignore")
array = fastckpt.jax.load({str(tmp_path / "m")!r})["x"]
step = jax.jit(lambda x: x + 1, donate_argnums=0)
print(float(step(array).sum()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "18000.0\n"
    assert fastckpt.load(tmp_path / "m")["x"].sum() == 9000


def test_numbers_of_64_bits(tmp_path: Path) -> None:
    small = {"i": np.int64([-5, 2**31 - 1]), "u": np.uint64([2**32 - 1]), "e": np.zeros(0, int)}
    save(tmp_path / "small", {**small, "f": np.array([1 / 3]), "c": np.array([1j / 3])})
    found = load(tmp_path / "small")
    assert {name: array.dtype.name for name, array in found.items()} == {
        "c": "complex64", "e": "int32", "f": "float32", "i": "int32", "u": "uint32",
    }  # fmt: skip
    assert found["i"].tolist() == [-5, 2**31 - 1]
    assert found["f"].tolist() == [float(np.float32(1 / 3))]
    for values in (np.int64([2**31]), np.uint64([2**32]), np.int64([-(2**31) - 1])):
        save(tmp_path / "large", {"step": values})
        with pytest.raises(fastckpt.InvalidArgumentError, match=r"'step' .*jax_enable_x64"):
            load(tmp_path / "large")
        with jax.enable_x64(True):
            array = load(tmp_path / "large")["step"]
            assert (array.dtype, array.tolist()) == (values.dtype, values.tolist())


def test_names_devices_and_what_jax_cannot_hold(tmp_path: Path) -> None:
    save(tmp_path / "m", {"a": np.ones(2), "b": np.ones(3), "s": [b"text"]})
    found = load(tmp_path / "m", names=["b", "a"], device=jax.devices("cpu")[0])
    assert list(found) == ["b", "a"]
    assert found["b"].devices() == {jax.devices("cpu")[0]}
    with pytest.raises(fastckpt.UnsupportedError, match=r"'s' \(string\)"):
        load(tmp_path / "m")
    assert list(load(tmp_path / "m", skip_unsupported=True)) == ["a", "b"]
    assert len(load(golden("object").prefix)) == 5
    with pytest.raises(fastckpt.TensorNotFoundError):
        load(tmp_path / "m", names="c")


def test_damage_and_progress(tmp_path: Path) -> None:
    save(tmp_path / "m", {"x": np.ones(9000, np.float32), "y": np.ones(5, bool)})
    seen: list[fastckpt.Progress] = []
    load(tmp_path / "m", progress=seen.append)
    assert seen[-1].bytes_done == seen[-1].bytes_total == 36_005
    flip_byte(shard_of(tmp_path / "m"), 30_000)
    with pytest.raises(fastckpt.DataLossError, match="'x'"):
        load(tmp_path / "m")
