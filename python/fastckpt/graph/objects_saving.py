"""Saving nested dicts and lists of arrays as tf.train.Checkpoint would."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from fastckpt import protos
from fastckpt.checkpoint.inputs import Input, prepare
from fastckpt.checkpoint.options import WriteBackend, check_integer
from fastckpt.checkpoint.tensorflow_errors import WrongTypeError
from fastckpt.checkpoint.writer import save
from fastckpt.errors import CheckpointError, InvalidArgumentError
from fastckpt.graph.objects_building import Draft, build, check_text
from fastckpt.graph.objects_message import OBJECT_GRAPH_KEY
from fastckpt.graph.objects_names import VALUE, Place, friendly_name, friendly_path, parse_name
from fastckpt.graph.objects_roles import with_owners
from fastckpt.names import near_names
from fastckpt.progress import ProgressLike

__all__ = ["Slots", "object_tensors", "save_objects"]

# (optimizer, slot name) -> variable -> value of the slot variable.
Slots = Mapping[tuple[str, str], Mapping[str, Any]]

# How tf.train.Checkpoint.save and CheckpointManager number prefixes.
_NUMBERED = re.compile(r"-([0-9]{1,18})\Z")


def save_objects(
    prefix: str | os.PathLike[str],
    objects: Mapping[str, Any],
    *,
    slots: Slots | None = None,
    save_counter: int | bool | None = None,
    full_names: Mapping[str, str] | None = None,
    num_shards: int | None = None,
    alignment: int = 64,
    block_crcs: bool = True,
    sync: bool = True,
    num_threads: int | None = None,
    backend: WriteBackend = "auto",
    progress: ProgressLike = None,
) -> str:
    """Write an object-based checkpoint, which ``tf.train.Checkpoint(**objects)`` restores.

    Parameters
    ----------
    prefix : str or PathLike
        As of :func:`fastckpt.save`. No number is put behind it.
    objects : mapping of str to object
        What ``tf.train.Checkpoint`` has as keyword arguments; the attributes of `root` for
        ``tf.train.Checkpoint(root)``. Mappings, lists and tuples are objects with children, at
        any depth. Everything else is a variable: whatever :func:`fastckpt.save` takes for a
        tensor, but Python numbers have TensorFlow's types, float32 and int32 (int64 where it must
        be). One array at several places is one variable. None is left out. See
        :class:`ObjectState` for what is no variable.
    slots : mapping of (str, str) to mapping of str to array-like, optional
        Slot variables: (optimizer, slot name) -> variable -> value, as
        ``{("opt", "momentum"): {"model.w": array}}``. Optimizers and variables are friendly names
        of what is in `objects`; an optimizer without other state is an empty dict there. The
        optimizers of Keras 3 have none, but lists of variables among `objects`.
    save_counter : int or bool, optional
        The number of this save: the next ``tf.train.Checkpoint.save`` takes the one after it.
        None: the number that `prefix` ends with, ``-7``, or 0, unless there is a counter among
        `objects`. False: none is stored, as by ``tf.train.Checkpoint.write``; such files are for
        ``read``, which does not expect one, and others for ``restore``, which does.
    full_names : mapping of str to str, optional
        Friendly name -> name of the variable for TensorFlow's name-based Saver. By default they
        are the path: ``model/w``.
    num_shards, alignment, block_crcs, sync, num_threads, backend, progress
        As of :func:`fastckpt.save`.

    Returns
    -------
    str
        The prefix.

    Raises
    ------
    InvalidArgumentError
        A name that is no str, a value that is no array, two objects of one key, a slot for what
        is not there; nothing was written.
    LimitExceededError
        Variables more than 10 000 levels deep.
    CheckpointError
        As :func:`fastckpt.save`.

    Notes
    -----
    The checkpoint becomes visible at one stroke, as all do. The `checkpoint` state file is not
    written. Objects have the numbers and keys that TensorFlow gives them; with `full_names` as
    TensorFlow's, and ``num_shards=1, alignment=1, block_crcs=False``, files are byte-identical to
    those of a ``tf.train.Checkpoint`` of the same dicts, lists and variables.

    Examples
    --------
    >>> fastckpt.graph.save_objects(                              # doctest: +SKIP
    ...     "ckpt-7", {"model": {"layers": [{"w": w, "b": b}]}, "step": 7}
    ... )
    'ckpt-7'
    """
    tensors = object_tensors(
        objects,
        slots=slots,
        save_counter=_counter(prefix, objects, save_counter),
        full_names=full_names,
    )
    return save(
        prefix,
        tensors,
        num_shards=num_shards,
        alignment=alignment,
        block_crcs=block_crcs,
        sync=sync,
        num_threads=num_threads,
        backend=backend,
        progress=progress,
    )


def object_tensors(
    objects: Mapping[str, Any],
    *,
    slots: Slots | None = None,
    save_counter: int | None = None,
    full_names: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Give the tensors of an object-based checkpoint, the object graph included.

    Parameters
    ----------
    objects, slots, full_names
        As of :func:`save_objects`.
    save_counter : int, optional
        Value of the save counter. None: that among `objects`, if there is one; False: none.

    Returns
    -------
    dict of str to Input
        For :func:`fastckpt.save` or :func:`fastckpt.save_async`; arrays are not copied.

    Raises
    ------
    InvalidArgumentError
        As :func:`save_objects`.
    """
    if not isinstance(objects, Mapping):
        raise WrongTypeError(
            f"objects must be a mapping of names to objects, not {type(objects).__name__}"
        )
    draft = build(objects, save_counter)
    slot_variables = _find_slots(draft, slots or {})
    tensors: dict[str, Any] = {}
    message = protos.message_class("TrackableObjectGraph")()
    names = _FullNames(full_names or {})
    for number, children in enumerate(draft.children):
        node = message.nodes.add()
        for name, child in children:
            node.children.add(node_id=child, local_name=name)
        path = draft.path(number) if draft.attributes[number] else ()
        for attribute, value in draft.attributes[number].items():
            place = Place(path, attribute)
            full_name = names.of(place, place.key, draft.full_names.get(number))
            _add(tensors, node, place, value, full_name)
    for number, x in enumerate(slot_variables, len(draft.children)):
        message.nodes[x.optimizer].slot_variables.add(
            slot_name=x.place.slot,
            original_variable_node_id=x.variable,
            slot_variable_node_id=number,
        )
        full_name = names.of(x.place, x.place.key)
        _add(tensors, message.nodes.add(), x.place, x.value, full_name)
    names.check_all_used()
    _mark_stored(message, draft)
    tensors[OBJECT_GRAPH_KEY] = prepare(OBJECT_GRAPH_KEY, message.SerializeToString())
    return tensors


