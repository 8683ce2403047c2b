"""Names that a graph accepts, made from names that a checkpoint accepts; and device names.

A checkpoint takes any string as a key, a graph only letters, digits and ``_ . / -``, and ``>``
before a letter, digit or dot; the first is a letter, digit or dot. What is not legal becomes
``_``, a wrong first character gets ``v`` before it, and a name that is taken gets ``_1``, ``_2``
… The key itself stays in the saver, so that nothing is renamed in the file.
"""

from __future__ import annotations

import functools
import re

from fastckpt.errors import InvalidArgumentError

__all__ = ["Names", "canonical_device", "cpu_beside", "legal_name"]

# ImportGraphDef's rule for node names.
_LEGAL = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_./-]*(?:>[A-Za-z0-9.][A-Za-z0-9_./-]*)*\Z")
_ILLEGAL = re.compile(r"[^A-Za-z0-9_./>-]|>(?![A-Za-z0-9.])")
_FIRST = re.compile(r"[A-Za-z0-9.]")

_DEVICE = re.compile(
    r"(?:/job:(?P<job>[A-Za-z][A-Za-z0-9_]*|\*))?"
    r"(?:/replica:(?P<replica>\d+|\*))?"
    r"(?:/task:(?P<task>\d+|\*))?"
    r"(?:/(?:device:)?(?P<type>[A-Za-z][A-Za-z0-9_]*)(?::(?P<id>\d+|\*))?)?\Z"
)


def legal_name(name: str) -> str:
    """Give the node name for a variable's name; the same one where it is legal.

    >>> legal_name("dense/kernel"), legal_name("my weights:0"), legal_name("_internal")
    ('dense/kernel', 'my_weights_0', 'v_internal')
    """
    if _LEGAL.match(name):
        return name
    found = _ILLEGAL.sub("_", name)
    return found if found and _FIRST.match(found) else f"v{found}"


class Names:
    """The node names of one graph, each given out once."""

    __slots__ = ("_next", "_used")

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._next: dict[str, int] = {}

    def take(self, name: str) -> str:
        """Reserve a name, with ``_1``, ``_2`` … behind it where it is taken."""
        if name not in self._used:
            self._used.add(name)
            return name
        number = self._next.get(name, 1)
        while f"{name}_{number}" in self._used:
            number += 1
        self._next[name] = number + 1
        return self.take(f"{name}_{number}")

    def take_scope(self, name: str) -> str:
        """Reserve a scope that no name of the graph equals or lies below."""
        depth = name.count("/") + 1
        taken = {"/".join(used.split("/", depth)[:depth]) for used in self._used}
        found, number = name, 1
        while found in taken:
            found, number = f"{name}_{number}", number + 1
        self._used.add(found)
        return found


@functools.lru_cache(maxsize=1024)
def canonical_device(device: str) -> str:
    """Spell a device as TensorFlow's nodes do.

    >>> canonical_device("/cpu:0"), canonical_device("/job:ps/task:1/gpu")
    ('/device:CPU:0', '/job:ps/task:1/device:GPU:*')

    Raises
    ------
    InvalidArgumentError
        Not the name of a device.
    """
    match = _DEVICE.match(device)
    if match is None:
        raise InvalidArgumentError(
            f"not a device: {device!r}; write it like '/job:ps/task:1/device:GPU:0', or '' for any"
        )
    parts = [
        f"/{part}:{match[part]}"
        for part in ("job", "replica", "task")
        if match[part] not in {None, "*"}
    ]
    if match["type"]:
        kind = match["type"]
        parts.append(f"/device:{kind.upper() if kind.islower() else kind}:{match['id'] or '*'}")
    return "".join(parts)


def cpu_beside(device: str) -> str:
    """Name the first CPU of the machine that a canonical device belongs to.

    >>> cpu_beside("/job:ps/task:1/device:GPU:3")
    '/job:ps/task:1/device:CPU:0'
    """
    return f"{device.partition('/device:')[0]}/device:CPU:0"
