"""``tf.io.gfile`` and the older ``tf.gfile``, on local files."""

from __future__ import annotations

import builtins
import errno
import glob as _glob
import os
import re
import shutil
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from fastckpt.checkpoint.tensorflow_errors import as_text
from fastckpt.errors import (
    CheckpointIOError,
    CheckpointNotFoundError,
    DataLossError,
    FailedPreconditionError,
    InvalidArgumentError,
    UnsupportedError,
)
from fastckpt.storage.urls import is_url

__all__ = [
    "AlreadyExistsError",
    "FastGFile",
    "FileStatistics",
    "GFile",
    "copy",
    "exists",
    "glob",
    "isdir",
    "join",
    "listdir",
    "makedirs",
    "mkdir",
    "old_walk",
    "read_file_to_string",
    "remove",
    "rename",
    "rmtree",
    "stat",
    "walk",
    "write_string_to_file",
]

_WILD_START = re.compile(r"[^/]*[*?\[]")
_MODES = {"r", "w", "a", "r+", "w+", "a+"}
_T = TypeVar("_T")


class AlreadyExistsError(CheckpointIOError, FileExistsError):
    """A file or directory stands where a new one was to be."""


class WrongKindError(CheckpointIOError, FailedPreconditionError):
    """A directory where a file was to be, or the other way round."""


class FileStatistics(NamedTuple):
    """What :func:`stat` gives: bytes, nanoseconds since the epoch, and whether a directory."""

    length: int
    mtime_nsec: int
    is_directory: bool


