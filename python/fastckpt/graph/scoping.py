"""Names below a name scope."""

from __future__ import annotations

import re

__all__ = ["in_scope", "without_scope"]

# What may stand before the name of a node: the mark of a control input, that of colocation.
_MARK = re.compile(r"([\^]|loc:@|^)(.*)")


def in_scope(name: str | bytes, scope: str | None) -> str | bytes:
    """Put a name below a scope; with none, the name comes back as it is.

    >>> in_scope("^a:0", "s/"), in_scope("a", ""), in_scope(b"loc:@a", "s")
    ('^s/a:0', 'a', 'loc:@s/a')
    """
    if not scope:
        return name
    text = name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name
    prefix = scope.removesuffix("/")
    return _MARK.sub(lambda found: f"{found[1]}{prefix}/{found[2]}", text)


def without_scope(name: str, scope: str | None) -> str:
    """Take a name out of a scope; one outside of it comes back as it is."""
    return name.removeprefix(f"{scope.removesuffix('/')}/") if scope else name
