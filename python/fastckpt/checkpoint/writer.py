"""Writing checkpoints: all tensors at once, or one after the other."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np

from fastckpt import dtypes
from fastckpt._core import BundleWriter, total_nbytes
from fastckpt.checkpoint.inputs import NATIVE_NUMBERS, check_name, prepare
from fastckpt.checkpoint.merging import begin_part
from fastckpt.checkpoint.options import (
    WriteBackend,
    check_integer,
    check_write_backend,
    resolve_num_threads,
)
from fastckpt.checkpoint.slices import check_shape, slice_extents
from fastckpt.errors import ClosedError, InvalidArgumentError
from fastckpt.progress import ProgressLike, reporter
from fastckpt.storage.destination import absolute, destination

__all__ = ["CheckpointWriter", "save"]

# Smaller checkpoints stay in one shard: a second file gains nothing below this.
_ONE_SHARD_BYTES = 256 << 20

# Arrays that the core takes as they are.
_PLAIN_NUMBERS = NATIVE_NUMBERS | {np.dtype(bool): dtypes.number_of("bool")}


def save(
    prefix: str | os.PathLike[str],
    tensors: Mapping[str, Any],
    *,
    num_shards: int | None = None,
    alignment: int = 64,
    block_crcs: bool = True,
    sync: bool = True,
    num_threads: int | None = None,
    backend: WriteBackend = "auto",
    progress: ProgressLike = None,
) -> str:
    """Write a checkpoint that stock TensorFlow restores.

    Parameters
    ----------
    prefix : str or PathLike
        Directory and base name of the checkpoint's files, such as ``"models/ckpt-7"``. Missing
        directories are made. A checkpoint that is there already is replaced at one stroke, once
        the new one is complete.
    tensors : Mapping of str to array-like
        Written in their order. Arrays of any strides and byte order, of NumPy's, ml_dtypes' and
        any type with ``__array__``, the buffer protocol or DLPack on the CPU; strings as lists or
        arrays of ``str`` or ``bytes``; ``(array, "qint8")`` names the TensorFlow dtype where
        NumPy's cannot tell.
    num_shards : int, optional
        Data files. None: one below 256 MiB, else one for each thread.
    alignment : int
        Tensors of 4 KiB or more begin at multiples of this many bytes, smaller ones at multiples
        of their item size; a power of two.
    block_crcs : bool
        Record a checksum for every 4 MiB of large tensors, which TensorFlow ignores: a row of a
        large tensor can then be verified without reading the rest.
    sync : bool
        Return when all of it is on the device. Without, a power cut may lose it; a killed process
        does not.
    num_threads : int, optional
        None: the CPUs of this process, at most 8; or ``FASTCKPT_NUM_THREADS``.
    backend : {"auto", "direct"}
        How bytes reach the device. "auto" writes through the page cache, and with `sync` the
        device begins while the rest is still written. "direct" goes past it, four requests of
        4 MiB at a time: what other programs have in the cache stays there, and the new files are
        not in it. Where the file system has no such way "direct" is "auto". The files are the
        same.
    progress : bool or callable, optional
        True for a bar, or a function of :class:`~fastckpt.Progress`; what it raises cancels.

    Returns
    -------
    str
        The prefix.

    Raises
    ------
    InvalidArgumentError
        A wrong prefix, name or value; nothing was written.
    UnsupportedError
        A dtype that TensorFlow cannot store.
    CheckpointBusyError
        Another live writer owns this prefix.
    CheckpointIOError
        The operating system refused; what was there before is intact.

    Notes
    -----
    With ``num_shards=1, alignment=1, block_crcs=False`` the files are those of TensorFlow's
    ``SaveV2`` for the same order of tensors, byte for byte. Takes 1 MiB of memory for each thread
    and shard, 4 MiB with ``backend="direct"``; non-contiguous arrays are gathered on the way. An
    array that another thread changes meanwhile is stored torn, never with a wrong checksum.

    Examples
    --------
    >>> fastckpt.save("models/ckpt-7", {"w": np.ones((2, 3)), "step": 7})  # doctest: +SKIP
    'models/ckpt-7'
    """
    check_mapping(tensors)
    path = destination(prefix)
    threads = resolve_num_threads(num_threads)
    shards = default_num_shards(tensors, threads) if num_shards is None else num_shards
    with CheckpointWriter(
        path,
        num_shards=shards,
        alignment=alignment,
        block_crcs=block_crcs,
        sync=sync,
        num_threads=threads,
        backend=backend,
    ) as writer:
        writer.add_all(tensors, progress=progress)
    return path


class CheckpointWriter:
    """Write a checkpoint tensor by tensor; nothing is visible before :meth:`commit`.

    As a context manager it commits on leaving, and aborts when left by an exception.

    Parameters
    ----------
    prefix, alignment, block_crcs, sync, num_threads, backend
        As in :func:`save`.
    num_shards : int
        Data files, 1 by default; each tensor goes to the smallest unless `shard` of :meth:`add`
        says otherwise. With `shard`, the number of processes that write.
    shard : int, optional
        Which of `num_shards` processes this one is. Each writes its part, one data file, and
        :func:`fastckpt.commit` in one of them, after all, makes the checkpoint visible. The
        slices of a tensor may be spread over the parts.
    allow_gaps : bool
        Accept partitioned tensors of which slices are missing, as TensorFlow does; what is there
        can be restored.
    allow_directory : bool
        Accept the name of a directory for the prefix, as TensorFlow does: the files are beside
        the directory.

    Raises
    ------
    CheckpointBusyError
        Another live writer owns this prefix, or this part of it.

    Notes
    -----
    Threads that use one writer wait for each other. Each :meth:`add` returns when its tensor's
    bytes were taken over: the array may change afterwards. A forked child must not use its
    parent's writer.

    Examples
    --------
    >>> with fastckpt.CheckpointWriter("models/big", num_shards=2) as w:  # doctest: +SKIP
    ...     w.add("step", 7)
    ...     for i, block in enumerate(blocks):
    ...         w.add_slice("embedding", block, (10_000_000, 64), (i * 100_000, 0))
    """

    def __init__(
        self,
        prefix: str | os.PathLike[str],
        *,
        num_shards: int | None = None,
        shard: int | None = None,
        alignment: int = 64,
        block_crcs: bool = True,
        sync: bool = True,
        num_threads: int | None = None,
        backend: WriteBackend = "auto",
        allow_gaps: bool = False,
        allow_directory: bool = False,
    ) -> None:
        self._prefix = written = destination(prefix, allow_directory=allow_directory)
        self._names: dict[str, bool] = {}  # whether the name belongs to slices
        self._state = "open"
        check_write_backend(backend)
        if shard is not None:
            written = begin_part(written, shard, num_shards)
        if shard is not None or num_shards is None:
            num_shards = 1
        self._core = BundleWriter(
            os.fsencode(absolute(written)),
            num_shards=check_integer("num_shards", num_shards, 1, 1 << 20),
            alignment=check_integer("alignment", alignment, 1, 1 << 20),
            block_crcs=bool(block_crcs),
            sync=bool(sync),
            complete_slices=shard is None and not allow_gaps,
            direct=backend == "direct",
            num_threads=resolve_num_threads(num_threads),
            numbers=_PLAIN_NUMBERS,
            prepare=prepare,
            check_name=check_name,
        )

    @property
    def prefix(self) -> str:
        """Where the checkpoint will be."""
        return self._prefix

    def add(self, name: str, array: Any, *, dtype: Any = None, shard: int | None = None) -> None:
        """Write one tensor.

        Parameters
        ----------
        name : str
            Not used before in this checkpoint.
        array : array-like
            As the values of :func:`save`.
        dtype : str or dtype-like, optional
            TensorFlow's dtype where NumPy's cannot tell, such as ``"qint8"``.
        shard : int, optional
            The data file it goes to; None: the smallest.
        """
        self._check_open()
        key = check_name(name)
        self._check_unused(name)
        self._core.add(key, prepare(name, array, dtype), None, shard=_shard(shard))
        self._names[name] = False

    def add_slice(
        self,
        name: str,
        array: Any,
        full_shape: Sequence[int],
        start: Sequence[int | None],
        *,
        dtype: Any = None,
        shard: int | None = None,
    ) -> None:
        """Write one slice of a partitioned tensor.

        Parameters
        ----------
        name : str
            Name of the whole tensor.
        array : array-like
            Elements of the slice.
        full_shape : sequence of int
            Shape of the whole tensor.
        start : sequence of int or None
            Where the slice begins along each dimension. None says that it takes the dimension in
            full, which TensorFlow spells differently from a slice that begins at 0 and happens to
            be as long.
        dtype, shard
            As in :meth:`add`.

        Notes
        -----
        All slices have one dtype and one full shape, do not overlap, and make up the whole tensor
        by the time of :meth:`commit`. A slice that is the whole tensor is stored as an ordinary
        one.
        """
        self._check_open()
        key = check_name(name)
        self._check_unused(name, slices=True)
        item = prepare(name, array, dtype)
        shape = check_shape("full_shape", full_shape, name)
        extents = slice_extents(name, item.shape, shape, start)
        self._core.add(
            key, item, None, shard=_shard(shard), extents=extents, full_shape=list(shape)
        )
        is_whole = item.shape == shape
        self._names[name] = not is_whole

    def add_all(
        self,
        tensors: Mapping[str, Any] | Iterable[tuple[str, Any]],
        *,
        progress: ProgressLike = None,
    ) -> None:
        """Write many tensors, on many threads.

        Parameters
        ----------
        tensors : Mapping or iterable of (str, array-like)
            In their order.
        progress : bool or callable, optional
            As in :func:`save`.
        """
        self._check_open()
        total = 0
        items: Any = tensors
        if isinstance(tensors, Mapping):
            total = total_nbytes(tensors, sys.maxsize) if progress else 0
            # A dict goes to the core as it is.
            items = tensors if type(tensors) is dict else tensors.items()
        if self._names:
            items = self._unused(tensors.items() if type(tensors) is dict else items)
        with reporter(progress, label="save", bytes_total=total) as report:

            def update(bytes_done: int, tensors_done: int, name: str) -> None:
                # Padding, and strings, are not in the total.
                report.update(min(bytes_done, total or bytes_done), tensors_done, name)

            try:
                self._core.add_all(items, update if progress else None)
            except BaseException:
                # Some of them are in and some are not. A commit says so, should one come.
                self._core.abort()
                raise

    def add_companion(self, suffix: str, content: bytes) -> None:
        """Give the checkpoint a file beside it, such as ``".meta"``, visible before the index."""
        self._check_open()
        self._core.add_companion(suffix, content)

    def commit(self) -> str:
        """Make the checkpoint visible, and durable with ``sync=True``; returns the prefix.

        With `shard`, the part is complete then, and the checkpoint not visible yet.
        """
        self._check_open()
        try:
            self._state = "closed"
            self._core.commit()
        except BaseException:
            # Ctrl-C may come before the core has begun.
            self._core.abort()
            raise
        return self._prefix

    def abort(self) -> None:
        """Remove all that was written; what was at the prefix before stays. Idempotent."""
        if self._state == "open":
            self._core.abort()
            self._state = "closed"

    def __enter__(self) -> Self:
        self._check_open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.abort()
        elif self._state == "open":
            self.commit()

    def _unused(self, items: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
        for name, value in items:
            self._check_unused(name)
            yield name, value

    def _check_open(self) -> None:
        if self._state != "open":
            raise ClosedError(
                f"the writer of {self._prefix!r} is closed; make a new one", path=self._prefix
            )

    def _check_unused(self, name: str, *, slices: bool = False) -> None:
        known = self._names.get(name)
        if known is None or (known and slices):
            return
        raise InvalidArgumentError(
            f"tensor {name!r} was added before; names are used once"
            if not known
            else f"tensor {name!r} has slices already, and cannot be stored whole as well",
            key=name,
        )


def check_mapping(tensors: object) -> None:
    """Raise InvalidArgumentError unless this maps names to values."""
    if not isinstance(tensors, Mapping):
        raise InvalidArgumentError(
            f"tensors must be a mapping of names to arrays, not {type(tensors).__name__}"
        )


def default_num_shards(tensors: Mapping[str, Any], num_threads: int) -> int:
    """Give the number of data files that suits so many bytes; strings count for nothing."""
    total = total_nbytes(tensors, _ONE_SHARD_BYTES)
    return num_threads if total >= _ONE_SHARD_BYTES else 1


def _shard(shard: int | None) -> int:
    return -1 if shard is None else check_integer("shard", shard, 0, (1 << 31) - 1)
