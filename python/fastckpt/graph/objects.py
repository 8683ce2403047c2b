"""Object graphs: what tf.train.Checkpoint stores of the objects that own the tensors."""

from __future__ import annotations

import functools
import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from numpy.typing import NDArray

from fastckpt.checkpoint.opening import open_checkpoint
from fastckpt.checkpoint.reader import Checkpoint
from fastckpt.checkpoint.stored_tensor import StoredTensor
from fastckpt.graph.objects_message import read_message
from fastckpt.graph.objects_names import (
    VALUE,
    Place,
    friendly_name,
    friendly_path,
    parse_name,
    place_of_key,
)
from fastckpt.graph.objects_nodes import Objects

__all__ = [
    "ObjectGraph",
    "Optimizer",
    "as_checkpoint",
    "attribute_of",
    "names_to_keys",
    "object_graph",
]

# What PythonState objects of TensorFlow store.
_PYTHON_STATE = "py_state"

# Tensors that one attribute stands for, at most; TensorFlow's objects have two.
_MAX_STORED = 16


class Optimizer(NamedTuple):
    """An optimizer of a graph.

    Attributes
    ----------
    name : str
        Friendly name of the object.
    slots : dict of str to dict of str to StoredTensor
        Slot name -> variable -> what the optimizer keeps for it. Empty for Keras 3, whose
        optimizers keep lists of variables instead.
    variables : dict of str to StoredTensor
        Other state: step, learning rate, the lists of Keras 3.
    """

    name: str
    slots: dict[str, dict[str, StoredTensor]]
    variables: dict[str, StoredTensor]


def object_graph(checkpoint: Checkpoint | str | os.PathLike[str]) -> ObjectGraph:
    """Read the object graph of a checkpoint.

    Parameters
    ----------
    checkpoint : Checkpoint, str or PathLike
        An open checkpoint, or what :func:`fastckpt.open` takes; SavedModels have one too.

    Returns
    -------
    ObjectGraph

    Raises
    ------
    NoObjectGraphError
        The checkpoint was written by name. An InvalidArgumentError and a TensorNotFoundError.
    DataLossError
        The graph is damaged.
    LimitExceededError
        The graph takes more than 64 MiB.

    Notes
    -----
    Costs some microseconds an object; of the tensors only the graph itself is read.

    Examples
    --------
    >>> graph = fastckpt.graph.object_graph("ckpt-7")          # doctest: +SKIP
    >>> graph["model.layers[0].kernel"].shape                  # doctest: +SKIP
    (784, 10)
    """
    return ObjectGraph(as_checkpoint(checkpoint))


def names_to_keys(checkpoint: Checkpoint | str | os.PathLike[str]) -> dict[str, str]:
    """Map full names of variables to checkpoint keys, as TensorFlow's Saver does.

    With it, a Saver restores by name from an object-based checkpoint.

    Parameters
    ----------
    checkpoint : Checkpoint, str or PathLike
        As for :func:`object_graph`.

    Returns
    -------
    dict of str to str
        In the order of the file. Where several variables had one name (unnamed ones are all
        ``"Variable"``) the last counts; what is no variable has the empty name.

    Raises
    ------
    NoObjectGraphError, DataLossError, LimitExceededError
        As :func:`object_graph`; numbers of objects are not looked at.
    """
    return _names_to_keys(read_message(as_checkpoint(checkpoint)))


def as_checkpoint(checkpoint: Checkpoint | str | os.PathLike[str]) -> Checkpoint:
    """Give the checkpoint itself, or open what the path names."""
    return checkpoint if isinstance(checkpoint, Checkpoint) else open_checkpoint(checkpoint)


