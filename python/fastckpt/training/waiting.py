"""Waiting for checkpoints that a training job writes, by TensorFlow's names."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator

from fastckpt.training.state_functions import latest_checkpoint

__all__ = ["checkpoints_iterator", "wait_for_new_checkpoint"]

_log = logging.getLogger("fastckpt")


def wait_for_new_checkpoint(
    checkpoint_dir: str | os.PathLike[str],
    last_checkpoint: str | None = None,
    seconds_to_sleep: float = 1,
    timeout: float | None = None,
) -> str | None:
    """Wait until the state file of a directory names another checkpoint.

    Parameters
    ----------
    checkpoint_dir : str or PathLike
        The directory; it need not exist yet.
    last_checkpoint : str, optional
        The prefix already seen; by default any checkpoint will do.
    seconds_to_sleep : float
        Pause between two looks.
    timeout : float, optional
        Seconds to wait at most; by default without end.

    Returns
    -------
    str or None
        The prefix; None where another pause would outlast `timeout`.
    """
    _log.info("Waiting for new checkpoint at %s", checkpoint_dir)
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        latest = latest_checkpoint(checkpoint_dir)
        if latest is not None and latest != last_checkpoint:
            _log.info("Found new checkpoint at %s", latest)
            return latest
        if deadline is not None and time.monotonic() + seconds_to_sleep > deadline:
            return None
        time.sleep(seconds_to_sleep)


def checkpoints_iterator(
    checkpoint_dir: str | os.PathLike[str],
    min_interval_secs: float = 0,
    timeout: float | None = None,
    timeout_fn: Callable[[], object] | None = None,
) -> Iterator[str]:
    """Iterate over the checkpoints of a directory as they appear.

    Parameters
    ----------
    checkpoint_dir : str or PathLike
        The directory; it need not exist yet.
    min_interval_secs : float
        Least time between two checkpoints handed out.
    timeout : float, optional
        Seconds to wait for each at most; by default without end.
    timeout_fn : callable, optional
        Called without arguments after each checkpoint and after each timeout; the iterator ends
        once it gives something true. Without it the first timeout ends the iterator.

    Yields
    ------
    str
        Prefix of the latest checkpoint. Those that come and go between two looks are missed.
    """
    latest = None
    while True:
        found = wait_for_new_checkpoint(checkpoint_dir, latest, timeout=timeout)
        if found is not None:
            handed_out = time.monotonic()
            latest = found
            yield latest
            pause = handed_out + min_interval_secs - time.monotonic()
            if pause > 0:
                time.sleep(pause)
        elif timeout_fn is None:
            _log.info("Timed out waiting for a checkpoint; there is no timeout_fn to ask")
            return
        if timeout_fn is not None and timeout_fn():
            _log.info("timeout_fn says that no new checkpoints will come")
            return
