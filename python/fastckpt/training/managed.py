"""What a CheckpointManager writes and restores: variables, a Saver, or objects by their places."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any, Protocol

from fastckpt.checkpoint.async_save import AsyncSave
from fastckpt.checkpoint.tensorflow_errors import as_text
from fastckpt.errors import UnsupportedError
from fastckpt.training.objects.checkpoint import ObjectCheckpoint, count_save
from fastckpt.training.removing import V2
from fastckpt.training.saver import Saver

__all__ = ["Managed", "manage"]

# What a manager does with the path of a complete checkpoint.
Then = Callable[[str], object]

_NUMBER = re.compile(r"-(\d+)\Z")


class Managed(Protocol):
    """One thing that is saved again and again."""

    @property
    def version(self) -> int:
        """Format of its checkpoints: 2 or 1."""

    def count(self) -> int:
        """Count one more save, and give its number."""

    def write(self, prefix: str, options: Any, then: Then) -> str:
        """Write a checkpoint, without a state file; give its path, and `then` once it is complete.

        That is at once, but where `options` ask TensorFlow to go on behind the caller.
        """

    def check_can_start(self) -> None:
        """Raise UnsupportedError where there is no `start`."""

    def start(self, prefix: str, then: Then) -> AsyncSave:
        """Write behind the caller; `then` gets the path once the checkpoint is complete."""

    def restore(self, path: str) -> None:
        """Restore, and go on counting from there."""

    def sync(self) -> None:
        """Wait for what is under way."""


def manage(checkpoint: Any, latest: str | None) -> Managed:
    """Adapt what a manager is given.

    Parameters
    ----------
    checkpoint : object
        An ObjectCheckpoint; a ``tf.train.Checkpoint``; a :class:`Saver`; another
        object with ``write(prefix)`` or ``save(prefix)`` and ``restore(path)``; or what a Saver
        takes as its `var_list`.
    latest : str, optional
        The latest checkpoint of the directory, from whose number on is counted.
    """
    if isinstance(checkpoint, Saver):
        return _ManagedSaver(checkpoint, latest)
    if isinstance(checkpoint, ObjectCheckpoint):
        return _ManagedObjects(checkpoint)
    if hasattr(checkpoint, "restore") and hasattr(checkpoint, "write"):
        if hasattr(type(checkpoint), "save_counter"):
            return _ManagedCheckpoint(checkpoint)
        return _ManagedObject(checkpoint, checkpoint.write, latest)
    if hasattr(checkpoint, "restore") and hasattr(checkpoint, "save"):
        return _ManagedObject(checkpoint, checkpoint.save, latest)
    return _ManagedSaver(Saver(checkpoint, max_to_keep=None), latest)


class _Counter:
    """Numbers that go on where the names of the checkpoints stopped."""

    def __init__(self, latest: str | None) -> None:
        self._number = 0
        self.follow(latest)

    def follow(self, path: str | None) -> None:
        match = _NUMBER.search(path or "")
        if match is not None:
            self._number = int(match[1])

    def count(self) -> int:
        self._number += 1
        return self._number


class _ManagedSaver:
    def __init__(self, saver: Saver, latest: str | None) -> None:
        self._saver = saver
        self._counter = _Counter(latest)

    @property
    def version(self) -> int:
        return self._saver.write_version

    def count(self) -> int:
        return self._counter.count()

    def write(self, prefix: str, options: Any, then: Then) -> str:  # noqa: ARG002
        saved = self._saver.save(
            self._saver.default_session(), prefix, write_meta_graph=False, write_state=False
        )
        path = saved or prefix
        then(path)
        return path

    def check_can_start(self) -> None:
        self._saver.check_can_start()

    def start(self, prefix: str, then: Then) -> AsyncSave:
        return self._saver.start_unlisted(self._saver.default_session(), prefix, then)

    def restore(self, path: str) -> None:
        self._saver.restore(self._saver.default_session(), path)
        self._counter.follow(path)

    def sync(self) -> None:
        self._saver.wait()


class _SavesItself:
    """What writes by a method of its own, which returns when all is written."""

    _checkpoint: Any
    version = V2

    def check_can_start(self) -> None:
        raise self._cannot_start()

    def start(self, prefix: str, then: Then) -> AsyncSave:  # noqa: ARG002
        raise self._cannot_start()

    def _cannot_start(self) -> UnsupportedError:
        return UnsupportedError(
            f"save_async needs variables or a Saver: a {type(self._checkpoint).__name__} writes "
            "by itself; pass its variables to the manager, in a dict, or call save (with options "
            "a tf.train.Checkpoint goes on behind it: experimental_enable_async_checkpoint)"
        )


class _ManagedObject(_SavesItself):
    def __init__(self, checkpoint: Any, write: Any, latest: str | None) -> None:
        self._checkpoint = checkpoint
        self._write = write
        self._counter = _Counter(latest)

    def count(self) -> int:
        return self._counter.count()

    def write(self, prefix: str, options: Any, then: Then) -> str:
        told = self._write(prefix) if options is None else self._write(prefix, options=options)
        path = prefix if told is None else as_text(told, "the path of a checkpoint", paths=True)
        then(path)
        return path

    def restore(self, path: str) -> None:
        self._checkpoint.restore(path)
        self._counter.follow(path)

    def sync(self) -> None:
        if hasattr(self._checkpoint, "sync"):
            self._checkpoint.sync()


class _ManagedObjects(_SavesItself):
    def __init__(self, checkpoint: ObjectCheckpoint) -> None:
        self._checkpoint = checkpoint

    def count(self) -> int:
        return count_save(self._checkpoint)

    def write(self, prefix: str, options: Any, then: Then) -> str:
        path: str = self._checkpoint.write(prefix, options)
        then(path)
        return path

    def restore(self, path: str) -> None:
        self._checkpoint.restore(path)

    def sync(self) -> None:
        self._checkpoint.sync()


class _ManagedCheckpoint(_SavesItself):
    """TensorFlow's own, which counts in a variable that it saves."""

    def __init__(self, checkpoint: Any) -> None:
        self._checkpoint = checkpoint
        self._increment: Any = None

    def count(self) -> int:
        import tensorflow as tf

        if tf.executing_eagerly():
            return int(self._checkpoint.save_counter.assign_add(1).numpy())
        session = tf.compat.v1.get_default_session()
        counter = self._counter_in(session)
        if self._increment is None:
            self._increment = counter.assign_add(1, read_value=False)
        session.run(self._increment)
        return int(session.run(counter))

    def write(self, prefix: str, options: Any, then: Then) -> str:
        goes_on = bool(getattr(options, "experimental_enable_async_checkpoint", False))
        if goes_on:
            callbacks = options.experimental_write_callbacks or []
            options = copy.copy(options)
            options.experimental_write_callbacks = [*callbacks, then]
        told = self._checkpoint.write(prefix, options=options)
        path = as_text(told, "the path of a checkpoint", paths=True)
        if not goes_on:
            then(path)
        return path

    def restore(self, path: str) -> None:
        self._checkpoint.restore(path)

    def sync(self) -> None:
        if hasattr(self._checkpoint, "sync"):
            self._checkpoint.sync()

    def _counter_in(self, session: Any) -> Any:
        """The counter in a graph, initialised where this call makes it."""
        import tensorflow as tf

        def create(next_creator: Any, **options: Any) -> Any:
            variable = next_creator(**options)
            session.run(variable.initializer)
            return variable

        with tf.variable_creator_scope(create):
            return self._checkpoint.save_counter
