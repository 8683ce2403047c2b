"""The variables of a checkpoint, or of arrays, as a meta graph describes them."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from fastckpt import dtypes
from fastckpt.checkpoint import Checkpoint, StoredTensor, open_checkpoint
from fastckpt.checkpoint.inputs import prepare
from fastckpt.checkpoint.tensorflow_errors import WrongTypeError
from fastckpt.graph.meta_names import Names
from fastckpt.graph.meta_variables import VariableSpec, can_be_variable
from fastckpt.graph.value_types import as_number

__all__ = ["specs_of"]

_log = logging.getLogger("fastckpt")

# Of tf.train.Checkpoint: a message about the objects, and what ends the key of a variable.
_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"

# What optimisation changes by gradients: floats and complex numbers.
_TRAINABLE_PREFIXES = ("float", "bfloat", "complex")
# Statistics and counters that layers and optimizers keep in variables of their own.
_STATISTICS = frozenset({"moving_mean", "moving_variance", "beta1_power", "beta2_power"})


def specs_of(source: Any, trainable: Collection[str] | None = None) -> list[VariableSpec]:
    """Describe the tensors of a checkpoint, or arrays, as variables.

    Parameters
    ----------
    source : str, PathLike, Checkpoint or mapping of str to array-like
        A path that :func:`fastckpt.open` takes, an open checkpoint, or arrays.
    trainable : collection of str, optional
        Keys of the variables that training changes. By default those of float and complex types,
        without slots (a key below the key of another variable), moving averages of batch
        normalisation and the powers of Adam.

    Returns
    -------
    list of VariableSpec
        Sorted by key. A partitioned tensor gives one variable for each slice, ``p/part_0`` and so
        on. The name of an object-based key is what stands before ``/.ATTRIBUTES``.

    Notes
    -----
    Tensors of types that TensorFlow has no variables of are left out, and a warning is logged.
    """
    if isinstance(source, Checkpoint):
        return _of_checkpoint(source, trainable)
    if isinstance(source, Mapping):
        rows = [_of_value(str(name), source[name]) for name in sorted(source)]
        return _with_trainable(rows, trainable)
    if isinstance(source, str | bytes | os.PathLike):
        with open_checkpoint(source) as checkpoint:
            return _of_checkpoint(checkpoint, trainable)
    raise WrongTypeError(
        "expected the prefix of a checkpoint, an open checkpoint or a mapping of names to arrays, "
        f"not {type(source).__name__}"
    )


def _of_checkpoint(
    checkpoint: Checkpoint, trainable: Collection[str] | None
) -> list[VariableSpec]:
    rows = [row for tensor in checkpoint.tensors() for row in _of_stored(tensor)]
    return _with_trainable(rows, trainable)


def _of_value(name: str, value: Any) -> VariableSpec:
    found = prepare(name, value)
    return VariableSpec(_friendly(name), found.number, found.shape, name)


def _of_stored(tensor: StoredTensor) -> Iterator[VariableSpec]:
    if tensor.name == _OBJECT_GRAPH:
        return
    name, dtype = _friendly(tensor.name), tensor.tf_dtype
    parts = sorted(tensor.parts)
    if len(parts) == 1 and parts[0].shape == tensor.shape:
        yield VariableSpec(name, dtype, tensor.shape, tensor.name)
        return
    for number, part in enumerate(parts):
        yield VariableSpec(
            f"{name}/part_{number}", dtype, part.shape, tensor.name,
            full_name=tensor.name, full_shape=tensor.shape, start=part.start,
        )  # fmt: skip


def _friendly(key: str) -> str:
    return key.removesuffix(_SUFFIX) or key


def _with_trainable(
    specs: Iterable[VariableSpec], trainable: Collection[str] | None
) -> list[VariableSpec]:
    names = Names()
    kept = [spec._replace(name=names.take(spec.name)) for spec in specs if _is_kept(spec)]
    is_trained = _rule(kept) if trainable is None else _listed(trainable)
    return [spec._replace(trainable=is_trained(spec)) for spec in kept]


def _is_kept(spec: VariableSpec) -> bool:
    if can_be_variable(spec.dtype):
        return True
    _log.warning(
        "tensor %r is left out of the meta graph: TensorFlow has no variables of dtype %s",
        spec.key,
        dtypes.tf_name(as_number(spec.dtype)),
    )
    return False


def _listed(trainable: Collection[str]) -> Callable[[VariableSpec], bool]:
    known = frozenset(trainable)
    return lambda spec: spec.key in known or spec.name in known


def _rule(specs: Iterable[VariableSpec]) -> Callable[[VariableSpec], bool]:
    names = {_whole_name(spec) for spec in specs}

    def is_trained(spec: VariableSpec) -> bool:
        name = _whole_name(spec)
        return (
            dtypes.tf_name(as_number(spec.dtype)).startswith(_TRAINABLE_PREFIXES)
            and name.rpartition("/")[2] not in _STATISTICS
            and not any(above in names for above in _above(name))
        )

    return is_trained


def _whole_name(spec: VariableSpec) -> str:
    return _friendly(spec.key or spec.name)


def _above(name: str) -> Iterator[str]:
    while "/" in name:
        name = name.rpartition("/")[0]
        yield name
