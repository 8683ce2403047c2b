"""Read and write TensorFlow checkpoints without TensorFlow.

>>> import fastckpt
>>> with fastckpt.open("model.ckpt-1000") as checkpoint:  # doctest: +SKIP
...     kernel = checkpoint["layer/kernel"]
"""

import importlib
from typing import TYPE_CHECKING

from fastckpt.checkpoint import (
    Checkpoint,
    Damage,
    StoredSlice,
    StoredTensor,
    VariantRecord,
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

if TYPE_CHECKING:
    from fastckpt import graph, inspect_checkpoint
    from fastckpt.checkpoint.async_save import AsyncSave, save_async
    from fastckpt.checkpoint.merging import commit, merge
    from fastckpt.checkpoint.writer import CheckpointWriter, save
    from fastckpt.graph import export_meta_graph, import_meta_graph, write_graph
    from fastckpt.training import (
        NewCheckpointReader,
        checkpoint_exists,
        checkpoints_iterator,
        get_checkpoint_mtimes,
        get_checkpoint_state,
        latest_checkpoint,
        list_variables,
        load_checkpoint,
        load_variable,
        wait_for_new_checkpoint,
    )
    from fastckpt.training.initializing import init_from_checkpoint
    from fastckpt.training.manager import CheckpointManager
    from fastckpt.training.removing import remove_checkpoint
    from fastckpt.training.saver import Saver
    from fastckpt.training.state_writing import update_checkpoint_state
    from fastckpt.training.variables import Variable

__all__ = [
    "AsyncSave",
    "Checkpoint",
    "CheckpointBusyError",
    "CheckpointChangedError",
    "CheckpointError",
    "CheckpointIOError",
    "CheckpointManager",
    "CheckpointNotFoundError",
    "CheckpointWriter",
    "ClosedError",
    "Damage",
    "DataLossError",
    "InvalidArgumentError",
    "LimitExceededError",
    "NewCheckpointReader",
    "Progress",
    "Saver",
    "StoredSlice",
    "StoredTensor",
    "TensorNotFoundError",
    "UnsupportedError",
    "Variable",
    "VariantRecord",
    "VerifyFailure",
    "VerifyReport",
    "checkpoint_exists",
    "checkpoints_iterator",
    "commit",
    "export_meta_graph",
    "get_checkpoint_mtimes",
    "get_checkpoint_state",
    "graph",
    "import_meta_graph",
    "init_from_checkpoint",
    "inspect_checkpoint",
    "latest_checkpoint",
    "list_variables",
    "load",
    "load_checkpoint",
    "load_variable",
    "merge",
    "open",
    "remove_checkpoint",
    "save",
    "save_async",
    "update_checkpoint_state",
    "wait_for_new_checkpoint",
    "write_graph",
]

# Names that cost an import of their own, made on first use: where each is.
_LAZY = {
    **{name: f"fastckpt.{name}" for name in ("graph", "jax", "torch")},
    "inspect_checkpoint": "fastckpt.inspect_checkpoint",
    **dict.fromkeys(("export_meta_graph", "import_meta_graph", "write_graph"), "fastckpt.graph"),
    **dict.fromkeys(("AsyncSave", "save_async"), "fastckpt.checkpoint.async_save"),
    **dict.fromkeys(("CheckpointWriter", "save"), "fastckpt.checkpoint.writer"),
    **dict.fromkeys(("commit", "merge"), "fastckpt.checkpoint.merging"),
    **dict.fromkeys(
        (
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
        ),
        "fastckpt.training",
    ),
    "CheckpointManager": "fastckpt.training.manager",
    "Saver": "fastckpt.training.saver",
    "Variable": "fastckpt.training.variables",
    "init_from_checkpoint": "fastckpt.training.initializing",
    "remove_checkpoint": "fastckpt.training.removing",
    "update_checkpoint_state": "fastckpt.training.state_writing",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = importlib.import_module(_LAZY[name])
        value = module if _LAZY[name] == f"{__name__}.{name}" else getattr(module, name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
