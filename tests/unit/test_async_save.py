"""Saves that go on while the caller does: what is copied, when errors come, how a process ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest

import fastckpt
from fastckpt.checkpoint import async_save

SIZE = 1 << 20


def values(prefix: Path | str) -> dict[str, np.ndarray]:
    """Everything at a prefix, verified."""
    with fastckpt.open(prefix) as checkpoint:
        assert checkpoint.verify()
        return {name: np.array(checkpoint[name]) for name in checkpoint}


def run(script: str, *args: object, **kwargs: object) -> subprocess.Popen[str]:
    """Start a script with fastckpt and numpy imported."""
    head = "import os, sys, time\nimport numpy as np\nimport fastckpt\n"
    return subprocess.Popen(
        [sys.executable, "-c", head + textwrap.dedent(script), *map(str, args)],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **kwargs,
    )


def test_what_changes_after_the_call_is_not_in_the_file(tmp_path):
    arrays = {f"w{i}": np.full(SIZE + i, i, np.float32) for i in range(8)}
    arrays["t"] = np.arange(12.0).reshape(3, 4).T
    arrays["big_endian"] = np.arange(5, dtype=">i4")
    arrays["bool"] = np.array([True, False])
    expected = {name: array.copy() for name, array in arrays.items()}
    handle = fastckpt.save_async(tmp_path / "ck", arrays, sync=False)
    for array in arrays.values():
        array[...] = 0
    assert handle.result() == str(tmp_path / "ck")
    found = values(tmp_path / "ck")
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)


def test_every_kind_of_value_is_stored_as_by_save(tmp_path):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    tensors = {
        "b": (np.arange(3, dtype=np.int8), "qint8"),
        "e": np.zeros((0, 3), np.float64),
        "l": [1.5, 2.5],
        "m": np.arange(4).astype(ml_dtypes.bfloat16),
        "n": 7,
        "s": ["a", b"b\0", ""],
    }
    plain = {"num_shards": 1, "alignment": 1, "block_crcs": False}
    fastckpt.save(tmp_path / "a", tensors, **plain)
    fastckpt.save_async(tmp_path / "b", tensors, **plain).result()
    for suffix in (".index", ".data-00000-of-00001"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_the_snapshot_is_one_buffer_that_is_used_again(tmp_path):
    arrays = {"w": np.ones(4 * SIZE)}
    fastckpt.save_async(tmp_path / "a", arrays, sync=False).result()
    held = async_save._QUEUE._snapshot.nbytes
    memory = async_save._QUEUE._snapshot.take([arrays["w"]], 1)[0].__array_interface__["data"]
    for _ in range(3):
        fastckpt.save_async(tmp_path / "a", arrays, sync=False).result()
    again = async_save._QUEUE._snapshot.take([arrays["w"]], 1)[0].__array_interface__["data"]
    assert held >= arrays["w"].nbytes
    assert async_save._QUEUE._snapshot.nbytes == held
    assert memory == again


class TestFrozen:
    """Memory that nobody can change is written from where it lies."""

    @pytest.fixture
    def copied(self, monkeypatch):
        """Collect how many arrays the snapshot takes."""
        taken = []

        class Counting:
            def __init__(self):
                self.real = async_save.Snapshot()

            def take(self, arrays, num_threads):
                taken.append(len(arrays))
                return self.real.take(arrays, num_threads)

        monkeypatch.setattr(async_save._QUEUE, "_snapshot", Counting())
        return taken

    def read_only(self):
        array = np.arange(100.0)
        array.flags.writeable = False
        return array

    def test_a_read_only_array_is_not_copied(self, tmp_path, copied):
        array = self.read_only()
        fastckpt.save_async(tmp_path / "a", {"x": array, "v": array[3:]}).result()
        assert copied == [0]
        np.testing.assert_array_equal(values(tmp_path / "a")["v"], array[3:])

    def test_views_of_an_open_checkpoint_are_not_copied(self, tmp_path, copied):
        fastckpt.save(tmp_path / "a", {"x": np.arange(100.0)})
        with fastckpt.open(tmp_path / "a") as checkpoint:
            fastckpt.save_async(tmp_path / "b", {"x": checkpoint["x"]}).result()
        assert copied == [0]

    def test_a_read_only_view_of_a_writable_array_is_copied(self, tmp_path, copied):
        array = np.arange(100.0)
        view = array[:]
        view.flags.writeable = False
        memory = np.frombuffer(memoryview(bytearray(800)).toreadonly())
        handle = fastckpt.save_async(tmp_path / "a", {"x": view, "y": memory})
        array[:] = 0
        handle.result()
        assert copied == [2]
        assert values(tmp_path / "a")["x"][99] == 99

    def test_what_an_older_view_changes_has_the_checksum_of_what_was_stored(self, tmp_path):
        array = np.zeros(8 * SIZE)
        view = array[:]
        array.flags.writeable = False
        stop = threading.Event()

        def change():
            while not stop.is_set():
                view.fill(1)
                view.fill(2)

        changer = threading.Thread(target=change)
        changer.start()
        try:
            for _ in range(3):
                fastckpt.save_async(tmp_path / "a", {"x": array}, sync=False).result()
                assert set(np.unique(values(tmp_path / "a")["x"])) <= {0, 1, 2}
        finally:
            stop.set()
            changer.join()

    def test_arrays_of_jax_are_not_copied(self, tmp_path, copied):
        class Array:
            __module__ = "jaxlib._jax"

            def __array__(self, dtype=None, copy=None):
                return np.arange(3.0)

        fastckpt.save_async(tmp_path / "a", {"x": Array()}).result()
        assert copied == [0]


class TestErrors:
    def test_wrong_arguments_are_raised_at_once(self, tmp_path):
        with pytest.raises(fastckpt.InvalidArgumentError, match="ends in a separator"):
            fastckpt.save_async(f"{tmp_path}/", {})
        with pytest.raises(fastckpt.InvalidArgumentError, match="tensor 'x'"):
            fastckpt.save_async(tmp_path / "a", {"x": object()})
        with pytest.raises(fastckpt.InvalidArgumentError, match="num_shards"):
            fastckpt.save_async(tmp_path / "a", {"x": 1}, num_shards=0)
        assert os.listdir(tmp_path) == []

    def test_a_busy_prefix_is_told_at_once(self, tmp_path):
        with fastckpt.CheckpointWriter(tmp_path / "a") as writer:
            with pytest.raises(fastckpt.CheckpointBusyError):
                fastckpt.save_async(tmp_path / "a", {"x": 1})
            writer.add("y", 2)
        assert list(values(tmp_path / "a")) == ["y"]

    def failing(self, prefix):
        def fail(state):
            raise RuntimeError("no more")

        return fastckpt.save_async(prefix, {"x": np.ones(SIZE)}, progress=fail)

    def test_a_failure_comes_out_of_result_every_time(self, tmp_path):
        handle = self.failing(tmp_path / "a")
        for _ in range(2):
            with pytest.raises(RuntimeError, match="no more"):
                handle.result()
        assert handle.done()
        assert "failed" in repr(handle)
        assert os.listdir(tmp_path) == []
        fastckpt.save_async(tmp_path / "a", {"x": 1}).result()

    def test_a_failure_that_nobody_saw_comes_out_of_the_next_save_once(self, tmp_path):
        self.failing(tmp_path / "a").wait()
        with pytest.raises(RuntimeError, match="no more"):
            fastckpt.save_async(tmp_path / "b", {"x": 1})
        fastckpt.save_async(tmp_path / "b", {"x": 1}).result()

    def test_a_cancelled_save_leaves_what_was_there(self, tmp_path):
        fastckpt.save(tmp_path / "a", {"x": np.zeros(3)})
        reached, go_on = threading.Event(), threading.Event()

        def hold(state):
            reached.set()
            go_on.wait(60)

        handle = fastckpt.save_async(tmp_path / "a", {"x": np.ones(SIZE)}, progress=hold)
        assert reached.wait(60)
        assert not handle.done()
        with pytest.raises(TimeoutError, match="not ended"):
            handle.result(timeout=0.01)
        assert handle.cancel()
        go_on.set()
        with pytest.raises(fastckpt.CheckpointError, match="was cancelled"):
            handle.result()
        np.testing.assert_array_equal(values(tmp_path / "a")["x"], np.zeros(3))
        assert not handle.cancel()
        # Whoever cancels knows; the next save says nothing of it.
        fastckpt.save_async(tmp_path / "a", {"x": 1}).result()


def test_one_save_is_under_way_at_a_time(tmp_path):
    order = []
    reached, go_on = threading.Event(), threading.Event()

    def hold(state):
        reached.set()
        go_on.wait(60)
        order.append("first")

    fastckpt.save_async(tmp_path / "a", {"x": np.ones(10)}, progress=hold)
    assert reached.wait(60)
    threading.Timer(0.05, go_on.set).start()
    second = fastckpt.save_async(tmp_path / "b", {"x": 1})
    order.append("second")
    assert order[-1] == "second"
    assert "first" in order
    second.result()


def test_the_interpreter_exits_when_the_save_is_complete(tmp_path):
    script = """
        arrays = {f"w{i}": np.full(1 << 20, i, np.float32) for i in range(32)}
        fastckpt.save_async(sys.argv[1], arrays)
    """
    process = run(script, tmp_path / "ck")
    assert process.communicate(timeout=120) == ("", "")
    assert process.returncode == 0
    assert len(values(tmp_path / "ck")) == 32


def test_killing_the_process_leaves_the_checkpoint_before_or_the_one_after(tmp_path):
    prefix = tmp_path / "ck"
    fastckpt.save(prefix, {f"w{i}": np.zeros(SIZE, np.float32) for i in range(16)})
    script = """
        arrays = {f"w{i}": np.ones(1 << 20, np.float32) for i in range(16)}
        handle = fastckpt.save_async(sys.argv[1], arrays)
        print("started", flush=True)
        handle.result()
        time.sleep(60)
    """
    for delay_ms in (0, 3, 10, 30):
        process = run(script, prefix)
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        threading.Event().wait(delay_ms / 1000)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=120)
        found = values(prefix)
        assert len({array[0] for array in found.values()}) == 1
        assert all((array == array[0]).all() for array in found.values())
    fastckpt.save(prefix, {"x": 1})
    with fastckpt.open(prefix) as checkpoint:
        num_shards = checkpoint.num_shards
    shards = [f"ck.data-{i:05d}-of-{num_shards:05d}" for i in range(num_shards)]
    assert sorted(os.listdir(tmp_path)) == [*shards, "ck.index"]


def test_a_forked_child_has_no_save_under_way(tmp_path):
    script = """
        import threading
        hold = threading.Event()
        reached = threading.Event()
        def progress(state):
            reached.set()
            hold.wait(60)
        x = np.ones(1 << 20)
        handle = fastckpt.save_async(sys.argv[1] + "/a", {"x": x}, progress=progress)
        reached.wait(60)
        child = os.fork()
        if child == 0:
            fastckpt.save_async(sys.argv[1] + "/b", {"x": 1}).result()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        hold.set()
        handle.result()
    """
    process = run(script, tmp_path)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert len(values(tmp_path / "a")) == len(values(tmp_path / "b")) == 1
