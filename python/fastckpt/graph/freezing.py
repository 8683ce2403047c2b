"""Graphs that hold the values of their variables: a model in one message."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from fastckpt.errors import CheckpointError, LimitExceededError
from fastckpt.graph.conversion import Conversion, Place
from fastckpt.graph.files import MAX_BYTES
from fastckpt.graph.freeze_sources import load_model
from fastckpt.graph.op_registry import REF, find_op, input_types
from fastckpt.graph.restoring import VARIABLE_OPS, restored_variables
from fastckpt.graph.sources import as_graph_def
from fastckpt.graph.sub_graphs import extract_sub_graph
from fastckpt.graph.value_types import UnsupportedTypeError, as_number
from fastckpt.graph.variable_values import Bound, ValueSource, value_source

__all__ = [
    "Chosen",
    "check_ends",
    "convert_nodes",
    "convert_variables_to_constants",
    "freeze",
    "freeze_nodes",
]

_RESOURCE = 20

# Values of so many bytes are not added to the size of the graph, which protobuf finds by writing
# it: what is too large after all is found when it is written.
_ALWAYS_FITS = 256 << 20

# How many tensors the message about a graph that is too large names.
_MAX_NAMED = 5


def freeze(
    meta_graph: Any,
    checkpoint: Any = None,
    outputs: Any = None,
    *,
    variable_names_allowlist: Collection[str] | None = None,
    variable_names_denylist: Collection[str] | None = None,
    clear_devices: bool = False,
    tags: str | Iterable[str] | None = None,
) -> Any:
    """Make one graph of a model and the values of its variables.

    Parameters
    ----------
    meta_graph : MetaGraph, SavedModel, message, bytes, str or PathLike
        The model: a meta graph, its file or its message; the directory of a SavedModel; a
        GraphDef, its file or bytes. TensorFlow's messages too. It is not changed.
    checkpoint : Checkpoint, str, PathLike or mapping, optional
        An open checkpoint, or what :func:`fastckpt.open` takes; or arrays by the names of
        variables. Not needed for a SavedModel, nor for a file ``prefix.meta`` beside its
        checkpoint.
    outputs : list of str, or str
        Names of the nodes that the frozen graph is to compute; names of tensors and tensors serve
        too, and one text may hold several, with commas between. By default what the signature
        yields: the one called ``serving_default``, or the only one.
    variable_names_allowlist, variable_names_denylist : collection of str, optional
        Names of variables to convert, and of variables to leave.
    clear_devices : bool
        Let all nodes run on any device.
    tags : str or iterable of str, optional
        Which meta graph of a SavedModel; by default the only one, or the one tagged ``serve``.

    Returns
    -------
    GraphDef
        What the outputs need, with a Const for each variable, and nodes that read variables
        rewritten. TensorFlow parses what its ``SerializeToString()`` gives.

    Raises
    ------
    MissingNodeError, NotInGraphError
        An output, or a node that it needs, is not in the graph.
    TensorNotFoundError
        The checkpoint has no tensor for a variable.
    InvalidArgumentError
        A tensor of another dtype or shape than the variable; no outputs, no checkpoint.
    UnsupportedTypeError
        An output depends on a node that changes a variable.
    LimitExceededError
        The graph would take 2 GiB or more; the largest tensors are named.

    Notes
    -----
    The keys of variables are read from the nodes that the Saver put into the graph, so renamed
    keys and slices of partitioned variables are found; then their names are tried. Values come
    from the mapped checkpoint, each is checked once, and is copied into the message. The rules
    are those of ``tf.compat.v1.graph_util.convert_variables_to_constants``. Where that leaves a
    graph that cannot run, this goes on: variables of the op ``Variable`` are converted, and loops
    that carry a variable lose the shapes that were recorded for them.
    """
    model = load_model(meta_graph, checkpoint, tags)
    names = model.output_names(outputs)
    chosen = Chosen(variable_names_allowlist, variable_names_denylist)
    result, ends = freeze_nodes(model.graph_def, names, model.source, chosen, is_exact=False)
    check_ends(ends)
    if clear_devices:
        for node in result.node:
            node.device = ""
    return result


def convert_variables_to_constants(
    sess: Any,
    input_graph_def: Any,
    output_node_names: Iterable[str],
    variable_names_whitelist: Collection[str] | None = None,
    variable_names_blacklist: Collection[str] | None = None,
) -> Any:
    """Replace the variables of a graph by constants.

    Parameters
    ----------
    sess : Checkpoint, str, PathLike, mapping or session
        Where the values are: an open checkpoint or its path; arrays by the names of variables; a
        session, which is asked for them as TensorFlow's function does.
    input_graph_def : GraphDef, bytes, path or graph
        The graph; it is not changed.
    output_node_names : iterable of str
        Names of the nodes to compute, without output numbers.
    variable_names_whitelist : collection of str, optional
        Names of the variables to convert; all by default.
    variable_names_blacklist : collection of str, optional
        Names of variables to leave.

    Returns
    -------
    GraphDef
        Of the private pool, with the nodes that TensorFlow's function gives.

    Raises
    ------
    WrongTypeError, MissingNodeError, NotInGraphError
        As :func:`extract_sub_graph`.
    TensorNotFoundError, InvalidArgumentError, LimitExceededError
        As :func:`freeze`.

    Notes
    -----
    Exact even where that makes no sense: variables of the op ``Variable`` stay variables, and a
    graph whose outputs change variables comes out broken. :func:`freeze` converts the one and
    refuses the other. Numbers in the names of changed functions have no meaning.
    """
    graph_def = as_graph_def(input_graph_def, "input_graph_def")
    chosen = Chosen(variable_names_whitelist, variable_names_blacklist)

    def source() -> ValueSource:
        return value_source(sess, [restored_variables(graph_def)])

    result, _ = freeze_nodes(graph_def, output_node_names, source, chosen)
    return result


class Chosen:
    """Which variables are converted."""

    def __init__(self, allowed: Collection[str] | None, denied: Collection[str] | None) -> None:
        self._allowed = allowed
        self._denied = denied or ()

    def __contains__(self, name: str) -> bool:
        return (self._allowed is None or name in self._allowed) and name not in self._denied


def freeze_nodes(
    graph_def: Any,
    outputs: Iterable[str],
    source: Callable[[], ValueSource],
    chosen: Any,
    *,
    is_exact: bool = True,
) -> tuple[Any, list[Place]]:
    """Freeze the part of a graph that outputs need.

    Parameters
    ----------
    graph_def : GraphDef
        Of the private pool.
    outputs : iterable of str
        Names of nodes.
    source : callable
        Gives the values; called only where there are variables.
    chosen : container of str
        Names of the variables to convert.
    is_exact : bool
        Leave what TensorFlow's converter leaves, even where no runtime takes it.

    Returns
    -------
    GraphDef
        The frozen graph.
    list of Place
        Inputs that take a value from a variable, of nodes that were left as they are.
    """
    result = extract_sub_graph(graph_def, outputs)
    return result, convert_nodes(result, source, chosen, is_exact=is_exact)


def convert_nodes(
    result: Any, source: Callable[[], ValueSource], chosen: Any, *, is_exact: bool = True
) -> list[Place]:
    """Make the variables of a graph constants, in place; see :func:`freeze_nodes`."""
    kinds = VARIABLE_OPS - {"Variable"} if is_exact else VARIABLE_OPS
    variables = [x for x in result.node if x.op in kinds and x.name in chosen]
    values = source() if variables else None
    bound = [] if values is None else [values.bind(node) for node in variables]
    size = sum(x.nbytes for x in bound)
    if size > _ALWAYS_FITS:
        size += result.ByteSize()
    _check_size(size, bound)
    conversion = Conversion(result, is_exact=is_exact)
    for node, value in zip(variables, bound, strict=True):
        array = value.read()
        # Of values from a session the size is known now.
        size += 0 if value.nbytes else array.nbytes
        _check_size(size, bound)
        conversion.convert(value.name, as_number(node.attr["dtype"].type), array)
    conversion.finish()
    return conversion.ends


def _check_size(size: int, bound: Sequence[Bound]) -> None:
    if size <= MAX_BYTES:
        return
    largest = sorted(bound, key=lambda x: -x.nbytes)[:_MAX_NAMED]
    named = ", ".join(f"{x.name!r} ({x.nbytes} bytes)" for x in largest if x.nbytes)
    raise LimitExceededError(
        f"GraphDef cannot be larger than 2GB: frozen, this one takes {size} bytes; the largest "
        f"tensors are {named}; leave them out with the list of denied names, or keep the values "
        "in the checkpoint"
    )


def check_ends(ends: Iterable[Place]) -> None:
    """Refuse nodes that need the variable itself where they are given its value."""
    for place in ends:
        op_def = find_op(place.node.op)
        types = [] if op_def is None else _input_types(place.node, op_def)
        if place.input < len(types) and _is_variable(types[place.input]):
            where = f" of function {place.function!r}" if place.function else ""
            raise UnsupportedTypeError(
                f"node {place.node.name!r}{where} ({place.node.op}) needs a variable to read or "
                "change, and a frozen graph has only values; freeze outputs that do not depend "
                "on it",
                key=place.node.name,
            )


def _input_types(node: Any, op_def: Any) -> list[int]:
    try:
        return input_types(node, op_def)
    except CheckpointError:
        return []


def _is_variable(number: int) -> bool:
    return number > REF or number == _RESOURCE
