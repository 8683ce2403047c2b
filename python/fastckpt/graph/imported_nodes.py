"""Nodes on their way into a graph: their inputs, and names that no other node has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from types import SimpleNamespace
from typing import Any

from fastckpt.errors import InvalidArgumentError
from fastckpt.graph.edges import is_control, output_of, source_of
from fastckpt.graph.import_checks import (
    GRAPH_VERSION,
    check_edges,
    check_nodes,
    check_versions,
)
from fastckpt.graph.node_order import index_of_names, order_of_creation
from fastckpt.graph.output_types import OutputTypes
from fastckpt.graph.scoping import scope_graph
from fastckpt.protos import message_class

__all__ = ["CONTROL", "ImportedNodes", "Source", "parse_source"]

# Number of the output that control inputs come from.
CONTROL = -1

# A node and one of its outputs.
Source = tuple[str, int]

_COLOCATION = b"loc:@"


def parse_source(name: str) -> Source:
    """Read the name of a tensor, or of a control input.

    >>> parse_source("a"), parse_source("a:2"), parse_source("^a")
    (('a', 0), ('a', 2), ('a', -1))

    Raises
    ------
    InvalidArgumentError
        Neither.
    """
    if is_control(name):
        return name[1:], CONTROL
    node, *output = name.split(":")
    if len(output) > 1:
        raise InvalidArgumentError(
            f"Cannot convert '{name}' to a tensor name. Tensor names should not contain more than "
            f"1 `:`. Obtained {len(output)}"
        )
    if output and not (output[0].isascii() and output[0].isdigit()):
        raise InvalidArgumentError(
            f"Cannot convert {name!r} to a tensor name. Second component of the name following "
            f"the `:` should be an int. Got {output[0]}."
        )
    return node, int(output[0]) if output else 0


class ImportedNodes:
    """The nodes of one GraphDef, given names and inputs of the graph that they come into.

    Parameters
    ----------
    target : Graph
        That graph; not changed.
    source : GraphDef
        The nodes; changed in place.
    prefix : str
        The scope to put them below; empty for none.
    inputs : mapping
        What is taken instead of some tensors: outputs of the nodes -> inputs.

    Raises
    ------
    InvalidArgumentError
        An input from a node that does not exist, or nodes that feed each other in a circle.
    """

    def __init__(
        self, target: Any, source: Any, prefix: str, inputs: Mapping[Source, str]
    ) -> None:
        self._target = target
        self._source = source
        self._prefix = f"{prefix}/" if prefix else ""
        self._nodes = list(source.node)
        self._index = index_of_names(self._nodes)
        check_versions(source.versions)
        check_nodes(self._nodes, self._index)
        self._inputs = inputs
        self._used: set[Source] = set()
        remapped = [self._remap(node) for node in self._nodes]
        order = self._order(remapped)
        if prefix:
            scope_graph(source, prefix, has_frames=False)
        self._final = self._unique_names(order)
        self._scoped = {self._prefix + name: final for name, final in self._final.items()}
        for node, new in zip(self._nodes, remapped, strict=True):
            self._rename(node, new)

    def grown(self, constants: Iterable[Any]) -> Any:
        """Give the GraphDef of the target with these nodes behind its own.

        Raises
        ------
        InvalidArgumentError
            An input from an output that its node has not; a mapped input that no node has; two
            functions of one name.
        """
        result = message_class("GraphDef")()
        result.CopyFrom(self._target.as_graph_def())
        result.node.extend(constants)
        first = len(result.node)
        result.node.extend(self._nodes)
        _merge_functions(result.library, self._source.library)
        _merge_versions(result.versions, self._source.versions, is_first=not first)
        functions = {x.signature.name: x.signature for x in result.library.function}
        nodes = list(result.node)
        self._first = first
        positions = {node.name: i for i, node in enumerate(nodes)}

        def find_op(name: str) -> Any:
            return functions.get(name) or self._target.find_op(name)

        self._types = OutputTypes(nodes, positions, find_op)
        check_edges(nodes, first, self._types, find_op, self._prefix)
        self._check_keys()
        return result

    def element(self, name: str) -> str:
        """Give the name in the grown graph of an operation or tensor of the source.

        Raises
        ------
        InvalidArgumentError
            There is no such element.
        """
        if ":" not in name:
            if name not in self._final:
                raise InvalidArgumentError(
                    f"Requested return node '{name}' not found in graph def"
                )
            return self._final[name]
        source = node, output = parse_source(name)
        if source in self._inputs:
            mapped = self._inputs[source]
            return mapped if ":" in mapped else f"{mapped}:0"
        if node not in self._final:
            raise InvalidArgumentError(f"Requested return tensor '{name}' not found in graph def")
        if (known := self._num_outputs(node)) <= output:
            raise InvalidArgumentError(
                f"Invalid return output {output} of node '{node}', which has {known} output(s)"
            )
        return f"{self._final[node]}:{output}"

    def _remap(self, node: Any) -> list[tuple[str, bool]]:
        """Say what a node takes instead of its inputs, and which of that is in the target."""
        found = []
        controls: set[str] = set()
        for text in node.input:
            source = (source_of(text), CONTROL if is_control(text) else output_of(text))
            new = self._inputs.get(source)
            if new is None:
                found.append((text, False))
                continue
            self._used.add(source)
            if new not in controls:
                found.append((new, True))
            if is_control(new):
                controls.add(new)
        return found

    def _order(self, remapped: list[list[tuple[str, bool]]]) -> list[int]:
        """Positions of the nodes in TensorFlow's order; what is mapped is there already."""
        rest = [
            SimpleNamespace(
                name=node.name,
                op=node.op,
                input=[text for text, is_mapped in new if not is_mapped],
            )
            for node, new in zip(self._nodes, remapped, strict=True)
        ]
        return order_of_creation(rest, self._index)

    def _unique_names(self, order: list[int]) -> dict[str, str]:
        """Name the nodes, in the order given, so that no name or scope of the target is met."""
        taken = _names_and_scopes(self._target.operation_names())
        scoped = {node.name for node in self._nodes}
        originals = list(self._index)
        names = {}
        for i in order:
            name = unique = self._nodes[i].name
            numbers = count(1)
            while unique in taken or (unique != name and unique in scoped):
                unique = f"{name}_{next(numbers)}"
            names[originals[i]] = unique
            if unique != name:
                taken.add(unique)
        return names

    def _rename(self, node: Any, inputs: list[tuple[str, bool]]) -> None:
        node.name = self._scoped[node.name]
        node.input[:] = [
            text if is_mapped else text.removesuffix(":0").replace(name, self._final[name], 1)
            for text, is_mapped in inputs
            for name in [source_of(text)]
        ]
        if "_class" in node.attr:
            places = node.attr["_class"].list.s
            places[:] = [self._renamed_place(place) for place in places]

    def _renamed_place(self, place: bytes) -> bytes:
        if not place.startswith(_COLOCATION):
            return place
        name = place.removeprefix(_COLOCATION).decode("utf-8", "surrogateescape")
        final = self._scoped.get(name, name)
        return _COLOCATION + final.encode("utf-8", "surrogateescape")

    def _check_keys(self) -> None:
        missing = [key for key in self._inputs if not self._is_there(*key)]
        if missing:
            texts = [f"^{x}" if i == CONTROL else f"{x}:{i}" for x, i in missing]
            raise InvalidArgumentError(
                f"Attempted to map inputs that were not found in graph_def: [{', '.join(texts)}]"
            )

    def _is_there(self, name: str, output: int) -> bool:
        if (name, output) in self._used:
            return True
        return name in self._index and output < self._num_outputs(name)

    def _num_outputs(self, name: str) -> int:
        return len(self._types.of(self._first + self._index[name]))


