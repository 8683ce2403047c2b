"""Variables of a TensorFlow graph, read and assigned through a session, the graph unchanged.

All values are read in one step of the session. They are assigned by running an operation that the
graph has already, each variable's initializer for the most part, with its input fed; thus a
finalized graph works, and nothing is added that a ``.meta`` would carry.
"""

from __future__ import annotations

import functools
import importlib
import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fastckpt.checkpoint.tensorflow_errors import WrongTypeError
from fastckpt.errors import InvalidArgumentError, UnsupportedError
from fastckpt.training.variables.mistakes import ClosedSessionError, UninitializedError
from fastckpt.training.variables.protocol import Group, SliceInfo, StaticShape, Target
from fastckpt.training.variables.tensorflow_variables import tensorflow

__all__ = ["GraphGroup", "GraphTarget", "fed", "group_of", "reading_of", "run"]

_ASSIGN_OPS = frozenset({"Assign", "AssignVariableOp"})

# Attribute of a session that holds its prepared steps: of a save and a restore, for some Savers.
_PREPARED = "_fastckpt_prepared"
_MAX_PREPARED = 16


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

    __slots__ = ("assignment", "element", "element_name", "is_ref", "ref", "ref_name")

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
        self.ref_name: str = ref.name
        self.element = element
        self.element_name: str = element.name
        self.is_ref: bool = element.dtype != element.dtype.base_dtype
        self.assignment: _Assignment | None = None
        super().__init__(
            group_of(ref.graph, keeps=not self.is_ref),
            variable,
            tf_dtype=element.dtype.base_dtype.name,
            shape=shape,
            name=ref.op.name,
            slice=slice,
            device=device,
            trainable=trainable,
            identity=(id(ref.graph), self.element_name),
        )

    @property
    def form(self) -> tuple[str, StaticShape]:
        """`tf_dtype` and `full_shape`, which do not change here."""
        return self._tf_dtype, self._shape if self.slice is None else self.slice.full_shape


class _Assignment(NamedTuple):
    """Names of an operation that assigns a variable, and of its input that is fed; its dtype."""

    operation: str
    source: str
    dtype: np.dtype[Any]


class GraphGroup(Group):
    """The reference variables, or the resource variables, of one graph.

    Parameters
    ----------
    graph : tf.Graph
        The graph; its session is what :meth:`read` and :meth:`assign` need.
    keeps : bool
        What is assigned goes on using the memory that was fed, as resource variables do; reference
        variables copy it.
    """

    needs_session = True

    def __init__(self, graph: Any, *, keeps: bool) -> None:
        self.keeps = keeps
        self._graph = weakref.ref(graph)

    def is_in(self, graph: Any) -> bool:
        """Whether this is the graph."""
        return graph is self._graph()

    def read(
        self, targets: Sequence[Any], session: Any = None, *, share: bool = False
    ) -> list[Any]:
        """Fetch all values at once; those of reference variables are their own memory."""
        session = self.session(session)
        try:
            values = run(session, [target.element_name for target in targets])
        except tensorflow().errors.FailedPreconditionError as error:
            raise _uninitialized_class()(error) from error
        if share:
            return values
        return [
            value.copy() if target.is_ref and isinstance(value, np.ndarray) else value
            for target, value in zip(targets, values, strict=True)
        ]

    def check(self, pairs: Sequence[Any], session: Any = None) -> None:
        """Find the assignment for each variable."""
        self.session(session)
        for target, _ in pairs:
            if target.assignment is None:
                target.assignment = _assignment(target)

    def assign(self, pairs: Sequence[Any], session: Any = None) -> list[Any]:
        """Run all assignments, at once unless two variables share their initial value."""
        session = self.session(session)
        rest = pairs
        while rest:
            first, rest = _without_double_sources(rest)
            found = [target.assignment for target, _ in first]
            values = [
                # Most are what TensorFlow takes; asking costs less than the call.
                value
                if type(value) is np.ndarray and value.dtype is x.dtype and not self.keeps
                else fed(x.dtype, value, keeps=self.keeps)
                for x, (_, value) in zip(found, first, strict=True)
            ]
            run(session, [x.operation for x in found], [x.source for x in found], values)
        return [target.origin for target, _ in pairs]

    def session(self, session: Any) -> Any:
        """Give the session to use, TensorFlow's default one for None; it must be of this graph."""
        found = tensorflow().compat.v1.get_default_session() if session is None else session
        if found is None or not hasattr(found, "graph"):
            raise WrongTypeError(
                "'sess' must be a Session; the values of graph variables live in one, and "
                f"{session!r} was given"
            )
        if not self.is_in(found.graph):
            raise InvalidArgumentError(
                "the variables are not elements of the session's graph; make the Saver inside "
                "`with session.graph.as_default():`, or pass the session of their graph"
            )
        if getattr(found, "_closed", False):
            raise ClosedSessionError("Attempted to use a closed Session; open another one")
        return found


