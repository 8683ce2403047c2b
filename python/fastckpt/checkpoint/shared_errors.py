"""Errors that are TensorFlow's own as well, where TensorFlow is in the process.

A program that keeps TensorFlow and takes its Saver or its readers from here goes on with
``except tf.errors.NotFoundError``.
"""

from __future__ import annotations

import errno
import functools
import sys
from typing import Any

from fastckpt import errors
from fastckpt.checkpoint.tensorflow_errors import ShortShardError

__all__ = ["share"]

_MODULE = "tensorflow.python.framework.errors_impl"

# The first that fits; what fits none is TensorFlow's base class.
_NAMES: tuple[tuple[type[errors.CheckpointError], str], ...] = (
    (ShortShardError, "OutOfRangeError"),
    (errors.DataLossError, "DataLossError"),
    (errors.NotFoundError, "NotFoundError"),
    (errors.UnsupportedError, "UnimplementedError"),
    (errors.FailedPreconditionError, "FailedPreconditionError"),
    (errors.LimitExceededError, "ResourceExhaustedError"),
    (errors.InvalidArgumentError, "InvalidArgumentError"),
    (errors.CheckpointBusyError, "AbortedError"),
)

# What TensorFlow makes of the errors of the operating system.
_SYSTEM_NAMES = {
    errno.ENOENT: "NotFoundError",
    errno.EACCES: "PermissionDeniedError",
    errno.EPERM: "PermissionDeniedError",
    errno.EROFS: "PermissionDeniedError",
    errno.ENOSPC: "ResourceExhaustedError",
    errno.EDQUOT: "ResourceExhaustedError",
    errno.ENOTDIR: "FailedPreconditionError",
    errno.EISDIR: "FailedPreconditionError",
    errno.ETIMEDOUT: "DeadlineExceededError",
}


def share(error: errors.CheckpointError) -> None:
    """Let an error be of TensorFlow's class for it, too, where TensorFlow has been imported.

    Parameters
    ----------
    error : CheckpointError
        What is being raised. It gets a subclass of the class it has; pickled, it is of the former
        again.
    """
    theirs = _tensorflow_errors()
    if theirs is None or isinstance(error, theirs.OpError):
        return
    ours: Any = type(error)
    # What TensorFlow's constructor would set; the message is here already.
    vars(error).update(_node_def=None, _op=None, _experimental_payloads={})
    error.__class__ = _both(ours, getattr(theirs, _name_for(error)))


def _tensorflow_errors() -> Any:
    """Give TensorFlow's module of errors; None where it is not loaded, or a stand-in."""
    found = sys.modules.get(_MODULE)
    base = getattr(found, "OpError", None)
    if not isinstance(base, type) or issubclass(base, errors.CheckpointError):
        return None
    return found


def _name_for(error: errors.CheckpointError) -> str:
    for kind, name in _NAMES:
        if isinstance(error, kind):
            return name
    number = getattr(error, "errno", None)
    return _SYSTEM_NAMES.get(number, "UnknownError") if number else "UnknownError"


@functools.cache
def _both(kind: Any, theirs: Any) -> Any:
    body = {
        "__doc__": f"{kind.__doc__}\n\nIt is a ``tf.errors.{theirs.__name__}`` as well.",
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "_error_code": sys.modules[_MODULE].error_code_from_exception_type(theirs),
        "_plain": kind,
    }
    return type(kind.__name__, (kind, theirs), body)
