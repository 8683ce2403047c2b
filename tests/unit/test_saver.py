"""``Saver`` over NumPy arrays and variables: names, files, the list, the state file."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastckpt
from fastckpt.errors import CheckpointError
from fastckpt.training import history
from fastckpt.training.saver import Saver


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def arrays() -> dict[str, np.ndarray[Any, Any]]:
    return {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.zeros(3)}


def files(folder: str = ".") -> list[str]:
    return sorted(os.listdir(folder))


def test_the_rhythm_of_the_tutorials(arrays: dict[str, Any]) -> None:
    saver = Saver(arrays, max_to_keep=4)
    for epoch in range(30):
        arrays["w"][...] = epoch
        if epoch % 10 == 0:
            assert saver.save("model/my-model", global_step=epoch) == f"model/my-model-{epoch}"
    assert files("model") == [
        "checkpoint",
        *(
            f"my-model-{epoch}.{suffix}"
            for epoch in (0, 10, 20)
            for suffix in ("data-00000-of-00001", "index", "meta")
        ),
    ]
    arrays["w"][...] = -1
    kept = arrays["w"]
    latest = fastckpt.latest_checkpoint("model")
    assert saver.restore(latest) is None
    assert kept is arrays["w"]
    assert (kept == 20).all()


def test_the_last_five_stay(arrays: dict[str, Any]) -> None:
    saver = Saver(arrays)
    for step in range(8):
        saver.save("m", global_step=step, write_meta_graph=False)
    assert saver.last_checkpoints == [f"m-{i}" for i in range(3, 8)]
    assert [x for x in files() if x.endswith(".index")] == [f"m-{i}.index" for i in range(3, 8)]
    state = fastckpt.get_checkpoint_state(".")
    assert state is not None
    assert state.all_model_checkpoint_paths == [f"./m-{i}" for i in range(3, 8)]
    assert state.all_model_checkpoint_timestamps == []


@pytest.mark.parametrize(
    ("options", "step", "name"),
    [
        ({}, None, "m"),
        ({}, 7, "m-7"),
        ({}, -3, "m--3"),
        ({}, True, "m-1"),
        ({}, np.int64(5), "m-5"),
        ({}, np.array(5), "m-5"),
        ({}, fastckpt.Variable(np.int64(6), name="step_of_test_saver"), "m-6"),
        ({"pad_step_number": True}, 12, "m-00000012"),
        ({"pad_step_number": True}, -5, "m--0000005"),
        ({"pad_step_number": True}, 123456789, "m-123456789"),
    ],
)
def test_names(arrays: dict[str, Any], options: dict[str, Any], step: Any, name: str) -> None:
    saver = Saver(arrays, **options)
    assert saver.save("m", global_step=step) == name
    assert os.path.exists(f"{name}.index")


def test_calls_without_a_session(arrays: dict[str, Any], here: Path) -> None:
    saver = Saver(arrays)
    assert saver.save("a", 3) == "a-3"
    assert saver.save(None, "a", 4) == "a-4"
    assert saver.save(save_path="a", global_step=5) == "a-5"
    assert saver.save(here / "a", 6) == str(here / "a-6")
    assert saver.save(b"a", global_step=7) == "a-7"
    for call in (
        lambda: saver.restore("a-3"),
        lambda: saver.restore(None, "a-4"),
        lambda: saver.restore(save_path="a-5"),
        lambda: saver.restore(here / "a-6"),
        lambda: saver.restore(b"a-7"),
    ):
        assert call() is None


def test_no_meta_graph_no_state(arrays: dict[str, Any]) -> None:
    saver = Saver(arrays, max_to_keep=1)
    saver.save("a", write_meta_graph=False)
    assert files() == ["a.data-00000-of-00001", "a.index", "checkpoint"]
    saver.save("b", write_state=False)
    assert saver.last_checkpoints == ["a"]
    saver.save("c", latest_filename="other", meta_graph_suffix="graph_of_c")
    assert saver.last_checkpoints == ["c"]
    assert files() == [
        "b.data-00000-of-00001", "b.index", "b.meta",
        "c.data-00000-of-00001", "c.graph_of_c", "c.index", "checkpoint", "other",
    ]  # fmt: skip


@pytest.mark.parametrize("kept", [None, 0])
def test_nothing_is_removed(arrays: dict[str, Any], kept: int | None) -> None:
    saver = Saver(arrays, max_to_keep=kept)
    for step in range(7):
        saver.save("m", step, write_meta_graph=False)
    assert saver.last_checkpoints == []
    assert len(files()) == 15
    assert Path("checkpoint").read_text().count("\n") == 2


def test_the_timeline(arrays: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock:
        now = 1e9

        def time(self) -> float:
            return self.now

    clock = Clock()
    monkeypatch.setattr(history, "time", clock)
    saver = Saver(arrays, max_to_keep=2, keep_checkpoint_every_n_hours=1, sync=False)
    for step in range(1, 14):
        clock.now = 1e9 + 1200 * step
        saver.save("m", step)
    kept = (4, 7, 10, 12, 13)
    assert {x for x in files() if x.endswith(".meta")} == {f"m-{i}.meta" for i in kept}
    assert saver.last_checkpoints == ["m-12", "m-13"]


def test_saving_again_moves_to_the_end(arrays: dict[str, Any]) -> None:
    saver = Saver(arrays, max_to_keep=2)
    for path in ("a", "b", "a", "c"):
        saver.save(path, write_meta_graph=False)
    assert saver.last_checkpoints == ["a", "c"]
    assert [x for x in files() if x.endswith(".index")] == ["a.index", "c.index"]
    assert fastckpt.load("a")["b"].tolist() == [0, 0, 0]


def test_a_new_saver_forgets_unless_it_recovers(arrays: dict[str, Any]) -> None:
    former = Saver(arrays, max_to_keep=3)
    for step in range(3):
        former.save("d/m", step)
    forgetful = Saver(arrays, max_to_keep=3)
    forgetful.save("d/m", 3)
    assert forgetful.last_checkpoints == ["d/m-3"]
    os.remove("d/m-1.index")
    Path("d/checkpoint").write_text(
        'model_checkpoint_path: "m-3"\n'
        + "".join(f'all_model_checkpoint_paths: "m-{i}"\n' for i in range(4))
    )
    recovered = Saver(arrays, max_to_keep=3, recover=True)
    recovered.save("d/m", 4)
    assert recovered.last_checkpoints == ["d/m-2", "d/m-3", "d/m-4"]
    smaller = Saver(arrays, max_to_keep=1, recover=True)
    smaller.save("d/m", 5)
    assert smaller.last_checkpoints == ["d/m-5"]
    assert not any(os.path.exists(f"d/m-{step}.index") for step in (2, 3, 4))
    assert not os.path.exists("d/m-0.index")


@pytest.mark.parametrize("text", [b"", b"garbage", b"\xff"])
def test_recovery_from_a_broken_state_file(arrays: dict[str, Any], text: bytes) -> None:
    Path("checkpoint").write_bytes(text)
    saver = Saver(arrays, recover=True)
    saver.save("m")
    assert saver.last_checkpoints == ["m"]


def test_lists_from_outside(arrays: dict[str, Any]) -> None:
    saver = Saver(arrays, max_to_keep=2)
    saver.save("a")
    os.utime("a.index", ns=(10**18, 1_234_567_890_987_654_321))
    saver.recover_last_checkpoints(["gone", "a"])
    assert saver.last_checkpoints == ["a"]
    assert saver._history.rule.checkpoints[0].time == 1234567890.0
    saver.set_last_checkpoints(["x", "y"])
    assert saver.last_checkpoints == ["x", "y"]
    saver.set_last_checkpoints_with_time([("z", 1.0)])
    assert saver.last_checkpoints == ["z"]
    for wrong in (("x",), "x", None):
        with pytest.raises(AssertionError) as caught:
            saver.set_last_checkpoints(wrong)  # type: ignore[arg-type]
        assert isinstance(caught.value, CheckpointError)
    with pytest.raises(AssertionError):
        saver.set_last_checkpoints_with_time(())  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        saver.set_last_checkpoints_with_time([3])  # type: ignore[list-item]
    assert saver.last_checkpoints == ["z"]


def test_what_cannot_be_removed_is_logged(
    arrays: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    saver = Saver(arrays, max_to_keep=1)
    saver.save("a")
    os.remove("a.meta")
    os.makedirs("a.meta/x")
    saver.save("b")
    assert any("Ignoring" in x.getMessage() for x in caplog.records)
    assert saver.last_checkpoints == ["b"]


@pytest.mark.parametrize("relative", [False, True])
def test_absolute_paths(arrays: dict[str, Any], here: Path, relative: bool) -> None:
    saver = Saver(arrays, save_relative_paths=relative)
    path = saver.save(str(here / "d" / "m"))
    assert path == str(here / "d" / "m")
    stored = "m" if relative else path
    assert Path("d/checkpoint").read_text().startswith(f'model_checkpoint_path: "{stored}"\n')
    os.rename("d", "e")
    assert fastckpt.latest_checkpoint("e") == "e/m"


def test_deferred(arrays: dict[str, Any]) -> None:
    saver = Saver(defer_build=True)
    for call in (lambda: saver.save("m"), lambda: saver.restore("m")):
        with pytest.raises(RuntimeError) as caught:
            call()
        assert isinstance(caught.value, CheckpointError)
    variable = fastckpt.Variable(np.ones(2), name="deferred_of_test_saver")
    saver.build()
    saver.build()
    saver.save("m")
    assert "deferred_of_test_saver" in dict(fastckpt.list_variables("m"))
    assert variable.numpy().tolist() == [1, 1]


def test_empty_ones() -> None:
    for nothing in ({}, [], ()):
        with pytest.raises(ValueError, match="No variables to save"):
            Saver(nothing)
        saver = Saver(nothing, allow_empty=True)
        assert saver.save("m", 3) is None
        assert files() == ["m-3.meta"]
        assert saver.restore(None) is None
        assert saver.saver_def is None


def test_v1(arrays: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    saver = Saver(arrays, write_version=1, max_to_keep=1)
    saver.save("m", 1)
    assert saver.save("m", 2) == "m-2"
    assert files() == ["checkpoint", "m-2", "m-2.meta"]
    assert any("deprecated" in x.getMessage() for x in caplog.records)
    arrays["w"][...] = 9
    saver.restore(fastckpt.latest_checkpoint("."))
    assert arrays["w"][1].tolist() == [3, 4, 5]
    sharded = Saver(arrays, write_version=1, sharded=True, max_to_keep=1)
    sharded.save("s", 1)
    assert sharded.save("s", 2) == "s-2-?????-of-00001"
    assert [x for x in files() if x.startswith("s")] == ["s-2-00000-of-00001", "s-2.meta"]
    sharded.restore(sharded.last_checkpoints[-1])


def test_shards(arrays: dict[str, Any]) -> None:
    saver = Saver(arrays, num_shards=2)
    saver.save("m", 1)
    assert [x for x in files() if ".data" in x] == [
        "m-1.data-00000-of-00002",
        "m-1.data-00001-of-00002",
    ]
    assert Saver(arrays, sharded=True).save("d/checkpoint") == "d/checkpoint"
    assert files("d") == [
        "checkpoint", "checkpoint.data-00000-of-00001", "checkpoint.index", "checkpoint.meta",
    ]  # fmt: skip


def test_info_of_a_restore(arrays: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    Saver(arrays).save("m")
    with caplog.at_level(logging.INFO, "fastckpt"):
        Saver(arrays).restore("m")
    assert "Restoring parameters from m" in [x.getMessage() for x in caplog.records]


def test_two_variables_of_one_name_have_their_keys_in_the_meta_graph(tmp_path):
    variable = fastckpt.Variable(1.0, name="twin")
    saver = fastckpt.Saver({"twin": np.zeros(1), "other": variable})
    path = saver.save(tmp_path / "m")
    graph = fastckpt.graph.MetaGraph.load(f"{path}.meta").graph
    names = [v.op.name for v in graph.get_collection("variables")]
    assert sorted(names) == ["other", "twin"]
