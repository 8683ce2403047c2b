"""The path of a checkpoint that is to be restored, with the errors of TensorFlow's Saver."""

from __future__ import annotations

from fastckpt.checkpoint.shared_errors import share
from fastckpt.checkpoint.tensorflow_errors import as_text
from fastckpt.errors import CheckpointError, CheckpointNotFoundError, InvalidArgumentError
from fastckpt.storage import explain, matching
from fastckpt.storage.exact import check_prefix

__all__ = ["existing_checkpoint"]


def existing_checkpoint(save_path: object, *, paths: bool = True) -> str:
    """Give the path of an existing checkpoint as text.

    Parameters
    ----------
    save_path : str, bytes or PathLike
        A prefix, a V1 file or a V1 pattern.
    paths : bool
        Take a PathLike, which TensorFlow refuses.

    Raises
    ------
    InvalidArgumentError
        None, or an index file; a ValueError.
    CheckpointNotFoundError
        Nothing is there; a ValueError.
    DataLossError
        A directory, or a file that is no checkpoint.
    WrongTypeError
        No path at all; a TypeError.
    """
    if save_path is None:
        raise InvalidArgumentError(
            "Can't load save_path when it is None. latest_checkpoint gives None where a directory "
            "has no usable checkpoint: look at its result before you pass it on"
        )
    path = as_text(save_path, "save_path", paths=paths)
    if not matching.checkpoint_files(path):
        hint = f" ({explain.no_checkpoint(path)})" if path and "\0" not in path else ""
        raise CheckpointNotFoundError(
            f"The passed save_path is not a valid checkpoint: {path}{hint}", path=path
        )
    try:
        check_prefix(path)
    except CheckpointError as error:
        share(error)
        raise
    return path
