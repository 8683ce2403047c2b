"""Answering "what is this path?": any path becomes a prefix, or an error that helps.

A prefix wins over everything else of the same name. Brackets are ordinary characters; ``*`` and
``?`` in the last component make a V1 pattern where no file of that very name exists.
"""

from __future__ import annotations

import os
from typing import Literal, NamedTuple

from fastckpt.errors import (
    CheckpointNotFoundError,
    DataLossError,
)
from fastckpt.names import index_file, strip_suffix
from fastckpt.storage import content, explain, local
from fastckpt.storage.state import STATE_FILE, read_state
from fastckpt.storage.urls import check_no_url

__all__ = ["Location", "locate"]

# How often a state file is read again while it names one deleted checkpoint after another: a
# bound for a writer that is always faster than a reader which gets no processor.
_MAX_STATE_READS = 1000


Origin = Literal["prefix", "file", "state", "saved_model"]


class Location(NamedTuple):
    """Where a checkpoint is.

    Attributes
    ----------
    prefix : str
        Path without suffix; for V1 the file, or the pattern of its shards.
    kind : {"v2", "v1"}
        Its format.
    origin : {"prefix", "file", "state", "saved_model"}
        What the path was: a prefix, one file of a checkpoint, a directory (or its state file)
        whose latest checkpoint this is, or a SavedModel directory.
    """

    prefix: str
    kind: Literal["v2", "v1"]
    origin: Origin = "prefix"


def locate(path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> Location:
    """Find the checkpoint that `path` means.

    Parameters
    ----------
    path : str, bytes or PathLike
        A prefix; any file of a checkpoint; a directory with a state file, or that file; a
        SavedModel directory; a V1 file or pattern.

    Returns
    -------
    Location
        Its index, or its first V1 file, is there and begins plausibly.

    Raises
    ------
    CheckpointNotFoundError
        Nothing there, a directory without checkpoint, shards without index, a Git-LFS pointer.
    InvalidArgumentError
        A path of the wrong kind, or a file that is something else; the message says what to call.
    DataLossError
        A file that is empty or not recognised.
    UnsupportedError
        A URL.
    CheckpointIOError
        The system refuses to look.

    Notes
    -----
    Reads at most a few KiB of any file, except the state file. A directory's writer may delete its
    latest checkpoint at any time: where opening fails, locate again and retry if it gives another.
    """
    text = local.as_path(path)
    check_no_url(
        text,
        "opening it needs the extra 'remote'; install it with pip install 'tf-fastckpt[remote]', "
        "or copy the files to a local directory",
    )
    found = (
        _given_prefix(text)
        or _directory(text)
        or _file_of_checkpoint(text)
        or _state_file(text)
        or _v1(text)
    )
    if found is None:
        raise explain.no_checkpoint(text)
    return found


def _given_prefix(path: str) -> Location | None:
    # "dir/" means the directory, although it is also the prefix of hidden files in it.
    return None if path.endswith("/") else _prefix(path, "prefix")


def _prefix(prefix: str, origin: Origin) -> Location | None:
    """Give the V2 checkpoint of that prefix, where it has an index worth opening."""
    index = index_file(prefix)
    head = local.read_head(index, 64)
    if head:
        if content.is_lfs_pointer(head):
            raise explain.lfs_pointer(index)
        # An index, damaged or not, begins with a zero or like nothing known.
        other = content.recognise(head) if head[:1] != b"\0" else None
        if other is not None and not local.is_table(index):
            raise explain.other_index(index, other)
        return Location(prefix, "v2", origin)
    size = local.file_size(index)
    if size is None:
        return None
    if size:  # it came back since its head was read
        return Location(prefix, "v2", origin)
    raise DataLossError(
        f"index {index!r} is empty; the save was interrupted or the disk was full: "
        "use another checkpoint",
        path=index,
    )


def _directory(path: str) -> Location | None:
    """Give the latest checkpoint, the variables of a SavedModel, or what was saved to "dir/"."""
    if not local.is_directory(path):
        # A trailing slash on something that is no directory is taken for a slip.
        bare = path.rstrip("/")
        return _prefix(bare, "prefix") if bare != path and bare else None
    try:
        latest = _latest(path, STATE_FILE)
    except CheckpointNotFoundError:
        if not local.is_saved_model(path):
            raise
        latest = None
    return latest or _saved_model(path) or _prefix(os.path.join(path, ""), "prefix")


def _saved_model(directory: str) -> Location | None:
    if not local.is_saved_model(directory):
        return None
    return _prefix(local.variables_prefix(directory), "saved_model")


def _latest(directory: str, latest_filename: str) -> Location | None:
    """Give the latest checkpoint of a state file, which a running writer may replace meanwhile."""
    named = None
    for _ in range(_MAX_STATE_READS):
        state = read_state(directory, latest_filename)
        if state is None:
            return None
        prefix = state.model_checkpoint_path
        found = _prefix(prefix, "state") or _v1(prefix)
        if found is not None:
            return found._replace(origin="state")
        if prefix == named:
            break
        named = prefix
    raise explain.latest_is_gone(os.path.join(directory, latest_filename), named or "", directory)


def _file_of_checkpoint(path: str) -> Location | None:
    prefix, kind = strip_suffix(path)
    if kind == "prefix":
        return None
    return _prefix(prefix, "file") or (_v1_meta(prefix) if kind == "meta" else None)


def _v1_meta(prefix: str) -> Location | None:
    """Give the V1 checkpoint beside a meta graph: one file, or shards."""
    found = _v1(prefix) or _v1_shards(prefix)
    return None if found is None else found._replace(origin="file")


def _state_file(path: str) -> Location | None:
    if not content.is_state_text(local.read_head(path)):
        return None
    directory, name = os.path.split(path)
    return _latest(directory, name)


def _v1(path: str) -> Location | None:
    """Give a V1 file or pattern, or the name that the shards of a V1 checkpoint share."""
    if local.file_size(path) is None:
        return _v1_pattern(path) if local.is_pattern(path) else _v1_shards(path)
    if not local.is_table(path):
        return None
    if local.is_v2_index(path):
        raise explain.renamed_index(path)
    pattern = local.v1_pattern(path)
    return Location(path, "v1") if pattern is None else Location(pattern, "v1", "file")


def _v1_pattern(pattern: str) -> Location | None:
    tables = (x for x in local.matches(pattern) if local.is_table(x))
    return None if all(map(local.is_v2_index, tables)) else Location(pattern, "v1")


def _v1_shards(name: str) -> Location | None:
    """Give the V1 checkpoint whose shards are `name-00000-of-00002` and so on."""
    first = next(iter(local.matches(f"{name}-00000-of-?????")), None)
    if first is None or not local.is_table(first):
        return None
    return Location(local.v1_pattern(first) or first, "v1")
