"""What a Saver refuses, and that nothing is written or lost by it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastckpt
from fastckpt import protos
from fastckpt.errors import (
    CheckpointBusyError,
    CheckpointError,
    InvalidArgumentError,
    UnsupportedError,
)
from fastckpt.training.saver import Saver


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def arrays() -> dict[str, Any]:
    return {"w": np.ones(3)}


def saver_def(**fields: Any) -> Any:
    return protos.message_class("SaverDef")(**fields)


CONSTRUCTORS: dict[str, tuple[type[Exception], Any]] = {
    "deferred with variables": (ValueError, lambda: Saver(arrays(), defer_build=True)),
    "nothing": (ValueError, lambda: Saver({})),
    "text": (TypeError, lambda: Saver("abc")),
    "number": (TypeError, lambda: Saver(3)),
    "number in dict": (TypeError, lambda: Saver({"w": 3})),
    "key": (TypeError, lambda: Saver({1: np.ones(1)})),
    "nameless": (AttributeError, lambda: Saver([np.ones(1)])),
    "negative": (InvalidArgumentError, lambda: Saver(arrays(), max_to_keep=-1)),
    "huge": (InvalidArgumentError, lambda: Saver(arrays(), max_to_keep=1 << 31)),
    "kept": (TypeError, lambda: Saver(arrays(), max_to_keep="5")),
    "hours": (
        TypeError,
        lambda: Saver(arrays(), keep_checkpoint_every_n_hours="x"),
    ),
    "legacy": (TypeError, lambda: Saver(arrays(), write_version=0)),
    "version": (TypeError, lambda: Saver(arrays(), write_version=3)),
    "version text": (TypeError, lambda: Saver(arrays(), write_version="V2")),
    "saver_def": (ValueError, lambda: Saver(saver_def=3)),
    "empty saver_def": (ValueError, lambda: Saver(saver_def=saver_def())),
    "half saver_def": (ValueError, lambda: Saver(saver_def=saver_def(save_tensor_name="a"))),
    "builder": (UnsupportedError, lambda: Saver(arrays(), builder=object())),
    "threads": (ValueError, lambda: Saver(arrays(), num_threads=0)),
    "shards": (ValueError, lambda: Saver(arrays(), num_shards=0)),
}


@pytest.mark.parametrize("name", CONSTRUCTORS)
def test_constructors(name: str) -> None:
    kind, call = CONSTRUCTORS[name]
    with pytest.raises(kind) as caught:
        call()
    assert isinstance(caught.value, CheckpointError)


SAVES: dict[str, tuple[type[Exception], Any]] = {
    "empty": (ValueError, lambda s: s.save("")),
    "directory": (InvalidArgumentError, lambda s: s.save("d/")),
    "directory itself": (InvalidArgumentError, lambda s: s.save("d/.")),
    "directory above": (InvalidArgumentError, lambda s: s.save("..")),
    "none": (TypeError, lambda s: s.save(None, None)),
    "number": (TypeError, lambda s: s.save(None, 3)),
    "session": (TypeError, lambda s: s.save(3, "m")),
    "two paths": (TypeError, lambda s: s.save("m", "n")),
    "three": (TypeError, lambda s: s.save("m", 3, "latest")),
    "float": (TypeError, lambda s: s.save("m", 1.5)),
    "float array": (TypeError, lambda s: s.save("m", np.float64(1.5))),
    "text step": (TypeError, lambda s: s.save("m", global_step="global_step")),
    "two steps": (TypeError, lambda s: s.save("m", np.array([1, 2]))),
    "latest": (ValueError, lambda s: s.save("m", latest_filename="a/b")),
    "empty latest": (ValueError, lambda s: s.save("m", latest_filename="")),
    "dot latest": (ValueError, lambda s: s.save("m", latest_filename=".")),
    "latest type": (TypeError, lambda s: s.save("m", latest_filename=3)),
    "collision": (ValueError, lambda s: s.save("checkpoint")),
    "collision below": (ValueError, lambda s: s.save("d/checkpoint")),
    "collision by name": (ValueError, lambda s: s.save("m", latest_filename="m")),
    "state over index": (ValueError, lambda s: s.save("m", latest_filename="m.index")),
    "state over data": (
        ValueError,
        lambda s: s.save("m", latest_filename="m.data-00000-of-00001"),
    ),
    "state over meta": (ValueError, lambda s: s.save("m", latest_filename="m.meta")),
    "meta over index": (ValueError, lambda s: s.save("m", meta_graph_suffix="index")),
    "meta over data": (
        ValueError,
        lambda s: s.save("m", meta_graph_suffix="data-00000-of-00001"),
    ),
    "suffix type": (TypeError, lambda s: s.save("m", meta_graph_suffix=3)),
    "parent": (ValueError, lambda s: s.save("file/m")),
    "state is a directory": (ValueError, lambda s: s.save("m", latest_filename="d")),
    "index": (ValueError, lambda s: s.save("m.index")),
    "NUL": (ValueError, lambda s: s.save("m\0")),
    "url": (UnsupportedError, lambda s: s.save("gs://bucket/m")),
}


@pytest.mark.parametrize("name", SAVES)
def test_saves(name: str, here: Path) -> None:
    (here / "d").mkdir()
    (here / "file").write_text("x")
    kind, call = SAVES[name]
    saver = Saver(arrays())
    with pytest.raises(kind) as caught:
        call(saver)
    assert isinstance(caught.value, CheckpointError)
    assert sorted(os.listdir()) == ["d", "file"]
    assert os.listdir("d") == []
    assert saver.last_checkpoints == []
    assert saver.save("fine") == "fine"
    assert saver.last_checkpoints == ["fine"]


@pytest.mark.parametrize("version", [1, 2])
def test_a_checkpoint_that_would_be_the_state_file(version: int, here: Path) -> None:
    saver = Saver(arrays(), write_version=version)
    path = str(here / "m")
    with pytest.raises(ValueError):
        saver.save(path, 5, latest_filename="m-5")
    assert os.listdir() == []


def test_a_directory_in_the_place_of_the_state_file() -> None:
    os.mkdir("checkpoint")
    saver = Saver(arrays())
    for path in ("m", "./m"):
        with pytest.raises(ValueError, match="is a directory"):
            saver.save(path)
    assert os.listdir() == ["checkpoint"]
    assert saver.save("checkpoint/m") == "checkpoint/m"
    assert fastckpt.latest_checkpoint("checkpoint") == "checkpoint/m"
    assert saver.save("m", write_state=True, latest_filename="latest") == "m"


def test_a_live_writer_keeps_its_prefix() -> None:
    saver = Saver(arrays())
    with fastckpt.CheckpointWriter("m") as writer:
        writer.add("w", np.zeros(1))
        with pytest.raises(CheckpointBusyError):
            saver.save("m")
    assert saver.last_checkpoints == []
    saver.save("m")


def test_a_failing_save_leaves_what_was_there(here: Path) -> None:
    values = arrays()
    saver = Saver(values, max_to_keep=1)
    saver.save("m", 1)
    before = {path: path.read_bytes() for path in here.iterdir()}
    values["w"] = np.array(["a", object()], object)
    with pytest.raises(CheckpointError):
        saver.save("m", 2)
    assert {path: path.read_bytes() for path in here.iterdir()} == before
    assert saver.last_checkpoints == ["m-1"]


def test_v1_never_hides_behind_v2() -> None:
    Saver(arrays()).save("m")
    with pytest.raises(InvalidArgumentError, match="V2"):
        Saver(arrays(), write_version=1).save("m")


def test_what_a_negative_saver_def_means(caplog: pytest.LogCaptureFixture) -> None:
    proto = saver_def(
        filename_tensor_name="f:0", save_tensor_name="s:0", restore_op_name="r", max_to_keep=-2
    )
    saver = Saver(arrays(), saver_def=proto)
    for step in range(3):
        saver.save("m", step)
    assert len([x for x in os.listdir() if x.endswith(".index")]) == 3
    assert any("all are kept" in x.getMessage() for x in caplog.records)
