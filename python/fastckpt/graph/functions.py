"""Functions of a graph while their arguments change type: who reads what, and new names.

A function that takes a variable is called with its value instead; whoever calls it with something
else still needs the function as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from fastckpt.graph.edges import is_control, nodes_by_name, output_of, source_of
from fastckpt.graph.tensorflow_errors import NotInGraphError

__all__ = ["MAIN", "Library", "Reader", "Scope", "callees"]

# Name of the scope that is the graph itself; no function is called so.
MAIN = ""

# A node and the number of one of its inputs.
Reader = tuple[Any, int]


class Scope:
    """The nodes of a graph or of a function, and which of them read what.

    Parameters
    ----------
    nodes : iterable of NodeDef
        In their order, which is the order of readers.
    arguments : iterable of str
        Names of the arguments of a function.
    """

    def __init__(self, nodes: Iterable[Any], arguments: Iterable[str] = ()) -> None:
        self.nodes = nodes_by_name(nodes)
        self._arguments = {name: i for i, name in enumerate(arguments)}
        self._readers: dict[str | int, list[Reader]] = {}
        for node in self.nodes.values():
            for i, text in enumerate(node.input):
                if not is_control(text):
                    self._readers.setdefault(self._source(text), []).append((node, i))

    def readers(self, source: str | int) -> list[Reader]:
        """Inputs that come from a node, given by name, or from an argument, by number."""
        return self._readers.get(source, [])

    def _source(self, text: str) -> str | int:
        name = source_of(text)
        if name in self.nodes or output_of(text):
            return name
        return self._arguments.get(name, name)


class Library:
    """The functions of a graph; those that are changed get a name of their own in the end.

    Parameters
    ----------
    graph : GraphDef
        Changed in place.
    """

    def __init__(self, graph: Any) -> None:
        self._graph = graph
        self._functions = {x.signature.name: x for x in graph.library.function}
        self._scopes: dict[str, Scope] = {}
        self._originals: dict[str, Any] = {}
        self._callers: set[tuple[str, str]] = set()

    def change(self, name: str, caller: str) -> Any:
        """Give a function to be changed in place; `caller` is named where there is none."""
        if name not in self._functions:
            raise NotInGraphError(
                f"node {caller!r} calls function {name!r}, which is not in the graph", key=name
            )
        function = self._functions[name]
        if name not in self._originals:
            self._originals[name] = type(function).FromString(function.SerializeToString())
        return function

    def scope(self, name: str) -> Scope:
        """Give the nodes of a function that is being changed."""
        if name not in self._scopes:
            function = self._functions[name]
            arguments = [arg.name for arg in function.signature.input_arg]
            self._scopes[name] = Scope(function.node_def, arguments)
        return self._scopes[name]

    def mark(self, scope: str, node: Any) -> None:
        """Note that a node calls the changed form of its functions."""
        self._callers.add((scope, node.name))

    def rename(self) -> None:
        """Give changed functions their names, and keep the originals that are still called."""
        names = _frozen_names(self._functions, self._originals)
        kept = self._still_called()
        for name, new in names.items():
            self._functions[name].signature.name = new
        for scope, node in self._callers:
            nodes = self._main_nodes() if scope == MAIN else self.scope(scope).nodes
            for reference in callees(nodes[node]):
                reference.name = names.get(reference.name, reference.name)
        self._graph.library.function.extend(
            original for name, original in self._originals.items() if name in kept
        )

    def _main_nodes(self) -> dict[str, Any]:
        if MAIN not in self._scopes:
            self._scopes[MAIN] = Scope(self._graph.node)
        return self._scopes[MAIN].nodes

    def _still_called(self) -> set[str]:
        """Changed functions that some live node calls in their original form."""
        seen: set[tuple[str, bool]] = set()
        waiting = list(self._calls(MAIN, self._graph.node))
        while waiting:
            call = waiting.pop()
            if call in seen or call[0] not in self._functions:
                continue
            seen.add(call)
            name, is_changed = call
            if is_changed:
                waiting += self._calls(name, self._functions[name].node_def)
            else:
                function = self._originals.get(name, self._functions[name])
                waiting += self._calls(None, function.node_def)
        return {name for name, is_changed in seen if not is_changed and name in self._originals}

    def _calls(self, scope: str | None, nodes: Iterable[Any]) -> Iterator[tuple[str, bool]]:
        for node in nodes:
            is_marked = scope is not None and (scope, node.name) in self._callers
            for reference in callees(node):
                yield reference.name, is_marked and reference.name in self._originals
            if node.op in self._functions:
                yield node.op, False


def callees(node: Any) -> Iterator[Any]:
    """Yield the references to functions in the attributes of a node."""
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func
        elif value.HasField("list"):
            yield from value.list.func


def _frozen_names(functions: Iterable[str], changed: Iterable[str]) -> dict[str, str]:
    """Name changed functions as TensorFlow does, with numbers of no meaning."""
    taken = set(functions)
    wanted = set(changed)
    names = {}
    number = 0
    for base, name in sorted(_parsed(taken)):
        while f"{base[1]}_frozen_{number}" in taken:
            number += 1
        if name in wanted:
            names[name] = f"{base[1]}_frozen_{number}"
        number += 1
    return names


def _parsed(names: Iterable[str]) -> Iterator[tuple[tuple[int, str], str]]:
    """Yield ((number, base), name): a name and the number it ends in, -1 where it ends in none."""
    for name in names:
        base, _, number = name.rpartition("_")
        if base and number.isascii() and number.isdigit():
            yield (int(number), base), name
        else:
            yield (-1, name), name
