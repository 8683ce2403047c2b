"""The numbers of a checkpoint: open, view, load, verify."""

from fastckpt.checkpoint.opening import load, open_checkpoint
from fastckpt.checkpoint.reader import Checkpoint
from fastckpt.checkpoint.report import Damage, VerifyFailure, VerifyReport
from fastckpt.checkpoint.stored_tensor import StoredTensor

__all__ = [
    "Checkpoint",
    "Damage",
    "StoredTensor",
    "VerifyFailure",
    "VerifyReport",
    "load",
    "open_checkpoint",
]
