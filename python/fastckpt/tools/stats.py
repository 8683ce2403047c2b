"""What the tensors of a checkpoint hold, in numbers: extremes, means, zeros, NaNs."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastckpt.checkpoint.opening import open_checkpoint
from fastckpt.checkpoint.options import resolve_num_threads
from fastckpt.checkpoint.reader import Checkpoint
from fastckpt.checkpoint.report import VerifyFailure
from fastckpt.checkpoint.stored_tensor import StoredTensor
from fastckpt.errors import CheckpointError
from fastckpt.progress import ProgressLike, reporter
from fastckpt.tools.blocks import blocks
from fastckpt.tools.patterns import choose

__all__ = ["Numbers", "StatsReport", "TensorStats", "array_numbers", "is_real", "stats"]

Array = NDArray[Any]
# Maps a function over pieces, in their order; on several threads or not.
Mapper = Callable[[Callable[[Array], "Numbers"], Iterable[Array]], Iterable["Numbers"]]

# Elements in work at a time: in float64 they fit the cache of a core.
_CHUNK = 1 << 17


@dataclass(slots=True)
class Numbers:
    """Numbers summed up; `a.merge(b)` sums up both.

    Attributes
    ----------
    finite : int
        Elements that are neither NaN nor infinite; the next four are of these.
    min, max : int, float or None
        Extremes; None where nothing is finite.
    mean : float or None
        Arithmetic mean, of sums in float64.
    square_sum : float
        Sum of the squared differences from the mean.
    zeros, nans, infs : int
        Elements that are zero, NaN, infinite.
    """

    finite: int = 0
    min: float | None = None
    max: float | None = None
    mean: float | None = None
    square_sum: float = 0.0
    zeros: int = 0
    nans: int = 0
    infs: int = 0

    @property
    def std(self) -> float | None:
        """Standard deviation of all finite elements (not of a sample)."""
        return math.sqrt(self.square_sum / self.finite) if self.finite else None

    def merge(self, other: Numbers) -> None:
        """Take the elements behind `other` in."""
        self.zeros += other.zeros
        self.nans += other.nans
        self.infs += other.infs
        if other.mean is None or other.min is None or other.max is None:
            return
        if self.mean is None or self.min is None or self.max is None:
            self.finite, self.mean, self.square_sum = other.finite, other.mean, other.square_sum
            self.min, self.max = other.min, other.max
            return
        # The update for two samples by Chan, Golub and LeVeque (1979), which does not cancel.
        count = self.finite + other.finite
        step = other.mean - self.mean
        self.mean += step * (other.finite / count)
        self.square_sum += other.square_sum + step * step * self.finite * (other.finite / count)
        self.min, self.max = min(self.min, other.min), max(self.max, other.max)
        self.finite = count


@dataclass(frozen=True, slots=True)
class TensorStats:
    """One tensor and what it holds.

    Attributes
    ----------
    name, dtype, shape, nbytes
        As the index says.
    numbers : Numbers or None
        None where the elements are not real numbers: strings, variants, complex numbers.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    nbytes: int
    numbers: Numbers | None


@dataclass(frozen=True, slots=True)
class StatsReport:
    """What :func:`stats` found.

    Attributes
    ----------
    prefix : str
        The checkpoint.
    tensors : tuple of TensorStats
        In the order that was asked for; by name where nothing was.
    total : Numbers
        All real numbers together.
    bytes_by_dtype : dict of str to int
        Stored bytes of each dtype, largest first.
    failures : tuple of VerifyFailure
        Tensors that could not be read.
    """

    prefix: str
    tensors: tuple[TensorStats, ...]
    total: Numbers
    bytes_by_dtype: dict[str, int]
    failures: tuple[VerifyFailure, ...]


