"""Errors of naming and reading variables that are also what TensorFlow raises there."""

from __future__ import annotations

from fastckpt.checkpoint.tensorflow_errors import WrongTypeError
from fastckpt.errors import InvalidArgumentError

__all__ = ["UninitializedError", "UnnamedError"]


class UnnamedError(WrongTypeError, AttributeError):
    """An object in a list that has no name to be stored under."""


class UninitializedError(InvalidArgumentError):
    """A variable that has no value yet.

    From a session of TensorFlow it is a ``tf.errors.FailedPreconditionError`` as well.
    """
