"""Tensors of PyTorch from checkpoints, and checkpoints from them.

The functions have the names and arguments of ``safetensors.torch``. PyTorch is imported when they
are called.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import NDArray

from fastckpt.checkpoint.opening import open_checkpoint
from fastckpt.checkpoint.options import resolve_num_threads
from fastckpt.checkpoint.private_map import can_map, mapped_arrays
from fastckpt.checkpoint.reader import Checkpoint
from fastckpt.checkpoint.stored_tensor import StoredTensor
from fastckpt.checkpoint.writer import (
    CheckpointWriter,
    check_mapping,
    default_num_shards,
    save,
)
from fastckpt.errors import CheckpointError, UnsupportedError
from fastckpt.progress import Progress, ProgressLike, reporter

if TYPE_CHECKING:
    import torch

__all__ = ["load_file", "save_file"]

# TensorFlow's name -> torch's, where they are the same but for a quantised type's "q".
_DTYPES = frozenset({
    "float16", "float32", "float64", "bfloat16", "complex64", "complex128", "bool",
    "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2fnuz",
})  # fmt: skip
# What NumPy lacks passes as bits.
_BITS: dict[int, str] = {1: "u1", 2: "i2"}

_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"

# Tensors of another device that are copied to the CPU together.
_GROUP_BYTES = 64 << 20

# How many tensors a message lists.
_MAX_LISTED = 10


def load_file(
    prefix: str | os.PathLike[str],
    device: str | int | torch.device = "cpu",
    *,
    names: Iterable[str] | None = None,
    copy: bool = False,
    skip_unsupported: bool = False,
    backend: Literal["auto", "mmap", "pread", "direct"] = "auto",
    num_threads: int | None = None,
    progress: ProgressLike = None,
) -> dict[str, torch.Tensor]:
    """Load a checkpoint into PyTorch tensors, every checksum compared.

    Parameters
    ----------
    prefix : str or PathLike
        What :func:`fastckpt.open` takes.
    device : str, int or torch.device
        Where the tensors shall be.
    names : iterable of str, optional
        Which; None means all.
    copy : bool
        Give each tensor on the CPU memory of its own. Otherwise those that the file holds as they
        are lie on a private map of it.
    skip_unsupported : bool
        Leave out what PyTorch cannot hold. Otherwise that is an error which names it. The object
        graph of a ``tf.train.Checkpoint`` is always left out.
    backend, num_threads
        As for :func:`fastckpt.open`; what is not mapped there is copied here.
    progress : bool or callable, optional
        As for :meth:`Checkpoint.load`.

    Returns
    -------
    dict of str to torch.Tensor
        In the order of `names`, otherwise by name. Quantised types come as their plain integers.

    Raises
    ------
    UnsupportedError
        Strings, variants, integers of 2 and 4 bits, float4, float8_e4m3b11fnuz; a type that the
        installed PyTorch lacks.
    DataLossError, CheckpointNotFoundError, TensorNotFoundError
        As :meth:`Checkpoint.load`.

    Notes
    -----
    Every tensor may be written to; the file never changes. Without `copy`, tensors share the
    page cache with all other processes that load the file, and writing copies the pages that are
    touched. The file must not be truncated or overwritten in place while they live; saving over
    the prefix, by this library or by TensorFlow, does neither. Big-endian, partitioned and
    unaligned tensors, and bool ones, are copied. All bytes are read once, on many threads.

    Examples
    --------
    >>> weights = fastckpt.torch.load_file("model.ckpt-1000")  # doctest: +SKIP
    """
    with open_checkpoint(prefix, backend=backend, num_threads=num_threads) as checkpoint:
        threads = resolve_num_threads(num_threads)
        names = [names] if isinstance(names, str) else names
        wanted = list(checkpoint if names is None else dict.fromkeys(names))
        handles = [checkpoint.tensor(name) for name in wanted if name != _OBJECT_GRAPH]
        refused = {x.name: x.tf_dtype for x in handles if not _is_known(x.tf_dtype)}
        if refused and not skip_unsupported:
            raise _unsupported(checkpoint.prefix, refused)
        kept = [handle for handle in handles if handle.name not in refused]
        arrays = _arrays(checkpoint, kept, threads, progress, copy=copy)
        return {x.name: _as_tensor(arrays.pop(x.name), x.tf_dtype, device) for x in kept}


def save_file(
    tensors: Mapping[str, torch.Tensor], prefix: str | os.PathLike[str], **options: Any
) -> str:
    """Save PyTorch tensors as a checkpoint that TensorFlow restores.

    Parameters
    ----------
    tensors : Mapping of str to torch.Tensor
        On any device, of any strides; those that share memory are stored each by itself.
        Whatever else :func:`fastckpt.save` takes may be among them.
    prefix, **options
        As for :func:`fastckpt.save`.

    Returns
    -------
    str
        The prefix.

    Raises
    ------
    UnsupportedError
        A dtype that TensorFlow cannot store; a sparse tensor, one on the meta device.
    InvalidArgumentError, CheckpointBusyError, CheckpointIOError
        As :func:`fastckpt.save`.

    Notes
    -----
    Tensors of other devices are copied to the CPU some 64 MiB at a time.
    """
    check_mapping(tensors)
    _check_dense(tensors)
    if not any(map(_is_elsewhere, tensors.values())):
        return save(prefix, tensors, **options)
    progress: ProgressLike = options.pop("progress", None)
    threads = resolve_num_threads(options.pop("num_threads", None))
    if options.get("num_shards") is None:
        options["num_shards"] = default_num_shards(tensors, threads)
    total = sum(map(_nbytes, tensors.values()))
    with (
        reporter(progress, label="save", bytes_total=total) as report,
        CheckpointWriter(prefix, num_threads=threads, **options) as writer,
    ):
        done = number = 0
        for group in _groups(tensors):
            writer.add_all({name: _on_cpu(value) for name, value in group.items()})
            done += sum(map(_nbytes, group.values()))
            number += len(group)
            report.update(done, number, next(reversed(group)))
    return writer.prefix


# --- loading -------------------------------------------------------------------------------------


def _arrays(
    checkpoint: Checkpoint,
    handles: list[StoredTensor],
    num_threads: int,
    progress: ProgressLike,
    *,
    copy: bool,
) -> dict[str, NDArray[Any]]:
    """Read writable arrays: over private maps where that is possible, otherwise of their own."""
    mapped = [] if copy or checkpoint.format == "v1" else list(filter(can_map, handles))
    total = sum(handle.nbytes for handle in handles)
    with reporter(progress, label="load", bytes_total=total) as report:
        try:
            arrays = mapped_arrays(checkpoint, mapped, num_threads, report.update)
        except CheckpointError:
            raise
        except OSError:
            # The system refuses such a map; memory may do.
            arrays, mapped = {}, []
        done = sum(handle.nbytes for handle in mapped)

        def update(state: Progress) -> None:
            tensors_done = len(mapped) + state.tensors_done
            report.update(done + state.bytes_done, tensors_done, state.name)

        rest = [handle.name for handle in handles if handle.name not in arrays]
        return arrays | checkpoint.load(rest, num_threads=num_threads, progress=update)


def _as_tensor(
    array: NDArray[Any], tf_dtype: str, device: str | int | torch.device
) -> torch.Tensor:
    import torch

    dtype = getattr(torch, tf_dtype.removeprefix("q"))
    if array.dtype.isbuiltin == 1:
        tensor = torch.from_numpy(array)
    else:
        tensor = torch.from_numpy(array.view(_BITS[array.itemsize])).view(dtype)
    return tensor if str(device) == "cpu" else tensor.to(device)


def _is_known(tf_dtype: str) -> bool:
    import torch

    plain = tf_dtype.removeprefix("q")
    return plain in _DTYPES and hasattr(torch, plain)


def _unsupported(prefix: str, refused: Mapping[str, str]) -> UnsupportedError:
    shown = [f"{name!r} ({dtype})" for name, dtype in refused.items()]
    more = f" and {len(shown) - _MAX_LISTED} more" if len(shown) > _MAX_LISTED else ""
    return UnsupportedError(
        f"PyTorch cannot hold {len(shown)} of the tensors of {prefix!r}: "
        f"{', '.join(shown[:_MAX_LISTED])}{more}; skip_unsupported=True leaves them out",
        path=prefix,
        key=next(iter(refused)),
    )


# --- saving --------------------------------------------------------------------------------------


def _check_dense(tensors: Mapping[str, Any]) -> None:
    for name, value in tensors.items():
        is_tensor = str(getattr(value, "dtype", "")).startswith("torch.")
        layout = str(value.layout) if is_tensor else ""
        if is_tensor and layout != "torch.strided":
            raise UnsupportedError(
                f"tensor {name!r} has layout {layout}; make it dense first: tensor.to_dense()",
                key=name,
            )


def _is_elsewhere(value: Any) -> bool:
    """Whether this is a tensor on another device than the CPU, which has values."""
    device = getattr(value, "device", None)
    return getattr(device, "type", "cpu") not in ("cpu", "meta") and hasattr(value, "detach")


def _on_cpu(value: Any) -> Any:
    return value.detach().cpu() if _is_elsewhere(value) else value


def _nbytes(value: Any) -> int:
    size = getattr(value, "nbytes", 0)
    return size if isinstance(size, int) else 0


def _groups(tensors: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    group: dict[str, Any] = {}
    size = 0
    for name, value in tensors.items():
        if group and size + _nbytes(value) > _GROUP_BYTES:
            yield group
            group, size = {}, 0
        group[name] = value
        size += _nbytes(value)
    if group:
        yield group
