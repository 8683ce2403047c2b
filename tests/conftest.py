"""Fixtures and rules for all tests: the data, Hypothesis, and what needs TensorFlow."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path

import pytest
from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parent.parent
HAVE_TENSORFLOW = importlib.util.find_spec("tensorflow") is not None

# TensorFlow's own chatter on standard error hides the tests' output.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

# No test is judged by the clock. In CI the same examples are tried every time.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

HAVE_FRAMEWORKS = all(
    importlib.util.find_spec(name) is not None for name in ("jax", "openvino", "torch")
)
collect_ignore_glob = [
    *([] if HAVE_TENSORFLOW else ["interop/*"]),
    *([] if HAVE_FRAMEWORKS else ["frameworks/*"]),
]


def pytest_report_header() -> str:
    """Say at the top of each run which of the optional grounds are there."""
    corpus = _corpus_path()
    return "\n".join(
        [
            "interop: " + ("TensorFlow is installed" if HAVE_TENSORFLOW else "not collected"),
            "corpus: " + (str(corpus) if corpus.is_dir() else f"absent ({corpus})"),
        ]
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies under tests/interop as `tf`."""
    for item in items:
        if "interop" in item.path.parts:
            item.add_marker(pytest.mark.tf)


def _corpus_path() -> Path:
    return Path(os.environ.get("FASTCKPT_CORPUS", REPOSITORY.parent / "shared" / "corpus"))


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the source tree."""
    return REPOSITORY


@pytest.fixture(scope="session")
def corpus_dir() -> Path:
    """The folder of real checkpoints; a skip with the reason where it is absent."""
    path = _corpus_path()
    if not path.is_dir():
        pytest.skip(
            f"no corpus of real checkpoints at {path}; FASTCKPT_CORPUS names another place"
        )
    return path


@pytest.fixture(scope="session")
def golden_dir() -> Iterator[Path]:
    """The small checkpoints that ship as package data, made by TensorFlow. Never write there."""
    with as_file(files("fastckpt") / "golden") as path:
        assert any(path.rglob("*.index")), f"no golden checkpoint under {path}"
        yield path
