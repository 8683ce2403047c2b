"""A meta graph and its checkpoint brought together: which tensor is whose, and what is missing."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastckpt
from fastckpt import errors
from fastckpt.graph import (
    ImportedGraph,
    MetaGraph,
    build_meta_graph,
    import_meta_graph,
    write_message,
)
from fastckpt.graph.meta_building import SaverSpec, VariableSpec
from fastckpt.graph.tensorflow_errors import WrongTypeError
from fastckpt.protos import message_class
from unit import graph_files

ARRAYS = {
    "w": np.arange(12, dtype=np.float32).reshape(4, 3),
    "layer/b": np.float64([1.5]),
    "step": np.int64(7),
    "name": np.array([b"caf\xc3\xa9"], object),
}
SPECS = [
    VariableSpec("w", "float32", [4, 3]),
    VariableSpec("layer/b", "float64", [1]),
    VariableSpec("step", "int64", []),
    VariableSpec("name", "string", [1]),
]


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    """A checkpoint with a meta graph of reference variables."""
    prefix = fastckpt.save(tmp_path / "model" / "m-7", ARRAYS)
    write_message(f"{prefix}.meta", build_meta_graph(SPECS))
    return prefix


def restored(prefix: str, **options: Any) -> ImportedGraph:
    found = import_meta_graph(f"{prefix}.meta", **options)
    assert found is not None
    found.restore(prefix)
    return found


def assert_values(found: ImportedGraph, scope: str = "") -> None:
    for name, expected in ARRAYS.items():
        value = found.value(f"{scope}{name}:0")
        np.testing.assert_array_equal(value, expected)
        assert value.dtype == expected.dtype


# --- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ref", "resource"])
@pytest.mark.parametrize("as_text", [False, True])
def test_restore(prefix: str, kind: Any, as_text: bool) -> None:
    write_message(f"{prefix}.meta", build_meta_graph(SPECS, kind=kind), as_text=as_text)
    found = restored(prefix)
    assert_values(found)
    assert found.checkpoint is not None
    assert found.checkpoint.prefix == prefix
    assert found.as_saver_def() is found.saver_def
    for variable in found.graph.get_collection("variables"):
        for element in (variable, variable.op.name, variable.snapshot, variable.snapshot.name):
            assert found.value(element) is found.value(variable.op)


def test_values_are_read_only_views(prefix: str) -> None:
    value = restored(prefix).value("w")
    assert not value.flags.writeable
    assert not value.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        value[0] = 1
    assert np.shares_memory(value, value.base)


@pytest.mark.parametrize("session", [(), (None,), (object(),)])
def test_ways_to_call_restore(prefix: str, session: tuple[Any, ...]) -> None:
    found = import_meta_graph(Path(f"{prefix}.meta"))
    assert found is not None
    for path in (prefix, os.fsencode(prefix), Path(prefix)):
        found.restore(*session, path)
        assert_values(found)
    found.restore(save_path=prefix)
    assert_values(found)


def test_sources(prefix: str) -> None:
    data = Path(f"{prefix}.meta").read_bytes()
    message = message_class("MetaGraphDef").FromString(data)
    for source in (os.fsencode(f"{prefix}.meta"), message, MetaGraph(message)):
        found = import_meta_graph(source)
        assert found is not None
        found.restore(prefix)
        assert_values(found)


def test_under_a_scope(prefix: str) -> None:
    found = restored(prefix, import_scope="outer/inner", clear_devices=True)
    assert_values(found, "outer/inner/")
    assert found.saver_def.restore_op_name == "outer/inner/save/restore_all"
    names = [x.name for x in found.graph.get_collection("variables", "outer/inner/w")]
    assert names == ["outer/inner/w:0"]


def test_without_a_saver_the_variables_say_where_they_are(prefix: str) -> None:
    meta = build_meta_graph(SPECS, saver=None)
    for scope in ("", "scope/"):
        found = import_meta_graph(meta, import_scope=scope)
        assert found is not None
        assert found.saver_def is None
        found.restore(prefix)
        assert_values(found, scope)


def test_names_that_the_saver_maps(prefix: str) -> None:
    specs = [VariableSpec("mine", "float32", [4, 3], key="w")]
    found = import_meta_graph(build_meta_graph(specs))
    assert found is not None
    found.restore(prefix)
    np.testing.assert_array_equal(found.value("mine:0"), ARRAYS["w"])


@pytest.mark.parametrize("saver", [None, SaverSpec(), SaverSpec(sharded=True)])
def test_partitioned_variables(tmp_path: Path, saver: SaverSpec | None) -> None:
    whole = np.arange(10, dtype=np.int32).reshape(5, 2)
    specs = []
    with fastckpt.CheckpointWriter(tmp_path / "p") as writer:
        for i, (start, stop) in enumerate([(0, 2), (2, 5)]):
            writer.add_slice("p", whole[start:stop], whole.shape, [start, 0])
            specs.append(VariableSpec(
                f"p/part_{i}", "int32", [stop - start, 2], full_name="p", full_shape=[5, 2],
                start=[start, 0], device=f"/device:CPU:{i}",
            ))  # fmt: skip
    found = import_meta_graph(build_meta_graph(specs, saver=saver))
    assert found is not None
    found.restore(str(tmp_path / "p"))
    np.testing.assert_array_equal(found.value("p/part_0:0"), whole[:2])
    np.testing.assert_array_equal(found.value("p/part_1"), whole[2:])
    for name in ("p", "p:0"):
        np.testing.assert_array_equal(found.value(name), whole)
        assert not found.value(name).flags.writeable


def test_constants_need_no_checkpoint(prefix: str) -> None:
    found = import_meta_graph(f"{prefix}.meta")
    assert found is not None
    assert found.value("save/RestoreV2/tensor_names:0").tolist() == sorted(
        name.encode() for name in ARRAYS
    )


def test_the_checkpoint_may_change(prefix: str) -> None:
    found = restored(prefix)
    before = found.value("w:0")
    other = fastckpt.save(f"{prefix}-other", ARRAYS | {"w": ARRAYS["w"] + 1})
    found.restore(None, other)
    np.testing.assert_array_equal(found.value("w:0"), ARRAYS["w"] + 1)
    np.testing.assert_array_equal(before, ARRAYS["w"])  # a view outlives what it came from


# --- what goes wrong -----------------------------------------------------------------------------


def test_values_that_are_not_there(prefix: str) -> None:
    found = import_meta_graph(f"{prefix}.meta")
    assert found is not None
    with pytest.raises(errors.FailedPreconditionError, match="uninitialized value w: restore a"):
        found.value("w:0")
    found.restore(prefix)
    with pytest.raises(KeyError, match="'v:0' refers to a Tensor which does not exist"):
        found.value("v:0")
    with pytest.raises(errors.UnsupportedError, match="is the result of 'NoOp'"):
        found.value("save/restore_all")
    meta = build_meta_graph([SPECS[0]])
    meta.graph_def.node.extend(
        build_meta_graph([VariableSpec("extra", "float32", [])]).graph_def.node[:4]
    )
    found = import_meta_graph(meta)
    assert found is not None
    found.restore(prefix)
    with pytest.raises(
        errors.FailedPreconditionError, match="extra: the saver of this graph does"
    ):
        found.value("extra:0")


def test_missing_tensors_are_listed(prefix: str) -> None:
    specs = [*SPECS, *(VariableSpec(f"w{i}/x", "float32", []) for i in range(5))]
    found = import_meta_graph(build_meta_graph([*specs, VariableSpec("layr/b", "float32", [])]))
    assert found is not None
    with pytest.raises(errors.TensorNotFoundError) as caught:
        found.restore(prefix)
    text = str(caught.value)
    assert text.startswith("Restoring from checkpoint failed.")
    assert "Key layr/b not found in checkpoint" in text
    assert "did you mean 'layer/b'" in text
    assert text.endswith("; and 3 more")
    assert (caught.value.key, caught.value.path) == ("layr/b", prefix)
    assert isinstance(caught.value, KeyError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == text


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (VariableSpec("w", "float32", [3, 4]), r"lhs shape= \[3, 4\] rhs shape= \[4, 3\]"),
        (VariableSpec("w", "float64", [4, 3]), "is float64, tensor 'w' of the checkpoint is"),
    ],
)
def test_tensors_that_do_not_fit(prefix: str, spec: VariableSpec, says: str) -> None:
    found = restored(prefix)
    found = import_meta_graph(build_meta_graph([spec]))
    assert found is not None
    with pytest.raises(errors.InvalidArgumentError, match=says):
        found.restore(prefix)
    assert found.checkpoint is None


def test_a_resource_takes_any_shape(prefix: str) -> None:
    meta = build_meta_graph([VariableSpec("w", "float32", [3, 4])], kind="resource")
    found = import_meta_graph(meta)
    assert found is not None
    found.restore(prefix)
    assert found.value("w").shape == (4, 3)


def test_damage_is_found_when_it_is_read(prefix: str) -> None:
    path = Path(f"{prefix}.data-00000-of-00001")
    data = bytearray(path.read_bytes())
    with fastckpt.open(prefix) as checkpoint:
        data[checkpoint.tensor("w").offset] ^= 1
    path.write_bytes(data)
    found = restored(prefix)
    with pytest.raises(errors.DataLossError):
        found.value("w")
    np.testing.assert_array_equal(found.value("step"), 7)


@pytest.mark.parametrize("path", [None, "", "gone", ".meta", ".index", 3])
def test_paths_that_are_no_checkpoint(prefix: str, path: Any) -> None:
    found = import_meta_graph(f"{prefix}.meta")
    assert found is not None
    path = prefix + path if isinstance(path, str) and path else path
    with pytest.raises(errors.CheckpointError) as caught:
        found.restore(None, path)
    assert isinstance(caught.value, TypeError if path == 3 else ValueError)
    if path is None:
        assert str(caught.value).startswith("Can't load save_path when it is None.")
    if isinstance(path, str) and path.endswith((".meta", ".index")):
        assert repr(prefix) in str(caught.value)


def test_the_prefix_is_not_the_meta_graph(prefix: str) -> None:
    with pytest.raises(OSError, match=r"^File does not exist\. Received: .*m-7\.meta'") as caught:
        import_meta_graph(prefix)
    assert isinstance(caught.value, errors.CheckpointNotFoundError)


def test_options(prefix: str) -> None:
    meta = graph_files.meta_graph()
    with pytest.raises(WrongTypeError, match="unexpected keyword argument 'nope'"):
        import_meta_graph(meta, nope=1)
    for options in ({"input_map": {"x": 1}}, {"graph": object()}):
        with pytest.raises(errors.UnsupportedError, match="makes a graph of its own"):
            import_meta_graph(meta, **options)
    with pytest.raises(TypeError, match="Expected binary or unicode string, got GraphDef"):
        import_meta_graph(meta.graph_def)
    with pytest.raises(ValueError, match="is not a valid root scope name"):
        import_meta_graph(meta, import_scope="a b")
    found = import_meta_graph(
        f"{prefix}.meta", restore_collections_predicate=lambda key: key == "variables"
    )
    assert found is not None
    assert found.graph.collections == ["variables"]


def test_nothing_to_restore(tmp_path: Path) -> None:
    (tmp_path / "empty.meta").write_bytes(b"")
    assert import_meta_graph(tmp_path / "empty.meta") is None
    meta = graph_files.meta_graph()
    meta.ClearField("saver_def")
    assert import_meta_graph(meta) is None
