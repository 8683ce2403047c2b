"""Write SavedModels: everything checked first, variables, assets, and the graph last."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from typing import Any, NamedTuple

from fastckpt.checkpoint.tensorflow_errors import as_text as path_text
from fastckpt.errors import CheckpointIOError, CheckpointNotFoundError, InvalidArgumentError
from fastckpt.graph.files import serialize
from fastckpt.graph.freeze_sources import load_model, split_names
from fastckpt.graph.graph import Graph
from fastckpt.graph.saved_model_reading import asset_files
from fastckpt.graph.saved_model_signatures import INIT_OP, make_signature
from fastckpt.graph.saved_model_variables import (
    opened,
    plan_tensors,
    restores_anything,
    write_tensors,
)
from fastckpt.graph.tensorflow_errors import WrongTypeError
from fastckpt.protos import message_class
from fastckpt.storage import local
from fastckpt.storage.destination import absolute, destination
from fastckpt.storage.replace import replace_file

__all__ = ["NotEmptyError", "export_saved_model"]

_SCHEMA_VERSION = 1
_BINARY, _TEXT = "saved_model.pb", "saved_model.pbtxt"
# What describes the model that was there before.
_STALE = ("fingerprint.pb", "saved_model.cpb")

_STRING = 7


class NotEmptyError(InvalidArgumentError, AssertionError):
    """A directory that holds something where an empty one is expected."""


class _Asset(NamedTuple):
    source: str
    filename: str


def export_saved_model(
    directory: str | os.PathLike[str],
    meta_graph: Any,
    checkpoint: Any,
    *,
    tags: str | Iterable[str] | None,
    signatures: Mapping[str, Any] | None,
    assets: Mapping[str, str | os.PathLike[str]] | None,
    init_op: Any,
    overwrite: bool,
    as_text: bool,
    num_shards: int | None,
    sync: bool,
) -> str:
    """Write a SavedModel; :meth:`fastckpt.graph.SavedModel.export` says how."""
    target = path_text(directory, "directory", paths=True)
    _check_directory(target, overwrite=overwrite)
    message, values = _sources(meta_graph, checkpoint)
    graph = Graph(message.graph_def, op_list=message.meta_info_def.stripped_op_list)
    message.meta_info_def.tags[:] = _tags(message, tags)
    _add_signatures(message, signatures or {}, graph)
    _add_init_op(message, init_op, graph)
    copies = _plan_assets(message, _given_assets(meta_graph, message, assets), graph)
    content = _content(message, as_text=as_text)
    with nullcontext(None) if values is None else opened(values) as source:
        if source is not None and (tensors := plan_tensors(message, source)):
            prefix = local.variables_prefix(absolute(target))
            write_tensors(prefix, tensors, source, num_shards=num_shards, sync=sync)
    for copy in copies:
        replace_file(os.path.join(target, "assets", copy.filename), _read(copy.source), sync=sync)
    name, other = (_TEXT, _BINARY) if as_text else (_BINARY, _TEXT)
    replace_file(os.path.join(target, name), content, sync=sync)
    _remove_stale(target, (other, *_STALE))
    return target


def _check_directory(directory: str, *, overwrite: bool) -> None:
    if not directory:
        raise InvalidArgumentError("the directory is empty; pass one such as 'export/1'")
    # What may not be the prefix of the variables may not be their directory.
    destination(local.variables_prefix(directory))
    if os.path.lexists(directory) and not local.is_directory(directory):
        raise InvalidArgumentError(
            f"{directory!r} is a file; pass a directory for the SavedModel", path=directory
        )
    if not overwrite and any(local.entries(directory)):
        raise NotEmptyError(
            f"Export directory {directory} already exists, and isn't empty. Please choose a "
            "different export directory, delete its contents, or pass overwrite=True",
            path=directory,
        )


def _sources(meta_graph: Any, checkpoint: Any) -> tuple[Any, Any]:
    """Give a MetaGraphDef that belongs to the export, and where the values are."""
    model = load_model(meta_graph, checkpoint)
    message = message_class("MetaGraphDef")()
    if model.meta_graph is None:
        message.graph_def.CopyFrom(model.graph_def)
    else:
        message.CopyFrom(model.meta_graph)
    if not restores_anything(message):
        return message, None
    default = getattr(meta_graph, "checkpoint", None)
    values = default if model.checkpoint is None else model.checkpoint
    if values is None:
        raise InvalidArgumentError(
            "the graph has variables, and no checkpoint was given for their values; pass its "
            "prefix, or arrays"
        )
    return message, values


def _tags(message: Any, tags: str | Iterable[str] | None) -> list[str]:
    if tags is None:
        return sorted(message.meta_info_def.tags) or ["serve"]
    found = split_names(tags) if isinstance(tags, str) else list(tags)
    if not all(isinstance(tag, str) for tag in found):
        raise WrongTypeError(f"tags must be a list of str, not {tags!r}")
    return sorted(set(found))


def _add_signatures(message: Any, signatures: Mapping[str, Any], graph: Graph) -> None:
    if not isinstance(signatures, Mapping):
        raise WrongTypeError(f"signatures must be a dict by name, not {signatures!r}")
    for name, spec in signatures.items():
        message.signature_def[name].CopyFrom(make_signature(name, spec, graph))
    if signatures and message.HasField("object_graph_def"):
        # Loaders of TensorFlow 2 take the functions of the object graph, and know no others.
        message.ClearField("object_graph_def")


def _add_init_op(message: Any, init_op: Any, graph: Graph) -> None:
    if init_op is None:
        return
    name = getattr(init_op, "name", init_op)
    if not isinstance(name, str):
        raise WrongTypeError(f"init_op must be an operation or its name, not {init_op!r}")
    try:
        operation = graph.get_operation_by_name(name)
    except (KeyError, ValueError) as error:
        raise InvalidArgumentError(f"init_op names no operation of the graph: {error}") from None
    info = message.signature_def[INIT_OP].outputs[INIT_OP]
    info.Clear()
    info.name = operation.name
    info.tensor_shape.unknown_rank = True


def _given_assets(meta_graph: Any, message: Any, assets: Any) -> dict[str, str]:
    """Give the paths of assets by name: those of the SavedModel that is copied, those given."""
    if not isinstance(assets, Mapping | None):
        raise WrongTypeError(f"assets must be a dict of names to paths, not {assets!r}")
    source = getattr(meta_graph, "path", meta_graph)
    found = {}
    if isinstance(source, str | os.PathLike) and local.is_saved_model(local.as_path(source)):
        found = asset_files(local.as_path(source), message)
    for name, path in (assets or {}).items():
        found[name] = path_text(path, f"asset {name!r}", paths=True)
    return found


def _plan_assets(message: Any, paths: dict[str, str], graph: Graph) -> list[_Asset]:
    """List the files to copy, and put those that are new into the meta graph."""
    copies: dict[str, _Asset] = {}
    for asset in message.asset_file_def:
        path = paths.pop(asset.tensor_info.name, None) or paths.pop(asset.filename, None)
        if path is None:
            raise InvalidArgumentError(
                f"the meta graph needs the asset {asset.filename!r} for its tensor "
                f"{asset.tensor_info.name!r}; pass assets={{{asset.tensor_info.name!r}: path}}"
            )
        _check_inside(asset.filename)
        copies[asset.filename] = _Asset(_existing(path), asset.filename)
    for name, path in paths.items():
        copy = _new_asset(_existing(path), copies)
        copies[copy.filename] = copy
        asset = message.asset_file_def.add(filename=copy.filename)
        asset.tensor_info.name = _string_tensor(name, graph)
    return list(copies.values())


def _string_tensor(name: str, graph: Graph) -> str:
    try:
        tensor = graph.get_tensor_by_name(name if ":" in name else f"{name}:0")
    except (KeyError, ValueError) as error:
        raise InvalidArgumentError(
            f"asset {name!r} names no tensor of the graph: {error}"
        ) from None
    if tensor.dtype != _STRING:
        raise InvalidArgumentError(
            f"asset {name!r} must name a string tensor, which is fed with the path; this one is "
            f"{tensor.dtype.name}"
        )
    return str(tensor.name)


def _check_inside(filename: str) -> None:
    parts = filename.split("/")
    if not filename or filename.startswith("/") or ".." in parts or "\0" in filename:
        raise InvalidArgumentError(
            f"the meta graph names an asset {filename!r}, which lies outside of the directory of "
            "assets; do not trust this file"
        )


def _existing(path: str) -> str:
    if local.file_size(path) is None:
        raise CheckpointNotFoundError(
            f"no such file for an asset: {path!r}; pass the path of the file in assets", path=path
        )
    return path


def _new_asset(source: str, taken: Mapping[str, _Asset]) -> _Asset:
    """Give the asset a name; files of one name are told apart, a file that is there is shared."""
    base = os.path.basename(source)
    name, number = base, 1
    while name in taken and not os.path.samefile(taken[name].source, source):
        name, number = f"{base}_{number}", number + 1
    return _Asset(source, name)


def _content(message: Any, *, as_text: bool) -> bytes:
    model = message_class("SavedModel")(saved_model_schema_version=_SCHEMA_VERSION)
    model.meta_graphs.append(message)
    return serialize(model, as_text=as_text)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise CheckpointIOError(
            f"cannot read the asset {path!r}: {error.strerror}", path=path, errno=error.errno
        ) from error


def _remove_stale(directory: str, names: Iterable[str]) -> None:
    for name in names:
        try:
            os.unlink(os.path.join(directory, name))
        except FileNotFoundError:
            continue
        except OSError as error:
            raise CheckpointIOError(
                f"the SavedModel is written, but {name!r} of the old one cannot be removed: "
                f"{error.strerror}",
                path=directory,
                errno=error.errno,
            ) from error
