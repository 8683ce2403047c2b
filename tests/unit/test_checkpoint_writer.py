"""`CheckpointWriter` from its making to its end, and what it tells on the way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastckpt
from fastckpt import CheckpointWriter
from fastckpt.errors import ClosedError, InvalidArgumentError
from unit.writer_helpers import loaded, names_in

MIB = 1 << 20


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    return tmp_path / "m"


def test_nothing_is_visible_before_the_commit(prefix: Path) -> None:
    with CheckpointWriter(prefix) as writer:
        writer.add("w", np.ones(3 * MIB))
        with pytest.raises(fastckpt.CheckpointNotFoundError):
            fastckpt.open(prefix)
        assert writer.prefix == str(prefix)
    assert fastckpt.open(prefix).verify().ok


def test_commit_and_abort_by_hand(prefix: Path) -> None:
    writer = CheckpointWriter(prefix)
    writer.add("w", 1)
    assert writer.commit() == str(prefix)
    other = CheckpointWriter(prefix)
    other.add("w", 2)
    other.abort()
    other.abort()
    assert loaded(prefix) == {"w": 1}
    assert len(names_in(prefix.parent)) == 2


def test_abort_inside_the_with_block(prefix: Path) -> None:
    with CheckpointWriter(prefix) as writer:
        writer.add("w", 1)
        writer.abort()
    assert names_in(prefix.parent) == []


@pytest.mark.parametrize("end", ["commit", "abort"])
def test_use_after_the_end(prefix: Path, end: str) -> None:
    writer = CheckpointWriter(prefix)
    getattr(writer, end)()
    uses: list[Callable[[], object]] = [
        lambda: writer.add("a", 1),
        lambda: writer.add_all({}),
        lambda: writer.add_slice("p", [1], (2,), (0,)),
        writer.commit,
        writer.__enter__,
    ]
    for use in uses:
        with pytest.raises(ClosedError, match="is closed"):
            use()
    writer.abort()


def test_a_dropped_writer_leaves_nothing(prefix: Path) -> None:
    writer = CheckpointWriter(prefix / "made" / "on the way", num_shards=2)
    writer.add("w", np.ones(MIB))
    del writer
    assert names_in(prefix.parent) == []


def write_and_fail(prefix: Path) -> None:
    with CheckpointWriter(prefix, num_shards=2) as writer:
        writer.add("w", np.ones(MIB))
        raise KeyError


def test_an_exception_leaves_nothing(prefix: Path) -> None:
    with pytest.raises(KeyError):
        write_and_fail(prefix)
    assert names_in(prefix.parent) == []


def test_an_exception_leaves_the_old_checkpoint(prefix: Path) -> None:
    fastckpt.save(prefix, {"old": 1})
    before = {path: path.read_bytes() for path in prefix.parent.iterdir()}
    with pytest.raises(KeyError):
        write_and_fail(prefix)
    assert {path: path.read_bytes() for path in prefix.parent.iterdir()} == before


def test_an_error_in_one_add_does_not_spoil_the_others(prefix: Path) -> None:
    with CheckpointWriter(prefix) as writer:
        writer.add("a", 1)
        mistakes: list[Callable[[], object]] = [
            lambda: writer.add("b", object()),
            lambda: writer.add("b", np.zeros(2, "M8[s]")),
            lambda: writer.add("a", 2),
            lambda: writer.add("", 2),
            lambda: writer.add("b", 2, shard=1),
            lambda: writer.add_slice("p", [1, 2, 3], (2,), (0,)),
            lambda: writer.add_slice("a", [1], (2,), (0,)),
        ]
        for bad in mistakes:
            with pytest.raises(fastckpt.CheckpointError):
                bad()
        writer.add("b", 2)
        writer.add_slice("p", [5], (2,), (0,))
        with pytest.raises(InvalidArgumentError, match="one dtype"):
            writer.add_slice("p", [6.5], (2,), (1,))
        with pytest.raises(InvalidArgumentError, match="one full shape"):
            writer.add_slice("p", [6], (3,), (1,))
        writer.add_slice("p", [6], (2,), (1,))
    assert loaded(prefix) == {"a": 1, "b": 2, "p": [5, 6]}


def pairs_then(error: type[BaseException]) -> Iterator[tuple[str, Any]]:
    yield "a", np.ones(2 * MIB)
    raise error


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, GeneratorExit])
def test_a_failing_generator_aborts(prefix: Path, error: type[BaseException]) -> None:
    fastckpt.save(prefix, {"old": 1})
    with pytest.raises(error), CheckpointWriter(prefix) as writer:
        writer.add_all(pairs_then(error))
    assert loaded(prefix) == {"old": 1}
    assert len(names_in(prefix.parent)) == 2


def test_a_swallowed_failure_is_told_at_the_commit(prefix: Path) -> None:
    writer = CheckpointWriter(prefix)
    with pytest.raises(RuntimeError):
        writer.add_all(pairs_then(RuntimeError))
    assert names_in(prefix.parent) == []
    with pytest.raises(ClosedError, match="nothing was saved"):
        writer.add("b", 1)
    with pytest.raises(ClosedError, match="nothing was saved"):
        writer.__exit__(None, None, None)
    assert names_in(prefix.parent) == []


def test_add_all_takes_pairs_and_mixes_with_add(prefix: Path) -> None:
    with CheckpointWriter(prefix) as writer:
        writer.add("first", 1)
        writer.add_all((f"t{i}", np.full(3, i)) for i in range(3))
        writer.add_all({"text": ["a", "b"], "q": (np.int8([1]), "qint8")})
        writer.add("last", 2.5)
    with fastckpt.open(prefix) as ckpt:
        assert ckpt.tensor("q").tf_dtype == "qint8"
        assert list(ckpt) == ["first", "last", "q", "t0", "t1", "t2", "text"]
        assert ckpt["t2"].tolist() == [2, 2, 2]


def test_arrays_may_change_after_add(prefix: Path) -> None:
    scratch = np.empty(MIB)
    with CheckpointWriter(prefix) as writer:
        for i in range(3):
            scratch.fill(i)
            writer.add(f"t{i}", scratch)
        scratch.fill(9)
    assert [set(v.tolist()) for v in fastckpt.load(prefix).values()] == [{0.0}, {1.0}, {2.0}]


def test_a_mapping_of_ones_own(prefix: Path) -> None:
    class Lazy(Mapping[str, Any]):
        def __getitem__(self, name: str) -> Any:
            return np.full(2, int(name))

        def __iter__(self) -> Iterator[str]:
            return iter(["1", "2"])

        def __len__(self) -> int:
            return 2

    fastckpt.save(prefix, Lazy())
    assert loaded(prefix) == {"1": [1, 1], "2": [2, 2]}


# --- progress ------------------------------------------------------------------------------------


def test_progress(prefix: Path) -> None:
    tensors = {f"t{i}": np.zeros(8 * MIB, np.uint8) for i in range(4)} | {"text": ["x" * 5000]}
    states: list[fastckpt.Progress] = []
    threads = set()

    def watch(state: fastckpt.Progress) -> None:
        states.append(state)
        threads.add(threading.get_ident())

    with CheckpointWriter(prefix, num_threads=2) as writer:
        writer.add("before", np.zeros(MIB, np.uint8))
        writer.add_all(tensors, progress=watch)
    assert threads == {threading.get_ident()}
    done = [state.bytes_done for state in states]
    assert done == sorted(done)
    assert {state.bytes_total for state in states} == {32 * MIB}
    assert [s.tensors_done for s in states] == sorted(s.tensors_done for s in states)
    assert states[-1][:3] == (32 * MIB, 32 * MIB, 5)
    assert {state.name for state in states} <= {*tensors, ""}


def test_progress_over_several_batches(prefix: Path) -> None:
    states: list[fastckpt.Progress] = []
    tensors = {f"t{i}": np.int64(i) for i in range(40_000)}
    fastckpt.save(prefix, tensors, progress=states.append)
    assert [s.bytes_done for s in states] == sorted(s.bytes_done for s in states)
    assert states[-1][:3] == (320_000, 320_000, 40_000)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_what_progress_raises_cancels(prefix: Path, error: type[BaseException]) -> None:
    fastckpt.save(prefix, {"old": 1})

    def refuse(state: fastckpt.Progress) -> None:
        raise error

    with pytest.raises(error):
        fastckpt.save(prefix, {"w": np.ones(4 * MIB)}, num_shards=2, progress=refuse)
    assert loaded(prefix) == {"old": 1}
    assert len(names_in(prefix.parent)) == 2


@pytest.mark.parametrize("use", ["add", "add_all", "commit", "abort"])
def test_progress_must_not_use_the_writer(prefix: Path, use: str) -> None:
    writer = CheckpointWriter(prefix)

    def meddle(state: fastckpt.Progress) -> None:
        if use == "add":
            writer.add("b", 1)
        elif use == "add_all":
            writer.add_all({"b": np.ones(MIB)})
        else:
            getattr(writer, use)()

    with pytest.raises(InvalidArgumentError, match="progress callable"):
        writer.add_all({"a": np.ones(4 * MIB)}, progress=meddle)
    writer.abort()
    assert names_in(prefix.parent) == []


# --- threads -------------------------------------------------------------------------------------


def test_many_threads_add_to_one_writer(prefix: Path) -> None:
    values = np.arange(2 * MIB)

    def add(writer: CheckpointWriter, thread: int) -> None:
        for i in range(6):
            writer.add(f"{thread}/{i}", values[thread * 6 + i :])

    with CheckpointWriter(prefix, num_shards=2, num_threads=2) as writer:
        threads = [threading.Thread(target=add, args=(writer, i)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with fastckpt.open(prefix) as ckpt:
        assert ckpt.verify().ok
        assert len(ckpt) == 24
        assert all(ckpt[f"{t}/{i}"][0] == t * 6 + i for t in range(4) for i in range(6))


def test_another_thread_aborts(prefix: Path) -> None:
    fastckpt.save(prefix, {"old": 1})
    writer = CheckpointWriter(prefix, num_threads=2)
    begun = threading.Event()

    def abort() -> None:
        begun.wait()
        writer.abort()

    def pairs() -> Iterator[tuple[str, Any]]:
        for i in range(8):
            yield f"t{i}", np.ones(MIB)
            begun.set()

    thread = threading.Thread(target=abort)
    thread.start()
    writer.add_all(pairs())
    thread.join()
    with pytest.raises(ClosedError):
        writer.add("late", 1)
    assert loaded(prefix) == {"old": 1}
    assert len(names_in(prefix.parent)) == 2


# --- memory that is let go -----------------------------------------------------------------------


def test_arrays_are_let_go(prefix: Path) -> None:
    array = bytearray(5 * MIB)
    with CheckpointWriter(prefix) as writer:
        writer.add("a", array)
        array.append(1)  # BufferError while somebody holds it
        writer.add_all({"b": array})
        array.append(2)
        with pytest.raises(RuntimeError):
            writer.add_all(iter_then_raise(array))
        array.append(3)
        writer.abort()


def iter_then_raise(array: bytearray) -> Iterator[tuple[str, Any]]:
    yield "c", array
    raise RuntimeError
