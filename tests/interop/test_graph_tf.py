"""Graphs, collections and values are those that stock TensorFlow reports."""

from __future__ import annotations

import gzip
import runpy
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from fastckpt import errors
from fastckpt.graph import Graph, MetaGraph, import_meta_graph, read_message
from interop import graph_oracle as oracle
from interop.graph_oracle import ZOO, tf1


class Saved:
    """A graph of the zoo that TensorFlow has saved."""

    def __init__(self, name: str, folder: Path) -> None:
        self.prefix = str(folder / name)
        self.meta = f"{self.prefix}.meta"
        self.values = oracle.saved(name, self.prefix)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Saved]:
    folder = tmp_path_factory.mktemp("zoo")
    return {name: Saved(name, folder) for name in ZOO}


def assert_same_graph(ours: Any, theirs: Any, *, exact_shapes: bool) -> None:
    left, right = oracle.describe(ours), oracle.describe(theirs)
    assert list(left) == list(right)
    for name in right:
        assert left[name] == right[name], name
    our_shapes, their_shapes = oracle.shapes(ours), oracle.shapes(theirs)
    for name, known in their_shapes.items():
        # TensorFlow infers more than a file says, and never anything else.
        assert oracle.merged(our_shapes[name], known) == known, name
        if exact_shapes:
            assert our_shapes[name] == known, name


@pytest.mark.parametrize("scope", [None, "outer/scope", "tail/"])
@pytest.mark.parametrize("name", ZOO)
def test_meta_graphs(zoo: dict[str, Saved], name: str, scope: str | None) -> None:
    imported = import_meta_graph(zoo[name].meta, import_scope=scope)
    graph, saver = oracle.import_meta_stock(zoo[name].meta, import_scope=scope)
    assert imported is not None
    assert_same_graph(imported.graph, graph, exact_shapes=True)
    assert imported.graph.get_all_collection_keys() == graph.get_all_collection_keys()
    assert imported.graph.collections == graph.collections
    assert oracle.describe_collections(imported.graph) == oracle.describe_collections(graph)
    expected = saver.saver_def.SerializeToString(deterministic=True)
    assert imported.saver_def.SerializeToString(deterministic=True) == expected


@pytest.mark.parametrize("name", ZOO)
def test_restored_values(zoo: dict[str, Saved], name: str) -> None:
    imported = import_meta_graph(zoo[name].meta)
    assert imported is not None
    imported.restore(None, zoo[name].prefix)
    assert zoo[name].values
    for variable in imported.graph.get_collection("variables"):
        expected = zoo[name].values[variable.name]
        for element in (variable, variable.name, variable.op, variable.snapshot):
            np.testing.assert_array_equal(imported.value(element), expected)
            assert imported.value(element).dtype == expected.dtype


def test_values_under_a_scope(zoo: dict[str, Saved]) -> None:
    imported = import_meta_graph(zoo["ref_variables"].meta, import_scope="copy")
    assert imported is not None
    imported.restore(zoo["ref_variables"].prefix)
    np.testing.assert_array_equal(imported.value("copy/w:0"), zoo["ref_variables"].values["w:0"])


def test_computed_tensors(zoo: dict[str, Saved]) -> None:
    saved, x = zoo["ref_variables"], np.float32([[1, 2], [3, 4]])
    graph, saver = oracle.import_meta_stock(saved.meta)
    with tf1.Session(graph=graph) as session:
        saver.restore(session, saved.prefix)
        expected = session.run("loss:0", {"x:0": x})
    imported = import_meta_graph(saved.meta)
    assert imported is not None
    imported.restore(saved.prefix)
    assert imported.run("loss:0", {"x:0": x}) == pytest.approx(expected, rel=1e-6)
    meta = MetaGraph.load(saved.meta)
    found = meta.run(["loss:0", "w:0"], {"x:0": x}, checkpoint=saved.prefix)
    assert found[0] == pytest.approx(expected, rel=1e-6)
    np.testing.assert_array_equal(found[1], saved.values["w:0"])


@pytest.mark.parametrize("name", ["placed", "every_collection"])
def test_options(zoo: dict[str, Saved], name: str) -> None:
    options: dict[str, Any] = {
        "clear_devices": True,
        "restore_collections_predicate": lambda key: key in ("variables", "ints", "texts"),
    }
    imported = import_meta_graph(zoo[name].meta, **options)
    graph, _ = oracle.import_meta_stock(zoo[name].meta, **options)
    assert imported is not None
    assert_same_graph(imported.graph, graph, exact_shapes=True)
    assert oracle.describe_collections(imported.graph) == oracle.describe_collections(graph)


def test_scopes_of_collections(zoo: dict[str, Saved]) -> None:
    ours = MetaGraph.load(zoo["ref_variables"].meta).graph
    theirs, _ = oracle.import_meta_stock(zoo["ref_variables"].meta)
    for key in ("variables", "losses", "train_op", "nope", ""):
        for scope in (None, "", "layer", "w", "w$", ".*b", "layer/b:0"):
            names = [x.name for x in ours.get_collection(key, scope)]
            assert names == [x.name for x in theirs.get_collection(key, scope)], (key, scope)


