"""What ``restore`` gives: questions whether everything found its place."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, Self

from fastckpt.errors import CheckpointError
from fastckpt.training.objects.restoration import Restoration
from fastckpt.training.objects.tracking import TrackedDict, TrackedList, dependencies_of
from fastckpt.training.variables.mistakes import in_short

__all__ = ["InitializationOnlyStatus", "LoadStatus", "NameBasedStatus", "UnmatchedError"]

_FIRST = 10


class UnmatchedError(CheckpointError, AssertionError):
    """A checkpoint and the objects of a program do not match as they were asked to."""


class LoadStatus:
    """The result of restoring an object-based checkpoint.

    Values are assigned at once, and those of objects that are made later when these are tracked.

    Parameters
    ----------
    restoration : Restoration
        What restored.
    objects : callable
        Gives the objects of the program as they are now, the root first.
    """

    def __init__(self, restoration: Restoration, objects: Callable[[], list[Any]]) -> None:
        self._restoration = restoration
        self._objects = objects

    def assert_consumed(self) -> Self:
        """Raise unless all of the program was restored, and all of the checkpoint was taken.

        Raises
        ------
        UnmatchedError
            An AssertionError.
        """
        self.assert_existing_objects_matched()
        left = self._restoration.unresolved()
        if left:
            names = [self._restoration.name(x) for x in left[:_FIRST]]
            raise UnmatchedError(
                f"Unresolved object in checkpoint {names[0]}{_more(names, len(left))}; restore "
                "into objects that have it, or call expect_partial() instead"
            )
        unused = list(self._restoration.unused())
        if unused:
            raise UnmatchedError(
                "Unused attributes in these objects (the attributes exist in the checkpoint but "
                f"were not restored): {unused[0]}{_more(unused, len(unused))}"
            )
        return self

    def assert_existing_objects_matched(self) -> Self:
        """Raise unless all objects of the program were restored.

        Raises
        ------
        UnmatchedError
            An AssertionError.
        """
        self._restoration.is_quiet = True
        left = [x for x in self._objects() if not self._is_matched(x)]
        if left:
            raise UnmatchedError(
                f"Found {len(left)} Python objects that were not bound to checkpointed values, "
                "likely due to changes in the Python program. Showing "
                f"{min(len(left), _FIRST)} of {len(left)} unmatched objects: {_texts(left)}"
            )
        return self

    def assert_nontrivial_match(self) -> Self:
        """Raise where nothing but the root was restored.

        Raises
        ------
        UnmatchedError
            An AssertionError.
        """
        self._restoration.is_quiet = True
        if len(self._restoration.bound) > 1:
            return self
        root, *others = self._objects()
        if not others:
            raise UnmatchedError(
                f"Nothing to load. No dependencies have been added to {in_short(root)} yet."
            )
        raise UnmatchedError(
            "Nothing except the root object matched a checkpointed value. Typically this means "
            "that the checkpoint does not match the Python program. The following objects have no "
            f"matching checkpointed value: {_texts(others)}"
        )

    def expect_partial(self) -> Self:
        """Say nothing of values that nothing takes."""
        self._restoration.is_quiet = True
        return self

    def run_restore_ops(self, session: Any = None) -> None:
        """Do nothing: values are there already."""

    def initialize_or_restore(self, session: Any = None) -> None:
        """Do nothing: values are there already."""

    def _is_matched(self, value: Any) -> bool:
        if self._restoration.is_bound(value):
            return True
        # Containers of nothing are no loss.
        dependencies = dependencies_of(value)
        is_container = isinstance(value, TrackedDict | TrackedList)
        return is_container and dependencies is not None and not dependencies.children


class _OneQuestion(abc.ABC):
    """A result of which all assertions ask the same."""

    @abc.abstractmethod
    def assert_consumed(self) -> Self:
        """Raise unless everything is as it should be."""

    def assert_existing_objects_matched(self) -> Self:
        """Raise as :meth:`assert_consumed`."""
        return self.assert_consumed()

    def assert_nontrivial_match(self) -> Self:
        """Raise as :meth:`assert_consumed`."""
        return self.assert_consumed()


class NameBasedStatus(_OneQuestion):
    """The result of restoring what a Saver wrote: by the names of variables."""

    def __init__(self, left: list[Any]) -> None:
        self._left = left

    def assert_consumed(self) -> Self:
        """Raise unless all variables of the program were restored.

        Raises
        ------
        UnmatchedError
            An AssertionError.
        """
        if self._left:
            raise UnmatchedError(
                f"Some objects had attributes which were not restored: {_texts(self._left)}; the "
                "checkpoint was written by a Saver, and has no variables of their names"
            )
        return self

    def expect_partial(self) -> Self:
        """Do nothing: nothing is said of values that nothing takes."""
        return self

    def run_restore_ops(self, session: Any = None) -> None:
        """Do nothing: values are there already."""

    def initialize_or_restore(self, session: Any = None) -> None:
        """Do nothing: values are there already."""


class InitializationOnlyStatus(_OneQuestion):
    """The result of restoring None."""

    def assert_consumed(self) -> Self:
        """Raise: there was nothing to restore.

        Raises
        ------
        UnmatchedError
            An AssertionError.
        """
        raise UnmatchedError(
            "No checkpoint specified (save_path=None); nothing is being restored."
        )

    def expect_partial(self) -> Self:
        """Do nothing."""
        return self

    def run_restore_ops(self, session: Any = None) -> None:  # noqa: ARG002
        """Raise as :meth:`assert_consumed`."""
        self.assert_consumed()

    def initialize_or_restore(self, session: Any = None) -> None:
        """Do nothing: variables keep the values that they have."""


def _texts(values: list[Any]) -> str:
    return f"[{', '.join(in_short(repr(x)) for x in values[:_FIRST])}]"


def _more(names: list[str], count: int) -> str:
    others = ", ".join(names[1:_FIRST])
    return f" (and {count - 1} more: {others})" if others else ""
