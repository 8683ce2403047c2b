"""The numbers of a checkpoint: open, view, load, verify."""

from fastckpt.checkpoint.assembly import VariantRecord
from fastckpt.checkpoint.opening import load, open_checkpoint
from fastckpt.checkpoint.reader import Checkpoint
from fastckpt.checkpoint.report import Damage, VerifyFailure, VerifyReport
from fastckpt.checkpoint.stored_tensor import StoredSlice, StoredTensor

__all__ = [
    "Checkpoint",
    "Damage",
    "StoredSlice",
    "StoredTensor",
    "VariantRecord",
    "VerifyFailure",
    "VerifyReport",
    "load",
    "open_checkpoint",
]
