"""How a Saver's tensors become the files of one checkpoint, V2 or V1."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np

from fastckpt import dtypes
from fastckpt.checkpoint.async_save import Named, Writing, is_frozen
from fastckpt.checkpoint.inputs import NATIVE_NUMBERS, Input, prepare
from fastckpt.checkpoint.legacy_writer import Placed, save_v1
from fastckpt.checkpoint.writer import CheckpointWriter
from fastckpt.errors import InvalidArgumentError
from fastckpt.progress import ProgressLike
from fastckpt.storage.replace import replace_file
from fastckpt.training.variables import SliceInfo, Target, read_values

__all__ = [
    "Layout",
    "Piece",
    "collect",
    "named_inputs",
    "num_files",
    "open_writing",
    "returned_path",
]

# Suffixes of files that the core commits together with a checkpoint.
_COMPANION = re.compile(r"\.(?!index\Z|lock\Z|old\Z)[A-Za-z0-9_]{1,5}")


class Layout(NamedTuple):
    """What the files of a save look like.

    Attributes
    ----------
    version : int
        2 or 1.
    sharded : bool
        One shard for each device of the variables.
    num_shards : int or None
        So many shards instead.
    sync : bool
        Return when all of it is on the device.
    num_threads : int
        Threads that write.
    """

    version: int
    sharded: bool
    num_shards: int | None
    sync: bool
    num_threads: int


class Piece(NamedTuple):
    """One tensor, or one slice of a partitioned tensor, and where it goes.

    Attributes
    ----------
    key : str
        Name in the checkpoint.
    item : Input
        The elements.
    slice : SliceInfo or None
        Its place in the partitioned tensor.
    shard : int or None
        Its data file; None for the smallest.
    is_frozen : bool
        Nobody can change the elements while they are written.
    """

    key: str
    item: Input
    slice: SliceInfo | None
    shard: int | None
    is_frozen: bool


def collect(
    named: Mapping[str, Sequence[Target]],
    layout: Layout,
    session: Any = None,
    *,
    share: bool = False,
) -> list[Piece]:
    """Read everything that is to be saved, in the order of the keys.

    With `share` values may be the memory of the variables themselves, for a save that is done
    before they change.
    """
    keys = [key for key, targets in named.items() for _ in targets]
    targets = [target for group in named.values() for target in group]
    values = read_values(targets, session, share=share)
    shards = _shards(targets, layout)
    return list(map(_piece, keys, targets, values, shards))


def num_files(named: Mapping[str, Sequence[Target]], layout: Layout) -> int | None:
    """Give the number of data files; None for the single file of V1."""
    if layout.num_shards is not None:
        return layout.num_shards
    if layout.sharded:
        return len(_devices(target for group in named.values() for target in group))
    return 1 if layout.version == 2 else None


def returned_path(prefix: str, count: int | None, version: int) -> str:
    """Give the path that a save returns, the state file lists and a restore takes."""
    return prefix if version == 2 or count is None else f"{prefix}-?????-of-{count:05d}"


def open_writing(
    prefix: str,
    pieces: Sequence[Piece],
    count: int | None,
    layout: Layout,
    companion: tuple[str, bytes] | None,
) -> Writing:
    """Begin to write; nothing is visible before the end of the context.

    Parameters
    ----------
    prefix : str
        Of the checkpoint.
    pieces : sequence of Piece
        What `add_all` will be given, in this order, possibly copied.
    count : int or None
        As `num_files` gives it.
    layout : Layout
        Of the files.
    companion : (str, bytes), optional
        Path and content of the meta graph, which becomes visible before the checkpoint.
    """
    if layout.version == 2:
        return _V2Writing(prefix, pieces, count or 1, layout, companion)
    return _V1Writing(prefix, pieces, count, layout, companion)


def named_inputs(pieces: Sequence[Piece]) -> list[Named]:
    """Give the pieces to an asynchronous save."""
    return [Named(piece.key, piece.item, piece.is_frozen) for piece in pieces]


class _V2Writing:
    def __init__(
        self,
        prefix: str,
        pieces: Sequence[Piece],
        count: int,
        layout: Layout,
        companion: tuple[str, bytes] | None,
    ) -> None:
        self._pieces = pieces
        self._writer = CheckpointWriter(
            prefix,
            num_shards=count,
            sync=layout.sync,
            num_threads=layout.num_threads,
            allow_gaps=True,
        )
        self._before_commit: Callable[[], None] = _nothing
        try:
            if companion is not None:
                self._add_companion(prefix, *companion, sync=layout.sync)
        except BaseException:
            self._writer.abort()
            raise

    def add_all(self, tensors: Iterable[tuple[str, Any]], *, progress: ProgressLike) -> None:
        rows = zip(self._pieces, tensors, strict=True)
        # One call for a run of whole tensors: a million of them take a second.
        for is_plain, run in groupby(rows, lambda x: x[0].slice is None and x[0].shard is None):
            if is_plain:
                self._writer.add_all((row[1] for row in run), progress=progress)
            else:
                for piece, (_, item) in run:
                    _add(self._writer, piece, item)

    def abort(self) -> None:
        self._writer.abort()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._before_commit()
            self._writer.commit()
        else:
            self._writer.abort()

    def _add_companion(self, prefix: str, path: str, content: bytes, *, sync: bool) -> None:
        if _COMPANION.fullmatch(path.removeprefix(prefix)):
            self._writer.add_companion(path.removeprefix(prefix), content)
        else:
            self._before_commit = lambda: replace_file(path, content, sync=sync)


class _V1Writing:
    def __init__(
        self,
        prefix: str,
        pieces: Sequence[Piece],
        count: int | None,
        layout: Layout,
        companion: tuple[str, bytes] | None,
    ) -> None:
        self._prefix = prefix
        self._pieces = pieces
        self._count = count
        self._layout = layout
        self._companion = companion

    def add_all(self, tensors: Iterable[tuple[str, Any]], *, progress: ProgressLike) -> None:
        rows = [
            (piece.key, _placed(piece, item))
            for piece, (_, item) in zip(self._pieces, tensors, strict=True)
        ]
        if self._companion is not None:
            replace_file(*self._companion, sync=self._layout.sync)
        save_v1(
            self._prefix,
            rows,
            num_shards=self._count,
            sync=self._layout.sync,
            num_threads=self._layout.num_threads,
            progress=progress,
        )

    def abort(self) -> None:
        """There is nothing to remove."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        return None


