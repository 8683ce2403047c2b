"""Several checkpoints become one: after the fact, or as the parts that several processes wrote."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from fastckpt._core import BundleMerger, discard
from fastckpt.checkpoint.opening import open_checkpoint
from fastckpt.checkpoint.options import check_integer, resolve_num_threads
from fastckpt.errors import (
    CheckpointBusyError,
    CheckpointError,
    CheckpointIOError,
    CheckpointNotFoundError,
    InvalidArgumentError,
)
from fastckpt.names import index_file, strip_suffix
from fastckpt.progress import ProgressLike, reporter
from fastckpt.storage.destination import destination as check_destination

__all__ = ["begin_part", "commit", "merge"]

_MAX_SHARDS = 1 << 20
# Ranks that a message names.
_MAX_NAMED = 20

# A file of a part, temporaries included; TensorFlow's names, numbers of five digits or more.
_PART_FILE = re.compile(r"(part-\d{5,}-of-(\d{5,}))\.(?:index|data-\d{5,})(?:[-.].*)?\Z")


def merge(
    prefixes: Iterable[str | os.PathLike[str]],
    destination: str | os.PathLike[str],
    *,
    consume: bool = False,
    sync: bool = True,
    num_threads: int | None = None,
    progress: ProgressLike = None,
) -> str:
    """Merge checkpoints into one that holds the tensors of all.

    Parameters
    ----------
    prefixes : iterable of str or PathLike
        The checkpoints. No tensor is in two of them; the slices of a partitioned one may be.
    destination : str or PathLike
        Prefix of the result, none of `prefixes`. A checkpoint that is there already is replaced
        at one stroke.
    consume : bool
        Remove the checkpoints once the result is there, and their directories where nothing else
        is in them. Data files are then linked instead of copied, where the file system has links.
    sync : bool
        Return when all of it is on the device.
    num_threads : int, optional
        None: the CPUs of this process, at most 8; or ``FASTCKPT_NUM_THREADS``.
    progress : bool or callable, optional
        True for a bar, or a function of :class:`~fastckpt.Progress`; what it raises cancels.

    Returns
    -------
    str
        The destination.

    Raises
    ------
    CheckpointNotFoundError
        Checkpoints, or data files of theirs, are missing.
    DataLossError
        A damaged index, or a data file that is too short.
    InvalidArgumentError
        The destination is among the checkpoints; a tensor, or an element of it, is in two of
        them; they differ in format version or byte order.
    CheckpointBusyError
        A live writer owns the destination; with `consume`, or one of the checkpoints.

    Notes
    -----
    Whatever it raises, checkpoints and destination are as they were. Files are those of
    TensorFlow's ``MergeV2Checkpoints``, byte for byte: data files are numbered in the order in
    which their tensors come, by checkpoint and name. The numbers themselves are not read and
    keep their checksums; :meth:`Checkpoint.verify` checks them.

    Examples
    --------
    >>> fastckpt.merge(["half-a", "half-b"], "whole")  # doctest: +SKIP
    'whole'
    """
    inputs = _inputs(prefixes)
    path = check_destination(destination)
    merger = _merger(inputs, path, num_threads, consume=consume, sync=sync)
    _run(merger, "merge", progress)
    return path


def commit(
    prefix: str | os.PathLike[str],
    *,
    num_shards: int,
    sync: bool = True,
    num_threads: int | None = None,
    progress: ProgressLike = None,
) -> str:
    """Make a checkpoint visible of which several processes wrote a part each.

    Parameters
    ----------
    prefix : str or PathLike
        As given to ``CheckpointWriter(prefix, shard=i, num_shards=n)`` in every process.
    num_shards : int
        Number of the processes. All of their parts must be there.
    sync, num_threads, progress
        As in :func:`merge`.

    Returns
    -------
    str
        The prefix.

    Raises
    ------
    CheckpointNotFoundError
        Parts are missing; it names their processes.
    InvalidArgumentError
        A tensor is in two parts; slices overlap, or leave elements of a tensor out.
    CheckpointBusyError
        One of the processes still writes; or another commit is under way.

    Notes
    -----
    Call it in one process when the writers of all are closed: after a barrier. Readers see
    nothing, or what was at the prefix before, until it returns. When it raised, or its process
    died, it can be called again. Data file `i` is what process `i` wrote, as long as every
    process wrote something. Needs a file system that all processes share.
    """
    path = check_destination(prefix)
    total = check_integer("num_shards", num_shards, 1, _MAX_SHARDS)
    parts = [_part(path, shard, total) for shard in range(total)]
    missing = [shard for shard, part in enumerate(parts) if not os.path.lexists(index_file(part))]
    if not missing:
        merger = _merger(parts, path, num_threads, consume=True, sync=sync, complete_slices=True)
        _run(merger, "commit", progress)
    elif not _was_committed(path, total):
        raise _missing_parts(path, missing, total)
    _tidy(path, () if missing else (total,))
    return path


def begin_part(prefix: str, shard: int, num_shards: int | None) -> str:
    """Give the prefix at which one of several processes writes; nothing is there afterwards.

    A part that an earlier attempt left would otherwise be taken for this one's, were this process
    to die.
    """
    if num_shards is None:
        raise InvalidArgumentError(
            "shard says which of several processes this one is, and num_shards how many there "
            "are: pass both"
        )
    total = check_integer("num_shards", num_shards, 1, _MAX_SHARDS)
    part = _part(prefix, check_integer("shard", shard, 0, total - 1), total)
    if os.path.lexists(index_file(part)):
        discard(os.fsencode(part))
    return part


def _merger(
    inputs: Sequence[str],
    path: str,
    num_threads: int | None,
    *,
    consume: bool,
    sync: bool,
    complete_slices: bool = False,
) -> BundleMerger:
    return BundleMerger(
        [os.fsencode(x) for x in inputs],
        os.fsencode(path),
        consume=bool(consume),
        sync=bool(sync),
        complete_slices=complete_slices,
        num_threads=resolve_num_threads(num_threads),
    )


def _run(merger: BundleMerger, label: str, progress: ProgressLike) -> None:
    with reporter(progress, label=label, bytes_total=merger.nbytes) as report:
        merger.run(report.update if progress else None)


def _inputs(prefixes: Iterable[str | os.PathLike[str]]) -> list[str]:
    if isinstance(prefixes, str | bytes | os.PathLike):
        raise InvalidArgumentError(
            f"prefixes must be a list of checkpoints, not one {type(prefixes).__name__}; pass "
            f"[{os.fspath(prefixes)!r}, …]"
        )
    try:
        paths: list[object] = [os.fspath(x) for x in prefixes]
    except TypeError as error:
        raise InvalidArgumentError(
            f"prefixes must be an iterable of str or PathLike ({error})"
        ) from None
    inputs = []
    for path in paths:
        if not isinstance(path, str) or not path or "\0" in path:
            raise InvalidArgumentError(f"{path!r} is not the prefix of a checkpoint")
        inputs.append(strip_suffix(path)[0])
    if not inputs:
        raise InvalidArgumentError("there is no checkpoint to merge; prefixes is empty")
    return inputs


# --- Parts ---------------------------------------------------------------------------------------


def _directory(prefix: str) -> str:
    return f"{prefix}_temp"


def _part(prefix: str, shard: int, num_shards: int) -> str:
    """Where TensorFlow's own sharded save writes it as well."""
    return f"{_directory(prefix)}/part-{shard:05d}-of-{num_shards:05d}"


