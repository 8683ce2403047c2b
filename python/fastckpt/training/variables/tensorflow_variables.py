"""TensorFlow's variables as targets: which of its objects are any, and what is known of them.

Eager variables go to tensorflow_eager.py, those of a graph to tensorflow_graph.py, SaveableObjects
to tensorflow_saveables.py. Imported only where the program has imported TensorFlow.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any

from fastckpt.training.variables.mistakes import EagerError, not_a_variable
from fastckpt.training.variables.protocol import SliceInfo, StaticShape, Target
from fastckpt.training.variables.slots import Slot

__all__ = [
    "REF_OPS",
    "adapt",
    "adapt_tree",
    "default_items",
    "device_of",
    "is_in_graph",
    "replace",
    "static_shape",
    "tensorflow",
]

# Operations whose output is the variable itself, and those that hold or read a resource.
REF_OPS = frozenset({"Variable", "VariableV2", "AutoReloadVariable"})
_RESOURCE_OPS = frozenset({"VarHandleOp", "ReadVariableOp"})


def tensorflow() -> Any:
    """Give the module, which the program has imported."""
    return importlib.import_module("tensorflow")


def adapt(value: Any, slot: Slot | None) -> list[Target] | None:
    """Make targets of a variable, a partitioned one, a tensor that reads one, a saveable.

    Objects that TensorFlow tracks may know what there is to save of them, tables for example.
    """
    tf = tensorflow()
    if isinstance(value, tf.Variable):
        return [_from_variable(value)]
    if _is(value, "tensorflow.python.ops.variables", "PartitionedVariable"):
        return [_from_variable(part) for part in value]
    if _is(value, "tensorflow.python.training.saving.saveable_object", "SaveableObject"):
        from fastckpt.training.variables.tensorflow_saveables import from_saveable

        return from_saveable(value)
    if isinstance(value, tf.Tensor):
        target = _from_tensor(value)
        return None if target is None else [target]
    if _is(value, "keras.src.backend", "Variable") and isinstance(value.value, tf.Variable):
        layer_variable = _from_variable(value.value)
        layer_variable.name = value.path
        return [layer_variable]
    if _is(value, "tensorflow.python.trackable.base", "Trackable"):
        from fastckpt.training.variables.tensorflow_saveables import from_trackable

        return from_trackable(value, slot)
    return None


def adapt_tree(value: Any, slot: Slot | None = None) -> list[Target] | None:  # noqa: ARG001
    """TensorFlow has no containers that a Saver takes apart."""
    return None


def replace(value: Any, holders: Mapping[str, Any], key: str) -> tuple[bool, Any]:  # noqa: ARG001
    """TensorFlow's variables are restored in place."""
    return False, None


def default_items(*, has_others: bool) -> list[Any]:
    """Give the global variables and saveable objects of the default graph.

    Raises
    ------
    EagerError
        TensorFlow executes eagerly, and there is nothing else to save.
    """
    tf1 = tensorflow().compat.v1
    if not tf1.executing_eagerly():
        graph = tf1.get_default_graph()
        keys = (tf1.GraphKeys.GLOBAL_VARIABLES, tf1.GraphKeys.SAVEABLE_OBJECTS)
        return [item for key in keys for item in graph.get_collection(key)]
    if has_others:
        return []
    raise EagerError(
        "When eager execution is enabled, `var_list` must specify a list or dict of variables to "
        "save: TensorFlow keeps no collection of them; pass model.variables, or a dict"
    )


def is_in_graph(value: Any) -> bool:
    """Whether this is a variable of a graph, slices of one, or a name while a graph is in use."""
    tf = tensorflow()
    if isinstance(value, str):
        return not tf.compat.v1.executing_eagerly()
    if isinstance(value, list | tuple):
        return any(is_in_graph(x) for x in value if not isinstance(x, str))
    if _is(value, "tensorflow.python.ops.variables", "PartitionedVariable"):
        return True
    return isinstance(value, tf.Variable) and not hasattr(getattr(value, "handle", None), "numpy")


def static_shape(shape: Any) -> StaticShape:
    """Turn a ``tf.TensorShape`` into a tuple; None where the rank is unknown."""
    return None if shape.rank is None else tuple(shape.as_list())


def device_of(device: str | None) -> str:
    """Give the canonical spelling of a device, by which a sharded save groups variables."""
    name: str = tensorflow().DeviceSpec.from_string(device or "").to_string()
    return name


def _from_variable(variable: Any) -> Target:
    handle = getattr(variable, "handle", None)
    if handle is not None and hasattr(handle, "numpy"):
        from fastckpt.training.variables.tensorflow_eager import EagerTarget

        return EagerTarget(variable)
    from fastckpt.training.variables.tensorflow_graph import GraphTarget

    ref = variable.op.outputs[0] if handle is None else handle
    return GraphTarget(
        variable,
        ref,
        ref.graph.as_graph_element(variable, allow_operation=False),
        shape=static_shape(variable.shape),
        slice=_slice_of(variable),
        device=device_of(variable.device),
        trainable=bool(variable.trainable),
    )


def _from_tensor(tensor: Any) -> Target | None:
    """Make a target of a tensor that is, or reads, a variable of a graph; None for others."""
    if hasattr(tensor, "numpy"):
        raise not_a_variable(
            tensor,
            hint="Can only save/restore ResourceVariables when executing eagerly: an eager tensor "
            "cannot be assigned; make it a tf.Variable",
        )
    if tensor.op.type not in REF_OPS | _RESOURCE_OPS:
        return None
    from fastckpt.training.variables.tensorflow_graph import GraphTarget, reading_of

    ref = tensor.op.inputs[0] if tensor.op.type == "ReadVariableOp" else tensor
    element = reading_of(tensor) if tensor.op.type == "VarHandleOp" else tensor
    if element is None:
        raise not_a_variable(tensor, hint="no operation of its graph reads this resource")
    return GraphTarget(
        tensor,
        ref,
        element,
        shape=static_shape(element.shape),
        slice=None,
        device=device_of(tensor.device),
        trainable=True,
    )


def _slice_of(variable: Any) -> SliceInfo | None:
    info = getattr(variable, "_save_slice_info", None)
    if info is None:
        return None
    return SliceInfo(
        str(info.full_name),
        tuple(int(x) for x in info.full_shape),
        tuple(int(x) for x in info.var_offset),
    )


def _is(value: Any, module: str, name: str) -> bool:
    """Whether `value` is of a class that exists where its module was imported."""
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(value, kind)
