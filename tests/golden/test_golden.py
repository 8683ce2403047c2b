"""The golden checkpoints read as TensorFlow read them when they were made."""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import fastckpt
from golden.manifest import (
    GOLDEN_ROOT,
    ExpectedCheckpoint,
    assert_tensor,
    load_golden,
)

GOLDEN = load_golden()
SIZE_LIMIT = 50_000  # package data travels in every wheel


@pytest.fixture(params=GOLDEN)
def expected(request: pytest.FixtureRequest) -> ExpectedCheckpoint:
    return GOLDEN[request.param]


def test_files_are_those_of_the_manifest(expected: ExpectedCheckpoint) -> None:
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in expected.prefix.parent.iterdir()
    }
    assert found == expected.files


def test_package_data_stays_small() -> None:
    sizes = [path.stat().st_size for path in GOLDEN_ROOT.rglob("*") if path.is_file()]
    assert 0 < sum(sizes) <= SIZE_LIMIT


def test_listing(expected: ExpectedCheckpoint) -> None:
    with fastckpt.open(expected.prefix) as ckpt:
        listed = [(handle.name, handle.tf_dtype, handle.shape) for handle in ckpt.tensors()]
        assert list(ckpt) == [tensor.name for tensor in expected.tensors]
    assert listed == [(tensor.name, tensor.dtype, tensor.shape) for tensor in expected.tensors]


def test_values(expected: ExpectedCheckpoint) -> None:
    with fastckpt.open(expected.prefix) as ckpt:
        for tensor in expected.tensors:
            assert_tensor(ckpt[tensor.name], tensor)
            assert_tensor(ckpt.tensor(tensor.name).read(), tensor)


def test_load(expected: ExpectedCheckpoint) -> None:
    values = fastckpt.load(expected.prefix)
    assert len(values) == len(expected.tensors)
    for tensor in expected.tensors:
        assert_tensor(values[tensor.name], tensor)


def test_verify(expected: ExpectedCheckpoint) -> None:
    with fastckpt.open(expected.prefix) as ckpt:
        report = ckpt.verify()
    assert report.ok
    assert list(report.failures) == []
    assert report.tensors == len(expected.tensors)


@pytest.mark.tf
def test_generator_gives_the_same_bytes(tmp_path: Path) -> None:
    if importlib.util.find_spec("tensorflow") is None:
        pytest.skip("TensorFlow is not installed")
    generator = Path(__file__).with_name("make_golden.py")
    subprocess.run([sys.executable, str(generator), str(tmp_path)], check=True, timeout=120)
    stored = {path.relative_to(GOLDEN_ROOT) for path in GOLDEN_ROOT.rglob("*") if path.is_file()}
    made = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert made == stored
    for path in sorted(stored):
        assert (tmp_path / path).read_bytes() == (GOLDEN_ROOT / path).read_bytes(), path
