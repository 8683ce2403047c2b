"""The rows of a listing: what the index says of each tensor, chosen and sorted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from fastckpt import Checkpoint
from fastckpt.checkpoint.listing import Row
from fastckpt.cli.text import safe
from fastckpt.tools.patterns import choose as choose_names

__all__ = ["Row", "choose", "row_json", "sort_rows"]


def sort_rows(rows: Iterable[Row], order: str) -> Iterable[Row]:
    """Sort by "size", largest first, or by place in the "file"; by "name" they are already."""
    if order == "name":
        return rows
    key: Callable[[Row], Any] = _by_size if order == "size" else _by_file
    return sorted(rows, key=key)


def choose(checkpoint: Checkpoint, patterns: Sequence[str]) -> list[str]:
    """Find the names that patterns mean; a name may be written as the listing shows it.

    Raises
    ------
    TensorNotFoundError
        A pattern matches nothing; the message lists near names.
    """
    return choose_names(checkpoint, patterns, shown=safe)


def row_json(row: Row) -> dict[str, Any]:
    """Give a row as JSON output holds it."""
    fields = row._asdict()
    fields["shape"] = list(row.shape)
    fields["partitioned"] = row.shard is None
    return fields


def _by_size(row: Row) -> tuple[int, str]:
    return -row.nbytes, row.name


def _by_file(row: Row) -> tuple[int, int, str]:
    missing = -1
    shard = missing if row.shard is None else row.shard
    return shard, row.offset or 0, row.name
