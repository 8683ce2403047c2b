"""Choosing tensors by patterns: names, scopes, and wildcards."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Sequence

from fastckpt.checkpoint.reader import Checkpoint
from fastckpt.errors import TensorNotFoundError
from fastckpt.names import tensor_not_found

__all__ = ["choose", "choose_names"]


def choose(
    checkpoint: Checkpoint,
    patterns: str | Sequence[str],
    *,
    shown: Callable[[str], str] | None = None,
) -> list[str]:
    """Find the names that patterns mean, in the order of the patterns.

    Parameters
    ----------
    checkpoint : Checkpoint
        Whose names.
    patterns : str or sequence of str
        Each is a name, a scope (all below it), or holds ``*`` and ``?``, which match slashes too.
        Brackets are ordinary characters.
    shown : callable, optional
        How a listing writes a name; a name may be given in that form as well.

    Raises
    ------
    TensorNotFoundError
        A pattern matches nothing; the message lists near names.
    """
    try:
        # A checkpoint knows malformed entries by name that it does not list.
        return _choose(list(checkpoint), checkpoint, patterns, checkpoint.prefix, shown)
    except TensorNotFoundError as error:
        if not checkpoint.damage:
            raise
        message = f"{error}; parts of the index are damaged, and it may have been in one of them"
        raise TensorNotFoundError(message, path=error.path, key=error.key) from None


def choose_names(names: Sequence[str], patterns: str | Sequence[str], where: str) -> list[str]:
    """Find the names that patterns mean, as :func:`choose` does, among those of `where`."""
    return _choose(names, frozenset(names), patterns, where, None)


def _choose(
    names: Sequence[str],
    known: Container[str],
    patterns: str | Sequence[str],
    where: str,
    shown: Callable[[str], str] | None,
) -> list[str]:
    chosen: dict[str, None] = {}
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        found = [pattern] if pattern in known else _matching(pattern, names, shown)
        if not found:
            message = tensor_not_found(pattern, names, where)
            raise TensorNotFoundError(message, path=where, key=pattern)
        chosen.update(dict.fromkeys(found))
    return list(chosen)


def _matching(pattern: str, names: Sequence[str], shown: Callable[[str], str] | None) -> list[str]:
    if "*" in pattern or "?" in pattern:
        matches = _compiled(pattern).fullmatch
        return [name for name in names if matches(name)]
    scope = pattern.rstrip("/") + "/"
    found = [name for name in names if name.startswith(scope)]
    if found or shown is None:
        return found
    return [name for name in names if not name.isprintable() and shown(name) == pattern]


def _compiled(pattern: str) -> re.Pattern[str]:
    wild = {"*": ".*", "?": "."}
    return re.compile("".join(wild.get(x) or re.escape(x) for x in pattern), re.DOTALL)
