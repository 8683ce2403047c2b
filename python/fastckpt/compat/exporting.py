"""The GraphDef of variables that a program made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastckpt.compat.variables import Variable
from fastckpt.graph import VariableSpec, build_meta_graph

__all__ = ["graph_def_of"]


def graph_def_of(variables: Iterable[Variable]) -> Any:
    """Build the GraphDef of variables, without a saver and without their values."""
    specs = [
        VariableSpec(x.op.name, x.dtype.name, x.storage.shape, trainable=x.trainable)
        for x in variables
    ]
    return build_meta_graph(specs, saver=None).graph_def
