"""Operations of a graph and the tensors they yield, by TensorFlow's names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastckpt.errors import InvalidArgumentError
from fastckpt.graph.edges import is_control, output_of, source_of
from fastckpt.graph.op_registry import attr_value
from fastckpt.graph.tensor_types import TensorDType, TensorShape

if TYPE_CHECKING:
    from fastckpt.graph.graph import Graph

__all__ = ["Operation", "Tensor"]


class Operation:
    """One node of a graph, see :meth:`Graph.get_operations`.

    Attributes
    ----------
    graph : Graph
        The graph it belongs to.
    name : str
        Unique in the graph.
    type : str
        What it does, such as ``"MatMul"``.
    node : NodeDef
        The node itself, shared with the graph: not to be modified. Costs nothing, unlike
        `node_def`.

    Notes
    -----
    Made by its graph, one object for each node. Everything else is worked out when it is asked
    for.
    """

    __slots__ = ("_outputs", "_position", "graph", "name", "node", "type")

    def __init__(self, graph: Graph, position: int, node: Any) -> None:
        self.graph = graph
        self.name: str = node.name
        self.type: str = node.op
        self.node = node
        self._position = position
        self._outputs: tuple[Tensor, ...] | None = None

    @property
    def node_def(self) -> Any:
        """A copy of the NodeDef, as the file has it: defaults are not filled in."""
        copy = type(self.node)()
        copy.CopyFrom(self.node)
        return copy

    @property
    def op_def(self) -> Any:
        """The OpDef; None for an operation that nobody describes."""
        return self.graph.find_op(self.type)

    @property
    def device(self) -> str:
        """Device in full form, empty where none is set; that of colocated operations counts."""
        return self.graph.device_of(self._position)

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """Tensors it takes, in order."""
        find = self.graph.operation_named
        return tuple(
            find(source_of(text)).output(output_of(text), self.name)
            for text in self.node.input
            if not is_control(text)
        )

    @property
    def control_inputs(self) -> list[Operation]:
        """Operations that must be done before it, each once."""
        names = dict.fromkeys(source_of(x) for x in self.node.input if is_control(x))
        return [self.graph.operation_named(name) for name in names]

    @property
    def control_outputs(self) -> list[Operation]:
        """Operations that wait for it to be done."""
        return self.graph.waiting_for(self._position)

    @property
    def outputs(self) -> list[Tensor]:
        """Tensors it yields.

        Raises
        ------
        InvalidArgumentError
            The node lacks an attribute that says how many there are.
        LimitExceededError
            It counts more than 65536 of them.

        Notes
        -----
        Where nobody describes the operation, as many as the node has shapes for or others take.
        """
        return list(self.values())

    def values(self) -> tuple[Tensor, ...]:
        """Give the tensors it yields, see `outputs`."""
        if self._outputs is None:
            types = self.graph.output_types(self._position)
            self._outputs = tuple(Tensor(self, i, dtype) for i, dtype in enumerate(types))
        return self._outputs

    def output(self, number: int, consumer: str) -> Tensor:
        """Give one output; an InvalidArgumentError that names the consumer where there is none."""
        outputs = self.values()
        if number >= len(outputs):
            raise InvalidArgumentError(
                f"Node '{consumer}': Connecting to invalid output {number} of source node "
                f"{self.name} which has {len(outputs)} outputs.",
                key=consumer,
            )
        return outputs[number]

    def get_attr(self, name: str) -> Any:
        """Give an attribute as a Python value.

        Parameters
        ----------
        name : str
            Name of the attribute.

        Returns
        -------
        bytes, int, float, bool, TensorDType, message or list
            What the node says, or the default of the operation. Shapes, tensors and functions are
            messages.

        Raises
        ------
        InvalidArgumentError
            Neither the node nor the operation has it; a ValueError too.
        """
        op_def = self.op_def
        found = self.node.attr.get(name)
        if found is None and op_def is not None:
            found = attr_value(self.node, op_def, name)
        kind = None if found is None else found.WhichOneof("value")
        if kind is None:
            raise InvalidArgumentError(
                f"Operation '{self.name}' has no attr named '{name}'.", key=self.name
            )
        return _python_value(found, kind)

    def colocation_groups(self) -> list[bytes]:
        """Give the groups it is placed with; its own where the node names none."""
        own = [b"loc:@" + self.name.encode()]
        if "_class" not in self.node.attr:
            return own
        return [x for x in self.node.attr["_class"].list.s if x.startswith(b"loc:@")] or own

    def __repr__(self) -> str:
        return f"<tf.Operation '{self.name}' type={self.type}>"

    def __str__(self) -> str:
        return str(self.node)


class Tensor:
    """One output of an operation.

    Attributes
    ----------
    op : Operation
        The operation that yields it.
    value_index : int
        Which of its outputs.

    Notes
    -----
    Equality is identity; a graph gives the same object each time. The class holds no values: those
    of variables are in the checkpoint, see :func:`fastckpt.graph.import_meta_graph`.
    """

    __slots__ = ("_dtype", "_shape", "op", "value_index")

    def __init__(self, op: Operation, value_index: int, dtype: int) -> None:
        self.op = op
        self.value_index = value_index
        self._dtype = dtype
        self._shape: TensorShape | None = None

    @property
    def name(self) -> str:
        """Name of the operation, a colon, and the number of the output."""
        return f"{self.op.name}:{self.value_index}"

    @property
    def graph(self) -> Graph:
        """The graph it belongs to."""
        return self.op.graph

    @property
    def device(self) -> str:
        """Device of its operation."""
        return self.op.device

    @property
    def dtype(self) -> TensorDType:
        """Dtype, with ``_ref`` where it refers to a variable.

        Raises
        ------
        InvalidArgumentError
            It is not known: nobody describes the operation, or the node names no valid type.
        """
        if not self._dtype:
            raise InvalidArgumentError(
                f"the dtype of '{self.name}' is not known: no OpDef describes {self.op.type!r}, "
                "or the node names no type",
                key=self.op.name,
            )
        return TensorDType(self._dtype)

    @property
    def shape(self) -> TensorShape:
        """What is known of the shape without computing anything.

        Notes
        -----
        From ``_output_shapes``, which TensorFlow writes into a ``.meta``; without those, shapes of
        constants, placeholders and variables, and of what only passes them on.
        """
        if self._shape is None:
            self._shape = self.graph.static_shape(self)
        return self._shape

    def get_shape(self) -> TensorShape:
        """Give the `shape`."""
        return self.shape

    def consumers(self) -> list[Operation]:
        """Give the operations that take it, in order of creation; once for each time they do."""
        return self.graph.consumers_of(self)

    def __repr__(self) -> str:
        return f"<tf.Tensor '{self.name}' shape={self.shape} dtype={self._dtype_name()}>"

    def __str__(self) -> str:
        shape = f", shape={self.shape}" if self.shape else ""
        device = f", device={self.device}" if self.device else ""
        return f'Tensor("{self.name}"{shape}, dtype={self._dtype_name()}{device})'

    def _dtype_name(self) -> str:
        try:
            return self.dtype.name
        except InvalidArgumentError:
            return "unknown"


def _python_value(value: Any, kind: str) -> Any:
    if kind == "list":
        fields = value.list.ListFields()
        if not fields:
            return []
        descriptor, items = fields[0]
        is_type = descriptor.name == "type"
        return [TensorDType(x) for x in items] if is_type else list(items)
    found = getattr(value, kind)
    return TensorDType(found) if kind == "type" else found
