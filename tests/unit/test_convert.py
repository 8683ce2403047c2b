"""convert as a whole: which format is meant, safe replacement, V1, choices, sizes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastckpt
import oracle
from fastckpt.checkpoint.legacy_writer import save_v1
from fastckpt.tools.convert import convert
from golden.manifest import golden, load_golden
from unit.cli_helpers import flip_byte, shard_of
from unit.convert_helpers import save
from unit.writer_helpers import loaded, names_in


@pytest.mark.parametrize("kind", ["safetensors", "npz"])
def test_the_format_is_told_by_content_and_asked_for_by_name(tmp_path: Path, kind: Any) -> None:
    save(tmp_path / "m", {"a": np.arange(3)})
    assert convert(tmp_path / "m", tmp_path / "file", to=kind).format == kind
    os.rename(tmp_path / "file", tmp_path / "m.ckpt")
    assert convert(tmp_path / "m.ckpt", tmp_path / "back").source_format == kind
    assert loaded(tmp_path / "back") == {"a": [0, 1, 2]}


def test_any_path_that_opens_will_do(tmp_path: Path) -> None:
    prefix = golden("linear").copy_to(tmp_path / "run")
    for path in (prefix.parent, prefix, f"{prefix}.index", os.fsencode(prefix)):
        done = convert(path, tmp_path / "x.npz")  # type: ignore[arg-type]
        assert (done.source, done.tensors) == (str(prefix), 5)


def test_between_files(tmp_path: Path) -> None:
    save(tmp_path / "m", {"a": np.arange(3), "q": (np.int8([1]), "qint8")})
    convert(tmp_path / "m", tmp_path / "1.safetensors")
    done = convert(tmp_path / "1.safetensors", tmp_path / "2.npz")
    assert (done.source_format, done.format) == ("safetensors", "npz")
    convert(tmp_path / "2.npz", tmp_path / "3.safetensors")
    first, third = tmp_path / "1.safetensors", tmp_path / "3.safetensors"
    assert first.read_bytes() == third.read_bytes()
    convert(first, first)
    assert first.read_bytes() == third.read_bytes()


@pytest.mark.parametrize("name", load_golden())
def test_a_checkpoint_anew(name: str, tmp_path: Path) -> None:
    prefix = golden(name).prefix
    done = convert(prefix, tmp_path / "out")
    assert done.tensors == len(fastckpt.open(prefix))
    entries = [
        {key: (x.dtype, x.shape, x.masked_crc, x.slices) for key, x in found.items()}
        for _, found in map(oracle.read_entries, (prefix, tmp_path / "out"))
    ]
    assert entries[0] == entries[1]


def test_v1_becomes_v2(tmp_path: Path) -> None:
    save_v1(tmp_path / "old", {"a": [1.5], "s": [b"x"]}, sync=False)
    convert(tmp_path / "old", tmp_path / "new")
    assert fastckpt.open(tmp_path / "new").format == "v2"
    assert loaded(tmp_path / "new") == {"a": [1.5], "s": [b"x"]}


def test_some_tensors_alone(tmp_path: Path) -> None:
    convert(golden("linear").prefix, tmp_path / "x.npz", patterns="tower_0")
    with np.load(tmp_path / "x.npz") as found:
        assert found.files == ["tower_0/dense/bias", "tower_0/dense/kernel"]
    convert(tmp_path / "x.npz", tmp_path / "m", patterns=["*bias"])
    assert list(loaded(tmp_path / "m")) == ["tower_0/dense/bias"]
    with pytest.raises(fastckpt.TensorNotFoundError, match="did you mean"):
        convert(tmp_path / "x.npz", tmp_path / "m", patterns="tower_0/dense/bia")


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        ("x", {"to": "gguf"}, "to must be one of"),
        ("x", {"as_bytes": True}, "as_bytes is about npz"),
        ("x.npz", {"metadata": {"a": "b"}}, "metadata is about safetensors"),
        ("m.index", {}, "pass the prefix"),
        ("dir", {"to": "npz"}, "is a directory"),
    ],
)
def test_wrong_options(tmp_path: Path, target: str, options: dict[str, Any], message: str) -> None:
    save(tmp_path / "m", {"a": np.ones(1)})
    (tmp_path / "dir").mkdir()
    before = names_in(tmp_path)
    with pytest.raises(fastckpt.InvalidArgumentError, match=message):
        convert(tmp_path / "m", tmp_path / target, **options)
    assert names_in(tmp_path) == before


def test_paths_that_are_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(fastckpt.InvalidArgumentError, match="HDF5"):
        convert(tmp_path / "x.h5", tmp_path / "m")
    with pytest.raises(fastckpt.CheckpointNotFoundError):
        convert(tmp_path / "nowhere.safetensors", tmp_path / "m")


@pytest.mark.parametrize("target", ["x.safetensors", "x.npz", "x"])
def test_failures_leave_what_was_there(tmp_path: Path, target: str) -> None:
    save(tmp_path / "good", {"a": np.ones(4)})
    save(tmp_path / "bad", {"a": np.ones(4), "b": np.zeros(4)})
    convert(tmp_path / "good", tmp_path / target)
    flip_byte(shard_of(tmp_path / "bad"), 40)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(fastckpt.DataLossError, match="'b'"):
        convert(tmp_path / "bad", tmp_path / target)

    def cancel(_: fastckpt.Progress) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        convert(tmp_path / "good", tmp_path / target, progress=cancel)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_an_empty_checkpoint(tmp_path: Path) -> None:
    save(tmp_path / "m", {})
    for name in ("x.safetensors", "x.npz"):
        assert convert(tmp_path / "m", tmp_path / name).tensors == 0
        convert(tmp_path / name, tmp_path / "back")
        assert loaded(tmp_path / "back") == {}


@pytest.mark.parametrize("name", ["x.safetensors", "x.npz"])
def test_many_tensors_and_progress(tmp_path: Path, name: str) -> None:
    value = np.zeros(4, np.float32)
    save(tmp_path / "m", {f"layer_{i}/w": value for i in range(5000)})
    for source, target in (("m", name), (name, "back")):
        seen: list[fastckpt.Progress] = []
        convert(tmp_path / source, tmp_path / target, sync=False, progress=seen.append)
        assert seen[-1].bytes_done == seen[-1].bytes_total == 80_000
        assert seen[-1].tensors_done == 5000
    assert len(fastckpt.open(tmp_path / "back")) == 5000
