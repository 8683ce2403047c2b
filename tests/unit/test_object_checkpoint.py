"""``ObjectCheckpoint`` and ``Module``: objects saved by their places, without TensorFlow."""

from __future__ import annotations

import copy
import gc
import logging
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import fastckpt
from fastckpt.checkpoint import writer as writer_module
from fastckpt.errors import (
    CheckpointNotFoundError,
    DataLossError,
    InvalidArgumentError,
)
from fastckpt.graph import object_graph
from fastckpt.training.objects import Module, ObjectCheckpoint
from fastckpt.training.objects.status import UnmatchedError


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ones(*shape: int) -> np.ndarray[Any, Any]:
    return np.ones(shape, np.float32)


def zeros(*shape: int) -> np.ndarray[Any, Any]:
    return np.zeros(shape, np.float32)


def names(path: str) -> list[str]:
    return list(object_graph(path).variables)


# --- saving --------------------------------------------------------------------------------------


def test_saves_are_numbered_and_the_state_file_names_the_last() -> None:
    checkpoint = ObjectCheckpoint(w=ones(2))
    assert checkpoint.write("run/plain") == "run/plain"
    assert names("run/plain") == ["w"]
    assert [checkpoint.save("run/ckpt") for _ in range(2)] == ["run/ckpt-1", "run/ckpt-2"]
    assert checkpoint.save(Path("run/ckpt")) == "run/ckpt-3"
    assert int(checkpoint.save_counter.numpy()) == 3
    assert fastckpt.latest_checkpoint("run") == "run/ckpt-3"
    state = fastckpt.get_checkpoint_state("run")
    assert state is not None
    assert state.all_model_checkpoint_paths == ["run/ckpt-3"]
    assert object_graph("run/ckpt-3").save_counter == 3


def test_variables_of_all_kinds_are_found_at_any_depth() -> None:
    class Pair(NamedTuple):
        left: Any
        right: Any

    module = Module("m")
    module.array = ones(1)
    module.named = fastckpt.Variable([1.0, 2.0], name="named")
    module.listed = [ones(2), {"x.y": ones(3)}, 5]
    module.pair = Pair(ones(1), 7)
    module.ordered = OrderedDict(z=ones(1), a=ones(1))
    module.itself = module
    module.text = "no variable"
    path = ObjectCheckpoint(module, extra=ones(1)).save("ckpt")
    assert sorted(names(path)) == sorted(
        ["array", "named", "listed[0]", 'listed[1]["x.y"]', "pair.left", "ordered.z", "ordered.a",
         "extra", "save_counter"]
    )  # fmt: skip
    graph = object_graph(path)
    # What has a name is known by it to a Saver, and else by its place.
    known = graph.names_to_keys()
    assert known["named"] == "named/.ATTRIBUTES/VARIABLE_VALUE"
    assert "listed/0" in known
    assert graph.aliases("array") == ["array"]


def test_attributes_stay_tracked_as_in_tensorflow() -> None:
    module = Module()
    module.w = ones(1)
    module.w = None
    assert names(ObjectCheckpoint(module).write("a")) == ["w"]
    module.w = zeros(2)
    assert fastckpt.load("a")["w/.ATTRIBUTES/VARIABLE_VALUE"].shape == (1,)
    assert fastckpt.load(ObjectCheckpoint(module).write("b"))[
        "w/.ATTRIBUTES/VARIABLE_VALUE"
    ].shape == (2,)
    del module.w
    assert names(ObjectCheckpoint(module).write("c")) == []
    assert not hasattr(module, "w")


def test_what_cannot_be_restored_is_not_saved() -> None:
    given = [ones(1)]
    checkpoint = ObjectCheckpoint(given=given, table={"a": ones(1)})
    checkpoint.given.append(ones(2))
    assert len(given) == 2  # the list that was given is the same list
    checkpoint.given += [ones(3)]
    checkpoint.table.update(b=ones(1))
    checkpoint.table.setdefault("c", ones(1))
    assert len(names(checkpoint.write("fine"))) == 6
    given.append(ones(1))
    with pytest.raises(InvalidArgumentError, match="has changed since"):
        checkpoint.write("no")
    given.pop()
    checkpoint.given[0] = ones(4)
    with pytest.raises(InvalidArgumentError, match="replaced, deleted, inserted or moved"):
        checkpoint.save("no")
    assert int(checkpoint.save_counter.numpy()) == 0
    with pytest.raises(InvalidArgumentError, match="must be str"):
        ObjectCheckpoint(d={1: ones(1)}).write("no")
    assert not list(Path().glob("no*"))


def test_copies_of_tracked_containers_are_plain() -> None:
    checkpoint = ObjectCheckpoint(given=[1, ones(1)], table={"a": ones(1)})
    for copied in (copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))):
        assert type(copied(checkpoint.given)) is list
        assert type(copied(checkpoint.table)) is dict
    copy.copy(checkpoint.given).append(2)
    assert len(checkpoint.given) == 2
    assert names(checkpoint.write("ckpt")) == ["given[1]", "table.a"]


