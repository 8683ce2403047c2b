"""What TensorFlow refuses to import, in its words.

Nothing is said of operations that nobody describes, and of shapes: no kernel is at hand here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from fastckpt import dtypes
from fastckpt.errors import InvalidArgumentError
from fastckpt.graph.edges import is_control, output_of, source_of
from fastckpt.graph.op_registry import REF, input_types
from fastckpt.graph.output_types import OutputTypes

__all__ = ["GRAPH_VERSION", "check_edges", "check_nodes", "check_versions"]

# Version of graphs that TensorFlow 2.21 writes and reads.
GRAPH_VERSION = 2474

_NODE_NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_./>-]*\Z")
_INPUT = re.compile(r"\^[^:]*\Z|[^:^]+(?::\d+)?\Z", re.ASCII)

_COLOCATION = b"loc:@"

# Where the name of a type in messages is not the one that Python has for it.
_TYPE_NAMES = {1: "float", 2: "double", 19: "half"}


def check_versions(versions: Any) -> None:
    """Refuse graphs that TensorFlow 2.21 is too old for, or that were never written."""
    if versions.producer < 0:
        raise InvalidArgumentError(
            f"GraphDef producer version {versions.producer} below min producer 0 supported by "
            "TensorFlow 2.21.0.  Please regenerate your graph."
        )
    if versions.min_consumer > GRAPH_VERSION:
        raise InvalidArgumentError(
            f"GraphDef min consumer version {versions.min_consumer} above current version "
            f"{GRAPH_VERSION} for TensorFlow 2.21.0.  Please upgrade TensorFlow."
        )
    if GRAPH_VERSION in versions.bad_consumers:
        raise InvalidArgumentError(
            f"GraphDef disallows consumer version {GRAPH_VERSION}.  Please upgrade TensorFlow: "
            "this version is likely buggy."
        )


def check_nodes(nodes: Sequence[Any], names: Sequence[str] | Any) -> None:
    """Refuse names, forms of inputs and places that TensorFlow does not take."""
    for node in nodes:
        if not _NODE_NAME.match(node.name):
            raise _error(node, "Node name contains invalid characters")
        is_after = False
        for text in node.input:
            if not _INPUT.match(text):
                raise _error(node, f"Unknown input node '{text}'")
            if is_after and not is_control(text):
                raise _error(node, "Control dependencies must come after regular dependencies")
            is_after = is_control(text)
        if "_class" in node.attr:
            for place in node.attr["_class"].list.s:
                beside = place.removeprefix(_COLOCATION).decode("utf-8", "surrogateescape")
                if place.startswith(_COLOCATION) and beside not in names:
                    raise InvalidArgumentError(
                        f"Node '{node.name}' expects to be colocated with unknown node '{beside}'",
                        key=node.name,
                    )


def check_edges(
    nodes: Sequence[Any],
    first: int,
    types: OutputTypes,
    find_op: Callable[[str], Any],
    prefix: str,
) -> None:
    """Refuse inputs from outputs that there are not, too few or many inputs, and other types.

    Parameters
    ----------
    nodes : sequence of NodeDef
        Those of the whole graph.
    first : int
        Where the nodes to check begin.
    types : OutputTypes
        What the nodes yield.
    find_op : callable
        Gives the OpDef of an operation, or None.
    prefix : str
        What TensorFlow leaves out of names in some texts.
    """
    positions = {node.name: i for i, node in enumerate(nodes)}
    yielded: dict[str, list[int]] = {}
    for node in nodes[first:]:
        given = [text for text in node.input if not is_control(text)]
        op_def = find_op(node.op)
        expected = [0] * len(given) if op_def is None else input_types(node, op_def)
        if len(expected) != len(given):
            raise InvalidArgumentError(
                f"NodeDef expected inputs '{', '.join(map(_type_name, expected))}' do not match "
                f"{len(given)} inputs specified; NodeDef: {{{{node {node.name}}}}}",
                key=node.name,
            )
        for i, text in enumerate(given):
            name, output = source_of(text), output_of(text)
            if name not in yielded:
                yielded[name] = types.of(positions[name])
            is_known = find_op(nodes[positions[name]].op) is not None
            if output >= len(yielded[name]) and is_known:
                raise _no_output(node, name, output, len(yielded[name]), prefix)
            passed = yielded[name][output] if output < len(yielded[name]) else 0
            if not _fits(passed, expected[i]):
                raise InvalidArgumentError(
                    f"Input {i} of node {node.name} was passed {_type_name(passed)} from "
                    f"{name}:{output} incompatible with expected {_type_name(expected[i])}.",
                    key=node.name,
                )


def _no_output(
    node: Any, source: str, output: int, known: int, prefix: str
) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"Node '{node.name.removeprefix(prefix)}': Connecting to invalid output {output} of "
        f"source node {source.removeprefix(prefix)} which has {known} outputs.",
        key=node.name,
    )


def _fits(passed: int, expected: int) -> bool:
    if not passed or not expected:
        return True
    return passed == expected or passed - REF == expected


def _type_name(number: int) -> str:
    if number > REF:
        return f"{_type_name(number - REF)}_ref"
    if number in _TYPE_NAMES:
        return _TYPE_NAMES[number]
    return dtypes.tf_name(number) if number in dtypes.NUMBERS else f"type {number}"


def _error(node: Any, text: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"Node '{node.name}': {text}", key=node.name)
