"""How a Saver's tensors become the files of one checkpoint, V2 or V1."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby, repeat
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

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
    "Pieces",
    "collect",
    "named_inputs",
    "num_files",
    "open_writing",
    "returned_path",
]

# What arrays are in TensorFlow's words, where their dtype alone says it.
_NATIVE_NAMES = {dtype: dtypes.tf_name(number) for dtype, number in NATIVE_NUMBERS.items()}

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


class Pieces(NamedTuple):
    """The tensors of a save, and slices of partitioned ones; columns of equal length.

    Attributes
    ----------
    keys : list of str
        Names in the checkpoint; those of slices repeat.
    targets : list of Target
        Where the elements are from, and which slice they are.
    items : list of ndarray or Input
        The elements: an array whose dtype says all, or what `prepare` made.
    shards : list of int, optional
        Data file of each; None where any will do.
    """

    keys: list[str]
    targets: list[Target]
    items: list[NDArray[Any] | Input]
    shards: list[int] | None


def collect(
    named: Mapping[str, Sequence[Target]],
    layout: Layout,
    session: Any = None,
    *,
    share: bool = False,
) -> Pieces:
    """Read everything that is to be saved, in the order of the keys.

    With `share` values may be the memory of the variables themselves, for a save that is done
    before they change.
    """
    keys = [key for key, targets in named.items() for _ in targets]
    targets = [target for group in named.values() for target in group]
    values = read_values(targets, session, share=share)
    items = list(map(_item, keys, targets, values))
    return Pieces(keys, targets, items, _shards(targets, layout))


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
    pieces: Pieces,
    count: int | None,
    layout: Layout,
    companion: tuple[str, bytes] | None,
) -> Writing:
    """Begin to write; nothing is visible before the end of the context.

    Parameters
    ----------
    prefix : str
        Of the checkpoint.
    pieces : Pieces
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


def named_inputs(pieces: Pieces) -> list[Named]:
    """Give the pieces to an asynchronous save."""
    named = []
    for key, target, item in zip(pieces.keys, pieces.targets, pieces.items, strict=True):
        ready = prepare(key, item)
        # What a session gives belongs to nobody else.
        frozen = target.group.needs_session or is_frozen(item, ready)
        named.append(Named(key, ready, frozen))
    return named


class _V2Writing:
    def __init__(
        self,
        prefix: str,
        pieces: Pieces,
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
            allow_directory=True,
        )
        self._before_commit: Callable[[], None] = _nothing
        try:
            if companion is not None:
                self._add_companion(prefix, *companion, sync=layout.sync)
        except BaseException:
            self._writer.abort()
            raise

    def add_all(self, tensors: Iterable[tuple[str, Any]], *, progress: ProgressLike) -> None:
        targets, shards = self._pieces.targets, self._pieces.shards
        if shards is None and all(x.slice is None for x in targets):
            # A million tensors of a dict take half a second.
            self._writer.add_all(dict(tensors), progress=progress)
            return
        rows = zip(tensors, targets, shards or repeat(None), strict=False)
        # Together where they can be, which many threads then write.
        for is_plain, run in groupby(rows, lambda row: row[1].slice is None and row[2] is None):
            if is_plain:
                self._writer.add_all(dict(tensor for tensor, _, _ in run), progress=progress)
            else:
                for (key, item), target, shard in run:
                    _add(self._writer, key, item, target.slice, shard)

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
        pieces: Pieces,
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
        targets, shards = self._pieces.targets, self._pieces.shards
        rows = [
            (key, _placed(prepare(key, item), target.slice, shard))
            for (key, item), target, shard in zip(
                tensors, targets, shards or repeat(None), strict=False
            )
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


def _item(key: str, target: Target, value: Any) -> NDArray[Any] | Input:
    tf_dtype = target.tf_dtype
    if type(value) is np.ndarray and _NATIVE_NAMES.get(value.dtype) == tf_dtype:
        return value
    return prepare(key, value, tf_dtype)


def _devices(targets: Iterable[Target]) -> list[str]:
    return sorted({target.device for target in targets})


def _shards(targets: Sequence[Target], layout: Layout) -> list[int] | None:
    """Give the data file of each target; None where any will do."""
    if layout.num_shards is not None or not layout.sharded:
        return None
    places = {device: shard for shard, device in enumerate(_devices(targets))}
    return [places[target.device] for target in targets]


def _add(
    writer: CheckpointWriter, key: str, item: Any, place: SliceInfo | None, shard: int | None
) -> None:
    if place is None:
        writer.add(key, item, shard=shard)
    else:
        writer.add_slice(key, item, place.full_shape, _start(place, item), shard=shard)


def _placed(item: Input, place: SliceInfo | None, shard: int | None) -> Placed:
    if place is None:
        return Placed(item, shard=shard)
    return Placed(item, place.full_shape, _start(place, item), shard=shard)


def _start(place: SliceInfo, item: NDArray[Any] | Input) -> Sequence[int | None]:
    if len(item.shape) != len(place.full_shape):
        raise InvalidArgumentError(
            f"a slice of shape {list(item.shape)} is no part of {place.full_name!r}, whose shape "
            f"is {list(place.full_shape)}",
            key=place.full_name,
        )
    return place.start
