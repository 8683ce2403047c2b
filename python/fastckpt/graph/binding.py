"""Finding, in a checkpoint, what a graph's saver restores: all of it, or a full report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fastckpt.checkpoint import Checkpoint
from fastckpt.errors import CheckpointError, InvalidArgumentError, TensorNotFoundError
from fastckpt.graph.graph import Graph
from fastckpt.graph.objects import names_to_keys
from fastckpt.graph.objects_message import OBJECT_GRAPH_KEY
from fastckpt.graph.operations import Operation
from fastckpt.graph.restoring import Stored
from fastckpt.graph.tensor_types import TensorShape
from fastckpt.graph.variable_values import Bound, value_source
from fastckpt.names import tensor_not_found

__all__ = ["bind_variables"]

# How many missing tensors a message names with their near names.
_MAX_NAMED = 3


def bind_variables(
    graph: Graph, checkpoint: Checkpoint, ways: Sequence[Mapping[str, Stored]]
) -> dict[str, Bound]:
    """Bind variables to stored tensors, without reading these.

    Parameters
    ----------
    graph : Graph
        Where the variables are.
    checkpoint : Checkpoint
        Where their values are.
    ways : sequence of mapping
        Where the first of them says each variable is stored, by the name of its operation; the
        others are tried where that tensor is missing.

    Returns
    -------
    dict of str to Bound
        One for each variable of the first way.

    Raises
    ------
    TensorNotFoundError
        Tensors are missing; the message lists them, with near names.
    InvalidArgumentError
        A tensor has another dtype than its variable, or another shape.
    """
    full_names = names_to_keys(checkpoint) if OBJECT_GRAPH_KEY in checkpoint else {}
    found: dict[str, Stored] = {}
    missing: list[str] = []
    for name in ways[0]:
        choices = [way[name] for way in ways if name in way]
        choices += [x._replace(key=full_names[x.key]) for x in choices if x.key in full_names]
        stored = next((x for x in choices if x.key in checkpoint), None)
        if stored is None:
            missing.append(choices[0].key)
        else:
            found[name] = stored
    if missing:
        raise _missing(sorted(missing), checkpoint)
    source = value_source(checkpoint, [found])
    for name, stored in found.items():
        _check_shape(graph.operation_named(name), stored, checkpoint)
    return {name: source.bind(graph.operation_named(name).node) for name in found}


def _check_shape(op: Operation, stored: Stored, checkpoint: Checkpoint) -> None:
    # A resource takes whatever shape is stored, without a word; so does an Assign that follows a
    # Reshape, as far as the number of elements agrees.
    if op.type == "VarHandleOp" or stored.is_reshaped:
        return
    wanted = TensorShape(op.get_attr("shape"))
    shape = _region_shape(checkpoint.tensor(stored.key).shape, stored.region)
    # The legacy Variable leaves an unknown shape without dimensions.
    unknown = op.type == "Variable" and not wanted.rank
    if not unknown and not wanted.is_compatible_with(shape):
        raise InvalidArgumentError(
            "Restoring from checkpoint failed. This is most likely due to a mismatch between the "
            f"current graph and the graph from the checkpoint. Variable {op.name!r}: Assign "
            f"requires shapes of both tensors to match. lhs shape= {wanted.dims} rhs shape= "
            f"{list(shape)}",
            path=checkpoint.prefix,
            key=stored.key,
        )


def _region_shape(shape: tuple[int, ...], region: tuple[slice, ...] | None) -> tuple[int, ...]:
    if region is None or len(region) != len(shape):
        return shape
    pairs = zip(region, shape, strict=True)
    return tuple(len(range(*part.indices(size))) for part, size in pairs)


def _missing(keys: list[str], checkpoint: Checkpoint) -> CheckpointError:
    names = list(checkpoint)
    told = [tensor_not_found(key, names, checkpoint.prefix) for key in keys[:_MAX_NAMED]]
    more = f"; and {len(keys) - _MAX_NAMED} more" if len(keys) > _MAX_NAMED else ""
    return TensorNotFoundError(
        "Restoring from checkpoint failed. This is most likely due to a Variable name or other "
        "graph key that is missing from the checkpoint. Original error:\n\n"
        f"Key {keys[0]} not found in checkpoint: {'; '.join(told)}{more}",
        path=checkpoint.prefix,
        key=keys[0],
    )
