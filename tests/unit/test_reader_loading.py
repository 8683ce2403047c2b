"""load, load_into, stream and their progress, on the golden checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import fastckpt
from golden.manifest import assert_tensor, golden

NAMES = ("linear", "types", "sharded", "object")


class CancelledError(Exception):
    """Raised by a progress callback of these tests."""


@pytest.fixture
def ckpt() -> Iterator[fastckpt.Checkpoint]:
    with fastckpt.open(golden("linear").prefix) as opened:
        yield opened


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("num_threads", [None, 1, 2, 7])
def test_load_gives_owned_writable_arrays(name: str, num_threads: int | None) -> None:
    expected = golden(name)
    with fastckpt.open(expected.prefix) as opened:
        values = opened.load(num_threads=num_threads)
    assert set(values) == {tensor.name for tensor in expected.tensors}
    for tensor in expected.tensors:
        assert_tensor(values[tensor.name], tensor)
        assert values[tensor.name].flags.writeable
        assert values[tensor.name].flags.aligned


def test_load_some(ckpt: fastckpt.Checkpoint) -> None:
    assert set(ckpt.load(["w", "b"])) == {"w", "b"}
    assert ckpt.load([]) == {}


def test_loaded_arrays_are_independent(ckpt: fastckpt.Checkpoint) -> None:
    ckpt.load()["w"][:] = -1
    assert ckpt["w"].min() == 0
    assert ckpt.load()["w"].min() == 0


@pytest.mark.parametrize("num_threads", [0, -1])
def test_load_with_a_wrong_thread_count(ckpt: fastckpt.Checkpoint, num_threads: int) -> None:
    with pytest.raises(fastckpt.InvalidArgumentError, match="num_threads"):
        ckpt.load(num_threads=num_threads)


def test_load_of_damage_names_the_tensor(tmp_path: Path) -> None:
    prefix = golden("linear").copy_to(tmp_path)
    shard = Path(f"{prefix}.data-00000-of-00001")
    shard.write_bytes(b"\xff" + shard.read_bytes()[1:])
    with fastckpt.open(prefix) as opened:
        with pytest.raises(fastckpt.DataLossError) as caught:
            opened.load()
        assert caught.value.key == "b"
        assert "w" in opened.load(["w"])


# --- load_into -----------------------------------------------------------------------------------


def test_load_into_fills_in_place(ckpt: fastckpt.Checkpoint) -> None:
    arrays = {"w": np.zeros((3, 2), np.float32), "global_step": np.zeros((), np.int64)}
    buffers = {name: array.ctypes.data for name, array in arrays.items()}
    ckpt.load_into(arrays)
    np.testing.assert_array_equal(arrays["w"], ckpt["w"])
    assert arrays["global_step"] == 100
    assert buffers == {name: array.ctypes.data for name, array in arrays.items()}


def test_load_into_a_strided_array(ckpt: fastckpt.Checkpoint) -> None:
    backing = np.full((3, 4), -1, np.float32)
    ckpt.load_into({"w": backing[:, ::2]})
    np.testing.assert_array_equal(backing[:, ::2], ckpt["w"])
    assert (backing[:, 1::2] == -1).all()


def test_load_into_reports_everything_at_once(ckpt: fastckpt.Checkpoint) -> None:
    arrays = {
        "w": np.zeros((2, 3), np.float32),
        "b": np.zeros(2, np.float32),
        "absent": np.zeros(1),
        "missing": np.zeros(1),
    }
    with pytest.raises(fastckpt.CheckpointError) as caught:
        ckpt.load_into(arrays)
    for part in ("'w'", "(2, 3)", "(3, 2)", "'absent'", "'missing'"):
        assert part in str(caught.value)
    assert not any(array.any() for array in arrays.values()), "nothing is filled half-way"


def test_load_into_another_dtype(ckpt: fastckpt.Checkpoint) -> None:
    with pytest.raises(fastckpt.InvalidArgumentError, match="float64"):
        ckpt.load_into({"w": np.zeros((3, 2), np.float64)})


def test_load_into_a_read_only_array(ckpt: fastckpt.Checkpoint) -> None:
    array = np.zeros((3, 2), np.float32)
    array.flags.writeable = False
    with pytest.raises(fastckpt.InvalidArgumentError):
        ckpt.load_into({"w": array})
    assert not array.any()


def test_load_into_not_strict_skips_what_is_missing(ckpt: fastckpt.Checkpoint) -> None:
    arrays = {"w": np.zeros((3, 2), np.float32), "absent": np.full(1, 7.0)}
    ckpt.load_into(arrays, strict=False)
    np.testing.assert_array_equal(arrays["w"], ckpt["w"])
    assert arrays["absent"] == 7


# --- stream --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("prefetch_bytes", [1, 64, 256 << 20])
def test_stream_goes_in_file_order(name: str, prefetch_bytes: int) -> None:
    expected = {tensor.name: tensor for tensor in golden(name).tensors}
    places = []
    with fastckpt.open(golden(name).prefix) as opened:
        for key, values in opened.stream(prefetch_bytes=prefetch_bytes):
            assert_tensor(values, expected.pop(key))
            places.append((opened.tensor(key).shard, opened.tensor(key).offset))
    assert expected == {}
    assert places == sorted(places)


def test_stream_some(ckpt: fastckpt.Checkpoint) -> None:
    assert {name for name, _ in ckpt.stream(["w", "b"])} == {"w", "b"}
    with pytest.raises(fastckpt.TensorNotFoundError):
        list(ckpt.stream(["absent"]))


def test_stream_left_early(ckpt: fastckpt.Checkpoint) -> None:
    stream = iter(ckpt.stream())
    name, values = next(stream)
    del stream
    np.testing.assert_array_equal(values, ckpt[name])
    assert len(list(ckpt.stream())) == len(ckpt)


# --- progress ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["load", "verify"])
def test_progress_ends_complete(ckpt: fastckpt.Checkpoint, method: str) -> None:
    seen: list[fastckpt.Progress] = []
    getattr(ckpt, method)(progress=seen.append)
    assert seen
    assert (seen[-1].bytes_done, seen[-1].bytes_total) == (88, 88)
    assert seen[-1].tensors_done == len(ckpt)
    assert [p.bytes_done for p in seen] == sorted(p.bytes_done for p in seen)


@pytest.mark.parametrize("method", ["load", "verify"])
@pytest.mark.parametrize("error", [CancelledError, KeyboardInterrupt])
def test_progress_cancels(
    ckpt: fastckpt.Checkpoint, method: str, error: type[BaseException]
) -> None:
    def refuse(_: fastckpt.Progress) -> None:
        raise error

    with pytest.raises(error):
        getattr(ckpt, method)(progress=refuse)
    assert ckpt.verify().ok
    assert len(ckpt.load()) == len(ckpt)
