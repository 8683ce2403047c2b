"""What collections hold beside names: variables, savers, queue runners, contexts of control flow.

Each takes the names of its message to the elements of its graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from fastckpt.errors import InvalidArgumentError
from fastckpt.graph.op_registry import REF
from fastckpt.graph.scoping import in_scope
from fastckpt.graph.tensor_types import TensorDType, TensorShape

if TYPE_CHECKING:
    from fastckpt.graph.graph import Graph
    from fastckpt.graph.operations import Operation, Tensor

__all__ = [
    "GraphCondContext",
    "GraphQueueRunner",
    "GraphSaver",
    "GraphVariable",
    "GraphWhileContext",
    "SaveSliceInfo",
]


class SaveSliceInfo(NamedTuple):
    """Which part of a partitioned variable is stored, and of which tensor.

    Attributes
    ----------
    full_name : str
        Key in the checkpoint.
    full_shape, var_offset, var_shape : list of int
        Shape of the whole; where the part starts; shape of the part.
    """

    full_name: str
    full_shape: list[int]
    var_offset: list[int]
    var_shape: list[int]

    @property
    def spec(self) -> str:
        """The slice in the form of SaveV2: the full shape, then start and length by dimension."""
        parts = zip(self.var_offset, self.var_shape, strict=False)
        extents = ":".join(f"{start},{length}" for start, length in parts)
        return f"{' '.join(map(str, self.full_shape))} {extents}"


class _Item:
    """A message of a collection, and the graph its names are of."""

    def __init__(self, graph: Graph, proto: Any, scope: str = "") -> None:
        self.graph = graph
        self._proto = proto
        self._scope = scope

    def to_proto(self) -> Any:
        """Give a copy of the message, with the names of the file."""
        copy = type(self._proto)()
        copy.CopyFrom(self._proto)
        return copy

    def _name(self, name: str) -> str:
        return str(in_scope(name, self._scope))

    def _element(self, name: str) -> Any:
        return self.graph.as_graph_element(self._name(name))

    def _elements(self, names: Sequence[str]) -> list[Any]:
        return list(map(self._element, names))


class GraphVariable(_Item):
    """A variable of a graph, decoded from a VariableDef.

    Notes
    -----
    It says where a value belongs and holds none. Elements are looked up when they are asked for:
    a damaged VariableDef raises NotInGraphError (a KeyError) then.
    """

    @property
    def name(self) -> str:
        """Name of its tensor, such as ``"w:0"``."""
        return self._name(self._proto.variable_name)

    @property
    def tensor(self) -> Tensor:
        """What the variable operation yields: a reference to the value, or a handle."""
        return self.graph.get_tensor_by_name(self.name)

    @property
    def handle(self) -> Tensor:
        """The same, of a resource variable."""
        return self.tensor

    @property
    def op(self) -> Operation:
        """Its VariableV2 or VarHandleOp."""
        return self.tensor.op

    @property
    def device(self) -> str:
        """Device of its operation."""
        return self.op.device

    @property
    def dtype(self) -> TensorDType:
        """Dtype of the value; of a reference variable with ``_ref``, as TensorFlow has it."""
        number = self.op.get_attr("dtype").as_datatype_enum
        return TensorDType(number if self.is_resource else number + REF)

    @property
    def shape(self) -> TensorShape:
        """Static shape of the value."""
        return TensorShape(self.op.get_attr("shape")) if self.is_resource else self.tensor.shape

    def get_shape(self) -> TensorShape:
        """Give the `shape`."""
        return self.shape

    @property
    def is_resource(self) -> bool:
        """Whether it is a resource variable rather than a reference variable."""
        return bool(self._proto.is_resource)

    @property
    def trainable(self) -> bool:
        """Whether optimizers change it."""
        return bool(self._proto.trainable)

    @property
    def synchronization(self) -> int:
        """When copies of it are brought together: a VariableSynchronization."""
        return int(self._proto.synchronization)

    @property
    def aggregation(self) -> int:
        """How copies of it are brought together: a VariableAggregation."""
        return int(self._proto.aggregation)

    @property
    def initializer(self) -> Operation:
        """The operation that gives it its initial value."""
        operation: Operation = self._element(self._proto.initializer_name)
        return operation

    @property
    def initial_value(self) -> Tensor | None:
        """The tensor it starts from; None where the message does not say."""
        name = self._proto.initial_value_name
        return self._element(name) if name else None

    @property
    def snapshot(self) -> Tensor:
        """The tensor that reads the value."""
        name = self._proto.snapshot_name
        if not name and self.is_resource:
            return self.graph.get_tensor_by_name(f"{self.op.name}/Read/ReadVariableOp:0")
        tensor: Tensor = self._element(name)
        return tensor

    def value(self) -> Tensor:
        """Give the `snapshot`."""
        return self.snapshot

    @property
    def save_slice_info(self) -> SaveSliceInfo | None:
        """Which part of a partitioned variable it is; None for a whole one."""
        if not self._proto.HasField("save_slice_info_def"):
            return None
        info = self._proto.save_slice_info_def
        lists = (list(x) for x in (info.full_shape, info.var_offset, info.var_shape))
        return SaveSliceInfo(self._name(info.full_name), *lists)

    def _get_save_slice_info(self) -> SaveSliceInfo | None:
        return self.save_slice_info

    def _as_graph_element(self) -> Tensor:
        """What TensorFlow takes where a tensor is wanted."""
        return self.snapshot if self.is_resource else self.tensor

    def __repr__(self) -> str:
        try:
            what = f"shape={self.shape} dtype={self.dtype.name}"
        except (InvalidArgumentError, KeyError):
            what = "not in the graph"
        return f"<GraphVariable {self.name!r} {what}>"


class GraphSaver(_Item):
    """A saver of a graph, decoded from a SaverDef."""

    @property
    def saver_def(self) -> Any:
        """A copy of the SaverDef, with the names of the graph."""
        copy = self.to_proto()
        for field in ("filename_tensor_name", "save_tensor_name", "restore_op_name"):
            setattr(copy, field, self._name(getattr(copy, field)))
        return copy

    def as_saver_def(self) -> Any:
        """Give the `saver_def`."""
        return self.saver_def


class GraphQueueRunner(_Item):
    """A queue and what fills it, decoded from a QueueRunnerDef."""

    @property
    def name(self) -> str:
        """Name of the operation of the queue."""
        return self._name(self._proto.queue_name).partition(":")[0]

    @property
    def queue(self) -> Any:
        """The queue, an element of the graph."""
        return self._element(self._proto.queue_name)

    @property
    def enqueue_ops(self) -> list[Any]:
        """Operations that put something into it."""
        return self._elements(self._proto.enqueue_op_name)

    @property
    def close_op(self) -> Any:
        """The operation that closes it."""
        return self._element(self._proto.close_op_name)

    @property
    def cancel_op(self) -> Any:
        """The operation that closes it and drops what waits."""
        return self._element(self._proto.cancel_op_name)

    @property
    def queue_closed_exception_types(self) -> tuple[int, ...]:
        """Error codes that mean that the queue is closed; OUT_OF_RANGE where none is written."""
        out_of_range = 11
        return tuple(self._proto.queue_closed_exception_types) or (out_of_range,)


class _Context(_Item):
    """A context of control flow."""

    @property
    def name(self) -> str:
        """Name of the context."""
        return self._name(self._proto.context_name)

    @property
    def pivot(self) -> Any:
        """The tensor that the operations of the context hang on."""
        return self._element(self._proto.pivot_name)

    @property
    def values(self) -> set[str]:
        """Names of tensors seen inside the context."""
        return {self._name(name) for name in self._proto.values_def.values}

    @property
    def external_values(self) -> dict[str, Any]:
        """Tensors from outside by name, and what stands for them inside."""
        items = self._proto.values_def.external_values.items()
        return {self._name(name): self._element(inner) for name, inner in items}


class GraphCondContext(_Context):
    """One branch of a ``tf.cond``, decoded from a CondContextDef."""

    @property
    def pred(self) -> Any:
        """The condition."""
        return self._element(self._proto.pred_name)

    @property
    def branch(self) -> int:
        """1 for the branch that is taken when the condition holds, else 0."""
        return int(self._proto.branch)


class GraphWhileContext(_Context):
    """A ``tf.while_loop``, decoded from a WhileContextDef."""

    @property
    def parallel_iterations(self) -> int:
        """How many iterations may run at once."""
        return int(self._proto.parallel_iterations)

    @property
    def back_prop(self) -> bool:
        """Whether gradients are built."""
        return bool(self._proto.back_prop)

    @property
    def swap_memory(self) -> bool:
        """Whether values for gradients may go to host memory."""
        return bool(self._proto.swap_memory)

    @property
    def loop_enters(self) -> list[Any]:
        """Tensors that enter the loop."""
        return self._elements(self._proto.loop_enter_names)

    @property
    def loop_exits(self) -> list[Any]:
        """Tensors that leave the loop."""
        return self._elements(self._proto.loop_exit_names)
