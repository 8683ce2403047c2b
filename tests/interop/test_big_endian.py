"""TensorFlow agrees on what big-endian checkpoints hold, as far as it reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastckpt

pytest.importorskip("tensorflow", reason="TensorFlow is not installed")

import tensorflow as tf

from big_endian_twin import make_twin
from golden.manifest import load_golden
from interop import partitions, zoo

pytestmark = pytest.mark.tf

# One byte an element, and still refused.
REFUSED_BY_TENSORFLOW = (
    *("float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e4m3b11fnuz"),
    *("float8_e5m2fnuz", "int4", "uint4", "int2", "uint2", "float4_e2m1fn"),
)


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """What TensorFlow wrote, and its big-endian twin: every dtype, shape and string."""
    folder = tmp_path_factory.mktemp("twins")
    tensors = zoo.dtype_tensors() | zoo.string_tensors() | zoo.named_tensors()
    zoo.write(folder / "little", tensors, num_shards=2)
    return folder / "little", make_twin(folder / "little", folder / "big")


def assert_same(found: Any, expected: Any, name: str) -> None:
    assert found.shape == expected.shape, name
    if found.dtype == object:
        assert found.ravel().tolist() == expected.ravel().tolist(), name
    else:
        assert found.tobytes() == expected.tobytes(), name


def test_zoo(twins: tuple[Path, Path]) -> None:
    little, big = twins
    with fastckpt.open(little) as a, fastckpt.open(big) as b:
        assert (a.byteorder, b.byteorder) == ("little", "big")
        assert list(a) == list(b)
        for name in a:
            assert_same(b[name], a[name], name)
            assert_same(b.tensor(name).read(), a[name], name)
        assert b.verify().ok


@pytest.mark.parametrize("dtype", [*zoo.DTYPES, "string"])
def test_tensorflow_agrees(twins: tuple[Path, Path], dtype: str) -> None:
    _, big = twins
    with fastckpt.open(big) as ckpt:
        for name in ckpt:
            if not name.startswith(f"{dtype}/"):
                continue
            if dtype in REFUSED_BY_TENSORFLOW:
                with pytest.raises(tf.errors.UnimplementedError):
                    partitions.restore(big, name, "", dtype)
                continue
            theirs = partitions.restore(big, name, "", dtype)
            if dtype == "string":
                theirs = np.asarray(theirs, object)
            assert_same(ckpt[name], theirs, name)


@pytest.mark.parametrize("name", ["linear", "types", "sharded", "object", "partitioned"])
def test_golden_twin_in_tensorflow(name: str, tmp_path: Path) -> None:
    expected = load_golden()[name]
    twin = make_twin(expected.prefix, tmp_path / "twin")
    with fastckpt.open(twin) as ckpt:
        for tensor in expected.tensors:
            if tensor.dtype in REFUSED_BY_TENSORFLOW:
                continue
            theirs = partitions.restore(twin, tensor.name, "", tensor.dtype)
            assert_same(ckpt[tensor.name], np.asarray(theirs), tensor.name)


def test_partitioned_twin(tmp_path: Path) -> None:
    partitions.write(tmp_path / "little", 2)
    twin = make_twin(tmp_path / "little", tmp_path / "big")
    agreed = 0
    with fastckpt.open(twin) as ckpt:
        for name in ckpt:
            dtype, layout = name.split("/")
            values = partitions.values_of(dtype, layout)
            assert_same(ckpt[name], values, name)
            assert_same(ckpt.tensor(name)[1:, ...], values[1:], name)
            if dtype in partitions.ASSEMBLED_BY_TENSORFLOW - set(REFUSED_BY_TENSORFLOW):
                assert_same(partitions.restore(twin, name, "", dtype), values, name)
                agreed += 1
        assert ckpt.verify().ok
    assert agreed == len(partitions.LAYOUTS) * 14
