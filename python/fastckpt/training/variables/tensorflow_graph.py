"""Variables of a TensorFlow graph, read and assigned through a session, the graph unchanged.

All values are read by one ``session.run``. They are assigned by running an operation that the
graph has already, each variable's initializer for the most part, with its input fed; thus a
finalized graph works, and nothing is added that a ``.meta`` would carry.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastckpt.checkpoint.tensorflow_errors import WrongTypeError
from fastckpt.errors import InvalidArgumentError, UnsupportedError
from fastckpt.training.variables.mistakes import UninitializedError
from fastckpt.training.variables.protocol import Group, Pair, SliceInfo, StaticShape, Target
from fastckpt.training.variables.tensorflow_variables import tensorflow

__all__ = ["GraphGroup", "GraphTarget", "feedable", "group_of", "reading_of"]

_ASSIGN_OPS = frozenset({"Assign", "AssignVariableOp"})


class GraphTarget(Target):
    """One variable of a graph.

    Parameters
    ----------
    variable : tf.Variable or tf.Tensor
        What the caller passed.
    ref : tf.Tensor
        The output that an assignment takes: a reference, or the handle of a resource.
    element : tf.Tensor
        What a session fetches to read it.
    shape, slice, device, trainable
        As of a Target.
    """

    __slots__ = ("element", "ref")

    def __init__(
        self,
        variable: Any,
        ref: Any,
        element: Any,
        *,
        shape: StaticShape,
        slice: SliceInfo | None,  # noqa: A002
        device: str,
        trainable: bool,
    ) -> None:
        self.ref = ref
        self.element = element
        super().__init__(
            group_of(ref.graph),
            variable,
            tf_dtype=element.dtype.base_dtype.name,
            shape=shape,
            name=ref.op.name,
            slice=slice,
            device=device,
            trainable=trainable,
            identity=(id(ref.graph), element.name),
        )


class GraphGroup(Group):
    """The variables of one graph.

    Parameters
    ----------
    graph : tf.Graph
        The graph; its session is what :meth:`read` and :meth:`assign` need.
    """

    needs_session = True
    keeps = True  # a resource variable goes on using memory that it was fed

    def __init__(self, graph: Any) -> None:
        self._graph = weakref.ref(graph)
        # Names, since an operation would keep its graph alive, and with it this group.
        self._added: dict[str, str] = {}

    def read(self, targets: Sequence[Any], session: Any = None) -> list[Any]:
        """Fetch all values at once."""
        session = self._session(session)
        try:
            values: list[Any] = session.run([target.element for target in targets])
        except tensorflow().errors.FailedPreconditionError as error:
            raise _uninitialized_class()(error) from error
        return values

    def check(self, pairs: Sequence[Pair], session: Any = None) -> None:
        """Find the assignment for each variable."""
        self._session(session)
        for target, value in pairs:
            self._assignment(target, value)

    def assign(self, pairs: Sequence[Pair], session: Any = None) -> list[Any]:
        """Run all assignments, at once unless two variables share their initial value."""
        session = self._session(session)
        for feed, operations in self._rounds(pairs):
            session.run(operations, feed_dict=feed)
        return [target.origin for target, _ in pairs]

    def _session(self, session: Any) -> Any:
        found = tensorflow().compat.v1.get_default_session() if session is None else session
        if found is None or not hasattr(found, "graph"):
            raise WrongTypeError(
                "'sess' must be a Session; the values of graph variables live in one, and "
                f"{session!r} was given"
            )
        if found.graph is not self._graph():
            raise InvalidArgumentError(
                "the variables are not elements of the session's graph; make the Saver inside "
                "`with session.graph.as_default():`, or pass the session of their graph"
            )
        return found

    def _rounds(self, pairs: Sequence[Pair]) -> list[tuple[dict[Any, Any], list[Any]]]:
        """Spread assignments over runs in which no tensor is fed twice."""
        rounds: list[tuple[dict[Any, Any], list[Any]]] = []
        for target, value in pairs:
            operation = self._assignment(target, value)
            source = operation.inputs[1].ref()
            free = next((r for r in rounds if source not in r[0]), None)
            if free is None:
                rounds.append(free := ({}, []))
            free[0][source] = feedable(operation.inputs[1], value)
            free[1].append(operation)
        return [({x.deref(): v for x, v in feed.items()}, ops) for feed, ops in rounds]

    def _assignment(self, target: Any, value: Any) -> Any:
        """Find the operation that assigns `target` a value of this shape."""
        shape = np.shape(value)
        initializer = getattr(target.origin, "initializer", None)
        for operation in (initializer, *target.ref.consumers()):
            if _assigns(operation, target.ref, shape):
                return operation
        return self._add_assignment(target)

    def _add_assignment(self, target: Any) -> Any:
        graph, name = target.ref.graph, target.ref.name
        if name in self._added:
            return graph.get_operation_by_name(self._added[name])
        if graph.finalized:
            raise UnsupportedError(
                f"Graph is finalized and has no operation that assigns {target.label} a value of "
                "this shape; restore before it is finalized",
                key=target.key,
            )
        tf1 = tensorflow().compat.v1
        with graph.as_default(), tf1.control_dependencies(None), tf1.name_scope("fastckpt/"):
            source = tf1.placeholder(target.element.dtype.base_dtype, None)
            if target.ref.dtype == tf1.resource:
                added = tf1.raw_ops.AssignVariableOp(resource=target.ref, value=source)
            else:
                added = tf1.raw_ops.Assign(ref=target.ref, value=source, validate_shape=False).op
        self._added[name] = added.name
        return added


_groups: weakref.WeakKeyDictionary[Any, GraphGroup] = weakref.WeakKeyDictionary()


def group_of(graph: Any) -> GraphGroup:
    """Give the one group of a graph."""
    return _groups.setdefault(graph, GraphGroup(graph))


def reading_of(handle: Any) -> Any:
    """Find a tensor that reads the variable of a resource handle; None where there is none."""
    for operation in handle.consumers():
        if operation.type == "ReadVariableOp" and not operation.control_inputs:
            return operation.outputs[0]
    return None


def feedable(tensor: Any, value: Any) -> Any:
    """Give an array that may be fed to `tensor`.

    TensorFlow goes on using memory that it is fed, and a map of a file must not become that of a
    variable: read-only arrays are copied.
    """
    dtype = np.dtype(tensor.dtype.as_numpy_dtype)
    array = np.asarray(value)
    array = array.view(dtype) if dtype.names else array
    return array if array.flags.writeable else array.copy()


def _assigns(operation: Any, ref: Any, shape: tuple[int, ...]) -> bool:
    """Whether running `operation` does nothing but assign `ref` what its second input is fed."""
    if getattr(operation, "type", None) not in _ASSIGN_OPS or operation.control_inputs:
        return False
    target, value = operation.inputs[0], operation.inputs[1]
    return bool(
        target.name == ref.name
        and ref.graph.is_feedable(value)
        and value.shape.is_compatible_with(shape)
        # The reference to another variable, which its own assignment needs unfed.
        and value.dtype == value.dtype.base_dtype
    )


@functools.cache
def _uninitialized_class() -> type[UninitializedError]:
    """Make the error that is TensorFlow's as well; its class exists where TensorFlow does."""

    class UninitializedVariableError(
        UninitializedError,
        tensorflow().errors.FailedPreconditionError,  # type: ignore[misc]
    ):
        """A variable of a session that has no value yet."""

        def __init__(self, error: Any) -> None:
            text = f"{error.message}; run its initializer, or restore it, before saving"
            super().__init__(text)
            tensorflow().errors.FailedPreconditionError.__init__(
                self, error.node_def, error.op, text
            )

        def __reduce__(self) -> tuple[Any, ...]:
            return UninitializedError, (str(self),)

    return UninitializedVariableError
