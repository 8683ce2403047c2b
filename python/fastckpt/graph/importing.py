"""A meta graph and the checkpoint beside it, brought together: graph, variables, values."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any, NamedTuple

from fastckpt.errors import InvalidArgumentError, UnsupportedError
from fastckpt.graph.collections import UNBOUND_INPUTS, Collections
from fastckpt.graph.files import read_message
from fastckpt.graph.graph import Graph
from fastckpt.graph.imported_graph import ImportedGraph
from fastckpt.graph.keys import GraphKeys
from fastckpt.graph.meta_graph import MetaGraph
from fastckpt.graph.scoping import in_scope, scope_graph
from fastckpt.graph.sources import as_message, message_name
from fastckpt.graph.tensorflow_errors import WrongTypeError
from fastckpt.protos import message_class

__all__ = ["import_meta_graph"]

_log = logging.getLogger("fastckpt")

_SAVER_NAMES = ("filename_tensor_name", "save_tensor_name", "restore_op_name")


class _Options(NamedTuple):
    """What TensorFlow passes through to its importer."""

    input_map: dict[str, Any] | None = None
    unbound_inputs_col_name: str | None = UNBOUND_INPUTS
    restore_collections_predicate: Callable[[str], bool] | None = None
    return_elements: list[str] | None = None
    graph: None = None


def import_meta_graph(
    meta_graph_or_file: Any,
    clear_devices: bool = False,  # noqa: FBT001, FBT002 - TensorFlow's signature
    import_scope: str | None = None,
    **kwargs: Any,
) -> ImportedGraph | None:
    """Open a meta graph so that its variables can be restored from a checkpoint.

    Parameters
    ----------
    meta_graph_or_file : str, bytes, PathLike, MetaGraphDef or MetaGraph
        A ``.meta`` file, in binary or in text form, or what it holds. It is not changed.
    clear_devices : bool
        Blank the devices of all nodes.
    import_scope : str, optional
        Name scope to put the graph below, names in collections and of the saver included; keys in
        the checkpoint stay as they are.
    **kwargs
        ``restore_collections_predicate``, which says of a key whether its collection is taken;
        ``unbound_inputs_col_name``. ``input_map`` and ``graph`` are known and not supported:
        there is no default graph to map into.

    Returns
    -------
    ImportedGraph or None
        None where there is nothing to restore: no saver and no variable in the collections, or
        an empty file.

    Raises
    ------
    CheckpointNotFoundError
        No such file; an OSError too. If the prefix was passed, the message says so.
    InvalidArgumentError
        A file of another kind, a broken graph, unbound inputs, a scope that TensorFlow takes not.
    DataLossError
        The file is damaged.
    WrongTypeError
        Neither a file nor a MetaGraphDef, or an unknown keyword; a TypeError too.
    UnsupportedError
        ``input_map`` or ``graph``.

    Notes
    -----
    Each call gives a graph of its own: names never clash, unlike in TensorFlow's default graph.

    Examples
    --------
    >>> saver = import_meta_graph("model.ckpt-1000.meta")  # doctest: +SKIP
    >>> saver.restore("model.ckpt-1000")  # doctest: +SKIP
    >>> saver.value("w:0")  # doctest: +SKIP
    """
    options = _options(kwargs)
    message = _message(meta_graph_or_file)
    _check_unbound(message, options.unbound_inputs_col_name)
    scope = (import_scope or "").removesuffix("/")
    if clear_devices or scope:
        message = _changed(message, scope, clear_devices=clear_devices)
    collections = Collections(
        message,
        scope=scope,
        wanted=options.restore_collections_predicate,
        left_out=options.unbound_inputs_col_name,
    )
    graph = Graph(
        message.graph_def,
        op_list=message.meta_info_def.stripped_op_list,
        collections=collections,
    )
    if not message.HasField("saver_def") and not graph.get_collection(GraphKeys.GLOBAL_VARIABLES):
        _log.info("Saver not created because there are no variables in the graph to restore")
        return None
    return ImportedGraph(message, graph, scope)


def _options(kwargs: dict[str, Any]) -> _Options:
    for name in kwargs:
        if name not in _Options._fields:
            raise WrongTypeError(
                f"import_meta_graph() got an unexpected keyword argument {name!r}; it takes "
                f"{', '.join(_Options._fields)}"
            )
    options = _Options(**kwargs)
    if options.input_map or options.graph is not None:
        raise UnsupportedError(
            "import_meta_graph makes a graph of its own: input_map and graph have nothing to "
            "refer to; cut the graph with fastckpt.graph.extract_sub_graph instead"
        )
    return options


def _message(source: Any) -> Any:
    if isinstance(source, MetaGraph):
        return source.meta_graph_def
    if message_name(source) == "MetaGraphDef":
        return as_message(source)
    if isinstance(source, str | bytes | os.PathLike):
        path = os.fsdecode(source)
        return read_message(path, "MetaGraphDef", empty_ok=True)
    raise WrongTypeError(
        "Expected binary or unicode string, got "
        f"{type(source).__name__}: pass the path of a .meta file, a MetaGraph or a MetaGraphDef"
    )


def _check_unbound(message: Any, key: str | None) -> None:
    if key is None or key not in message.collection_def:
        return
    collection = message.collection_def[key]
    kind = collection.WhichOneof("kind")
    values = [] if kind is None else getattr(collection, kind).value
    names = [x.decode("utf-8", "replace") if isinstance(x, bytes) else str(x) for x in values]
    if names:
        raise InvalidArgumentError(
            f"Graph contains unbound inputs: {','.join(names)}. Must provide these inputs through "
            "input_map. It is a part of a graph: export it with its inputs"
        )


def _changed(message: Any, scope: str, *, clear_devices: bool) -> Any:
    """Give a copy below a scope and without devices; collections keep the names of the file."""
    copy = message_class("MetaGraphDef")()
    copy.CopyFrom(message)
    if clear_devices:
        for node in copy.graph_def.node:
            node.device = ""
    if scope:
        # TensorFlow renames the frames of loops when it makes their contexts anew.
        has_frames = GraphKeys.WHILE_CONTEXT in copy.collection_def
        scope_graph(copy.graph_def, scope, has_frames=has_frames)
        for field in _SAVER_NAMES if copy.HasField("saver_def") else ():
            setattr(copy.saver_def, field, in_scope(getattr(copy.saver_def, field), scope))
    return copy
