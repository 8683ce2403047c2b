"""Parts of graphs: what some nodes need, and what only training needs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastckpt.errors import DataLossError
from fastckpt.graph.edges import colocated, is_control, nodes_by_name, output_of, source_of
from fastckpt.graph.sources import as_graph_def
from fastckpt.graph.tensorflow_errors import NotInGraphError, WrongTypeError
from fastckpt.names import near_names
from fastckpt.protos import message_class

__all__ = ["MissingNodeError", "extract_sub_graph", "remove_training_nodes"]

_DROPPED = frozenset({"CheckNumerics"})
_SPLICED = frozenset({"Identity", "StopGradient"})


class MissingNodeError(NotInGraphError, AssertionError):
    """A node that was asked for and is not in the graph."""


def extract_sub_graph(graph_def: Any, dest_nodes: Iterable[str]) -> Any:
    """Give the part of a graph that some of its nodes need.

    Parameters
    ----------
    graph_def : GraphDef, bytes, path or graph
        The graph; it is not changed.
    dest_nodes : iterable of str
        Names of nodes, without output numbers.

    Returns
    -------
    GraphDef
        The nodes that `dest_nodes` reach through data and control inputs and through colocation,
        in their order; all functions; the versions.

    Raises
    ------
    WrongTypeError
        `dest_nodes` is one string, or `graph_def` no graph; a TypeError too.
    MissingNodeError
        A name is not in the graph; an AssertionError too, as TensorFlow has it.
    NotInGraphError
        A node that is needed has an input that the graph lacks; a KeyError too.

    Notes
    -----
    Takes time in proportion to the graph, cyclic or not. Colocation with a node that the graph
    lacks is no reason to fail, unlike for TensorFlow. Source of the rule: ``extract_sub_graph``
    of ``tf.compat.v1.graph_util``.
    """
    if isinstance(dest_nodes, str | bytes):
        raise WrongTypeError(
            f"dest_nodes must be an iterable of strings, but got type {type(dest_nodes)}"
        )
    source = as_graph_def(graph_def)
    nodes = nodes_by_name(source.node)
    kept = _reachable(nodes, list(dest_nodes))
    # Of nodes with one name the last stays, where it stands.
    last = {node.name: i for i, node in enumerate(source.node)}
    result = message_class("GraphDef")()
    result.node.extend(nodes[name] for name in sorted(kept, key=last.__getitem__))
    result.library.CopyFrom(source.library)
    result.versions.CopyFrom(source.versions)
    return result


def remove_training_nodes(input_graph: Any, protected_nodes: Iterable[str] | None = None) -> Any:
    """Give a graph without the nodes that only training needs.

    Parameters
    ----------
    input_graph : GraphDef, bytes, path or graph
        The graph; it is not changed.
    protected_nodes : iterable of str, optional
        Names of nodes to keep, such as outputs that are an Identity.

    Returns
    -------
    GraphDef
        Nodes alone, without functions and versions. CheckNumerics are gone; so are Identity and
        StopGradient where no control edge enters or leaves them and nothing is placed beside
        them: their consumers take their input.

    Raises
    ------
    DataLossError
        Such nodes feed each other in a circle.

    Notes
    -----
    An output that is an Identity vanishes unless it is protected. Where TensorFlow drops the
    input that a node takes from a CheckNumerics, here the node takes what that one checks.
    """
    protected = set(protected_nodes or ())
    nodes = as_graph_def(input_graph).node
    dropped = {x.name: x for x in nodes if x.op in _DROPPED and x.name not in protected}
    kept = [node for node in nodes if node.name not in dropped]
    fixed = _never_spliced(kept, dropped.keys()) | protected
    bypassed = {x.name: x for x in kept if x.op in _SPLICED and x.name not in fixed} | dropped
    bypass = {name: x.input[0] for name, x in bypassed.items() if len(x.input)}
    result = message_class("GraphDef")()
    for node in kept:
        if node.name in bypass:
            continue
        inputs = [
            _resolved(text, bypass)
            for text in node.input
            if not (is_control(text) and source_of(text) in dropped)
        ]
        copy = result.node.add()
        copy.CopyFrom(node)
        copy.input[:] = inputs
    return result


def _reachable(nodes: dict[str, Any], wanted: list[str]) -> set[str]:
    for name in wanted:
        if name not in nodes:
            raise _missing_output(name, nodes)
    reached = set(wanted)
    waiting = list(wanted)
    while waiting:
        node = nodes[waiting.pop()]
        needed = [source_of(text) for text in node.input]
        for name in needed:
            if name not in nodes:
                raise NotInGraphError(
                    f"node {node.name!r} has an input from {name!r}, which is not in the graph",
                    key=name,
                )
        needed += [name for name in colocated(node) if name in nodes]
        fresh = [name for name in needed if name not in reached]
        reached.update(fresh)
        waiting += fresh
    return reached


def _missing_output(name: Any, nodes: dict[str, Any]) -> MissingNodeError:
    text = str(name)
    near = near_names(text, sorted(nodes))
    if source_of(text) in nodes and ":" in text:
        hint = f"; pass the name of the node, {source_of(text)!r}"
    else:
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
    return MissingNodeError(f"{text} is not in graph{hint}", key=text)


def _never_spliced(nodes: list[Any], dropped: Iterable[str]) -> set[str]:
    """Names of nodes at either end of a control edge, or beside which others are placed."""
    gone = set(dropped)
    fixed: set[str] = set()
    for node in nodes:
        before = [source_of(text) for text in node.input if is_control(text)]
        before = [name for name in before if name not in gone]
        fixed.update(before, colocated(node))
        if before or not len(node.input):
            fixed.add(node.name)
    return fixed


def _resolved(text: str, bypass: dict[str, str]) -> str:
    """The input that stands for `text` once the bypassed nodes are gone."""
    seen = set()
    while not is_control(text) and source_of(text) in bypass and output_of(text) == 0:
        name = source_of(text)
        if name in seen:
            raise DataLossError(f"node {name!r} is its own input through a circle of copies")
        seen.add(name)
        text = bypass[name]
    return text
