"""Write a ``.meta``: of a checkpoint, of arrays, or of a graph that is there already."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from fastckpt.checkpoint import Checkpoint
from fastckpt.checkpoint.tensorflow_errors import as_text as path_text
from fastckpt.graph.files import write_message
from fastckpt.graph.graph_def import strip_default_attrs as without_default_attrs
from fastckpt.graph.meta_building import SaverSpec, build_meta_graph
from fastckpt.graph.meta_collections import collections_of
from fastckpt.graph.meta_scoping import below_scope, without_other_savers
from fastckpt.graph.meta_sources import specs_of
from fastckpt.graph.meta_variables import Kind
from fastckpt.graph.sources import as_graph_def, as_message, message_name
from fastckpt.graph.tensorflow_errors import WrongTypeError
from fastckpt.protos import message_class

__all__ = ["as_meta_graph_def", "export_meta_graph"]

_DEFAULT_SAVER = SaverSpec()


def export_meta_graph(
    filename: str | os.PathLike[str] | None = None,
    meta_info_def: Any = None,
    graph_def: Any = None,
    saver_def: Any = None,
    collection_list: Iterable[str | bytes] | None = None,
    as_text: bool = False,  # noqa: FBT001, FBT002 - TensorFlow's signature
    graph: Any = None,
    export_scope: str | None = None,
    clear_devices: bool = False,  # noqa: FBT001, FBT002
    clear_extraneous_savers: bool = False,  # noqa: FBT001, FBT002
    strip_default_attrs: bool = False,  # noqa: FBT001, FBT002
    *,
    source: Any = None,
    kind: Kind = "ref",
    saver: SaverSpec | None = _DEFAULT_SAVER,
    trainable: Collection[str] | None = None,
) -> Any:
    """Give the MetaGraphDef of a checkpoint, of arrays or of a graph, and write it to a file.

    Parameters
    ----------
    filename : str or PathLike, optional
        The ``.meta``; missing directories are made. Without, nothing is written.
    meta_info_def, graph_def, saver_def : message, optional
        Parts to take instead of those of the source.
    collection_list : iterable of str, optional
        Collections to keep; all by default.
    as_text : bool
        Write text form.
    graph, source : optional
        What is exported, under TensorFlow's name or this one: the prefix of a checkpoint, an open
        Checkpoint or a mapping of names to arrays, of which a graph is built; or a graph that is
        there: a MetaGraph or a Graph, a MetaGraphDef or a GraphDef, and ``graph_def`` alone.
    export_scope : str, optional
        Keep the nodes below this scope, and take it off their names.
    clear_devices : bool
        Let all nodes run on any device.
    clear_extraneous_savers : bool
        Leave out the nodes of savers other than that of the SaverDef.
    strip_default_attrs : bool
        Leave out attributes that have their default value.
    kind, saver : optional
        For checkpoints and arrays, as in :func:`build_meta_graph`.
    trainable : collection of str, optional
        For checkpoints and arrays: what is in ``trainable_variables``; by default floats and
        complex numbers, without slots, moving averages and the powers of Adam.

    Returns
    -------
    MetaGraphDef
        Of the private package; never the source itself.

    Raises
    ------
    WrongTypeError
        A source, or a part, of the wrong type; a TypeError too.
    InvalidArgumentError
        No source, or two.
    CheckpointNotFoundError, DataLossError
        As opening the checkpoint raises.
    CheckpointIOError
        The operating system refused to write; what was there before is intact.

    Notes
    -----
    Stock TensorFlow's ``import_meta_graph(filename)`` gives a Saver that restores the checkpoint.
    The file appears whole or not at all. No tensor is read.

    Examples
    --------
    >>> message = export_meta_graph(source={"w": [1.0, 2.0]})
    >>> message.saver_def.restore_op_name
    'save/restore_all'
    """
    message = _meta_graph(source, graph, graph_def, kind, saver, trainable)
    _put_part(message, "meta_info_def", meta_info_def, "MetaInfoDef")
    _put_part(message, "saver_def", saver_def, "SaverDef")
    if collection_list is not None:
        _keep_collections(message, collection_list)
    if clear_extraneous_savers:
        without_other_savers(message)
    if export_scope:
        below_scope(message, export_scope)
    if clear_devices:
        for node in message.graph_def.node:
            node.device = ""
    if strip_default_attrs:
        message = without_default_attrs(message)
    if filename is not None and filename != "":
        write_message(path_text(filename, "filename", paths=True), message, as_text=as_text)
    return message


def as_meta_graph_def(source: Any) -> Any:
    """Give the MetaGraphDef of something that has one; None for anything else.

    Parameters
    ----------
    source : message or graph
        A MetaGraphDef or a GraphDef, TensorFlow's own too; an object with ``meta_graph_def`` or
        ``as_meta_graph_def()``, such as a MetaGraph; a Graph, with its collections.

    Returns
    -------
    MetaGraphDef or None
        Of the private pool; the caller must not change it.
    """
    name = message_name(source)
    if name == "MetaGraphDef":
        return as_message(source)
    if name is None and callable(getattr(source, "as_meta_graph_def", None)):
        return as_message(source.as_meta_graph_def())
    if message_name(getattr(source, "meta_graph_def", None)) == "MetaGraphDef":
        return as_message(source.meta_graph_def)
    if name == "GraphDef" or callable(getattr(source, "as_graph_def", None)):
        message = message_class("MetaGraphDef")(graph_def=as_graph_def(source))
        if callable(getattr(source, "get_all_collection_keys", None)):
            for key, collection in collections_of(source).items():
                message.collection_def[key].CopyFrom(collection)
        return message
    return None


def _meta_graph(
    source: Any,
    graph: Any,
    graph_def: Any,
    kind: Kind,
    saver: SaverSpec | None,
    trainable: Collection[str] | None,
) -> Any:
    """Give a MetaGraphDef that belongs to the caller."""
    if source is not None and graph is not None:
        raise WrongTypeError("pass the source once: as source or as graph")
    given = graph if source is None else source
    if given is None and graph_def is None:
        raise WrongTypeError(
            "there is no default graph here; pass source: the prefix of a checkpoint, arrays, or "
            "a graph"
        )
    message = message_class("MetaGraphDef")()
    found = None if given is None else as_meta_graph_def(given)
    if found is not None:
        message.CopyFrom(found)
    elif given is not None:
        _check_source(given)
        message = build_meta_graph(specs_of(given, trainable), kind=kind, saver=saver)
    if graph_def is not None:
        message.graph_def.CopyFrom(as_graph_def(graph_def))
    return message


def _check_source(source: Any) -> None:
    if not isinstance(source, Checkpoint | Mapping | str | bytes | os.PathLike):
        raise WrongTypeError(
            "source must be the prefix of a checkpoint, an open checkpoint, a mapping of names to "
            f"arrays, a MetaGraph or a graph, not {type(source).__name__}"
        )


def _put_part(message: Any, name: str, value: Any, expected: str) -> None:
    if value is None:
        return
    if message_name(value) != expected:
        raise WrongTypeError(
            f"{name} must be of type {expected}. Received type: {type(value).__name__}"
        )
    part = getattr(message, name)
    part.Clear()
    part.MergeFromString(value.SerializeToString())


def _keep_collections(message: Any, keys: Iterable[str | bytes]) -> None:
    if isinstance(keys, str | bytes):
        raise WrongTypeError(f"collection_list must be a list of names, not {keys!r}")
    wanted = {key.decode() if isinstance(key, bytes) else key for key in keys}
    for key in list(message.collection_def):
        if key not in wanted:
            del message.collection_def[key]
