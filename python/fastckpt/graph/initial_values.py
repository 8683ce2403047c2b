"""What initializers assign to variables, as far as that is constant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fastckpt.errors import InvalidArgumentError, TensorNotFoundError
from fastckpt.graph.edges import is_control, nodes_by_name, source_of
from fastckpt.graph.restoring import VARIABLE_OPS
from fastckpt.graph.tensor_values import make_ndarray
from fastckpt.graph.value_types import UnsupportedTypeError
from fastckpt.graph.variable_values import Bound, ValueSource

__all__ = ["StartedValues", "initial_values"]

_ASSIGNMENTS = frozenset({"Assign", "AssignVariableOp"})


def initial_values(graph_def: Any, initializers: Iterable[str]) -> dict[str, Any]:
    """Find the variables that running nodes would assign to.

    Parameters
    ----------
    graph_def : GraphDef
        The graph.
    initializers : iterable of str
        Names of the nodes to run.

    Returns
    -------
    dict of str to NodeDef or None
        Name of the variable -> the constant that it is assigned, None for anything else.

    Raises
    ------
    InvalidArgumentError
        There is no such node.
    """
    wanted = list(initializers)
    nodes = nodes_by_name(graph_def.node) if wanted else {}
    for name in wanted:
        if name not in nodes:
            raise InvalidArgumentError(f"initializer {name!r} is not in the graph", key=name)
    seen, waiting = set(wanted), list(wanted)
    found: dict[str, Any] = {}
    while waiting:
        node = nodes[waiting.pop()]
        inputs = [source_of(text) for text in node.input if not is_control(text)]
        if node.op in _ASSIGNMENTS and len(inputs) > 1:
            found[inputs[0]] = _constant(nodes, inputs[1])
        needed = {source_of(text) for text in node.input} & nodes.keys()
        waiting += needed - seen
        seen |= needed
    return {name: value for name, value in found.items() if _is_variable(nodes, name)}


class StartedValues:
    """Values of initializers beside those of another source.

    Parameters
    ----------
    started : mapping of str to NodeDef or None
        Of :func:`initial_values`.
    others : ValueSource
        The other source.
    is_first : bool
        Ask the initializers first, and not only for what the other source lacks.
    """

    def __init__(
        self, started: Mapping[str, Any], others: ValueSource, *, is_first: bool = True
    ) -> None:
        self._started = started
        self._others = others
        self._is_first = is_first

    def bind(self, node: Any) -> Bound:
        """Find the value of a variable; UnsupportedTypeError where it takes a computation."""
        if node.name in self._started and self._is_first:
            return self._bind_started(node)
        try:
            return self._others.bind(node)
        except TensorNotFoundError:
            if self._started.get(node.name) is None:
                raise
            return self._bind_started(node)

    def _bind_started(self, node: Any) -> Bound:
        constant = self._started[node.name]
        if constant is None:
            raise UnsupportedTypeError(
                f"the initializer of variable {node.name!r} computes its value; save it in the "
                "checkpoint instead",
                key=node.name,
            )
        tensor = constant.attr["value"].tensor
        return Bound(node.name, len(tensor.tensor_content), lambda: make_ndarray(tensor))


def _is_variable(nodes: Mapping[str, Any], name: str) -> bool:
    return name in nodes and nodes[name].op in VARIABLE_OPS


def _constant(nodes: Mapping[str, Any], name: str) -> Any:
    seen = set()
    node = nodes.get(name)
    while node is not None and node.op == "Identity" and node.name not in seen and node.input:
        seen.add(node.name)
        node = nodes.get(source_of(node.input[0]))
    is_constant = node is not None and node.op == "Const" and "value" in node.attr
    return node if is_constant else None
