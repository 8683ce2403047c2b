"""DataTypes of what the nodes of one graph yield, and who takes it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fastckpt.errors import CheckpointError
from fastckpt.graph.edges import is_control, output_of, source_of
from fastckpt.graph.op_registry import input_types, output_types

__all__ = ["OutputTypes", "Taker"]

# Outputs that an operation which nobody describes is believed to have; a damaged input may name
# any number.
_MAX_INFERRED = 4096


class Taker(NamedTuple):
    """One edge, seen from its source."""

    output: int  # which output of the source; -1 for a control edge
    consumer: int  # position of the node that takes it
    place: int  # as which of its inputs


class OutputTypes:
    """What the nodes of a graph yield.

    Parameters
    ----------
    nodes : sequence of NodeDef
        The nodes.
    index : dict of str to int
        Where each name is.
    find_op : callable
        Gives the OpDef of an operation, or None.
    """

    def __init__(
        self, nodes: Sequence[Any], index: dict[str, int], find_op: Callable[[str], Any]
    ) -> None:
        self._nodes = nodes
        self._index = index
        self._find_op = find_op

    def of(self, position: int) -> list[int]:
        """Give the DataTypes of what one node yields; 0 for a type that nobody names."""
        node = self._nodes[position]
        op_def = self._find_op(node.op)
        return self._inferred(position) if op_def is None else output_types(node, op_def)

    def takers(self, position: int) -> list[Taker]:
        """Give the edges that leave one node."""
        return self._edges.get(position, [])

    @functools.cached_property
    def _edges(self) -> dict[int, list[Taker]]:
        found: dict[int, list[Taker]] = {}
        for consumer, node in enumerate(self._nodes):
            for place, text in enumerate(node.input):
                output = -1 if is_control(text) else output_of(text)
                source = self._index[source_of(text)]
                found.setdefault(source, []).append(Taker(output, consumer, place))
        return found

    def _inferred(self, position: int) -> list[int]:
        """What others take of a node, for an operation that nobody describes."""
        node = self._nodes[position]
        taken = {x.output: self._expected(x) for x in self.takers(position) if x.output >= 0}
        shapes = (
            len(node.attr["_output_shapes"].list.shape) if "_output_shapes" in node.attr else 0
        )
        count = min(max([shapes, *(x + 1 for x in taken)]), _MAX_INFERRED)
        return [taken.get(i, 0) for i in range(count)]

    def _expected(self, taker: Taker) -> int:
        """Give the type that a node takes in one place; 0 where that is not known."""
        node = self._nodes[taker.consumer]
        op_def = self._find_op(node.op)
        try:
            types = [] if op_def is None else input_types(node, op_def)
        except CheckpointError:
            return 0
        return types[taker.place] if taker.place < len(types) else 0