def _part_files(prefix: str) -> Iterator[tuple[Path, str, int]]:
    """Give files, prefixes and totals of the parts that are there, of every total."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for path in sorted(Path(_directory(prefix)).iterdir()):
            found = _PART_FILE.match(path.name)
            if found:
                yield path, f"{_directory(prefix)}/{found[1]}", int(found[2])


def _was_committed(prefix: str, num_shards: int) -> bool:
    """Whether all that is left of the parts is in the checkpoint at the prefix already.

    A commit that dies after it made the checkpoint visible leaves some of its parts behind; their
    data files are the checkpoint's own, under second names.
    """
    left = {
        _identity(path)
        for path, _, total in _part_files(prefix)
        if total == num_shards and ".data-" in path.name and path.stat().st_size
    }
    return bool(left) and left <= {_identity(path) for path in _live_data(prefix)}


def _live_data(prefix: str) -> list[Path]:
    """Data files of the checkpoint at a prefix; none where there is none."""
    try:
        with open_checkpoint(prefix) as checkpoint:
            return [Path(x) for x in checkpoint.files if ".data-" in os.path.basename(x)]
    except CheckpointError:
        return []


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _missing_parts(prefix: str, missing: Sequence[int], num_shards: int) -> Exception:
    ranks = ", ".join(map(str, missing[:_MAX_NAMED])) + (", …" if missing[_MAX_NAMED:] else "")
    if len(missing) == num_shards:
        message = f"there are no parts of {prefix!r} for {num_shards} processes"
        if os.path.lexists(index_file(prefix)):
            message += "; the checkpoint is there, so a commit may have been completed before"
        others = sorted({total for _, _, total in _part_files(prefix)})
        if others:
            message += f"; there are parts for {' or '.join(map(str, others))} processes"
    else:
        message = (
            f"{len(missing)} of {num_shards} parts of {prefix!r} are missing: those of shard "
            f"{ranks}; nothing was committed. Let these processes write their part, then commit "
            "again"
        )
    first = index_file(_part(prefix, missing[0], num_shards))
    return CheckpointNotFoundError(message, path=first)


def _tidy(prefix: str, kept: Sequence[int]) -> None:
    """Remove parts that other attempts left; those of the totals in `kept` are not touched."""
    for part in {part for _, part, total in _part_files(prefix) if total not in kept}:
        # Their writer lives.
        with contextlib.suppress(CheckpointBusyError, CheckpointIOError):
            discard(os.fsencode(part))
    with contextlib.suppress(OSError):
        os.rmdir(_directory(prefix))