class _SlotVariable(NamedTuple):
    optimizer: int
    variable: int
    place: Place
    value: Any


class _FullNames:
    """Names of variables for TensorFlow's Saver: those that were asked for, else the path."""

    def __init__(self, wanted: Mapping[str, str]) -> None:
        self._wanted = {}
        for name, full_name in wanted.items():
            check_text(name, "a key of full_names")
            check_text(full_name, f"full_names[{name!r}]")
            self._wanted[parse_name(name).key] = full_name
        self._unused = dict(zip(self._wanted, wanted, strict=False))

    def of(self, place: Place, key: str, own: str | None = None) -> str:
        """Give the full name of what is stored at a place; empty unless it is a variable.

        `own` is what the object itself says.
        """
        if place.attribute != VALUE:
            return ""
        self._unused.pop(key, None)
        if key in self._wanted:
            return self._wanted[key]
        if own is not None:
            return own
        name = "/".join(place.path)
        if place.optimizer is None:
            return name
        owner = self._wanted.get(Place(place.path).key, name)
        return "/".join((*place.optimizer, owner, place.slot))

    def check_all_used(self) -> None:
        """Raise InvalidArgumentError where a name was given for no variable."""
        for name in self._unused.values():
            raise InvalidArgumentError(
                f"full_names has {name!r}, which is no variable of objects or slots", key=name
            )


