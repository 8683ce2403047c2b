"""What differs between two checkpoints; what is equal is told by checksums, unread."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from numpy.typing import NDArray

from fastckpt.checkpoint.listing import Row, list_rows
from fastckpt.checkpoint.opening import open_checkpoint
from fastckpt.checkpoint.reader import Checkpoint
from fastckpt.checkpoint.report import VerifyFailure
from fastckpt.checkpoint.stored_tensor import StoredTensor
from fastckpt.errors import CheckpointError, InvalidArgumentError
from fastckpt.progress import ProgressLike, reporter
from fastckpt.tools.blocks import block_indices, whole
from fastckpt.tools.differences import Difference, Tolerance, compare

__all__ = ["Change", "DiffReport", "Side", "diff"]

Kind = Literal["added", "removed", "retyped", "reshaped", "changed"]
Array = NDArray[Any]
Path = str | os.PathLike[str]


# Two pieces of each side are in memory: those that are compared, and the next ones.
_PIECE_BYTES = 8 << 20


class Side(NamedTuple):
    """A tensor as one of the checkpoints has it."""

    dtype: str
    shape: tuple[int, ...]
    nbytes: int


@dataclass(frozen=True, slots=True)
class Change:
    """One tensor that differs.

    Attributes
    ----------
    name : str
        The tensor.
    kind : {"added", "removed", "retyped", "reshaped", "changed"}
        In the second checkpoint alone; in the first alone; of another dtype (and perhaps shape);
        of another shape; of other values.
    a, b : Side or None
        The tensor in the first and in the second checkpoint.
    elements : int or None
        Of a "changed" one: elements that are not the same.
    max_abs : int, float or None
        Of a "changed" one of numbers: the largest absolute difference, NaN where only one side is
        NaN.
    """

    name: str
    kind: Kind
    a: Side | None
    b: Side | None
    elements: int | None = None
    max_abs: float | None = None


@dataclass(frozen=True, slots=True)
class DiffReport:
    """What :func:`diff` found.

    Attributes
    ----------
    a, b : str
        Prefixes.
    same : int
        Tensors that are equal in both.
    unread : int
        How many of these were told by their checksums.
    changes : tuple of Change
        By name.
    failures : tuple of VerifyFailure
        Tensors that could not be compared, because one side is damaged or missing.
    """

    a: str
    b: str
    same: int
    unread: int
    changes: tuple[Change, ...]
    failures: tuple[VerifyFailure, ...]

    @property
    def equal(self) -> bool:
        """Whether all was compared, and is the same."""
        return not self.changes and not self.failures


def diff(
    a: Path,
    b: Path,
    *,
    atol: float = 0.0,
    rtol: float = 0.0,
    read_all: bool = False,
    num_threads: int | None = None,
    progress: ProgressLike = None,
) -> DiffReport:
    """Compare two checkpoints.

    Parameters
    ----------
    a, b : str or PathLike
        What :func:`fastckpt.open` takes.
    atol, rtol : float
        Numbers are the same when ``|x - y| <= atol + rtol * |y|``, `y` being of `b`. By default
        when their bits are.
    read_all : bool
        Compare bytes even where the checksums are equal already. Without, two tensors of one
        dtype, shape, size and CRC-32C count as equal, and damage in them is not noticed.
    num_threads : int, optional
        Threads for large reads.
    progress : bool or callable, optional
        As for :meth:`Checkpoint.load`; bytes count once for both sides.

    Returns
    -------
    DiffReport

    Raises
    ------
    CheckpointNotFoundError, DataLossError, …
        What opening raises. Damage of a tensor is among the failures.

    Notes
    -----
    Memory: 32 MiB, and a tensor of each side where it has no view.
    """
    if not (atol >= 0 and rtol >= 0):
        raise InvalidArgumentError(f"atol and rtol must be from 0 on: {atol}, {rtol}")
    with (
        open_checkpoint(a, num_threads=num_threads) as first,
        open_checkpoint(b, num_threads=num_threads) as second,
    ):
        comparison = _Comparison(first, second, Tolerance(atol, rtol), read_all=read_all)
        return comparison.run(progress)


class _Comparison:
    """Two open checkpoints, and what was found so far."""

    def __init__(
        self, first: Checkpoint, second: Checkpoint, tolerance: Tolerance, *, read_all: bool
    ) -> None:
        self._first = first
        self._second = second
        self._tolerance = tolerance
        # Of bytes in different order, equal checksums tell nothing.
        self._trusts_checksums = not read_all and first.byteorder == second.byteorder
        self._changes: list[Change] = []
        self._failures: list[VerifyFailure] = []
        self._same = 0
        self._unread = 0

    def run(self, progress: ProgressLike) -> DiffReport:
        """Compare all."""
        rows = [self._rows(checkpoint) for checkpoint in (self._first, self._second)]
        self._compare_names(*rows)
        pairs = [(row, rows[1][name]) for name, row in rows[0].items() if name in rows[1]]
        alike = [row for row, other in pairs if self._is_alike(row, other)]
        to_read = sorted(
            (row for row in alike if not self._told_by_checksum(row, rows[1][row.name])),
            key=lambda row: (row.shard is None, row.shard or 0, row.offset or 0),
        )
        self._unread = self._same = len(alike) - len(to_read)
        self._read(to_read, progress)
        return DiffReport(
            self._first.prefix,
            self._second.prefix,
            self._same,
            self._unread,
            tuple(sorted(self._changes, key=lambda change: change.name)),
            tuple(self._failures),
        )

    def _rows(self, checkpoint: Checkpoint) -> dict[str, Row]:
        rows = {row.name: row for row in list_rows(checkpoint)}
        if len(rows) < len(checkpoint):
            malformed = [name for name in checkpoint if name not in rows]
            self._failures += [VerifyFailure(x, _entry_error(checkpoint, x)) for x in malformed]
        return rows

    def _compare_names(self, first: dict[str, Row], second: dict[str, Row]) -> None:
        lost = {failure.name for failure in self._failures}
        self._changes += [
            Change(name, "removed", _side(row), None)
            for name, row in first.items()
            if name not in second and name not in lost
        ]
        self._changes += [
            Change(name, "added", None, _side(row))
            for name, row in second.items()
            if name not in first and name not in lost
        ]

    def _is_alike(self, row: Row, other: Row) -> bool:
        if (row.dtype, row.shape) == (other.dtype, other.shape):
            return True
        kind: Kind = "reshaped" if row.dtype == other.dtype else "retyped"
        self._changes.append(Change(row.name, kind, _side(row), _side(other)))
        return False

    def _told_by_checksum(self, row: Row, other: Row) -> bool:
        if not self._trusts_checksums or row.nbytes != other.nbytes:
            return False
        if row.crc32c is not None:
            return row.crc32c == other.crc32c
        return other.crc32c is None and self._same_slices(row.name)

    def _same_slices(self, name: str) -> bool:
        """Whether both are partitioned alike, and every slice has the checksum of the other's."""
        if "v1" in (self._first.format, self._second.format):
            return False
        try:
            first, second = (
                [(x.start, x.shape, x.nbytes, x.crc32c) for x in checkpoint.tensor(name).parts]
                for checkpoint in (self._first, self._second)
            )
        except CheckpointError:
            return False  # Reading tells why.
        return first == second

    def _read(self, rows: Iterable[Row], progress: ProgressLike) -> None:
        rows = list(rows)
        total = sum(row.nbytes for row in rows)
        done = 0
        with reporter(progress, label="diff", bytes_total=total) as report:
            for number, row in enumerate(rows):
                self._compare_values(row)
                done += row.nbytes
                report.update(done, number + 1, row.name)

    def _compare_values(self, row: Row) -> None:
        handles = self._first.tensor(row.name), self._second.tensor(row.name)
        found = Difference()
        try:
            for pieces in self._pieces(*handles):
                found.merge(compare(*pieces, self._tolerance))
        except CheckpointError as error:
            self._failures.append(VerifyFailure(row.name, error))
            return
        if not found.elements:
            self._same += 1
            return
        a, b = (Side(x.tf_dtype, x.shape, x.nbytes) for x in handles)
        self._changes.append(Change(row.name, "changed", a, b, found.elements, found.max_abs))

    def _pieces(self, first: StoredTensor, second: StoredTensor) -> Iterator[tuple[Array, Array]]:
        """Iterate over both, in equal pieces of bounded size where they can be had."""
        size = max(_PIECE_BYTES // first.dtype.itemsize, 1)
        in_pieces = first.size > size and not first.dtype.hasobject
        v1 = "v1" in (self._first.format, self._second.format)
        if not in_pieces or v1 or (first.can_view and second.can_view):
            a, b = whole(first).reshape(-1), whole(second).reshape(-1)
            step = size if in_pieces else max(a.size, 1)
            for start in range(0, a.size, step):
                yield a[start : start + step], b[start : start + step]
            return
        for index in block_indices(first.shape, size):
            yield first[index].reshape(-1), second[index].reshape(-1)


def _entry_error(checkpoint: Checkpoint, name: str) -> CheckpointError:
    try:
        checkpoint.tensor(name).verify()
    except CheckpointError as error:
        return error
    raise AssertionError("unreachable: the entry is malformed")


def _side(row: Row) -> Side:
    return Side(row.dtype, row.shape, row.nbytes)
