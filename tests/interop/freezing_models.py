"""Models of every kind that is frozen, built by stock TensorFlow, and what it makes of them."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef
from tensorflow.python.framework import convert_to_constants
from tensorflow.python.ops import control_flow_util

v1 = tf.compat.v1
GraphDef = v1.GraphDef


class Case(NamedTuple):
    """A saved model, and stock TensorFlow's frozen form of it."""

    prefix: str
    graph_def: GraphDef
    outputs: list[str]
    feeds: dict[str, np.ndarray]
    frozen: GraphDef
    results: list[np.ndarray]


def freeze_by_tensorflow(session: Any, graph_def: GraphDef, outputs: list[str], **lists: Any):
    """What the function of the test's name gives, under its undeprecated name."""
    names = {
        key.replace("whitelist", "allowlist").replace("blacklist", "denylist"): value
        for key, value in lists.items()
    }
    return convert_to_constants.convert_variables_to_constants_from_session_graph(
        session, graph_def, outputs, **names
    )


def build_case(name: str, directory: Path) -> Case:
    """Build, initialise and save the model `name`, and freeze it with TensorFlow."""
    graph = tf.Graph()
    with graph.as_default(), v1.Session(graph=graph) as session:
        v1.set_random_seed(7)
        feeds, outputs, saver = MODELS[name]()
        session.run(v1.global_variables_initializer())
        prefix = str(directory / f"{name}.ckpt")
        saver = saver or v1.train.Saver()
        saver.save(session, prefix, write_state=False)
        meta = MetaGraphDef.FromString(Path(f"{prefix}.meta").read_bytes())
        graph_def = meta.graph_def
        frozen = freeze_by_tensorflow(session, graph_def, outputs)
        fetches = [f"{x}:0" for x in outputs]
        results = session.run(fetches, {f"{x}:0": value for x, value in feeds.items()})
    return Case(prefix, graph_def, outputs, feeds, frozen, results)


def call_freeze_graph(function: Any, **arguments: Any) -> Any:
    """Call freeze_graph, TensorFlow's or ours, in a graph of its own."""
    given = {
        "input_graph": "",
        "input_saver": "",
        "input_binary": True,
        "input_checkpoint": None,
        "restore_op_name": "",
        "filename_tensor_name": "",
        "output_graph": "",
        "clear_devices": True,
        "initializer_nodes": "",
        **arguments,
    }
    with tf.Graph().as_default(), contextlib.redirect_stdout(io.StringIO()):
        return function(**given)


