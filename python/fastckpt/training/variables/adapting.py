"""Which adapter an object goes to; those of frameworks are imported when one appears."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import numpy as np

from fastckpt.training.variables import arrays, variable
from fastckpt.training.variables.mistakes import not_a_variable
from fastckpt.training.variables.protocol import Target
from fastckpt.training.variables.slots import Slot

__all__ = ["adapt", "adapt_tree", "adapter_of", "adapters", "as_targets"]

# A module that exists only where the framework itself does (a stand-in may be called like it), and
# the adapter for its objects.
_FRAMEWORKS = {
    "tensorflow": ("tensorflow.python.framework.ops", "tensorflow_variables"),
    "torch": ("torch._C", "torch_tensors"),
    "jax": ("jax._src.array", "jax_arrays"),
}


def as_targets(value: Any) -> list[Target]:
    """Adapt one object.

    Parameters
    ----------
    value : object
        An ndarray, a ``fastckpt.Variable``, a torch tensor, parameter or module, a JAX array or a
        pytree of them, a ``tf.Variable``, a tensor that reads one, a SaveableObject. A
        PartitionedVariable, a module and a pytree give several targets.

    Raises
    ------
    WrongTypeError
        Nothing that can be read and assigned, such as a Python number; a TypeError with
        TensorFlow's words, "Variable to save is not a Variable: …".
    """
    found = adapt(value)
    if found is None:
        raise not_a_variable(value)
    return found


def adapt(value: Any, slot: Slot | None = None) -> list[Target] | None:
    """Adapt one object; None where no adapter knows its kind.

    A class of another package makes its own targets with a method ``__fastckpt_targets__``.

    Parameters
    ----------
    value : object
        As for :func:`as_targets`.
    slot : Slot, optional
        Its place in the caller's dict. The names of what a module or a pytree holds are relative
        to it, and None for an object that is one thing.
    """
    if isinstance(value, variable.Variable):
        return variable.adapt(value)
    if isinstance(value, np.ndarray):
        return arrays.adapt(value, slot)
    hook = getattr(type(value), "__fastckpt_targets__", None)
    if hook is not None:
        targets: list[Target] = hook(value)
        return targets
    for adapter in adapters():
        found: list[Target] | None = adapter.adapt(value, slot)
        if found is not None:
            return found
    return None


def adapt_tree(value: Any, slot: Slot | None = None) -> list[Target] | None:
    """Adapt a container that a framework takes apart by itself; None where none does.

    A pytree of JAX is one when an array of JAX is among its leaves.
    """
    for adapter in adapters():
        found: list[Target] | None = adapter.adapt_tree(value, slot)
        if found is not None:
            return found
    return None


def adapters() -> list[Any]:
    """Give the adapters of the frameworks that the program has imported."""
    return [adapter for name in _FRAMEWORKS if (adapter := adapter_of(name)) is not None]


def adapter_of(framework: str) -> Any:
    """Give the adapter of one framework; None where the program has not imported it."""
    module, name = _FRAMEWORKS[framework]
    if module not in sys.modules:
        return None
    return importlib.import_module(f"fastckpt.training.variables.{name}")
