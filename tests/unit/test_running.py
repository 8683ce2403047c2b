"""Values that are answered without an engine, and what is said where one is needed."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import fastckpt
from fastckpt.errors import CheckpointError, InvalidArgumentError, UnsupportedError
from fastckpt.graph import MetaGraph, export_meta_graph, import_meta_graph, run
from unit.graph_makers import FLOAT, copies, graph_def, node, ref, resource, strings

GRAPH = (
    ref("w", 2)
    + copies("w", name="w/read")
    + resource("b", 2)
    + strings("names", "a", "b")
    + node("x", "Placeholder", attrs='attr { key: "dtype" value { type: DT_FLOAT } } '
           'attr { key: "shape" value { shape { dim { size: -1 } dim { size: 2 } } } }')
    + copies("x", name="same")
    + node("y", "AddV2", "same", "w/read", attrs=FLOAT)
)  # fmt: skip
VALUES = {"w": np.float32([1, 2]), "b": np.float32([3, 4])}


@pytest.fixture
def no_engine(monkeypatch) -> None:
    """Python's own way to say that modules are not there."""
    for module in ("openvino", "tensorflow"):
        monkeypatch.setitem(sys.modules, module, None)


def test_stored_values_need_no_engine(no_engine) -> None:
    found = run(
        graph_def(GRAPH),
        {"w": ["w:0", "w/read:0"], "b": ("b:0", "b/Read/ReadVariableOp"), "n": "names"},
        checkpoint=VALUES,
    )
    assert [x.tolist() for x in found["w"]] == [[1, 2], [1, 2]]
    assert [x.tolist() for x in found["b"]] == [[3, 4], [3, 4]]
    assert found["n"].tolist() == [b"a", b"b"]
    assert not found["w"][0].flags.writeable


def test_fed_values_come_back(no_engine) -> None:
    found = run(graph_def(GRAPH), ["x", "w"], {"x:0": [[1, 2]], "w": [5, 6]})
    assert found[0].dtype == np.float32
    assert [x.tolist() for x in found] == [[[1, 2]], [5, 6]]


def test_without_an_engine_the_error_says_what_to_install(no_engine) -> None:
    with pytest.raises(UnsupportedError, match=r'pip install "tf-fastckpt\[run\]"') as found:
        run(graph_def(GRAPH), "y:0", {"x:0": [[1, 2]]}, checkpoint=VALUES)
    assert isinstance(found.value, ImportError)


def test_meta_graphs_find_their_checkpoint(tmp_path: Path) -> None:
    prefix = fastckpt.save(str(tmp_path / "m"), VALUES, sync=False)
    meta = MetaGraph(export_meta_graph(f"{prefix}.meta", source=VALUES))
    assert MetaGraph.load(f"{prefix}.meta").prefix == prefix
    assert MetaGraph.load(f"{prefix}.meta").run("w:0").tolist() == [1, 2]
    with pytest.raises(InvalidArgumentError, match="no checkpoint was given"):
        meta.run("w:0")
    imported = import_meta_graph(f"{prefix}.meta")
    assert imported is not None
    imported.restore(prefix)
    assert imported.run(["w:0", "b:0"])[1].tolist() == [3, 4]


@pytest.mark.parametrize(
    ("fetches", "feeds", "builtin"),
    [
        ("zz:0", {}, KeyError),
        ("y:1", {}, KeyError),
        (3, {}, TypeError),
        ("y", {"zz": 1}, KeyError),
        ("y", {"x": [1, 2]}, ValueError),
        ("y", {"x": [["a", "b"]]}, ValueError),
        ("y", {"x": [[1], [2, 3]]}, ValueError),
        ("names", {"names": [1, 2]}, ValueError),
        ("y", {}, ValueError),
        ("y", {"x": [[1, 2]], "w/read": [1, 2, 3]}, ValueError),
    ],
)
def test_mistakes(no_engine, fetches, feeds, builtin: type[Exception]) -> None:
    with pytest.raises(CheckpointError) as found:
        run(graph_def(GRAPH), fetches, feeds, checkpoint=VALUES)
    assert isinstance(found.value, builtin)


def test_fetches_that_contain_themselves_end() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(InvalidArgumentError, match="deep"):
        run(graph_def(GRAPH), endless)


def test_integers_are_not_cut() -> None:
    text = GRAPH.replace("DT_FLOAT", "DT_INT32")
    assert run(graph_def(text), "x", {"x": np.float64([[1, 2]])}).dtype == np.int32
    with pytest.raises(InvalidArgumentError, match="change"):
        run(graph_def(text), "x", {"x": np.float64([[1.5, 2]])})
