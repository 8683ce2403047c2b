"""Children of objects by name, tracked as they are assigned: attributes, dicts, lists, tuples.

As in TensorFlow, a plain dict or list that becomes an attribute is replaced by one of the classes
here, anew at each place; what an attribute had first stays tracked until something else that can
be tracked, or ``del``, takes its place.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from fastckpt.errors import InvalidArgumentError
from fastckpt.training.objects.rules import Rules

__all__ = [
    "Dependencies",
    "Tracked",
    "TrackedDict",
    "TrackedList",
    "TrackedTuple",
    "dependencies_of",
    "own_dependencies",
]

_AT = "_fastckpt_dependencies"


class Binder(Protocol):
    """A restore that is not finished: see `restoration`."""

    def bind(self, number: int, value: Any) -> None:
        """Give an object, and what it holds, the values of a stored one."""


class Awaited(NamedTuple):
    """A child that a checkpoint holds and the program has not made yet."""

    binder: Binder
    number: int


class Dependencies:
    """The children of one object.

    Attributes
    ----------
    children : dict of str to object
        In the order in which names came up first.
    awaited : dict of str to Awaited
        Children that a restore has values for.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.children: dict[Any, Any] = {}
        self.awaited: dict[Any, Awaited] = {}

    def enter(self, name: Any, value: Any) -> Any:
        """Track a value if it can be, and give what is to be held in its place."""
        held, child = self._tracked(value)
        if child is not None:
            self.track(name, child)
        return held

    def track(self, name: Any, child: Any) -> None:
        """Make an object a child, and give it the value that was kept for it."""
        self.children[name] = child
        self.settle(name, child)

    def settle(self, name: Any, child: Any) -> None:
        """Give an object the value that was kept for this name."""
        awaited = self.awaited.pop(name, None)
        if awaited is not None:
            awaited.binder.bind(awaited.number, child)

    def _tracked(self, value: Any) -> tuple[Any, Any]:
        """Give what is held, and what of it is tracked."""
        if isinstance(value, Tracked | TrackedDict | TrackedList):
            return value, value
        if type(value) in (dict, OrderedDict):
            tracked: Any = TrackedDict(value, self.rules)
            return tracked, tracked
        if type(value) is list:
            tracked = TrackedList(value, self.rules)
            return tracked, tracked
        if isinstance(value, tuple):
            if not self._holds_objects(value):
                return value, None
            tracked = TrackedTuple(value, self.rules)
            return tracked.value, tracked
        return value, value if self.rules.is_variable(value) else None

    def _holds_objects(self, values: tuple[Any, ...]) -> bool:
        """Whether a tuple is tracked: it is where anything in it is."""
        return any(
            self._holds_objects(x)
            if isinstance(x, tuple)
            else isinstance(x, Tracked | dict | list) or self.rules.is_variable(x)
            for x in values
        )


class Tracked:
    """An object whose attributes are its children, as those of a ``tf.Module``."""

    _rules = Rules()

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, own_dependencies(self).enter(name, value))

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        own_dependencies(self).children.pop(name, None)


class TrackedList(list[Any]):
    """A list that is an attribute of a tracked object; it can be appended to."""

    def __init__(self, values: list[Any], rules: Rules) -> None:
        super().__init__()
        self._given = values
        self._seen = list(values)
        self._is_rearranged = False
        self.dependencies = Dependencies(rules)
        for value in values:
            self._enter(value)

    def _enter(self, value: Any) -> None:
        super().append(self.dependencies.enter(str(len(self)), value))

    def append(self, value: Any) -> None:
        """Append a value, and track it."""
        # The list that was given stays the same list, as far as this one knows of changes.
        self._given.append(value)
        self._seen.append(value)
        self._enter(value)

    def extend(self, values: Iterable[Any]) -> None:
        """Append values, and track them."""
        for value in list(values):
            self.append(value)

    def __iadd__(self, values: Iterable[Any]) -> TrackedList:  # type: ignore[misc]
        self.extend(values)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy belongs to no object yet.
        return list, (list(self),)

    def children(self) -> dict[Any, Any]:
        """Give the children.

        Raises
        ------
        InvalidArgumentError
            They have no fixed numbers any more. A ValueError, as in TensorFlow.
        """
        if self._is_rearranged and self.dependencies.children:
            raise InvalidArgumentError(
                f"Unable to save the object {_in_short(self)}: a list element was replaced, "
                "deleted, inserted or moved, and objects are restored by their numbers; only "
                "append to tracked lists, or use a dict"
            )
        _check_unchanged(self, list(map(id, self._given)) == list(map(id, self._seen)))
        return self.dependencies.children


