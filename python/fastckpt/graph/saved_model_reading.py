"""Find and read a SavedModel: its directory, its assets, the operation that initialises it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from itertools import islice
from typing import Any

from fastckpt.errors import (
    CheckpointError,
    CheckpointIOError,
    CheckpointNotFoundError,
    UnsupportedError,
)
from fastckpt.graph.files import read_message
from fastckpt.graph.meta_collections import parse_item
from fastckpt.graph.saved_model_signatures import INIT_OP
from fastckpt.names import near_names
from fastckpt.storage import local

__all__ = ["ChunkedModelError", "asset_files", "find_model", "init_op", "read_fingerprint"]

_log = logging.getLogger("fastckpt")

# Collections of TensorFlow 1 that name the operation to run after loading.
_MAIN_OP = "saved_model_main_op"
_LEGACY_INIT_OP = "legacy_init_op"
# A collection that listed assets before MetaGraphDefs had a field for them.
_LEGACY_ASSETS = "saved_model_assets"

_FILES = ("saved_model.pb", "saved_model.pbtxt")
_CHUNKED = "saved_model.cpb"

# Bounds of the search for SavedModels below a directory, for the message.
_MAX_DEPTH = 3
_MAX_LOOKED_INTO = 200
_MAX_NAMED = 3


class ChunkedModelError(UnsupportedError, CheckpointIOError):
    """A SavedModel whose graph is split into chunks."""


def find_model(path: str | os.PathLike[str]) -> tuple[str, Any]:
    """Find a SavedModel and read its message.

    Parameters
    ----------
    path : str or PathLike
        Its directory; its ``saved_model.pb`` or ``.pbtxt``; a directory of versions, whose names
        are numbers, for the highest one.

    Returns
    -------
    (str, SavedModel)
        The directory, and the message.

    Raises
    ------
    CheckpointNotFoundError
        No SavedModel there; the message says what is there instead.
    ChunkedModelError
        A SavedModel in chunks.
    InvalidArgumentError, DataLossError, LimitExceededError, CheckpointIOError
        As :func:`fastckpt.graph.read_message` raises.
    """
    text = local.as_path(path)
    if local.file_size(text) is not None:
        return os.path.dirname(text) or ".", read_message(text, "SavedModel")
    for directory in _candidates(text):
        for name in _FILES:
            file = os.path.join(directory, name)
            if local.file_size(file) is not None:
                return directory, read_message(file, "SavedModel")
        if local.file_size(os.path.join(directory, _CHUNKED)) is not None:
            raise ChunkedModelError(
                f"the SavedModel {directory!r} is in chunks ({_CHUNKED}), which is not supported; "
                "load it with TensorFlow and save it without experimental_image_format",
                path=directory,
            )
    raise _no_model(text)


def asset_files(directory: str, meta_graph: Any) -> dict[str, str]:
    """Give the paths of assets by the names of the tensors that are fed with them."""
    assets = list(meta_graph.asset_file_def)
    if not assets and _LEGACY_ASSETS in meta_graph.collection_def:
        packed = meta_graph.collection_def[_LEGACY_ASSETS].any_list.value
        # Packed by TensorFlow, so under its name of the message.
        assets = [parse_item(_LEGACY_ASSETS, "AssetFileDef", x.value) for x in packed]
    folder = os.path.join(directory, "assets")
    return {asset.tensor_info.name: os.path.join(folder, asset.filename) for asset in assets}


def init_op(meta_graph: Any) -> str | None:
    """Name of the operation that a loader runs after it has restored the variables."""
    if INIT_OP in meta_graph.signature_def:
        outputs = meta_graph.signature_def[INIT_OP].outputs
        if INIT_OP in outputs:
            return str(outputs[INIT_OP].name)
    for key in (_MAIN_OP, _LEGACY_INIT_OP):
        if key in meta_graph.collection_def:
            names = list(meta_graph.collection_def[key].node_list.value)
            if names:
                return str(names[0])
    return None


def read_fingerprint(directory: str) -> Any:
    """Read ``fingerprint.pb``; None where there is none."""
    path = os.path.join(directory, "fingerprint.pb")
    return None if local.file_size(path) is None else read_message(path, "FingerprintDef")


def _candidates(path: str) -> Iterator[str]:
    """Give the directory itself, or the highest of its versions."""
    if local.is_saved_model(path):
        yield path
        return
    numbers = [name for name in local.entries(path) if name.isdecimal() and name.isascii()]
    for name in sorted(numbers, key=int, reverse=True):
        version = os.path.join(path, name)
        if local.is_saved_model(version):
            _log.info("%r holds versions of a SavedModel; opening %r", path, version)
            yield version
            return


def _no_model(path: str) -> CheckpointError:
    names = "|".join(reversed(_FILES))
    return CheckpointNotFoundError(
        f"SavedModel file does not exist at: {path}{os.path.sep}{{{names}}} ({_hint(path)})",
        path=path,
    )


def _hint(path: str) -> str:
    if not local.is_directory(path):
        parent, name = os.path.split(path.rstrip("/"))
        near = near_names(name, sorted(local.entries(parent)))
        found = [repr(os.path.join(parent, x)) for x in near]
        return f"no such directory{'; did you mean ' + ' or '.join(found) + '?' if found else ''}"
    below = list(islice(_models_below(path), _MAX_LOOKED_INTO))
    if below:
        newest = sorted(below, key=_version_of, reverse=True)[:_MAX_NAMED]
        return f"there are SavedModels below: pass {' or '.join(map(repr, newest))}"
    if local.file_size(os.path.join(path, "checkpoint")) is not None or local.prefixes_in(path):
        return f"the directory holds a checkpoint: open it with fastckpt.open({path!r})"
    shown = sorted(local.entries(path))[:_MAX_NAMED]
    return f"the directory holds {', '.join(map(repr, shown))}" if shown else "it is empty"


def _models_below(path: str, depth: int = 1) -> Iterator[str]:
    for name in islice(sorted(local.entries(path)), _MAX_LOOKED_INTO):
        inner = os.path.join(path, name)
        if local.is_saved_model(inner):
            yield inner
        elif depth < _MAX_DEPTH and local.is_directory(inner):
            yield from _models_below(inner, depth + 1)


def _version_of(path: str) -> tuple[int, str]:
    name = os.path.basename(path)
    return (int(name) if name.isdecimal() and name.isascii() else -1, path)
