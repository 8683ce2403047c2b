"""Removing checkpoints, by TensorFlow's names."""

from __future__ import annotations

import logging
import os
import re

from fastckpt import _core
from fastckpt.checkpoint.tensorflow_errors import WrongTypeError
from fastckpt.errors import CheckpointIOError
from fastckpt.names import index_file, strip_suffix
from fastckpt.storage import matching
from fastckpt.storage.destination import absolute
from fastckpt.training.state_functions import checked_prefix

__all__ = ["V2", "meta_graph_filename", "remove_checkpoint", "remove_one"]

# SaverDef.CheckpointFormatVersion.
V2 = 2

# How the name of a sharded V1 checkpoint ends, as Saver.save gives it or as one shard has it.
_V1_SHARDS = re.compile(r"-[\d?]+-of-\d+\Z")
_DATA = ".data-?????-of-?????"

_log = logging.getLogger("fastckpt")


def remove_checkpoint(
    checkpoint_prefix: str,
    checkpoint_format_version: int = V2,
    meta_graph_suffix: str = "meta",
) -> None:
    """Remove the files of a checkpoint.

    Parameters
    ----------
    checkpoint_prefix : str
        A prefix, or a pattern with ``*`` and ``?`` that may match several. Brackets are ordinary
        characters.
    checkpoint_format_version : int
        2 for a V2 checkpoint: index and data shards. Otherwise the very name, or the pattern that
        V1 shards have.
    meta_graph_suffix : str
        Suffix of the meta graph, which is removed too.

    Raises
    ------
    WrongTypeError
        A prefix that is not str; a TypeError.
    CheckpointBusyError
        A live writer owns the prefix; nothing was removed.
    CheckpointIOError
        The operating system refused.

    Notes
    -----
    The index goes first: a reader finds the whole checkpoint or none. What is missing is passed
    over. Other files of similar names stay.
    """
    prefix = checked_prefix(checkpoint_prefix)
    meta = meta_graph_filename(prefix, meta_graph_suffix)
    if checkpoint_format_version == V2:
        for found in _v2_prefixes(prefix):
            _discard(found)
    else:
        _unlink_matching(prefix)
    _unlink_matching(meta)


def remove_one(prefix: str, version: int = V2, meta_graph_suffix: str | None = "meta") -> None:
    """Remove one checkpoint by its very name; only the shards of V1 are a pattern.

    Parameters
    ----------
    prefix : str
        What a save returned.
    version : int
        As in :func:`remove_checkpoint`.
    meta_graph_suffix : str, optional
        None leaves the meta graph.
    """
    if version == V2:
        _discard(prefix)
    else:
        for path in _v1_files(prefix):
            _unlink(path)
    if meta_graph_suffix is not None:
        _unlink(meta_graph_filename(prefix, meta_graph_suffix))


def meta_graph_filename(checkpoint_filename: str, meta_graph_suffix: str = "meta") -> str:
    """Name of the meta graph of a checkpoint.

    >>> meta_graph_filename("m-7-?????-of-00002")
    'm-7.meta'
    """
    if not isinstance(meta_graph_suffix, str):
        raise WrongTypeError(f"meta_graph_suffix must be str, not {meta_graph_suffix!r}")
    return f"{_V1_SHARDS.sub('', checkpoint_filename)}.{meta_graph_suffix}"


def _v2_prefixes(prefix: str) -> list[str]:
    """Prefixes of everything that matches, shards without an index included."""
    files = matching.matching_files(index_file(prefix)) + matching.matching_files(prefix + _DATA)
    return list(dict.fromkeys(strip_suffix(file)[0] for file in files))


def _v1_files(name: str) -> list[str]:
    """The file, or the shards that a sharded save names by a pattern."""
    base, mark, count = name.rpartition("-?????-of-")
    if not mark or not count.isdecimal():
        return [name]
    return [f"{base}-{i:05d}-of-{count}" for i in range(int(count))]


def _discard(prefix: str) -> None:
    try:
        _core.discard(os.fsencode(absolute(prefix)))
    except CheckpointIOError as error:
        # No directory, no checkpoint.
        if os.path.isdir(os.path.dirname(absolute(prefix))):
            raise
        _log.debug("nothing to remove at %s: %s", prefix, error)


def _unlink_matching(pattern: str) -> None:
    for path in matching.matching_files(pattern):
        _unlink(path)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise CheckpointIOError(
            f"cannot remove {path!r}: {error.strerror}", path=path, errno=error.errno
        ) from error
