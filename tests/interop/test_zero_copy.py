"""A view of a large tensor is the file's own pages: nothing is copied, nothing can be written."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastckpt
from interop.memory import anonymous_bytes, map_figures

tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")

pytestmark = [
    pytest.mark.tf,
    pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux's /proc"),
]

TENSOR_BYTES = 256 << 20
SLACK_BYTES = 16 << 20  # what Python, NumPy and the opened index may take beside the tensor
COUNT = TENSOR_BYTES // 4
TOTAL = COUNT * (COUNT - 1) // 2 % 2**32

# Opens the checkpoint, touches every page of the view, prints its map's figures, and keeps the
# map until standard input ends.
OTHER_PROCESS = """
import sys, fastckpt
from interop.memory import map_figures
view = fastckpt.open(sys.argv[1])["big"]
view[:: 1024].sum()
print("ready", flush=True)
sys.stdin.readline()
print(map_figures(sys.argv[1]), flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="session")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prefix of a checkpoint that holds one tensor of 256 MiB and a small one."""
    prefix = tmp_path_factory.mktemp("big") / "big.ckpt"
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=["odd", "big"],
        shape_and_slices=["", ""],
        tensors=[tf.constant([1, 2, 3], tf.uint8), tf.range(COUNT, dtype=tf.int32)],
    )
    return prefix


@pytest.fixture
def scratch(big: Path, tmp_path: Path) -> Iterator[Path]:
    """The prefix of a copy (hard links) that the test may delete."""
    for path in big.parent.iterdir():
        os.link(path, tmp_path / path.name)
    yield tmp_path / big.name
    shutil.rmtree(tmp_path)


def bases(array: np.ndarray[Any, Any]) -> Iterator[Any]:
    """The chain of objects that an array's memory belongs to."""
    base = array.base
    while base is not None:
        yield base
        base = base.obj if isinstance(base, memoryview) else getattr(base, "base", None)


@pytest.mark.parametrize("verify", ["lazy", "off"])
def test_viewing_allocates_nothing(big: Path, verify: str) -> None:
    gc.collect()
    before = anonymous_bytes()
    tracemalloc.start()
    try:
        with fastckpt.open(big, verify=verify, backend="mmap") as ckpt:
            view = ckpt["big"]
            assert int(view.sum(dtype=np.int64)) % 2**32 == TOTAL
            assert ckpt.verify().ok
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < SLACK_BYTES
    assert anonymous_bytes() - before < SLACK_BYTES
    assert map_figures(big)["Rss"] >= TENSOR_BYTES, "the view is a map of the file"
    assert map_figures(big)["Anonymous"] == 0


def test_loading_does_allocate(big: Path) -> None:
    """The measurement above is able to see a copy."""
    before = anonymous_bytes()
    with fastckpt.open(big) as ckpt:
        values = ckpt.load(["big"])["big"]
    assert anonymous_bytes() - before > TENSOR_BYTES - SLACK_BYTES
    assert values[-1] == COUNT - 1


def test_view_cannot_be_made_writable(big: Path) -> None:
    with fastckpt.open(big) as ckpt:
        view = ckpt["big"]
    assert not view.flags.writeable
    assert not view.flags.owndata
    with pytest.raises(ValueError, match="WRITEABLE"):
        view.flags.writeable = True
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 1
    for owner in [view, *bases(view)]:
        assert memoryview(owner).readonly, type(owner)
    for base in bases(view):
        if isinstance(base, np.ndarray):
            with pytest.raises(ValueError, match="WRITEABLE"):
                base.setflags(write=True)


def test_view_outlives_checkpoint_and_files(scratch: Path) -> None:
    with fastckpt.open(scratch) as ckpt:
        view = ckpt["big"]
        part = view[10:20]
    for path in scratch.parent.iterdir():
        path.unlink()
    del ckpt
    gc.collect()
    assert int(view.sum(dtype=np.int64)) % 2**32 == TOTAL
    del view
    gc.collect()
    assert part.tolist() == list(range(10, 20))


def test_dropping_the_last_view_unmaps_the_file(big: Path) -> None:
    with fastckpt.open(big) as ckpt:
        view = ckpt["big"]
    assert view[-1] == COUNT - 1
    assert map_figures(big)["Rss"] > 0
    del view, ckpt
    gc.collect()
    assert map_figures(big)["Rss"] == 0


def test_two_processes_share_one_set_of_pages(big: Path) -> None:
    with fastckpt.open(big) as ckpt:
        view = ckpt["big"]
        assert int(view.sum(dtype=np.int64)) % 2**32 == TOTAL
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, sys.path))}
        with subprocess.Popen(
            [sys.executable, "-c", OTHER_PROCESS, str(big)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        ) as other:
            assert other.stdin
            assert other.stdout
            assert other.stdout.readline() == "ready\n"
            other.stdin.write("\n")
            other.stdin.flush()
            theirs = eval(other.stdout.readline())
            ours = map_figures(big)
            other.stdin.close()
    for figures in (ours, theirs):
        assert figures["Rss"] >= TENSOR_BYTES
        assert figures["Private_Clean"] + figures["Private_Dirty"] < SLACK_BYTES
        assert figures["Pss"] < TENSOR_BYTES // 2 + SLACK_BYTES
    assert view[1] == 1
