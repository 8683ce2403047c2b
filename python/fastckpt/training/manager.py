"""``CheckpointManager``: numbered checkpoints in one directory, of which the last few stay."""

from __future__ import annotations

import logging
import operator
import os
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from fastckpt.checkpoint.async_save import AsyncSave
from fastckpt.checkpoint.tensorflow_errors import WrongTypeError, as_text
from fastckpt.errors import CheckpointError, InvalidArgumentError
from fastckpt.storage.state import CheckpointState
from fastckpt.training.managed import manage
from fastckpt.training.removing import remove_one
from fastckpt.training.retention import ManagerRule, Tracked
from fastckpt.training.saver_naming import step_number
from fastckpt.training.state_functions import get_checkpoint_state
from fastckpt.training.state_writing import update_checkpoint_state_internal

__all__ = ["CheckpointManager"]

_log = logging.getLogger("fastckpt")


class CheckpointManager:
    """Save under numbered names in one directory, and keep the last few checkpoints.

    Parameters
    ----------
    checkpoint : object
        What is saved: whatever a :class:`Saver` takes as its `var_list`, a Saver, an
        ObjectCheckpoint, a ``tf.train.Checkpoint``, or an object with ``write(prefix)`` and
        ``restore(path)``.
    directory : str or PathLike
        Where; it is made at the first save. Its state file tells what a former manager kept, and
        this one goes on from there.
    max_to_keep : int or None
        How many are kept; None for all.
    keep_checkpoint_every_n_hours : float, optional
        Of those that would be removed, one is preserved for good every so many hours.
    checkpoint_name : str
        Base name, to which a number is appended.
    step_counter : int-like variable or callable, optional
        The step, for `checkpoint_interval`.
    checkpoint_interval : int, optional
        Save when so many steps have passed, and do nothing otherwise.
    init_fn : callable, optional
        What :meth:`restore_or_initialize` calls when there is nothing to restore.
    last_checkpoint_step : int, optional
        Step of the last checkpoint, for `checkpoint_interval`.
    save_interval_secs : float, optional
        Save when so many seconds have passed since the last checkpoint, and do nothing otherwise.

    Raises
    ------
    InvalidArgumentError
        `max_to_keep` is not positive; an interval without `step_counter`. A ValueError.
    DataLossError
        The state file of the directory is empty; a ValueError.

    Notes
    -----
    One manager at a time should work in a directory. Checkpoints that a Saver left there are not
    touched, since its state file has no times.

    Examples
    --------
    >>> manager = fastckpt.CheckpointManager({"w": w}, "run", max_to_keep=3)  # doctest: +SKIP
    >>> manager.restore_or_initialize()                                       # doctest: +SKIP
    >>> for step in range(1000):                                              # doctest: +SKIP
    ...     train(w)
    ...     manager.save()      # or save_async, which goes on behind the training
    """

    def __init__(
        self,
        checkpoint: Any,
        directory: str | os.PathLike[str],
        max_to_keep: int | None,
        keep_checkpoint_every_n_hours: float | None = None,
        checkpoint_name: str = "ckpt",
        step_counter: Any = None,
        checkpoint_interval: int | None = None,
        init_fn: Callable[[], object] | None = None,
        last_checkpoint_step: int | None = None,
        *,
        save_interval_secs: float | None = None,
    ) -> None:
        kept = _checked_max_to_keep(max_to_keep)
        if checkpoint_interval is not None and step_counter is None:
            raise InvalidArgumentError(
                "`step_counter` should be passed if `checkpoint_interval` is not None."
            )
        self._checkpoint = checkpoint
        self._directory = as_text(directory, "directory", paths=True)
        self._prefix = os.path.join(self._directory, checkpoint_name)
        self._init_fn = init_fn
        self._step_counter = step_counter
        self._checkpoint_interval = checkpoint_interval
        self._lock = threading.RLock()
        self._pending: _Pending | None = None
        self._last_step = last_checkpoint_step
        self._save_interval_secs = save_interval_secs
        state = get_checkpoint_state(self._directory)
        self._rule = _recovered_rule(state, kept, keep_checkpoint_every_n_hours)
        self._latest = None if state is None else state.model_checkpoint_path
        self._last_time = _last_time(state)
        self._managed = manage(checkpoint, self._latest)

    @property
    def directory(self) -> str:
        """Where the checkpoints are."""
        return self._directory

    @property
    def checkpoint(self) -> Any:
        """What is saved, as it was given."""
        return self._checkpoint

    @property
    def checkpoint_interval(self) -> int | None:
        """Steps between two checkpoints, where that was asked for."""
        return self._checkpoint_interval

    @property
    def latest_checkpoint(self) -> str | None:
        """Prefix of the latest checkpoint, as the state file names it, or None."""
        return self._latest

    @property
    def checkpoints(self) -> list[str]:
        """The managed checkpoints, oldest first; those preserved for good are not among them."""
        return [x.path for x in self._rule.checkpoints]

    def save(
        self,
        checkpoint_number: Any = None,
        check_interval: bool = True,  # noqa: FBT001, FBT002 TensorFlow's signature
        options: Any = None,
    ) -> str | None:
        """Save, and remove what is too old.

        Parameters
        ----------
        checkpoint_number : int, or what holds one, optional
            The number in the name. None counts: 1, 2, 3 …, from the latest checkpoint on. A
            ``tf.train.Checkpoint`` counts in its ``save_counter``.
        check_interval : bool
            Whether the intervals count. A step is not saved twice in any case.
        options : object, optional
            For the ``write`` of a ``tf.train.Checkpoint``. Where they ask for an asynchronous
            checkpoint, list and state file follow once it is complete; call :meth:`sync`.

        Returns
        -------
        str or None
            The prefix; None where the interval has not passed.

        Raises
        ------
        CheckpointBusyError, CheckpointIOError
            As :meth:`Saver.save`; what was there before is intact.
        """
        with self._lock:
            step = self._current_step()
            if self._is_too_early(step, check_interval=bool(check_interval)):
                return None
            self._settle()
            path = self._managed.write(
                self._next_prefix(checkpoint_number),
                options,
                lambda path: self._record(path, step),
            )
            # Where TensorFlow goes on behind this the intervals count from here.
            self._last_step, self._last_time = step, time.time()
            return path

    def save_async(
        self,
        checkpoint_number: Any = None,
        check_interval: bool = True,  # noqa: FBT001, FBT002 as of save
    ) -> AsyncSave | None:
        """Save, and return as soon as the variables may change again.

        Parameters
        ----------
        checkpoint_number, check_interval
            As in :meth:`save`. A save that is under way counts for the intervals, until it fails.

        Returns
        -------
        AsyncSave or None
            Call ``result()``, or the next save will raise what went wrong. None where the interval
            has not passed.

        Raises
        ------
        UnsupportedError
            The manager saves something that writes by itself, such as a ``tf.train.Checkpoint``.

        Notes
        -----
        The checkpoint becomes one of :attr:`checkpoints`, and old ones are removed, once it is
        complete. One save is under way at a time: the next one waits for it, as
        :meth:`restore_or_initialize` does. Costs one copy of the data, into memory that is kept
        for the next save.
        """
        with self._lock:
            self._managed.check_can_start()
            step = self._current_step()
            if self._is_too_early(step, check_interval=bool(check_interval)):
                return None
            self._settle()
            started = time.time()
            handle = self._managed.start(
                self._next_prefix(checkpoint_number), lambda path: self._record(path, step)
            )
            self._pending = _Pending(handle, step, started)
            return handle

    def restore_or_initialize(self) -> str | None:
        """Restore the latest checkpoint, or call `init_fn` where there is none.

        Returns
        -------
        str or None
            The prefix of what was restored.

        Raises
        ------
        CheckpointNotFoundError
            The state file names a checkpoint that is not there.
        """
        with self._lock:
            self.sync()
            if self._latest is not None:
                self._managed.restore(self._latest)
                self._last_step = self._current_step()
                return self._latest
        if self._init_fn is not None:
            self._init_fn()
            _log.info("Customized initialization is done through the passed `init_fn`.")
        return None

    def sync(self) -> None:
        """Wait for saves that are under way; what :meth:`save_async` began raises nothing here."""
        if self._pending is not None:
            self._pending.handle.wait()
        self._managed.sync()

    def _next_prefix(self, checkpoint_number: Any) -> str:
        number = self._managed.count()
        if checkpoint_number is not None:
            number = step_number(checkpoint_number, _default_session(checkpoint_number))
        return f"{self._prefix}-{number:d}"

    def _settle(self) -> None:
        """Wait for the asynchronous save, and raise what went wrong unless somebody knows."""
        if self._pending is not None:
            handle = self._pending.handle
            handle.wait()  # Ctrl-C may come, and leaves it under way
            self._pending = None
            handle.settle()

    def _current_step(self) -> int | None:
        if self._checkpoint_interval is None:
            return None
        counter = self._step_counter
        plain_function = callable(counter) and not hasattr(counter, "numpy")
        return step_number(counter() if plain_function else counter, _default_session(counter))

    def _is_too_early(self, step: int | None, *, check_interval: bool) -> bool:
        last_step, last_time = self._last_step, self._last_time
        if self._pending is not None:
            if self._pending.handle.done():
                self._settle()
                return self._is_too_early(step, check_interval=check_interval)
            # Whoever asks at every step does not wait because of that.
            _, last_step, last_time = self._pending
        if step is not None and last_step is not None:
            if step == last_step:
                return True
            if check_interval and step < last_step + (self._checkpoint_interval or 0):
                return True
        if self._save_interval_secs is None or last_time is None or not check_interval:
            return False
        return time.time() < last_time + self._save_interval_secs

    def _record(self, path: str, step: int | None) -> None:
        """Put a checkpoint into the list and the state file, then remove what is too old.

        Of an asynchronous save the writing thread does it; whoever saves waits meanwhile.
        """
        self._last_step = step
        self._last_time = time.time()
        self._rule.add(path, self._last_time)
        self._latest = path
        # Whatever happens while files go, the state file names the new checkpoint already.
        self._write_state(path)
        for old in self._rule.sweep():
            _remove(old, self._managed.version)
        self._write_state(path)

    def _write_state(self, latest: str) -> None:
        update_checkpoint_state_internal(
            self._directory,
            latest,
            self.checkpoints,
            save_relative_paths=True,
            all_model_checkpoint_timestamps=[x.time for x in self._rule.checkpoints],
            last_preserved_timestamp=self._rule.last_preserved,
        )


