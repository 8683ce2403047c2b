"""Removing checkpoints: which files go, in which order, and which stay."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import fastckpt
from fastckpt.errors import CheckpointBusyError, CheckpointIOError
from fastckpt.training.removing import meta_graph_filename, remove_checkpoint, remove_one


def write(prefix: str, *, num_shards: int = 1) -> None:
    fastckpt.save(prefix, {"w": np.ones(3)}, num_shards=num_shards, sync=False)
    Path(f"{prefix}.meta").write_bytes(b"meta")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_checkpoint_and_its_meta_graph_go_and_others_stay() -> None:
    write("d/m", num_shards=2)
    write("d/m-1")
    others = ["d/m.data-0", "d/m.data-00000-of-00001.bak", "d/m.txt", "d/m", "d/mm.index"]
    for name in others:
        Path(name).write_bytes(b"x")
    before = set(os.listdir("d"))
    remove_checkpoint("d/m")
    gone = before - set(os.listdir("d"))
    assert gone == {"m.index", "m.meta", "m.data-00000-of-00002", "m.data-00001-of-00002"}


def test_shards_without_an_index_go_too() -> None:
    for name in ("m.data-00000-of-00002", "m.data-00001-of-00002"):
        Path(name).write_bytes(b"x")
    remove_checkpoint("m")
    assert os.listdir() == []


@pytest.mark.parametrize("prefix", ["m", "nowhere/m", "", "d/"])
def test_what_is_missing_is_passed_over(prefix: str) -> None:
    remove_checkpoint(prefix)
    remove_checkpoint(prefix, 1)
    remove_one(prefix or "m")
    assert os.listdir() == []


def test_patterns() -> None:
    write("a-1")
    write("a-2")
    write("b[1]")
    remove_checkpoint("a-?")
    assert sorted(os.listdir()) == ["b[1].data-00000-of-00001", "b[1].index", "b[1].meta"]
    remove_checkpoint("b[1]")
    assert os.listdir() == []


def test_one_checkpoint_is_never_a_pattern() -> None:
    write("a-1")
    write("a-*")
    remove_one("a-*")
    assert sorted(os.listdir()) == ["a-1.data-00000-of-00001", "a-1.index", "a-1.meta"]


def test_v1_files() -> None:
    for name in ("m", "m.meta", "n-00000-of-00002", "n-00001-of-00002", "n.meta", "n-00000-of-3"):
        Path(name).write_bytes(b"x")
    remove_checkpoint("m", 1)
    assert not os.path.exists("m.meta")
    remove_checkpoint("n-?????-of-00002", 1)
    assert os.listdir() == ["n-00000-of-3"]


def test_one_v1_checkpoint() -> None:
    for name in ("m", "n-00000-of-00002", "n-00001-of-00002", "n.meta", "*-00000-of-00001"):
        Path(name).write_bytes(b"x")
    remove_one("*-?????-of-00001", 1)
    assert not os.path.exists("*-00000-of-00001")
    remove_one("n-?????-of-00002", 1)
    assert os.listdir() == ["m"]
    remove_one("m", 1, None)
    assert os.listdir() == []


def test_another_suffix() -> None:
    write("m")
    Path("m.other").write_bytes(b"x")
    remove_checkpoint("m", meta_graph_suffix="other")
    assert os.listdir() == ["m.meta"]
    remove_one("m", meta_graph_suffix=None)
    assert os.listdir() == ["m.meta"]


def test_a_live_writer_keeps_its_prefix() -> None:
    write("m")
    with fastckpt.CheckpointWriter("m") as writer:
        writer.add("w", np.zeros(1))
        with pytest.raises(CheckpointBusyError):
            remove_checkpoint("m")
        assert fastckpt.load("m")["w"].tolist() == [1, 1, 1]


def test_what_cannot_be_removed() -> None:
    os.makedirs("m.meta/x")
    with pytest.raises(CheckpointIOError):
        remove_checkpoint("m")


@pytest.mark.parametrize("prefix", [None, b"m", Path("m"), 3])
def test_a_prefix_is_text(prefix: object) -> None:
    with pytest.raises(TypeError):
        remove_checkpoint(prefix)  # type: ignore[arg-type]


def test_the_index_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that comes in between sees no checkpoint, not one without data."""
    write("m")
    os.remove("m.data-00000-of-00001")
    os.makedirs("m.data-00000-of-00001/x")  # cannot be unlinked
    remove_one("m")
    assert not os.path.exists("m.index")


@pytest.mark.parametrize(
    ("name", "meta"),
    [
        ("m", "m.meta"),
        ("m-7", "m-7.meta"),
        ("m-7-?????-of-00002", "m-7.meta"),
        ("m-7-00001-of-00002", "m-7.meta"),
        ("m-1-of-2-x", "m-1-of-2-x.meta"),
    ],
)
def test_meta_graph_filename(name: str, meta: str) -> None:
    assert meta_graph_filename(name) == meta
    assert meta_graph_filename(name, "x") == meta.replace(".meta", ".x")
