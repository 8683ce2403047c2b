"""The order in which TensorFlow makes the operations of a GraphDef, and what is wrong with it.

The rule is that of TensorFlow's ``graph_constructor.cc``: of the nodes whose inputs are all made,
the first in the file comes next. An edge from a NextIteration to a Merge closes a loop and is not
waited for.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

from fastckpt.errors import InvalidArgumentError
from fastckpt.graph.edges import source_of

__all__ = ["index_of_names", "order_of_creation"]

# How many nodes of a cycle a message names.
_MAX_NAMED = 3


def index_of_names(nodes: Sequence[Any]) -> dict[str, int]:
    """Where each node is.

    Raises
    ------
    InvalidArgumentError
        Two nodes have one name.
    """
    index = {node.name: i for i, node in enumerate(nodes)}
    if len(index) < len(nodes):
        twice = next(node.name for i, node in enumerate(nodes) if index[node.name] != i)
        raise InvalidArgumentError(
            f"Node '{twice}' is not unique: the graph has another node of that name", key=twice
        )
    return index


def order_of_creation(nodes: Sequence[Any], index: dict[str, int]) -> list[int]:
    """Positions of nodes in the order in which TensorFlow makes them.

    Parameters
    ----------
    nodes : sequence of NodeDef
        The nodes of a graph.
    index : dict of str to int
        Of :func:`index_of_names`.

    Raises
    ------
    InvalidArgumentError
        An input comes from a node that does not exist, or nodes feed each other in a circle.

    Notes
    -----
    Linear for nodes that are in order already, as TensorFlow writes them.
    """
    sources = [_sources(node, index) for node in nodes]
    merges = {i for i, node in enumerate(nodes) if node.op in ("Merge", "RefMerge")}
    if merges:
        _cut_loops(nodes, sources, merges)
    if all(max(inputs, default=-1) < i for i, inputs in enumerate(sources)):
        return list(range(len(nodes)))
    return _sorted(nodes, sources)


def _sources(node: Any, index: dict[str, int]) -> list[int]:
    found = []
    for text in node.input:
        # Most inputs are the name of a node and nothing else.
        at = index.get(text)
        if at is None:
            at = index.get(_source(text))
        if at is None:
            raise InvalidArgumentError(
                f"Node '{node.name}': Unknown input node '{text}'; the graph is incomplete",
                key=node.name,
            )
        found.append(at)
    return found


def _source(text: str) -> str:
    """Name of the node that an input comes from; what has no number after its colon is none."""
    if ":" not in text or text.startswith("^"):
        return source_of(text)
    number = text.partition(":")[2]
    return source_of(text) if number.isascii() and number.isdigit() else text


def _cut_loops(nodes: Sequence[Any], sources: list[list[int]], merges: set[int]) -> None:
    back = {i for i, node in enumerate(nodes) if node.op in ("NextIteration", "RefNextIteration")}
    for i in merges:
        sources[i] = [x for x in sources[i] if x not in back]


def _sorted(nodes: Sequence[Any], sources: list[list[int]]) -> list[int]:
    waiting = list(map(len, sources))
    consumers: list[list[int]] = [[] for _ in nodes]
    for i, inputs in enumerate(sources):
        for source in inputs:
            consumers[source].append(i)
    # Ascending positions are a heap already.
    ready = [i for i, count in enumerate(waiting) if not count]
    order = []
    while ready:
        i = heapq.heappop(ready)
        order.append(i)
        for consumer in consumers[i]:
            waiting[consumer] -= 1
            if not waiting[consumer]:
                heapq.heappush(ready, consumer)
    if len(order) < len(nodes):
        raise _cycle(nodes, sources, waiting)
    return order


def _cycle(nodes: Sequence[Any], sources: list[list[int]], waiting: list[int]) -> Exception:
    """Name nodes of a cycle: from any node that waits, inputs that wait lead into one."""
    at = next(i for i, count in enumerate(waiting) if count)
    seen: dict[int, int] = {}
    while at not in seen:
        seen[at] = len(seen)
        at = next(i for i in sources[at] if waiting[i])
    cycle = [nodes[i].name for i, place in seen.items() if place >= seen[at]]
    names = ", ".join(map(repr, cycle[:_MAX_NAMED])) + (", …" if len(cycle) > _MAX_NAMED else "")
    return InvalidArgumentError(
        f"{sum(map(bool, waiting))} nodes in a cycle or behind one: {names} feed each other",
        key=cycle[0],
    )
