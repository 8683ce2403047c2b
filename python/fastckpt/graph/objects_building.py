"""From nested dicts, lists and arrays to the objects that TensorFlow would make of them.

Objects are numbered, named and keyed as ``tf.train.Checkpoint(**objects)`` does it: breadth first,
children in their order, keys along the shortest way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from fastckpt.checkpoint.tensorflow_errors import WrongTypeError
from fastckpt.errors import InvalidArgumentError, LimitExceededError
from fastckpt.graph.objects_names import VALUE, friendly_path
from fastckpt.graph.objects_state import ObjectState

__all__ = ["Draft", "build", "check_text"]

# Keys spell every step: values at every level take memory that grows with the square of the depth.
_MAX_STEPS = 10_000

# What two places hold are two variables, although Python may keep one object for both.
_VALUES = (bool, int, float, complex, str, bytes, np.generic)


class _Step(NamedTuple):
    """A child as its parent holds it; `position` is the same for two names of one child."""

    name: str
    position: object
    value: Any


class Draft:
    """The objects to store.

    Attributes
    ----------
    children : list of list of (str, int)
        Of each object: local name and number of each child.
    attributes : list of dict of str to array-like
        What is stored of the object itself.
    full_names : dict of int to str
        Names of variables for TensorFlow's Saver, where an ObjectState gives them.
    ways : list of (int, str)
        Parent of each object on the shortest way, and the name there; of the root ``(-1, "")``.
    """

    def __init__(self) -> None:
        self.children: list[list[tuple[str, int]]] = []
        self.attributes: list[dict[str, Any]] = []
        self.full_names: dict[int, str] = {}
        self.ways: list[tuple[int, str]] = []
        self._by_name: dict[int, dict[str, int]] = {}

    def add(self, parent: int, name: str) -> int:
        """Add an object that is known by this way, and give its number."""
        self.children.append([])
        self.attributes.append({})
        self.ways.append((parent, name))
        return len(self.ways) - 1

    def path(self, number: int) -> tuple[str, ...]:
        """Spell the shortest way to an object.

        Raises
        ------
        LimitExceededError
            It has more than 10 000 steps.
        """
        steps: list[str] = []
        while number:
            if len(steps) == _MAX_STEPS:
                raise LimitExceededError(
                    f"objects are nested more than {_MAX_STEPS} deep, and each level is part of "
                    "the key of what lies below it; store them side by side"
                )
            number, name = self.ways[number]
            steps.append(name)
        return tuple(reversed(steps))

    def walk(self, path: Iterable[str]) -> int | None:
        """Follow local names from the root; None where there is no such child.

        For a draft that is complete.
        """
        number = 0
        for name in path:
            if number not in self._by_name:
                self._by_name[number] = dict(self.children[number])
            found = self._by_name[number].get(name)
            if found is None:
                return None
            number = found
        return number


def build(objects: Mapping[str, Any], save_counter: int | None) -> Draft:
    """Number the objects of a tree.

    Parameters
    ----------
    objects : mapping of str to object
        Children of the root. As keyword arguments of ``tf.train.Checkpoint`` they are sorted,
        those of an ObjectState are not.
    save_counter : int, optional
        Value of the save counter, which comes last; False leaves it out, None has what `objects`
        have.

    Raises
    ------
    InvalidArgumentError
        A name that is no text.
    """
    return _Builder().build(objects, save_counter)


class _Builder:
    """Walks a tree breadth first."""

    def __init__(self) -> None:
        self._draft = Draft()
        self._numbers: dict[tuple[object, ...], int] = {}
        # Each container once, so that what a mapping makes anew at every call is one object. They
        # also keep what they hold alive: objects are told by their id().
        self._steps: dict[int, list[_Step]] = {}
        self._waiting: deque[tuple[int, Any]] = deque()

    def build(self, objects: Mapping[str, Any], save_counter: int | None) -> Draft:
        root = self._draft.add(-1, "")
        if isinstance(objects, ObjectState):
            self._keep(root, objects)
            self._numbers["is", id(objects)] = root
        self._reach(root, objects, self._root_steps(objects, save_counter))
        while self._waiting:
            number, value = self._waiting.popleft()
            self._reach(number, value, self._steps_of(number, value))
        return self._draft

    def _root_steps(self, objects: Mapping[str, Any], counter: int | None) -> list[_Step]:
        steps = list(self._children(0, objects))
        if not isinstance(objects, ObjectState):
            # TensorFlow makes the counter when it first saves or restores, after all else.
            steps.sort(key=lambda step: (step.name == "save_counter", step.name))
        self._steps[id(objects)] = steps
        if counter is not None:
            steps = [step for step in steps if step.name != "save_counter"]
        if counter is not None and counter is not False:
            steps.append(_Step("save_counter", "save_counter", np.int64(counter)))
        return steps

    def _reach(self, parent: int, container: object, steps: Iterable[_Step]) -> None:
        """Add the children of a container."""
        children = self._draft.children[parent]
        for step in steps:
            identity = _identity(container, step)
            number = self._numbers.get(identity)
            if number is None:
                number = self._numbers[identity] = self._draft.add(parent, step.name)
                self._settle(number, step.value)
            children.append((step.name, number))

    def _settle(self, number: int, value: Any) -> None:
        """Store a value with its object, or have it looked into later."""
        if isinstance(value, ObjectState):
            self._keep(number, value)
        if isinstance(value, Mapping | list | tuple):
            self._waiting.append((number, value))
        else:
            self._draft.attributes[number] = {VALUE: value}

    def _keep(self, number: int, state: ObjectState) -> None:
        """Store what an ObjectState says of the object itself."""
        self._draft.attributes[number] = _attributes(state)
        if state.full_name is not None:
            check_text(state.full_name, "the full name of an object")
            self._draft.full_names[number] = state.full_name

    def _steps_of(self, number: int, value: Any) -> list[_Step]:
        steps = self._steps.get(id(value))
        if steps is None:
            steps = self._steps[id(value)] = list(self._children(number, value))
        return steps

    def _children(self, number: int, container: Any) -> Iterator[_Step]:
        """List the children of a container; None is no object, and neither is an empty tuple."""
        for name, position, value in _named(container):
            if value is None or (isinstance(value, tuple) and not value):
                continue
            if not isinstance(name, str) or not name.isascii():
                _check_name(name, self._draft.path(number))
            yield _Step(name, position, value)


def _attributes(state: ObjectState) -> dict[str, Any]:
    for name in state.attributes:
        check_text(name, "the name of an attribute")
    return state.attributes


def _named(container: Any) -> Iterator[tuple[Any, object, Any]]:
    if isinstance(container, Mapping):
        for name, value in container.items():
            yield name, name, value
        return
    for name, index in zip(getattr(container, "_fields", ()), range(len(container)), strict=False):
        yield name, index, container[index]
    for index, value in enumerate(container):
        yield str(index), index, value


def check_text(text: object, what: str) -> None:
    """Raise InvalidArgumentError unless `text`, which is `what`, is a str that has UTF-8."""
    if not isinstance(text, str):
        raise WrongTypeError(f"{what} must be str, not {type(text).__name__}: {text!r}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgumentError(
            f"{what} is not valid Unicode, it holds a lone surrogate: {text!r}", key=text
        ) from error


def _check_name(name: object, path: tuple[str, ...]) -> None:
    where = f"in {friendly_path(path)!r}" if path else "at the top"
    check_text(name, f"the name of an object {where} (lists give numbers from 0 on)")


def _identity(container: object, step: _Step) -> tuple[object, ...]:
    """Tell two references to one object from two objects.

    TensorFlow wraps a plain dict or list anew at each place that holds it, and tells everything
    else by identity.
    """
    value = step.value
    by_place = isinstance(value, Mapping | list | tuple) and not isinstance(value, ObjectState)
    if by_place or isinstance(value, _VALUES):
        return "at", id(container), step.position
    return "is", id(value)