def _counter(prefix: object, objects: object, counter: object) -> int | None:
    if counter is False:
        return False
    if counter is True:
        raise InvalidArgumentError(
            "save_counter must be a number, None or False, not True: None takes the number that "
            "the prefix ends with"
        )
    if counter is not None:
        return check_integer("save_counter", counter, 0, (1 << 63) - 1)
    if isinstance(objects, Mapping) and "save_counter" in objects:
        return None
    path = os.fspath(prefix) if isinstance(prefix, os.PathLike) else prefix
    match = _NUMBERED.search(path) if isinstance(path, str) else None
    return 0 if match is None else int(match[1])


def _add(tensors: dict[str, Any], node: Any, place: Place, value: Any, full_name: str) -> None:
    """Store a value, and tell of it in the object's node."""
    key = place.key
    if key in tensors:
        raise InvalidArgumentError(
            f"two objects have the key {key!r}; give one of them another name", key=key
        )
    tensors[key] = _prepare(key, value)
    node.attributes.add(name=place.attribute, full_name=full_name, checkpoint_key=key)


def _prepare(key: str, value: Any) -> Input:
    # Exact types: NumPy's float64 is a float, and keeps its type.
    dtype = None
    if type(value) is float:
        dtype = "float32"
    elif type(value) is int:
        dtype = "int32" if -(1 << 31) <= value < 1 << 31 else "int64"
    try:
        return prepare(key, value, dtype)
    except CheckpointError:
        # Names are made where they are needed: for messages.
        return prepare(friendly_name(key), value, dtype)


def _find_slots(draft: Draft, slots: Slots) -> list[_SlotVariable]:
    """Find optimizers and variables, in TensorFlow's order of slot variables."""
    found: dict[int, list[_SlotVariable]] = {}
    for (optimizer_name, slot_name), values in _checked(slots):
        optimizer = _find(draft, optimizer_name, "optimizer")
        of_slot = {}
        for name, value in values.items():
            variable = _find(draft, name, "variable")
            place = Place(draft.path(variable), VALUE, draft.path(optimizer), slot_name)
            of_slot[variable] = _SlotVariable(optimizer, variable, place, value)
        found.setdefault(optimizer, []).extend(of_slot[x] for x in sorted(of_slot))
    return [x for optimizer in sorted(found) for x in found[optimizer]]


def _checked(slots: Any) -> Iterator[tuple[tuple[str, str], Mapping[str, Any]]]:
    well_formed = isinstance(slots, Mapping) and all(
        isinstance(x, tuple) and len(x) == 2 and isinstance(of, Mapping) for x, of in slots.items()
    )
    if not well_formed:
        raise WrongTypeError(
            "slots must map (optimizer, slot name) to a mapping of variables to arrays, as in "
            "{('opt', 'momentum'): {'model.w': array}}"
        )
    for names, values in slots.items():
        for name in (*names, *values):
            check_text(name, "a name in slots")
        yield names, values


def _find(draft: Draft, name: str, what: str) -> int:
    number = draft.walk(parse_name(name).path)
    if number is not None:
        return number
    known = [friendly_path(draft.path(x)) for x in range(min(len(draft.ways), 10_000))]
    near = "".join(f"; did you mean {x!r}?" for x in near_names(name, known, 1))
    hint = " (an optimizer without other state is an empty dict)" if what == "optimizer" else ""
    raise InvalidArgumentError(
        f"slots names the {what} {name!r}, which is not among the objects{hint}{near}", key=name
    )


def _mark_stored(message: Any, draft: Draft) -> None:
    """Tell of each object whether anything is stored of it or below it."""
    nodes = message.nodes
    own = [x for x, node in enumerate(nodes) if node.attributes or node.slot_variables]
    stored = with_owners(draft.children, own)
    for number, node in enumerate(nodes):
        node.has_checkpoint_values.value = number in stored
