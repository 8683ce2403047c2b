"""Many tensors at once: load, load into, stream, verify."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any

from numpy.typing import NDArray

from fastckpt._core import BundleReader, LoadJob
from fastckpt.checkpoint.assembly import MISSING, bytes_of, find_parts, missing_slice
from fastckpt.checkpoint.report import Damage, VerifyFailure, VerifyReport
from fastckpt.checkpoint.stored_tensor import StoredTensor
from fastckpt.errors import (
    CheckpointError,
    InvalidArgumentError,
    TensorNotFoundError,
)
from fastckpt.progress import ProgressLike, reporter

Array = NDArray[Any]

# Views of smaller tensors are copied sooner than threads are told to read them.
_SMALL_BYTES = 64 << 10


def load(
    bundle: BundleReader, ids: Sequence[int], num_threads: int, progress: ProgressLike
) -> dict[str, Array]:
    """Read entries into fresh arrays; the dict is in the order of `ids`."""
    ordered = bundle.file_order(list(dict.fromkeys(ids)))
    total = bundle.stored_size(ordered)
    with reporter(progress, label="load", bytes_total=total) as report:
        arrays = bundle.load(ordered, num_threads=num_threads).wait(report.update)
    found = dict(zip(ordered, arrays, strict=True))
    return {bundle.name(i): _finished(bundle, i, found[i]) for i in ids}


def load_into(
    bundle: BundleReader,
    find: Callable[[str], StoredTensor],
    targets: Mapping[str, Array],
    *,
    strict: bool,
) -> None:
    """Fill arrays in place; all complaints are collected before any array is touched."""
    missing: list[str] = []
    unfit: list[str] = []
    direct: dict[int, Array] = {}
    indirect: list[tuple[StoredTensor, Array]] = []
    for name, target in targets.items():
        try:
            handle = find(name)
            handle.check_target(target)
        except TensorNotFoundError as error:
            missing.append(str(error))
        except InvalidArgumentError as error:
            unfit.append(str(error))
        else:
            if handle.fills_directly(target):
                direct[handle.id] = target
            else:
                indirect.append((handle, target))
    if strict and (missing or unfit):
        raise _complaint(missing, unfit, bundle.files()[0])
    ordered = bundle.file_order(list(direct))
    bundle.load_into(ordered, [bytes_of(direct[i]) for i in ordered]).wait()
    for handle, target in indirect:
        handle.read(target)


def verified_arrays(bundle: BundleReader, ids: Sequence[int]) -> list[Array]:
    """Read entries: views where the stored bytes allow it, else arrays.

    Notes
    -----
    Checksums of what is viewed are compared in parallel, before anything is returned.
    """
    views = bundle.views(ids)
    return list(map(_finished, repeat(bundle), ids, views))


def owned_arrays(bundle: BundleReader, ids: Sequence[int]) -> list[Array]:
    """Read entries into memory of their own; in their order."""
    if len(set(ids)) < len(ids):  # no two of them may share memory
        return [_finished(bundle, entry, None) for entry in ids]
    if bundle.stored_size(ids) < len(ids) * _SMALL_BYTES:
        arrays = verified_arrays(bundle, ids)
        return [x if x.flags.writeable else x.copy() for x in arrays]
    ordered = bundle.file_order(ids)
    found = dict(zip(ordered, bundle.load(ordered).wait(), strict=True))
    return [_finished(bundle, entry, found[entry]) for entry in ids]


def stream(
    bundle: BundleReader, ids: Sequence[int], num_threads: int, prefetch_bytes: int
) -> Iterator[tuple[str, Array]]:
    """Check the argument at the call, and read groups of tensors one ahead."""
    if prefetch_bytes < 0:
        raise InvalidArgumentError(f"prefetch_bytes must not be negative: {prefetch_bytes}")
    groups = _groups(bundle, bundle.file_order(ids), prefetch_bytes // 2)
    return _stream(bundle, groups, num_threads)


def verify(
    bundle: BundleReader,
    ids: Sequence[int] | None,
    damage: Sequence[Damage],
    num_threads: int,
    progress: ProgressLike,
) -> VerifyReport:
    """Compare checksums of entries, or of all of them and of the files around them."""
    # Malformed entries are met again below, by name.
    lost = [part for part in damage if ids is None and part.error.key is None]
    failures = [VerifyFailure(None, part.error) for part in lost]
    if ids is None:
        failures += _part_failures(bundle, bundle.partitioned_ids(), set())
        ordered = bundle.stored_ids()
    else:
        stored: set[int] = set()
        failures += _part_failures(bundle, ids, stored)
        ordered = bundle.file_order(sorted(stored))
    total = bundle.stored_size(ordered)
    with reporter(progress, label="verify", bytes_total=total) as report:
        job = bundle.check(ordered, num_threads=num_threads, keep_going=True)
        job.wait(report.update)
    failures += [VerifyFailure(bundle.name(i), error) for i, error in job.failures()]
    if ids is None:
        known = {str(failure) for failure in failures}
        failures += [VerifyFailure(None, x) for x in bundle.check_files() if str(x) not in known]
    tensors = len(bundle if ids is None else ids)
    return VerifyReport(tensors, job.bytes_read, tuple(failures))


def _part_failures(
    bundle: BundleReader, ids: Sequence[int], stored: set[int]
) -> list[VerifyFailure]:
    """Add the entries that hold these tensors to `stored`; tell where they do not fit together."""
    failures = []
    for entry in ids:
        try:
            found = {part.id for part in find_parts(bundle, entry)}
            stored.update(found - {MISSING})
            if MISSING in found:
                raise missing_slice(bundle.name(entry))
        except CheckpointError as error:
            failures.append(VerifyFailure(bundle.name(entry), error))
    return failures


def _stream(
    bundle: BundleReader, groups: Iterator[list[int]], num_threads: int
) -> Iterator[tuple[str, Array]]:
    ahead = _start(bundle, next(groups, None), num_threads)
    while ahead is not None:
        ids, job = ahead
        arrays = job.wait()
        # The next group is read while the caller works on this one.
        ahead = _start(bundle, next(groups, None), num_threads)
        for position, entry in enumerate(ids):
            array = arrays[position]
            arrays[position] = None
            yield bundle.name(entry), _finished(bundle, entry, array)


def _start(
    bundle: BundleReader, ids: list[int] | None, num_threads: int
) -> tuple[list[int], LoadJob] | None:
    if ids is None:
        return None
    return ids, bundle.load(ids, num_threads=num_threads, in_background=True)


def _groups(bundle: BundleReader, ids: Sequence[int], limit_bytes: int) -> Iterator[list[int]]:
    group: list[int] = []
    size = 0
    for entry in ids:
        nbytes = bundle.stored_size([entry])
        if group and size + nbytes > limit_bytes:
            yield group
            group, size = [], 0
        group.append(entry)
        size += nbytes
    if group:
        yield group


def _finished(bundle: BundleReader, entry: int, array: Array | None) -> Array:
    """Give the array, or read what has none as it is stored."""
    if array is not None:
        return array
    return StoredTensor(bundle, entry, bundle.name(entry)).read()


def _complaint(missing: list[str], unfit: list[str], path: str) -> CheckpointError:
    lines = [f"cannot load {len(missing) + len(unfit)} of the arrays from {path!r}:"]
    lines += [f"  {line}" for line in missing + unfit]
    lines.append("nothing was read; strict=False leaves these out")
    kind = TensorNotFoundError if missing else InvalidArgumentError
    return kind("\n".join(lines), path=path)
