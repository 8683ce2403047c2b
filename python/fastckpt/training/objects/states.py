"""From tracked objects to what is stored of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from fastckpt.graph.objects_names import VALUE
from fastckpt.graph.objects_state import ObjectState
from fastckpt.training.objects.rules import Rules
from fastckpt.training.objects.tracking import TrackedDict, TrackedList, dependencies_of

__all__ = ["children_of", "reachable", "state_of"]


def children_of(value: Any) -> Mapping[Any, Any]:
    """Give the children of an object by name.

    Raises
    ------
    InvalidArgumentError
        A list or dict that was changed in a way that cannot be restored.
    """
    if isinstance(value, TrackedDict | TrackedList):
        return value.children()
    dependencies = dependencies_of(value)
    return {} if dependencies is None else dependencies.children


def reachable(root: Any, attached: Mapping[str, Any]) -> Iterator[tuple[Any, Mapping[Any, Any]]]:
    """Give each object below a root once, nearest first, with its children.

    `attached` are children of the root besides its own.
    """
    waiting: deque[Any] = deque([root])
    seen = {id(root)}
    while waiting:
        value = waiting.popleft()
        children = children_of(value)
        if value is root:
            children = {**children, **attached}
        yield value, children
        for child in children.values():
            if id(child) not in seen:
                seen.add(id(child))
                waiting.append(child)


def state_of(root: Any, attached: Mapping[str, Any], rules: Rules) -> ObjectState:
    """Give all of a tree as `object_tensors` takes it, with the values as they are now."""
    found = list(reachable(root, attached))
    variables = [value for value, _ in found if rules.is_variable(value)]
    values = dict(zip(map(id, variables), rules.read(variables), strict=True))
    states = {
        id(value): ObjectState(
            (),
            {VALUE: values[id(value)]} if id(value) in values else (),
            full_name=rules.full_name(value) if id(value) in values else None,
        )
        for value, _ in found
    }
    for value, children in found:
        states[id(value)].update((name, states[id(x)]) for name, x in children.items())
    return states[id(root)]
