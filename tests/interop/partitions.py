"""Partitioned tensors written by real TensorFlow, in every dtype and along every axis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from interop import zoo

Extent = tuple[int, int] | None
Spec = tuple[Extent, ...]

# TensorFlow's name -> NumPy type, of everything that SaveV2 takes.
DTYPES: dict[str, Any] = {name: kind for name, (kind, _) in zoo.DTYPES.items()} | {
    "string": object
}

# TensorFlow copies slices of these types only; the others it reads back as they were stored.
ASSEMBLED_BY_TENSORFLOW = frozenset(
    [
        "float32",
        "float64",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "bool",
        "complex64",
        "complex128",
        "bfloat16",
        "qint8",
        "quint8",
        "qint32",
        "int4",
        "uint4",
    ]
)


class Layout(NamedTuple):
    """A full shape, and the slices it is stored in, in the order of saving."""

    shape: tuple[int, ...]
    specs: list[Spec]


def _grid(*axes: Iterable[Extent]) -> list[Spec]:
    return list(product(*axes))


def _runs(*lengths: int) -> list[Extent]:
    starts = np.cumsum([0, *lengths[:-1]]).tolist()
    return list(zip(starts, lengths, strict=True))


ALL: list[Extent] = [None]

LAYOUTS: dict[str, Layout] = {
    "rows": Layout((5, 7, 3), _grid(_runs(2, 2, 1), _runs(7), _runs(3))),
    "rows_implicit": Layout((5, 7, 3), _grid(_runs(1, 4), ALL, ALL)),
    "middle": Layout((5, 7, 3), _grid(ALL, _runs(3, 3, 1), ALL)),
    "last": Layout((5, 7, 3), _grid(_runs(5), ALL, _runs(1, 2))),
    "two_axes": Layout((5, 7, 3), _grid(_runs(2, 3), _runs(4, 1, 2), ALL)),
    "three_axes": Layout((5, 7, 3), _grid(_runs(4, 1), _runs(1, 6), _runs(2, 1))),
    "reversed": Layout((5, 7, 3), _grid(_runs(1, 1, 3), ALL, _runs(1, 2))[::-1]),
    "bricks": Layout(
        (4, 4), [((0, 1), None), ((1, 3), (0, 1)), ((1, 1), (1, 3)), ((2, 2), (1, 3))]
    ),
    "vector": Layout((300,), _grid(_runs(63, 1, 64, 172))),
    "singles": Layout((4, 1), _grid(_runs(1, 1, 1, 1), ALL)),
}


def spec_text(shape: tuple[int, ...], spec: Spec) -> str:
    """The form in which SaveV2 and RestoreV2 take a slice."""
    extents = ["-" if extent is None else f"{extent[0]},{extent[1]}" for extent in spec]
    return f"{' '.join(map(str, shape))} {':'.join(extents)}"


def region(spec: Spec) -> tuple[slice, ...]:
    """A slice as a NumPy index."""
    return tuple(slice(None) if e is None else slice(e[0], e[0] + e[1]) for e in spec)


def random_values(dtype: str, shape: tuple[int, ...], seed: int) -> np.ndarray[Any, Any]:
    """An array of random bits, as far as the type has them; strings of random lengths."""
    rng = np.random.default_rng(seed)
    count = int(np.prod(shape))
    if dtype == "string":
        values = np.empty(count, object)
        values[:] = [rng.bytes(int(n)) for n in rng.integers(0, 200, count)]
        return values.reshape(shape)
    numpy_type, mask = zoo.DTYPES[dtype]
    raw = np.frombuffer(rng.bytes(count * np.dtype(numpy_type).itemsize), np.uint8) & mask
    return raw.view(numpy_type).reshape(shape)


def as_tensor(values: np.ndarray[Any, Any], dtype: str) -> Any:
    """A TensorFlow tensor of these very bits."""
    if dtype.startswith(("qint", "quint")):
        return tf.bitcast(tf.constant(values), tf.dtypes.as_dtype(dtype))
    return tf.constant(values, tf.dtypes.as_dtype(dtype))


def values_of(dtype: str, layout: str) -> np.ndarray[Any, Any]:
    """The whole tensor ``dtype/layout`` of `write`."""
    seed = list(DTYPES).index(dtype) * 100 + list(LAYOUTS).index(layout)
    return random_values(dtype, LAYOUTS[layout].shape, seed)


def write(prefix: Path, num_shards: int) -> None:
    """Write every dtype in every layout, whose slices take turns over the shards."""
    rows = []
    for dtype, name in product(DTYPES, LAYOUTS):
        values = values_of(dtype, name)
        for spec in LAYOUTS[name].specs:
            text = spec_text(values.shape, spec)
            rows.append((f"{dtype}/{name}", text, as_tensor(values[region(spec)], dtype)))
    if num_shards == 1:
        save_rows(prefix, rows)
        return
    parts = []
    for shard in range(num_shards):
        part = Path(f"{prefix}_temp/part-{shard:05d}-of-{num_shards:05d}")
        save_rows(part, rows[shard::num_shards])
        parts.append(str(part))
    tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=parts, destination_prefix=str(prefix))


def save_rows(prefix: Path, rows: Iterable[tuple[str, str, Any]]) -> None:
    """Save (name, shape and slice, value) rows in their order."""
    names, specs, values = zip(*rows, strict=True)
    tf.raw_ops.SaveV2(
        prefix=str(prefix), tensor_names=names, shape_and_slices=specs, tensors=values
    )


def save_slices(
    prefix: Path, name: str, values: np.ndarray[Any, Any], specs: Iterable[str]
) -> Path:
    """Save slices of one tensor, given in text such as ``"0,2:-"``, and return the prefix."""
    shape = " ".join(map(str, values.shape))
    rows = []
    for spec in specs:
        extents = tuple(
            None if item == "-" else tuple(map(int, item.split(","))) for item in spec.split(":")
        )
        rows.append((name, f"{shape} {spec}", tf.constant(values[region(extents)])))  # type: ignore[arg-type]
    save_rows(prefix, rows)
    return prefix


def restore(prefix: Path, name: str, spec: str, dtype: str) -> Mapping[str, Any] | Any:
    """One tensor, or one slice of it, as TensorFlow's restore operation gives it."""
    (value,) = tf.raw_ops.RestoreV2(
        prefix=str(prefix),
        tensor_names=[name],
        shape_and_slices=[spec],
        dtypes=[tf.dtypes.as_dtype(dtype)],
    )
    if dtype.startswith(("qint", "quint")):
        value = tf.bitcast(value, tf.dtypes.as_dtype(dtype.removeprefix("q")))
    return value.numpy()


def assert_same(found: Any, expected: Any) -> None:
    """Compare shape, dtype and every bit."""
    assert isinstance(found, np.ndarray)
    expected = np.asarray(expected)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    if found.dtype == object:
        assert found.ravel().tolist() == expected.ravel().tolist()
    else:
        assert found.tobytes() == expected.tobytes()