def stats(
    source: str | os.PathLike[str] | Checkpoint,
    patterns: str | Sequence[str] | None = None,
    *,
    num_threads: int | None = None,
    progress: ProgressLike = None,
) -> StatsReport:
    """Sum up what tensors hold.

    Parameters
    ----------
    source : str, PathLike or Checkpoint
        What :func:`fastckpt.open` takes, or an open checkpoint.
    patterns : str or sequence of str, optional
        Names, scopes, or patterns with ``*`` and ``?``; None means all tensors.
    num_threads, progress
        As for :meth:`Checkpoint.load`.

    Returns
    -------
    StatsReport

    Raises
    ------
    TensorNotFoundError
        A pattern matches nothing.

    Notes
    -----
    Checksums are compared; a tensor that is damaged is among the failures, and the others are
    summed up. Sums are those of float64, and the same for any number of threads. Memory: some MiB
    for each thread, and one tensor where it has no view.
    """
    if not isinstance(source, Checkpoint):
        with open_checkpoint(source, num_threads=num_threads) as checkpoint:
            return stats(checkpoint, patterns, num_threads=num_threads, progress=progress)
    names = list(source) if patterns is None else choose(source, patterns)
    total_bytes = sum(_size(source.tensor(name)) for name in names) if progress else 0
    found: list[TensorStats] = []
    failures: list[VerifyFailure] = []
    done = 0
    with (
        ThreadPoolExecutor(resolve_num_threads(num_threads)) as pool,
        reporter(progress, label="stats", bytes_total=total_bytes) as report,
    ):
        for name in names:
            handle = source.tensor(name)
            try:
                found.append(_tensor_stats(source, handle, pool))
            except CheckpointError as error:
                failures.append(VerifyFailure(name, error))
            done += _size(handle)
            report.update(done, len(found), name)
    return StatsReport(
        source.prefix, tuple(found), _total(found), _by_dtype(found), tuple(failures)
    )


def is_real(tf_dtype: str) -> bool:
    """Whether elements of this type are real numbers."""
    return not tf_dtype.startswith(("complex", "string", "variant", "resource"))


def array_numbers(array: Array, tf_dtype: str) -> Numbers | None:
    """Sum up an array; None where its elements are not real numbers."""
    if not is_real(tf_dtype):
        return None
    return _summed([array.reshape(-1)], map)


def _tensor_stats(source: Checkpoint, handle: StoredTensor, pool: Executor) -> TensorStats:
    numbers = None
    if is_real(handle.tf_dtype):
        mapper: Mapper = map if handle.size <= _CHUNK else pool.map
        numbers = _summed(blocks(source, handle), mapper)
    else:
        handle.verify()
    return TensorStats(handle.name, handle.tf_dtype, handle.shape, handle.nbytes, numbers)


def _summed(pieces: Iterable[Array], mapper: Mapper) -> Numbers:
    total = Numbers()
    for flat in pieces:
        chunks = (flat[start : start + _CHUNK] for start in range(0, flat.size, _CHUNK))
        for numbers in mapper(_chunk_numbers, chunks):
            total.merge(numbers)
    return total


def _chunk_numbers(chunk: Array) -> Numbers:
    values = _arithmetic(chunk)
    low, high = values.min(), values.max()
    found = Numbers(zeros=values.size - int(np.count_nonzero(values)))
    if values.dtype.kind == "f" and not (np.isfinite(low) and np.isfinite(high)):
        found.nans = int(np.isnan(values).sum())
        values = values[np.isfinite(values)]
        found.infs = chunk.size - values.size - found.nans
        if not values.size:
            return found
        low, high = values.min(), values.max()
    wide = values.astype(np.float64)
    # Sums of large float64 numbers may overflow; what follows is infinite then.
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(wide.sum()) / wide.size
        wide -= mean
        wide *= wide
        found.square_sum = float(wide.sum())
    found.finite, found.mean = values.size, mean
    found.min, found.max = low.item(), high.item()
    return found


def _arithmetic(chunk: Array) -> Array:
    """Give the elements in a type that NumPy itself calculates with, exactly."""
    name = chunk.dtype.name
    if name in ("bool", "int2", "int4", "uint2", "uint4"):
        return chunk.astype(np.int8)
    if name.startswith(("bfloat", "float")) and name != "float64":
        return chunk.astype(np.float32)
    return chunk


def _total(found: Iterable[TensorStats]) -> Numbers:
    total = Numbers()
    for tensor in found:
        if tensor.numbers is not None:
            total.merge(tensor.numbers)
    return total


def _by_dtype(found: Iterable[TensorStats]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for tensor in found:
        sizes[tensor.dtype] = sizes.get(tensor.dtype, 0) + tensor.nbytes
    return dict(sorted(sizes.items(), key=lambda item: (-item[1], item[0])))


def _size(handle: StoredTensor) -> int:
    """Stored bytes; 0 for a malformed entry, whose error comes when it is read."""
    try:
        return handle.nbytes
    except CheckpointError:
        return 0
