"""Models run by fastckpt, with TensorFlow for an engine: what a session gives."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import tensorflow as tf

from fastckpt.errors import CheckpointError, UnsupportedError
from fastckpt.graph import MetaGraph, freeze, import_meta_graph
from fastckpt.graph.running import run
from interop.freezing_models import MODELS, build_case, v1


@pytest.fixture(autouse=True)
def no_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    """It computes first where it is installed, and less exactly."""
    monkeypatch.setitem(sys.modules, "openvino", None)


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    directory = tmp_path_factory.mktemp("running")
    return {name: build_case(name, directory) for name in MODELS}


@pytest.mark.parametrize("name", MODELS)
def test_models(cases, name: str) -> None:
    case = cases[name]
    results = run(f"{case.prefix}.meta", case.outputs, case.feeds)
    assert len(results) == len(case.results)
    for result, expected in zip(results, case.results, strict=True):
        np.testing.assert_array_equal(result, expected)
        assert result.dtype == np.asarray(expected).dtype


@pytest.fixture(scope="module")
def session(cases):
    """A session on the dense model, to compare with."""
    case = cases["dense_ref"]
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        v1.train.import_meta_graph(f"{case.prefix}.meta").restore(session, case.prefix)
        yield session


def test_fetches_and_feeds(cases, session) -> None:
    case = cases["dense_ref"]
    meta = f"{case.prefix}.meta"
    x = [[1, 2, 3, 4.5]]
    fetches = {
        "y": "y:0",
        "list": ["MatMul:0", ("Relu:0", "layer/bias:0")],
        "same": "y:0",
        "fed": "x:0",
        "constant": "layer/kernel/Initializer/random_uniform/shape:0",
    }
    expected = session.run(fetches, {"x:0": x})
    found = run(meta, fetches, {"x:0": x})
    assert list(found) == list(fetches)
    assert isinstance(found["list"][1], tuple)
    for ours, theirs in zip(tf.nest.flatten(found), tf.nest.flatten(expected), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    # Any tensor may be fed, and what is before it is not needed.
    feeds = {"MatMul:0": np.float64([[1, -2, 3]])}
    np.testing.assert_array_equal(run(meta, "y:0", feeds), session.run("y:0", feeds))
    np.testing.assert_array_equal(
        run(meta, b"y", {"MatMul": [[1, -2, 3]]}), session.run("y:0", feeds)
    )
    graph = MetaGraph.load(meta).graph
    y, given = graph.get_tensor_by_name("y:0"), graph.get_tensor_by_name("x:0")
    np.testing.assert_array_equal(run(meta, y, {given: x}), expected["y"])


def test_sources(cases) -> None:
    case = cases["dense_resource"]
    meta = f"{case.prefix}.meta"
    frozen = freeze(meta, outputs=case.outputs)
    imported = import_meta_graph(meta)
    imported.restore(None, case.prefix)
    for model, checkpoint in [
        (frozen, None),
        (frozen.SerializeToString(), None),
        (case.frozen, None),
        (imported, None),
        (MetaGraph.load(meta), case.prefix),
    ]:
        found = run(model, "y:0", case.feeds, checkpoint=checkpoint)
        np.testing.assert_array_equal(found, case.results[0])
    for found in (MetaGraph.load(meta).run("y:0", case.feeds), imported.run("y:0", case.feeds)):
        np.testing.assert_array_equal(found, case.results[0])


MISTAKES = [
    ("y:0", {}),
    ("zz:0", {}),
    ("y:1", {}),
    ("y:0", {"zz:0": 1}),
    ("y:0", {"x:0": [1, 2]}),
    ("y:0", {"x:0": [["a"] * 4]}),
    (3, {}),
    ("y:0", {3: 1}),
    ("y:0:0", {}),
]


@pytest.mark.parametrize(("fetches", "feeds"), MISTAKES, ids=repr)
def test_mistakes(cases, session, fetches, feeds) -> None:
    with pytest.raises(Exception) as expected:
        session.run(fetches, feeds)
    with pytest.raises(CheckpointError) as found:
        run(f"{cases['dense_ref'].prefix}.meta", fetches, feeds)
    # What a session wraps into a ValueError or TypeError is the KeyError of the name here.
    wanted = next(x for x in expected.type.__mro__ if "tensorflow" not in x.__module__)
    assert isinstance(found.value, wanted | KeyError)


def test_what_changes_variables_is_refused(tmp_path) -> None:
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        w = v1.get_variable("w", [2], use_resource=False)
        v1.assign_add(w, [1.0, 1.0], name="step")
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, str(tmp_path / "m"))
    with pytest.raises(UnsupportedError, match=r"step.*variable"):
        run(str(tmp_path / "m.meta"), "step:0")