def _names_and_scopes(names: Iterable[str]) -> set[str]:
    found = set(names)
    for name in list(found):
        found.update(_scopes_above(name))
    return found


def _scopes_above(name: str) -> Iterator[str]:
    while "/" in name:
        name = name.rpartition("/")[0]
        yield name


def _merge_functions(library: Any, other: Any) -> None:
    known = {function.signature.name: function for function in library.function}
    for function in other.function:
        name = function.signature.name
        if name not in known:
            library.function.add().CopyFrom(function)
        elif known[name] != function:
            raise InvalidArgumentError(
                f"Cannot add function '{name}' because a different function with the same name "
                "already exists.",
                key=name,
            )
    gradients = {x.function_name for x in library.gradient}
    library.gradient.extend(x for x in other.gradient if x.function_name not in gradients)


def _merge_versions(versions: Any, other: Any, *, is_first: bool) -> None:
    """Of two graphs that become one, the older producer counts, and the stricter consumer."""
    producer = GRAPH_VERSION if is_first else versions.producer
    versions.producer = min(producer, other.producer)
    versions.min_consumer = max(versions.min_consumer, other.min_consumer)
    bad = dict.fromkeys([*versions.bad_consumers, *other.bad_consumers])
    versions.bad_consumers[:] = list(bad)
