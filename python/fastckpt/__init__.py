"""Read and write TensorFlow checkpoints without TensorFlow.

>>> import fastckpt
>>> with fastckpt.open("model.ckpt-1000") as checkpoint:  # doctest: +SKIP
...     kernel = checkpoint["layer/kernel"]
"""

from fastckpt.checkpoint import (
    Checkpoint,
    Damage,
    StoredTensor,
    VerifyFailure,
    VerifyReport,
    load,
)
from fastckpt.checkpoint import open_checkpoint as open  # noqa: A004
from fastckpt.errors import (
    CheckpointBusyError,
    CheckpointChangedError,
    CheckpointError,
    CheckpointIOError,
    CheckpointNotFoundError,
    ClosedError,
    DataLossError,
    InvalidArgumentError,
    LimitExceededError,
    TensorNotFoundError,
    UnsupportedError,
)
from fastckpt.progress import Progress

__all__ = [
    "Checkpoint",
    "CheckpointBusyError",
    "CheckpointChangedError",
    "CheckpointError",
    "CheckpointIOError",
    "CheckpointNotFoundError",
    "ClosedError",
    "Damage",
    "DataLossError",
    "InvalidArgumentError",
    "LimitExceededError",
    "Progress",
    "StoredTensor",
    "TensorNotFoundError",
    "UnsupportedError",
    "VerifyFailure",
    "VerifyReport",
    "load",
    "open",
]
