"""freeze_graph beside TensorFlow's program of that name: every source, every error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef
from tensorflow.python.tools.freeze_graph import freeze_graph as theirs

from fastckpt.errors import CheckpointError
from fastckpt.graph.files import read_message
from fastckpt.graph.freeze_protos import freeze_graph_with_def_protos
from fastckpt.graph.freeze_tool import freeze_graph
from interop.freezing_models import (
    GraphDef,
    assert_same_graph,
    build_case,
    call_freeze_graph,
    run_frozen,
    v1,
)

NAMES = ["dense_ref", "dense_resource", "renamed", "sharded", "partitioned_joined", "lstm_old_ref"]


@pytest.fixture(scope="module")
def cases(tmp_path_factory) -> dict[str, Any]:
    directory = tmp_path_factory.mktemp("freeze_graph")
    return {name: build_case(name, directory) for name in [*NAMES, "partitioned_ref"]}


@pytest.fixture(params=[True, False], ids=["cleared", "devices kept"])
def clear_devices(request) -> bool:
    return request.param


def outputs_of(case: Any) -> dict[str, Any]:
    return {
        "input_checkpoint": case.prefix,
        "output_node_names": ", ".join(case.outputs),
    }


@pytest.mark.parametrize("name", NAMES)
def test_from_a_meta_graph(cases, name: str, clear_devices: bool, tmp_path: Path) -> None:
    case = cases[name]
    arguments = {
        **outputs_of(case),
        "input_meta_graph": f"{case.prefix}.meta",
        "clear_devices": clear_devices,
    }
    expected = call_freeze_graph(theirs, **arguments, output_graph=str(tmp_path / "theirs.pb"))
    ours = call_freeze_graph(freeze_graph, **arguments, output_graph=str(tmp_path / "ours.pb"))
    assert_same_graph(ours, expected)
    assert read_message(tmp_path / "ours.pb", "GraphDef") == ours
    if not expected.library.function:
        assert (tmp_path / "ours.pb").read_bytes() == (tmp_path / "theirs.pb").read_bytes()


@pytest.mark.parametrize("is_binary", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_from_a_saver(
    cases, name: str, clear_devices: bool, is_binary: bool, tmp_path: Path
) -> None:
    case = cases[name]
    saver_def = MetaGraphDef.FromString(Path(f"{case.prefix}.meta").read_bytes()).saver_def
    arguments = {
        **outputs_of(case),
        "input_graph": tf.io.write_graph(case.graph_def, str(tmp_path), "graph", not is_binary),
        "input_saver": tf.io.write_graph(saver_def, str(tmp_path), "saver", not is_binary),
        "input_binary": is_binary,
        "clear_devices": clear_devices,
    }
    expected = call_freeze_graph(theirs, **arguments)
    assert_same_graph(call_freeze_graph(freeze_graph, **arguments), expected)


@pytest.mark.parametrize("name", ["dense_ref", "lstm_old_ref"])
def test_from_a_plain_graph(cases, name: str, clear_devices: bool, tmp_path: Path) -> None:
    case = cases[name]
    arguments = {
        **outputs_of(case),
        "input_graph": tf.io.write_graph(case.graph_def, str(tmp_path), "graph.pb", False),
        "clear_devices": clear_devices,
        "variable_names_denylist": "layer/bias, lstm/bias",
    }
    expected = call_freeze_graph(theirs, **arguments)
    assert_same_graph(call_freeze_graph(freeze_graph, **arguments), expected)


def test_from_a_plain_graph_of_resources(cases, tmp_path: Path) -> None:
    case = cases["dense_resource"]
    graph = tf.io.write_graph(case.graph_def, str(tmp_path), "graph.pb", False)
    arguments = {**outputs_of(case), "input_graph": graph}
    with pytest.raises(IndexError):
        call_freeze_graph(theirs, **arguments)
    frozen = call_freeze_graph(freeze_graph, **arguments)
    np.testing.assert_array_equal(run_frozen(frozen, case.outputs, case.feeds), case.results)


@pytest.mark.parametrize("name", NAMES)
def test_from_a_saved_model(cases, name: str, clear_devices: bool, tmp_path: Path) -> None:
    case = cases[name]
    directory = str(tmp_path / "model")
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        v1.train.import_meta_graph(f"{case.prefix}.meta").restore(session, case.prefix)
        builder = v1.saved_model.Builder(directory)
        builder.add_meta_graph_and_variables(session, ["serve", "other"])
        builder.save()
    arguments = {
        "output_node_names": ",".join(case.outputs),
        "input_saved_model_dir": directory,
        "saved_model_tags": "serve,other",
        "clear_devices": clear_devices,
    }
    expected = call_freeze_graph(theirs, **arguments)
    assert_same_graph(call_freeze_graph(freeze_graph, **arguments), expected)


@pytest.mark.parametrize("name", ["dense_ref", "lstm_old_ref"])
def test_messages_are_not_changed(cases, name: str) -> None:
    case = cases[name]
    meta_graph = MetaGraphDef.FromString(Path(f"{case.prefix}.meta").read_bytes())
    graph_def = GraphDef.FromString(case.graph_def.SerializeToString())
    outputs = ",".join(case.outputs)
    for saver_def, meta in ((meta_graph.saver_def, None), (None, meta_graph), (None, None)):
        frozen = freeze_graph_with_def_protos(
            graph_def, saver_def, case.prefix, outputs, "", "", "", True, "",
            input_meta_graph_def=meta,
        )  # fmt: skip
        np.testing.assert_array_equal(
            run_frozen(frozen, case.outputs, case.feeds)[0], case.results[0]
        )
    assert graph_def == case.graph_def
    assert meta_graph == MetaGraphDef.FromString(Path(f"{case.prefix}.meta").read_bytes())


def test_initializers(tmp_path: Path) -> None:
    """Variables that the Saver left out get what their initializers assign."""
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        w = v1.get_variable("w", initializer=[1.0, 2.0], use_resource=False)
        started = v1.get_variable("started", initializer=[3.0, 4.0], use_resource=False)
        tf.add(w, started, name="y")
        session.run(v1.global_variables_initializer())
        v1.train.Saver([w]).save(session, str(tmp_path / "m"))
    arguments = {
        "input_meta_graph": str(tmp_path / "m.meta"),
        "input_checkpoint": str(tmp_path / "m"),
        "output_node_names": "y",
        "initializer_nodes": "started/Assign",
    }
    expected = call_freeze_graph(theirs, **arguments)
    assert_same_graph(call_freeze_graph(freeze_graph, **arguments), expected)
    with pytest.raises(KeyError, match="started"):
        call_freeze_graph(freeze_graph, **{**arguments, "initializer_nodes": ""})


def mistakes(cases, tmp_path: Path) -> dict[str, dict[str, Any]]:
    """Calls that TensorFlow refuses, by what is wrong with them."""
    case, parts = cases["dense_ref"], cases["partitioned_ref"]
    right = {**outputs_of(case), "input_meta_graph": f"{case.prefix}.meta"}
    binary = tf.io.write_graph(case.graph_def, str(tmp_path), "graph.pb", False)
    text = tf.io.write_graph(case.graph_def, str(tmp_path), "graph.pbtxt")
    frozen = tf.io.write_graph(case.frozen, str(tmp_path), "frozen.pb", False)
    split = tf.io.write_graph(parts.graph_def, str(tmp_path), "parts.pb", False)
    joined = cases["partitioned_joined"]
    whole = tf.io.write_graph(joined.graph_def, str(tmp_path), "joined.pb", False)
    other = text_format.Parse('node { name: "q" op: "NoOp" }', GraphDef())
    other = tf.io.write_graph(other, str(tmp_path), "other.pb", False)
    plain = {**outputs_of(case), "input_graph": binary}
    return {
        "no checkpoint": {**right, "input_checkpoint": "zz"},
        "no outputs": {**right, "output_node_names": ""},
        "no such output": {**right, "output_node_names": "zz"},
        "an output tensor": {**right, "output_node_names": "y:0"},
        "no graph file": {**plain, "input_graph": "zz"},
        "no meta graph file": {**right, "input_meta_graph": "zz"},
        "no saver file": {**plain, "input_saver": "zz"},
        "no SavedModel": {**right, "input_saved_model_dir": str(tmp_path)},
        "text as binary": {**plain, "input_graph": text},
        "binary as text": {**plain, "input_binary": False},
        "frozen already": {**plain, "input_graph": frozen},
        "partitioned": {**plain, **outputs_of(parts), "input_graph": split},
        "partitioned and joined": {**plain, **outputs_of(joined), "input_graph": whole},
        "no common names": {**plain, "input_graph": other},
        "no graph": outputs_of(case),
        "no such initializer": {**right, "initializer_nodes": "zz"},
    }


def test_mistakes(cases, tmp_path: Path) -> None:
    for what, arguments in mistakes(cases, tmp_path).items():
        with pytest.raises(Exception) as expected:
            call_freeze_graph(theirs, **arguments)
        with pytest.raises(CheckpointError) as ours:
            call_freeze_graph(freeze_graph, **arguments)
        # TensorFlow's own errors have no class here; protobuf's and Python's have.
        wanted = next(x for x in expected.type.__mro__ if "tensorflow" not in x.__module__)
        assert isinstance(ours.value, wanted), what
        is_told = str(expected.value).startswith(("Input", "You need", "No var", "Models"))
        if is_told and what != "no graph":
            assert str(ours.value).startswith(str(expected.value)), what
