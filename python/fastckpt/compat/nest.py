"""``tf.nest``: values in dicts, lists and tuples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fastckpt.errors import InvalidArgumentError
from fastckpt.training.objects.tracking import TrackedDict, TrackedList

__all__ = ["flatten", "is_nested", "map_structure"]


def is_nested(structure: Any) -> bool:
    """Whether something is a dict, a list or a tuple."""
    return isinstance(structure, Mapping | list | tuple)


def flatten(structure: Any) -> list[Any]:
    """List the values, those of dicts by the order of their keys."""
    return list(_leaves(structure))


def map_structure(func: Callable[..., Any], *structures: Any) -> Any:
    """Call a function with the values of structures that are alike, and give the same structure.

    Raises
    ------
    InvalidArgumentError
        They are not alike; a ValueError.
    """
    first = structures[0]
    if not is_nested(first):
        if any(map(is_nested, structures)):
            raise _not_alike(structures)
        return func(*structures)
    keys = [_keys(x) for x in structures]
    if any(x != keys[0] for x in keys):
        raise _not_alike(structures)
    parts = {key: map_structure(func, *(x[key] for x in structures)) for key in keys[0]}
    if isinstance(first, TrackedDict | TrackedList):
        return dict(parts) if isinstance(first, dict) else list(parts.values())
    if isinstance(first, Mapping):
        return type(first)((key, parts[key]) for key in first)  # type: ignore[call-arg]
    values = [parts[key] for key in keys[0]]
    return type(first)(*values) if hasattr(first, "_fields") else type(first)(values)


def _keys(structure: Any) -> list[Any]:
    if isinstance(structure, Mapping):
        return sorted(structure)
    return list(range(len(structure))) if is_nested(structure) else []


def _leaves(structure: Any) -> Iterator[Any]:
    if not is_nested(structure):
        yield structure
        return
    for key in _keys(structure):
        yield from _leaves(structure[key])


def _not_alike(structures: Any) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"The two structures don't have the same nested structure: {structures!r:.200}"
    )
