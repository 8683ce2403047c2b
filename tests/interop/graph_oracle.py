"""Graphs that stock TensorFlow makes, and one description for its graphs and ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import any_pb2

tf1 = tf.compat.v1

Description = dict[str, dict[str, Any]]


# --- one description for both --------------------------------------------------------------------


def describe(graph: Any) -> Description:
    """Say all of a graph's operations but the shapes of what they yield, in their order."""
    return {
        op.name: {
            "type": op.type,
            "device": op.device,
            "inputs": [x.name for x in op.inputs],
            "control": sorted(x.name for x in op.control_inputs),
            "outputs": [(x.name, x.dtype.name) for x in op.outputs],
            "consumers": [sorted(y.name for y in x.consumers()) for x in op.outputs],
        }
        for op in graph.get_operations()
    }


def shapes(graph: Any) -> dict[str, list[Any] | None]:
    return {
        x.name: None if x.shape.rank is None else x.shape.as_list()
        for op in graph.get_operations()
        for x in op.outputs
    }


def merged(ours: list[Any] | None, theirs: list[Any] | None) -> list[Any] | None:
    """What both know of a shape together; raises where they contradict each other."""
    if ours is None or theirs is None:
        return ours if theirs is None else theirs
    assert len(ours) == len(theirs), (ours, theirs)
    assert all(a == b or None in (a, b) for a, b in zip(ours, theirs, strict=True))
    return [b if a is None else a for a, b in zip(ours, theirs, strict=True)]


def describe_collections(graph: Any) -> dict[str, list[Any]]:
    return {
        key: [describe_item(x) for x in graph.get_collection(key)]
        for key in graph.get_all_collection_keys()
    }


def describe_item(item: Any) -> Any:
    """Describe one item of a collection by the names of what it refers to."""
    kind = type(item).__name__.removeprefix("Graph")
    if "Variable" in kind:
        return describe_variable(item)
    if kind == "QueueRunner":
        names = [x.name for x in item.enqueue_ops]
        return "queue", item.name, item.queue.name, names, item.close_op.name, item.cancel_op.name
    if kind == "CondContext":
        return "cond", item.name, item.pred.name, item.pivot.name, item.branch
    if kind == "WhileContext":
        exits = sorted(x.name for x in item.loop_exits)
        return "while", item.name, item.parallel_iterations, item.pivot.name, exits
    if kind == "Saver":
        return "saver", item.saver_def.SerializeToString(deterministic=True)
    if isinstance(item, bytes | str | int | float):
        return item
    return item.SerializeToString() if hasattr(item, "SerializeToString") else item.name


def describe_variable(item: Any) -> tuple[Any, ...]:
    info = item._get_save_slice_info()
    is_ours = hasattr(item, "snapshot")
    initial = item.initial_value if is_ours else item._initial_value
    return (
        "variable",
        item.name,
        item.dtype.name,
        None if item.shape.rank is None else item.shape.as_list(),
        item.trainable,
        item.initializer.name,
        initial.name if initial is not None else None,
        item.snapshot.name if is_ours else snapshot_of(item),
        None if info is None else (info.full_name, info.spec),
        int(getattr(item.synchronization, "value", item.synchronization)),
        int(getattr(item.aggregation, "value", item.aggregation)),
    )


def snapshot_of(variable: Any) -> str:
    found = getattr(variable, "_snapshot", None)
    return (variable._graph_element if found is None else found).name


# --- stock TensorFlow ----------------------------------------------------------------------------


def import_stock(graph_def: Any, op_list: Any = None) -> tf.Graph:
    """Import a GraphDef of the private pool into a graph of TensorFlow."""
    theirs = tf1.GraphDef.FromString(graph_def.SerializeToString())
    producer = None
    if op_list is not None:
        meta = tf1.MetaGraphDef()
        meta.meta_info_def.stripped_op_list.ParseFromString(op_list.SerializeToString())
        producer = meta.meta_info_def.stripped_op_list
    with tf.Graph().as_default() as graph:
        tf1.import_graph_def(theirs, name="", producer_op_list=producer)
    return graph


def ref_variables() -> None:
    w = tf1.get_variable("w", initializer=np.float32([[1, 2], [3, 4]]), use_resource=False)
    with tf1.variable_scope("layer"):
        b = tf1.get_variable("b", [2], tf.float64, use_resource=False, trainable=False)
    tf1.get_variable("local", [3], collections=["local_variables"], use_resource=False)
    x = tf1.placeholder(tf.float32, [None, 2], name="x")
    loss = tf.reduce_mean(tf.matmul(x, w) + tf.cast(b, tf.float32), name="loss")
    step = tf1.train.get_or_create_global_step()
    tf1.train.GradientDescentOptimizer(0.1).minimize(loss, global_step=step)
    tf1.add_to_collection("losses", loss)
    tf1.add_to_collection("train_op", tf1.get_default_graph().get_operation_by_name("loss"))


def resource_variables() -> None:
    w = tf1.get_variable("w", initializer=np.int64([7, 8, 9]), use_resource=True)
    v = tf1.get_variable("s/v", [2, 3], tf.float32, use_resource=True)
    tf1.train.AdamOptimizer().minimize(tf.reduce_sum(v) + tf.cast(w[0], tf.float32))


