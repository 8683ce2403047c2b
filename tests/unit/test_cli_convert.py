"""fastckpt convert: both ways, what is left out, what is in the way, JSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.numpy

import fastckpt
from golden.manifest import golden
from unit.cli_helpers import flip_byte, invoke, on_terminal, plain, shard_of
from unit.writer_helpers import loaded, names_in

LINEAR = golden("linear").prefix
TYPES = golden("types").prefix
OBJECT = golden("object").prefix


def test_there_and_back(tmp_path: Path) -> None:
    for name in ("m.safetensors", "m.npz"):
        result = invoke("convert", LINEAR, tmp_path / name)
        assert result.stdout == f"written  {tmp_path / name}: 5 tensors, 88 B\n"
        assert (result.exit_code, result.stderr) == (0, "")
        invoke("convert", tmp_path / name, tmp_path / "back", "--overwrite")
        assert loaded(tmp_path / "back") == loaded(LINEAR)
    assert invoke("convert", LINEAR, tmp_path / "x", "--to", "npz").exit_code == 0
    assert np.load(tmp_path / "x")["w"].shape == (3, 2)


def test_what_cannot_be_held(tmp_path: Path) -> None:
    result = invoke("convert", TYPES, tmp_path / "m.safetensors")
    assert result.exit_code == 2
    assert "string/mixed" in result.stderr
    assert "--skip-unsupported" in result.stderr
    assert names_in(tmp_path) == []
    result = invoke("convert", TYPES, tmp_path / "m.safetensors", "--skip-unsupported")
    assert result.exit_code == 0
    assert "string/mixed" in result.stdout
    assert "left out\n" in result.stdout


def test_bits_metadata_and_choices(tmp_path: Path) -> None:
    args = ["convert", TYPES, tmp_path / "m.npz", "--only", "plain"]
    assert "--as-bytes" in invoke(*args).stderr
    assert invoke(*args, "--as-bytes").exit_code == 0
    target = tmp_path / "m.safetensors"
    invoke("convert", LINEAR, target, "--metadata", "format=pt", "--metadata", "a=b=c",
           "--only", "w", "--only", "tower_0")  # fmt: skip
    with safetensors.safe_open(target, "np") as file:
        assert file.metadata() == {"format": "pt", "a": "b=c"}
        assert sorted(file.keys()) == ["tower_0/dense/bias", "tower_0/dense/kernel", "w"]
    assert "not KEY=VALUE" in invoke("convert", LINEAR, target, "--metadata", "x").stderr


def test_what_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "m.npz").write_bytes(b"mine")
    prefix = golden("linear").copy_to(tmp_path)
    for target in (tmp_path / "m.npz", prefix, tmp_path):
        result = invoke("convert", TYPES, target)
        assert result.exit_code == 2
        assert "--overwrite" in result.stderr
    assert (tmp_path / "m.npz").read_bytes() == b"mine"
    assert invoke("convert", LINEAR, tmp_path / "m.npz", "--overwrite").exit_code == 0


def test_a_dry_run(tmp_path: Path) -> None:
    result = invoke("convert", OBJECT, tmp_path / "m.npz", "-n")
    assert result.stdout.startswith("dry run  nothing written; from checkpoint to npz: 5 tensors")
    assert "_CHECKPOINTABLE_OBJECT_GRAPH" in result.stderr
    assert names_in(tmp_path) == []


def test_json(tmp_path: Path) -> None:
    args = ["convert", TYPES, tmp_path / "m.npz", "--skip-unsupported", "--as-bytes", "--json"]
    found = json.loads(invoke(*args).stdout)
    assert (found["source_format"], found["format"], found["dry_run"]) == (
        "checkpoint", "npz", False,
    )  # fmt: skip
    assert found["total"]["tensors"] + len(found["skipped"]) == 44
    assert {"name", "reason"} == set(found["skipped"][0])


@pytest.mark.parametrize("name", ["m.safetensors", "m.npz"])
def test_damage_is_exit_code_1(tmp_path: Path, name: str) -> None:
    prefix = golden("linear").copy_to(tmp_path / "in")
    flip_byte(shard_of(prefix), 0)
    result = invoke("convert", prefix, tmp_path / name)
    assert (result.exit_code, names_in(tmp_path)) == (1, ["in"])
    (tmp_path / name).write_bytes(b"PK\x03\x04" if name == "m.npz" else b"\x40" + bytes(7) + b"{")
    assert invoke("convert", tmp_path / name, tmp_path / "out").exit_code == 1


def test_names_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    tensors = {"\x1b[2Jx": [b"a"], "b\nc": [b"a"], "w": np.ones(1)}
    fastckpt.save(tmp_path / "m", tensors, sync=False)
    for columns in (30, 100):
        for options in ([], ["--skip-unsupported", "-n"]):
            args = ["convert", tmp_path / "m", tmp_path / "x.npz", *options]
            _, output = on_terminal(*args, columns=columns, NO_COLOR="1")
            assert "\x1b[2J" not in output
            assert "b\\nc" in plain(output).replace("\n", "")


@pytest.mark.parametrize("name", ["m.pt", "m.h5", "M.KERAS"])
def test_endings_of_other_programs(tmp_path: Path, name: str) -> None:
    result = invoke("convert", LINEAR, tmp_path / name)
    assert result.exit_code == 2
    assert f"there is no conversion to {name[1:].lower()}" in result.stderr
    assert names_in(tmp_path) == []
    assert invoke("convert", LINEAR, tmp_path / name, "--to", "checkpoint").exit_code == 0
