"""Loading an object-based checkpoint as nested dicts and lists of arrays."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

from fastckpt.checkpoint.reader import Checkpoint
from fastckpt.graph.objects import ObjectGraph, as_checkpoint, attribute_of
from fastckpt.graph.objects_names import VALUE
from fastckpt.graph.objects_nodes import ObjectNode
from fastckpt.graph.objects_state import ObjectState
from fastckpt.progress import ProgressLike

__all__ = ["load_objects"]


def load_objects(
    checkpoint: Checkpoint | str | os.PathLike[str],
    *,
    views: bool = False,
    num_threads: int | None = None,
    progress: ProgressLike = None,
) -> Any:
    """Load an object-based checkpoint as nested dicts and lists of arrays.

    Parameters
    ----------
    checkpoint : Checkpoint, str or PathLike
        As for :func:`object_graph`.
    views : bool
        Give read-only views of the files where the stored form allows it, as ``checkpoint[key]``
        does, instead of owned, writable arrays.
    num_threads, progress
        As of :meth:`Checkpoint.load`; not used with `views`.

    Returns
    -------
    dict
        The children of the root by name; of a root that is a variable, its array. An object
        inside is an array where it is a variable, a list where its children are numbered from 0
        on, an :class:`ObjectState` where anything else is stored of it, and else a dict, which
        may be empty. An object that occurs at several places is the same Python object there. The
        root is an ObjectState too where its children are not in the order in which
        ``tf.train.Checkpoint`` puts its keyword arguments: the root was another object.

    Raises
    ------
    NoObjectGraphError, DataLossError, LimitExceededError
        As :func:`object_graph`.
    TensorNotFoundError
        A variable of the graph is not in the checkpoint.

    Notes
    -----
    What leads from an object back to one that it belongs to is left out (``root`` in the files of
    ``tf.train.Checkpoint(model)``): the result has no cycles. Slot variables are in
    ``object_graph(checkpoint).slots``; with them :func:`save_objects` writes all of it again::

        save_objects("copy", load_objects(path), slots=object_graph(path).slots)

    Arrays are read in parallel, in file order; no stored depth is a problem.
    """
    graph = ObjectGraph(as_checkpoint(checkpoint))
    nodes = {number: graph.nodes[number] for number in graph.reachable_numbers}
    stored = {number: list(_stored(graph, node)) for number, node in nodes.items()}
    arrays = _read(
        graph.checkpoint,
        [key for parts in stored.values() for _, key in parts],
        views=views,
        num_threads=num_threads,
        progress=progress,
    )
    built: dict[int, Any] = {}
    for number in _children_first(nodes):
        node = nodes[number]
        children = {name: built[child] for name, child in node.children.items() if child in built}
        built[number] = _assemble(children, {name: arrays[key] for name, key in stored[number]})
    return _ordered_root(built[0])


def _children_first(nodes: dict[int, ObjectNode]) -> Iterator[int]:
    """Order objects so that children come before what they belong to.

    `nodes` come with shortest ways first. What leads into no cycle follows its children, whatever
    the ways; the rest goes backwards, which puts every object before its parent on the shortest
    way, and leaves out what leads back.
    """
    parents: dict[int, list[int]] = {}
    missing = dict.fromkeys(nodes, 0)
    for number, node in nodes.items():
        for child in node.children.values():
            if child != number:
                parents.setdefault(child, []).append(number)
                missing[number] += 1
    ready = [number for number, count in missing.items() if not count]
    while ready:
        number = ready.pop()
        yield number
        del missing[number]
        for parent in parents.get(number, ()):
            missing[parent] -= 1
            if not missing[parent]:
                ready.append(parent)
    yield from reversed(missing)


def _stored(graph: ObjectGraph, node: ObjectNode) -> Iterator[tuple[str, str]]:
    """Name and key of each tensor of an object itself."""
    for x in node.attributes:
        if x.name == VALUE:
            yield VALUE, x.key
        else:
            for key in graph.stored_keys(x.key):
                yield attribute_of(key), key


def _assemble(children: dict[str, Any], values: dict[str, Any]) -> Any:
    if values.keys() == {VALUE} and not children:
        return values[VALUE]
    if values:
        return ObjectState(children, values)
    numbers = [str(x) for x in range(len(children))]
    if children and children.keys() == set(numbers):
        return [children[x] for x in numbers]
    return children


def _ordered_root(root: Any) -> Any:
    """Keep the order of a root that is no tf.train.Checkpoint: keys depend on it."""
    if isinstance(root, list):
        root = {str(index): value for index, value in enumerate(root)}
    if type(root) is dict:
        names = [name for name in root if name != "save_counter"]
        if names != sorted(names):
            return ObjectState(root)
    return root


def _read(
    checkpoint: Checkpoint, keys: list[str], *, views: bool, **options: Any
) -> dict[str, NDArray[Any]]:
    unique = list(dict.fromkeys(keys))
    if not views:
        return checkpoint.load(unique, **options)
    return {key: checkpoint[key] for key in unique}
