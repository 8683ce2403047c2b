"""``tf.float32`` and its kin, and ``tf.as_dtype``."""

from __future__ import annotations

from typing import Any

from fastckpt import dtypes
from fastckpt.checkpoint.tensorflow_errors import WrongTypeError
from fastckpt.dtypes import DType
from fastckpt.errors import CheckpointError

__all__ = ["DType", "as_dtype"]

# TensorFlow's second names.
_ALIASES = {"half": "float16", "double": "float64"}


def as_dtype(type_value: Any) -> DType:
    """Give the dtype that a name, a number or a NumPy dtype means.

    Raises
    ------
    WrongTypeError
        It means none: a TypeError, as in TensorFlow.
    """
    number = getattr(type_value, "as_datatype_enum", type_value)
    try:
        if isinstance(number, int) and not isinstance(number, bool):
            return DType(number)
        return DType(dtypes.number_of(_ALIASES.get(number, number)))
    except (CheckpointError, TypeError):
        raise WrongTypeError(
            f"Cannot convert the argument `type_value`: {type_value!r} to a TensorFlow DType."
        ) from None


def __getattr__(name: str) -> DType:
    try:
        return DType(dtypes.number_of(_ALIASES.get(name, name)))
    except CheckpointError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