def test_a_save_that_fails_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = ObjectCheckpoint(w=ones(1))
    checkpoint.save("ckpt")

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("full")

    monkeypatch.setattr("fastckpt.training.objects.checkpoint.save", fail)
    with pytest.raises(OSError, match="full"):
        checkpoint.save("ckpt")
    monkeypatch.setattr("fastckpt.training.objects.checkpoint.save", writer_module.save)
    assert checkpoint.save("ckpt") == "ckpt-2"


@pytest.mark.parametrize("value", [3, None, "x", (1, 2), object()])
def test_what_is_no_object_is_refused(value: object) -> None:
    with pytest.raises(InvalidArgumentError, match="was expecting v to be a trackable object"):
        ObjectCheckpoint(v=value)


def test_roots() -> None:
    module = Module()
    module.w = ones(1)
    for wrong in (3, {"w": ones(1)}, [ones(1)]):
        with pytest.raises(InvalidArgumentError, match="was expecting root"):
            ObjectCheckpoint(wrong)
    with pytest.raises(InvalidArgumentError, match=r"root\.w already exists"):
        ObjectCheckpoint(module, w=ones(1))
    ObjectCheckpoint(module, w=module.w)
    array = ones(2)
    path = ObjectCheckpoint(array).write("variable")
    array[:] = 0
    ObjectCheckpoint(array).read(path).assert_consumed()
    assert array.tolist() == [1, 1]


# --- restoring -----------------------------------------------------------------------------------


def test_status_tells_what_matched(caplog: pytest.LogCaptureFixture) -> None:
    path = ObjectCheckpoint(a=ones(1), d={"x": ones(2)}).save("ckpt")
    less = ObjectCheckpoint(a=zeros(1)).restore(path)
    with pytest.raises(UnmatchedError, match=r"Unresolved object in checkpoint \(root\)\.d\.x"):
        less.assert_consumed()
    less.assert_existing_objects_matched().assert_nontrivial_match()
    more = ObjectCheckpoint(a=zeros(1), b=zeros(1), d={"x": zeros(2)}, empty=[]).restore(path)
    with pytest.raises(UnmatchedError, match="Found 1 Python objects that were not bound"):
        more.assert_existing_objects_matched()
    nothing = ObjectCheckpoint(z=zeros(1)).read(path)
    with pytest.raises(UnmatchedError, match="Nothing except the root object matched"):
        nothing.assert_nontrivial_match()
    with pytest.raises(UnmatchedError, match="No dependencies have been added"):
        ObjectCheckpoint().read(path).assert_nontrivial_match()
    kind = ObjectCheckpoint(a=Module(), d={"x": zeros(2)}).restore(path)
    with pytest.raises(UnmatchedError, match=r"Unused attributes .*\(root\)\.a: VARIABLE_VALUE"):
        kind.assert_consumed()
    assert issubclass(UnmatchedError, AssertionError)
    with pytest.raises(UnmatchedError, match="save_path=None"):
        ObjectCheckpoint().restore(None).assert_consumed()
    assert ObjectCheckpoint().restore(None).expect_partial().initialize_or_restore() is None
    del less, more, nothing, kind
    gc.collect()
    caplog.clear()
    status = ObjectCheckpoint(a=zeros(1)).restore(path)
    del status
    gc.collect()
    assert "could not be found in the restored object: (root).d.x" in caplog.text
    caplog.clear()
    ObjectCheckpoint(a=zeros(1)).restore(path).expect_partial()
    gc.collect()
    assert "could not be found" not in caplog.text


def test_objects_that_are_made_later_get_their_values() -> None:
    path = ObjectCheckpoint(m={"w": ones(2)}, l=[ones(1), ones(1)], t=ones(3)).save("ckpt")
    checkpoint = ObjectCheckpoint()
    status = checkpoint.restore(path)
    late = Module()
    late.w = zeros(2)
    assert late.w.tolist() == [0, 0]
    checkpoint.m = late
    assert late.w.tolist() == [1, 1]
    checkpoint.l = []
    checkpoint.l.extend([zeros(1), zeros(1)])
    assert [x.tolist() for x in checkpoint.l] == [[1], [1]]
    with pytest.raises(InvalidArgumentError, match="Received incompatible tensor"):
        checkpoint.t = zeros(4)
    checkpoint.t = zeros(3)
    with pytest.raises(UnmatchedError):
        status.assert_consumed()  # that value went to the first, which did not fit
    assert checkpoint.save("ckpt") == "ckpt-2"


