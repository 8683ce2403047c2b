"""TensorFlow's own readers and writer."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from measure import Contender, PeerFactory, Unavailable

PEER = "tensorflow"


def require() -> None:
    """Raise Unavailable unless TensorFlow is installed; it is not imported yet."""
    if importlib.util.find_spec("tensorflow") is None:
        raise Unavailable("TensorFlow is not installed (dependency group bench)")


def load_module() -> Any:
    """Import TensorFlow, quietly and on the CPU."""
    require()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    import tensorflow as tf

    return tf


def save(prefix: str, tensors: Sequence[tuple[str, Any]]) -> None:
    """Save arrays as ``tf.compat.v1.train.Saver`` does: one SaveV2."""
    tf = load_module()
    names = [name for name, _ in tensors]
    values = [tf.constant(value) for _, value in tensors]
    tf.raw_ops.SaveV2(
        prefix=prefix, tensor_names=names, shape_and_slices=[""] * len(names), tensors=values
    )


def prepared_save(prefix: str, tensors: Mapping[str, Any]) -> Callable[[], Any]:
    """Return a call that saves tensors of TensorFlow's own with one SaveV2."""
    tf = load_module()
    names = tf.constant(list(tensors))
    slices = tf.constant([""] * len(tensors))
    values = [tf.constant(value) for value in tensors.values()]
    return lambda: tf.raw_ops.SaveV2(
        prefix=prefix, tensor_names=names, shape_and_slices=slices, tensors=values
    )


def prepared_saver(prefix: str, tensors: Mapping[str, Any]) -> Callable[[], Any]:
    """Return a call of ``Saver.save`` for variables of a session; it writes tensors only."""
    v1 = load_module().compat.v1
    graph = v1.Graph()
    with graph.as_default():
        variables = [
            v1.get_variable(
                name, value.shape, value.dtype, v1.zeros_initializer(), use_resource=True
            )
            for name, value in tensors.items()
        ]
        saver = v1.train.Saver(variables, max_to_keep=0)
        session = v1.Session(graph=graph)
        initializers = [variable.initializer for variable in variables]
        pairs = zip(initializers, tensors.values(), strict=True)
        session.run(initializers, {one.inputs[1]: value for one, value in pairs})

    def run() -> None:
        with graph.as_default():
            saver.save(session, prefix, write_meta_graph=False, write_state=False)

    return run


def by(make: Callable[[str], Contender], dataset: str = "checkpoint") -> PeerFactory:
    """Return the factory of one of this peer's ways to read a dataset."""
    return PeerFactory(PEER, lambda inputs: make(inputs[dataset]))


def get_all_kept(prefix: str) -> Contender:
    """Open, and read every tensor into a dict."""
    tf = load_module()

    def run(_: None) -> Any:
        reader = tf.train.load_checkpoint(prefix)
        names = sorted(reader.get_variable_to_shape_map())
        return {name: reader.get_tensor(name) for name in names}

    return Contender("TF get_tensor, kept", run, peer=PEER)


def get_all_dropped(prefix: str) -> Contender:
    """Open, and read every tensor; each array is dropped before the next: kind to TensorFlow."""
    tf = load_module()

    def run(_: None) -> None:
        reader = tf.train.load_checkpoint(prefix)
        for name in sorted(reader.get_variable_to_shape_map()):
            reader.get_tensor(name)

    return Contender("TF get_tensor", run, peer=PEER)


def get_all_resident(prefix: str) -> Contender:
    """As above with a reader that is open already."""
    tf = load_module()
    reader = tf.train.load_checkpoint(prefix)
    names = sorted(reader.get_variable_to_shape_map())

    def run(_: None) -> None:
        for name in names:
            reader.get_tensor(name)

    return Contender("TF get_tensor", run, peer=PEER, note="reader open before")


def restore_all(prefix: str) -> Contender:
    """One RestoreV2 of everything: what ``Saver.restore`` runs."""
    tf = load_module()
    names = sorted(tf.train.load_checkpoint(prefix).get_variable_to_shape_map())
    dtypes = [tf.float32] * len(names)

    def run(_: None) -> Any:
        return tf.raw_ops.RestoreV2(
            prefix=prefix, tensor_names=names, shape_and_slices=[""] * len(names), dtypes=dtypes
        )

    return Contender("TF RestoreV2", run, peer=PEER)


def list_variables(prefix: str) -> Contender:
    """List names and shapes with ``tf.train.list_variables``."""
    tf = load_module()
    return Contender("TF list_variables", lambda _: tf.train.list_variables(prefix), peer=PEER)


def shape_map(prefix: str) -> Contender:
    """Names and shapes by the reader's map, which is the faster of TensorFlow's two ways."""
    tf = load_module()

    def run(_: None) -> Any:
        return tf.train.load_checkpoint(prefix).get_variable_to_shape_map()

    return Contender("TF shape map", run, peer=PEER)


def get_some(prefix: str, names: Sequence[str]) -> Contender:
    """Read the named tensors one by one from a new reader."""
    tf = load_module()

    def run(reader: Any) -> None:
        for name in names:
            reader.get_tensor(name)

    return Contender("TF get_tensor", run, lambda: tf.train.load_checkpoint(prefix), peer=PEER)
