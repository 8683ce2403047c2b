"""TensorFlow's program ``freeze_graph``, as a function: files in, a file out."""

from __future__ import annotations

import os
from typing import Any

from fastckpt.errors import CheckpointNotFoundError
from fastckpt.graph.files import is_text, parse_message, read_bytes
from fastckpt.graph.freeze_protos import freeze_graph_with_def_protos
from fastckpt.graph.freeze_sources import chosen_meta_graph, split_names
from fastckpt.graph.saved_model_reading import find_model

__all__ = ["freeze_graph"]


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
    tags = split_names(saved_model_tags)
    is_binary = bool(input_binary)
    graph_def = None
    if input_saved_model_dir:
        _, model = find_model(input_saved_model_dir)
        graph_def = chosen_meta_graph(model.meta_graphs, tags).graph_def
    elif input_graph:
        graph_def = _read(input_graph, "GraphDef", "graph", is_binary=is_binary)
    meta_graph_def = saver_def = None
    if input_meta_graph:
        meta_graph_def = _read(input_meta_graph, "MetaGraphDef", "meta graph", is_binary=is_binary)
    if input_saver:
        saver_def = _read(input_saver, "SaverDef", "saver", is_binary=is_binary)
    return freeze_graph_with_def_protos(
        graph_def,
        saver_def,
        input_checkpoint,
        output_node_names,
        restore_op_name,
        filename_tensor_name,
        output_graph,
        clear_devices,
        initializer_nodes,
        variable_names_whitelist,
        variable_names_denylist,
        meta_graph_def,
        input_saved_model_dir,
        tags,
        checkpoint_version,
    )


def _read(path: Any, name: str, what: str, *, is_binary: bool) -> Any:
    if not os.path.exists(path):
        raise CheckpointNotFoundError(
            f"Input {what} file '{os.fspath(path)}' does not exist!", path=os.fspath(path)
        )
    data = read_bytes(path)
    if data and is_text(data) == is_binary:
        from fastckpt.graph.form_errors import wrong_form

        raise wrong_form(os.fspath(path), data, is_binary=is_binary)
    return parse_message(data, name, path=os.fspath(path), empty_ok=True)
