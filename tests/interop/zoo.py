"""A zoo of checkpoints written by real TensorFlow: dtypes, shapes, strings, names, shards."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import tensorflow as tf

SHAPES: dict[str, tuple[int, ...]] = {
    "scalar": (),
    "empty": (0, 3),
    "1d": (5,),
    "3d": (2, 3, 4),
    "rank5": (2, 1, 3, 1, 2),
}

# TensorFlow's name -> the NumPy type whose bytes it takes, and the bits of a byte that count.
DTYPES: dict[str, tuple[Any, int]] = {
    **{
        name: (np.dtype(name).type, 0xFF)
        for name in (
            *("float16", "float32", "float64", "complex64", "complex128"),
            *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        )
    },
    "bool": (np.bool_, 0x01),
    "bfloat16": (ml_dtypes.bfloat16, 0xFF),
    "float8_e5m2": (ml_dtypes.float8_e5m2, 0xFF),
    "float8_e4m3fn": (ml_dtypes.float8_e4m3fn, 0xFF),
    "float8_e4m3fnuz": (ml_dtypes.float8_e4m3fnuz, 0xFF),
    "float8_e4m3b11fnuz": (ml_dtypes.float8_e4m3b11fnuz, 0xFF),
    "float8_e5m2fnuz": (ml_dtypes.float8_e5m2fnuz, 0xFF),
    "float4_e2m1fn": (ml_dtypes.float4_e2m1fn, 0x0F),
    "int2": (ml_dtypes.int2, 0x03),
    "int4": (ml_dtypes.int4, 0x0F),
    "uint2": (ml_dtypes.uint2, 0x03),
    "uint4": (ml_dtypes.uint4, 0x0F),
    "qint8": (np.int8, 0xFF),
    "quint8": (np.uint8, 0xFF),
    "qint16": (np.int16, 0xFF),
    "quint16": (np.uint16, 0xFF),
    "qint32": (np.int32, 0xFF),
}

NAMES = (
    "a/b/c", "/leading", "trailing/", "double//slash", "ünïcode", "日本語/重み", "🙂",
    "with space", " spaces around ", "with [brackets]", "with {braces} (and) <more>", "star*?",
    "quote\"'`", "back\\slash", "tab\tnewline\n", "dot.", "..", "colon:0", "comma,semi;", "#hash",
    "%s %d", "~tilde", "-dash", "x" * 5000,
)  # fmt: skip


def dtype_tensors() -> dict[str, tf.Tensor]:
    """Every storable dtype in every shape, filled with random bits."""
    rng = np.random.default_rng(20)
    return {
        f"{dtype}/{shape}": _random_tensor(rng, dtype, SHAPES[shape])
        for dtype in DTYPES
        for shape in SHAPES
    }


def string_tensors() -> dict[str, tf.Tensor]:
    """Strings: none, empty, long, many, not UTF-8, in several ranks."""
    rng = np.random.default_rng(21)
    many = [rng.bytes(int(length)) for length in rng.integers(0, 40, 20_000)]
    values: dict[str, Any] = {
        "scalar": b"one",
        "scalar_empty": b"",
        "none": np.zeros((0, 2), object),
        "empties": [b"", b"", b""],
        "long": [b"short", rng.bytes(200_000), b""],
        "length_127_128": [b"a" * 127, b"b" * 128, b"c" * 16383, b"d" * 16384],
        "many": many,
        "not_utf8": [[b"\xff\xfe", b"\x00", b"\xc3("], ["äß".encode(), b"\x80", b"plain"]],
        "rank3": np.array([b"%d" % i for i in range(12)], object).reshape(2, 3, 2),
    }
    return {f"string/{name}": tf.constant(value, tf.string) for name, value in values.items()}


def named_tensors() -> dict[str, tf.Tensor]:
    """Names that paths, globs, shells and encoders stumble over."""
    return {name: tf.constant([i], tf.int32) for i, name in enumerate(NAMES)}


def many_tensors(count: int) -> dict[str, tf.Tensor]:
    """Small tensors under long, hardly compressible names: about 120 index bytes each."""
    tensors = {}
    for i in range(count):
        name = f"{hashlib.sha256(b'%d' % i).hexdigest()}/layer_{i:06d}/kernel"
        tensors[name] = tf.constant(i, tf.int64) if i % 3 else tf.fill((i % 5, 2), float(i))
    return tensors


def write(prefix: Path, tensors: Mapping[str, tf.Tensor], num_shards: int = 1) -> None:
    """Write `tensors` dealt out over `num_shards` shards."""
    if num_shards == 1:
        _save(str(prefix), dict(tensors))
        return
    parts = []
    for shard in range(num_shards):
        part = f"{prefix}_temp/part-{shard:05d}-of-{num_shards:05d}"
        _save(part, dict(list(tensors.items())[shard::num_shards]))
        parts.append(part)
    tf.raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=parts,
        destination_prefix=str(prefix),
        delete_old_dirs=True,
        allow_missing_files=False,
    )


def _save(prefix: str, tensors: dict[str, tf.Tensor]) -> None:
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=list(tensors.values()),
    )


def _random_tensor(rng: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> tf.Tensor:
    numpy_type, mask = DTYPES[dtype]
    count = int(np.prod(shape))
    raw = np.frombuffer(rng.bytes(count * np.dtype(numpy_type).itemsize), np.uint8) & mask
    values = raw.view(numpy_type).reshape(shape)
    if dtype.startswith(("qint", "quint")):
        return tf.bitcast(tf.constant(values), tf.dtypes.as_dtype(dtype))
    return tf.constant(values, tf.dtypes.as_dtype(dtype))
