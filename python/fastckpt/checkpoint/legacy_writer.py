"""Writing V1 checkpoints, as TensorFlow's ``Saver(write_version=V1)`` does."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from fastckpt import dtypes
from fastckpt._core import is_legacy_dtype, write_legacy
from fastckpt.checkpoint.inputs import Input, check_name, prepare
from fastckpt.checkpoint.options import resolve_num_threads
from fastckpt.errors import InvalidArgumentError, UnsupportedError
from fastckpt.names import index_file
from fastckpt.progress import ProgressLike, reporter
from fastckpt.storage.destination import destination

__all__ = ["Placed", "save_v1"]

# The length of a dimension that a slice takes in full (kFullExtent in src/coding/ordered.h), and
# the shard of a tensor that may go anywhere (TensorInput::kAnyShard in src/legacy/encode.h).
_FULL = -1
_ANY_SHARD = -1

# What the core takes: key, elements, extents and full shape of a slice, shard.
_Row = tuple[bytes, Input, list[tuple[int, int]] | None, list[int] | None, int]


class Placed(NamedTuple):
    """A value of :func:`save_v1` with its place.

    Attributes
    ----------
    array : array-like
        The elements of the tensor, or of one slice of it.
    full_shape : sequence of int, optional
        Shape of the whole tensor where `array` is a slice.
    start : sequence of int or None, optional
        Where the slice begins along each dimension. None stands for a dimension that the slice
        takes in full, which the file spells differently from one that begins at 0 and happens to
        be as long.
    dtype : str or dtype-like, optional
        TensorFlow's dtype where NumPy's cannot tell, such as ``"qint8"``.
    shard : int, optional
        The file it goes to; None: the smallest.
    """

    array: Any
    full_shape: Sequence[int] | None = None
    start: Sequence[int | None] | None = None
    dtype: Any = None
    shard: int | None = None


def save_v1(
    path: str | os.PathLike[str],
    tensors: Mapping[str, Any] | Iterable[tuple[str, Any]],
    *,
    num_shards: int | None = None,
    sync: bool = True,
    num_threads: int | None = None,
    progress: ProgressLike = None,
) -> str:
    """Write a V1 checkpoint: one file, or one for each shard.

    Parameters
    ----------
    path : str or PathLike
        The file, such as ``"models/model.ckpt-7"``; of several, what their names begin with.
        Missing directories are made.
    tensors : Mapping or iterable of (str, array-like)
        Values as :func:`fastckpt.save` takes them, or `Placed`. Slices of one tensor come as
        several pairs of one name, and make it up together.
    num_shards : int, optional
        None: one file at `path` itself. Otherwise so many files
        ``path-00000-of-00002`` …, each with the tensors it holds.
    sync : bool
        Return when all of it is on the device.
    num_threads : int, optional
        Shards written at once. None: the CPUs of this process, at most 8; or
        ``FASTCKPT_NUM_THREADS``.
    progress : bool or callable, optional
        As for :func:`fastckpt.save`.

    Returns
    -------
    str
        The path, or with `num_shards` the pattern ``path-?????-of-00002``: what readers take.

    Raises
    ------
    UnsupportedError
        A dtype that V1 files cannot hold: bfloat16, the float8 and sub-byte types, uint32,
        uint64, qint16, quint16, variants.
    InvalidArgumentError
        A wrong path, name or value; a tensor that TensorFlow estimates to take more than 2 GiB;
        two tensors of one name, slices that overlap or leave elements out; a V2 checkpoint of the
        same prefix, which every reader would prefer.
    CheckpointBusyError
        Another live writer owns this path.
    CheckpointIOError
        The operating system refused; what was there before is intact.

    Notes
    -----
    The files are those of TensorFlow's ``Save`` and ``SaveSlices`` for the same tensors in the
    same order, byte for byte. A single file is replaced at one stroke. Several are renamed one
    after another once all are written: a process killed between two renames leaves new shards
    beside old ones of the same names.

    A file takes about three times the memory of its largest tensor to write.

    Examples
    --------
    >>> save_v1("models/model.ckpt-7", {"w": np.ones((2, 3)), "step": 7})  # doctest: +SKIP
    'models/model.ckpt-7'
    """
    prefix = destination(path, allow_directory=num_shards is not None)
    count = 0 if num_shards is None else _num_shards(num_shards)
    if num_shards is None and os.path.lexists(index_file(prefix)):
        raise InvalidArgumentError(
            f"there is a V2 checkpoint at {prefix!r}, which readers prefer to a V1 file of that "
            "name; remove it, or save under another name",
            path=prefix,
        )
    rows = list(_rows(tensors))
    total = sum(_nbytes(row[1]) for row in rows) if progress else 0
    with reporter(progress, label="save", bytes_total=total) as report:
        write_legacy(
            os.fsencode(prefix),
            rows,
            num_shards=count,
            sync=bool(sync),
            num_threads=resolve_num_threads(num_threads),
            report=report.update if progress else None,
        )
    return prefix if num_shards is None else f"{prefix}-?????-of-{count:05d}"


def _rows(tensors: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> Iterator[_Row]:
    items = tensors.items() if isinstance(tensors, Mapping) else tensors
    for name, value in items:
        key = check_name(name)
        placed = value if type(value) is Placed else Placed(value)
        item = prepare(name, placed.array, placed.dtype)
        _check_dtype(name, item.number)
        extents, full_shape = _place(name, item.shape, placed)
        yield key, item, extents, full_shape, _shard(placed.shard)


def _check_dtype(name: str, number: int) -> None:
    if not is_legacy_dtype(number):
        raise UnsupportedError(
            f"tensor {name!r}: V1 files cannot hold {dtypes.tf_name(number)}; convert it, or "
            "write a V2 checkpoint",
            key=name,
        )


def _place(
    name: str, shape: tuple[int, ...], placed: Placed
) -> tuple[list[tuple[int, int]] | None, list[int] | None]:
    """Give the extents and the full shape of a slice; the core checks that they fit."""
    if placed.full_shape is None and placed.start is None:
        return None, None
    try:
        full_shape = [operator.index(x) for x in placed.full_shape or ()]
        starts = [None if x is None else operator.index(x) for x in placed.start or ()]
    except TypeError as error:
        raise InvalidArgumentError(
            f"tensor {name!r}: full_shape and start of a slice must be integers", key=name
        ) from error
    if not len(starts) == len(shape) == len(full_shape):
        raise InvalidArgumentError(
            f"tensor {name!r}: a slice of shape {list(shape)} that starts at {starts} does not "
            f"fit a tensor of shape {full_shape}: their lengths differ",
            key=name,
        )
    extents = [
        (0, _FULL) if start is None else (start, length)
        for start, length in zip(starts, shape, strict=True)
    ]
    return (extents, full_shape) if extents else (None, None)


def _num_shards(value: object) -> int:
    count = _index(value)
    if count is None or not 1 <= count <= 1 << 20:
        raise InvalidArgumentError(
            f"num_shards must be None or an integer from 1 to {1 << 20}, not {value!r}"
        )
    return count


def _shard(value: object) -> int:
    shard = _ANY_SHARD if value is None else _index(value)
    if shard is None or (value is not None and not 0 <= shard < 1 << 31):
        raise InvalidArgumentError(f"shard must be None or an integer from 0 on, not {value!r}")
    return shard


def _index(value: object) -> int | None:
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None


def _nbytes(item: Input) -> int:
    if item.array is not None:
        return item.array.nbytes
    return sum(map(len, item.elements or ()))
