"""Freezing as TensorFlow's program does it, from messages: which source counts, what it says."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from fastckpt.checkpoint import Checkpoint, open_checkpoint
from fastckpt.checkpoint.existing import existing_checkpoint
from fastckpt.errors import CheckpointNotFoundError, InvalidArgumentError
from fastckpt.graph.files import write_message
from fastckpt.graph.freeze_sources import chosen_meta_graph, split_names, with_init_op
from fastckpt.graph.freezing import Chosen, freeze_nodes
from fastckpt.graph.graph_def import clear_devices as without_devices
from fastckpt.graph.graph_def import fill_default_attrs
from fastckpt.graph.initial_values import StartedValues, initial_values
from fastckpt.graph.restoring import VARIABLE_OPS, restored_variables
from fastckpt.graph.saved_model_reading import find_model
from fastckpt.graph.sources import as_graph_def, as_message
from fastckpt.graph.tensorflow_errors import WrongTypeError
from fastckpt.graph.variable_values import ValueSource, Ways, value_source

__all__ = ["freeze_graph_with_def_protos"]

# How partitioned variables name their parts.
_PART = re.compile(r"/part_\d+/")


class _Source(NamedTuple):
    """The graph to freeze, and how its variables are stored: by name where it `is_plain`."""

    graph_def: Any
    checkpoint: Any
    ways: Ways
    is_plain: bool
    saved: Any


def freeze_graph_with_def_protos(
    input_graph_def: Any,
    input_saver_def: Any,
    input_checkpoint: str | os.PathLike[str] | None,
    output_node_names: str,
    restore_op_name: str | None,
    filename_tensor_name: str | None,
    output_graph: str | os.PathLike[str] | None,
    clear_devices: bool,  # noqa: FBT001 - TensorFlow's signature
    initializer_nodes: str | None,
    variable_names_whitelist: str = "",
    variable_names_denylist: str = "",
    input_meta_graph_def: Any = None,
    input_saved_model_dir: str | os.PathLike[str] | None = None,
    saved_model_tags: Iterable[str] | None = None,
    checkpoint_version: int = 2,
) -> Any:
    """Freeze a graph with the values of a checkpoint; :func:`freeze_graph` with messages.

    Parameters
    ----------
    input_graph_def : GraphDef
        The graph, TensorFlow's message too; None with a meta graph.
    input_saver_def : SaverDef
        Names the nodes that tell the keys of variables; None for none.
    input_meta_graph_def : MetaGraphDef, optional
        The graph, with its saver.
    input_saved_model_dir : str or PathLike, optional
        Directory of the SavedModel that `input_graph_def` is from; it has the variables.
    saved_model_tags : iterable of str, optional
        Tags of the meta graph in it.
    input_checkpoint, output_node_names, restore_op_name, filename_tensor_name, output_graph
        As for :func:`freeze_graph`, and so are all others.

    Returns
    -------
    GraphDef
        Of the private pool; no message that was given is changed.

    Raises
    ------
    CheckpointError
        What :func:`freeze_graph` raises.
    """
    del restore_op_name, filename_tensor_name, checkpoint_version
    checkpoint = None if input_saved_model_dir else _checkpoint(input_checkpoint)
    if not output_node_names:
        raise InvalidArgumentError("You need to supply the name of a node to --output_node_names.")
    source = (
        _from_saved_model(input_graph_def, input_saved_model_dir, saved_model_tags)
        if input_saved_model_dir
        else _Source(input_graph_def, checkpoint, [], True, None)
    )
    source = _with_savers(source, input_saver_def, input_meta_graph_def)
    graph_def = _filled(as_graph_def(source.graph_def, "input_graph_def"))
    if clear_devices:
        graph_def = without_devices(graph_def)
    if source.is_plain:
        _check_plain(graph_def, source.checkpoint)
    started = initial_values(graph_def, split_names(initializer_nodes or ""))
    chosen = Chosen(_listed(variable_names_whitelist), _listed(variable_names_denylist))

    def values() -> ValueSource:
        stored = value_source(source.checkpoint, source.ways)
        return StartedValues(started, with_init_op(source.saved, stored))

    frozen, _ = freeze_nodes(graph_def, split_names(output_node_names), values, chosen)
    if output_graph:
        write_message(output_graph, frozen)
    return frozen


def _from_saved_model(graph_def: Any, path: Any, tags: Iterable[str] | None) -> _Source:
    directory, model = find_model(path)
    saved = chosen_meta_graph(model.meta_graphs, tags or ())
    ways = [restored_variables(saved.graph_def, saved.saver_def)]
    graph_def = saved.graph_def if graph_def is None else graph_def
    return _Source(graph_def, directory, ways, False, saved)


def _with_savers(source: _Source, saver_def: Any, meta_graph: Any) -> _Source:
    """The saver comes before the meta graph, and both before what was there."""
    if meta_graph is not None:
        message = as_message(meta_graph)
        # Importing a meta graph, TensorFlow clears the devices of the message itself.
        graph_def = without_devices(message.graph_def)
        ways = [restored_variables(graph_def, message.saver_def)]
        source = source._replace(graph_def=graph_def, ways=ways, is_plain=False)
    if saver_def is not None:
        graph_def = as_graph_def(source.graph_def, "input_graph_def")
        ways = [restored_variables(graph_def, as_message(saver_def))]
        source = source._replace(ways=ways, is_plain=False)
    return source


def _filled(graph_def: Any) -> Any:
    filled = type(graph_def)()
    filled.CopyFrom(graph_def)
    fill_default_attrs(filled)
    return filled


def _checkpoint(path: Any) -> Checkpoint:
    try:
        return open_checkpoint(existing_checkpoint(path))
    except CheckpointNotFoundError as error:
        raise InvalidArgumentError(
            f"Input checkpoint '{os.fspath(path)}' doesn't exist! ({error})", path=os.fspath(path)
        ) from error


def _listed(names: str) -> list[str] | None:
    return split_names(names) if names else None


def _check_plain(graph_def: Any, checkpoint: Checkpoint) -> None:
    """Refuse a graph whose nodes of the names of tensors are no variables, as TensorFlow does."""
    found = {node.name: node.op for node in graph_def.node if node.name in checkpoint}
    others = [name for name, op in found.items() if op not in VARIABLE_OPS]
    if not found:
        raise InvalidArgumentError(
            "No variables to save: no tensor of the checkpoint has the name of a variable; pass "
            "the meta graph or the saver"
        )
    if not others:
        return
    parts = [node.name for node in graph_def.node if _PART.search(f"{node.name}:0")]
    if any(name in part for name in found for part in parts):
        raise InvalidArgumentError(
            "Models containing partition variables cannot be converted from checkpoint files. "
            "Please pass in a SavedModel using the flag --input_saved_model_dir."
        )
    ops = {node.op for node in graph_def.node}
    if not any(op.startswith("Variable") or op.endswith("VariableOp") for op in ops):
        raise InvalidArgumentError(
            "No variables were found in this model. It is likely the model was frozen "
            "previously. You cannot freeze a graph twice."
        )
    raise WrongTypeError(
        f"tensor {others[0]!r} of the checkpoint is no variable in the graph but "
        f"{found[others[0]]!r}; pass the meta graph or the saver"
    )
