"""Refusing what TensorFlow's readers refuse: they take a prefix or V1 files, and nothing else."""

from __future__ import annotations

from fastckpt.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    DataLossError,
    InvalidArgumentError,
)
from fastckpt.names import index_file, strip_suffix
from fastckpt.storage import local

__all__ = ["check_prefix"]


def check_prefix(path: str) -> None:
    """Raise unless `path` may be opened as a prefix, a V1 file or a V1 pattern.

    Raises
    ------
    CheckpointNotFoundError
        The empty path, or one that no file can have.
    DataLossError
        A directory, or a file that is no table: a data shard, a meta graph, a state file.
    InvalidArgumentError
        An index; TensorFlow reads those as V1 files without tensors.
    """
    if not path or "\0" in path:
        raise CheckpointNotFoundError(
            f"no checkpoint {path!r}; pass a prefix such as 'dir/model.ckpt-1000'", path=path
        )
    if local.file_size(index_file(path)) is None:
        problem = _problem(path)
        if problem is not None:
            raise problem


def _problem(path: str) -> CheckpointError | None:
    if local.is_directory(path):
        return DataLossError(
            f"{path!r} is a directory, and no checkpoint has it as its prefix; "
            "load_checkpoint and fastckpt.open take directories",
            path=path,
        )
    size = local.file_size(path)
    if size is None:
        return None
    prefix, kind = strip_suffix(path)
    advice = f"pass the prefix {prefix!r}" if kind != "prefix" else "pass the prefix of one"
    if local.is_table(path):
        if not local.is_v2_index(path):
            return None
        return InvalidArgumentError(
            f"{path!r} is the index of a checkpoint; {advice} instead", path=path
        )
    what = "is empty" if size == 0 else "is not a checkpoint (bad magic number)"
    return DataLossError(f"{path!r} {what}; {advice} instead", path=path)
