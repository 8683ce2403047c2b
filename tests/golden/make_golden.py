"""Writes the golden checkpoints with real TensorFlow.

    python tests/golden/make_golden.py [FOLDER]

FOLDER defaults to the package data folder, python/fastckpt/golden. Two runs with one release of
TensorFlow give the same bytes; tests/golden/test_golden.py checks that. Every value, dtype and
shape recorded in MANIFEST.toml is read back through TensorFlow's own checkpoint reader.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import ml_dtypes
import numpy as np
import tensorflow as tf
from tensorflow.python.training import py_checkpoint_reader

PACKAGE_DATA = Path(__file__).resolve().parents[2] / "python" / "fastckpt" / "golden"

PLAIN_DTYPES: dict[str, Any] = {
    "float16": np.float16,
    "float32": np.float32,
    "float64": np.float64,
    "bfloat16": ml_dtypes.bfloat16,
    "float8_e5m2": ml_dtypes.float8_e5m2,
    "float8_e4m3fn": ml_dtypes.float8_e4m3fn,
    "float8_e4m3fnuz": ml_dtypes.float8_e4m3fnuz,
    "float8_e4m3b11fnuz": ml_dtypes.float8_e4m3b11fnuz,
    "float8_e5m2fnuz": ml_dtypes.float8_e5m2fnuz,
    "float4_e2m1fn": ml_dtypes.float4_e2m1fn,
    "complex64": np.complex64,
    "complex128": np.complex128,
    "int2": ml_dtypes.int2,
    "int4": ml_dtypes.int4,
    "int8": np.int8,
    "int16": np.int16,
    "int32": np.int32,
    "int64": np.int64,
    "uint2": ml_dtypes.uint2,
    "uint4": ml_dtypes.uint4,
    "uint8": np.uint8,
    "uint16": np.uint16,
    "uint32": np.uint32,
    "uint64": np.uint64,
    "bool": np.bool_,
}
# TensorFlow has no NumPy type for these: their elements travel as plain integers.
QUANTIZED_DTYPES: dict[str, Any] = {
    "qint8": np.int8,
    "quint8": np.uint8,
    "qint16": np.int16,
    "quint16": np.uint16,
    "qint32": np.int32,
}


def make_linear(folder: Path) -> str:
    """A TF1 Saver's checkpoint of a small model with scopes and a step counter."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variable = tf.compat.v1.get_variable
        variable("w", initializer=np.arange(6, dtype=np.float32).reshape(3, 2) / 4)
        variable("b", initializer=np.array([0.5, -0.5], np.float32))
        variable("global_step", initializer=np.int64(100))
        with tf.compat.v1.variable_scope("tower_0/dense"):
            variable("kernel", initializer=np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 4))
            variable("bias", initializer=np.zeros(4, np.float32))
        session.run(tf.compat.v1.global_variables_initializer())
        saver = tf.compat.v1.train.Saver(save_relative_paths=True)
        prefix = str(folder / "model.ckpt")
        saver.save(session, prefix, global_step=100, write_meta_graph=False)
    return "model.ckpt-100"