@pytest.mark.parametrize("scope", ["a b", "_a", "/a", "a:b", "^a", "a//b", "."])
def test_names_of_scopes(zoo: dict[str, Saved], scope: str) -> None:
    def outcome(run: Any) -> Any:
        try:
            return [op.name for op in run().get_operations()][:3]
        except ValueError as error:
            return str(error)

    meta = zoo["sharded"].meta
    theirs = outcome(lambda: oracle.import_meta_stock(meta, import_scope=scope)[0])
    assert outcome(lambda: import_meta_graph(meta, import_scope=scope).graph) == theirs


def test_the_table_of_operations_is_what_tensorflow_registers(repository: Path) -> None:
    script = runpy.run_path(str(repository / "scripts" / "make_ops.py"))
    table = files("fastckpt.graph").joinpath("ops.binpb.gz").read_bytes()
    assert gzip.decompress(table) == script["build"]()


# --- the corpus ----------------------------------------------------------------------------------

KINDS = ("MetaGraphDef", "GraphDef", "SavedModel")
# Operations of libraries that this TensorFlow does not have; graphs broken on purpose.
REFUSED_BY_TENSORFLOW = {
    "decision-forests--orflow_decision_forests-saved_model_adult_rf": "SimpleMLCreateModel",
    "tensor--tensorrt-tftrt_2.0_saved_model": "TRTEngineOp",
    "tfx--model_push-1551926310@95a3ff": "BucketizeWithInputBoundaries",
    "file--tensorflow--fuzz_generated-bad_node_attr-saved_model.pb": "No attr named 'value'",
    "file--tensorflow--fuzz_generated-negative_shape-saved_model.pb": "is not fully defined",
}


def graphs_of(path: Path) -> list[tuple[Any, Any]]:
    """The GraphDefs of a file, each with the operations its producer used."""
    for kind in KINDS:
        try:
            message = read_message(path, kind)
        except errors.CheckpointError:
            continue
        if kind == "GraphDef":
            return [(message, None)]
        metas = message.meta_graphs if kind == "SavedModel" else [message]
        return [(x.graph_def, x.meta_info_def.stripped_op_list) for x in metas]
    return []


def test_corpus(corpus_dir: Path) -> None:
    compared = refused = 0
    seen = set()
    paths = [p for p in sorted(corpus_dir.rglob("*")) if p.suffix in {".meta", ".pb", ".pbtxt"}]
    for path in filter(Path.is_file, paths):
        for graph_def, op_list in graphs_of(path):
            if (same := graph_def.SerializeToString(deterministic=True)) in seen:
                continue
            seen.add(same)
            ours = Graph(graph_def, op_list=op_list)
            says = REFUSED_BY_TENSORFLOW.get(path.relative_to(corpus_dir).parts[0])
            if says is not None:
                with pytest.raises((ValueError, tf.errors.OpError), match=says):
                    oracle.import_stock(graph_def, op_list)
                names = {op.name for op in ours.get_operations()}
                assert names == {node.name for node in graph_def.node}
                refused += 1
                continue
            assert_same_graph(ours, oracle.import_stock(graph_def, op_list), exact_shapes=False)
            compared += 1
    assert compared >= 66
    assert refused == len(REFUSED_BY_TENSORFLOW)


def test_corpus_meta_graphs(corpus_dir: Path) -> None:
    compared = 0
    for path in sorted(corpus_dir.rglob("*.meta")):
        try:
            imported = import_meta_graph(path)
        except errors.DataLossError:
            assert "t5x" in str(path)  # replaced bytes: TensorFlow cannot read it either
            continue
        theirs = tf1.MetaGraphDef.FromString(path.read_bytes())
        info = theirs.meta_info_def
        # TensorFlow 2.21 fails on versions such as "0.12.head", of its own making.
        info.tensorflow_version = info.tensorflow_version.replace(".head", "")
        graph, saver = oracle.import_meta_stock(theirs)
        assert imported is not None
        assert oracle.describe_collections(imported.graph) == oracle.describe_collections(graph)
        assert imported.saver_def.SerializeToString() == saver.saver_def.SerializeToString()
        compared += 1
    assert compared >= 15


def test_changed_meta_graphs_are_what_tensorflow_would_make_of_them(corpus_dir: Path) -> None:
    path = next(corpus_dir.glob("tfx--Format-Serving-model.ckpt-0/*.meta"))
    unknown = b"\xfa\x7f\x05later"
    meta = MetaGraph.from_bytes(path.read_bytes() + unknown)
    assert meta.to_bytes() == path.read_bytes() + unknown
    meta.meta_info.tags.append("changed")
    del meta.graph_def.node[-1]
    theirs = tf1.MetaGraphDef.FromString(path.read_bytes())
    theirs.meta_info_def.tags.append("changed")
    del theirs.graph_def.node[-1]
    found = meta.to_bytes()
    assert unknown in found
    assert tf1.MetaGraphDef.FromString(found.replace(unknown, b"")) == theirs
    text = tf1.MetaGraphDef()
    from google.protobuf import text_format

    text_format.Merge(meta.to_bytes(as_text=True).decode(), text)
    assert text == theirs
