"""What counts as a variable, and how it is read, named and made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastckpt.errors import UnsupportedError
from fastckpt.training.variables import Target, Variable, read_values
from fastckpt.training.variables.adapting import adapt, adapt_tree

__all__ = ["Rules"]


class Rules:
    """The variables of a program: whatever a Saver can save and restore in place.

    A face that has variables of its own derives a class.
    """

    def is_variable(self, value: Any) -> bool:
        """Whether a value is a variable; whatever is neither that nor tracked is left alone."""
        if value is None or isinstance(value, str | bytes | int | float | complex):
            return False
        # Several are an error when they are saved, modules of torch as well: nothing is left out
        # without a word.
        if isinstance(value, Mapping | list | tuple):
            return False
        return bool(adapt(value) or adapt_tree(value))

    def target(self, variable: Any) -> Target:
        """Give what reads and assigns a variable.

        Raises
        ------
        UnsupportedError
            It is immutable, or a slice of a partitioned variable.
        """
        targets = adapt(variable) or []
        if len(targets) != 1 or targets[0].slice is not None or targets[0].group.replaces:
            raise UnsupportedError(
                f"a {type(variable).__name__} is not one variable that can be restored in place; "
                "track a NumPy array or a fastckpt.Variable, or its parts in a dict"
            )
        return targets[0]

    def full_name(self, variable: Any) -> str | None:
        """Give the name by which a name-based Saver knows it; None for that of its place."""
        return self.target(variable).name

    def read(self, variables: Sequence[Any]) -> list[tuple[Any, str]]:
        """Give the values of variables as they are now, with TensorFlow's names of their types."""
        targets = [self.target(x) for x in variables]
        values = read_values(targets, share=True)
        return [(value, x.tf_dtype) for value, x in zip(values, targets, strict=True)]

    def new_counter(self) -> Any:
        """Make the variable that counts saves."""
        return _Counter()

    def is_set(self, variable: Any) -> None:
        """Take note that a variable got a stored value."""


class _Counter(Variable):
    """A save counter. No Saver without a `var_list` finds it: it is not the program's."""

    __slots__ = ()

    def __init__(self) -> None:
        self._value = np.zeros((), np.int64)
        self.name = "save_counter"
        self.trainable = False