def _nothing() -> None:
    return None


def _piece(key: str, target: Target, value: Any, shard: int | None) -> Piece:
    number = dtypes.number_of(target.tf_dtype)
    if type(value) is np.ndarray and NATIVE_NUMBERS.get(value.dtype) == number:
        item = Input(number, value.shape, value, None, None)
    else:
        item = prepare(key, value, target.tf_dtype)
    # What a session gives belongs to nobody else.
    frozen = target.group.needs_session or is_frozen(value, item)
    return Piece(key, item, target.slice, shard, frozen)


def _devices(targets: Iterable[Target]) -> list[str]:
    return sorted({target.device for target in targets})


def _shards(targets: Sequence[Target], layout: Layout) -> Iterator[int | None]:
    """Give the data file of each target; None where any will do."""
    if layout.num_shards is not None or not layout.sharded:
        return iter([None] * len(targets))
    places = {device: shard for shard, device in enumerate(_devices(targets))}
    return (places[target.device] for target in targets)


def _add(writer: CheckpointWriter, piece: Piece, item: Input) -> None:
    if piece.slice is None:
        writer.add(piece.key, item, shard=piece.shard)
    else:
        writer.add_slice(
            piece.key, item, piece.slice.full_shape, _start(piece.slice, item), shard=piece.shard
        )


def _placed(piece: Piece, item: Input) -> Placed:
    if piece.slice is None:
        return Placed(item, shard=piece.shard)
    start = _start(piece.slice, item)
    return Placed(item, piece.slice.full_shape, start, shard=piece.shard)


def _start(place: SliceInfo, item: Input) -> Sequence[int | None]:
    if len(item.shape) != len(place.full_shape):
        raise InvalidArgumentError(
            f"a slice of shape {list(item.shape)} is no part of {place.full_name!r}, whose shape "
            f"is {list(place.full_shape)}",
            key=place.full_name,
        )
    return place.start
