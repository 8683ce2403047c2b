"""The rows of a listing: what the index says of each tensor, chosen and sorted."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from fastckpt import Checkpoint, TensorNotFoundError
from fastckpt.checkpoint.listing import Row
from fastckpt.cli.text import safe
from fastckpt.names import tensor_not_found

__all__ = ["Row", "choose", "row_json", "sort_rows"]


def sort_rows(rows: Iterable[Row], order: str) -> Iterable[Row]:
    """Sort by "size", largest first, or by place in the "file"; by "name" they are already."""
    if order == "name":
        return rows
    key: Callable[[Row], Any] = _by_size if order == "size" else _by_file
    return sorted(rows, key=key)


def choose(checkpoint: Checkpoint, patterns: Sequence[str]) -> list[str]:
    """Find the names that patterns mean, in the order of the patterns.

    A pattern is a name, a scope (all below it), or holds ``*`` and ``?``, which match slashes too.
    Brackets are ordinary characters, and a name may be written as the listing shows it.

    Raises
    ------
    TensorNotFoundError
        A pattern matches nothing; the message lists near names.
    """
    names = list(checkpoint)
    chosen: dict[str, None] = {}
    for pattern in patterns:
        found = [pattern] if pattern in checkpoint else _matching(pattern, names)
        if not found:
            raise _no_match(checkpoint, pattern, names)
        chosen.update(dict.fromkeys(found))
    return list(chosen)


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


def _matching(pattern: str, names: Sequence[str]) -> list[str]:
    if "*" in pattern or "?" in pattern:
        matches = _compiled(pattern).fullmatch
        return [name for name in names if matches(name)]
    scope = pattern.rstrip("/") + "/"
    return [name for name in names if name.startswith(scope)] or [
        name for name in names if not name.isprintable() and safe(name) == pattern
    ]


def _compiled(pattern: str) -> re.Pattern[str]:
    wild = {"*": ".*", "?": "."}
    return re.compile("".join(wild.get(x) or re.escape(x) for x in pattern), re.DOTALL)


def _no_match(checkpoint: Checkpoint, pattern: str, names: Sequence[str]) -> TensorNotFoundError:
    message = tensor_not_found(pattern, names, checkpoint.prefix)
    if checkpoint.damage:
        message += "; parts of the index are damaged, and it may have been in one of them"
    return TensorNotFoundError(message, path=checkpoint.prefix, key=pattern)
