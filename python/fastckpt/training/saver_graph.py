"""Savers in a graph of TensorFlow: the nodes that stock programs find there, and their export.

A Saver of graph variables makes TensorFlow's own Saver beside it. That one never saves: its nodes
and its SaverDef are what makes the ``.meta`` restorable by stock ``import_meta_graph``.
"""

from __future__ import annotations

import os
import tempfile
from typing import Any, NamedTuple

from fastckpt.training.variables import adapting

__all__ = [
    "Export",
    "GraphExporter",
    "export_default_graph",
    "has_operations",
    "is_in_use",
    "is_session",
    "make_saver_def",
    "run_restore",
    "run_save",
]


class Export(NamedTuple):
    """How a session's graph goes to the ``.meta``.

    Attributes
    ----------
    strip_default_attrs : bool
        Leave out attributes that have their default.
    save_debug_info : bool
        Give the traceback of every node, too.
    """

    strip_default_attrs: bool = False
    save_debug_info: bool = False


class GraphExporter:
    """Exports the graph of a session, and keeps the result while the graph stays as it is."""

    def __init__(self) -> None:
        self._last: tuple[Any, bytes] | None = None

    def content(self, session: Any, saver_def: Any, how: Export) -> tuple[bytes, bytes | None]:
        """Export a graph.

        Returns
        -------
        bytes
            The serialised MetaGraphDef.
        bytes or None
            The debug info, where it was asked for.

        Notes
        -----
        An export takes TensorFlow some 0.1 ms for each node. What a session does not notice, such
        as an attribute changed behind its back, is not noticed here either.
        """
        if how.save_debug_info:
            return _export_with_debug_info(session.graph, saver_def, how)
        saver = None if saver_def is None else saver_def.SerializeToString()
        state = (session.graph, _version_of(session.graph), saver, how)
        if self._last is None or self._last[0] != state:
            message = _export(session.graph, saver_def, how)
            self._last = state, message.SerializeToString(deterministic=True)
        return self._last[1], None


def make_saver_def(var_list: Any, **options: Any) -> Any:
    """Add to the default graph what TensorFlow's Saver adds, and give its SaverDef.

    Parameters
    ----------
    var_list : object
        What TensorFlow accepts; None for all variables of the graph.
    **options : object
        Further arguments of ``tf.compat.v1.train.Saver``.
    """
    import tensorflow as tf

    return tf.compat.v1.train.Saver(var_list, **options).saver_def


def export_default_graph(**options: Any) -> Any:
    """Export TensorFlow's default graph; the arguments are those of ``export_meta_graph``."""
    import tensorflow as tf

    graph_def = tf.compat.v1.get_default_graph().as_graph_def(add_shapes=True)
    return tf.compat.v1.train.export_meta_graph(graph_def=graph_def, **options)


def run_save(session: Any, saver_def: Any, prefix: str) -> str:
    """Let the operations that a SaverDef names save; give the path that they return."""
    path = session.run(saver_def.save_tensor_name, {saver_def.filename_tensor_name: prefix})
    return os.fsdecode(path)


def run_restore(session: Any, saver_def: Any, path: str) -> None:
    """Let the operations that a SaverDef names restore."""
    session.run(saver_def.restore_op_name, {saver_def.filename_tensor_name: path})


def has_operations(graph: Any, saver_def: Any) -> bool:
    """Whether a graph has what a SaverDef names."""
    try:
        graph.get_tensor_by_name(saver_def.filename_tensor_name)
        graph.get_tensor_by_name(saver_def.save_tensor_name)
        graph.get_operation_by_name(saver_def.restore_op_name)
    except (KeyError, ValueError):
        return False
    return True


def is_in_use() -> bool:
    """Whether TensorFlow has been imported and does not execute eagerly."""
    adapter = adapting.adapter_of("tensorflow")
    return adapter is not None and not adapter.tensorflow().executing_eagerly()


def is_session(value: object) -> bool:
    """Whether this is a session as TensorFlow's Saver accepts it; a MonitoredSession is none."""
    return all(hasattr(value, x) for x in ("graph", "sess_str", "run", "partial_run"))


def _export(graph: Any, saver_def: Any, how: Export, **options: Any) -> Any:
    import tensorflow as tf

    with graph.as_default():
        return tf.compat.v1.train.export_meta_graph(
            graph_def=graph.as_graph_def(add_shapes=True),
            saver_def=saver_def,
            strip_default_attrs=how.strip_default_attrs,
            **options,
        )


def _export_with_debug_info(graph: Any, saver_def: Any, how: Export) -> tuple[bytes, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "m")
        _export(graph, saver_def, how, filename=f"{path}.meta", save_debug_info=True)
        with open(f"{path}.meta", "rb") as meta, open(f"{path}.debug", "rb") as debug:
            return meta.read(), debug.read()


def _version_of(graph: Any) -> tuple[Any, ...]:
    """What changes when the graph or a collection gets something new."""
    collections = [
        (str(key), [_identity(x) for x in graph.get_collection_ref(key)])
        for key in graph.get_all_collection_keys()
    ]
    return graph.version, sorted(collections)


def _identity(item: Any) -> Any:
    """What stands for an item of a collection; messages may change in place."""
    if hasattr(item, "SerializeToString"):
        return item.SerializeToString()
    return item if isinstance(item, int | float | str | bytes) else id(item)
