"""TensorFlow's vocabulary: its functions around checkpoints, by their names and arguments."""

from fastckpt.checkpoint.tensorflow_reader import CheckpointReader
from fastckpt.storage.state import CheckpointState
from fastckpt.training.readers import (
    NewCheckpointReader,
    list_variables,
    load_checkpoint,
    load_variable,
)
from fastckpt.training.state_functions import (
    checkpoint_exists,
    get_checkpoint_mtimes,
    get_checkpoint_state,
    latest_checkpoint,
)
from fastckpt.training.waiting import checkpoints_iterator, wait_for_new_checkpoint

__all__ = [
    "CheckpointReader",
    "CheckpointState",
    "NewCheckpointReader",
    "checkpoint_exists",
    "checkpoints_iterator",
    "get_checkpoint_mtimes",
    "get_checkpoint_state",
    "latest_checkpoint",
    "list_variables",
    "load_checkpoint",
    "load_variable",
    "wait_for_new_checkpoint",
]
