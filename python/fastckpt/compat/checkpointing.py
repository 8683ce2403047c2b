"""``tf.train.Checkpoint`` and ``tf.Module`` for the variables of this namespace."""

# ruff: noqa: ARG002 - TensorFlow's signatures

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastckpt.compat import modes
from fastckpt.compat.operations import name_scope
from fastckpt.compat.variables import Variable
from fastckpt.training import objects
from fastckpt.training.objects.checkpoint import Status
from fastckpt.training.objects.restoration import Restoration
from fastckpt.training.variables import Target

__all__ = ["Checkpoint", "CheckpointOptions", "Module"]


class _Rules(objects.Rules):
    """Variables of this namespace, and nothing else: arrays are plain attributes here."""

    def is_variable(self, value: Any) -> bool:
        return isinstance(value, Variable)

    def target(self, variable: Any) -> Target:
        target: Target = variable.__fastckpt_targets__()[0]
        return target

    def full_name(self, variable: Any) -> str:
        name: str = variable.shared_name
        return name

    def read(self, variables: Sequence[Any]) -> list[tuple[Any, str]]:
        return [(x.value_now(), x.dtype.name) for x in variables]

    def new_counter(self) -> Any:
        counter = Variable(np.zeros((), np.int64), trainable=False, name="save_counter")
        counter.initialize()
        return counter

    def is_set(self, variable: Any) -> None:
        variable.is_initialized = True


class Module(objects.Module):
    """``tf.Module``: an object whose attributes are saved with it."""

    _rules = _Rules()

    @property
    def name_scope(self) -> contextlib.AbstractContextManager[str]:
        """What puts the module's name in front of names."""
        return name_scope(self.name)

    @classmethod
    def with_name_scope(cls, method: Callable[..., Any]) -> Callable[..., Any]:
        """Put the module's name in front of the names that a method makes."""

        @functools.wraps(method)
        def scoped(self: Module, *arguments: Any, **named: Any) -> Any:
            with self.name_scope:
                return method(self, *arguments, **named)

        return scoped


class Checkpoint(objects.ObjectCheckpoint):
    """``tf.train.Checkpoint``: see :class:`fastckpt.training.objects.ObjectCheckpoint`.

    In a graph, `restore` assigns at once, and ``run_restore_ops`` of the status again: what
    initializers do between them does not last.
    """

    _rules = _Rules()

    def write(
        self, file_prefix: Any, options: Any = None, *, session: Any = None, **layout: Any
    ) -> str:
        """Save under the very name."""
        modes.read_eagerly()
        return super().write(file_prefix, options, session=session, **layout)

    def read(self, save_path: Any, options: Any = None) -> Status:
        """Restore what `write` wrote."""
        modes.read_eagerly()
        return super().read(save_path, options)

    def _status(self, restoration: Restoration) -> Status:
        return _Status(restoration, self._objects)


class _Status(objects.LoadStatus):
    def run_restore_ops(self, session: Any = None) -> None:
        """Assign what was restored, where a session does that."""
        if modes.in_graph():
            self._restoration.assign_again()

    def initialize_or_restore(self, session: Any = None) -> None:
        """Assign what was restored, and give other variables their initial values."""
        if not modes.in_graph():
            return
        for variable in self._objects():
            if isinstance(variable, Variable) and not self._restoration.is_bound(variable):
                variable.initialize()
        self._restoration.assign_again()


class CheckpointOptions:
    """``tf.train.CheckpointOptions``: kept, and of no effect."""

    def __init__(
        self,
        experimental_io_device: Any = None,
        experimental_enable_async_checkpoint: bool = False,  # noqa: FBT001, FBT002
        experimental_write_callbacks: Any = None,
        enable_async: bool = False,  # noqa: FBT001, FBT002
        experimental_skip_slot_variables: bool = False,  # noqa: FBT001, FBT002
        experimental_sharding_callback: Any = None,
    ) -> None:
        self.experimental_io_device = experimental_io_device
        self.experimental_enable_async_checkpoint = experimental_enable_async_checkpoint
        self.experimental_write_callbacks = experimental_write_callbacks
        self.enable_async = enable_async
        self.experimental_skip_slot_variables = experimental_skip_slot_variables
        self.experimental_sharding_callback = experimental_sharding_callback
