"""Graphs that hold variables and what sets them: as much of ``tf.Graph`` as checkpoints need.

There are no operations here that compute. A graph that was imported from a meta graph or a
GraphDef is kept beside, and what it computes is left to another engine (see `session`).
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

from fastckpt.compat import modes
from fastckpt.errors import InvalidArgumentError, UnsupportedError

__all__ = [
    "Graph",
    "GraphKeys",
    "Node",
    "Operation",
    "add_to_collection",
    "get_collection",
    "get_default_graph",
    "in_explicit_graph",
    "reset_default_graph",
]


class GraphKeys:
    """Names of the collections that TensorFlow itself uses."""

    GLOBAL_VARIABLES = VARIABLES = "variables"
    LOCAL_VARIABLES = "local_variables"
    TRAINABLE_VARIABLES = "trainable_variables"
    MODEL_VARIABLES = "model_variables"
    METRIC_VARIABLES = "metric_variables"
    MOVING_AVERAGE_VARIABLES = "moving_average_variables"
    SAVERS = "savers"
    SAVEABLE_OBJECTS = "saveable_objects"
    SUMMARIES = "summaries"
    SUMMARY_OP = "summary_op"
    QUEUE_RUNNERS = "queue_runners"
    TABLE_INITIALIZERS = "table_initializer"
    ASSET_FILEPATHS = "asset_filepaths"
    UPDATE_OPS = "update_ops"
    LOSSES = "losses"
    REGULARIZATION_LOSSES = "regularization_losses"
    GLOBAL_STEP = "global_step"
    TRAIN_OP = "train_op"
    INIT_OP = "init_op"
    LOCAL_INIT_OP = "local_init_op"
    READY_OP = "ready_op"
    COND_CONTEXT = "cond_context"
    WHILE_CONTEXT = "while_context"


class Operation(NamedTuple):
    """What makes a value: its name, and its type by TensorFlow's word."""

    name: str
    type: str
    device: str = ""


class Node:
    """Something that a session can run.

    Parameters
    ----------
    graph : Graph
        Where it lives.
    kind : str
        TensorFlow's word for the operation, such as ``"Assign"``.
    name : str, optional
        Asked-for name; the kind by default.
    """

    def __init__(self, graph: Graph, kind: str, name: str | None = None) -> None:
        self.graph = graph
        self.op = Operation(graph.unique_name(name or kind), kind)
        graph.nodes[self.op.name] = self

    @property
    def name(self) -> str:
        """Name of the first output: the operation's and ``":0"``."""
        return f"{self.op.name}:0"

    def evaluate(self, session: Any, feeds: dict[Node, Any]) -> Any:
        """Give the value in a session; `feeds` are values given in place of placeholders."""
        raise NotImplementedError

    def eval(self, feed_dict: Any = None, session: Any = None) -> Any:
        """Run in a session, the default one unless another is given."""
        from fastckpt.compat.session import session_or_default

        return session_or_default(session).run(self, feed_dict)

    def run(self, feed_dict: Any = None, session: Any = None) -> None:
        """Run in a session and drop the result."""
        self.eval(feed_dict, session)

    def __repr__(self) -> str:
        return f"<{self.op.type} {self.name!r}>"


def _refusing(name: str) -> Any:
    def refuse(self: Node, *_: Any) -> Any:
        raise UnsupportedError(
            f"{name} of {self!r}: fastckpt.compat computes nothing; take the value, by numpy() or "
            "in a session, and let NumPy compute",
            key=self.op.name,
        )

    return refuse


for _name in ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"]:
    setattr(Node, f"__{_name}__", _refusing(_name))
    setattr(Node, f"__r{_name}__", _refusing(_name))
for _name in ["neg", "abs", "lt", "le", "gt", "ge", "getitem"]:
    setattr(Node, f"__{_name}__", _refusing(_name))


