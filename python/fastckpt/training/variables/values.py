"""The interface of the room: from a var_list to targets, from targets to values and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fastckpt.training.variables.protocol import Group, Pair, Target

__all__ = [
    "as_targets",
    "assign_values",
    "default_targets",
    "name_targets",
    "needs_session",
    "read_values",
    "restored",
]


def as_targets(value: Any) -> list[Target]:
    """Adapt one object.

    Parameters
    ----------
    value : object
        An ndarray, a ``fastckpt.Variable``, a torch tensor, parameter or module, a JAX array or a
        pytree of them, a ``tf.Variable``, a tensor that reads one. A PartitionedVariable, a list
        of slices, a module and a pytree give several targets.

    Raises
    ------
    WrongTypeError
        Nothing that can be read and assigned, such as a Python number; a TypeError with
        TensorFlow's words, "Variable to save is not a Variable: …".
    """
    raise NotImplementedError


def name_targets(var_list: Any) -> dict[str, list[Target]]:
    """Give the key of everything that a Saver's `var_list` holds.

    Parameters
    ----------
    var_list : dict, list, tuple, set, module, pytree or None
        A dict maps keys to objects, to lists of slices, or, where TensorFlow has nothing of the
        kind, to modules and pytrees, whose own names follow the key and a slash. What is in a
        list, tuple or set, nested or not, is stored under its own name. None:
        :func:`default_targets`.

    Returns
    -------
    dict of str to list of Target
        Sorted by key. One target, or the slices of one tensor. Empty where there is nothing: "No
        variables to save" is the Saver's to say.

    Raises
    ------
    WrongTypeError
        A TypeError: not a dict or list, no variable, or a key that is not a str.
    InvalidArgumentError
        A ValueError: two variables of one name, one variable under two names, slices mixed.
    UnnamedError
        An AttributeError: an object in a list without a name, such as an ndarray.
    """
    raise NotImplementedError


def default_targets() -> dict[str, list[Target]]:
    """Give what ``Saver()`` saves.

    Returns
    -------
    dict of str to list of Target
        TensorFlow's global variables and saveable objects when its default graph has any, else
        every ``fastckpt.Variable`` alive in the default collection.

    Raises
    ------
    EagerError
        TensorFlow executes eagerly and there is no ``fastckpt.Variable``; a RuntimeError.
    """
    raise NotImplementedError


def needs_session(targets: Iterable[Target]) -> bool:
    """Whether reading or assigning one of these takes a ``tf.compat.v1.Session``."""
    return any(target.group.needs_session for target in targets)


def read_values(targets: Sequence[Target], session: Any = None) -> list[Any]:
    """Read the values of targets of any groups, in their order; see :meth:`Group.read`."""
    values: list[Any] = [None] * len(targets)
    for group, places in _by_group(targets).items():
        found = group.read([targets[i] for i in places], session)
        for i, value in zip(places, found, strict=True):
            values[i] = value
    return values


def assign_values(pairs: Sequence[Pair], session: Any = None) -> list[Any]:
    """Assign values to targets of any groups; see :meth:`Group.assign`.

    All groups check what they are given before the first of them writes.
    """
    groups = _by_group([target for target, _ in pairs])
    for group, places in groups.items():
        group.check([pairs[i] for i in places], session)
    holders: list[Any] = [None] * len(pairs)
    for group, places in groups.items():
        found = group.assign([pairs[i] for i in places], session)
        for i, holder in zip(places, found, strict=True):
            holders[i] = holder
    return holders


def restored(var_list: Any, holders: Mapping[str, Any]) -> Any:
    """Give `var_list` with new objects in the place of immutable ones.

    Parameters
    ----------
    var_list : object
        As given to :func:`name_targets`.
    holders : Mapping of str to object
        For each key, what :func:`assign_values` gave. Keys that are missing keep their object.
    """
    raise NotImplementedError


def _by_group(targets: Sequence[Target]) -> dict[Group, list[int]]:
    found: dict[Group, list[int]] = {}
    for i, target in enumerate(targets):
        found.setdefault(target.group, []).append(i)
    return found