_groups: weakref.WeakKeyDictionary[Any, dict[bool, GraphGroup]] = weakref.WeakKeyDictionary()


def group_of(graph: Any, *, keeps: bool) -> GraphGroup:
    """Give the one group of a graph's resource variables, or of its reference variables."""
    groups = _groups.setdefault(graph, {})
    if keeps not in groups:
        groups[keeps] = GraphGroup(graph, keeps=keeps)
    return groups[keeps]


def reading_of(handle: Any) -> Any:
    """Find a tensor that reads the variable of a resource handle; None where there is none."""
    for operation in handle.consumers():
        if operation.type == "ReadVariableOp" and not operation.control_inputs:
            return operation.outputs[0]
    return None


def run(
    session: Any, names: Sequence[str], sources: Sequence[str] = (), values: Sequence[Any] = ()
) -> list[Any]:
    """Run a step of a session, from the second time on several times as fast as its ``run``.

    Parameters
    ----------
    session : tf.compat.v1.Session
        Where.
    names : sequence of str
        Tensors to fetch, such as ``"v:0"``, or operations to run.
    sources : sequence of str
        Tensors that are fed, each once.
    values : sequence of ndarray
        What they are fed.

    Notes
    -----
    ``session.run`` looks at every name and value anew, some 0.1 ms for each that is fed. What it
    would prepare is kept with the session, which is the one thing that lives as long.
    """
    make = getattr(session, "_make_callable_from_options", None)
    if make is None:
        feed = dict(zip(sources, values, strict=True))
        found: list[Any] = session.run(list(names), feed_dict=feed)
        return found
    prepared = vars(session).setdefault(_PREPARED, {})
    key = (tuple(names), tuple(sources))
    step = prepared.get(key)
    if step is None:
        if len(prepared) >= _MAX_PREPARED:
            prepared.clear()
        step = prepared[key] = make(_callable_options(*key))
    fetched: list[Any] = step(*values)
    return fetched


def _callable_options(names: tuple[str, ...], fed: tuple[str, ...]) -> Any:
    messages = importlib.import_module("tensorflow.core.protobuf.config_pb2")
    return messages.CallableOptions(
        feed=fed,
        fetch=[name for name in names if ":" in name],
        target=[name for name in names if ":" not in name],
    )


def fed(dtype: np.dtype[Any], value: Any, *, keeps: bool) -> Any:
    """Give an array that may be fed to a tensor of this dtype.

    Where TensorFlow keeps the memory, read-only arrays are copied: a map of a file must not become
    that of a variable.
    """
    if type(value) is np.ndarray and value.dtype is dtype and (value.flags.writeable or not keeps):
        return value
    # A quantised type is a dtype of one field to TensorFlow.
    array = np.asarray(value).view(dtype) if dtype.names else np.asarray(value, dtype)
    return array.copy() if keeps and not array.flags.writeable else array


def _without_double_sources(pairs: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
    """Give the pairs that one step can assign, in which no tensor is fed twice, and the others."""
    if len({target.assignment.source for target, _ in pairs}) == len(pairs):
        return pairs, ()
    first: dict[str, Any] = {}
    rest = [x for x in pairs if first.setdefault(x[0].assignment.source, x) is not x]
    return list(first.values()), rest


def _assignment(target: GraphTarget) -> _Assignment:
    operation = _find_assignment(target) or _add_assignment(target)
    source = operation.inputs[1]
    return _Assignment(operation.name, source.name, np.dtype(source.dtype.as_numpy_dtype))


def _find_assignment(target: Any) -> Any:
    """Find an operation that assigns a variable, its initializer before others; None if none."""
    initializer = getattr(target.origin, "initializer", None)
    if _assigns(initializer, target.ref):
        return initializer
    return next((x for x in target.ref.consumers() if _assigns(x, target.ref)), None)


def _add_assignment(target: Any) -> Any:
    graph = target.ref.graph
    if graph.finalized:
        raise UnsupportedError(
            f"Graph is finalized and has no operation that assigns {target.label}; restore before "
            "it is finalized",
            key=target.key,
        )
    tf1 = tensorflow().compat.v1
    with graph.as_default(), tf1.control_dependencies(None), tf1.name_scope("fastckpt/"):
        source = tf1.placeholder(target.element.dtype.base_dtype, None)
        if target.ref.dtype == tf1.resource:
            return tf1.raw_ops.AssignVariableOp(resource=target.ref, value=source)
        return tf1.raw_ops.Assign(ref=target.ref, value=source, validate_shape=False).op


def _assigns(operation: Any, ref: Any) -> bool:
    """Whether running `operation` does nothing but assign `ref` what its second input is fed."""
    if getattr(operation, "type", None) not in _ASSIGN_OPS or operation.control_inputs:
        return False
    target, value = operation.inputs[0], operation.inputs[1]
    return bool(
        target.name == ref.name
        and ref.graph.is_feedable(value)
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