def run_frozen(message: Any, outputs: list[str], feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Import a frozen graph into stock TensorFlow and compute its outputs."""
    graph_def = GraphDef.FromString(message.SerializeToString())
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        tf.import_graph_def(graph_def, name="")
        fetches = [f"{x}:0" for x in outputs]
        return session.run(fetches, {f"{x}:0": value for x, value in feeds.items()})


def assert_same_graph(ours: Any, theirs: Any) -> None:
    """Compare frozen graphs node by node, function by function, up to the functions' numbers."""
    left, right = normalised(ours), normalised(theirs)
    assert [x.name for x in left.node] == [x.name for x in right.node]
    for mine, other in zip(left.node, right.node, strict=True):
        assert mine == other, f"node {mine.name}:\n{mine}\nis not\n{other}"
    for mine, other in zip(left.library.function, right.library.function, strict=True):
        assert mine == other, f"function:\n{mine}\nis not\n{other}"
    assert left == right


def normalised(message: Any) -> GraphDef:
    """A frozen graph with functions named by their place, and without attributes of no value.

    TensorFlow's converter leaves an empty ``output_shapes`` behind where a loop had none.
    """
    graph_def = GraphDef.FromString(message.SerializeToString())
    names = {}
    for i, function in enumerate(graph_def.library.function):
        base, mark, _ = function.signature.name.rpartition("_frozen_")
        names[function.signature.name] = f"{base}{mark}{i if mark else function.signature.name}"
        function.signature.name = names[function.signature.name]
    nodes = [*graph_def.node, *(x for f in graph_def.library.function for x in f.node_def)]
    for node in nodes:
        for key in [key for key, value in node.attr.items() if not value.WhichOneof("value")]:
            del node.attr[key]
        for value in node.attr.values():
            for reference in [value.func, *value.list.func] if value.ByteSize() else []:
                if reference.name:
                    reference.name = names.get(reference.name, reference.name)
    return graph_def


@contextlib.contextmanager
def functional_control_flow(*, is_on: bool) -> Iterator[None]:
    """While and If as operations with functions, or as the loops of old."""
    before = control_flow_util.ENABLE_CONTROL_FLOW_V2
    control_flow_util.ENABLE_CONTROL_FLOW_V2 = is_on
    try:
        yield
    finally:
        control_flow_util.ENABLE_CONTROL_FLOW_V2 = before


# --- the models: each gives feeds, outputs, and a Saver of its own or None ----------------------

Built = tuple[dict[str, np.ndarray], list[str], Any]
RNG = np.random.default_rng(3)


def variable(name: str, shape: list[int], use_resource: bool, dtype=tf.float32, **options: Any):
    return v1.get_variable(name, shape, dtype, use_resource=use_resource, **options)


def placeholder(name: str, shape: list[int | None], dtype=tf.float32):
    return v1.placeholder(dtype, shape, name)


def floats(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def dense(use_resource: bool) -> Callable[[], Built]:
    def build() -> Built:
        x = placeholder("x", [None, 4])
        with tf.device("/device:CPU:0"):
            w = variable("layer/kernel", [4, 3], use_resource)
        b = variable("layer/bias", [3], use_resource)
        y = tf.nn.softmax(tf.nn.relu(tf.matmul(x, w) + b), name="y")
        tf.identity(y, name="again")
        return {"x": floats(2, 4)}, ["y", "again"], None

    return build


def tutorial() -> Built:
    """The linear model of the tutorials, frozen by the name that `+` gives."""
    x = placeholder("Placeholder", [1, 2])
    w = v1.Variable([[1.0], [2.0]], use_resource=False)
    b = v1.Variable(0.5, use_resource=False)
    _ = tf.add(tf.matmul(x, w), b, name="add")
    return {"Placeholder": floats(1, 2)}, ["add"], None


def convolution(use_resource: bool) -> Callable[[], Built]:
    def build() -> Built:
        x = placeholder("x", [1, 8, 8, 2])
        kernel = variable("conv/kernel", [3, 3, 2, 4], use_resource)
        names = ("gamma", "beta", "moving_mean", "moving_variance")
        norm = [
            variable(f"bn/{name}", [4], use_resource, initializer=v1.ones_initializer())
            for name in names
        ]
        y = tf.nn.conv2d(x, kernel, 1, "SAME")
        y, *_ = v1.nn.fused_batch_norm(y, *norm, is_training=False)
        tf.reduce_mean(tf.nn.relu(y), [1, 2], name="y")
        return {"x": floats(1, 8, 8, 2)}, ["y"], None

    return build


def embedding(use_resource: bool) -> Callable[[], Built]:
    def build() -> Built:
        ids = placeholder("ids", [None], tf.int64)
        table = variable("table", [10, 3], use_resource)
        tf.reduce_sum(tf.nn.embedding_lookup(table, ids), 0, name="y")
        tf.gather_nd(table, ids[:, None], name="nd")
        rows = tf.gather(table, tf.cast(ids, tf.int32))
        tf.identity(rows, name="rows")
        return {"ids": np.array([1, 4, 4])}, ["y", "nd", "rows"], None

    return build


def partitioned_embedding(use_resource: bool) -> Callable[[], Built]:
    def build() -> Built:
        ids = placeholder("ids", [None], tf.int64)
        table = variable("table", [10, 3], use_resource, partitioner=v1.fixed_size_partitioner(3))
        v1.nn.embedding_lookup(table, ids, partition_strategy="div", name="y")
        return {"ids": np.array([0, 9, 5])}, ["y"], None

    return build


def joined() -> Built:
    """A partitioned variable read as a whole, by an operation of its name."""
    x = placeholder("x", [4, 3])
    table = variable("table", [4, 3], False, partitioner=v1.fixed_size_partitioner(2))
    tf.add(x, table, name="y")
    return {"x": floats(4, 3)}, ["y"], None


def lstm(is_functional: bool, use_resource: bool) -> Callable[[], Built]:
    def build() -> Built:
        with functional_control_flow(is_on=is_functional):
            x = placeholder("x", [2, 3, 4])
            w = variable("lstm/kernel", [4 + 5, 20], use_resource)
            b = variable("lstm/bias", [20], use_resource)

            def step(i, h, c):
                gates = tf.matmul(tf.concat([x[:, i], h], 1), w) + b
                g, j, f, o = tf.split(gates, 4, 1)
                c = c * tf.sigmoid(f) + tf.sigmoid(g) * tf.tanh(j)
                return i + 1, tf.sigmoid(o) * tf.tanh(c), c

            state = (tf.constant(0), tf.zeros([2, 5]), tf.zeros([2, 5]))
            _, h, _ = tf.while_loop(lambda i, *_: i < 3, step, state)
            tf.identity(h, name="y")
        return {"x": floats(2, 3, 4)}, ["y"], None

    return build


def branches(is_functional: bool, use_resource: bool) -> Callable[[], Built]:
    def build() -> Built:
        with functional_control_flow(is_on=is_functional):
            x = placeholder("x", [])
            a = variable("a", [2], use_resource)
            b = variable("b", [2], use_resource)
            y = tf.cond(x > 0, lambda: a * x, lambda: b - x)
            tf.identity(y, name="y")
        return {"x": np.float32(2)}, ["y"], None

    return build


def cases() -> Built:
    with functional_control_flow(is_on=True):
        i = placeholder("i", [], tf.int32)
        a = variable("a", [2], True)
        b = variable("b", [2], True)
        y = tf.switch_case(i, {0: lambda: a + 1.0, 1: lambda: b * 2.0, 2: lambda: a - b})
        tf.identity(y, name="y")
    return {"i": np.int32(2)}, ["y"], None


def calls() -> Built:
    """Functions in functions, one called twice, and a loop in a branch in a call."""
    a = variable("a", [2], True)
    b = variable("b_17", [2], True)

    @tf.function(autograph=False)
    def inner_3(x):
        return x * a

    @tf.function(autograph=False)
    def outer(x):
        y = tf.cond(
            tf.reduce_sum(x) > 0,
            lambda: tf.while_loop(lambda i, _: i < 2, lambda i, z: (i + 1, z + b), (0, x))[1],
            lambda: inner_3(x),
        )
        return inner_3(y)

    x = placeholder("x", [2])
    tf.identity(outer(x) + inner_3(x), name="y")
    return {"x": floats(2)}, ["y"], None


def renamed() -> Built:
    """A Saver with keys of its own."""
    x = placeholder("x", [2])
    a = variable("a", [2], False)
    b = variable("b", [2], True)
    c = variable("c", [2], True)
    tf.identity(x * a + b - c, name="y")
    keys = {"first/a": a, "b": c, "c": b}
    return {"x": floats(2)}, ["y"], v1.train.Saver(keys)


def sharded() -> Built:
    x = placeholder("x", [2])
    with tf.device("/cpu:0"):
        a = variable("a", [2], False)
    b = variable("b", [2], True)
    tf.identity(x * a + b, name="y")
    return {"x": floats(2)}, ["y"], v1.train.Saver(sharded=True, reshape=True)


DTYPES = [
    tf.float16, tf.bfloat16, tf.float64, tf.int8, tf.int16, tf.int32, tf.int64, tf.uint8,
    tf.uint16, tf.bool, tf.complex64, tf.string,
]  # fmt: skip


def dtypes_of_variables() -> Built:
    outputs = []
    for dtype in DTYPES:
        for shape in ([], [1], [3], [0]):
            size = int(np.prod(shape))
            value = np.arange(size).reshape(shape) + 1
            text = value.astype(str).astype(object) if dtype == tf.string else value
            initial = tf.constant(text) if dtype == tf.string else tf.cast(value, dtype)
            for use_resource in (False, True):
                name = f"{dtype.name}_{len(shape)}_{size}_{use_resource}"
                # A session gives a lone string as bytes, which TensorFlow fails to freeze.
                if dtype == tf.string and not shape:
                    continue
                w = v1.get_variable(name, initializer=initial, use_resource=use_resource)
                outputs.append(tf.identity(w, name=f"out_{name}").op.name)
    return {}, outputs, None


MODELS: dict[str, Callable[[], Built]] = {
    "dense_ref": dense(False),
    "dense_resource": dense(True),
    "tutorial": tutorial,
    "convolution_ref": convolution(False),
    "convolution_resource": convolution(True),
    "embedding_ref": embedding(False),
    "embedding_resource": embedding(True),
    "partitioned_ref": partitioned_embedding(False),
    "partitioned_resource": partitioned_embedding(True),
    "partitioned_joined": joined,
    "lstm_old_ref": lstm(False, False),
    "lstm_old_resource": lstm(False, True),
    "lstm_functional_ref": lstm(True, False),
    "lstm_functional_resource": lstm(True, True),
    "branches_old": branches(False, True),
    "branches_functional_ref": branches(True, False),
    "branches_functional_resource": branches(True, True),
    "cases": cases,
    "calls": calls,
    "renamed": renamed,
    "sharded": sharded,
    "dtypes": dtypes_of_variables,
}
