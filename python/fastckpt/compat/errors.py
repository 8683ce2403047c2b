"""``tf.errors``: TensorFlow's classes as they map to fastckpt's (docs/errors.md).

An ``except tf.errors.X`` catches what fastckpt raises where TensorFlow raises X. Several of
TensorFlow's classes are one here, and the other way round.
"""

from fastckpt import errors
from fastckpt.compat.gfile import AlreadyExistsError
from fastckpt.errors import (
    DataLossError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)

AbortedError = UnavailableError = errors.CheckpointBusyError
InternalError = OpError = errors.CheckpointError
OutOfRangeError = DataLossError
PermissionDeniedError = UnknownError = errors.CheckpointIOError
ResourceExhaustedError = errors.LimitExceededError
UnimplementedError = errors.UnsupportedError

__all__ = [
    "AbortedError",
    "AlreadyExistsError",
    "DataLossError",
    "FailedPreconditionError",
    "InternalError",
    "InvalidArgumentError",
    "NotFoundError",
    "OpError",
    "OutOfRangeError",
    "PermissionDeniedError",
    "ResourceExhaustedError",
    "UnavailableError",
    "UnimplementedError",
    "UnknownError",
]
