"""``fastckpt ls --objects``: the objects of tf.train.Checkpoint as a tree."""

from __future__ import annotations

from pathlib import Path

import pytest

import fastckpt
from fastckpt.graph import save_objects
from unit.cli_helpers import invoke


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    objects = {"model": {"layers": [{"w": [1.0, 2]}], "a.b": b"x", "\x1b[2J": 1}, "opt": {}}
    slots = {("opt", "m"): {"model.layers[0].w[0]": 3.0}}
    return save_objects(tmp_path / "m-4", objects, slots=slots, sync=False)


def test_objects_are_drawn(prefix: str) -> None:
    result = invoke("ls", "--objects", prefix)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[:7] == [
        "(root)",
        "├─ model",
        "│  ├─ layers",
        "│  │  └─ [0]",
        "│  │     └─ w",
        "│  │        ├─ [0]  float32 []",
        "│  │        │  └─ (opt.m)  float32 []",
    ]
    assert '│  ├─ ["a.b"]  string []' in lines
    assert '│  └─ ["\\u001b[2J"]  int32 []' in lines
    assert lines[-1].startswith("12 objects, 5 variables, 1 slot variable  ")


def test_no_objects(tmp_path: Path) -> None:
    path = fastckpt.save(tmp_path / "m", {"w": 1}, sync=False)
    result = invoke("ls", "--objects", path)
    assert result.exit_code == 2
    assert "no object graph" in result.stderr


@pytest.mark.parametrize("other", ["--tree", "--json", "--long", "--sort=size", "w"])
def test_it_goes_with_nothing_else(prefix: str, other: str) -> None:
    result = invoke("ls", "--objects", prefix, other)
    assert result.exit_code == 2
    assert "--objects goes with no" in result.output
