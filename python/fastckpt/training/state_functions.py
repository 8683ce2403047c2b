"""What the state file of a directory says, and which checkpoints exist, by TensorFlow's names."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Iterable

from fastckpt.checkpoint.tensorflow_errors import NotTextError, WrongTypeError
from fastckpt.errors import CheckpointError, CheckpointIOError, DataLossError, LimitExceededError
from fastckpt.storage import local, matching
from fastckpt.storage.state import STATE_FILE, CheckpointState, parse_state, read_state

__all__ = [
    "checked_prefix",
    "checkpoint_exists",
    "get_checkpoint_mtimes",
    "get_checkpoint_state",
    "latest_checkpoint",
]

_log = logging.getLogger("fastckpt")

# A state file of 10 000 checkpoints takes about 1 MiB.
_MAX_STATE_BYTES = 4 << 20

# A running writer may delete one named checkpoint after another before they are looked for.
_MAX_STATE_READS = 1000


def get_checkpoint_state(
    checkpoint_dir: str | os.PathLike[str], latest_filename: str | None = None
) -> CheckpointState | None:
    """Read the state file of a directory.

    Parameters
    ----------
    checkpoint_dir : str or PathLike
        The directory.
    latest_filename : str, optional
        Name of the state file; ``"checkpoint"`` by default.

    Returns
    -------
    CheckpointState or None
        Relative paths are joined to `checkpoint_dir`; whether they exist is not looked at, nor is
        anything looked for elsewhere. None where there is no state file, and, with a warning in
        the log, where it cannot be read or parsed.

    Raises
    ------
    DataLossError
        The file names no checkpoint, such as an empty one, or is not UTF-8; a ValueError, and in
        the latter case a UnicodeDecodeError.
    WrongTypeError
        A directory that is neither str nor a PathLike of one; a TypeError.
    """
    directory, path = _state_file(checkpoint_dir, latest_filename)
    try:
        text = _read_text(path)
        state = None if text is None else parse_state(text, repair=False)
    except (NotTextError, LimitExceededError):
        raise
    except (CheckpointIOError, DataLossError) as error:
        _log.warning("%s: %s", type(error).__name__, error)
        _log.warning("%s: Checkpoint ignored", path)
        return None
    if state is None:
        return None
    if not state.model_checkpoint_path:
        raise DataLossError(
            f"Invalid checkpoint state loaded from {directory}: {path!r} names no checkpoint; it "
            "may have been written to a full disk: pass the prefix of a checkpoint instead",
            path=path,
        )
    return dataclasses.replace(
        state,
        model_checkpoint_path=os.path.join(directory, state.model_checkpoint_path),
        all_model_checkpoint_paths=[
            os.path.join(directory, x) for x in state.all_model_checkpoint_paths
        ],
    )


def latest_checkpoint(
    checkpoint_dir: str | os.PathLike[str], latest_filename: str | None = None
) -> str | None:
    """Find the latest checkpoint of a directory.

    Parameters
    ----------
    checkpoint_dir, latest_filename
        As for :func:`get_checkpoint_state`.

    Returns
    -------
    str or None
        Prefix of the checkpoint that the state file names. Where that is gone, the one of the
        same name beside the state file (the directory was moved; said in the log). None where
        there is neither, with an error in the log, or no usable state file.

    Raises
    ------
    DataLossError, WrongTypeError
        As :func:`get_checkpoint_state`.
    """
    named, is_there = _named_latest(checkpoint_dir, latest_filename)
    if is_there:
        return named
    moved = _beside(checkpoint_dir, latest_filename)
    if moved is not None:
        return moved
    if named is not None and checkpoint_exists(named):
        return named
    if named is not None:
        _log.error("Couldn't match files for checkpoint %s", named)
    return None


def checkpoint_exists(checkpoint_prefix: str) -> bool:
    """Whether there is a checkpoint of that prefix.

    Parameters
    ----------
    checkpoint_prefix : str
        A prefix, or a pattern with ``*`` and ``?``. Brackets are ordinary characters.

    Returns
    -------
    bool
        Whether its index exists, or anything of that very name: a V1 file, but a directory too.
    """
    return bool(matching.checkpoint_files(checked_prefix(checkpoint_prefix)))


def get_checkpoint_mtimes(checkpoint_prefixes: Iterable[str]) -> list[float]:
    """Give the modification times of checkpoints.

    Parameters
    ----------
    checkpoint_prefixes : iterable of str
        As for :func:`checkpoint_exists`.

    Returns
    -------
    list of float
        Whole seconds since the epoch; checkpoints that do not exist are left out.
    """
    if not isinstance(checkpoint_prefixes, Iterable):
        raise WrongTypeError(
            f"checkpoint_prefixes must be a list of str, not {checkpoint_prefixes!r}"
        )
    times = (_mtime(checked_prefix(prefix)) for prefix in checkpoint_prefixes)
    return [time for time in times if time is not None]


def _named_latest(
    checkpoint_dir: str | os.PathLike[str], latest_filename: str | None
) -> tuple[str | None, bool]:
    """What the state file names, and whether it is there; read again while it names others."""
    before = named = None
    for _ in range(_MAX_STATE_READS):
        state = get_checkpoint_state(checkpoint_dir, latest_filename)
        named = None if state is None else state.model_checkpoint_path
        if named is None or named == before:
            break
        if _is_checkpoint(named):
            return named, True
        before = named
    return named, False


def _state_file(
    checkpoint_dir: str | os.PathLike[str], latest_filename: str | None
) -> tuple[str, str]:
    name = STATE_FILE if latest_filename is None else latest_filename
    try:
        directory = os.fspath(checkpoint_dir)
        return directory, os.path.join(directory, name)
    except TypeError as error:
        raise WrongTypeError(f"checkpoint_dir and latest_filename name a file: {error}") from None


def _read_text(path: str) -> str | None:
    """Text of a state file; None where there is none."""
    if "\0" in path:
        return None
    if local.is_directory(path):
        raise CheckpointIOError(f"{path!r} is a directory", path=path)
    size = local.file_size(path)
    if size is None:
        return None
    if size > _MAX_STATE_BYTES:
        raise LimitExceededError(
            f"checkpoint state {path!r} has {size} bytes, more than the {_MAX_STATE_BYTES} read "
            "at most; this is no state file",
            path=path,
        )
    try:
        return local.read_head(path, _MAX_STATE_BYTES).decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotTextError(
            f"checkpoint state {path!r} is not text: byte {error.start} is not UTF-8; "
            "pass the prefix of a checkpoint instead of the directory",
            reason=error,
            path=path,
        ) from None


def _is_checkpoint(prefix: str) -> bool:
    return any(map(os.path.isfile, matching.checkpoint_files(prefix)))


def _mtime(prefix: str) -> float | None:
    files = matching.checkpoint_files(prefix)
    try:
        return float(int(os.stat(files[0]).st_mtime)) if files else None
    except FileNotFoundError:  # deleted since it was listed
        return None


def _beside(checkpoint_dir: str | os.PathLike[str], latest_filename: str | None) -> str | None:
    """Find the latest checkpoint beside a state file that names another place."""
    try:
        state = read_state(checkpoint_dir, latest_filename)
    except CheckpointError:
        return None
    if state is None or not _is_checkpoint(state.model_checkpoint_path):
        return None
    return state.model_checkpoint_path


def checked_prefix(prefix: str) -> str:
    """Give the prefix of a checkpoint; WrongTypeError for anything but a str."""
    if not isinstance(prefix, str):
        raise WrongTypeError(
            f"a checkpoint prefix must be str, not {type(prefix).__name__}: {prefix!r}"
        )
    return prefix
