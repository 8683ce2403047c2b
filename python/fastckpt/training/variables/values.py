"""The interface of the room: from a var_list to targets, from targets to values and back."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fastckpt.training.variables import adapting, collection
from fastckpt.training.variables.naming import name_items, name_whole
from fastckpt.training.variables.protocol import Group, Pair, Target

__all__ = [
    "assign_values",
    "default_targets",
    "name_targets",
    "needs_session",
    "read_values",
    "restored",
]


_log = logging.getLogger("fastckpt")

_HALF_DONE = (
    "fastckpt: this came while values were being assigned: some variables may have their new "
    "values, and others their old ones; restore again, or start over"
)


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
    return default_targets() if var_list is None else name_whole(var_list)


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
    mine = collection.alive()
    for adapter in adapting.adapters():
        found = adapter.default_items(has_others=bool(mine))
        if found:
            if mine:
                _log.warning(
                    "a TensorFlow graph is in use: its %d variables are saved, and the %d of "
                    "fastckpt are not; pass a var_list to save others",
                    len(found),
                    len(mine),
                )
            return name_items(found)
    return name_items(mine)


def needs_session(targets: Iterable[Target]) -> bool:
    """Whether reading or assigning one of these takes a ``tf.compat.v1.Session``."""
    return any(target.group.needs_session for target in targets)


def read_values(
    targets: Sequence[Target], session: Any = None, *, share: bool = False
) -> list[Any]:
    """Read the values of targets of any groups, in their order; see :meth:`Group.read`."""
    values: list[Any] = [None] * len(targets)
    for group, places in _by_group(targets).items():
        found = group.read([targets[i] for i in places], session, share=share)
        for i, value in zip(places, found, strict=True):
            values[i] = value
    return values


def assign_values(pairs: Sequence[Pair], session: Any = None) -> list[Any]:
    """Assign values to targets of any groups; see :meth:`Group.assign`.

    All groups check what they are given before the first of them writes. Where something goes
    wrong after that all the same, the error says so in a note.
    """
    groups = _by_group([target for target, _ in pairs])
    for group, places in groups.items():
        group.check([pairs[i] for i in places], session)
    holders: list[Any] = [None] * len(pairs)
    try:
        for group, places in groups.items():
            found = group.assign([pairs[i] for i in places], session)
            for i, holder in zip(places, found, strict=True):
                holders[i] = holder
    except BaseException as error:
        error.add_note(_HALF_DONE)
        raise
    return holders


def restored(var_list: Any, holders: Mapping[str, Any]) -> Any:
    """Give `var_list` with new objects in the place of immutable ones.

    Parameters
    ----------
    var_list : object
        As given to :func:`name_targets`.
    holders : Mapping of str to object
        For each key, what :func:`assign_values` gave. Keys that are missing keep their object.

    Returns
    -------
    object
        Like `var_list`: a new dict for a dict, a new pytree for a pytree of JAX. What was restored
        in place is the same object as before.
    """
    return _restored(var_list, holders, "")


def _restored(value: Any, holders: Mapping[str, Any], key: str) -> Any:
    for adapter in adapting.adapters():
        replaced, found = adapter.replace(value, holders, key)
        if replaced:
            return found
    if isinstance(value, Mapping):
        prefix = f"{key}/" if key else ""
        return {name: _restored(x, holders, f"{prefix}{name}") for name, x in value.items()}
    return holders.get(key, value)


def _by_group(targets: Sequence[Target]) -> Mapping[Group, Sequence[int]]:
    groups = {target.group for target in targets}
    if len(groups) == 1:
        return {groups.pop(): range(len(targets))}
    found: dict[Group, list[int]] = {}
    for i, target in enumerate(targets):
        found.setdefault(target.group, []).append(i)
    return found
