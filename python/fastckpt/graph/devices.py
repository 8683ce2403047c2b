"""Devices of nodes as TensorFlow states them after an import."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

__all__ = ["canonical_device", "devices_of"]

_COLOCATION = b"loc:@"

# Types of devices that may stand without the word "device".
_SHORT = frozenset({"CPU", "GPU", "TPU"})

# More are no number of a device, and Python refuses to convert thousands of them.
_MAX_DIGITS = 10


def devices_of(nodes: Sequence[Any], index: dict[str, int], order: Sequence[int]) -> list[str]:
    """Say on which device each node is.

    Parameters
    ----------
    nodes : sequence of NodeDef
        The nodes of a graph.
    index : dict of str to int
        Where each name is.
    order : sequence of int
        Order of creation.

    Returns
    -------
    list of str
        One for each node; empty where none is set. A node that is to be placed beside others has
        the device of the first of them that has one, whatever its own says.
    """
    devices = [canonical_device(node.device) for node in nodes]
    beside = {i: names for i in order if (names := _neighbours(nodes[i]))}
    for i in beside:
        devices[i] = ""
    for i, names in beside.items():
        places = (index.get(name) for name in names)
        devices[i] = next((devices[x] for x in places if x is not None and devices[x]), "")
    return devices


@functools.lru_cache(maxsize=1024)
def canonical_device(text: str) -> str:
    """Write a device in TensorFlow's full form; one that is not understood stays as it is.

    >>> canonical_device("/job:ps/cpu:0")
    '/job:ps/device:CPU:0'
    """
    found: dict[str, str] = {}
    for part in filter(None, text.split("/")):
        field = _field(part)
        if field is None or (field[0] == "device" and "device" in found):
            return text
        found[field[0]] = field[1]
    ordered = [key for key in ("job", "replica", "task", "device") if key in found]
    return "".join(f"/{key}:{found[key]}" for key in ordered)


def _field(part: str) -> tuple[str, str] | None:
    kind, *rest = part.split(":")
    if kind == "job" and len(rest) == 1:
        return kind, rest[0]
    if kind in ("replica", "task") and len(rest) == 1:
        return (kind, str(int(rest[0]))) if _is_number(rest[0]) else None
    if kind == "device" and len(rest) == 2:
        kind, rest = rest[0], rest[1:]
    elif kind.upper() not in _SHORT or len(rest) > 1:
        return None
    number = rest[0] if rest else "*"
    if number != "*" and not _is_number(number):
        return None
    return "device", f"{kind.upper()}:{number if number == '*' else int(number)}"


def _is_number(text: str) -> bool:
    return text.isdecimal() and len(text) < _MAX_DIGITS


def _neighbours(node: Any) -> list[str]:
    """Names of other nodes beside which a node is to be placed."""
    if "_class" not in node.attr:
        return []
    places = [x for x in node.attr["_class"].list.s if x.startswith(_COLOCATION)]
    names = [x[len(_COLOCATION) :].decode("utf-8", "surrogateescape") for x in places]
    return [name for name in names if name != node.name]
