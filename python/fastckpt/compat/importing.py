"""Graphs brought into the default graph: meta graphs with their variables, and GraphDefs."""

# ruff: noqa: FBT001, FBT002 - TensorFlow's signatures

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import fastckpt
from fastckpt import graph as graphs
from fastckpt.compat.graph_mode import Graph, GraphKeys, Operation, get_default_graph
from fastckpt.compat.saving import Saver
from fastckpt.compat.variables import Variable
from fastckpt.dtypes import DType
from fastckpt.errors import UnsupportedError

__all__ = [
    "GraphImport",
    "MetaSaver",
    "evaluate",
    "import_graph_def",
    "import_meta_graph",
    "make_ndarray",
]


class GraphImport(NamedTuple):
    """A GraphDef in a graph; it has no variables of its own."""

    graph: Any


class ImportedVariable(Variable):
    """A variable of an imported meta graph: its value is in the checkpoint until it is set.

    Parameters
    ----------
    owner : ImportedGraph
        What restores it.
    stored : GraphVariable
        The variable as the collection describes it.
    """

    def __init__(self, owner: Any, stored: Any, graph: Graph) -> None:
        # It is in its graph already: nothing is named or collected.
        self.graph = graph
        self.owner = owner
        self.stored = stored
        self.op = Operation(stored.op.name, stored.op.type, stored.device)
        self._given_name = self.op.name
        self._is_of_graph = True
        self.trainable = stored.trainable
        self.dtype = DType(int(stored.dtype.base_dtype))
        self.is_initialized = False
        self._storage: NDArray[Any] | None = None

    @property
    def storage(self) -> NDArray[Any]:  # type: ignore[override]
        """Memory of its own, made when something is put there."""
        if self._storage is None:
            dtype = fastckpt.dtypes.numpy_dtype(int(self.dtype))
            self._storage = np.empty(self.stored.shape.as_list(), dtype)
        return self._storage

    def value_now(self) -> NDArray[Any]:
        """Give the value: what was set, or what was restored."""
        if self.is_initialized:
            return self.storage
        value: NDArray[Any] = self.owner.value(self.op.name)
        return value

    def has_value(self) -> bool:
        """Whether there is a value: it was set, or restored."""
        return self.is_initialized or self.owner.checkpoint is not None

    def initialize(self, *_: Any) -> None:
        """Set the initial value that the graph holds."""
        initial = self.stored.initial_value
        if initial is None:
            raise UnsupportedError(
                f"the initial value of {self.op.name!r} is not in the meta graph; restore it",
                key=self.op.name,
            )
        self.load(self.owner.value(initial.op))


class MetaSaver(Saver):
    """What ``tf.train.import_meta_graph`` gives: restores and saves the imported variables."""

    def __init__(self, owner: Any, variables: list[ImportedVariable]) -> None:
        self.owner = owner
        self._imported = variables
        settings = owner.saver_def
        super().__init__(
            {x.op.name: x for x in variables},
            max_to_keep=5 if settings is None else settings.max_to_keep,
            allow_empty=True,
        )

    def restore(self, sess: Any, save_path: Any = None, **_: Any) -> None:  # noqa: ARG002
        """Give the variables the values of a checkpoint; they are read when they are used."""
        self.owner.restore(None, save_path)
        for variable in self._imported:
            variable.is_initialized = False


def import_meta_graph(
    meta_graph_or_file: Any,
    clear_devices: bool = False,
    import_scope: str | None = None,
    **kwargs: Any,
) -> MetaSaver | None:
    """Bring a meta graph into the default graph.

    Returns
    -------
    MetaSaver or None
        None where there is nothing to restore.
    """
    owner = graphs.import_meta_graph(meta_graph_or_file, clear_devices, import_scope, **kwargs)
    if owner is None:
        return None
    target = get_default_graph()
    target.imported.append(owner)
    made: dict[str, ImportedVariable] = {}
    for key in owner.graph.get_all_collection_keys():
        for item in owner.graph.get_collection(key):
            target.add_to_collection(key, _in(target, owner, item, made))
    return MetaSaver(owner, list(made.values()))


def import_graph_def(
    graph_def: Any,
    input_map: Any = None,
    return_elements: Any = None,
    name: str | None = None,
    **kwargs: Any,
) -> Any:
    """Bring a GraphDef into the default graph; see :func:`fastckpt.graph.import_graph_def`."""
    target = get_default_graph()
    before = next((x.graph for x in reversed(target.imported) if isinstance(x, GraphImport)), None)
    stored = graphs.Graph() if before is None else before
    found = graphs.import_graph_def(
        graph_def, input_map, return_elements, name, graph=stored, **kwargs
    )
    if before is None:
        target.imported.append(GraphImport(stored))
    return found


def make_ndarray(tensor: Any) -> NDArray[Any]:
    """Give the array of a TensorProto, writable as TensorFlow's is."""
    array: NDArray[Any] = graphs.make_ndarray(tensor, copy=True)
    return array


def evaluate(graph: Graph, element: Any, feeds: dict[Any, Any]) -> Any:
    """Give the value of a tensor of an imported graph, or let an engine compute it."""
    owner = next(x for x in graph.imported if x.graph is element.graph)
    variables = {x.op.name: x for x in graph.get_collection(GraphKeys.GLOBAL_VARIABLES)}
    if not feeds and isinstance(owner, graphs.ImportedGraph):
        found = _held(owner, element, variables)
        if found is not None:
            return found
    if not hasattr(element, "op"):
        return None if element.type == "NoOp" else _not_run(element)
    own = {
        name: x
        for name, x in variables.items()
        if isinstance(x, ImportedVariable) and x.owner is owner
    }
    frozen = graphs.convert_variables_to_constants(
        _Values(own), element.graph.as_graph_def(), [element.op.name]
    )
    named = {getattr(key, "name", key): value for key, value in feeds.items()}
    return graphs.run(frozen, element.name, named)


class _Values(Mapping[str, NDArray[Any]]):
    """Values of variables by name, read when they are asked for: a fetch needs few of them."""

    def __init__(self, variables: Mapping[str, ImportedVariable]) -> None:
        self._variables = variables

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._variables[name].value_now()

    def __contains__(self, name: object) -> bool:
        return name in self._variables

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)


def _held(owner: Any, element: Any, variables: dict[str, Any]) -> Any:
    """The value of what reads a variable or a constant; None for anything else."""
    try:
        source = owner.source(element)
    except UnsupportedError:
        return None
    variable = variables.get(source.name)
    value = owner.value(source) if variable is None else variable.value_now()
    return value.copy() if value.ndim else value[()]


def _in(target: Graph, owner: Any, item: Any, made: dict[str, ImportedVariable]) -> Any:
    """An item of a collection as the default graph has it: variables become its own, once each."""
    if not isinstance(item, graphs.GraphVariable):
        return item
    name = item.op.name
    if name not in made:
        made[name] = ImportedVariable(owner, item, target)
    return made[name]


def _not_run(element: Any) -> Any:
    raise UnsupportedError(
        f"{element.name!r} is an operation {element.type!r}, which fastckpt.compat does not run; "
        "fetch a tensor of it, or run the script with TensorFlow itself",
        key=element.name,
    )
