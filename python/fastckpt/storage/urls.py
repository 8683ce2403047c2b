"""URLs, where paths of local files are meant."""

from __future__ import annotations

import re

from fastckpt.errors import InvalidArgumentError, UnsupportedError

__all__ = ["check_no_url", "is_url"]

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def is_url(path: str) -> bool:
    """Whether a path is a URL; schemes have two letters at least."""
    return _URL.match(path) is not None


def check_no_url(path: str, advice: str) -> None:
    """Raise for a URL.

    Parameters
    ----------
    path : str
        What the caller passed.
    advice : str
        What cannot be done with it, and what to do, for the URL of another machine.

    Raises
    ------
    InvalidArgumentError
        The URL of a local file, whose plain path it names.
    UnsupportedError
        Another URL.
    """
    if not is_url(path):
        return
    if path.startswith("file://"):
        plain = path.removeprefix("file://")
        raise InvalidArgumentError(f"{path!r} is a URL; pass the plain path {plain!r}", path=path)
    raise UnsupportedError(f"{path!r} is a URL: {advice}", path=path)
