"""The collections of a meta graph: what is listed under a key, decoded."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from fastckpt import protos
from fastckpt.errors import DataLossError
from fastckpt.graph.graph_items import (
    GraphCondContext,
    GraphQueueRunner,
    GraphSaver,
    GraphVariable,
    GraphWhileContext,
)
from fastckpt.graph.keys import VARIABLE_COLLECTIONS, GraphKeys
from fastckpt.graph.scoping import in_scope

if TYPE_CHECKING:
    from fastckpt.graph.graph import Graph

__all__ = ["UNBOUND_INPUTS", "Collections", "GraphKeys"]

# Inputs that a part of a graph lacks; TensorFlow makes no collection of them.
UNBOUND_INPUTS = "unbound_inputs"

# Messages in bytes_lists, and what becomes of them.
_DECODED: dict[str, tuple[str, Any]] = {
    **dict.fromkeys(VARIABLE_COLLECTIONS, ("VariableDef", GraphVariable)),
    GraphKeys.SAVERS: ("SaverDef", GraphSaver),
    GraphKeys.QUEUE_RUNNERS: ("QueueRunnerDef", GraphQueueRunner),
    GraphKeys.COND_CONTEXT: ("CondContextDef", GraphCondContext),
    GraphKeys.WHILE_CONTEXT: ("WhileContextDef", GraphWhileContext),
}

# The first version whose VariableDefs say whether they are trainable.
_SAYS_TRAINABLE = (1, 9)


class Collections:
    """Collections of one graph, each decoded when it is asked for.

    Parameters
    ----------
    meta_graph : MetaGraphDef, optional
        Where they are stored; none by default.
    scope : str
        Name scope that the graph was imported below.
    wanted : callable, optional
        Says of a key whether its collection is taken.
    left_out : str, optional
        Key of the collection of unbound inputs, which is never taken.
    """

    def __init__(
        self,
        meta_graph: Any = None,
        *,
        scope: str = "",
        wanted: Callable[[str], bool] | None = None,
        left_out: str | None = UNBOUND_INPUTS,
    ) -> None:
        stored = {} if meta_graph is None else meta_graph.collection_def
        keys = [key for key in _import_order(stored) if key != left_out]
        keys = [key for key in keys if wanted is None or wanted(key)]
        self._stored = {key: stored[key] for key in keys}
        self._lists: dict[str, list[Any]] = {}
        self._scope = scope
        self._variables: dict[bytes, GraphVariable] = {}
        self._trainable = _trainable_by_membership(meta_graph)

    def keys(self) -> list[str]:
        """Give all keys: those that were stored, then those that were made since."""
        return list(dict.fromkeys([*self._stored, *self._lists]))

    def get(self, graph: Graph, key: str, scope: str | None = None) -> list[Any]:
        """Give a copy of one collection, or with `scope` of those whose names match it."""
        if key not in self._stored and key not in self._lists:
            return []
        items = self.live(graph, key)
        if scope is None:
            return list(items)
        pattern = re.compile(scope)
        return [x for x in items if hasattr(x, "name") and pattern.match(x.name)]

    def live(self, graph: Graph, key: str) -> list[Any]:
        """Give the list of one collection itself, made where there is none."""
        if key not in self._lists:
            stored = self._stored.get(key)
            self._lists[key] = [] if stored is None else list(self._decode(graph, key, stored))
        return self._lists[key]

    def _decode(self, graph: Graph, key: str, stored: Any) -> Iterator[Any]:
        kind = stored.WhichOneof("kind")
        values = getattr(stored, kind).value
        if kind == "bytes_list" and key in _DECODED:
            for data in values:
                yield self._item(graph, key, data)
        elif kind == "node_list":
            for name in values:
                yield graph.as_graph_element(str(in_scope(name, self._scope)))
        elif kind == "bytes_list":
            for data in values:
                yield in_scope(data, self._scope)
        else:
            yield from values

    def _item(self, graph: Graph, key: str, data: bytes) -> Any:
        message, cls = _DECODED[key]
        if cls is not GraphVariable:
            return cls(graph, _parsed(message, key, data), self._scope)
        # The same variable in several collections is one object.
        if data not in self._variables:
            proto = _parsed(message, key, data)
            if self._trainable is not None:
                proto.trainable = data in self._trainable
            self._variables[data] = GraphVariable(graph, proto, self._scope)
        return self._variables[data]


def _import_order(stored: Any) -> list[str]:
    """Keys in the order of TensorFlow's import, without what has no kind."""
    keys = [key for key in sorted(stored) if stored[key].WhichOneof("kind")]
    return sorted(keys, key=lambda key: key != GraphKeys.TRAINABLE_VARIABLES)


def _trainable_by_membership(meta_graph: Any) -> frozenset[bytes] | None:
    """VariableDefs that count as trainable, where the program that wrote them did not say."""
    version = "" if meta_graph is None else meta_graph.meta_info_def.tensorflow_version
    found = re.match(r"(\d{1,9})\.(\d{1,9})", version)
    if found is None or (int(found[1]), int(found[2])) >= _SAYS_TRAINABLE:
        return None
    key = GraphKeys.TRAINABLE_VARIABLES
    stored = meta_graph.collection_def
    return frozenset(stored[key].bytes_list.value if key in stored else ())


def _parsed(message: str, key: str, data: bytes) -> Any:
    from google.protobuf.message import DecodeError

    try:
        return protos.message_class(message).FromString(data)
    except (DecodeError, ValueError, RecursionError) as error:
        raise DataLossError(
            f"an entry of the collection {key!r} is no {message}: {error}", key=key
        ) from None
