"""The average of several checkpoints, such as the last five of a training run."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastckpt.checkpoint.assembly import Part
from fastckpt.checkpoint.opening import open_checkpoint
from fastckpt.checkpoint.options import resolve_num_threads
from fastckpt.checkpoint.reader import Checkpoint
from fastckpt.checkpoint.stored_tensor import StoredTensor
from fastckpt.checkpoint.writer import CheckpointWriter
from fastckpt.errors import InvalidArgumentError
from fastckpt.names import meta_file
from fastckpt.progress import ProgressLike, Reporter, reporter
from fastckpt.tools.blocks import whole
from fastckpt.tools.rewriting import check_destination, num_data_files, stored_order
from fastckpt.tools.slice_places import stored_slices

__all__ = ["Average", "average"]

# Elements that are widened to float64 at a time.
_CHUNK = 1 << 18

# Tensors of the result that are held in memory together, unless one alone is larger.
_GROUP_BYTES = 64 << 20

# float64 has no wider type of the language; where the machine has none, these are no wider.
_LONG: dict[str, type[np.generic]] = {"float64": np.longdouble, "complex128": np.clongdouble}

# How many differences a message lists.
_MAX_LISTED = 20

Array = NDArray[Any]
Path = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Average:
    """What :func:`average` made, or would make.

    Attributes
    ----------
    sources : tuple of str
        Prefixes of the checkpoints.
    weights : tuple of float
        The share of each; they add up to 1.
    destination : str
        Prefix of the result.
    tensors, nbytes : int
        Tensors of the result, and their stored bytes.
    averaged : tuple of str
        Tensors of real or complex numbers, which are averages.
    taken : tuple of str
        The others, taken from the last checkpoint: integers, strings, quantised types.
    """

    sources: tuple[str, ...]
    weights: tuple[float, ...]
    destination: str
    tensors: int
    nbytes: int
    averaged: tuple[str, ...]
    taken: tuple[str, ...]


def average(
    prefixes: Iterable[Path],
    destination: Path,
    *,
    weights: Sequence[float] | None = None,
    dry_run: bool = False,
    num_shards: int | None = None,
    sync: bool = True,
    num_threads: int | None = None,
    progress: ProgressLike = None,
) -> Average:
    """Write the average of checkpoints that hold the same tensors.

    Parameters
    ----------
    prefixes : iterable of str or PathLike
        What :func:`fastckpt.open` takes, oldest first.
    destination : str or PathLike
        Prefix of the result; it may be one of `prefixes`.
    weights : sequence of float, optional
        How much each counts, from 0 on; all the same by default. Their sum is brought to 1.
    dry_run : bool
        Find out all that there is to find out, and write nothing.
    num_shards, sync, num_threads, progress
        As in :func:`fastckpt.save`; `num_shards` None: as many data files as the last one has.

    Returns
    -------
    Average

    Raises
    ------
    InvalidArgumentError
        Names, shapes or dtypes differ: the message lists them, and nothing was written. No
        checkpoints; weights that are negative, add up to nothing, or are not one for each.
    DataLossError, CheckpointNotFoundError
        A checkpoint is damaged or lacks a shard; what was at `destination` is intact.

    Notes
    -----
    Elements of floating-point and complex tensors are added up in the order of `prefixes`, each
    times its weight, in float64 (complex128; float64 tensors in long double where the machine has
    a wider one), divided by the sum of the weights, and rounded once to the stored dtype, to
    nearest even. All other tensors, step counters among them, are those of the last checkpoint,
    and so is the ``.meta``. Memory: 64 MiB, or the largest tensor of the result; all checkpoints
    are open at once.

    Examples
    --------
    >>> average(["m.ckpt-8", "m.ckpt-9", "m.ckpt-10"], "m.ckpt-avg")  # doctest: +SKIP
    """
    paths = [prefixes] if isinstance(prefixes, str | os.PathLike) else list(prefixes)
    if not paths:
        raise InvalidArgumentError("there is no checkpoint to average; prefixes is empty")
    given = _checked_weights(weights, len(paths))
    with contextlib.ExitStack() as stack:
        sources = [
            stack.enter_context(open_checkpoint(path, num_threads=num_threads)) for path in paths
        ]
        target = _check_destination(sources, destination)
        _check_alike(sources)
        plan = _plan(sources, given, target)
        if not dry_run:
            with (
                ThreadPoolExecutor(resolve_num_threads(num_threads)) as pool,
                reporter(progress, label="average", bytes_total=plan.nbytes) as report,
                CheckpointWriter(
                    target,
                    num_shards=num_data_files(sources[-1]) if num_shards is None else num_shards,
                    sync=sync,
                    num_threads=num_threads,
                ) as writer,
            ):
                _write(writer, sources[-1], _Mean(sources, given, pool), report)
        return plan


def _checked_weights(weights: Sequence[float] | None, count: int) -> list[float]:
    if weights is None:
        return [1.0] * count
    try:
        given = [float(weight) for weight in weights]
    except (TypeError, ValueError):
        raise InvalidArgumentError(f"weights must be numbers, not {weights!r}") from None
    if len(given) != count:
        raise InvalidArgumentError(f"there are {count} checkpoints and {len(given)} weights")
    total = math.fsum(given)
    if not all(0 <= weight < math.inf for weight in given) or not 0 < total < math.inf:
        raise InvalidArgumentError(f"weights must be from 0 on, finite, and not all zero: {given}")
    return given


def _check_destination(sources: Sequence[Checkpoint], destination: Path) -> str:
    for source in sources:
        check_destination(source, destination)
    return os.fspath(destination)


def _plan(sources: Sequence[Checkpoint], weights: Sequence[float], target: str) -> Average:
    last = sources[-1]
    handles = list(last.tensors())
    return Average(
        sources=tuple(source.prefix for source in sources),
        weights=tuple(weight / math.fsum(weights) for weight in weights),
        destination=target,
        tensors=len(handles),
        nbytes=sum(handle.nbytes for handle in handles),
        averaged=tuple(x.name for x in handles if _wide_type(x.tf_dtype) is not None),
        taken=tuple(x.name for x in handles if _wide_type(x.tf_dtype) is None),
    )


# --- are they alike? -----------------------------------------------------------------------------


def _check_alike(sources: Sequence[Checkpoint]) -> None:
    """Compare names, dtypes and shapes of all with the last; one error tells all differences."""
    last = sources[-1]
    expected = {handle.name: (handle.tf_dtype, handle.shape) for handle in last.tensors()}
    problems: list[str] = []
    for source in sources[:-1]:
        found = {handle.name: (handle.tf_dtype, handle.shape) for handle in source.tensors()}
        if found != expected:
            problems += _differences(source.prefix, found, expected)
    if not problems:
        return
    lines = [f"the checkpoints do not hold the same tensors as {last.prefix!r}:"]
    lines += [f"  {problem}" for problem in problems[:_MAX_LISTED]]
    if len(problems) > _MAX_LISTED:
        lines.append(f"  and {len(problems) - _MAX_LISTED} more")
    lines.append("nothing was written; make them alike with drop, keep or rename first")
    raise InvalidArgumentError("\n".join(lines), path=last.prefix)


def _differences(
    prefix: str,
    found: dict[str, tuple[str, tuple[int, ...]]],
    expected: dict[str, tuple[str, tuple[int, ...]]],
) -> Iterator[str]:
    for name in sorted(expected.keys() - found.keys()):
        yield f"{prefix!r} lacks {name!r}"
    for name in sorted(found.keys() - expected.keys()):
        yield f"{prefix!r} has {name!r} as well"
    for name, (dtype, shape) in expected.items():
        other = found.get(name, (dtype, shape))
        if other != (dtype, shape):
            yield (
                f"{name!r} is {other[0]} {list(other[1])} in {prefix!r}, "
                f"and {dtype} {list(shape)} in the last"
            )


# --- the pass ------------------------------------------------------------------------------------


class _Mean:
    """Averages the tensors of one name; the checkpoints are open."""

    def __init__(
        self, sources: Sequence[Checkpoint], weights: Sequence[float], pool: Executor
    ) -> None:
        self._sources = sources
        self._weights = weights
        self._pool = pool

    def whole(self, handle: StoredTensor) -> Any:
        """Give what the result holds of an unpartitioned tensor."""
        if _wide_type(handle.tf_dtype) is None:
            return handle
        arrays = [whole(source.tensor(handle.name)) for source in self._sources]
        return self._average(arrays, handle)

    def part(self, handle: StoredTensor, part: Part, stored: StoredTensor) -> Any:
        """Give what the result holds of a slice."""
        if _wide_type(handle.tf_dtype) is None:
            return stored
        places = zip(part.starts, part.sizes, strict=True)
        index = tuple(slice(start, start + size) for start, size in places)
        arrays = [source.tensor(handle.name)[index] for source in self._sources]
        return self._average(arrays, handle)

    def _average(self, arrays: Sequence[Array], handle: StoredTensor) -> Array:
        out = np.empty(arrays[0].shape, handle.dtype)
        wide = _wide_type(handle.tf_dtype)
        flat, inputs = out.reshape(-1), [array.reshape(-1) for array in arrays]

        def fill(start: int) -> None:
            chunk = slice(start, start + _CHUNK)
            with np.errstate(all="ignore"):
                total = inputs[0][chunk].astype(wide) * self._weights[0]
                for values, weight in zip(inputs[1:], self._weights[1:], strict=True):
                    total += values[chunk].astype(wide) * weight
                total /= math.fsum(self._weights)
                flat[chunk] = total.astype(handle.dtype)

        starts = range(0, flat.size, _CHUNK)
        list(self._pool.map(fill, starts) if len(starts) > 1 else map(fill, starts))
        return out


def _write(writer: CheckpointWriter, last: Checkpoint, mean: _Mean, report: Reporter) -> None:
    done = number = 0
    for group in _groups(stored_order(last, last)):
        if group[0].shard is None:
            (handle,) = group
            for part, place, stored in stored_slices(last, handle):
                value = mean.part(handle, part, stored)
                writer.add_slice(handle.name, value, handle.shape, place, dtype=handle.tf_dtype)
        else:
            writer.add_all([(x.name, (mean.whole(x), x.tf_dtype)) for x in group])
        done += sum(handle.nbytes for handle in group)
        number += len(group)
        report.update(done, number, group[-1].name)
    meta = _meta(last, writer.prefix)
    if meta is not None:
        writer._core.add_companion(".meta", meta)  # noqa: SLF001


def _groups(handles: Iterable[StoredTensor]) -> Iterator[list[StoredTensor]]:
    """Give tensors that are written together; a partitioned one is alone."""
    group: list[StoredTensor] = []
    size = 0
    for handle in handles:
        if group and (handle.shard is None or size + handle.nbytes > _GROUP_BYTES):
            yield group
            group, size = [], 0
        group.append(handle)
        size += handle.nbytes
    if group:
        yield group


def _wide_type(tf_dtype: str) -> type[np.generic] | None:
    """The type in which elements are added up; None for what has no average."""
    if tf_dtype in _LONG:
        return _LONG[tf_dtype]
    if tf_dtype.startswith(("float", "bfloat")):
        return np.float64
    return np.complex128 if tf_dtype.startswith("complex") else None


def _meta(last: Checkpoint, target: str) -> bytes | None:
    """Content of the meta graph to be copied; the result has all names that it asks for."""
    path = meta_file(last.prefix)
    if last.format != "v2" or os.path.abspath(path) == os.path.abspath(meta_file(target)):
        return None
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None
