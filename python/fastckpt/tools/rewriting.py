"""One pass from an open checkpoint to a new one, under other names and without some tensors."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fastckpt.checkpoint.reader import Checkpoint
from fastckpt.checkpoint.stored_tensor import StoredTensor
from fastckpt.checkpoint.writer import CheckpointWriter
from fastckpt.errors import InvalidArgumentError
from fastckpt.progress import Progress, ProgressLike, Reporter, reporter
from fastckpt.storage.destination import absolute, destination
from fastckpt.tools.slice_places import stored_slices

__all__ = ["check_destination", "num_data_files", "rewrite", "stored_order"]

# Tensors that are verified together, and then written: what fits the page cache of a busy machine.
_GROUP_BYTES = 256 << 20
# Of those, what has to be copied because it has no view.
_COPIED_BYTES = 64 << 20
_GROUP_TENSORS = 16384


def rewrite(
    source: Checkpoint,
    target: str | os.PathLike[str],
    new_names: Mapping[str, str],
    *,
    replaced: Mapping[str, Any] | None = None,
    num_shards: int | None = None,
    sync: bool = True,
    num_threads: int | None = None,
    progress: ProgressLike = None,
    label: str = "rewrite",
) -> str:
    """Write tensors of a checkpoint into a new one.

    Parameters
    ----------
    source : Checkpoint
        May lie at `target`: it stays whole until the new one replaces it at one stroke.
    target : str or PathLike
        Prefix of the new checkpoint.
    new_names : mapping of str to str
        Name in `source` -> name in the new checkpoint, for each tensor that is wanted.
    replaced : mapping of str to array-like, optional
        New values, by the name in `source`.
    num_shards : int, optional
        Data files; None: as many as hold tensors in `source`.
    sync, num_threads, progress
        As in :func:`fastckpt.save`.
    label : str
        What the bar shows.

    Returns
    -------
    str
        The prefix.

    Raises
    ------
    DataLossError, CheckpointNotFoundError
        Stored bytes of `source` are damaged or missing; what was at `target` is intact.

    Notes
    -----
    Every checksum of what is read is compared. Slices stay slices. Memory: 64 MiB, and one tensor
    where it has no view.
    """
    path = check_destination(source, target)
    shards = num_data_files(source) if num_shards is None else num_shards
    handles = stored_order(source, [name for name in new_names if name not in (replaced or {})])
    total = sum(handle.nbytes for handle in handles)
    with (
        reporter(progress, label=label, bytes_total=total) as report,
        CheckpointWriter(path, num_shards=shards, sync=sync, num_threads=num_threads) as writer,
    ):
        whole = (handle for handle in handles if handle.shard is not None)
        done = _copy_whole(writer, whole, new_names, report)
        for handle in handles:
            if handle.shard is None:
                _copy_slices(writer, source, handle, new_names[handle.name])
                done.add(handle.nbytes, 1)
                report.update(done.nbytes, done.tensors, handle.name)
        writer.add_all({new_names[name]: value for name, value in (replaced or {}).items()})
    return path


def check_destination(source: Checkpoint, target: str | os.PathLike[str]) -> str:
    """Check the prefix that a checkpoint is rewritten to; InvalidArgumentError explains."""
    path = destination(target)
    if source.format == "v1" and absolute(path) == source.prefix:
        raise InvalidArgumentError(
            f"{path!r} is a V1 file, and the result has the V2 format, whose files would lie "
            "beside it; pass another destination",
            path=path,
        )
    return path


def num_data_files(source: Checkpoint) -> int:
    """Give the number of data files that a rewritten checkpoint gets: those that hold tensors."""
    files = len(source.files) - (1 if source.format == "v2" else 0)
    return max(files, 1)


def stored_order(source: Checkpoint, names: Iterable[str]) -> list[StoredTensor]:
    """Give handles in the order of their bytes, partitioned tensors last."""
    handles = [source.tensor(name) for name in names]

    def place(handle: StoredTensor) -> tuple[bool, int, int]:
        return handle.shard is None, handle.shard or 0, handle.offset or 0

    return sorted(handles, key=place)


class _Done:
    """How much was written before the group in work."""

    def __init__(self) -> None:
        self.nbytes = 0
        self.tensors = 0

    def add(self, nbytes: int, tensors: int) -> None:
        self.nbytes += nbytes
        self.tensors += tensors


def _copy_whole(
    writer: CheckpointWriter,
    handles: Iterable[StoredTensor],
    new_names: Mapping[str, str],
    report: Reporter,
) -> _Done:
    done = _Done()

    def update(state: Progress) -> None:
        report.update(
            done.nbytes + state.bytes_done, done.tensors + state.tensors_done, state.name
        )

    for group in _groups(handles):
        verify_together(group)
        pairs = ((new_names[handle.name], _value(handle)) for handle in group)
        writer.add_all(pairs, progress=update)
        done.add(sum(handle.nbytes for handle in group), len(group))
    return done


def _groups(handles: Iterable[StoredTensor]) -> Iterator[list[StoredTensor]]:
    group: list[StoredTensor] = []
    size = copied = 0
    for handle in handles:
        extra = 0 if handle.can_view else handle.nbytes
        is_full = size + handle.nbytes > _GROUP_BYTES or copied + extra > _COPIED_BYTES
        if group and (is_full or len(group) == _GROUP_TENSORS):
            yield group
            group, size, copied = [], 0, 0
        group.append(handle)
        size += handle.nbytes
        copied += extra
    if group:
        yield group


def verify_together(handles: Iterable[StoredTensor]) -> None:
    """Compare checksums on many threads; views of these tensors cost nothing after that."""
    viewed = [handle for handle in handles if handle.can_view]
    if viewed:
        bundle = viewed[0].bundle
        bundle.ensure_all_verified([handle.id for handle in viewed])


def _value(handle: StoredTensor) -> Any:
    """Give what the writer stores as the same tensor: a view where there is one."""
    if not handle.can_view:
        return handle
    array = handle.view()
    # Of all dtypes these alone look like another in memory.
    return (array, handle.tf_dtype) if handle.tf_dtype.startswith("q") else array


def _copy_slices(
    writer: CheckpointWriter, source: Checkpoint, handle: StoredTensor, name: str
) -> None:
    for _, place, part in stored_slices(source, handle):
        writer.add_slice(name, part, handle.shape, place)
