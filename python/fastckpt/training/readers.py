"""Reading by TensorFlow's names: what is in a checkpoint, and the value of a variable."""

from __future__ import annotations

import os
from typing import Any

from fastckpt.checkpoint.listing import list_shapes
from fastckpt.checkpoint.tensorflow_errors import WrongTypeError, as_text
from fastckpt.checkpoint.tensorflow_reader import CheckpointReader
from fastckpt.errors import CheckpointNotFoundError
from fastckpt.names import index_file
from fastckpt.storage import explain, local
from fastckpt.training.state_functions import latest_checkpoint

__all__ = ["NewCheckpointReader", "list_variables", "load_checkpoint", "load_variable"]

_Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]

# A directory's writer may delete its latest checkpoint between naming and opening it, and again as
# long as it is faster than this process.
_MAX_OPENS = 1000


def NewCheckpointReader(filepattern: str | bytes) -> CheckpointReader:  # noqa: N802 TensorFlow's name
    """Open a checkpoint by its prefix.

    Parameters
    ----------
    filepattern : str or bytes
        The prefix of a V2 checkpoint; a V1 file or the pattern of its shards. Directories are
        for :func:`load_checkpoint`.

    Returns
    -------
    CheckpointReader

    Raises
    ------
    CheckpointNotFoundError, DataLossError, InvalidArgumentError
        As :class:`CheckpointReader` does; a path of another type is a TypeError too.
    """
    return CheckpointReader(filepattern)


def load_checkpoint(ckpt_dir_or_file: _Path) -> CheckpointReader:
    """Open a checkpoint, or the latest one of a directory.

    Parameters
    ----------
    ckpt_dir_or_file : str, bytes or PathLike
        A directory with a state file, otherwise what :func:`NewCheckpointReader` takes. A
        directory wins over a prefix of the same name; :func:`fastckpt.open` has it the other
        way round.

    Returns
    -------
    CheckpointReader

    Raises
    ------
    CheckpointNotFoundError
        No such checkpoint, or none that the directory's state file names; a ValueError.
    """
    path = as_text(ckpt_dir_or_file, "ckpt_dir_or_file", paths=True)
    if not path or "\0" in path or not local.is_directory(path):
        return CheckpointReader(path)
    latest = None
    for _ in range(_MAX_OPENS):
        previous, latest = latest, latest_checkpoint(path)
        if latest is None:
            break
        try:
            return CheckpointReader(latest)
        except CheckpointNotFoundError:
            if latest == previous:
                raise
    raise _nothing_in(path)


def load_variable(ckpt_dir_or_file: _Path, name: str) -> Any:
    """Read the value of one variable.

    Parameters
    ----------
    ckpt_dir_or_file : str, bytes or PathLike
        As for :func:`load_checkpoint`.
    name : str
        Its key; one ``":0"`` at the end is dropped.

    Returns
    -------
    ndarray, NumPy scalar or bytes
        As :meth:`CheckpointReader.get_tensor`.

    Raises
    ------
    TensorNotFoundError
        No tensor of that name.
    """
    if not isinstance(name, str):
        raise WrongTypeError(f"name must be str, not {type(name).__name__}: {name!r}")
    return load_checkpoint(ckpt_dir_or_file).get_tensor(name.removesuffix(":0"))


def list_variables(ckpt_dir_or_file: _Path) -> list[tuple[str, list[int]]]:
    """List the tensors of a checkpoint.

    Parameters
    ----------
    ckpt_dir_or_file : str, bytes or PathLike
        As for :func:`load_checkpoint`.

    Returns
    -------
    list of (str, list of int)
        Name and full shape, sorted by name; a scalar's shape is ``[]``.

    Notes
    -----
    Costs one pass over the index, about 0.3 us a tensor; no tensor data is read.
    """
    return list_shapes(load_checkpoint(ckpt_dir_or_file).checkpoint)


def _nothing_in(directory: str) -> CheckpointNotFoundError:
    if local.file_size(index_file(directory)) is not None:
        hint = "it is the prefix of a checkpoint too: pass that to NewCheckpointReader or open"
    elif local.is_saved_model(directory):
        hint = f"it is a SavedModel: pass {local.variables_prefix(directory)!r}, or call open"
    else:
        hint = str(explain.no_checkpoint(directory))
    return CheckpointNotFoundError(
        f"Couldn't find 'checkpoint' file or checkpoints in given directory {directory}: {hint}",
        path=directory,
    )
