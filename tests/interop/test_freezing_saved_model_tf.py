"""Frozen SavedModels of TensorFlow 2: functions in functions, loops, lookups, Keras."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.tools.freeze_graph import freeze_graph as theirs

from fastckpt.graph import freeze, freeze_graph
from fastckpt.graph.freeze_sources import load_model
from interop.freezing_models import assert_same_graph, call_freeze_graph, run_frozen


class Model(tf.Module):
    """Loops, branches and calls inside functions, of variables that they capture."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = [tf.Variable(tf.random.normal([3, 3], seed=i)) for i in range(2)]
        self.scale = tf.Variable(2.0)
        self.nested = {"bias": tf.Variable([1.0, 2.0, 3.0])}

    @tf.function(input_signature=[tf.TensorSpec([None, 3])])
    def __call__(self, x):
        for layer in self.layers:
            x = self.step(x) @ layer
        return {"y": x, "twice": x * self.scale}

    @tf.function
    def step(self, x):
        i = 0
        while i < 3:
            if tf.reduce_sum(x) > self.scale:
                x -= self.nested["bias"]
            else:
                x += self.layers[0][0] / self.scale
            i += 1
        return x


class Lookup(tf.Module):
    """Rows of an embedding, looked up inside a function, which TensorFlow leaves unfrozen."""

    def __init__(self) -> None:
        super().__init__()
        self.table = tf.Variable(tf.random.normal([10, 3], seed=1))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64)])
    def __call__(self, x):
        pairs = tf.gather_nd(self.table, x[:, None])
        return tf.nn.embedding_lookup(self.table, x) + 2 * pairs


def keras_model() -> keras.Model:
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.layers.Input([8, 8, 1]),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Reshape([12, 12]),
            keras.layers.LSTM(5, return_sequences=True),
            keras.layers.GRU(3),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )


RNG = np.random.default_rng(5)


@pytest.fixture(scope="module")
def directory(tmp_path_factory) -> Path:
    """SavedModels, saved by TensorFlow, and beside each what it is given and gives."""
    found = tmp_path_factory.mktemp("saved_models")
    x = RNG.standard_normal([2, 3]).astype(np.float32)
    image = RNG.standard_normal([2, 8, 8, 1]).astype(np.float32)
    models = {
        "module": (Model(), x),
        "lookup": (Lookup(), np.array([1, 7, 7])),
        "keras": (keras_model(), image),
    }
    for name, (model, given) in models.items():
        if name == "keras":
            model.export(str(found / name), verbose=False)
        else:
            tf.saved_model.save(model, str(found / name))
        result = model(tf.constant(given))
        result = {"output_0": result} if not isinstance(result, dict) else result
        np.savez(found / f"{name}.npz", given=given, **{k: v.numpy() for k, v in result.items()})
    return found


@pytest.mark.parametrize("name", ["module", "lookup", "keras"])
def test_signatures_compute_the_same(directory: Path, name: str) -> None:
    path = directory / name
    with np.load(directory / f"{name}.npz") as expected:
        signature = load_model(str(path)).meta_graph.signature_def["serving_default"]
        (given,) = signature.inputs.values()
        outputs = {key: info.name for key, info in signature.outputs.items()}
        frozen = freeze(path)
        left = [x.name for x in frozen.node if x.op == "VarHandleOp"]
        assert not left
        for key, output in outputs.items():
            fetched, number = output.split(":")
            probe = type(frozen).FromString(frozen.SerializeToString())
            probe.node.add(name="probe", op="Identity", input=[f"{fetched}:{number}"])
            probe.node[-1].attr["T"].type = 1
            feeds = {given.name.partition(":")[0]: expected["given"]}
            (found,) = run_frozen(probe, ["probe"], feeds)
            np.testing.assert_allclose(found, expected[key], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["module", "keras"])
def test_frozen_as_tensorflow_does(directory: Path, name: str) -> None:
    model = load_model(str(directory / name))
    arguments = {
        "output_node_names": ",".join(model.output_names(None)),
        "input_saved_model_dir": str(directory / name),
    }
    expected = call_freeze_graph(theirs, **arguments)
    assert_same_graph(call_freeze_graph(freeze_graph, **arguments), expected)
