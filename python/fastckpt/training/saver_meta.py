"""The ``.meta`` beside a checkpoint, and the SaverDef in it, where no TensorFlow graph is."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fastckpt import protos
from fastckpt.graph.meta_building import SaverSpec, VariableSpec, can_be_variable, meta_graph_bytes
from fastckpt.training.variables import Target

__all__ = ["MetaWriter", "message_of", "scoped", "unscoped"]

_log = logging.getLogger("fastckpt")


class _Row(NamedTuple):
    """What the meta graph says of one target; it is built again only when one of these changes."""

    name: str
    tf_dtype: str
    shape: tuple[int, ...]
    key: str
    full_shape: tuple[int, ...] | None
    start: tuple[int, ...] | None
    trainable: bool
    device: str


class MetaWriter:
    """Builds the meta graph of a Saver's variables, and keeps the last one."""

    def __init__(self) -> None:
        self._last: tuple[Any, bytes] | None = None

    def content(self, named: Mapping[str, Sequence[Target]], saver: SaverSpec | None) -> bytes:
        """Give the serialised MetaGraphDef; stock ``import_meta_graph`` takes it."""
        rows = _uniquely_named(named)
        state = (rows, saver)
        if self._last is None or self._last[0] != state:
            specs = [_spec(row) for row in rows if can_be_variable(row.tf_dtype)]
            if len(specs) < len(rows):
                left_out = [row.key for row in rows if not can_be_variable(row.tf_dtype)]
                _log.info("TensorFlow has no variables of the types of %s; not in .meta", left_out)
            self._last = state, meta_graph_bytes(specs, saver=saver)
        return self._last[1]


def message_of(data: bytes) -> Any:
    """Parse a serialised MetaGraphDef."""
    return protos.message_class("MetaGraphDef").FromString(data)


def scoped(name: str, scope: str) -> str:
    """Put the name of an operation or tensor below a scope."""
    return f"{scope.removesuffix('/')}/{name}" if scope else name


def unscoped(name: str, scope: str) -> str:
    """Take a scope off a name that begins with it."""
    scope = scope.removesuffix("/")
    return name.removeprefix(scope).lstrip("/") if name.startswith(f"{scope}/") else name


def _uniquely_named(named: Mapping[str, Sequence[Target]]) -> list[_Row]:
    """Describe the variables; by their keys where two of them have one name."""
    rows = _rows(named, by_key=False)
    if len({row.name for row in rows}) < len(rows):
        return _rows(named, by_key=True)
    return rows


def _rows(named: Mapping[str, Sequence[Target]], *, by_key: bool) -> list[_Row]:
    return [
        _row(key, target, i, by_key=by_key)
        for key, targets in named.items()
        for i, target in enumerate(targets)
    ]


def _row(key: str, target: Target, number: int, *, by_key: bool) -> _Row:
    place = target.slice
    name = None if by_key else target.name
    name = name or (key if place is None else f"{key}/part_{number}")
    return _Row(
        name,
        target.tf_dtype,
        tuple(x or 0 for x in target.shape or ()),
        key,
        None if place is None else place.full_shape,
        None if place is None else place.start,
        target.trainable,
        target.device,
    )


def _spec(row: _Row) -> VariableSpec:
    return VariableSpec(
        row.name,
        row.tf_dtype,
        row.shape,
        key=row.key,
        full_name=None if row.full_shape is None else row.key,
        full_shape=row.full_shape,
        start=row.start,
        trainable=row.trainable,
        device=row.device,
    )
