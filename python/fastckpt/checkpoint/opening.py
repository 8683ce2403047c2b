"""From a path to an open checkpoint."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import NDArray

from fastckpt.checkpoint.options import check_options
from fastckpt.checkpoint.reader import Checkpoint
from fastckpt.errors import CheckpointNotFoundError
from fastckpt.names import index_file
from fastckpt.progress import ProgressLike

if TYPE_CHECKING:
    from fastckpt.storage import Location

# A directory's writer may delete its latest checkpoint between reading the state and opening it,
# and again as long as it is faster than this process.
_MAX_OPENS = 1000


def open_checkpoint(
    path: str | bytes | os.PathLike[str] | os.PathLike[bytes],
    *,
    verify: Literal["lazy", "eager", "off"] = "lazy",
    backend: Literal["auto", "mmap", "pread", "direct"] = "auto",
    on_damage: Literal["raise", "skip"] = "raise",
    num_threads: int | None = None,
) -> Checkpoint:
    """Open a checkpoint for reading.

    Parameters
    ----------
    path : str, bytes or PathLike
        A prefix; any file of a checkpoint; a directory with a ``checkpoint`` state file (its
        latest checkpoint); a SavedModel directory; a V1 file, or the pattern of its shards. A
        prefix wins over a directory of that name.
    verify : {"lazy", "eager", "off"}
        When checksums of tensors are compared: before the first byte is handed out, all at open,
        or never. Those of index blocks always are.
    backend : {"auto", "mmap", "pread", "direct"}
        Map the shards, read them, or read them past the page cache, four requests of 4 MiB at a
        time ("pread" where the file system has no such way). "auto" maps except on network file
        systems; what :meth:`Checkpoint.load`, ``load_into``, ``stream`` and ``verify`` want of a
        shard, 16 MiB or more, is read past the page cache when most of it is not there. Views
        need a map: with "pread" and "direct" arrays are copies.
    on_damage : {"raise", "skip"}
        Raise when a block of the index is damaged, or open what is intact and list the rest in
        ``Checkpoint.damage``.
    num_threads : int, optional
        Threads for large reads; default ``FASTCKPT_NUM_THREADS`` or ``min(8, available CPUs)``.

    Returns
    -------
    Checkpoint

    Raises
    ------
    CheckpointNotFoundError
        No checkpoint there; the message says what was found and what to pass.
    DataLossError
        The index is damaged.
    InvalidArgumentError
        The path is something else, or an option is wrong.
    UnsupportedError
        A URL.
    LimitExceededError
        The index claims more memory than its size justifies.

    Notes
    -----
    Costs one pass over the index, about 30 ns a tensor; no tensor data is read unless
    ``verify="eager"``. A missing shard is an error only for the tensors in it.

    Examples
    --------
    >>> import fastckpt
    >>> ckpt = fastckpt.open("python/fastckpt/golden/linear/model.ckpt")  # doctest: +SKIP
    """
    options = check_options(verify, backend, on_damage, num_threads)
    # Imported here: `import fastckpt` is to cost little more than `import numpy`.
    from fastckpt.storage import locate

    for _ in range(_MAX_OPENS):
        location = locate(path)
        before = _identity(location)
        try:
            checkpoint = Checkpoint(location.prefix, options, location.kind)
        except CheckpointNotFoundError:
            if not _has_moved_on(path, location):
                raise
            continue
        # Whoever replaces or removes a checkpoint begins with its index: while that is the same
        # file, the shards that were opened after it are those that belong to it.
        if _identity(location) == before:
            return checkpoint
        checkpoint.close()
    raise CheckpointNotFoundError(
        f"every checkpoint that was found at {path!r} was removed or replaced before it could be "
        "opened; keep more of them (max_to_keep)",
        path=location.prefix,
    )


def load(
    path: str | bytes | os.PathLike[str] | os.PathLike[bytes],
    names: Iterable[str] | None = None,
    *,
    progress: ProgressLike = None,
    **options: Any,
) -> dict[str, NDArray[Any]]:
    """Open a checkpoint and read tensors into memory.

    Parameters
    ----------
    path, **options
        As for :func:`fastckpt.open`.
    names, progress
        As for :meth:`Checkpoint.load`.

    Returns
    -------
    dict of str to ndarray
        Owned, writable arrays.
    """
    with open_checkpoint(path, **options) as checkpoint:
        return checkpoint.load(names, progress=progress)


def _identity(location: Location) -> tuple[int, ...] | None:
    """What tells the index of a V2 checkpoint from any other file; None where it is gone."""
    if location.kind != "v2":
        return ()
    try:
        status = os.stat(index_file(location.prefix))
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _has_moved_on(path: Any, location: Location) -> bool:
    from fastckpt.storage import locate

    return location.origin == "state" and locate(path) != location
