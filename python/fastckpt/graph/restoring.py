"""Which stored tensor a graph restores each of its variables from.

The nodes that a Saver adds tell: RestoreV2 names keys and slices, its outputs go to assignments.
SavedModels of TensorFlow 2 keep these nodes in a function.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

from fastckpt import protos
from fastckpt.errors import CheckpointError, DataLossError
from fastckpt.graph.edges import is_control, nodes_by_name, output_of, source_of
from fastckpt.graph.keys import VARIABLE_COLLECTIONS
from fastckpt.graph.tensor_values import make_ndarray

__all__ = ["VARIABLE_OPS", "Stored", "declared_slices", "parse_slice", "restored_variables"]

VARIABLE_OPS = frozenset({"Variable", "VariableV2", "VarHandleOp"})

_ASSIGNMENTS = frozenset({"Assign", "AssignVariableOp"})
_RESTORES = frozenset({"Restore", "RestoreSlice", "RestoreV2"})
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_COPIES = frozenset({"Identity", "Reshape"})


class Stored(NamedTuple):
    """Where the value of a variable is stored.

    Attributes
    ----------
    key : str
        Name of the tensor in the checkpoint.
    region : tuple of slice or None
        The part of the tensor that a slice of a partitioned variable takes.
    is_reshaped : bool
        The stored tensor may have another shape than the variable.
    """

    key: str
    region: tuple[slice, ...] | None = None
    is_reshaped: bool = False


class _Frame(NamedTuple):
    """Nodes of a graph or of a function, and the variables that its arguments are."""

    nodes: dict[str, Any]
    arguments: dict[str, str]


def restored_variables(graph_def: Any, saver_def: Any = None) -> dict[str, Stored]:
    """Find where a graph restores its variables from.

    Parameters
    ----------
    graph_def : GraphDef
        The graph.
    saver_def : SaverDef, optional
        Names the operation that restores. Without one, every assignment of a restored value in
        the graph counts, the first of each variable.

    Returns
    -------
    dict of str to Stored
        Name of the variable's node -> where its value is stored.

    Raises
    ------
    DataLossError
        The slice of a partitioned variable is written in a way that cannot be read.

    Notes
    -----
    Takes time in proportion to the nodes that are looked at. Assignments of something else than a
    restored value are left out, and so is what the checkpoint format of 2015 restores by pattern.
    """
    return _Walk(graph_def).run(saver_def)


def declared_slices(meta_graph: Any) -> dict[str, Stored]:
    """Find the partitioned variables that the collections of a MetaGraphDef describe.

    Returns
    -------
    dict of str to Stored
        Name of the variable's node -> its slice of the whole.
    """
    from google.protobuf.message import DecodeError

    cls = protos.message_class("VariableDef")
    found = {}
    for key in VARIABLE_COLLECTIONS & set(meta_graph.collection_def):
        for data in meta_graph.collection_def[key].bytes_list.value:
            try:
                variable = cls.FromString(data)
            except DecodeError:
                continue
            part = variable.save_slice_info_def
            if part.full_name:
                places = zip(part.var_offset, part.var_shape, strict=False)
                region = tuple(slice(start, start + size) for start, size in places)
                found[source_of(variable.variable_name)] = Stored(part.full_name, region)
    return found


def parse_slice(text: str) -> tuple[slice, ...] | None:
    """Read what a Saver asks RestoreV2 for: the shape of the whole, and one extent a dimension.

    >>> parse_slice("4 6 0,2:-")
    (slice(0, 2, None), slice(None, None, None))
    """
    if not text:
        return None
    try:
        return tuple(map(_extent, text.rpartition(" ")[2].split(":")))
    except ValueError:
        raise DataLossError(f"the graph restores a slice that cannot be read: {text!r}") from None


class _Walk:
    """One search through a graph."""

    def __init__(self, graph_def: Any) -> None:
        self._main = _Frame(nodes_by_name(graph_def.node), {})
        self._functions = {x.signature.name: x for x in graph_def.library.function}
        self._strings: dict[int, tuple[Any, list[str]]] = {}
        self._found: dict[str, Stored] = {}

    def run(self, saver_def: Any) -> dict[str, Stored]:
        start = source_of(saver_def.restore_op_name) if saver_def is not None else ""
        reached = list(self._upstream(start)) if start else list(self._main.nodes.values())
        frames = deque([(self._main, reached)])
        seen: set[Any] = set()
        while frames:
            frame, nodes = frames.popleft()
            for node in nodes:
                if node.op in _ASSIGNMENTS:
                    self._assign(frame, node)
                elif node.op in _CALLS:
                    frames.extend(self._called(frame, node, seen))
        return self._found

    def _upstream(self, start: str) -> Iterator[Any]:
        """Yield a node of the graph and all that it needs or waits for."""
        waiting = [start]
        seen = set(waiting)
        while waiting:
            node = self._main.nodes.get(waiting.pop())
            if node is None:
                continue
            yield node
            fresh = dict.fromkeys(map(source_of, node.input))
            fresh = {name: None for name in fresh if name not in seen}
            seen.update(fresh)
            waiting += fresh

    def _called(
        self, frame: _Frame, node: Any, seen: set[Any]
    ) -> Iterator[tuple[_Frame, list[Any]]]:
        """Yield the function that a node calls with variables, unless it was seen so before."""
        name = node.attr["f"].func.name if "f" in node.attr else ""
        function = self._functions.get(name)
        if function is None:
            return
        given = [_variable(frame, text) for text in node.input if not is_control(text)]
        known = zip((arg.name for arg in function.signature.input_arg), given, strict=False)
        arguments = {argument: variable for argument, variable in known if variable}
        call = (name, tuple(arguments.items()))
        if arguments and call not in seen:
            seen.add(call)
            yield _Frame(nodes_by_name(function.node_def), arguments), list(function.node_def)

    def _assign(self, frame: _Frame, node: Any) -> None:
        inputs = [text for text in node.input if not is_control(text)]
        if len(inputs) < 2:
            return
        variable = _variable(frame, inputs[0])
        if variable is not None and variable not in self._found:
            stored = self._stored(frame, inputs[1])
            if stored is not None:
                self._found[variable] = stored

    def _stored(self, frame: _Frame, text: str) -> Stored | None:
        node, text, is_reshaped = _origin(frame, text)
        if node is None or node.op not in _RESTORES or len(node.input) < 2:
            return None
        keys, i = self._constant(frame, node.input[1]), output_of(text)
        if i >= len(keys):
            return None
        # Restore, the oldest of the three, knows no slices.
        slices = self._constant(frame, node.input[2]) if node.op != "Restore" else []
        region = parse_slice(slices[i]) if i < len(slices) else None
        return Stored(keys[i], region, is_reshaped)

    def _constant(self, frame: _Frame, text: str) -> list[str]:
        node = _origin(frame, text)[0]
        if node is None or node.op != "Const" or "value" not in node.attr:
            return []
        # Kept with the node, so that no other node gets its number.
        if id(node) not in self._strings:
            self._strings[id(node)] = node, _strings_of(node.attr["value"].tensor)
        return self._strings[id(node)][1]


def _extent(text: str) -> slice:
    if text == "-":
        return slice(None)
    start, length = map(int, text.split(","))
    if start < 0 or length < 0:
        raise ValueError(text)
    return slice(start, start + length)


def _origin(frame: _Frame, text: str) -> tuple[Any, str, bool]:
    """Follow copies back to where a value comes from.

    Gives the node, None for an argument; the input that names it; whether it was reshaped.
    """
    seen = set()
    is_reshaped = False
    node = frame.nodes.get(source_of(text))
    while node is not None and node.op in _COPIES and len(node.input) and node.name not in seen:
        seen.add(node.name)
        is_reshaped |= node.op == "Reshape"
        text = node.input[0]
        node = frame.nodes.get(source_of(text))
    return node, text, is_reshaped


def _variable(frame: _Frame, text: str) -> str | None:
    """Name of the variable that an input is; None for anything else."""
    node, text, _ = _origin(frame, text)
    if node is None:
        return frame.arguments.get(source_of(text))
    return str(node.name) if node.op in VARIABLE_OPS else None


def _strings_of(tensor: Any) -> list[str]:
    try:
        values = make_ndarray(tensor).reshape(-1)
    except CheckpointError:
        return []
    if not values.dtype.hasobject:
        return []
    # A splat of one value over a huge shape: no list of names repeats one.
    limit = max(len(tensor.string_val), 1)
    return [x.decode("utf-8", "surrogateescape") for x in values[:limit].tolist()]
