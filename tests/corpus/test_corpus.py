"""Real checkpoints collected from public repositories read as TensorFlow 2.21 read them."""

from __future__ import annotations

from pathlib import Path

import pytest

import fastckpt
from golden.manifest import assert_tensor, load_corpus, require_corpus

READABLE_KINDS = frozenset(
    {"v2-name", "v2-object", "savedmodel-name", "savedmodel-object", "v1", "v1-sharded"}
)

CORPUS = {expected.name: expected for expected in load_corpus(READABLE_KINDS)}
SAVED_MODELS = [
    name for name, expected in CORPUS.items()
    if (expected.prefix.parent.parent / "saved_model.pb").exists()
]  # fmt: skip
INTACT = [name for name, e in CORPUS.items() if all(t.sha256 for t in e.tensors)]
WITH_ABSENT_SHARDS = [name for name in CORPUS if name not in INTACT]


def test_corpus_is_complete() -> None:
    require_corpus()
    assert len(CORPUS) >= 80
    assert len(WITH_ABSENT_SHARDS) >= 3
    assert len(SAVED_MODELS) >= 30


@pytest.mark.parametrize("name", CORPUS)
def test_tensors(name: str) -> None:
    expected = CORPUS[name]
    with fastckpt.open(expected.prefix) as ckpt:
        assert list(ckpt) == [tensor.name for tensor in expected.tensors]
        for tensor in expected.tensors:
            handle = ckpt.tensor(tensor.name)
            assert (handle.tf_dtype, handle.shape) == (tensor.dtype, tensor.shape)
            if tensor.sha256 is None:
                with pytest.raises(fastckpt.CheckpointNotFoundError):
                    ckpt[tensor.name]
            else:
                assert_tensor(ckpt[tensor.name], tensor)
            if tensor.sha256 is not None and tensor.dtype != "string":
                assert handle.nbytes == tensor.nbytes


@pytest.mark.parametrize("name", INTACT)
def test_load_and_verify(name: str) -> None:
    expected = CORPUS[name]
    with fastckpt.open(expected.prefix) as ckpt:
        values = ckpt.load()
        report = ckpt.verify()
    assert report.ok
    assert report.tensors == len(values) == len(expected.tensors)
    for tensor in expected.tensors:
        assert_tensor(values[tensor.name], tensor)


@pytest.mark.parametrize("name", WITH_ABSENT_SHARDS)
def test_absent_shards(name: str) -> None:
    expected = CORPUS[name]
    absent = {tensor.name for tensor in expected.tensors if tensor.sha256 is None}
    present = [tensor for tensor in expected.tensors if tensor.sha256 is not None]
    with fastckpt.open(expected.prefix) as ckpt:
        values = ckpt.load([tensor.name for tensor in present])
        for tensor in present:
            assert_tensor(values[tensor.name], tensor)
        with pytest.raises(fastckpt.CheckpointNotFoundError):
            ckpt.load()
        report = ckpt.verify()
    assert not report.ok
    assert {failure.name for failure in report.failures} == absent


@pytest.mark.parametrize("name", SAVED_MODELS)
def test_saved_model_folder(name: str) -> None:
    expected = CORPUS[name]
    with fastckpt.open(expected.prefix.parent.parent) as ckpt:
        assert Path(ckpt.prefix) == expected.prefix
        assert list(ckpt) == [tensor.name for tensor in expected.tensors]
