"""Files beside a checkpoint that no reader needs: of dead saves, and of live ones."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterable, Iterator

from fastckpt.names import strip_suffix
from fastckpt.storage import local
from fastckpt.tools.doctor.findings import Finding, listed, note, warning

__all__ = ["left_overs"]

# Temporaries of this library (src/commit/names.h) and of TensorFlow: what follows a prefix.
_TEMPORARY = re.compile(
    r"(.*)(?:\.data-\d{5,}\.tmp|\.index\.(?:\w+\.)?tmp"
    r"|\.(?:index|data-\d{5,}-of-\d{5,})\.tempstate\d+)\Z",
    re.DOTALL,
)
# Directories in which several processes leave their parts.
_PARTS = "_temp"


def left_overs(directory: str, prefixes: Iterable[str] | None = None) -> Iterator[Finding]:
    """Find what saves left in a directory; of these prefixes alone where some are given."""
    wanted = None if prefixes is None else {os.path.basename(prefix) for prefix in prefixes}
    names = sorted(local.entries(directory))
    by_base: dict[str, list[str]] = {}
    for name in names:
        base = _base(directory, name)
        if base is not None and (wanted is None or base in wanted):
            by_base.setdefault(base, []).append(name)
    for base, found in by_base.items():
        yield _finding(os.path.join(directory, base), found)


def _base(directory: str, name: str) -> str | None:
    """The name of the prefix that a left-over belongs to; None for other files."""
    match = _TEMPORARY.match(name)
    if match is not None:
        return match[1]
    path = os.path.join(directory, name)
    if name.endswith(_PARTS) and local.is_directory(path):
        parts = local.entries(path)
        if any(part.startswith("part-") for part in parts):
            return name.removesuffix(_PARTS)
    return None


def _finding(prefix: str, names: list[str]) -> Finding:
    if _is_locked(f"{prefix}.index.lock.tmp"):
        return note(
            "save-under-way", f"a save of {prefix!r} is under way", "wait for it to end", prefix
        )
    parts = [name for name in names if name.endswith(_PARTS)]
    if parts:
        return warning(
            "parts",
            f"the parts of a save by several processes were never committed: {listed(parts)}",
            "when all processes have written theirs, call fastckpt.commit(prefix, num_shards=n); "
            "otherwise delete the directory",
            prefix,
        )
    return warning(
        "temporaries",
        f"a save of {os.path.basename(prefix)!r} died and left {listed(names)}",
        "nothing depends on them: delete them, or let the next save of this prefix do it",
        prefix,
    )


def _is_locked(path: str) -> bool:
    """Whether a live process holds a lock."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        # Closing drops the lock, had it been free.
        os.close(descriptor)
    return False


def unmentioned_data(prefix: str, mentioned: Iterable[str]) -> list[str]:
    """Data files of a prefix that its index does not mention."""
    directory, base = os.path.split(prefix)
    known = {os.path.basename(path) for path in mentioned}
    return sorted(
        name
        for name in local.entries(directory)
        if name.startswith(f"{base}.data-")
        and strip_suffix(name) == (base, "data")
        and name not in known
        and local.file_size(os.path.join(directory, name))
    )
