"""A graph whose variables have the values of a checkpoint."""

from __future__ import annotations

import functools
from typing import Any

from numpy.typing import NDArray

from fastckpt.checkpoint import Checkpoint, open_checkpoint
from fastckpt.checkpoint.existing import existing_checkpoint
from fastckpt.errors import FailedPreconditionError, UnsupportedError
from fastckpt.graph.binding import bind_variables
from fastckpt.graph.graph import Graph
from fastckpt.graph.graph_items import GraphVariable
from fastckpt.graph.keys import GraphKeys
from fastckpt.graph.operations import Operation, Tensor
from fastckpt.graph.restoring import VARIABLE_OPS, Stored, restored_variables
from fastckpt.graph.scoping import without_scope
from fastckpt.graph.tensor_values import make_ndarray
from fastckpt.graph.variable_values import Bound
from fastckpt.names import near_names

__all__ = ["ImportedGraph", "NotRestoredError"]

Array = NDArray[Any]

# Operations that yield the value of their first input.
_READS = frozenset({"Identity", "ReadVariableOp", "RefIdentity"})


class NotRestoredError(FailedPreconditionError):
    """A variable that has no value yet."""


class ImportedGraph:
    """A graph, and where its variables are stored; see :func:`fastckpt.graph.import_meta_graph`.

    Attributes
    ----------
    meta_graph_def : MetaGraphDef
        The meta graph as it was imported, below its scope; not to be changed.
    graph : Graph
        Operations, tensors, collections.
    checkpoint : Checkpoint or None
        What was restored last.

    Notes
    -----
    It stands where TensorFlow's ``import_meta_graph`` gives a Saver.
    """

    def __init__(self, meta_graph_def: Any, graph: Graph, scope: str = "") -> None:
        self.meta_graph_def = meta_graph_def
        self.graph = graph
        self.checkpoint: Checkpoint | None = None
        self._scope = scope
        self._bound: dict[str, Bound] = {}
        self._values: dict[str, Array] = {}

    @property
    def saver_def(self) -> Any:
        """The SaverDef below the scope; None where there is none."""
        has_saver = self.meta_graph_def.HasField("saver_def")
        return self.meta_graph_def.saver_def if has_saver else None

    def as_saver_def(self) -> Any:
        """Give the `saver_def`."""
        return self.saver_def

    @property
    def graph_def(self) -> Any:
        """The GraphDef, part of the message."""
        return self.meta_graph_def.graph_def

    def restore(self, sess: Any = None, save_path: Any = None) -> None:
        """Give all variables of the saver their values from a checkpoint.

        Parameters
        ----------
        sess : None
            There for programs that pass a session; or the checkpoint, as the only argument.
        save_path : str, bytes or PathLike
            Prefix of the checkpoint; a V1 file or pattern.

        Raises
        ------
        InvalidArgumentError
            The path is None or that of a part of a checkpoint; a tensor does not fit its variable.
        CheckpointNotFoundError
            No such checkpoint; a ValueError too.
        TensorNotFoundError
            The checkpoint lacks tensors; the message lists them, with near names.
        DataLossError
            The index is damaged.
        UnsupportedError
            A session of TensorFlow: it knows nothing of this graph.

        Notes
        -----
        Costs the index of the checkpoint: values are read when they are asked for, and verified
        then. All or nothing: after an error all variables have the values they had before.
        """
        if save_path is None and (isinstance(sess, str | bytes) or hasattr(sess, "__fspath__")):
            sess, save_path = None, sess
        if type(sess).__module__.partition(".")[0] == "tensorflow":
            raise UnsupportedError(
                "this graph is not in the session's graph; pass None for the session, or use "
                "tf.compat.v1.train.import_meta_graph"
            )
        checkpoint = open_checkpoint(existing_checkpoint(save_path))
        bound = bind_variables(self.graph, checkpoint, self._ways())
        self.checkpoint, self._bound, self._values = checkpoint, bound, {}

    def value(self, name: Any) -> Array:
        """Give the value of a variable or a constant.

        Parameters
        ----------
        name : str, Tensor, Operation or GraphVariable
            ``"w:0"``, ``"w"``, or what reads it, such as ``"w/read:0"``; for the whole of a
            partitioned variable its key in the checkpoint.

        Returns
        -------
        ndarray
            Read-only. Of a variable a view into the checkpoint where its bytes allow that, else
            an array that is kept.

        Raises
        ------
        NotRestoredError
            Nothing was restored yet, or the saver does not restore this variable.
        NotInGraphError
            No such tensor; a KeyError too.
        UnsupportedError
            It takes a computation: run the graph instead.
        DataLossError
            The stored bytes are damaged.
        """
        if isinstance(name, str) and name.removesuffix(":0") in self._whole:
            return self._whole_value(name.removesuffix(":0"))
        op = self.source(self.graph.as_graph_element(name))
        if op.type == "Const":
            return _read_only(make_ndarray(op.node.attr["value"].tensor))
        if op.name not in self._values:
            self._values[op.name] = self._read(op)
        return self._values[op.name]

    def run(self, fetches: Any, feed_dict: Any = None) -> Any:
        """Compute tensors with an engine that is installed; see :func:`fastckpt.graph.run`.

        Parameters
        ----------
        fetches : str, Tensor, or list, tuple or dict of them
            What is to be computed, such as ``"y:0"``.
        feed_dict : mapping, optional
            Tensors or their names -> values.

        Returns
        -------
        ndarray, or the structure of `fetches` with ndarrays

        Raises
        ------
        NotRestoredError
            A variable that is needed has no value yet.
        CheckpointError
            As :func:`fastckpt.graph.run`.
        """
        from fastckpt.graph.running import run

        return run(self, fetches, feed_dict)

    def source(self, element: Tensor | Operation) -> Operation:
        """Follow reads back to the variable or constant whose value they yield.

        Raises
        ------
        UnsupportedError
            It takes a computation.
        """
        op = element.op if isinstance(element, Tensor) else element
        seen = set()
        while op.type in _READS and op.inputs and op.name not in seen:
            seen.add(op.name)
            op = op.inputs[0].op
        if op.type != "Const" and op.type not in VARIABLE_OPS:
            raise UnsupportedError(
                f"{element.name!r} is the result of {op.type!r}, not a variable or a constant; "
                "freeze the graph and run it: fastckpt.graph.freeze",
                key=element.name,
            )
        return op

    @functools.cached_property
    def _whole(self) -> frozenset[str]:
        """Keys of tensors of which only parts are variables."""
        parts = {x.key for x in self._ways()[0].values() if x.region is not None}
        return frozenset(key for key in parts if self.graph.find_operation(key) is None)

    def _whole_value(self, key: str) -> Array:
        if self.checkpoint is None:
            raise self._not_restored(key)
        if key not in self._values:
            self._values[key] = _read_only(self.checkpoint[key])
        return self._values[key]

    def _read(self, op: Operation) -> Array:
        bound = self._bound.get(op.name)
        if bound is None:
            raise self._not_restored(op.name)
        return _read_only(bound.read())

    def _not_restored(self, name: str) -> NotRestoredError:
        text = f"Attempting to use uninitialized value {name}"
        if self.checkpoint is None:
            hint = "restore a checkpoint first"
        else:
            near = near_names(name, sorted(self._bound))
            hint = "the saver of this graph does not restore it" + (
                f"; it restores {', '.join(map(repr, near))}" if near else ""
            )
        return NotRestoredError(f"{text}: {hint}", key=name)

    def _ways(self) -> list[dict[str, Stored]]:
        """Say where variables are stored: as TensorFlow has it, then without the scope."""
        saver_def = self.saver_def
        found = {} if saver_def is None else restored_variables(self.graph_def, saver_def)
        if found:
            return [found]
        variables = self.graph.get_collection(GraphKeys.GLOBAL_VARIABLES)
        declared = {x.op.name: _declared(x) for x in variables}
        outer = {
            name: stored._replace(key=without_scope(stored.key, self._scope))
            for name, stored in declared.items()
        }
        return [declared, outer]


def _read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


def _declared(variable: GraphVariable) -> Stored:
    info = variable.save_slice_info
    if info is None:
        return Stored(variable.op.name)
    places = zip(info.var_offset, info.var_shape, strict=False)
    return Stored(info.full_name, tuple(slice(start, start + size) for start, size in places))