def partitioned_variables() -> None:
    for name, resource in (("ref", False), ("handle", True)):
        part = tf1.get_variable(
            name,
            [5, 2],
            partitioner=tf1.fixed_size_partitioner(3),
            initializer=tf1.random_normal_initializer(seed=1),
            use_resource=resource,
        )
        tf.identity(part.as_tensor(), name=f"{name}_whole")


def old_control_flow() -> None:
    x = tf1.placeholder(tf.float32, [], name="x")
    w = tf1.get_variable("w", initializer=2.0, use_resource=False)
    branch = tf1.cond(x > 0, lambda: x * w, lambda: x - w, name="choice")
    _, total = tf1.while_loop(
        lambda i, _: i < 3, lambda i, s: (i + 1, s + branch), [0, x], parallel_iterations=4
    )
    tf.identity(total, name="total")


def functions() -> None:
    w = tf1.get_variable("w", initializer=np.float32([1, 2]), use_resource=True)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
    def scale(x: tf.Tensor) -> tf.Tensor:
        return tf.while_loop(lambda i, _: i < 2, lambda i, y: (i + 1, y * w), [0, x])[1]

    x = tf1.placeholder(tf.float32, [None], name="x")
    tf.cond(tf.reduce_sum(x) > 0, lambda: scale(x), lambda: x, name="choice")
    tf.identity(scale(x), name="scaled")


def queues() -> None:
    tf1.get_variable("w", initializer=1.0, use_resource=False)
    files = tf1.train.string_input_producer(["a", "b"], num_epochs=2)
    _, value = tf1.WholeFileReader().read(files)
    tf1.train.batch([value], 2)


def placed() -> None:
    with tf1.device("/job:localhost/task:0/cpu:1"):
        w = tf1.get_variable("w", initializer=np.float32([1, 2]), use_resource=False)
    with tf1.device("/gpu:0"):
        y = tf.multiply(w, 2.0, name="y")
    with tf1.device("/device:CPU:0"), tf1.colocate_with(w):
        tf.identity(y, name="z")
    with tf1.control_dependencies([y.op, w.initializer]):
        tf.no_op("waits")
    tf.split(y, 2, name="halves")
    tf.constant(["a", "b"], name="texts")


def every_collection() -> None:
    w = tf1.get_variable("w", initializer=1.0, use_resource=False)
    tf1.train.ExponentialMovingAverage(0.9).apply([w])
    packed = any_pb2.Any(type_url="type.googleapis.com/x", value=b"\x08\x01")
    for key, items in {
        "texts": ["first", "sec^ond", "loc:@w"],
        "bytes": [b"raw", b"caf\xc3\xa9"],
        "ints": [3, 2**40, -1],
        "floats": [1.5, -0.25],
        "any": [packed],
        "tensors": [w.op.outputs[0], tf.constant(1, name="one")],
        "operations": [w.initializer],
        tf1.GraphKeys.MODEL_VARIABLES: [w],
        tf1.GraphKeys.SUMMARIES: [tf1.summary.scalar("loss", w)],
    }.items():
        for item in items:
            tf1.add_to_collection(key, item)
    tf1.add_to_collection("savers", tf1.train.Saver([w], name="other"))


def sharded() -> None:
    for i in range(3):
        with tf1.device(f"/cpu:{i % 2}"):
            tf1.get_variable(f"v{i}", initializer=np.float32([i, i + 1]), use_resource=i == 2)


ZOO: dict[str, Callable[[], None]] = {
    make.__name__: make
    for make in (
        ref_variables, resource_variables, partitioned_variables, old_control_flow, functions,
        queues, placed, every_collection, sharded,
    )
}  # fmt: skip


def build(name: str) -> tuple[tf.Graph, tf1.train.Saver]:
    """Build one graph of the zoo, with a saver; loops and branches in the old form but for one."""
    with tf.Graph().as_default() as graph, old_loops(name != "functions"):
        ZOO[name]()
        saver = tf1.train.Saver(sharded=name == "sharded", max_to_keep=3)
    return graph, saver


class old_loops:  # noqa: N801 - a context manager
    """Control flow of TensorFlow 1 for a while."""

    def __init__(self, old: bool) -> None:
        self._old = old

    def __enter__(self) -> None:
        self._before = tf1.control_flow_v2_enabled()
        (tf1.disable_control_flow_v2 if self._old else tf1.enable_control_flow_v2)()

    def __exit__(self, *error: object) -> None:
        (tf1.enable_control_flow_v2 if self._before else tf1.disable_control_flow_v2)()


def saved(name: str, prefix: str) -> dict[str, np.ndarray]:
    """Save one graph of the zoo with other values than the initial ones; give these."""
    graph, saver = build(name)
    config = tf1.ConfigProto(device_count={"CPU": 3}, allow_soft_placement=True)
    with tf1.Session(graph=graph, config=config) as session:
        variables = graph.get_collection("variables")
        session.run([x.initializer for x in variables])
        values = {}
        for i, variable in enumerate(variables):
            value = np.asarray(session.run(variable)) + i
            variable.load(value, session)
            values[variable.name] = value
        saver.save(session, prefix)
    return values


def import_meta_stock(path: Any, **options: Any) -> tuple[tf.Graph, Any]:
    """Give the graph and the saver that TensorFlow makes of a meta graph."""
    with tf.Graph().as_default() as graph:
        saver = tf1.train.import_meta_graph(path, **options)
    return graph, saver
