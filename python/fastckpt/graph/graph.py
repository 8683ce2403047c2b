"""A graph: operations, the tensors between them, and collections of both."""

from __future__ import annotations

import functools
import os
from collections.abc import KeysView
from typing import Any

from fastckpt.graph.collections import Collections
from fastckpt.graph.devices import devices_of
from fastckpt.graph.element_lookup import find_element, find_operation, find_tensor
from fastckpt.graph.files import read_message
from fastckpt.graph.node_order import index_of_names, order_of_creation
from fastckpt.graph.op_registry import find_op
from fastckpt.graph.operations import Operation, Tensor
from fastckpt.graph.output_types import OutputTypes
from fastckpt.graph.sources import as_graph_def
from fastckpt.graph.static_shapes import static_shape
from fastckpt.graph.tensor_types import TensorShape
from fastckpt.protos import message_class

__all__ = ["Graph", "Operation", "Tensor"]


class Graph:
    """Operations and tensors of a GraphDef, by the names of ``tf.Graph``.

    Parameters
    ----------
    graph_def : GraphDef, bytes, path or graph, optional
        The graph, TensorFlow's messages too; empty by default. It is shared, never changed, and
        must not be changed by others meanwhile.
    op_list : OpList, optional
        Describes operations that this package does not know.
    collections : Collections, optional
        Collections of a meta graph.

    Raises
    ------
    InvalidArgumentError
        Two nodes of one name, an input from a node that does not exist, nodes that feed each other
        in a circle outside of a loop.

    Notes
    -----
    Costs a pass over the nodes, about a second for 10^5 of them; operations, types and shapes are
    made when they are asked for. Nothing is computed and no kernel is needed.

    Examples
    --------
    >>> graph = Graph.load("frozen.pb")  # doctest: +SKIP
    >>> [op.name for op in graph.get_operations()]  # doctest: +SKIP
    """

    def __init__(
        self,
        graph_def: Any = None,
        *,
        op_list: Any = None,
        collections: Collections | None = None,
    ) -> None:
        empty = message_class("GraphDef")
        self._graph_def = empty() if graph_def is None else as_graph_def(graph_def)
        self._nodes = list(self._graph_def.node)
        self._index = index_of_names(self._nodes)
        self._order = order_of_creation(self._nodes, self._index)
        self._operations: list[Operation | None] = [None] * len(self._nodes)
        self._functions = {x.signature.name: x.signature for x in self._graph_def.library.function}
        self._listed = {} if op_list is None else {op.name: op for op in op_list.op}
        self._op_defs: dict[str, Any] = {}
        self._collections = Collections() if collections is None else collections

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Graph:
        """Open the file of a GraphDef, in binary or in text form.

        Parameters
        ----------
        path : str or PathLike
            The file, such as a frozen ``.pb`` or a ``graph.pbtxt``.

        Returns
        -------
        Graph

        Raises
        ------
        CheckpointNotFoundError, DataLossError, LimitExceededError
            See :func:`fastckpt.graph.read_message`.
        InvalidArgumentError
            Another kind of file; the message says what to call. A broken graph, see the class.
        """
        return cls(read_message(path, "GraphDef"))

    # --- elements ------------------------------------------------------------------------------

    def get_operations(self) -> list[Operation]:
        """Give all operations, in the order in which TensorFlow makes them on import."""
        return list(map(self._operation, self._order))

    def get_operation_by_name(self, name: str) -> Operation:
        """Find an operation.

        Parameters
        ----------
        name : str
            Its name, without the number of an output.

        Raises
        ------
        NotInGraphError
            There is none; a KeyError too.
        InvalidArgumentError
            The name is that of a tensor; a ValueError too.
        WrongTypeError
            Not a str; a TypeError too.
        """
        return find_operation(self, name)

    def get_tensor_by_name(self, name: str) -> Tensor:
        """Find a tensor.

        Parameters
        ----------
        name : str
            Name of its operation, a colon and the number of the output: ``"w:0"``.

        Raises
        ------
        NotInGraphError
            There is none; a KeyError too.
        InvalidArgumentError
            Not the name of a tensor; a ValueError too.
        WrongTypeError
            Not a str; a TypeError too.
        """
        return find_tensor(self, name)

    def as_graph_element(
        self,
        obj: Any,
        allow_tensor: bool = True,  # noqa: FBT001, FBT002 - TensorFlow's signature
        allow_operation: bool = True,  # noqa: FBT001, FBT002
    ) -> Tensor | Operation:
        """Find the tensor or the operation that a name means, or check one that is given.

        Parameters
        ----------
        obj : str, bytes, Tensor, Operation or GraphVariable
            A name, or an element of this graph.
        allow_tensor, allow_operation : bool
            What may be found.

        Raises
        ------
        NotInGraphError, InvalidArgumentError, WrongTypeError
            As above; an element of another graph is an InvalidArgumentError.
        """
        found: Tensor | Operation = find_element(
            self, obj, allow_tensor=allow_tensor, allow_operation=allow_operation
        )
        return found

    def as_graph_def(self) -> Any:
        """Give a copy of the GraphDef, its nodes in the order of the file."""
        copy = type(self._graph_def)()
        copy.CopyFrom(self._graph_def)
        return copy

    @property
    def graph_def_versions(self) -> Any:
        """A copy of the VersionDef: which programs wrote the graph, and may read it."""
        return self._copy_of_versions()

    @property
    def versions(self) -> Any:
        """The same as `graph_def_versions`."""
        return self._copy_of_versions()

    # --- collections ---------------------------------------------------------------------------

    @property
    def collections(self) -> list[str]:
        """Keys of all collections."""
        return self._collections.keys()

    def get_all_collection_keys(self) -> list[str]:
        """Give the keys of all collections, in the order in which TensorFlow imports them."""
        return self._collections.keys()

    def get_collection(self, name: str, scope: str | None = None) -> list[Any]:
        """Give what a collection holds.

        Parameters
        ----------
        name : str
            Key of the collection, see :class:`fastckpt.graph.GraphKeys`.
        scope : str, optional
            Regular expression that names must match from their start; what has no name is left
            out.

        Returns
        -------
        list
            A new one; empty where there is no such collection. Variables are
            :class:`GraphVariable`, names are tensors and operations, texts are bytes.

        Raises
        ------
        NotInGraphError
            The collection names something that the graph does not have.
        DataLossError
            A message in it is damaged.
        """
        return self._collections.get(self, name, scope)

    def get_collection_ref(self, name: str) -> list[Any]:
        """Give the list of a collection itself, made where there is none; changes to it stay."""
        return self._collections.live(self, name)

    def become(self, graph_def: Any) -> None:
        """Grow into a GraphDef that begins with the nodes of this one, which keep their objects.

        Parameters
        ----------
        graph_def : GraphDef
            Of the private pool; shared from now on.

        Raises
        ------
        InvalidArgumentError
            It is broken, see the class; this graph is as it was.
        """
        grown = Graph(graph_def)
        for name in ("_graph_def", "_nodes", "_index", "_order", "_functions", "_op_defs"):
            setattr(self, name, getattr(grown, name))
        self._operations += grown._operations[len(self._operations) :]
        for name in ("_devices", "_types", "_rank"):
            vars(self).pop(name, None)

    # --- for operations and tensors ------------------------------------------------------------

    def find_op(self, name: str) -> Any:
        """Find the OpDef of an operation, functions of the graph included; None for none."""
        if name not in self._op_defs:
            found = self._functions.get(name)
            self._op_defs[name] = find_op(name, self._listed) if found is None else found
        return self._op_defs[name]

    def find_operation(self, name: str) -> Operation | None:
        """Find an operation; None where there is none of that name."""
        position = self._index.get(name)
        return None if position is None else self._operation(position)

    def operation_named(self, name: str) -> Operation:
        """Give an operation that is known to be there."""
        return self._operation(self._index[name])

    def operation_names(self) -> KeysView[str]:
        """Give the names of all operations, in the order of the file."""
        return self._index.keys()

    def device_of(self, position: int) -> str:
        """Give the device of one node."""
        return self._devices[position]

    def output_types(self, position: int) -> list[int]:
        """Give the DataTypes of what one node yields."""
        return self._types.of(position)

    def static_shape(self, tensor: Tensor) -> TensorShape:
        """Give what is known of a tensor's shape."""
        return static_shape(tensor, self._graph_def.versions.producer)

    def consumers_of(self, tensor: Tensor) -> list[Operation]:
        """Give the operations that take a tensor, once for each time they do."""
        takers = self._types.takers(self._index[tensor.op.name])
        return self._in_order([x.consumer for x in takers if x.output == tensor.value_index])

    def waiting_for(self, position: int) -> list[Operation]:
        """Give the operations that have one node as a control input."""
        found = dict.fromkeys(x.consumer for x in self._types.takers(position) if x.output < 0)
        return self._in_order(list(found))

    @functools.cached_property
    def _devices(self) -> list[str]:
        return devices_of(self._nodes, self._index, self._order)

    @functools.cached_property
    def _types(self) -> OutputTypes:
        return OutputTypes(self._nodes, self._index, self.find_op)

    @functools.cached_property
    def _rank(self) -> dict[int, int]:
        return {position: i for i, position in enumerate(self._order)}

    def _in_order(self, positions: list[int]) -> list[Operation]:
        return list(map(self._operation, sorted(positions, key=self._rank.__getitem__)))

    def _operation(self, position: int) -> Operation:
        found = self._operations[position]
        if found is None:
            found = Operation(self, position, self._nodes[position])
            self._operations[position] = found
        return found

    def _copy_of_versions(self) -> Any:
        copy = type(self._graph_def.versions)()
        copy.CopyFrom(self._graph_def.versions)
        return copy
