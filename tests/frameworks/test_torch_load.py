"""fastckpt.torch: every dtype, memory that is shared and may be written to, devices, damage."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

import fastckpt
import oracle
from fastckpt.checkpoint import private_map
from fastckpt.checkpoint.legacy_writer import save_v1
from fastckpt.tools.convert import convert
from fastckpt.torch import load_file, save_file
from golden.manifest import golden
from unit.cli_helpers import flip_byte, shard_of
from unit.convert_helpers import NUMBERS, random_bits, save

KNOWN = [
    name
    for name in NUMBERS
    if name not in ("float8_e4m3b11fnuz", "float4_e2m1fn", "int4", "uint4", "int2", "uint2")
]


def bits(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """All dtypes that PyTorch has, small and of several pages, scalars and empty ones."""
    shapes = ((), (0, 3), (5,), (300, 41))
    tensors = {
        f"{dtype}/{shape}": (random_bits(dtype, shape), dtype)
        for dtype in KNOWN
        for shape in shapes
    }
    return save(tmp_path_factory.mktemp("all") / "m", tensors), tensors


@pytest.mark.parametrize("copy", [False, True])
@pytest.mark.parametrize("backend", ["auto", "pread"])
def test_every_dtype(everything: Any, copy: bool, backend: Any) -> None:
    prefix, tensors = everything
    found = load_file(prefix, copy=copy, backend=backend, num_threads=2)
    assert list(found) == sorted(tensors)
    for name, (array, dtype) in tensors.items():
        tensor = found[name]
        assert tensor.dtype == getattr(torch, dtype.removeprefix("q"))
        assert tuple(tensor.shape) == array.shape
        assert bits(tensor) == array.tobytes(), name


def test_like_safetensors_of_the_same_tensors(everything: Any, tmp_path: Path) -> None:
    prefix, _ = everything
    convert(prefix, tmp_path / "m.safetensors", skip_unsupported=True)
    theirs, ours = safetensors.torch.load_file(tmp_path / "m.safetensors"), load_file(prefix)
    assert sorted(set(ours) - set(theirs)) == sorted(x for x in ours if x.startswith("complex128"))
    for name, tensor in theirs.items():
        assert (ours[name].dtype, ours[name].shape) == (tensor.dtype, tensor.shape)
        assert bits(ours[name]) == bits(tensor)


def test_writing_changes_no_file_and_no_other_load(tmp_path: Path) -> None:
    values = np.arange(5000, dtype=np.float32)
    save(tmp_path / "m", {"x": values, "y": values})
    before = shard_of(tmp_path / "m").read_bytes()
    for copy in (False, True):
        first, second = (load_file(tmp_path / "m", copy=copy) for _ in range(2))
        first["x"][:] = -1
        assert first["y"].tolist() == second["x"].tolist() == values.tolist()
    assert shard_of(tmp_path / "m").read_bytes() == before


def test_memory_is_the_map_unless_a_copy_is_asked_for(tmp_path: Path) -> None:
    tensors = {"big": np.ones((1 << 20,), np.float32), "bf16": random_bits("bfloat16", (9000,))}
    save(tmp_path / "m", tensors)
    maps = Path("/proc/self/maps")
    loaded = load_file(tmp_path / "m")
    (line,) = [x for x in maps.read_text().splitlines() if str(shard_of(tmp_path / "m")) in x]
    low, high = (int(x, 16) for x in line.split()[0].split("-"))
    assert all(low <= tensor.data_ptr() < high for tensor in loaded.values())
    assert line.split()[1] == "rw-p"
    del loaded
    copies = load_file(tmp_path / "m", copy=True)
    assert str(shard_of(tmp_path / "m")) not in maps.read_text()
    assert copies["big"].sum() == 1 << 20


def test_tensors_outlive_the_files(tmp_path: Path) -> None:
    save(tmp_path / "m", {"x": np.arange(9000)})
    found = load_file(tmp_path / "m")
    save(tmp_path / "m", {"x": np.zeros(3)})
    for path in tmp_path.iterdir():
        path.unlink()
    assert found["x"].tolist() == list(range(9000))


def test_what_has_to_be_copied(tmp_path: Path) -> None:
    values = random_bits("float32", (6, 4))
    parts = [([(0, 2), None], values[:2]), ([(2, 4), None], values[2:])]
    odd = {"a": np.int8([1]), "x": values, "flag": oracle.Raw(10, (3,), b"\0\1\2")}
    oracle.write_bundle(tmp_path / "odd", odd)
    oracle.write_bundle(tmp_path / "sliced", {"x": oracle.Slices((6, 4), parts)})
    oracle.write_bundle(tmp_path / "big", {"x": values}, byte_order="big")
    save_v1(tmp_path / "v1", {"x": values}, sync=False)
    for name in ("odd", "sliced", "big", "v1"):
        tensor = load_file(tmp_path / name)["x"]
        assert bits(tensor) == values.tobytes()
        assert tensor.data_ptr() % 4 == 0
        tensor[0] = 1
    assert load_file(tmp_path / "odd")["flag"].tolist() == [False, True, True]


def test_names_and_devices(tmp_path: Path) -> None:
    save(tmp_path / "m", {"a": np.ones(2), "b": np.ones(3), "s": [b"text"]})
    assert list(load_file(tmp_path / "m", names=["b", "a"])) == ["b", "a"]
    assert list(load_file(tmp_path / "m", names="a")) == ["a"]
    assert load_file(tmp_path / "m", "meta", names="a")["a"].device.type == "meta"
    assert load_file(tmp_path / "m", torch.device("cpu"), names="a")["a"].tolist() == [1, 1]
    with pytest.raises(fastckpt.TensorNotFoundError):
        load_file(tmp_path / "m", names=["c"])


def test_what_torch_cannot_hold(tmp_path: Path) -> None:
    tensors = {"a": np.ones(2), "s": [b"text"], "i": (random_bits("int4", (2,)), "int4")}
    save(tmp_path / "m", tensors)
    with pytest.raises(fastckpt.UnsupportedError) as caught:
        load_file(tmp_path / "m")
    assert "2 of the tensors" in str(caught.value)
    assert "'i' (int4), 's' (string)" in str(caught.value)
    assert list(load_file(tmp_path / "m", skip_unsupported=True)) == ["a"]
    assert len(load_file(golden("object").prefix)) == 5


# --- verified ------------------------------------------------------------------------------------


@pytest.mark.parametrize("copy", [False, True])
@pytest.mark.parametrize("at", [0, 100, 70_000, 200_003])
def test_damage_is_found_wherever_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, copy: bool
) -> None:
    monkeypatch.setattr(private_map, "_PIECE_BYTES", 1 << 16)
    save(tmp_path / "m", {"x": np.frombuffer(RNG.bytes(200_004), np.int8)})
    assert load_file(tmp_path / "m", copy=copy, num_threads=3)["x"].numel() == 200_004
    flip_byte(shard_of(tmp_path / "m"), at)
    with pytest.raises(fastckpt.DataLossError, match="'x'"):
        load_file(tmp_path / "m", copy=copy, num_threads=3)


RNG = np.random.default_rng(2)


@pytest.mark.parametrize("size", [1, 65535, 65536, 65537, 131072, 200_000])
def test_pieces_join_to_the_checksum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(private_map, "_PIECE_BYTES", 1 << 16)
    values = np.frombuffer(RNG.bytes(size), np.uint8)
    save(tmp_path / "m", {"x": values})
    assert bits(load_file(tmp_path / "m")["x"]) == values.tobytes()


def test_a_short_shard_and_a_missing_one(tmp_path: Path) -> None:
    save(tmp_path / "m", {"x": np.ones(9000)})
    os.truncate(shard_of(tmp_path / "m"), 8000)
    with pytest.raises(fastckpt.DataLossError):
        load_file(tmp_path / "m")
    shard_of(tmp_path / "m").unlink()
    with pytest.raises(fastckpt.CheckpointNotFoundError):
        load_file(tmp_path / "m")


def test_files_that_are_replaced_between_open_and_map(tmp_path: Path) -> None:
    save(tmp_path / "m", {"x": np.ones(9000)})
    with fastckpt.open(tmp_path / "m") as checkpoint:
        save(tmp_path / "n", {"x": np.zeros(9000)})
        os.replace(shard_of(tmp_path / "n"), shard_of(tmp_path / "m"))
        handle = checkpoint.tensor("x")
        with pytest.raises(fastckpt.CheckpointChangedError, match="load it again"):
            private_map.mapped_arrays(checkpoint, [handle], 2, lambda *_: None)


def test_progress_and_cancelling(everything: Any) -> None:
    prefix, tensors = everything
    seen: list[fastckpt.Progress] = []
    load_file(prefix, progress=seen.append)
    assert seen[-1].bytes_done == seen[-1].bytes_total == fastckpt.open(prefix).nbytes
    assert seen[-1].tensors_done == len(tensors)

    def cancel(_: fastckpt.Progress) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        load_file(prefix, progress=cancel)


def test_10_000_tensors(tmp_path: Path) -> None:
    save(tmp_path / "m", {f"layer_{i}/w": np.full(4, i, np.float32) for i in range(10_000)})
    found = load_file(tmp_path / "m")
    assert len(found) == 10_000
    assert found["layer_77/w"].tolist() == [77.0] * 4


# --- saving --------------------------------------------------------------------------------------


def test_there_and_back(everything: Any, tmp_path: Path) -> None:
    prefix, _ = everything
    found = load_file(prefix)
    assert save_file(found, tmp_path / "m", sync=False) == str(tmp_path / "m")
    again = load_file(tmp_path / "m")
    assert again.keys() == found.keys()
    for name, tensor in found.items():
        assert again[name].dtype == tensor.dtype
        assert bits(again[name]) == bits(tensor)


def test_a_state_dict_of_any_strides(tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    weights = model.state_dict()
    weights["transposed"] = weights["0.weight"].t()
    save_file(weights, tmp_path / "m", sync=False)
    found = load_file(tmp_path / "m")
    assert found["transposed"].tolist() == weights["0.weight"].t().tolist()
    del found["transposed"]
    other = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    other.load_state_dict(found)
    assert torch.equal(other[0].weight, model[0].weight)


def test_what_cannot_be_saved(tmp_path: Path) -> None:
    for tensor in (torch.ones(2, device="meta"), torch.eye(2).to_sparse()):
        with pytest.raises(fastckpt.UnsupportedError):
            save_file({"x": tensor}, tmp_path / "m")
    with pytest.raises(fastckpt.InvalidArgumentError):
        save_file([torch.ones(1)], tmp_path / "m")  # type: ignore[arg-type]


def test_importing_the_module_imports_no_torch() -> None:
    code = "import sys, fastckpt.torch, fastckpt.jax; print({'torch', 'jax'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
