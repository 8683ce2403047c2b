"""Open checkpoints: a mapping of names to arrays, and bulk reads."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import repeat
from types import TracebackType
from typing import Any, Literal, Never

from numpy.typing import NDArray

from fastckpt import _core, dtypes
from fastckpt.checkpoint import bulk
from fastckpt.checkpoint.options import Options, resolve_num_threads
from fastckpt.checkpoint.report import Damage, VerifyReport
from fastckpt.checkpoint.stored_tensor import StoredTensor
from fastckpt.errors import (
    CheckpointChangedError,
    ClosedError,
    TensorNotFoundError,
)
from fastckpt.progress import ProgressLike

os.register_at_fork(after_in_child=_core.reset_after_fork)


class Checkpoint(Mapping[str, NDArray[Any]]):
    """An open checkpoint: a read-only mapping of tensor names to arrays.

    Made by :func:`fastckpt.open`. Names are in bytewise order. ``checkpoint[name]`` is a read-only
    array: a zero-copy view of the shard's memory map wherever the stored bytes allow it, otherwise
    a copy. Equality is identity; it is a context manager, safe to use from many threads, and may
    be pickled (the copy reopens the same files, and refuses others).

    Notes
    -----
    Views stay valid after :meth:`close`. All files are opened at open, so that a later save over
    the same prefix cannot mix in.
    """

    __slots__ = ("__weakref__", "_bundle", "_format", "_names", "_options", "_prefix")

    _bundle: _core.BundleReader

    def __init__(self, prefix: str, options: Options, kind: Literal["v2", "v1"] = "v2") -> None:
        # Absolute, so that a pickle or a change of directory keeps the files; not normalised,
        # because a prefix may end in a slash and `..` may follow a link.
        self._prefix = os.path.join(os.getcwd(), prefix)
        self._options = options
        self._names: list[str] | None = None
        self._format: Literal["v2", "v1"] = kind
        self._bundle = _open_bundle(self._prefix, options, kind)
        if options.verify == "eager":
            self._bundle.check(self._bundle.stored_ids()).wait()

    # --- the mapping --------------------------------------------------------------------------

    def __getitem__(self, name: str) -> NDArray[Any]:
        try:
            array: NDArray[Any] | None = self._bundle.view(name)
        except TensorNotFoundError:
            raise self._not_found(name) from None
        if array is None:
            array = self.tensor(name).read()
            array.flags.writeable = False
        return array

    def __iter__(self) -> Iterator[str]:
        return iter(self._all_names())

    def __len__(self) -> int:
        return len(self._bundle)

    def __contains__(self, name: object) -> bool:
        try:
            self._bundle.find(name)  # type: ignore[arg-type]
        except (TensorNotFoundError, TypeError):
            return False
        return True

    def get(self, name: str, default: Any = None) -> Any:
        """Give the array, or `default` where there is no tensor of that name."""
        # Mapping's own goes through the error, and its near names cost a pass over all names.
        return self[name] if name in self else default  # noqa: SIM401

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    # --- handles ------------------------------------------------------------------------------

    def tensor(self, name: str) -> StoredTensor:
        """Give a handle on one tensor; no data is touched.

        Raises
        ------
        TensorNotFoundError
            No tensor of that name; the message lists near ones.
        """
        return StoredTensor(self._bundle, self._find(name), name)

    def tensors(self) -> Iterator[StoredTensor]:
        """Iterate over handles on all tensors, sorted by name."""
        bundle = self._bundle
        return map(StoredTensor, repeat(bundle), bundle.ids(), self._all_names())

    # --- bulk ---------------------------------------------------------------------------------

    def load(
        self,
        names: Iterable[str] | None = None,
        *,
        num_threads: int | None = None,
        progress: ProgressLike = None,
    ) -> dict[str, NDArray[Any]]:
        """Read tensors into memory, in parallel and in file order.

        Parameters
        ----------
        names : iterable of str, optional
            Which; None means all.
        num_threads : int, optional
            Threads for this call; by default those of the checkpoint.
        progress : bool or callable, optional
            True shows a bar; a callable is given ``Progress`` at most ten times a second, in this
            thread, and cancels by raising.

        Returns
        -------
        dict of str to ndarray
            Owned, writable, aligned arrays, in the order of `names` (of all: bytewise).

        Raises
        ------
        TensorNotFoundError, DataLossError, CheckpointNotFoundError
            As reading each of them alone would; nothing is returned then.

        Notes
        -----
        Checksums are compared while the bytes are copied. Arrays below 64 MiB share blocks of
        memory of up to 64 MiB: one that is kept keeps its block.
        """
        wanted = self._ids(names)
        return bulk.load(self._bundle, wanted, self._threads(num_threads), progress)

    def load_into(self, targets: Mapping[str, NDArray[Any]], *, strict: bool = True) -> None:
        """Read tensors into arrays that exist, in place and in parallel.

        Parameters
        ----------
        targets : mapping of str to ndarray
            Writable arrays of the stored shape and dtype; any layout. Tensors of the checkpoint
            that are not among them are left out.
        strict : bool
            Raise when a name is missing or an array does not fit; otherwise skip those.

        Raises
        ------
        TensorNotFoundError, InvalidArgumentError
            Missing names; arrays of another shape or dtype. The message lists all of them, and no
            array was touched.
        DataLossError, CheckpointNotFoundError
            Stored bytes are damaged or missing. Some arrays were filled; damaged ones are zero.
        """
        bulk.load_into(self._bundle, self.tensor, targets, strict=strict)

    def stream(
        self, names: Iterable[str] | None = None, *, prefetch_bytes: int = 256 << 20
    ) -> Iterator[tuple[str, NDArray[Any]]]:
        """Iterate over tensors in file order, reading ahead in the background.

        Parameters
        ----------
        names : iterable of str, optional
            Which; None means all.
        prefetch_bytes : int
            Bound on the bytes read ahead; one larger tensor is read alone.

        Yields
        ------
        (str, ndarray)
            Name, and an owned, writable array whose checksum was compared.

        Notes
        -----
        Memory: `prefetch_bytes` plus one tensor, and what the caller keeps.
        """
        return bulk.stream(
            self._bundle, self._ids(names), self._options.num_threads, prefetch_bytes
        )

    def verify(
        self,
        names: Iterable[str] | None = None,
        *,
        num_threads: int | None = None,
        progress: ProgressLike = None,
    ) -> VerifyReport:
        """Re-read tensors and compare every checksum; report all failures.

        Without `names` the files are checked too: every index block, the metaindex, footer padding
        and the padding between tensors.

        Returns
        -------
        VerifyReport
            True when nothing is wrong. Nothing is raised for damage.
        """
        wanted = None if names is None else self._ids(names)
        threads = self._threads(num_threads)
        return bulk.verify(self._bundle, wanted, self.damage, threads, progress)

    # --- what it is ---------------------------------------------------------------------------

    @property
    def prefix(self) -> str:
        """Absolute path without suffix; of a V1 checkpoint its file, or the pattern of all."""
        return self._prefix

    @property
    def format(self) -> Literal["v2", "v1"]:
        """Format of the files."""
        return self._format

    @property
    def num_shards(self) -> int:
        """Number of data shards that the header announces; of V1 files, the missing included."""
        return self._bundle.num_shards

    @property
    def files(self) -> tuple[str, ...]:
        """Paths of the index and of every shard that holds a tensor, present or not.

        Of a V1 checkpoint: its file, or all shards that its pattern tells of.
        """
        return tuple(self._bundle.files())

    @property
    def nbytes(self) -> int:
        """Stored bytes of all tensors."""
        return self._bundle.stored_bytes

    @property
    def bytes_read(self) -> int:
        """Bytes of tensor data that the library read or checked so far."""
        return self._bundle.bytes_read

    @property
    def byteorder(self) -> Literal["little", "big"]:
        """Byte order of the data shards."""
        return "big" if self._bundle.big_endian else "little"

    @property
    def damage(self) -> tuple[Damage, ...]:
        """What ``on_damage="skip"`` left out of the listing; empty for an intact index."""
        return tuple(Damage(*part) for part in self._bundle.damage())

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return isinstance(self._bundle, _Closed)

    @property
    def bundle(self) -> _core.BundleReader:
        """What reads it, for bulk work."""
        return self._bundle

    def close(self) -> None:
        """Let go of the files; views that exist keep what they need. Idempotent."""
        self._bundle = _Closed(self._prefix)  # type: ignore[assignment]
        self._names = None

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        fingerprint = self._bundle.fingerprint
        return _reopen, (self._prefix, self._options, self._format, fingerprint)

    def __repr__(self) -> str:
        if self.closed:
            return f"<Checkpoint {self._prefix!r} (closed)>"
        return f"<Checkpoint {self._prefix!r}: {len(self)} tensors, {self.nbytes} bytes>"

    # --- helpers ------------------------------------------------------------------------------

    def _all_names(self) -> list[str]:
        if self._names is None:
            self._names = self._bundle.names()
        return self._names

    def _find(self, name: str) -> int:
        try:
            return self._bundle.find(name)
        except TensorNotFoundError:
            raise self._not_found(name) from None

    def _ids(self, names: Iterable[str] | None) -> list[int]:
        if names is None:
            return self._bundle.ids()
        if isinstance(names, str):
            names = [names]
        return [self._find(name) for name in names]

    def _threads(self, num_threads: int | None) -> int:
        return (
            self._options.num_threads if num_threads is None else resolve_num_threads(num_threads)
        )

    def _not_found(self, name: str) -> TensorNotFoundError:
        from fastckpt.names import tensor_not_found

        message = tensor_not_found(name, self._all_names(), self._prefix)
        return TensorNotFoundError(message, path=self._prefix, key=name)


class _Closed:
    """Stands where the reader was: whatever is asked of it raises."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def __getattr__(self, name: str) -> Never:
        raise ClosedError(f"checkpoint {self._prefix!r} is closed", path=self._prefix)

    def __len__(self) -> Never:
        raise ClosedError(f"checkpoint {self._prefix!r} is closed", path=self._prefix)


def _open_bundle(prefix: str, options: Options, kind: Literal["v2", "v1"]) -> _core.BundleReader:
    skip_damage = options.on_damage == "skip"
    if kind == "v1":
        from fastckpt.checkpoint.legacy import LegacyBundle

        # It offers the same.
        return LegacyBundle(  # type: ignore[return-value]
            prefix, skip_damage=skip_damage, num_threads=options.num_threads
        )
    return _core.BundleReader(
        os.fsencode(prefix),
        backend=options.backend_number,
        verify=options.verify != "off",
        skip_damage=skip_damage,
        num_threads=options.num_threads,
        resolve_dtype=dtypes.numpy_dtype,
    )


def _reopen(
    prefix: str, options: Options, kind: Literal["v2", "v1"], fingerprint: tuple[int, int]
) -> Checkpoint:
    checkpoint = Checkpoint(prefix, options, kind)
    if checkpoint._bundle.fingerprint != fingerprint:  # noqa: SLF001
        raise CheckpointChangedError(
            f"checkpoint {prefix!r} is not the one that was pickled; open it again by its path",
            path=prefix,
        )
    return checkpoint
