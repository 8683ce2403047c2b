"""Single files that become visible at one stroke: graphs, meta graphs, the checkpoint state."""

from __future__ import annotations

import os
import time

from fastckpt import _core
from fastckpt.errors import CheckpointBusyError
from fastckpt.storage.destination import absolute

__all__ = ["replace_file"]

# Writing such a file takes milliseconds; a writer that waits longer waits for one that hangs.
_PATIENCE_SECONDS = 10.0
_PAUSE_SECONDS = 0.01


def replace_file(path: str | os.PathLike[str], content: bytes, *, sync: bool = True) -> None:
    """Give a file this content; readers see the old one or the new one, whole.

    Parameters
    ----------
    path : str or PathLike
        The file; missing directories are made.
    content : bytes
        All of it.
    sync : bool
        Return when it is on the device. Without, a power cut may bring the old content back, or
        an empty file.

    Raises
    ------
    CheckpointBusyError
        Another writer has held the file for 10 seconds.
    InvalidArgumentError
        The path is empty or a directory.
    CheckpointIOError
        The operating system refused; what was there before is intact.

    Notes
    -----
    Writers take turns, and the last one wins.
    """
    target = os.fsencode(absolute(os.fspath(path)))
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return _core.replace_file(target, content, sync=sync)
        except CheckpointBusyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_SECONDS)
