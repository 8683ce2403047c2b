"""One Checkpoint used by many threads and by forked processes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastckpt
import oracle
from golden.manifest import assert_tensor, golden

NUM_THREADS = 8
ROUNDS = 50
CHILD_LIMIT_S = 60


def run_together(work: Callable[[int], Any]) -> list[Any]:
    """Run work(0) ... work(7) at the same time and collect what they return."""
    barrier = threading.Barrier(NUM_THREADS)

    def start(i: int) -> Any:
        barrier.wait()
        return work(i)

    with ThreadPoolExecutor(NUM_THREADS) as pool:
        return list(pool.map(start, range(NUM_THREADS)))


def damage_first_tensor(prefix: Path) -> None:
    shard = Path(f"{prefix}.data-00000-of-00001")
    shard.write_bytes(bytes([shard.read_bytes()[0] ^ 1]) + shard.read_bytes()[1:])


def test_all_threads_read_the_same_tensor() -> None:
    expected = golden("types")
    for tensor in expected.tensors:
        with fastckpt.open(expected.prefix) as ckpt:
            for values in run_together(lambda _, ckpt=ckpt, name=tensor.name: ckpt[name]):
                assert_tensor(values, tensor)


def test_threads_read_different_tensors() -> None:
    tensors = golden("types").tensors
    with fastckpt.open(golden("types").prefix) as ckpt:

        def read_share(i: int) -> int:
            share = tensors[i::NUM_THREADS]
            for _ in range(ROUNDS):
                for tensor in share:
                    assert_tensor(ckpt[tensor.name], tensor)
                    assert_tensor(ckpt.tensor(tensor.name).read(), tensor)
            return len(share)

        assert sum(run_together(read_share)) == len(tensors)


def test_threads_load_stream_and_verify_side_by_side() -> None:
    tensors = golden("sharded").tensors
    with fastckpt.open(golden("sharded").prefix) as ckpt:

        def use(i: int) -> None:
            for _ in range(ROUNDS):
                values = dict(ckpt.stream()) if i % 2 else ckpt.load(num_threads=2)
                for tensor in tensors:
                    assert_tensor(values[tensor.name], tensor)
                assert ckpt.verify().ok

        run_together(use)


def test_every_thread_learns_of_damage(tmp_path: Path) -> None:
    prefix = golden("linear").copy_to(tmp_path)
    damage_first_tensor(prefix)
    for _ in range(ROUNDS):
        with fastckpt.open(prefix) as ckpt:

            def read(_: int, ckpt: fastckpt.Checkpoint = ckpt) -> str | None:
                with pytest.raises(fastckpt.DataLossError) as caught:
                    ckpt["b"]
                return caught.value.key

            assert run_together(read) == ["b"] * NUM_THREADS


def test_closing_while_others_read() -> None:
    tensors = golden("linear").tensors
    for _ in range(ROUNDS):
        ckpt = fastckpt.open(golden("linear").prefix)

        def use(i: int, ckpt: fastckpt.Checkpoint = ckpt) -> int:
            if i == 0:
                ckpt.close()
                return 0
            try:
                for tensor in tensors:
                    assert_tensor(ckpt[tensor.name], tensor)
            except fastckpt.ClosedError:
                return 1
            return 2

        assert run_together(use)[0] == 0
        with pytest.raises(fastckpt.ClosedError):
            ckpt["w"]


def run_forked(work: Callable[[], bool]) -> None:
    """Fork, run `work` in the child, and fail unless it returns True in time."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            signal.alarm(CHILD_LIMIT_S)
            status = 0 if work() else 1
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("backend", ["mmap", "pread", "direct"])
def test_forked_child_uses_everything(backend: str) -> None:
    expected = golden("sharded")
    with fastckpt.open(expected.prefix, backend=backend) as ckpt:
        # Work before the fork starts whatever threads there are; the child has none of them.
        assert ckpt.verify(num_threads=2).ok
        view = ckpt["embedding/table"]

        def use() -> bool:
            values = ckpt.load(num_threads=2)
            for tensor in expected.tensors:
                assert_tensor(values[tensor.name], tensor)
                assert_tensor(ckpt[tensor.name], tensor)
            assert len(dict(ckpt.stream())) == len(ckpt)
            assert view.sum() == sum(range(24))
            return bool(ckpt.verify(num_threads=2).ok)

        run_forked(use)
        assert ckpt.verify(num_threads=2).ok


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_child_closing_leaves_the_parent_open() -> None:
    with fastckpt.open(golden("linear").prefix) as ckpt:

        def close() -> bool:
            ckpt.close()
            return True

        run_forked(close)
        assert ckpt.verify().ok


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fork_while_reading_ahead(tmp_path: Path) -> None:
    values = {f"w{i}": np.full(3 << 20, i, np.uint8) for i in range(6)}
    oracle.write_bundle(tmp_path / "m", values)
    with fastckpt.open(tmp_path / "m") as ckpt:
        stream = ckpt.stream(prefetch_bytes=12 << 20)
        name, first = next(stream)
        assert first[0] == values[name][0]

        def abandon() -> bool:
            # What the parent was reading is lost to the child, and neither waits for ever.
            with pytest.raises(fastckpt.ClosedError, match="fork"):
                list(stream)
            assert len(dict(ckpt.stream())) == len(values)
            return True

        run_forked(abandon)
        assert len(list(stream)) == len(values) - 1
