"""Optimizers and Keras models in object graphs: state told apart, restored, trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.keras.optimizer_v2 import adam as adam_v2
from tensorflow.python.keras.optimizer_v2 import gradient_descent as sgd_v2

from fastckpt.graph import load_objects, object_graph, save_objects
from interop import objects_twins as twins
from interop.stock import STOCK_LAYOUT, assert_same_files

v1 = tf.compat.v1.train
OPTIMIZERS = {
    "momentum": lambda: v1.MomentumOptimizer(0.1, 0.9),
    "adam": lambda: v1.AdamOptimizer(0.1),
    "rmsprop": lambda: v1.RMSPropOptimizer(0.1, momentum=0.9, centered=True),
    "keras2-sgd": lambda: sgd_v2.SGD(0.1, momentum=0.9),
    "keras2-adam": lambda: adam_v2.Adam(0.1, amsgrad=True),
}
SLOT_NAMES = {
    "momentum": ["momentum"],
    "adam": ["m", "v"],
    "rmsprop": ["mg", "momentum", "rms"],
    "keras2-sgd": ["momentum"],
    "keras2-adam": ["m", "v", "vhat"],
}


class Training:
    """Two variables, one below a dict, and an optimizer that trains them."""

    def __init__(self, kind: str) -> None:
        self.w = tf.Variable([1.0, 2.0], name="w")
        self.b = tf.Variable(3.0, name="b")
        self.optimizer = OPTIMIZERS[kind]()
        self.objects = {"model": {"w": self.w, "b": self.b}, "train": {"opt": self.optimizer}}

    def step(self) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(self.w * self.w) + self.b * self.b
        gradients = tape.gradient(loss, [self.w, self.b])
        self.optimizer.apply_gradients(zip(gradients, [self.w, self.b], strict=True))

    def values(self) -> list[list[float]]:
        return [self.w.numpy().tolist(), [float(self.b)]]


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_slots_go_both_ways(kind: str, tmp_path: Path) -> None:
    training = Training(kind)
    training.step()
    theirs = twins.save_by_tensorflow(tmp_path / "tf", **training.objects)

    # Read: every slot is told with its variable and its optimizer.
    assert list(theirs.slots) == [("train.opt", name) for name in SLOT_NAMES[kind]]
    (optimizer,) = theirs.optimizers.values()
    assert list(optimizer.slots) == SLOT_NAMES[kind]
    for name, slots in optimizer.slots.items():
        assert list(slots) == ["model.w", "model.b"]
        for variable, slot in zip((training.w, training.b), slots.values(), strict=True):
            np.testing.assert_array_equal(slot, training.optimizer.get_slot(variable, name))
    assert list(theirs.weights) == list(theirs.trainable) == ["model.w", "model.b"]
    own = [x for x in theirs.variables if x.startswith("train.opt.")]
    assert list(optimizer.variables) == own

    # Write: the same file, and training goes on as if it had never stopped.
    copy = save_objects(
        tmp_path / "copy-1",
        load_objects(theirs.checkpoint),
        slots=theirs.slots,
        full_names=twins.full_names(theirs),
        sync=False,
        **STOCK_LAYOUT,
    )
    assert_same_files(copy, theirs.checkpoint.prefix)
    other = Training(kind)
    other.step()
    tf.train.Checkpoint(**other.objects).restore(copy).assert_consumed()
    training.step()
    other.step()
    assert other.values() == training.values()


def test_slots_from_arrays_alone(tmp_path: Path) -> None:
    objects = {"model": {"w": np.float32([5, 6]), "b": 7.0}, "train": {"opt": {}}}
    slots = {("train.opt", "momentum"): {"model.w": np.float32([1, 2]), "model.b": 3.0}}
    path = save_objects(tmp_path / "m", objects, slots=slots, sync=False, num_shards=3)
    training = Training("momentum")
    training.step()
    tf.train.Checkpoint(**training.objects).restore(path).assert_consumed()
    momentum = training.optimizer.get_slot(training.w, "momentum")
    assert momentum.numpy().tolist() == [1, 2]
    assert training.values() == [[5, 6], [7]]
    # Slots that the optimizer has not made yet are restored when it makes them.
    later = Training("momentum")
    status = tf.train.Checkpoint(**later.objects).restore(path)
    later.step()
    status.assert_consumed()
    training.step()
    assert later.values() == training.values()


def test_two_optimizers_of_one_variable(tmp_path: Path) -> None:
    first, second = Training("momentum"), Training("adam")
    second.w, second.b = first.w, first.b
    for training in (first, second):
        training.step()
    objects = {"w": first.w, "a": first.optimizer, "b": second.optimizer}
    theirs = twins.save_by_tensorflow(tmp_path / "tf", **objects)
    assert list(theirs.slots) == [("a", "momentum"), ("b", "m"), ("b", "v")]
    assert list(theirs.optimizers["b"].variables) == ["b.beta1_power", "b.beta2_power"]
    assert list(theirs.tree())[-5:] == [
        "├─ w  float32 [2]",
        "│  ├─ (a.momentum)  float32 [2]",
        "│  ├─ (b.m)  float32 [2]",
        "│  └─ (b.v)  float32 [2]",
        "└─ save_counter  int64 []",
    ]


# --- Keras 3 -------------------------------------------------------------------------------------


def make_model(*, trained: bool) -> keras.Model:
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(4, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), "mse")
    model.optimizer.build(model.trainable_variables)
    if trained:
        model.train_on_batch(np.ones((4, 3), np.float32), np.ones((4, 1), np.float32))
    return model


def state_of(model: keras.Model) -> list[Any]:
    return [x.numpy() for x in (*model.weights, *model.optimizer.variables)]


def assert_same_state(model: keras.Model, other: keras.Model) -> None:
    for ours, theirs in zip(state_of(model), state_of(other), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return make_model(trained=True)


def test_keras_state_is_told_apart(model: keras.Model, tmp_path: Path) -> None:
    graph = twins.save_by_tensorflow(tmp_path / "tf", model=model, optimizer=model.optimizer)
    layers = "model._functional._operations"
    assert sorted(graph.weights) == sorted(
        f"{layers}[{x}].{name}"
        for x, names in {
            1: ["_kernel", "bias"],
            2: ["gamma", "beta", "moving_mean", "moving_variance"],
            3: ["_kernel", "bias"],
        }.items()
        for name in names
    )
    assert {x.removeprefix(layers) for x in graph.weights} - {
        x.removeprefix(layers) for x in graph.trainable
    } == {"[2].moving_mean", "[2].moving_variance"}
    np.testing.assert_array_equal(
        graph["model.functional.operations[1].kernel"], model.layers[0].kernel
    )
    # The key goes the shortest way, which is that through the optimizer.
    assert graph.key(f"{layers}[1]._kernel").startswith("optimizer/_trainable_variables/0/")
    (optimizer,) = graph.optimizers.values()
    assert graph.slots == {}
    assert list(optimizer.variables)[:2] == ["optimizer._iterations", "optimizer._learning_rate"]
    assert len(optimizer.variables) == len(model.optimizer.variables)
    full_names = graph.names_to_keys()
    assert all(x.path in full_names for x in (*model.weights, *model.optimizer.variables))


def test_keras_training_goes_on_from_our_copy(model: keras.Model, tmp_path: Path) -> None:
    theirs = twins.save_by_tensorflow(tmp_path / "tf", model=model, optimizer=model.optimizer)
    copy = save_objects(tmp_path / "copy", load_objects(theirs.checkpoint), sync=False)
    other = make_model(trained=False)
    checkpoint = tf.train.Checkpoint(model=other, optimizer=other.optimizer)
    checkpoint.restore(copy).assert_consumed().assert_existing_objects_matched()
    assert_same_state(other, model)
    assert checkpoint.save(str(tmp_path / "m")).endswith("m-2")


def test_keras_weights_from_arrays(model: keras.Model, tmp_path: Path) -> None:
    first, norm, last = ([x.numpy() for x in layer.weights] for layer in model.layers)
    operations = [
        {},
        dict(zip(["_kernel", "bias"], first, strict=True)),
        dict(zip(["gamma", "beta", "moving_mean", "moving_variance"], norm, strict=True)),
        dict(zip(["_kernel", "bias"], last, strict=True)),
    ]
    objects = {"_functional": {"_operations": operations}}
    path = save_objects(tmp_path / "m", objects, sync=False)
    other = make_model(trained=False)
    # All that is stored is consumed, and the optimizer, which is not stored, is left alone.
    status = tf.train.Checkpoint(other).restore(path)
    status.assert_nontrivial_match()
    with pytest.raises(AssertionError, match="not bound to checkpointed values"):
        status.assert_existing_objects_matched()
    status.expect_partial()
    for ours, theirs in zip(other.weights, model.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)

    objects["optimizer"] = {"_variables": [x.numpy() for x in model.optimizer.variables]}
    path = save_objects(tmp_path / "all", objects, sync=False)
    other = make_model(trained=False)
    status = tf.train.Checkpoint(other).restore(path)
    status.assert_consumed().assert_existing_objects_matched()
    assert_same_state(other, model)


def test_keras_functional_and_subclassed_models(tmp_path: Path) -> None:
    class Block(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(2)
            self.scale = self.add_weight(shape=(), name="scale", initializer="ones")

        def call(self, inputs: Any) -> Any:
            return self.dense(inputs) * self.scale

    class Subclassed(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.block = Block()

        def call(self, inputs: Any) -> Any:
            return self.block(inputs)

    def build() -> list[keras.Model]:
        inputs = keras.Input((3,))
        functional = keras.Model(inputs, keras.layers.Dense(2)(Block()(inputs)))
        subclassed = Subclassed()
        subclassed(np.ones((1, 3), np.float32))
        return [functional, subclassed]

    for number, (model, other) in enumerate(zip(build(), build(), strict=True)):
        graph = twins.save_by_tensorflow(tmp_path / f"tf{number}", model)
        assert len(graph.weights) == len(model.weights)
        assert graph.trainable == {}
        copy = save_objects(tmp_path / f"{number}", load_objects(graph.checkpoint), sync=False)
        tf.train.Checkpoint(other).restore(copy).assert_consumed()
        for ours, theirs in zip(other.weights, model.weights, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_a_saved_model_of_keras(model: keras.Model, tmp_path: Path) -> None:
    model.export(str(tmp_path / "saved"), verbose=False)
    graph = object_graph(tmp_path / "saved")
    stored = [x.read().tobytes() for x in graph.variables.values()]
    assert all(x.numpy().tobytes() in stored for x in model.weights)
    tree = load_objects(graph.checkpoint)
    names = [x for x in graph.variables if x.startswith("variables[")]
    assert len(names) == len(tree["variables"]) == len(model.weights)
