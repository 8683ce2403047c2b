"""Questions to the local file system: what is there, and how it begins and ends.

Every question reads at most a few KiB of one file or a bounded number of directory entries, and
opens regular files only, so that no pipe or device can block it.
"""

from __future__ import annotations

import errno
import fnmatch
import os
import re
import stat
from collections.abc import Iterator
from itertools import islice

from fastckpt.errors import CheckpointIOError, InvalidArgumentError
from fastckpt.names import index_file

__all__ = [
    "HEAD_BYTES",
    "TABLE_MAGIC",
    "as_path",
    "checkpoint_exists",
    "entries",
    "file_size",
    "is_directory",
    "is_pattern",
    "is_saved_model",
    "is_table",
    "is_v2_index",
    "matches",
    "prefixes_in",
    "read_head",
    "v1_pattern",
    "variables_prefix",
]

# How much of a file is read to recognise it.
HEAD_BYTES = 4096

# Directory entries looked at before a search ends; a bound on time, not on what can be opened.
_MAX_ENTRIES = 20_000

# Last eight bytes of a sorted string table (LevelDB table_format.md, "footer").
TABLE_MAGIC = bytes.fromhex("57fb808b247547db")
_FOOTER_BYTES = 48

# What "there is no such file" looks like; all else is a failure to be told.
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})

_V1_SHARD = re.compile(r"-\d{5,}-of-(\d{5,})\Z")


def as_path(path: object) -> str:
    """Take a str, bytes or PathLike as a str path; anything else is an InvalidArgumentError."""
    if path is None:
        raise InvalidArgumentError(
            "path is None; latest_checkpoint gives None where a directory has no usable state "
            "file: check its result, or pass the directory itself"
        )
    try:
        text = os.fsdecode(path)  # type: ignore[arg-type]
    except TypeError:
        raise InvalidArgumentError(
            f"path must be str, bytes or os.PathLike, not {type(path).__name__}"
        ) from None
    if not text:
        raise InvalidArgumentError("path is empty; pass a prefix such as 'dir/model.ckpt-1000'")
    if "\0" in text:
        raise InvalidArgumentError("path holds a NUL character", path=text)
    return text


def file_size(path: str) -> int | None:
    """Size of a regular file; None where there is none. Symbolic links are followed."""
    status = _status(path)
    return status.st_size if status is not None and stat.S_ISREG(status.st_mode) else None


def is_directory(path: str) -> bool:
    """Whether `path` is a directory or a link to one."""
    status = _status(path)
    return status is not None and stat.S_ISDIR(status.st_mode)


def read_head(path: str, size: int = HEAD_BYTES) -> bytes:
    """First bytes of a regular file; empty where there is none."""
    return _read(path, 0, size) if file_size(path) is not None else b""


def is_table(path: str) -> bool:
    """Whether `path` is a regular file that ends like a sorted string table."""
    size = file_size(path)
    if size is None or size < _FOOTER_BYTES:
        return False
    return _read(path, size - len(TABLE_MAGIC), len(TABLE_MAGIC)) == TABLE_MAGIC


def is_v2_index(path: str) -> bool:
    """Whether a table is the index of a V2 checkpoint rather than a V1 file, as far as that shows.

    Both begin with a record at the empty key: shared and unshared key length 0, then the length of
    the value. A V1 value starts with field 1, a message; a V2 header with a number or field 3.
    """
    head = read_head(path, 16)
    if head[:2] != b"\0\0":
        return False
    value = head[2:].lstrip(bytes(range(0x80, 0x100)))[1:]
    return value[:1] in (b"\x08", b"\x10", b"\x1a")


def is_saved_model(directory: str) -> bool:
    """Whether a directory holds the graph of a SavedModel."""
    return any(
        file_size(os.path.join(directory, f"saved_model.{ending}")) is not None
        for ending in ("pb", "pbtxt", "cpb")
    )


def variables_prefix(directory: str) -> str:
    """Prefix of the variables of a SavedModel."""
    return os.path.join(directory, "variables", "variables")


def is_pattern(path: str) -> bool:
    """Whether the last component holds ``*`` or ``?``; brackets are ordinary characters."""
    return any(mark in os.path.basename(path) for mark in "*?")


def matches(pattern: str) -> list[str]:
    """Paths that match a pattern in the last component, sorted."""
    directory, last = os.path.split(pattern)
    literal = last.replace("[", "[[]")
    found = (x for x in entries(directory) if fnmatch.fnmatchcase(x, literal))
    return sorted(os.path.join(directory, x) for x in found)


def v1_pattern(path: str) -> str | None:
    """Turn the path of one V1 shard into the pattern of all; None for other paths."""
    match = _V1_SHARD.search(path)
    return None if match is None else f"{path[: match.start()]}-?????-of-{match[1]}"


def checkpoint_exists(prefix: str) -> bool:
    """Whether there is an index, a V1 file or a V1 pattern of that name, whatever it holds."""
    if file_size(index_file(prefix)) is not None or file_size(prefix) is not None:
        return True
    return is_pattern(prefix) and bool(matches(prefix))


def entries(directory: str) -> Iterator[str]:
    """Names in a directory, at most some thousands of them; none where it cannot be listed."""
    try:
        with os.scandir(directory or ".") as found:
            for entry in islice(found, _MAX_ENTRIES):
                yield entry.name
    except OSError:
        return


def prefixes_in(directory: str) -> list[str]:
    """Prefixes whose index lies in `directory`, sorted by name."""
    found = (x.removesuffix(".index") for x in entries(directory) if x.endswith(".index"))
    return sorted(os.path.join(directory, x) for x in found)


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise _io_error(path, error) from error
    except ValueError:  # a NUL character, or a lone surrogate: no file has such a name
        return None


def _read(path: str, offset: int, size: int) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:
            file.seek(offset)
            return file.read(size) or b""
    except OSError as error:
        if error.errno in _ABSENT:  # removed since it was looked at
            return b""
        raise _io_error(path, error) from error


def _io_error(path: str, error: OSError) -> CheckpointIOError:
    message = f"cannot look at {path!r}: {error.strerror}"
    return CheckpointIOError(message, path=path, errno=error.errno)
