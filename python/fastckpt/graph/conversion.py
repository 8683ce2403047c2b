"""Variables of a graph replaced by constants, and what that changes in the nodes that read them.

Source of the rules: ``convert_to_constants.py`` of TensorFlow 2.21.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastckpt.errors import DataLossError, InvalidArgumentError, LimitExceededError
from fastckpt.graph.edges import source_of
from fastckpt.graph.functions import MAIN, Library, Scope
from fastckpt.graph.tensor_values import put_array
from fastckpt.graph.value_types import value_dtype

__all__ = ["Conversion", "Place"]

# Nodes that hand on what they are given.
_COPIES = frozenset({"Enter", "Exit", "Identity", "NextIteration", "Switch", "_SwitchN"})

# How many steps one conversion may take for each node: real graphs take less than three.
_STEPS_PER_NODE = 1000
_FREE_STEPS = 1 << 20


class _Caller(NamedTuple):
    """How a node calls functions: the attributes, their types, and where arguments start."""

    functions: tuple[str, ...]
    types: str
    first: int


_IF = _Caller(("then_branch", "else_branch"), "Tin", 1)
_WHILE = _Caller(("body", "cond"), "T", 0)
_CALL = _Caller(("f",), "Tin", 0)
_CALLERS = {
    "If": _IF,
    "StatelessIf": _IF,
    "Case": _Caller(("branches",), "Tin", 1),
    "While": _WHILE,
    "StatelessWhile": _WHILE,
    "PartitionedCall": _CALL,
    "StatefulPartitionedCall": _CALL,
}


class Place(NamedTuple):
    """An input that gets a value: its function (empty for the graph itself), node and number."""

    function: str
    node: Any
    input: int


class Conversion:
    """Variables of one graph becoming constants.

    Parameters
    ----------
    graph : GraphDef
        Changed in place.
    is_exact : bool
        Leave what TensorFlow's converter leaves, even where no runtime takes it: the recorded
        shapes of loops that carry a variable.

    Attributes
    ----------
    ends : list of Place
        Inputs of nodes that are left as they were.

    Notes
    -----
    A graph whose copies or functions feed themselves ends the walk like any other: no input is
    visited twice for one variable.
    """

    def __init__(self, graph: Any, *, is_exact: bool = True) -> None:
        self.ends: list[Place] = []
        self._is_exact = is_exact
        self._main = Scope(graph.node)
        self._nodes = graph.node
        self._library = Library(graph)
        self._rewritten: set[tuple[str, str]] = set()
        self._steps = _FREE_STEPS + _STEPS_PER_NODE * len(graph.node)

    def convert(self, name: str, number: int, array: NDArray[Any]) -> None:
        """Make the variable `name` a constant of this type and value.

        Raises
        ------
        InvalidArgumentError
            Rows of the variable are gathered in batches, which TensorFlow does not freeze.
        DataLossError
            A node on the way has other inputs than its attributes say.
        NotInGraphError
            A node on the way calls a function that the graph lacks.
        LimitExceededError
            The graph leads its variables through very many nodes again and again.
        """
        node = self._main.nodes[name]
        node.Clear()
        node.name, node.op = name, "Const"
        node.attr["dtype"].type = number
        put_array(node.attr["value"].tensor, number, array)
        # In TensorFlow's order, which shows in the nodes that are added.
        waiting = list(reversed(self._places(MAIN, name)))
        seen = set()
        while waiting:
            place = waiting.pop()
            at = (place.function, place.node.name, place.input)
            if at not in seen:
                seen.add(at)
                self._count()
                waiting += reversed(self._enter(place, number, array.shape))

    def finish(self) -> None:
        """Name the functions that were changed."""
        self._library.rename()

    def _count(self) -> None:
        self._steps -= 1
        if self._steps < 0:
            raise LimitExceededError(
                "the graph leads its variables through too many nodes; no real graph does"
            )

    def _scope(self, function: str) -> Scope:
        return self._main if function == MAIN else self._library.scope(function)

    def _places(self, function: str, source: str | int) -> list[Place]:
        return [Place(function, *reader) for reader in self._scope(function).readers(source)]

    def _enter(self, place: Place, number: int, shape: tuple[int, ...]) -> list[Place]:
        """Change the node at `place`; give the inputs where its value goes from there."""
        op = place.node.op
        if (place.function, place.node.name) in self._rewritten:
            return []
        if op in _CALLERS:
            return self._enter_call(place, number, shape)
        # The second input of a Switch decides; the second of a gather chooses.
        rewrite = None if place.input else _REWRITES.get(op)
        if rewrite is None:
            self.ends.append(place)
            return []
        return rewrite(self, place, number)

    def _enter_copy(self, place: Place, number: int) -> list[Place]:
        place.node.attr["T"].type = number
        if "_output_shapes" in place.node.attr:
            del place.node.attr["_output_shapes"]
        return self._places(place.function, place.node.name)

    def _enter_read(self, place: Place, number: int) -> list[Place]:  # noqa: ARG002
        name = place.node.name
        self._rewrite(place, "Identity", "T")
        if place.function == MAIN:
            return []
        # Inside functions, inputs name the output: the one of Identity is called otherwise.
        for reader, i in self._scope(place.function).readers(name):
            reader.input[i] = _renamed_output(reader.input[i])
        returned = self._library.change(place.function, name).ret
        for result, text in returned.items():
            if source_of(text) == name:
                returned[result] = _renamed_output(text)
        return []

    def _enter_gather(self, place: Place, number: int) -> list[Place]:  # noqa: ARG002
        node = place.node
        if "batch_dims" in node.attr and node.attr["batch_dims"].i:
            raise InvalidArgumentError(
                f"batch_dims must be 0 for freeze_graph, but got node({node.name}).attr"
                f"('batch_dims') = {node.attr['batch_dims'].i}",
                key=node.name,
            )
        axis = self._add_axis(place, node.attr["Tindices"].type)
        self._rewrite(place, "GatherV2", "Tparams", "Tindices")
        node.input.append(axis if place.function == MAIN else f"{axis}:output:0")
        node.attr["Taxis"].type = node.attr["Tindices"].type
        return []

    def _enter_gather_nd(self, place: Place, number: int) -> list[Place]:  # noqa: ARG002
        self._rewrite(place, "GatherNd", "Tparams", "Tindices")
        return []

    def _add_axis(self, place: Place, number: int) -> str:
        """Add the constant 0 to the nodes of the graph or function; give its name."""
        scope = self._scope(place.function)
        name = f"{place.node.name}/axis"
        names = (f"{name}_{i}" if i else name for i in range(len(scope.nodes) + 1))
        name = next(x for x in names if x not in scope.nodes)
        nodes = self._nodes
        if place.function != MAIN:
            nodes = self._library.change(place.function, name).node_def
        node = scope.nodes[name] = nodes.add(name=name, op="Const")
        node.attr["dtype"].type = number
        put_array(node.attr["value"].tensor, number, np.zeros((), value_dtype(number)))
        return name

    def _rewrite(self, place: Place, op: str, *types: str) -> None:
        """Make a node another that takes the value: of as many inputs as it has types."""
        node = place.node
        old = type(node)()
        old.CopyFrom(node)
        node.Clear()
        node.name, node.op = old.name, op
        node.input.extend(old.input[: len(types)])
        node.attr[types[0]].type = old.attr["dtype"].type
        for name in types[1:]:
            node.attr[name].type = old.attr[name].type
        if "_class" in old.attr:
            node.attr["_class"].CopyFrom(old.attr["_class"])
        self._rewritten.add((place.function, node.name))

    def _enter_call(self, place: Place, number: int, shape: tuple[int, ...]) -> list[Place]:
        node, rule = place.node, _CALLERS[place.node.op]
        argument = place.input - rule.first
        if argument < 0:
            return []
        changes = _set_type(node, rule.types, argument, number)
        if rule is _WHILE:
            _set_loop_shape(node, argument, shape)
            if changes and "_output_shapes" in node.attr and not self._is_exact:
                del node.attr["_output_shapes"]
        self._library.mark(place.function, node)
        places = []
        for name in _callees(node, rule):
            function = self._library.change(name, node.name)
            _set_argument(function, argument, number)
            if rule is _WHILE and name == node.attr["body"].func.name:
                _set_result(function, argument, number)
            places += self._places(name, argument)
        return places


_REWRITES: dict[str, Callable[[Conversion, Place, int], list[Place]]] = {
    **dict.fromkeys(_COPIES, Conversion._enter_copy),  # noqa: SLF001
    "ReadVariableOp": Conversion._enter_read,  # noqa: SLF001
    "ResourceGather": Conversion._enter_gather,  # noqa: SLF001
    "ResourceGatherNd": Conversion._enter_gather_nd,  # noqa: SLF001
}


def _renamed_output(text: str) -> str:
    name, output, *rest = text.split(":")
    return ":".join((name, "output" if output == "value" else output, *rest))


def _callees(node: Any, rule: _Caller) -> list[str]:
    names = []
    for attr in rule.functions:
        if attr in node.attr:
            value = node.attr[attr]
            names += [value.func.name] if value.HasField("func") else []
            names += [reference.name for reference in value.list.func]
    return names


def _set_type(node: Any, attr: str, i: int, number: int) -> bool:
    """Record the type of an argument; say whether it was another."""
    types: Any = node.attr[attr].list.type if attr in node.attr else ()
    if i >= len(types):
        raise DataLossError(
            f"node {node.name!r} ({node.op}) has an input {i} and only {len(types)} types in "
            f"its attribute {attr!r}",
            key=node.name,
        )
    before = types[i]
    types[i] = number
    return bool(before != number)


def _set_loop_shape(node: Any, i: int, shape: tuple[int, ...]) -> None:
    shapes: Any = node.attr["output_shapes"].list.shape if "output_shapes" in node.attr else ()
    if i < len(shapes):
        shapes[i].Clear()
        for size in shape:
            shapes[i].dim.add(size=size)


def _set_argument(function: Any, i: int, number: int) -> None:
    """Record the type of an argument; its shape, that of a handle, is not known any more."""
    signature = function.signature
    if i >= len(signature.input_arg):
        raise DataLossError(
            f"function {signature.name!r} is given an argument {i} and has "
            f"{len(signature.input_arg)}",
            key=signature.name,
        )
    signature.input_arg[i].type = number
    if "_input_shapes" in function.attr:
        _forget_shape(function.attr["_input_shapes"], i)
    arguments = function.arg_attr[i].attr
    if "_output_shapes" in arguments:
        _forget_shape(arguments["_output_shapes"], 0)


def _set_result(function: Any, i: int, number: int) -> None:
    if i < len(function.signature.output_arg):
        function.signature.output_arg[i].type = number


def _forget_shape(attr: Any, i: int) -> None:
    shapes = attr.list.shape
    if i < len(shapes):
        shapes[i].Clear()
        shapes[i].unknown_rank = True