class ObjectGraph(Objects):
    """The objects of a checkpoint, their names and their tensors; made by :func:`object_graph`.

    Tensors have friendly names: ``model.layers[0].kernel`` for the key
    ``model/layers/0/kernel/.ATTRIBUTES/VARIABLE_VALUE``; :func:`~fastckpt.graph.friendly_name`
    tells all forms. They follow the key, and TensorFlow makes keys of shortest paths: the weights
    of a Keras 3 model beside its optimizer are ``optimizer._trainable_variables[0]``. Wherever a
    name is asked for, any path through the objects will do, and
    ``model._functional._operations[1]._kernel`` is the same tensor; so will a checkpoint key. An
    underscore in front of a local name may be left out.

    Attributes
    ----------
    checkpoint : Checkpoint
        Where it was read; handles stay valid after it is closed.
    message : message
        The ``TrackableObjectGraph``, as stored.

    Notes
    -----
    Objects may be shared and form cycles; nothing here follows one twice, or calls itself. Names
    are made on first use, in the order of the objects; those of ways of more than 64 steps are
    made of the key. Values that the graph lists and the checkpoint does not hold are left out.
    """

    @functools.cached_property
    def variables(self) -> dict[str, StoredTensor]:
        """Friendly name -> handle of every variable that is no slot variable."""
        slots = self._roles.slots
        return self._handles(self._value_keys(x for x in range(len(self.nodes)) if x not in slots))

    @functools.cached_property
    def slots(self) -> dict[tuple[str, str], dict[str, StoredTensor]]:
        """(optimizer, slot name) -> variable -> handle of the slot variable.

        Optimizer and variable are friendly names. :func:`save_objects` takes it as it is.
        """
        return {
            (self.name(number), slot_name): slots
            for number in self._roles.optimizers
            for slot_name, slots in self._slots_by_number[number].items()
        }

    @functools.cached_property
    def optimizers(self) -> dict[str, Optimizer]:
        """Friendly name -> optimizer.

        Optimizers are objects with slot variables, and those that have the children of Keras' or
        TensorFlow's optimizers. State that several share is listed with the first.
        """
        found = {}
        for number in self._roles.optimizers:
            name = self.name(number)
            state = self._handles(self._value_keys(self._roles.state[number]))
            found[name] = Optimizer(name, self._slots_by_number[number], state)
        return found

    @functools.cached_property
    def weights(self) -> dict[str, StoredTensor]:
        """Friendly name -> handle of the variables that belong to no optimizer.

        Named by the shortest way that leads through no optimizer. The save counter is none.
        """
        return self._named_weights(sorted(self._roles.weights))

    @functools.cached_property
    def trainable(self) -> dict[str, StoredTensor]:
        """The weights that are known to be trained: all that the file tells of it.

        They have slot variables, or are listed in the ``_trainable_variables`` of a Keras 3
        optimizer or the ``trainable_variables`` of a layer. Without those the file does not tell.
        """
        return self._named_weights(sorted(self._roles.trained))

    @functools.cached_property
    def others(self) -> dict[str, StoredTensor]:
        """Friendly name -> handle of what is stored of objects that are no variables.

        Such as ``state@py_state``, ``table@table-keys`` and ``iterator@ITERATOR_STATE``.
        """
        attributes = (x for node in self.message.nodes for x in node.attributes)
        keys = (self.stored_keys(x.checkpoint_key) for x in attributes if x.name != VALUE)
        return self._handles(key for found in keys for key in found)

    @property
    def python_state(self) -> dict[str, bytes]:
        """Friendly name of the object -> what it serialised. Reads the values."""
        found = {}
        for handle in self.others.values():
            place = place_of_key(handle.name)
            if place and place.attribute == _PYTHON_STATE and handle.tf_dtype == "string":
                found[friendly_path(place.path)] = bytes(handle.read().item())
        return found

    @property
    def save_counter(self) -> int | None:
        """The number of this save as tf.train.Checkpoint counts; None where it is not stored."""
        number = dict(self._edges[0]).get("save_counter")
        for key in () if number is None else self._value_keys([number]):
            handle = self.checkpoint.tensor(key)
            if handle.shape == () and handle.dtype.kind in "iu":
                return int(handle.read())
        return None

    def __iter__(self) -> Iterator[str]:
        """Iterate over the friendly names of the variables."""
        return iter(self.variables)

    def __len__(self) -> int:
        """Count the variables."""
        return len(self.variables)

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Give the array of a tensor, read-only and a view where possible, as the checkpoint."""
        return self.checkpoint[self.key(name)]

    def __contains__(self, name: object) -> bool:
        try:
            return isinstance(name, str) and bool(self.key(name))
        except (KeyError, ValueError):
            return False

    def tensor(self, name: str) -> StoredTensor:
        """Give a handle on a tensor by its friendly name, by any path, or its key.

        Raises
        ------
        TensorNotFoundError
            No such tensor; the message lists near names.
        InvalidArgumentError
            Not a name.
        """
        return self.checkpoint.tensor(self.key(name))

    def key(self, name: str) -> str:
        """Give the checkpoint key for a friendly name, by any path.

        Raises
        ------
        TensorNotFoundError, InvalidArgumentError
            As :meth:`tensor`.
        """
        for known in (self.variables, self.others):
            if name in known:
                return known[name].name
        if name in self.checkpoint:
            return name
        for key in self._keys_at(parse_name(name)):
            return key
        raise self._not_found(name, "tensor")

    def names_to_keys(self) -> dict[str, str]:
        """Map full names of variables to keys; see :func:`~fastckpt.graph.names_to_keys`."""
        return _names_to_keys(self.message)

    def stored_keys(self, key: str) -> list[str]:
        """List the tensors that the key of an attribute stands for.

        Most are a tensor's own. Tables and iterators name one key and store others that begin
        with it: ``table`` stands for ``table-keys`` and ``table-values``.
        """
        if key in self.checkpoint:
            return [key]
        first = bisect_left(self._names, key)
        names = self._names[first : first + _MAX_STORED]
        return [x for x in names if x.startswith((f"{key}-", f"{key}_"))]

    def __repr__(self) -> str:
        return (
            f"<ObjectGraph {self.checkpoint.prefix!r}: {len(self.nodes)} objects, "
            f"{len(self.variables)} variables>"
        )

    @functools.cached_property
    def _names(self) -> list[str]:
        return list(self.checkpoint)

    def _handles(self, keys: Iterable[str]) -> dict[str, StoredTensor]:
        handles: dict[str, StoredTensor] = {}
        for key in keys:
            name = friendly_name(key)
            if name in handles and handles[name].name != key:
                name = key
            handles[name] = self.checkpoint.tensor(key)
        return handles

    @functools.cached_property
    def _slots_by_number(self) -> dict[int, dict[str, dict[str, StoredTensor]]]:
        return {number: self._slots_of(number) for number in self._roles.optimizers}

    def _slots_of(self, optimizer: int) -> dict[str, dict[str, StoredTensor]]:
        found: dict[str, dict[str, StoredTensor]] = {}
        for x in self.message.nodes[optimizer].slot_variables:
            for key in self._value_keys([x.slot_variable_node_id]):
                variable = next(self._value_keys([x.original_variable_node_id]), None)
                name = (
                    self.name(x.original_variable_node_id)
                    if variable is None
                    else friendly_name(variable)
                )
                found.setdefault(x.slot_name, {})[name] = self.checkpoint.tensor(key)
        return found

    def _named_weights(self, numbers: Iterable[int]) -> dict[str, StoredTensor]:
        ways = self._roles.weight_ways
        return {
            self._name_by(ways, number): self.checkpoint.tensor(key)
            for number in numbers
            for key in self._value_keys([number])
        }

    def _keys_at(self, place: Place) -> Iterator[str]:
        """Keys of what is stored at a place, by whatever path it names the object."""
        number = self._number_at(place)
        for x in () if number is None else self.message.nodes[number].attributes:
            for key in self.stored_keys(x.checkpoint_key):
                if place.attribute in {x.name, attribute_of(key)}:
                    yield key


def attribute_of(key: str) -> str:
    """Give the name by which a tensor is stored of its object; the key where it does not tell."""
    place = place_of_key(key)
    return key if place is None else place.attribute


def _names_to_keys(message: Any) -> dict[str, str]:
    return {x.full_name: x.checkpoint_key for node in message.nodes for x in node.attributes}
