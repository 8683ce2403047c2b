"""Names in the inputs of nodes: which node, which output, data or control."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

__all__ = ["colocated", "is_control", "nodes_by_name", "output_of", "source_of"]

_COLOCATION = "loc:@"


def source_of(text: str) -> str:
    """Name of the node that an input comes from.

    >>> source_of("a/b:1"), source_of("^a/b")
    ('a/b', 'a/b')
    """
    return text[1:] if text.startswith("^") else text.partition(":")[0]


def output_of(text: str) -> int:
    """Number of the output that a data input comes from; 0 where none is named.

    Inputs inside functions name an output argument before the number, as in ``"a/b:value:0"``.
    """
    number = text.rpartition(":")[2] if ":" in text else ""
    return int(number) if number.isascii() and number.isdigit() else 0


def is_control(text: str) -> bool:
    """Whether an input only orders nodes."""
    return text.startswith("^")


def colocated(node: Any) -> Iterator[str]:
    """Names of the nodes beside which a node wants to be placed."""
    if "_class" in node.attr:
        for place in node.attr["_class"].list.s:
            yield place.decode("utf-8", "surrogateescape").removeprefix(_COLOCATION)


def nodes_by_name(nodes: Iterable[Any]) -> dict[str, Any]:
    """Nodes under their names; of equal names the last one counts, as for TensorFlow's tools."""
    return {node.name: node for node in nodes}
