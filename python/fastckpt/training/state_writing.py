"""Writing the state file of a directory, by TensorFlow's names."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence

from fastckpt.checkpoint.tensorflow_errors import WrongStateError, WrongTypeError
from fastckpt.errors import CheckpointNotFoundError, InvalidArgumentError
from fastckpt.storage import local
from fastckpt.storage.replace import replace_file
from fastckpt.storage.state import STATE_FILE, CheckpointState, format_state

__all__ = [
    "generate_checkpoint_state_proto",
    "update_checkpoint_state",
    "update_checkpoint_state_internal",
]

_Path = str | os.PathLike[str]

_log = logging.getLogger("fastckpt")


def generate_checkpoint_state_proto(
    save_dir: _Path,
    model_checkpoint_path: str,
    all_model_checkpoint_paths: Sequence[str] | None = None,
    all_model_checkpoint_timestamps: Sequence[float] | None = None,
    last_preserved_timestamp: float | None = None,
) -> CheckpointState:
    """Make the state that a directory's state file shall hold.

    Parameters
    ----------
    save_dir : str or PathLike
        The directory. Where it is relative, so are all relative paths: they are rewritten to
        start there. Where it is absolute, paths stay as they are.
    model_checkpoint_path : str
        Prefix of the latest checkpoint.
    all_model_checkpoint_paths : sequence of str, optional
        Every prefix that is kept, oldest first; the latest is added where it is not the last.
    all_model_checkpoint_timestamps : sequence of float, optional
        Seconds since the epoch, one for each of these.
    last_preserved_timestamp : float, optional
        When a checkpoint was last exempted from deletion.

    Returns
    -------
    CheckpointState

    Raises
    ------
    InvalidArgumentError
        An empty path; timestamps that are more or fewer than the paths.
    WrongTypeError
        A path that is not text, a time that is no number; a TypeError.
    """
    latest = _as_prefix(model_checkpoint_path)
    kept = [_as_prefix(path) for path in _as_sequence(all_model_checkpoint_paths)]
    if not kept or kept[-1] != latest:
        _log.info("%s is not in all_model_checkpoint_paths. Manually adding it.", latest)
        kept.append(latest)
    times = [_as_time(time) for time in _as_sequence(all_model_checkpoint_timestamps)]
    if times and len(times) != len(kept):
        raise InvalidArgumentError(
            f"Checkpoint timestamps, if provided, must match checkpoint paths (got paths {kept} "
            f"and timestamps {times})"
        )
    start = _as_directory(save_dir)
    if not os.path.isabs(start):
        latest, *kept = (_relative(path, start) for path in (latest, *kept))
    preserved = 0.0 if last_preserved_timestamp is None else _as_time(last_preserved_timestamp)
    return CheckpointState(latest, kept, times, preserved)


def update_checkpoint_state(
    save_dir: _Path,
    model_checkpoint_path: str,
    all_model_checkpoint_paths: Sequence[str] | None = None,
    latest_filename: str | None = None,
    all_model_checkpoint_timestamps: Sequence[float] | None = None,
    last_preserved_timestamp: float | None = None,
) -> None:
    """Replace the state file of a directory.

    Parameters
    ----------
    save_dir, model_checkpoint_path, all_model_checkpoint_paths
        As for :func:`generate_checkpoint_state_proto`.
    latest_filename : str, optional
        Name of the state file; ``"checkpoint"`` by default.
    all_model_checkpoint_timestamps, last_preserved_timestamp
        As for :func:`generate_checkpoint_state_proto`.

    Raises
    ------
    CheckpointNotFoundError
        There is no such directory.
    InvalidArgumentError, WrongTypeError
        As :func:`generate_checkpoint_state_proto`.
    WrongStateError
        The path of the checkpoint is that of the state file; a RuntimeError.
    CheckpointIOError
        The operating system refused; the file is as it was.

    Notes
    -----
    Readers see the old file or the new one, whole, and what was written survives a power cut.
    """
    update_checkpoint_state_internal(
        save_dir,
        model_checkpoint_path,
        all_model_checkpoint_paths,
        latest_filename,
        all_model_checkpoint_timestamps=all_model_checkpoint_timestamps,
        last_preserved_timestamp=last_preserved_timestamp,
    )


def update_checkpoint_state_internal(
    save_dir: _Path,
    model_checkpoint_path: str,
    all_model_checkpoint_paths: Sequence[str] | None = None,
    latest_filename: str | None = None,
    save_relative_paths: bool = False,  # noqa: FBT001, FBT002 TensorFlow's signature
    all_model_checkpoint_timestamps: Sequence[float] | None = None,
    last_preserved_timestamp: float | None = None,
    *,
    sync: bool = True,
) -> None:
    """Replace the state file of a directory, with relative paths where asked for.

    Parameters
    ----------
    save_dir, model_checkpoint_path, all_model_checkpoint_paths, latest_filename
        As for :func:`update_checkpoint_state`.
    save_relative_paths : bool
        Write absolute paths relative to `save_dir`, so that the directory may be moved.
    all_model_checkpoint_timestamps, last_preserved_timestamp
        As for :func:`update_checkpoint_state`.
    sync : bool
        Return when the file is on the device.

    Raises
    ------
    WrongTypeError
        `save_relative_paths` without a list of paths; a TypeError.
    """
    state = make_state(
        save_dir,
        model_checkpoint_path,
        all_model_checkpoint_paths,
        latest_filename,
        save_relative_paths=save_relative_paths,
        timestamps=all_model_checkpoint_timestamps,
        last_preserved_timestamp=last_preserved_timestamp,
    )
    write_state(_as_directory(save_dir), state, latest_filename, sync=sync)


def make_state(
    save_dir: _Path,
    model_checkpoint_path: str,
    all_model_checkpoint_paths: Sequence[str] | None,
    latest_filename: str | None,
    *,
    save_relative_paths: bool,
    timestamps: Sequence[float] | None = None,
    last_preserved_timestamp: float | None = None,
) -> CheckpointState:
    """Make the state that `update_checkpoint_state_internal` would write, with all its checks."""
    directory = _as_directory(save_dir)
    latest = _as_prefix(model_checkpoint_path)
    kept: Sequence[str] | None = all_model_checkpoint_paths
    if save_relative_paths:
        if kept is None:
            raise WrongTypeError("save_relative_paths needs all_model_checkpoint_paths, a list")
        latest, *kept = (
            os.path.relpath(x, directory) if os.path.isabs(x) else x
            for x in (latest, *map(_as_prefix, _as_sequence(kept)))
        )
    state = generate_checkpoint_state_proto(
        directory, latest, kept, timestamps, last_preserved_timestamp
    )
    path = state_path(directory, latest_filename)
    if path == state.model_checkpoint_path:
        raise WrongStateError(
            f"Save path {state.model_checkpoint_path!r} conflicts with path used for checkpoint "
            "state.  Please use a different save path.",
            path=path,
        )
    try:
        format_state(state)
    except UnicodeEncodeError as error:
        raise InvalidArgumentError(
            f"checkpoint state {path!r} cannot hold the path {error.object!r}, which is not "
            "Unicode text; use another prefix",
            path=path,
        ) from None
    return state


def write_state(
    directory: str, state: CheckpointState, latest_filename: str | None = None, *, sync: bool
) -> None:
    """Put a state into the state file of a directory."""
    path = state_path(directory, latest_filename)
    if not local.is_directory(directory or "."):
        raise CheckpointNotFoundError(
            f"there is no directory {directory!r} to write the checkpoint state {path!r} to",
            path=path,
        )
    replace_file(path, format_state(state).encode("utf-8"), sync=sync)


def state_path(directory: str, latest_filename: str | None) -> str:
    """Where the state file of a directory is."""
    name = STATE_FILE if latest_filename is None else latest_filename
    try:
        return os.path.join(directory, name)
    except TypeError as error:
        raise WrongTypeError(f"latest_filename names a file: {error}") from None


def _as_directory(save_dir: object) -> str:
    try:
        directory = os.fspath(save_dir)  # type: ignore[call-overload]
    except TypeError as error:
        raise WrongTypeError(f"save_dir must be a directory: {error}") from None
    if not isinstance(directory, str):
        raise WrongTypeError(f"save_dir must be str or a PathLike of one, not {save_dir!r}")
    return directory


def _as_prefix(path: object) -> str:
    if isinstance(path, os.PathLike):
        path = os.fspath(path)
    if not isinstance(path, str):
        raise WrongTypeError(
            f"the path of a checkpoint must be str, not {type(path).__name__}: {path!r}"
        )
    if not path:
        raise InvalidArgumentError("the path of a checkpoint is empty: no path specified")
    return path


def _as_time(time: object) -> float:
    try:
        return float(time.__float__())  # type: ignore[attr-defined]
    except (AttributeError, TypeError):
        raise WrongTypeError(
            f"timestamps must be real numbers, seconds since the epoch, not {time!r}"
        ) from None


def _as_sequence(values: object) -> list[object]:
    if values is None:
        return []
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise WrongTypeError(f"a list is needed, not {type(values).__name__}: {values!r}")
    return list(values)


def _relative(path: str, directory: str) -> str:
    return path if os.path.isabs(path) else os.path.relpath(path, directory)
