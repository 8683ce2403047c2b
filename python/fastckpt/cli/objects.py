"""The tree of objects of a checkpoint, for ``fastckpt ls --objects``."""

from __future__ import annotations

import fastckpt
from fastckpt.cli.terminal import speaks_unicode, styled, write
from fastckpt.cli.text import counted, safe, short_path
from fastckpt.graph.objects import ObjectGraph

__all__ = ["print_objects"]

# The branches of the tree where the terminal has no such characters.
_ASCII = str.maketrans({"├": "|", "└": "`", "│": "|", "─": "-", "…": "."})


def print_objects(checkpoint: fastckpt.Checkpoint) -> None:
    """Write the tree of a checkpoint's objects, a line for each, and how many there are."""
    graph = ObjectGraph(checkpoint)
    for line in graph.tree(max_lines=None):
        text = safe(line)
        write(f"{text if speaks_unicode() else text.translate(_ASCII)}\n")
    what = [counted(len(graph.nodes), "object"), counted(len(graph.variables), "variable")]
    if graph.slots:
        what.append(counted(sum(map(len, graph.slots.values())), "slot variable"))
    amount = styled(", ".join(what), "bold")
    write(f"\n{amount}  {styled(short_path(checkpoint.prefix), 'dim')}\n")
