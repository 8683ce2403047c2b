"""Eager variables of TensorFlow."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastckpt.errors import InvalidArgumentError
from fastckpt.training.variables.protocol import Group, Pair, Target
from fastckpt.training.variables.tensorflow_variables import device_of, static_shape

__all__ = ["EagerTarget"]


class _Eager(Group):
    shared_names = True

    def read(
        self,
        targets: Sequence[Target],
        session: Any = None,  # noqa: ARG002
        *,
        share: bool = False,  # noqa: ARG002
    ) -> list[Any]:
        with _eagerly():
            return [_read(target.origin) for target in targets]

    def check(self, pairs: Sequence[Pair], session: Any = None) -> None:  # noqa: ARG002
        for target, _ in pairs:
            if not hasattr(target.origin, "assign"):
                raise InvalidArgumentError(
                    f"variable {target.label} cannot be assigned", key=target.key
                )

    def assign(self, pairs: Sequence[Pair], session: Any = None) -> list[Any]:  # noqa: ARG002
        with _eagerly():
            for target, value in pairs:
                target.origin.assign(_feedable(target, value), read_value=False)
        return [target.origin for target, _ in pairs]


EAGER = _Eager()


class EagerTarget(Target):
    """An eager ``tf.Variable``."""

    __slots__ = ()

    def __init__(self, variable: Any) -> None:
        name = getattr(variable, "_shared_name", None) or variable.name.partition(":")[0]
        super().__init__(
            EAGER,
            variable,
            tf_dtype=variable.dtype.name,
            shape=static_shape(variable.shape),
            name=name,
            device=device_of(variable.device),
            trainable=bool(variable.trainable),
        )


def _eagerly() -> Any:
    """Execute at once, also where the caller is building a graph."""
    return importlib.import_module("tensorflow.python.eager.context").eager_mode()


def _read(variable: Any) -> Any:
    """Read one variable, sharing its memory: an assignment gives the variable other memory."""
    tensor = variable.read_value()
    try:
        return np.asarray(memoryview(tensor))
    except (TypeError, ValueError, BufferError):
        # Strings, and dtypes that the buffer protocol has no code for.
        return tensor.numpy()


def _feedable(target: Target, value: Any) -> Any:
    """Give an array as TensorFlow takes it: quantised types have a NumPy dtype of their own."""
    dtype = np.dtype(target.origin.dtype.as_numpy_dtype)
    array = np.asarray(value)
    return array.view(dtype) if dtype.names else array