class Graph:
    """Variables by name, collections, and what was imported."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        # Each has an attribute `graph`, by the names of tf.Graph.
        self.imported: list[Any] = []
        self._collections: dict[str, list[Any]] = {}
        self._used: dict[str, int] = {}
        self._scope = ""
        self._is_final = False

    # --- names --------------------------------------------------------------------------------

    def unique_name(self, name: str, mark_as_used: bool = True) -> str:  # noqa: FBT001, FBT002
        """Give a name below the current scope that no other node has."""
        if self._is_final and mark_as_used:
            raise FinalizedError("Graph is finalized and cannot be modified.")
        full = f"{self._scope}/{name}" if self._scope else name
        # Names differ by more than case, as in TensorFlow.
        count = self._used.get(full.lower(), 0)
        found = full
        while count and found.lower() in self._used:
            found = f"{full}_{count}"
            count += 1
        if mark_as_used:
            self._used[full.lower()] = max(count, 1)
            self._used.setdefault(found.lower(), 1)
        return found

    @contextlib.contextmanager
    def name_scope(self, name: str | None) -> Iterator[str]:
        """Put ``name/`` in front of names that are made meanwhile."""
        before = self._scope
        if not name:
            self._scope = ""
        elif name.endswith("/"):
            self._scope = name[:-1]
        else:
            self._scope = self.unique_name(name)
        try:
            yield f"{self._scope}/" if self._scope else ""
        finally:
            self._scope = before

    def get_name_scope(self) -> str:
        """The current scope."""
        return self._scope

    # --- elements -----------------------------------------------------------------------------

    def get_tensor_by_name(self, name: str) -> Any:
        """Find a tensor of this graph or of what was imported."""
        node, _, port = name.partition(":")
        if port == "0" and node in self.nodes:
            return self.nodes[node]
        return self._imported_graph().get_tensor_by_name(name)

    def get_operation_by_name(self, name: str) -> Any:
        """Find an operation of this graph or of what was imported."""
        if name in self.nodes:
            return self.nodes[name].op
        return self._imported_graph().get_operation_by_name(name)

    def get_operations(self) -> list[Any]:
        """Operations of this graph, then those of what was imported."""
        made = [node.op for node in self.nodes.values()]
        return made + [op for x in self.imported for op in x.graph.get_operations()]

    def as_graph_def(self, from_version: Any = None, add_shapes: bool = False) -> Any:  # noqa: ARG002, FBT001, FBT002
        """Give the GraphDef: of what was imported, or of the variables that were made."""
        if self.imported:
            return _copied(self.imported[-1].graph.as_graph_def(), add_shapes=add_shapes)
        from fastckpt.compat.exporting import graph_def_of

        return graph_def_of(self.get_collection(GraphKeys.GLOBAL_VARIABLES))

    def _imported_graph(self) -> Any:
        if self.imported:
            return self.imported[-1].graph
        from fastckpt.graph import Graph as StoredGraph

        return StoredGraph()

    # --- collections --------------------------------------------------------------------------

    @property
    def collections(self) -> list[str]:
        """Keys of all collections."""
        return list(self._collections)

    def get_all_collection_keys(self) -> list[str]:
        """Keys of all collections that hold something."""
        return [key for key, items in self._collections.items() if items]

    def get_collection_ref(self, name: str) -> list[Any]:
        """Give the collection itself; what is put into it stays."""
        return self._collections.setdefault(name, [])

    def get_collection(self, name: str, scope: str | None = None) -> list[Any]:
        """Give a copy of a collection; with `scope`, of what has a name that it matches."""
        items = list(self._collections.get(name, []))
        if scope is None:
            return items
        pattern = re.compile(scope)
        return [x for x in items if hasattr(x, "name") and pattern.match(x.name)]

    def add_to_collection(self, name: str, value: Any) -> None:
        """Put something into a collection."""
        self._collections.setdefault(name, []).append(value)

    def add_to_collections(self, names: Any, value: Any) -> None:
        """Put something into several collections."""
        for name in {names} if isinstance(names, str) else set(names):
            self.add_to_collection(name, value)

    def clear_collection(self, name: str) -> None:
        """Drop a collection."""
        self._collections.pop(name, None)

    # --- state --------------------------------------------------------------------------------

    @contextlib.contextmanager
    def as_default(self) -> Iterator[Graph]:
        """Make this the default graph meanwhile."""
        _stack().append(self)
        try:
            yield self
        finally:
            _stack().remove(self)

    def finalize(self) -> None:
        """Let nothing be added from now on."""
        self._is_final = True

    @property
    def finalized(self) -> bool:
        """Whether nothing can be added."""
        return self._is_final

    @contextlib.contextmanager
    def device(self, _: Any) -> Iterator[None]:
        """Accept a device; there is one place for all."""
        yield

    @contextlib.contextmanager
    def control_dependencies(self, _: Any) -> Iterator[None]:
        """Accept what comes before; things run in the order in which they are asked for."""
        yield


class FinalizedError(InvalidArgumentError, RuntimeError):
    """Something was to be added to a graph that is final."""


def _copied(graph_def: Any, *, add_shapes: bool) -> Any:
    """Copy a GraphDef, as TensorFlow gives it: shapes that were recorded only where asked for."""
    copy = type(graph_def)()
    copy.CopyFrom(graph_def)
    for node in () if add_shapes else copy.node:
        node.attr.pop("_output_shapes", None)
    return copy


_local = threading.local()
_default = Graph()


def get_default_graph() -> Graph:
    """Give the graph that new variables go to."""
    stack = _stack()
    return stack[-1] if stack else _default


def reset_default_graph() -> None:
    """Start with an empty default graph."""
    global _default  # noqa: PLW0603 - TensorFlow's one default graph
    if _stack():
        raise InvalidArgumentError(
            "Do not use tf.reset_default_graph() to clear nested graphs. If you need a cleared "
            "graph, exit the nesting and create a new graph."
        )
    _default = Graph()
    modes.forget()


def in_explicit_graph() -> bool:
    """Whether the program is inside of ``with graph.as_default()``."""
    return bool(_stack())


def get_collection(key: str, scope: str | None = None) -> list[Any]:
    """Give a copy of a collection of the default graph."""
    return get_default_graph().get_collection(key, scope)


def add_to_collection(name: str, value: Any) -> None:
    """Put something into a collection of the default graph."""
    get_default_graph().add_to_collection(name, value)


def _stack() -> list[Graph]:
    if not hasattr(_local, "graphs"):
        _local.graphs = []
    graphs: list[Graph] = _local.graphs
    return graphs
