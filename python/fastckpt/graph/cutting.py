"""The part of a graph between what is fed and what is fetched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from fastckpt.errors import InvalidArgumentError
from fastckpt.graph.edges import is_control, nodes_by_name, output_of, source_of
from fastckpt.graph.op_registry import REF
from fastckpt.graph.operations import Tensor
from fastckpt.graph.tensorflow_errors import NotInGraphError
from fastckpt.protos import message_class

__all__ = ["cut_graph", "feed_name", "fetch_name"]

# Attributes that speak of nodes and shapes outside of the part.
_DROPPED = ("_class", "_output_shapes")


def feed_name(i: int) -> str:
    """Name of the placeholder for the tensor that is fed as number `i`."""
    return f"fastckpt_feed_{i}"


def fetch_name(i: int) -> str:
    """Name of the node that gives the tensor that is fetched as number `i`."""
    return f"fastckpt_fetch_{i}"


def cut_graph(
    graph_def: Any, fetches: Sequence[Tensor], feeds: Mapping[Tensor, NDArray[Any]]
) -> Any:
    """Give the part of a graph that computes tensors from those that are fed.

    Parameters
    ----------
    graph_def : GraphDef
        Not changed.
    fetches : sequence of Tensor
        What is to be computed; each gets an Identity of its own, see :func:`fetch_name`.
    feeds : mapping of Tensor to ndarray
        What is fed; each becomes a placeholder of the shape of its value, see :func:`feed_name`.

    Returns
    -------
    GraphDef
        Without devices, colocation and recorded shapes.

    Raises
    ------
    InvalidArgumentError
        A placeholder that is needed is not fed.
    NotInGraphError
        A node that is needed is not in the graph.
    """
    cut = _Cut(graph_def, feeds)
    for i, tensor in enumerate(fetches):
        node = cut.result.node.add(name=fetch_name(i), op="Identity")
        node.input.append(cut.taken(_text(tensor)))
        node.attr["T"].type = int(tensor.dtype) % REF
    cut.add_needed(list(cut.result.node[-len(fetches) :]) if fetches else [])
    cut.result.library.CopyFrom(graph_def.library)
    cut.result.versions.CopyFrom(graph_def.versions)
    return cut.result


class _Cut:
    """A part that grows from its end."""

    def __init__(self, graph_def: Any, feeds: Mapping[Tensor, NDArray[Any]]) -> None:
        self.result = message_class("GraphDef")()
        self._nodes = nodes_by_name(graph_def.node)
        self._feeds: dict[tuple[str, int], str] = {}
        self._fed = {tensor.op.name for tensor in feeds}
        for i, (tensor, value) in enumerate(feeds.items()):
            self._feeds[tensor.op.name, tensor.value_index] = feed_name(i)
            node = self.result.node.add(name=feed_name(i), op="Placeholder")
            node.attr["dtype"].type = int(tensor.dtype) % REF
            for size in value.shape:
                node.attr["shape"].shape.dim.add(size=size)
            node.attr["shape"].shape.SetInParent()

    def taken(self, text: str) -> str:
        """What is taken instead of an input: a placeholder, or the input itself."""
        return self._feeds.get((source_of(text), output_of(text)), text)

    def add_needed(self, ends: list[Any]) -> None:
        """Add all nodes that feed these."""
        ready = {node.name for node in self.result.node}
        waiting = [source_of(text) for node in ends for text in node.input]
        while waiting:
            name = waiting.pop()
            if name not in ready:
                ready.add(name)
                waiting += [source_of(text) for text in self._add(name).input]

    def _add(self, name: str) -> Any:
        if name not in self._nodes:
            raise NotInGraphError(f"node {name!r} is needed and not in the graph", key=name)
        source = self._nodes[name]
        if source.op == "Placeholder":
            raise InvalidArgumentError(
                f"You must feed a value for placeholder tensor {name!r}: put {name + ':0'!r} into "
                "feed_dict",
                key=name,
            )
        node = self.result.node.add()
        node.CopyFrom(source)
        node.device = ""
        # Nothing waits for a placeholder that is fed.
        node.input[:] = [
            text if is_control(text) else self.taken(text)
            for text in source.input
            if not (is_control(text) and source_of(text) in self._fed)
        ]
        for attr in _DROPPED:
            if attr in node.attr:
                del node.attr[attr]
        return node


def _text(tensor: Tensor) -> str:
    return f"{tensor.op.name}:{tensor.value_index}" if tensor.value_index else tensor.op.name
