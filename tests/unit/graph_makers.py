"""Graphs in text form, and checkpoints for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import text_format

import fastckpt
from fastckpt.protos import message_class

FLOAT = 'attr { key: "T" value { type: DT_FLOAT } }'


def graph_def(text: str) -> Any:
    """A GraphDef of the private pool."""
    return text_format.Parse(text, message_class("GraphDef")())


def node(name: str, op: str, *inputs: str, attrs: str = "") -> str:
    """A node in text form."""
    given = " ".join(f'input: "{x}"' for x in inputs)
    return f'node {{ name: "{name}" op: "{op}" {given} {attrs} }}'


def copies(*inputs: str, name: str = "y", op: str = "Identity") -> str:
    """A node that hands on a float."""
    return node(name, op, *inputs, attrs=FLOAT)


def ref(name: str, *sizes: int, op: str = "VariableV2", dtype: str = "DT_FLOAT") -> str:
    """A variable that is held by reference."""
    shape = " ".join(f"dim {{ size: {size} }}" for size in sizes)
    return node(
        name,
        op,
        attrs=f'attr {{ key: "dtype" value {{ type: {dtype} }} }} '
        f'attr {{ key: "shape" value {{ shape {{ {shape} }} }} }}',
    )


def resource(name: str, *sizes: int, shared: str = "") -> str:
    """A variable that is held by a handle, and the node that reads it."""
    shape = " ".join(f"dim {{ size: {size} }}" for size in sizes)
    dtype = 'attr { key: "dtype" value { type: DT_FLOAT } }'
    handle = node(
        name,
        "VarHandleOp",
        attrs=f'{dtype} attr {{ key: "shape" value {{ shape {{ {shape} }} }} }} '
        f'attr {{ key: "shared_name" value {{ s: "{shared}" }} }}',
    )
    return handle + node(f"{name}/Read/ReadVariableOp", "ReadVariableOp", name, attrs=dtype)


def strings(name: str, *values: str) -> str:
    """A constant vector of strings."""
    texts = " ".join(f'string_val: "{value}"' for value in values)
    tensor = (
        f"tensor {{ dtype: DT_STRING tensor_shape {{ dim {{ size: {len(values)} }} }} {texts} }}"
    )
    return node(
        name,
        "Const",
        attrs='attr { key: "dtype" value { type: DT_STRING } } '
        f'attr {{ key: "value" value {{ {tensor} }} }}',
    )


def names(message: Any) -> list[str]:
    """Names of the nodes of a graph."""
    return [x.name for x in message.node]


def ops(message: Any) -> dict[str, str]:
    """Operations of the nodes of a graph, by name."""
    return {x.name: x.op for x in message.node}


def saved(directory: Path, **tensors: Any) -> str:
    """Save arrays; a dot in a keyword stands for a slash in the name."""
    prefix = str(directory / "model.ckpt")
    values = {
        name.replace("__", "/"): np.asarray(value, np.float32) for name, value in tensors.items()
    }
    fastckpt.save(prefix, values, sync=False)
    return prefix