class _Pending(NamedTuple):
    """An asynchronous save: the step and the seconds since the epoch at which it began."""

    handle: AsyncSave
    step: int | None
    time: float


def _checked_max_to_keep(max_to_keep: object) -> int | None:
    if max_to_keep is None:
        return None
    try:
        number = operator.index(max_to_keep)  # type: ignore[arg-type]
    except TypeError:
        raise WrongTypeError(f"max_to_keep must be an integer, not {max_to_keep!r}") from None
    if number <= 0:
        raise InvalidArgumentError(
            f"Expected a positive integer or `None` for `max_to_keep`, got {number}."
        )
    return number


def _recovered_rule(
    state: CheckpointState | None, max_to_keep: int | None, every_n_hours: float | None
) -> ManagerRule:
    """Go on with the list of a former manager."""
    now = time.time()
    if state is None:
        # A little earlier, for a manager that is made again at once.
        return ManagerRule(max_to_keep, every_n_hours, now - 1.0)
    preserved = state.last_preserved_timestamp
    if now < preserved:
        _log.warning(
            "time.time() returned a value %f seconds behind the last preserved checkpoint "
            "timestamp.",
            preserved - now,
        )
        preserved = now
    paths = state.all_model_checkpoint_paths
    times = state.all_model_checkpoint_timestamps or [preserved] * len(paths)
    tracked = [Tracked(path, min(x, now)) for path, x in zip(paths, times, strict=False)]
    kept = [x for x in tracked if x.time > preserved]
    return ManagerRule(max_to_keep, every_n_hours, preserved, kept)


def _last_time(state: CheckpointState | None) -> float | None:
    if state is None or not state.all_model_checkpoint_timestamps:
        return None
    return state.all_model_checkpoint_timestamps[-1]


def _default_session(counter: Any) -> Any:
    """The session of a counter in a graph of TensorFlow: a variable, or a tensor."""
    of_tensorflow = type(counter).__module__.partition(".")[0] == "tensorflow"
    if not of_tensorflow or not hasattr(counter, "graph"):
        return None
    import tensorflow as tf

    return None if tf.executing_eagerly() else tf.compat.v1.get_default_session()


def _remove(path: str, version: int) -> None:
    try:
        remove_one(path, version, meta_graph_suffix=None)
    except CheckpointError as error:
        _log.warning("Ignoring: %s", error)
