"""Checkpoints as one of the formats to convert from and to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from fastckpt import dtypes
from fastckpt.checkpoint.opening import open_checkpoint
from fastckpt.checkpoint.reader import Checkpoint
from fastckpt.checkpoint.stored_tensor import StoredTensor
from fastckpt.checkpoint.writer import CheckpointWriter
from fastckpt.tools.blocks import blocks, whole
from fastckpt.tools.convert.tensors import Source, Tensor
from fastckpt.tools.object_graph import OBJECT_GRAPH
from fastckpt.tools.patterns import choose
from fastckpt.tools.rewriting import stored_order

__all__ = ["open_source", "write"]

# Arrays that are handed to the writer together, and how many bytes they may hold.
_GROUP_TENSORS = 16384
_GROUP_BYTES = 64 << 20

# Smaller results stay in one shard: a second file gains nothing below this.
_ONE_SHARD_BYTES = 256 << 20


def open_source(
    path: str, patterns: Sequence[str] | None, *, num_threads: int | None
) -> tuple[Source, Checkpoint]:
    """Open a checkpoint; the tensors that `patterns` choose come in file order."""
    checkpoint = open_checkpoint(path, num_threads=num_threads)
    try:
        names = list(checkpoint) if patterns is None else choose(checkpoint, patterns)
        wanted = [name for name in names if name != OBJECT_GRAPH]
        tensors = [_tensor(checkpoint, x) for x in stored_order(checkpoint, wanted)]
        graph = _object_graph(checkpoint) if OBJECT_GRAPH in names else None
    except BaseException:
        checkpoint.close()
        raise
    source = Source(checkpoint.prefix, "checkpoint", tensors, checkpoint.close, object_graph=graph)
    return source, checkpoint


def _tensor(checkpoint: Checkpoint, handle: StoredTensor) -> Tensor:
    return Tensor(
        handle.name,
        handle.tf_dtype,
        handle.shape,
        handle.nbytes,
        partial(whole, handle),
        partial(blocks, checkpoint, handle),
    )


def _object_graph(checkpoint: Checkpoint) -> bytes | None:
    tensor = checkpoint.tensor(OBJECT_GRAPH)
    if tensor.tf_dtype != "string" or tensor.shape:
        return None
    content: bytes = tensor.read().item()
    return content


def write(
    prefix: str,
    tensors: Sequence[Tensor],
    *,
    object_graph: bytes | None,
    num_shards: int | None,
    sync: bool,
    num_threads: int,
    report: Callable[[int, int, str], object],
) -> None:
    """Write tensors into a new checkpoint."""
    total = sum(tensor.nbytes for tensor in tensors)
    if num_shards is None:
        num_shards = num_threads if total >= _ONE_SHARD_BYTES else 1
    done = number = 0
    with CheckpointWriter(
        prefix, num_shards=num_shards, sync=sync, num_threads=num_threads
    ) as writer:
        for group in _groups(tensors):
            writer.add_all([(tensor.name, _value(tensor)) for tensor in group])
            done += sum(tensor.nbytes for tensor in group)
            number += len(group)
            report(done, number, group[-1].name)
        if object_graph is not None:
            writer.add(OBJECT_GRAPH, object_graph)


def _groups(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    group: list[Tensor] = []
    size = 0
    for tensor in tensors:
        if group and (size + tensor.nbytes > _GROUP_BYTES or len(group) == _GROUP_TENSORS):
            yield group
            group, size = [], 0
        group.append(tensor)
        size += tensor.nbytes
    if group:
        yield group


def _value(tensor: Tensor) -> Any:
    """Give an array, with the dtype to record where NumPy's does not tell."""
    array = tensor.value()
    if tensor.tf_dtype == "string":
        return array
    known = dtypes.tf_name(dtypes.number_of(array.dtype))
    return array if known == tensor.tf_dtype else (array, tensor.tf_dtype)