class GFile:
    """A file, opened when it is first used, as ``tf.io.gfile.GFile``.

    Reading and writing are apart, each with a position of its own: what was written can be read
    through the same object once it is flushed.

    Parameters
    ----------
    name : str, bytes or PathLike
        A local path.
    mode : {"r", "w", "a", "r+", "w+", "a+"}, with "b" for bytes
        Text is UTF-8. All but ``"r"`` can be written to, ``"r"`` and
        those with a plus can be read. Writing begins with an empty file, also in ``"r+"``, except
        in ``"a"`` and ``"a+"``.
    """

    def __init__(self, name: Any, mode: str = "r") -> None:
        self._reader: Any = None
        self._writer: Any = None
        self.name = name
        self.mode = mode
        self._kind = mode.replace("b", "")
        if self._kind not in _MODES:
            raise InvalidArgumentError(f"mode is not 'r', 'w', 'a', 'r+', 'w+' or 'a+': {mode!r}")
        self._path = local_path(name)

    def read(self, n: int = -1) -> Any:
        """Read `n` bytes, as text unless the mode is a binary one; all that is left by default."""
        return self._given(self._reading().read(None if n == -1 else n))

    def readline(self) -> Any:
        """Read one line, with its end; carriage returns are dropped, except in binary modes."""
        return self._line(self._reading().readline())

    def readlines(self) -> list[Any]:
        """Read the lines that are left, with their ends."""
        return [self._line(line) for line in self._reading()]

    def write(self, file_content: Any) -> None:
        """Write text or bytes, in any mode."""
        is_text = isinstance(file_content, str)
        self._writing().write(file_content.encode() if is_text else file_content)

    def seek(self, offset: int, whence: int = 0) -> None:
        """Move to where to read on, in bytes, inside the file."""
        reader, size = self._reading(), self.size()
        if whence not in {0, 1, 2}:
            raise InvalidArgumentError(
                f"Invalid whence argument: {whence}. Valid values are 0, 1, or 2."
            )
        target = offset + (0, reader.tell(), size)[whence]
        if target < 0:
            raise InvalidArgumentError(
                f"Seeking to a negative position: {target} in {self._path!r}", path=self._path
            )
        if target > size:
            raise DataLossError(
                f"reached end of file: {self._path!r} has {size} bytes, and {target} is beyond",
                path=self._path,
            )
        reader.seek(target)

    def tell(self) -> int:
        """Where is read on, in bytes; where is written on, if the mode does not read."""
        return int((self._writing() if self._kind in "wa" else self._reading()).tell())

    def size(self) -> int:
        """Size of the file in bytes."""
        return stat(self.name).length

    def flush(self) -> None:
        """Hand what was written to the system."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """Close; idempotent. A further use opens the file anew."""
        reader, self._reader = self._reader, None
        writer, self._writer = self._writer, None
        for file in (reader, writer):
            if file is not None:
                file.close()

    def seekable(self) -> bool:
        """Whether :meth:`seek` works: always."""
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # TensorFlow closes what a program forgot, without a word.
        if hasattr(self, "_writer"):
            self.close()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def _line(self, data: bytes) -> Any:
        return data if "b" in self.mode else data.replace(b"\r", b"").decode()

    def _given(self, data: bytes) -> Any:
        return data if "b" in self.mode else data.decode()

    def _reading(self) -> Any:
        if self._reader is None:
            if self._kind in "wa":
                raise self._not_open("reading")
            self._reader = self._opened("rb")
        return self._reader

    def _writing(self) -> Any:
        if self._writer is None:
            if self._kind == "r":
                raise self._not_open("writing")
            self._writer = self._opened("ab" if "a" in self._kind else "wb")
        return self._writer

    def _opened(self, mode: str) -> Any:
        return _call(self._path, lambda: builtins.open(self._path, mode))

    def _not_open(self, what: str) -> CheckpointIOError:
        return CheckpointIOError(
            f"File isn't open for {what}: {self._path!r} with mode {self.mode!r}",
            path=self._path,
            errno=errno.EACCES,
        )


class FastGFile(GFile):
    """As `GFile`."""


def exists(path: Any) -> bool:
    """Whether there is a file or a directory."""
    return os.path.exists(local_path(path))


def isdir(path: Any) -> bool:
    """Whether there is a directory."""
    return os.path.isdir(local_path(path))


def listdir(path: Any) -> list[str]:
    """Names in a directory, in no order."""
    where = local_path(path)
    return _call(where, lambda: os.listdir(where))


def glob(pattern: Any) -> list[str]:
    """Sorted paths that match a pattern, or any of several; hidden files match too.

    As in TensorFlow, paths begin with ``./`` where a pattern begins with a wildcard's component.
    """
    patterns = pattern if isinstance(pattern, (list, tuple)) else [pattern]
    return sorted(x for p in patterns for x in _matching(local_path(p)))


def makedirs(path: Any) -> None:
    """Make a directory and those above it; it may be there already."""
    where = local_path(path)
    _call(where, lambda: os.makedirs(where, exist_ok=True))


def mkdir(path: Any) -> None:
    """Make one directory; it may be there already, as in TensorFlow."""
    where = local_path(path)
    if not os.path.isdir(where):
        _call(where, lambda: os.mkdir(where))


def remove(path: Any) -> None:
    """Remove one file."""
    where = local_path(path)
    _call(where, lambda: os.remove(where))


def rmtree(path: Any) -> None:
    """Remove a directory and all below it."""
    where = local_path(path)
    _call(where, lambda: shutil.rmtree(where))


def copy(src: Any, dst: Any, overwrite: bool = False) -> None:  # noqa: FBT001, FBT002
    """Copy one file."""
    source, target = local_path(src), local_path(dst)
    _refuse_existing(target, overwrite=overwrite)
    _call(source, lambda: shutil.copyfile(source, target))


def rename(src: Any, dst: Any, overwrite: bool = False) -> None:  # noqa: FBT001, FBT002
    """Rename a file or a directory."""
    source, target = local_path(src), local_path(dst)
    _refuse_existing(target, overwrite=overwrite)
    _call(source, lambda: os.replace(source, target))


def stat(path: Any) -> FileStatistics:
    """Look at a file or a directory."""
    where = local_path(path)
    status = _call(where, lambda: os.stat(where))
    return FileStatistics(status.st_size, status.st_mtime_ns, os.path.isdir(where))


def walk(
    top: Any,
    topdown: bool = True,  # noqa: FBT001, FBT002
    onerror: Callable[[OSError], object] | None = None,
) -> Iterator[tuple[str, list[str], list[str]]]:
    """Walk a directory tree as :func:`os.walk` does."""
    return os.walk(local_path(top), topdown, onerror)


def old_walk(
    top: Any,
    in_order: bool = True,  # noqa: FBT001, FBT002
) -> Iterator[tuple[str, list[str], list[str]]]:
    """Walk as :func:`walk` does; by the names that ``tf.gfile.Walk`` has for its arguments."""
    return walk(top, in_order)


def join(path: Any, *paths: Any) -> str:
    """Join components of a path."""
    return os.path.join(local_path(path), *map(local_path, paths))


def read_file_to_string(filename: Any, binary_mode: bool = False) -> Any:  # noqa: FBT001, FBT002
    """Read a whole file."""
    with GFile(filename, "rb" if binary_mode else "r") as file:
        return file.read()


def write_string_to_file(filename: Any, file_content: Any) -> None:
    """Write a whole file."""
    with GFile(filename, "wb" if isinstance(file_content, bytes) else "w") as file:
        file.write(file_content)


def local_path(path: Any) -> str:
    """Take a str, bytes or PathLike; UnsupportedError for a URL."""
    text = as_text(path, "path", paths=True)
    if is_url(text) and not text.startswith("file://"):
        raise UnsupportedError(
            f"{text!r} is a URL; fastckpt.compat handles local files: download it first",
            path=text,
        )
    return text.removeprefix("file://")


def _matching(pattern: str) -> list[str]:
    found = _glob.glob(pattern, include_hidden=True)
    return [f"./{x}" for x in found] if _WILD_START.match(pattern) else found


def _refuse_existing(path: str, *, overwrite: bool) -> None:
    if not overwrite and os.path.exists(path):
        raise AlreadyExistsError(
            f"{path!r} exists; pass overwrite=True to replace it", path=path, errno=errno.EEXIST
        )


def _call(path: str, call: Callable[[], _T]) -> _T:
    try:
        return call()
    except FileNotFoundError as error:
        raise CheckpointNotFoundError(f"{path}; No such file or directory", path=path) from error
    except FileExistsError as error:
        raise AlreadyExistsError(f"{path}; File exists", path=path, errno=error.errno) from error
    except (IsADirectoryError, NotADirectoryError) as error:
        raise WrongKindError(f"{path}; {error.strerror}", path=path, errno=error.errno) from error
    except OSError as error:
        raise CheckpointIOError(
            f"{path}; {error.strerror}", path=path, errno=error.errno
        ) from error
