"""Sessions of the TensorFlow-shaped namespace compute imported graphs with OpenVINO."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import fastckpt
from fastckpt import graph as graphs
from fastckpt.compat import tf

X = np.array([[1, 2], [3, 4]], np.float32)
W = np.array([[2], [3]], np.float32)
PRODUCT = b"""
node { name: "x" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } }
       attr { key: "shape" value { shape { dim { size: -1 } dim { size: 2 } } } } }
node { name: "y" op: "MatMul" input: "x" input: "w/read"
       attr { key: "T" value { type: DT_FLOAT } } }
"""


@pytest.fixture(autouse=True)
def fresh_graph() -> Iterator[None]:
    tf.reset_default_graph()
    yield
    tf.reset_default_graph()


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    """Write a model of one product, and a variable that no test restores a use for."""
    specs = [graphs.VariableSpec("w", "float32", W.shape), graphs.VariableSpec("u", "int64", ())]
    meta = graphs.build_meta_graph(specs)
    meta.graph_def.MergeFrom(graphs.parse_message(PRODUCT, "GraphDef"))
    path = fastckpt.save(tmp_path / "model", {"w": W, "u": np.int64(7)})
    graphs.write_message(f"{path}.meta", meta)
    return str(path)


def test_a_fetch_is_computed_with_the_values_of_now(prefix: str) -> None:
    saver = tf.train.import_meta_graph(f"{prefix}.meta")
    x = tf.get_default_graph().get_tensor_by_name("x:0")
    with tf.Session() as sess:
        with pytest.raises(fastckpt.CheckpointError, match="uninitialized value w"):
            sess.run("y:0", {x: X})
        saver.restore(sess, prefix)
        np.testing.assert_array_equal(sess.run("y:0", {x: X}), X @ W)
        variable = next(v for v in tf.global_variables() if v.op.name == "w")
        sess.run(variable.assign(W * 2))
        product, again = sess.run(["y:0", variable], feed_dict={"x:0": X})
        np.testing.assert_array_equal(product, X @ W * 2)
        np.testing.assert_array_equal(again, W * 2)


def test_a_frozen_graph_runs_below_its_scope(prefix: str) -> None:
    frozen = graphs.freeze(f"{prefix}.meta", prefix, ["y"])
    (y,) = tf.import_graph_def(frozen, name="Test", return_elements=["y:0"])
    with tf.Session() as sess:
        assert y.name == "Test/y:0"
        np.testing.assert_array_equal(sess.run(y, {"Test/x:0": X}), X @ W)