def make_types(folder: Path) -> str:
    """Every storable dtype, strings, extreme shapes and unusual names, from one SaveV2."""
    tensors: dict[str, tf.Tensor] = {}
    for name, dtype in PLAIN_DTYPES.items():
        tensors[f"plain/{name}"] = tf.constant(_sample(dtype, (2, 3)))
    for name, dtype in QUANTIZED_DTYPES.items():
        values = tf.constant(_sample(dtype, (3,)))
        tensors[f"quantized/{name}"] = tf.bitcast(values, tf.dtypes.as_dtype(name))
    tensors["shape/scalar"] = tf.constant(3.25, tf.float32)
    tensors["shape/empty"] = tf.zeros((0, 3), tf.float32)
    tensors["shape/empty_middle"] = tf.zeros((2, 0, 5), tf.int64)
    tensors["shape/rank5"] = tf.constant(np.arange(12, dtype=np.int16).reshape(1, 2, 1, 3, 2))
    tensors["string/scalar"] = tf.constant(b"golden")
    tensors["string/scalar_empty"] = tf.constant(b"")
    tensors["string/none"] = tf.constant([], tf.string)
    tensors["string/mixed"] = tf.constant([[b"", b"ab"], [b"\xff\x00\xfe", "ünï".encode()]])
    tensors["string/long"] = tf.constant([b"x" * 300, b"end"])
    tensors["name/ünïcode/日本語"] = tf.constant(1, tf.int32)
    tensors["name/with [brackets] and *"] = tf.constant(2, tf.int32)
    tensors["name//double/slash/"] = tf.constant(3, tf.int32)
    tensors["name/\"quote\" 'quote' \\ tab\t"] = tf.constant(4, tf.int32)
    tensors["name/.hidden"] = tf.constant(5, tf.int32)
    _save(folder / "types", tensors)
    return "types"


def make_sharded(folder: Path) -> str:
    """Two shards, merged the way a sharded Saver merges them."""
    shards: list[dict[str, tf.Tensor]] = [
        {
            "embedding/table": tf.reshape(tf.range(24, dtype=tf.float32), (6, 4)),
            "embedding/vocabulary": tf.constant(["the", "of", "and", ""]),
        },
        {
            "softmax/bias": tf.constant([1, -2, 3], tf.bfloat16),
            "global_step": tf.constant(7, tf.int64),
        },
    ]
    parts = []
    for i, tensors in enumerate(shards):
        part = folder / "sharded.ckpt_temp" / f"part-{i:05d}-of-{len(shards):05d}"
        _save(part, tensors)
        parts.append(str(part))
    tf.raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=parts,
        destination_prefix=str(folder / "sharded.ckpt"),
        delete_old_dirs=True,
        allow_missing_files=False,
    )
    return "sharded.ckpt"


def make_object(folder: Path) -> str:
    """A tf.train.Checkpoint with its object graph and its state file."""
    weights = tf.Variable([[1.0, 2.0], [3.0, 4.0]], name="weights")
    layers = {"a/b": tf.Variable(7, name="slashed", dtype=tf.int64), ".x": tf.Variable(True)}
    checkpoint = tf.train.Checkpoint(weights=weights, layers=layers, list=[tf.Variable(0.5)])
    return Path(checkpoint.save(str(folder / "ckpt"))).name


def make_partitioned(folder: Path) -> str:
    """A TF1 Saver's checkpoint with partitioned variables beside an ordinary one."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        for name, dtype, shape, axis in (
            ("rows", tf.float32, (7, 4), 0),
            ("columns", tf.int64, (2, 5), 1),
        ):
            v1.get_variable(
                name,
                shape=shape,
                dtype=dtype,
                initializer=_count_up,
                partitioner=v1.fixed_size_partitioner(3, axis=axis),
            )
        v1.get_variable("whole", initializer=np.float32(1.5))
        session.run(v1.global_variables_initializer())
        saver = v1.train.Saver()
        prefix = str(folder / "partitioned.ckpt")
        saver.save(session, prefix, write_meta_graph=False, write_state=False)
    return "partitioned.ckpt"


def _count_up(shape: Any, dtype: Any, partition_info: Any = None) -> tf.Tensor:
    """The block of 0, 1, 2, ... (over the full shape) that one partition holds."""
    full = np.arange(int(np.prod(partition_info.full_shape))).reshape(partition_info.full_shape)
    block = tuple(
        slice(start, start + int(length))
        for start, length in zip(partition_info.var_offset, shape, strict=True)
    )
    return tf.constant(full[block], dtype)


MAKERS: dict[str, tuple[str, Callable[[Path], str]]] = {
    "linear": ("tf.compat.v1.train.Saver.save", make_linear),
    "types": ("tf.raw_ops.SaveV2", make_types),
    "sharded": ("tf.raw_ops.SaveV2, tf.raw_ops.MergeV2Checkpoints", make_sharded),
    "object": ("tf.train.Checkpoint.save", make_object),
    "partitioned": ("tf.compat.v1.train.Saver.save", make_partitioned),
}


def _sample(dtype: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Small values that differ from each other as far as the dtype allows, -1 included."""
    count = int(np.prod(shape))
    if dtype is np.bool_:
        return (np.arange(count) % 3 == 0).reshape(shape)
    kind = np.dtype(dtype).kind
    integer = kind in "iu" or dtype in (
        ml_dtypes.int2,
        ml_dtypes.int4,
        ml_dtypes.uint2,
        ml_dtypes.uint4,
    )
    if integer:
        limits = ml_dtypes.iinfo(dtype)
        low, high = int(limits.min), int(limits.max)
        values = [low, high, 0, 1, low + 1, high - 1]
        return np.array(values[:count], dtype).reshape(shape)
    values = np.array([1.0, -2.0, 0.5, 3.0, -0.0, 1.5][:count])
    if kind == "c":
        return (values - 1j * values[::-1]).astype(dtype).reshape(shape)
    return values.astype(dtype).reshape(shape)


