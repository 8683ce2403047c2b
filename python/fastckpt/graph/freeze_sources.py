"""What can be frozen: the graph of a model, and where its values are."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from fastckpt.errors import CheckpointError, InvalidArgumentError
from fastckpt.graph.edges import source_of
from fastckpt.graph.exporting import as_meta_graph_def
from fastckpt.graph.files import parse_message, read_message
from fastckpt.graph.initial_values import StartedValues, initial_values
from fastckpt.graph.restoring import declared_slices, restored_variables
from fastckpt.graph.saved_model_reading import find_model, init_op
from fastckpt.graph.sources import as_graph_def, as_message, message_name
from fastckpt.graph.tensorflow_errors import WrongTypeError
from fastckpt.graph.variable_values import ValueSource, Ways, value_source
from fastckpt.names import strip_suffix
from fastckpt.storage import local

__all__ = [
    "Model",
    "NoMetaGraphError",
    "chosen_meta_graph",
    "load_model",
    "split_names",
    "with_init_op",
]

_SERVING = "serve"
_DEFAULT_SIGNATURE = "serving_default"

# What a file may be, the most telling first.
_KINDS = ("MetaGraphDef", "SavedModel", "GraphDef")


class NoMetaGraphError(InvalidArgumentError, RuntimeError):
    """A SavedModel has no meta graph of the tags asked for, or several."""


class Model(NamedTuple):
    """A graph to freeze.

    Attributes
    ----------
    graph_def : GraphDef
        The graph, of the private pool; shared, not to be changed.
    meta_graph : MetaGraphDef or None
        What the graph belongs to.
    checkpoint : object
        Where the values are; None where nobody said.
    """

    graph_def: Any
    meta_graph: Any
    checkpoint: Any

    def source(self) -> ValueSource:
        """Where the values of the variables are; InvalidArgumentError where nobody said."""
        if self.checkpoint is None:
            raise InvalidArgumentError(
                "the graph has variables, and no checkpoint was given for their values; pass its "
                "prefix"
            )
        return with_init_op(self.meta_graph, value_source(self.checkpoint, self._ways()))

    def _ways(self) -> Ways:
        meta_graph = self.meta_graph
        if meta_graph is None:
            return [restored_variables(self.graph_def)]
        ways = [declared_slices(meta_graph), restored_variables(self.graph_def)]
        if meta_graph.HasField("saver_def"):
            ways.insert(0, restored_variables(self.graph_def, meta_graph.saver_def))
        return ways

    def output_names(self, outputs: Any) -> list[str]:
        """Names of the nodes that are to be computed: those given, or those of the signature."""
        names = self._signature_outputs() if outputs is None else list(_names_in(outputs))
        if not names:
            raise InvalidArgumentError("name at least one node to compute in outputs")
        return list(dict.fromkeys(map(source_of, names)))

    def _signature_outputs(self) -> Iterable[str]:
        signatures = {} if self.meta_graph is None else self.meta_graph.signature_def
        kept = [x for x in signatures if not x.startswith("__")]
        chosen = _DEFAULT_SIGNATURE if _DEFAULT_SIGNATURE in kept else kept[0] if kept else ""
        if chosen != _DEFAULT_SIGNATURE and len(kept) != 1:
            raise InvalidArgumentError(
                "outputs must name the nodes to compute: the graph has "
                f"{'several signatures: ' + ', '.join(sorted(kept)) if kept else 'no signature'}"
            )
        return [info.name for info in signatures[chosen].outputs.values()]


def with_init_op(meta_graph: Any, source: ValueSource) -> ValueSource:
    """Give a source that also has what loading a SavedModel assigns, such as zeros to metrics."""
    operation = None if meta_graph is None else init_op(meta_graph)
    if operation is None:
        return source
    try:
        started = initial_values(meta_graph.graph_def, [source_of(operation)])
    except InvalidArgumentError:
        return source
    return StartedValues(started, source, is_first=False)


def load_model(source: Any, checkpoint: Any = None, tags: Any = None) -> Model:
    """Open what is to be frozen; see :func:`fastckpt.graph.freeze`."""
    if isinstance(source, Model):
        return source
    if isinstance(source, str | os.PathLike):
        return _from_path(local.as_path(source), checkpoint, tags)
    if isinstance(source, bytes):
        message = _first_that_parses(lambda kind: parse_message(source, kind))
        return _from_message(message, checkpoint, tags)
    if message_name(source) in _KINDS:
        return _from_message(as_message(source), checkpoint, tags)
    if callable(getattr(source, "meta_graph", None)) and hasattr(source, "meta_graphs"):
        default = getattr(source, "path", None) if checkpoint is None else checkpoint
        return load_model(chosen_meta_graph(source.meta_graphs, tags), default)
    meta_graph = as_meta_graph_def(source)
    if meta_graph is not None:
        values = _values_beside(source) if checkpoint is None else checkpoint
        return _from_message(meta_graph, values, tags)
    raise WrongTypeError(
        "meta_graph must be a meta graph, a SavedModel or a graph, the bytes or the path of one, "
        f"but got type {type(source).__name__}"
    )


def chosen_meta_graph(meta_graphs: Iterable[Any], tags: Any = None) -> Any:
    """Choose the meta graph of a SavedModel.

    Parameters
    ----------
    meta_graphs : iterable of MetaGraphDef
        Those of the SavedModel.
    tags : str or iterable of str, optional
        All tags of the one wanted, as one text with commas or one by one; by default the only
        one, or the one tagged ``serve`` alone.

    Raises
    ------
    NoMetaGraphError
        There is no such one; a RuntimeError too, as TensorFlow has it.
    """
    by_tags = [(frozenset(x.meta_info_def.tags), x) for x in meta_graphs]
    if tags is None:
        if len(by_tags) == 1:
            return by_tags[0][1]
        wanted = frozenset({_SERVING})
    else:
        wanted = frozenset(_names_in(tags))
    for found, meta_graph in by_tags:
        if found == wanted:
            return meta_graph
    available = [sorted(found) for found, _ in by_tags]
    raise NoMetaGraphError(
        f"MetaGraphDef associated with tags {sorted(wanted)} could not be found in SavedModel, "
        f"with available tags {available}"
    )


def split_names(text: str) -> list[str]:
    """Names in a text, between commas; blanks do not count.

    >>> split_names("a, b,")
    ['a', 'b']
    """
    return [name for name in text.replace(" ", "").split(",") if name]


def _values_beside(source: Any) -> Any:
    """Where a graph has its values: what was restored in itself, what was read beside the file."""
    if callable(getattr(source, "value", None)):
        return source
    prefix = getattr(source, "prefix", None)
    return prefix if isinstance(prefix, str) else None


def _names_in(names: Any) -> Iterator[str]:
    if isinstance(names, str):
        yield from split_names(names)
        return
    elements = [names] if hasattr(names, "name") else names
    if not isinstance(elements, Iterable):
        raise WrongTypeError(f"names must be a list of str, but got {names!r}")
    for element in elements:
        name = getattr(element, "name", element)
        if not isinstance(name, str):
            raise WrongTypeError(f"names must be a list of str, but one is {name!r}")
        yield name


def _from_path(path: str, checkpoint: Any, tags: Any) -> Model:
    if local.is_directory(path):
        directory, model = find_model(path)
        return _from_message(model, directory if checkpoint is None else checkpoint, tags)
    if not os.path.exists(path) and os.path.exists(f"{path}.meta"):
        path = f"{path}.meta"
    prefix, kind = strip_suffix(path)
    values = prefix if checkpoint is None and kind == "meta" else checkpoint
    message = _first_that_parses(lambda kind: read_message(path, kind))
    return _from_message(message, values, tags)


def _from_message(message: Any, checkpoint: Any, tags: Any) -> Model:
    name = message_name(message)
    if name == "GraphDef":
        return Model(message, None, checkpoint)
    if name == "SavedModel":
        message = chosen_meta_graph(message.meta_graphs, tags)
    return Model(as_graph_def(message), message, checkpoint)


def _first_that_parses(parse: Callable[[str], Any]) -> Any:
    """Read something as what it is; of what is nothing known, give the first error."""
    errors = []
    for kind in _KINDS:
        try:
            return parse(kind)
        except CheckpointError as error:
            errors.append(error)
    raise errors[0]
