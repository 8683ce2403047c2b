"""TensorFlow's tools as programs: ``python -m fastckpt.compat -m tensorflow.python.tools.…``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from fastckpt import graph, inspect_checkpoint

__all__ = ["TOOLS", "freeze_graph_main"]

# TensorFlow's flags of freeze_graph that take a text, and what each is by default.
_TEXTS = {
    "input_graph": "",
    "input_saver": "",
    "input_checkpoint": "",
    "output_graph": "",
    "output_node_names": "",
    "restore_op_name": "save/restore_all",
    "filename_tensor_name": "save/Const:0",
    "initializer_nodes": "",
    "variable_names_whitelist": "",
    "variable_names_denylist": "",
    "input_meta_graph": "",
    "input_saved_model_dir": "",
    "saved_model_tags": "serve",
}


def freeze_graph_main(arguments: Sequence[str]) -> None:
    """Freeze a graph as TensorFlow's command does, with its flags."""
    parser = argparse.ArgumentParser(
        "freeze_graph", description="Freeze a graph in a file with the values of a checkpoint."
    )
    for name, default in _TEXTS.items():
        parser.add_argument(f"--{name}", default=default)
    for name, is_set in (("input_binary", False), ("clear_devices", True)):
        parser.add_argument(f"--{name}", nargs="?", const=True, type=_is_true, default=is_set)
    parser.add_argument("--checkpoint_version", type=int, default=2)
    options, _ = parser.parse_known_args(arguments)
    graph.freeze_graph(**vars(options))


def _is_true(text: str) -> bool:
    return text.lower() == "true"


# Modules below ``tensorflow`` that are programs.
TOOLS: dict[str, Callable[[Sequence[str]], None]] = {
    "python.tools.inspect_checkpoint": inspect_checkpoint.main,
    "python.tools.freeze_graph": freeze_graph_main,
}
