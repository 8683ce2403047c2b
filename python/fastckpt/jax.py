"""JAX arrays from checkpoints. JAX is imported when the function is called."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastckpt.checkpoint.opening import open_checkpoint
from fastckpt.checkpoint.reader import Checkpoint
from fastckpt.checkpoint.stored_tensor import StoredTensor
from fastckpt.errors import InvalidArgumentError, UnsupportedError
from fastckpt.progress import Progress, ProgressLike, reporter

if TYPE_CHECKING:
    import jax

__all__ = ["load"]

_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"

# What JAX makes of these without its 64-bit mode.
_NARROWED = {"int64": np.int32, "uint64": np.uint32}

# Tensors without a view that are read together.
_GROUP_BYTES = 256 << 20

# How many tensors a message lists.
_MAX_LISTED = 10


def load(
    prefix: str | os.PathLike[str],
    *,
    names: Iterable[str] | None = None,
    device: Any = None,
    skip_unsupported: bool = False,
    num_threads: int | None = None,
    progress: ProgressLike = None,
) -> dict[str, jax.Array]:
    """Load a checkpoint into JAX arrays, every checksum compared.

    Parameters
    ----------
    prefix : str or PathLike
        What :func:`fastckpt.open` takes.
    names : iterable of str, optional
        Which; None means all.
    device : jax.Device or jax.sharding.Sharding, optional
        Where the arrays shall be; None means JAX's default.
    skip_unsupported : bool
        Leave out strings and variants. Otherwise they are an error which names them. The object
        graph of a ``tf.train.Checkpoint`` is always left out.
    num_threads : int, optional
        As for :func:`fastckpt.open`.
    progress : bool or callable, optional
        As for :meth:`Checkpoint.load`.

    Returns
    -------
    dict of str to jax.Array
        In the order of `names`, otherwise by name. Quantised types come as their plain integers.

    Raises
    ------
    UnsupportedError
        Strings and variants.
    InvalidArgumentError
        Integers of 64 bits that JAX would silently change, see below.
    DataLossError, CheckpointNotFoundError, TensorNotFoundError
        As :meth:`Checkpoint.load`.

    Notes
    -----
    On the CPU, arrays lie on the file's map where that is aligned to 64 bytes, as this library
    writes tensors of 4 KiB and more; others are copied, once. The file must not be truncated or
    overwritten in place while they live; saving over the prefix does neither.

    Without ``jax_enable_x64`` JAX has no types of 64 bits: float64 and complex128 are rounded to
    float32 and complex64, as everywhere in JAX. Integers are narrowed where all of them fit.

    Examples
    --------
    >>> weights = fastckpt.jax.load("model.ckpt-1000")  # doctest: +SKIP
    """
    import jax

    with open_checkpoint(prefix, num_threads=num_threads) as checkpoint:
        names = [names] if isinstance(names, str) else names
        wanted = list(checkpoint if names is None else dict.fromkeys(names))
        handles = [checkpoint.tensor(name) for name in wanted if name != _OBJECT_GRAPH]
        refused = {x.name: x.tf_dtype for x in handles if x.dtype.hasobject}
        if refused and not skip_unsupported:
            raise _unsupported(checkpoint.prefix, refused)
        kept = [handle for handle in handles if handle.name not in refused]
        has_64_bits = bool(jax.config.jax_enable_x64)
        found: dict[str, jax.Array] = {}
        total = sum(handle.nbytes for handle in kept)
        with reporter(progress, label="load", bytes_total=total) as report:
            done = 0
            for group in _groups(kept):
                arrays = _read(checkpoint, group, done, report.update)
                for handle in group:
                    array = arrays.pop(handle.name)
                    if not has_64_bits:
                        array = _narrowed(handle.name, array)
                    found[handle.name] = jax.device_put(array, device)
                done += sum(handle.nbytes for handle in group)
                report.update(done, len(found), group[-1].name)
        return found


def _groups(handles: list[StoredTensor]) -> Iterator[list[StoredTensor]]:
    group: list[StoredTensor] = []
    size = 0
    for handle in handles:
        if group and size + handle.nbytes > _GROUP_BYTES:
            yield group
            group, size = [], 0
        group.append(handle)
        size += handle.nbytes
    if group:
        yield group


def _read(
    checkpoint: Checkpoint, group: list[StoredTensor], before: int, update: Any
) -> dict[str, NDArray[Any]]:
    """Give views where there are some, and copies of the rest; many threads verify."""
    viewed = [handle for handle in group if handle.can_view]
    bundle = checkpoint.bundle  # handles verify one at a time
    bundle.ensure_all_verified([handle.id for handle in viewed])
    arrays = {handle.name: handle.view() for handle in viewed}
    rest = [handle.name for handle in group if handle.name not in arrays]
    if not rest:
        return arrays

    def report(state: Progress) -> None:
        update(before + state.bytes_done, state.tensors_done, state.name)

    return arrays | checkpoint.load(rest, progress=report)


def _narrowed(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """Narrow integers that fit; JAX itself would cut their upper half off."""
    target = _NARROWED.get(array.dtype.name)
    if target is None or not array.size:
        return array
    bounds = np.iinfo(target)
    if array.min() < bounds.min or array.max() > bounds.max:
        raise InvalidArgumentError(
            f"tensor {name!r} holds {array.dtype.name} values beyond 32 bits, which JAX would "
            "change silently; allow 64 bits first: jax.config.update('jax_enable_x64', True)",
            key=name,
        )
    return array.astype(target)


def _unsupported(prefix: str, refused: Mapping[str, str]) -> UnsupportedError:
    shown = [f"{name!r} ({dtype})" for name, dtype in refused.items()]
    more = f" and {len(shown) - _MAX_LISTED} more" if len(shown) > _MAX_LISTED else ""
    return UnsupportedError(
        f"JAX cannot hold {len(shown)} of the tensors of {prefix!r}: "
        f"{', '.join(shown[:_MAX_LISTED])}{more}; skip_unsupported=True leaves them out",
        path=prefix,
        key=next(iter(refused)),
    )
