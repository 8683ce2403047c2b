"""What may be written to: the check of a prefix before a save."""

from __future__ import annotations

import os

from fastckpt.errors import InvalidArgumentError
from fastckpt.names import strip_suffix
from fastckpt.storage.urls import check_no_url

__all__ = ["absolute", "destination"]


def destination(path: str | os.PathLike[str], *, allow_directory: bool = False) -> str:
    """Check the prefix of a checkpoint to be written.

    Parameters
    ----------
    path : str or PathLike
        Directory and base name, such as ``"models/ckpt-7"``. Missing directories are no error.
    allow_directory : bool
        Whether a directory may have that name. Nothing stands against it where all files have
        suffixes, but whoever passes a directory to a save mostly wants its files inside.

    Returns
    -------
    str
        The prefix, as it was given.

    Raises
    ------
    InvalidArgumentError
        Empty, ending in a separator or in the suffix of a checkpoint file, an existing directory,
        a URL of a local file.
    UnsupportedError
        A URL.
    """
    try:
        prefix = os.fspath(path)
    except TypeError:
        prefix = None
    if not isinstance(prefix, str):
        raise InvalidArgumentError(
            f"the prefix of a checkpoint is a str or a PathLike, not {type(path).__name__}"
        )
    if not prefix:
        raise InvalidArgumentError("the prefix is empty; pass one such as 'models/ckpt'")
    check_no_url(
        prefix,
        "checkpoints are written to local paths; save to a local directory and upload its files, "
        "the .index last",
    )
    if "\0" in prefix:
        raise InvalidArgumentError(f"{prefix!r} holds a NUL character; no file has such a name")
    try:
        os.fsencode(prefix)
    except UnicodeEncodeError:
        raise InvalidArgumentError(
            f"{prefix!r} holds characters that the file system's encoding has not"
        ) from None
    if prefix.endswith("/"):
        raise InvalidArgumentError(
            f"{prefix!r} ends in a separator; pass a prefix such as {prefix + 'ckpt'!r}",
            path=prefix,
        )
    without, kind = strip_suffix(prefix)
    if kind != "prefix":
        raise InvalidArgumentError(
            f"{prefix!r} is the name of a checkpoint's {kind} file; pass the prefix {without!r}",
            path=prefix,
        )
    is_parent = os.path.basename(prefix) in (".", "..")
    if is_parent or (not allow_directory and os.path.isdir(prefix)):
        raise InvalidArgumentError(
            f"{prefix!r} is a directory; pass a prefix inside it such as "
            f"{os.path.join(prefix, 'ckpt')!r}",
            path=prefix,
        )
    return prefix


def absolute(prefix: str) -> str:
    """Give the prefix as it is meant now, whatever directory the process works in later.

    Unlike ``os.path.abspath`` this leaves ``..`` alone, which may follow a symbolic link.
    """
    return os.path.join(os.getcwd(), prefix) if not os.path.isabs(prefix) else prefix
