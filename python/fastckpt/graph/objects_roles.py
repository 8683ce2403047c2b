"""Which objects of a graph are what: ways from the root, optimizers, weights, what is trained.

An object is its number, and a graph the children of each: pure functions of these.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from fastckpt.graph.objects_message import Edges
from fastckpt.graph.objects_names import VALUE

__all__ = ["Roles", "Ways", "find_roles", "path_to", "shortest_ways", "with_owners"]

# For each object that a way leads to: its parent on the shortest, and its name there.
Ways = dict[int, tuple[int, str]]

# Children that tell optimizers: all of the first, and one of the others where there are any.
_OPTIMIZER_CHILDREN: tuple[tuple[set[str], set[str]], ...] = (
    ({"_iterations"}, {"_variables", "_trainable_variables", "_learning_rate"}),  # Keras 2.11 on
    ({"iter"}, {"learning_rate", "decay"}),  # Keras 2
    ({"beta1_power", "beta2_power"}, set()),  # tf.compat.v1's Adam
)

# Lists of variables that are trained: those of optimizers of Keras 3, and of layers of Keras 2.
_TRAINED_LISTS = frozenset({"_trainable_variables", "trainable_variables"})


class Roles(NamedTuple):
    """What the objects of a graph are.

    Attributes
    ----------
    optimizers : tuple of int
        In the order of the file.
    slots : frozenset of int
        Slot variables.
    weights : frozenset of int
        Objects that a way leads to which passes no optimizer, the save counter excepted. Where
        the root is an optimizer itself, those that it trains.
    weight_ways : Ways
        The shortest of these ways.
    trained : frozenset of int
        Objects that are known to be trained.
    state : dict of int to list of int
        Optimizer -> objects below it that are neither weights nor below an earlier optimizer.
    """

    optimizers: tuple[int, ...]
    slots: frozenset[int]
    weights: frozenset[int]
    weight_ways: Ways
    trained: frozenset[int]
    state: dict[int, list[int]]


def shortest_ways(edges: Edges, closed: Collection[int] = ()) -> Ways:
    """Find the shortest way from the root to each object, breadth first.

    Parameters
    ----------
    edges : list of tuple of (str, int)
        The children of each object.
    closed : collection of int
        Objects that no way leads to or through.

    Returns
    -------
    Ways
        Without the root. Of ways of one length it is the one that TensorFlow takes for the key.
    """
    ways: Ways = {}
    reached = {0, *closed}
    waiting = deque([0])
    while waiting:
        parent = waiting.popleft()
        for name, child in edges[parent]:
            if child not in reached:
                reached.add(child)
                ways[child] = parent, name
                waiting.append(child)
    return ways


def path_to(ways: Ways, number: int, limit: int | None = None) -> tuple[str, ...] | None:
    """Spell the way to an object; None where there is none, or it has more steps than `limit`."""
    steps: list[str] = []
    while number:
        if number not in ways or len(steps) == limit:
            return None
        number, name = ways[number]
        steps.append(name)
    return tuple(reversed(steps))


def with_owners(edges: Edges, numbers: Iterable[int]) -> set[int]:
    """Collect these objects, and all that have one of them below."""
    parents: dict[int, list[int]] = {}
    for parent, children in enumerate(edges):
        for _, child in children:
            parents.setdefault(child, []).append(parent)
    found = set(numbers)
    waiting = list(found)
    while waiting:
        for parent in parents.pop(waiting.pop(), ()):
            if parent not in found:
                found.add(parent)
                waiting.append(parent)
    return found


def find_roles(message: Any, edges: Edges) -> Roles:
    """Tell what the objects of a ``TrackableObjectGraph`` are."""
    nodes = message.nodes
    references = [x for node in nodes for x in node.slot_variables]
    optimizers = tuple(
        number
        for number, node in enumerate(nodes)
        if node.slot_variables or _looks_like_optimizer(edges[number])
    )
    slots = frozenset(x.slot_variable_node_id for x in references)
    counter = {
        child
        for name, child in edges[0]
        if name == "save_counter" and any(x.name == VALUE for x in nodes[child].attributes)
    }
    ways = shortest_ways(edges, {*optimizers, *slots, *counter})
    trained = {x.original_variable_node_id for x in references} | _listed_as_trained(edges)
    trained &= ways.keys()
    weights = frozenset(trained if 0 in optimizers else ways)
    state = _states(edges, optimizers, {*weights, *slots, *counter})
    return Roles(optimizers, slots, weights, ways, frozenset(trained), state)


def _looks_like_optimizer(children: Iterable[tuple[str, int]]) -> bool:
    names = {name for name, _ in children}
    return any(
        required <= names and (not one_of or one_of & names)
        for required, one_of in _OPTIMIZER_CHILDREN
    )


def _listed_as_trained(edges: Edges) -> set[int]:
    lists = {child for children in edges for name, child in children if name in _TRAINED_LISTS}
    return {child for number in lists for _, child in edges[number]}


def _states(
    edges: Edges, optimizers: Iterable[int], others: Collection[int]
) -> dict[int, list[int]]:
    """Find what lies below each optimizer; each object belongs to one."""
    states: dict[int, list[int]] = {}
    reached = {*others, *optimizers}
    for optimizer in optimizers:
        found = states[optimizer] = []
        waiting = deque([optimizer])
        while waiting:
            for _, child in edges[waiting.popleft()]:
                if child not in reached:
                    reached.add(child)
                    found.append(child)
                    waiting.append(child)
    return states
