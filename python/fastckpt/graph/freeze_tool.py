"""TensorFlow's program ``freeze_graph``, as a function: files in, a file out."""

from __future__ import annotations

import os
import re
from typing import Any, NamedTuple

from fastckpt.checkpoint import Checkpoint, open_checkpoint
from fastckpt.checkpoint.existing import existing_checkpoint
from fastckpt.errors import CheckpointNotFoundError, InvalidArgumentError
from fastckpt.graph.files import is_text, parse_message, read_bytes, write_message
from fastckpt.graph.freeze_sources import chosen_meta_graph, split_names, with_init_op
from fastckpt.graph.freezing import Chosen, freeze_nodes
from fastckpt.graph.graph_def import clear_devices as without_devices
from fastckpt.graph.graph_def import fill_default_attrs
from fastckpt.graph.initial_values import StartedValues, initial_values
from fastckpt.graph.restoring import VARIABLE_OPS, restored_variables
from fastckpt.graph.saved_model_reading import find_model
from fastckpt.graph.sources import as_graph_def
from fastckpt.graph.tensorflow_errors import WrongTypeError
from fastckpt.graph.variable_values import ValueSource, Ways, value_source

__all__ = ["freeze_graph"]

# How partitioned variables name their parts.
_PART = re.compile(r"/part_\d+/")


class _Form(NamedTuple):
    """How the files are to be read."""

    is_binary: bool
    tags: str


class _Source(NamedTuple):
    """The graph to freeze, and how its variables are stored: by name where it `is_plain`."""

    graph_def: Any
    checkpoint: Any
    ways: Ways
    is_plain: bool
    saved: Any


def freeze_graph(
    input_graph: str | os.PathLike[str] | None,
    input_saver: str | os.PathLike[str] | None,
    input_binary: bool,  # noqa: FBT001 - TensorFlow's signature
    input_checkpoint: str | os.PathLike[str] | None,
    output_node_names: str,
    restore_op_name: str | None,
    filename_tensor_name: str | None,
    output_graph: str | os.PathLike[str] | None,
    clear_devices: bool,  # noqa: FBT001
    initializer_nodes: str | None,
    variable_names_whitelist: str = "",
    variable_names_denylist: str = "",
    input_meta_graph: str | os.PathLike[str] | None = None,
    input_saved_model_dir: str | os.PathLike[str] | None = None,
    saved_model_tags: str = "serve",
    checkpoint_version: int = 2,
) -> Any:
    """Freeze a graph in a file with the values of a checkpoint.

    Parameters
    ----------
    input_graph : str or PathLike
        File of a GraphDef; not used with `input_meta_graph` or `input_saved_model_dir`.
    input_saver : str or PathLike
        File of a SaverDef, whose nodes in the graph tell the keys of variables.
    input_binary : bool
        Whether graph, meta graph and saver are in binary rather than text form.
    input_checkpoint : str or PathLike
        Prefix of the checkpoint, V2 or V1.
    output_node_names : str
        Names of the nodes to compute, with commas between; blanks do not count.
    restore_op_name, filename_tensor_name : str
        Not used, as in TensorFlow.
    output_graph : str or PathLike
        File to write, in binary form; empty for none.
    clear_devices : bool
        Let all nodes run on any device. Those of a meta graph always may.
    initializer_nodes : str
        Names of nodes that give variables their values where they assign constants.
    variable_names_whitelist, variable_names_denylist : str
        Names of variables to convert, and of variables to leave, with commas between.
    input_meta_graph : str or PathLike, optional
        File of a MetaGraphDef.
    input_saved_model_dir : str or PathLike, optional
        Directory of a SavedModel; it has its variables with it.
    saved_model_tags : str
        Tags of the meta graph in the SavedModel, with commas between.
    checkpoint_version : int
        Not used: what a checkpoint is shows in its files.

    Returns
    -------
    GraphDef
        Of the private pool, with the nodes that TensorFlow's function gives.

    Raises
    ------
    InvalidArgumentError
        No such checkpoint, no output names, a graph without variables, partitioned variables
        in a plain graph; ValueErrors too.
    CheckpointNotFoundError
        A file is missing; an OSError too.
    NotBinaryError, NotTextError
        `input_binary` is wrong; protobuf's DecodeError and a UnicodeDecodeError too.
    CheckpointError
        What :func:`fastckpt.graph.convert_variables_to_constants` raises.

    Notes
    -----
    Of several sources the saver comes before the meta graph, that before the SavedModel, and a
    plain graph is last: its variables are stored under their names. Unlike in TensorFlow, those
    may be resources, and only what the outputs need has to be in the checkpoint. The file appears
    whole or not at all.
    """
    del restore_op_name, filename_tensor_name, checkpoint_version
    form = _Form(bool(input_binary), saved_model_tags)
    source = _source(input_graph, input_saver, input_meta_graph, input_saved_model_dir, form)
    if not input_saved_model_dir:
        source = source._replace(checkpoint=_checkpoint(input_checkpoint))
    if not output_node_names:
        raise InvalidArgumentError("You need to supply the name of a node to --output_node_names.")
    graph_def = without_devices(source.graph_def) if clear_devices else source.graph_def
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


def _source(graph: Any, saver: Any, meta_graph: Any, directory: Any, form: _Form) -> _Source:
    """Read the files, in TensorFlow's order of precedence."""
    graph_def = checkpoint = saved = None
    ways: Ways = []
    if directory:
        checkpoint, model = find_model(directory)
        saved = chosen_meta_graph(model.meta_graphs, form.tags)
        graph_def = saved.graph_def
        ways = [restored_variables(graph_def, saved.saver_def)]
    elif graph:
        graph_def = _read(graph, "GraphDef", "graph", form)
    if meta_graph:
        meta = _read(meta_graph, "MetaGraphDef", "meta graph", form)
        graph_def = without_devices(meta.graph_def)
        ways = [restored_variables(graph_def, meta.saver_def)]
    if saver:
        saver_def = _read(saver, "SaverDef", "saver", form)
        ways = [restored_variables(as_graph_def(graph_def), saver_def)]
    filled = _filled(as_graph_def(graph_def))
    is_plain = not (directory or meta_graph or saver)
    return _Source(filled, checkpoint, ways, is_plain, saved)


def _filled(graph_def: Any) -> Any:
    filled = type(graph_def)()
    filled.CopyFrom(graph_def)
    fill_default_attrs(filled)
    return filled


def _read(path: Any, name: str, what: str, form: _Form) -> Any:
    if not os.path.exists(path):
        raise CheckpointNotFoundError(
            f"Input {what} file '{os.fspath(path)}' does not exist!", path=os.fspath(path)
        )
    data = read_bytes(path)
    if data and is_text(data) == form.is_binary:
        from fastckpt.graph.form_errors import wrong_form

        raise wrong_form(os.fspath(path), data, is_binary=form.is_binary)
    return parse_message(data, name, path=os.fspath(path), empty_ok=True)


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