def _save(prefix: Path, tensors: dict[str, tf.Tensor]) -> None:
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=list(tensors.values()),
    )


def _hash_values(value: np.ndarray | bytes, dtype_name: str) -> tuple[int, str]:
    """Byte count and SHA-256 of the values; strings are each preceded by their u64 length."""
    array = np.asarray(value, dtype=object) if dtype_name == "string" else np.asarray(value)
    if dtype_name != "string":
        data = np.ascontiguousarray(array).tobytes()
        return len(data), hashlib.sha256(data).hexdigest()
    digest, nbytes = hashlib.sha256(), 0
    for element in array.ravel():
        digest.update(len(element).to_bytes(8, "little") + element)
        nbytes += len(element)
    return nbytes, digest.hexdigest()


def _describe_tensors(prefix: str) -> Iterator[dict[str, Any]]:
    reader = py_checkpoint_reader.NewCheckpointReader(prefix)
    dtypes = reader.get_variable_to_dtype_map()
    shapes = reader.get_variable_to_shape_map()
    for name in sorted(shapes, key=str.encode):
        dtype_name = dtypes[name].name
        nbytes, sha256 = _hash_values(reader.get_tensor(name), dtype_name)
        yield {
            "name": name,
            "dtype": dtype_name,
            "shape": shapes[name],
            "nbytes": nbytes,
            "sha256": sha256,
        }


def _toml_row(row: dict[str, Any]) -> str:
    # A JSON string or list of integers is also a TOML one; no name here holds DEL.
    items = (f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in row.items())
    return "  { " + ", ".join(items) + " },"


def _manifest_section(root: Path, name: str, command: str, prefix: str) -> list[str]:
    folder = root / name
    files = [
        {"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in sorted(folder.iterdir())
    ]
    tensors = list(_describe_tensors(str(folder / prefix)))
    return [
        "",
        f"[checkpoint.{name}]",
        f'prefix = "{name}/{prefix}"',
        f'command = "{command}"',
        "files = [",
        *map(_toml_row, files),
        "]",
        "tensors = [",
        *map(_toml_row, tensors),
        "]",
    ]


def main(root: Path) -> None:
    """Write every golden checkpoint and MANIFEST.toml under `root`."""
    lines = [
        "# Written by tests/golden/make_golden.py. Tensors as TensorFlow's own reader gives them:",
        "# sha256 over C-order little-endian bytes; of strings, over <u64 length><bytes> each.",
        "",
        'producer = "tensorflow"',
        f'version = "{tf.__version__}"',
        'command = "python tests/golden/make_golden.py"',
    ]
    for name, (command, make) in MAKERS.items():
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            path.unlink()
        prefix = make(folder)
        lines += _manifest_section(root, name, command, prefix)
    (root / "MANIFEST.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PACKAGE_DATA)
