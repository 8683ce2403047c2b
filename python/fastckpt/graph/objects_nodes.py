"""The objects of an object graph: numbers, children, and the names that lead to them."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, overload

from fastckpt.checkpoint.reader import Checkpoint
from fastckpt.errors import TensorNotFoundError
from fastckpt.graph import objects_roles as roles
from fastckpt.graph.objects_message import Edges, read_edges, read_message
from fastckpt.graph.objects_names import VALUE, Place, friendly_name, friendly_path, parse_name
from fastckpt.names import near_names

__all__ = ["Attribute", "Nodes", "ObjectNode", "Objects"]

# Longer ways are not spelled out for every object: in a file made to harm, names would take
# memory that grows with the square of the objects.
_MAX_STEPS = 64


class Attribute(NamedTuple):
    """One value that is stored of an object.

    `full_name` is the variable's name in the program that saved it, as name-based checkpoints
    know it; empty for what is no variable. `key` is the key in the checkpoint.
    """

    name: str
    full_name: str
    key: str


class ObjectNode(NamedTuple):
    """One object of a graph.

    Attributes
    ----------
    id : int
        Its number in the file; the root is 0.
    children : dict of str to int
        Local name -> number of the child. Where a file repeats a name, its last child counts.
    attributes : tuple of Attribute
        What is stored of the object itself.
    slot_variables : tuple of (str, int, int)
        Of an optimizer: slot name, number of the variable, number of its slot variable.
    registered_saver : tuple of (str, str) or None
        Name of the saver that wrote it, and the object's name there.
    has_checkpoint_values : bool or None
        Whether anything is stored of it or below it; None where the file does not tell.
    """

    id: int
    children: dict[str, int]
    attributes: tuple[Attribute, ...]
    slot_variables: tuple[tuple[str, int, int], ...]
    registered_saver: tuple[str, str] | None
    has_checkpoint_values: bool | None


class Nodes(Sequence[ObjectNode]):
    """The objects of a graph, each made when it is asked for."""

    def __init__(self, message: Any, edges: Edges) -> None:
        self._message = message
        self._edges = edges

    def __len__(self) -> int:
        return len(self._edges)

    @overload
    def __getitem__(self, index: int) -> ObjectNode: ...

    @overload
    def __getitem__(self, index: slice) -> list[ObjectNode]: ...

    def __getitem__(self, index: int | slice) -> ObjectNode | list[ObjectNode]:
        if isinstance(index, slice):
            return [self[x] for x in range(len(self))[index]]
        number = range(len(self))[index]
        stored = self._message.nodes[number]
        saver = stored.registered_saver
        has_values = stored.has_checkpoint_values
        return ObjectNode(
            number,
            dict(self._edges[number]),
            tuple(Attribute(x.name, x.full_name, x.checkpoint_key) for x in stored.attributes),
            tuple(
                (x.slot_name, x.original_variable_node_id, x.slot_variable_node_id)
                for x in stored.slot_variables
            ),
            (saver.name, saver.object_name) if stored.HasField("registered_saver") else None,
            has_values.value if stored.HasField("has_checkpoint_values") else None,
        )


class Objects:
    """The objects of a checkpoint and their names, without the tensors."""

    checkpoint: Checkpoint
    message: Any

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self.message = read_message(checkpoint)
        self._edges = read_edges(self.message, checkpoint.prefix)
        # Children by name of the objects that were passed on the way to others.
        self._by_name: dict[int, dict[str, int]] = {}

    @functools.cached_property
    def nodes(self) -> Nodes:
        """The objects by number, slot variables and unreachable ones included."""
        return Nodes(self.message, self._edges)

    def find(self, name: str) -> ObjectNode:
        """Find an object by its name.

        Parameters
        ----------
        name : str
            Friendly name, by any path, or a checkpoint key; the root's is empty.

        Raises
        ------
        TensorNotFoundError
            No such object.
        InvalidArgumentError
            Not a name.
        """
        number = self._number_at(parse_name(name))
        if number is None:
            raise self._not_found(name, "object")
        return self.nodes[number]

    def path(self, number: int) -> tuple[str, ...] | None:
        """Give the local names on the shortest way from the root to an object.

        Returns
        -------
        tuple of str or None
            Empty for the root; None for slot variables and for what nothing leads to.
        """
        return roles.path_to(self._ways, range(len(self.nodes))[number])

    def name(self, number: int) -> str:
        """Give the friendly name of an object: the shortest way to it, empty for the root.

        For weights it is the shortest that leads through no optimizer. Where there is none, or it
        has more than 64 steps, the name follows the key of the value, or else the number: ``#7``.
        """
        return self._name_by(self._homes, range(len(self.nodes))[number])

    def aliases(self, name: str) -> list[str]:
        """List the friendly names of an object, one for each reference to it.

        Parameters
        ----------
        name : str
            As of :meth:`find`.

        Returns
        -------
        list of str
            Those with fewest steps first. Each is the shortest way to a parent, and the name
            there.
        """
        wanted = self.find(name).id
        found = []
        for parent, children in enumerate(self._edges):
            names = [x for x, child in children if child == wanted]
            steps = roles.path_to(self._ways, parent) if names else None
            if steps is not None:
                found += [(*steps, x) for x in names]
        return [friendly_path(x) for x in sorted(dict.fromkeys(found), key=lambda x: (len(x), x))]

    def tree(
        self, *, max_lines: int | None = 10_000, max_depth: int = 64, with_empty: bool = False
    ) -> Iterator[str]:
        """Draw the tree of objects, line by line.

        Parameters
        ----------
        max_lines : int, optional
            Draw at most so many objects; a last line tells that there are more.
        max_depth : int
            Draw at most so many levels.
        with_empty : bool
            Draw objects too of which nothing is stored, nor below them.

        Yields
        ------
        str
            An object: its local name, and dtype and shape where it is a variable. A slot variable
            stands below its variable. An object with several parents is drawn where :meth:`name`
            has it, and named elsewhere.
        """
        from fastckpt.graph.objects_tree import draw

        return draw(self, max_lines, max_depth, with_empty=with_empty)

    @property
    def optimizer_numbers(self) -> tuple[int, ...]:
        """The numbers of the optimizers."""
        return self._roles.optimizers

    def is_home(self, parent: int, name: str, child: int) -> bool:
        """Whether the way that names `child` ends with this step."""
        return self._homes.get(child) == (parent, name)

    @property
    def reachable_numbers(self) -> list[int]:
        """The numbers of the objects that the root leads to, shortest ways first."""
        return [0, *self._ways]

    @functools.cached_property
    def stored_numbers(self) -> set[int]:
        """The numbers of the objects of which, or below which, something is stored."""
        nodes = enumerate(self.message.nodes)
        own = (
            number
            for number, node in nodes
            if node.attributes or node.slot_variables or node.HasField("registered_saver")
        )
        return roles.with_owners(self._edges, own)

    # --- names --------------------------------------------------------------------------------

    @functools.cached_property
    def _ways(self) -> roles.Ways:
        return roles.shortest_ways(self._edges)

    @functools.cached_property
    def _homes(self) -> roles.Ways:
        ways = self._roles.weight_ways
        return {**self._ways, **{number: ways[number] for number in self._roles.weights}}

    @functools.cached_property
    def _roles(self) -> roles.Roles:
        return roles.find_roles(self.message, self._edges)

    def _name_by(self, ways: roles.Ways, number: int) -> str:
        steps = roles.path_to(ways, number, _MAX_STEPS)
        if steps is not None:
            return friendly_path(steps)
        attributes = self.message.nodes[number].attributes
        return friendly_name(attributes[0].checkpoint_key) if attributes else f"#{number}"

    def _number_at(self, place: Place) -> int | None:
        number = self._walk(place.path)
        if number is None or place.optimizer is None:
            return number
        optimizer = self._walk(place.optimizer)
        references = () if optimizer is None else self.message.nodes[optimizer].slot_variables
        for x in references:
            if x.slot_name == place.slot and x.original_variable_node_id == number:
                return int(x.slot_variable_node_id)
        return None

    def _walk(self, path: tuple[str, ...]) -> int | None:
        """Follow local names from the root; None where there is no such child."""
        number = 0
        for name in path:
            children = self._by_name.get(number)
            if children is None:
                children = self._by_name[number] = dict(self._edges[number])
            found = children.get(name, children.get(f"_{name}"))
            if found is None:
                return None
            number = found
        return number

    def _not_found(self, name: str, what: str) -> TensorNotFoundError:
        known = [friendly_name(key) for key in self._value_keys(range(len(self.nodes)))]
        near = [repr(x) for x in near_names(name, known)]
        hint = f"did you mean {' or '.join(near)}?" if near else "tree() draws all of them"
        prefix = self.checkpoint.prefix
        return TensorNotFoundError(
            f"no {what} {name!r} in the object graph of {prefix!r} "
            f"({len(self.nodes)} objects); {hint}",
            path=prefix,
            key=name,
        )

    def _value_keys(self, numbers: Any) -> Iterator[str]:
        """Keys of the values of those of these objects that are variables."""
        for number in numbers:
            for x in self.message.nodes[number].attributes:
                if x.name == VALUE and x.checkpoint_key in self.checkpoint:
                    yield x.checkpoint_key