class TrackedDict(dict[Any, Any]):
    """A dict that is an attribute of a tracked object."""

    def __init__(self, values: Mapping[Any, Any], rules: Rules) -> None:
        super().__init__()
        self._given: Any = values
        self._seen = dict(values)
        self.dependencies = Dependencies(rules)
        for name, value in values.items():
            self._enter(name, value)

    def _enter(self, name: Any, value: Any) -> None:
        super().__setitem__(name, self.dependencies.enter(name, value))

    def __setitem__(self, name: Any, value: Any) -> None:
        self._given[name] = self._seen[name] = value
        self._enter(name, value)

    def setdefault(self, name: Any, default: Any = None) -> Any:
        """Give what is there, or set and track it."""
        if name not in self:
            self[name] = default
        return self[name]

    def update(self, *values: Any, **named: Any) -> None:
        """Set and track values."""
        for name, value in dict(*values, **named).items():
            self[name] = value

    def __ior__(self, values: Any) -> TrackedDict:  # type: ignore[misc]
        self.update(values)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy belongs to no object yet.
        return dict, (dict(self),)

    def children(self) -> dict[Any, Any]:
        """Give the children.

        Raises
        ------
        InvalidArgumentError
            The dict was changed where it came from. A ValueError, as in TensorFlow.
        """
        seen, given = self._seen, self._given
        same = seen.keys() == given.keys() and all(seen[x] is given[x] for x in seen)
        _check_unchanged(self, same)
        return self.dependencies.children


class TrackedTuple:
    """A tuple that is an attribute of a tracked object, known by its fields and its numbers.

    Attributes
    ----------
    value : tuple
        The same with tracked dicts and lists in the place of plain ones.
    """

    def __init__(self, values: tuple[Any, ...], rules: Rules) -> None:
        self.dependencies = Dependencies(rules)
        held = [self.dependencies._tracked(x) for x in values]  # noqa: SLF001
        fields = getattr(values, "_fields", ())
        numbers = map(str, range(len(held)))
        names = (*zip(fields, held, strict=False), *zip(numbers, held, strict=True))
        for name, (_, child) in names:
            if child is not None:
                self.dependencies.track(name, child)
        found = [x for x, _ in held]
        self.value: Any = type(values)(*found) if fields else tuple(found)


def dependencies_of(value: Any) -> Dependencies | None:
    """Give the children of an object; None for a variable."""
    if isinstance(value, Tracked):
        return own_dependencies(value)
    found: Dependencies | None = getattr(value, "dependencies", None)
    return found if isinstance(found, Dependencies) else None


def own_dependencies(value: Tracked) -> Dependencies:
    """Give the children of a tracked object."""
    # Not in __init__, which derived classes may call after they set attributes.
    held = vars(value)
    if _AT not in held:
        held[_AT] = Dependencies(value._rules)  # noqa: SLF001
    found: Dependencies = held[_AT]
    return found


def _check_unchanged(value: object, is_unchanged: bool) -> None:  # noqa: FBT001
    if not is_unchanged:
        kind = type(value).__bases__[0].__name__
        raise InvalidArgumentError(
            f"Unable to save the object {_in_short(value)}: the {kind} that it was made of has "
            "changed since; change it through the attribute instead"
        )


def _in_short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:120]}…"


def _rearranging(name: str) -> Any:
    method = getattr(list, name)

    def rearrange(self: TrackedList, *arguments: Any, **named: Any) -> Any:
        self._is_rearranged = True
        return method(self, *arguments, **named)

    rearrange.__name__ = name
    rearrange.__doc__ = method.__doc__
    return rearrange


for _name in (
    "__setitem__", "__delitem__", "__imul__", "clear", "insert", "pop", "remove", "reverse",
    "sort",
):  # fmt: skip
    setattr(TrackedList, _name, _rearranging(_name))
