"""Graphs and names below a name scope."""

from __future__ import annotations

import re
from typing import Any

from fastckpt.errors import InvalidArgumentError

__all__ = ["in_scope", "scope_graph", "without_scope"]

# What may stand before the name of a node: the mark of a control input, that of colocation.
_MARK = re.compile(r"([\^]|loc:@|^)(.*)")

# TensorFlow's rule for scopes that no other scope surrounds.
_ROOT_SCOPE = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*\Z")

_COLOCATION = b"loc:@"


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


def scope_graph(graph_def: Any, scope: str, *, has_frames: bool = True) -> None:
    """Put all nodes of a graph below a scope, in place.

    Parameters
    ----------
    graph_def : GraphDef
        The graph. Names of nodes, inputs, colocation and loop frames change; functions keep
        theirs, and so does what a checkpoint knows: shared names of resources, keys of tensors.
    scope : str
        The scope, with or without a slash at its end.
    has_frames : bool
        Put the frames of loops below it as well. Importing a meta graph does so, importing a
        GraphDef does not.

    Raises
    ------
    InvalidArgumentError
        TensorFlow takes no such scope.
    """
    if not _ROOT_SCOPE.match(scope):
        raise InvalidArgumentError(
            f"{scope!r} is not a valid root scope name. A root scope name has to match the "
            f"following pattern: ^{_ROOT_SCOPE.pattern.removesuffix(chr(92) + 'Z')}$"
        )
    prefix = scope.removesuffix("/") + "/"
    for node in graph_def.node:
        node.name = prefix + node.name
        node.input[:] = [
            f"^{prefix}{x[1:]}" if x.startswith("^") else prefix + x for x in node.input
        ]
        _scope_attributes(node, prefix.encode(), has_frames=has_frames)


def _scope_attributes(node: Any, prefix: bytes, *, has_frames: bool) -> None:
    if "_class" in node.attr:
        places = node.attr["_class"].list.s
        places[:] = [
            _COLOCATION + prefix + x.removeprefix(_COLOCATION) if x.startswith(_COLOCATION) else x
            for x in places
        ]
    # Two loops of one frame name would be one loop.
    if has_frames and node.op in ("Enter", "RefEnter") and "frame_name" in node.attr:
        node.attr["frame_name"].s = prefix + node.attr["frame_name"].s