def test_counting_goes_on() -> None:
    path = ObjectCheckpoint(w=ones(1)).save("ckpt")
    again = ObjectCheckpoint(w=zeros(1))
    again.restore(path).assert_consumed()
    assert again.save("ckpt") == "ckpt-2"
    module = Module()
    module.w = zeros(1)
    rooted = ObjectCheckpoint(module)
    rooted.restore("ckpt-2").assert_consumed()
    assert rooted.save("ckpt") == "ckpt-3"
    # A counter that a root has already is the same.
    assert ObjectCheckpoint(root=again, w=again.w).save_counter is again.save_counter
    assert ObjectCheckpoint(w=zeros(1)).read("ckpt-3").expect_partial() is not None


def test_nothing_is_assigned_where_something_does_not_fit() -> None:
    path = ObjectCheckpoint(a=ones(2), b=ones(3)).save("ckpt")
    for wrong in (zeros(2), np.zeros(3)):
        a = zeros(2)
        with pytest.raises(InvalidArgumentError, match="Nothing was assigned"):
            ObjectCheckpoint(a=a, b=wrong).restore(path)
        assert a.tolist() == [0, 0]


def test_paths() -> None:
    checkpoint = ObjectCheckpoint(w=ones(1))
    path = checkpoint.save("run/ckpt")
    with pytest.raises(CheckpointNotFoundError, match="You may be missing the checkpoint suffix"):
        checkpoint.restore("run/ckpt")
    with pytest.raises(DataLossError):
        checkpoint.restore("run")
    with pytest.raises(InvalidArgumentError, match="pass the prefix"):
        checkpoint.restore(f"{path}.index")
    with pytest.raises(CheckpointNotFoundError):
        checkpoint.read("nothing")
    assert checkpoint.restore(Path(path)).assert_consumed()
    assert checkpoint.save(b"run/bytes") == "run/bytes-2"
    checkpoint.sync()


def test_one_object_there_and_two_here(caplog: pytest.LogCaptureFixture) -> None:
    shared = ones(1)
    path = ObjectCheckpoint(a=shared, b=shared).save("ckpt")
    a, b = zeros(1), zeros(1)
    status = ObjectCheckpoint(a=a, b=b).restore(path)
    assert (a.tolist(), b.tolist()) == ([1], [0])
    assert "Inconsistent references" in caplog.text
    with pytest.raises(UnmatchedError):
        status.assert_consumed()
    two = ObjectCheckpoint(a=ones(1), b=ones(1)).save("two")
    ObjectCheckpoint(a=a, b=a).restore(two).assert_consumed()


def test_files_of_a_saver_are_restored_by_names(caplog: pytest.LogCaptureFixture) -> None:
    fastckpt.save("names", {"one": np.float32(1), "two": np.float32(2)})
    one = fastckpt.Variable(0.0, name="one")
    with caplog.at_level(logging.WARNING):
        ObjectCheckpoint(any=one).restore("names").assert_consumed()
    assert one.numpy() == 1
    assert "name-based" in caplog.text
    status = ObjectCheckpoint(any=one, other=fastckpt.Variable(0.0, name="three")).restore("names")
    for name in ("consumed", "existing_objects_matched", "nontrivial_match"):
        with pytest.raises(UnmatchedError, match="attributes which were not restored"):
            getattr(status, f"assert_{name}")()
    assert status.expect_partial().run_restore_ops() is None


def test_a_manager_counts_in_the_checkpoint() -> None:
    w = zeros(1)
    checkpoint = ObjectCheckpoint(w=w)
    manager = fastckpt.CheckpointManager(checkpoint, "run", max_to_keep=2)
    assert [manager.save() for _ in range(3)] == ["run/ckpt-1", "run/ckpt-2", "run/ckpt-3"]
    assert manager.checkpoints == ["run/ckpt-2", "run/ckpt-3"]
    w += 1
    assert manager.save(checkpoint_number=77) == "run/ckpt-77"
    w -= 1
    again = fastckpt.CheckpointManager(checkpoint, "run", max_to_keep=2)
    assert again.restore_or_initialize() == "run/ckpt-77"
    assert w == 1
    assert again.save() == "run/ckpt-5"
    again.sync()


# --- modules -------------------------------------------------------------------------------------


def test_modules_list_their_variables() -> None:
    class TwoLayers(Module):
        def __init__(self) -> None:
            self.first = Module("first")  # before the module has a name
            super().__init__()
            self.first.w = fastckpt.Variable([1.0], trainable=False, name="w")
            self.bias = fastckpt.Variable([1.0], name="bias")
            self.table = {"b": fastckpt.Variable([1.0], name="in_b"), "a": self.first}

    model = TwoLayers()
    assert model.name == "two_layers"
    assert [x.name for x in model.variables] == ["bias", "in_b", "w"]
    assert [x.name for x in model.trainable_variables] == ["bias", "in_b"]
    assert model.submodules == (model.first,)
    with pytest.raises(InvalidArgumentError, match="not a valid module name"):
        Module("a b")
