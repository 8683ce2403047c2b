"""Past the page cache: the same bytes, other ways."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastckpt
from fastckpt import UnsupportedError

MIB = 1 << 20


@pytest.fixture(scope="module")
def tensors() -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(3)
    large = {f"large{i}": rng.integers(0, 256, (10, 1 << 20), dtype=np.uint8) for i in range(3)}
    small = {f"small{i}": rng.standard_normal(int(i)).astype(np.float32) for i in range(500)}
    return {**large, **small, "text": np.array([b"a", b"bc"], object)}


@pytest.fixture(scope="module")
def prefix(
    tensors: dict[str, np.ndarray[Any, Any]], tmp_path_factory: pytest.TempPathFactory
) -> str:
    folder = tmp_path_factory.mktemp("cold")
    return fastckpt.save(folder / "m", tensors, num_shards=2, sync=False)


def drop_from_cache(prefix: str) -> None:
    """Make the files cold, where the file system lies on a device at all."""
    for path in Path(prefix).parent.iterdir():
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def files_of(prefix: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(prefix).parent.iterdir()}


def loaded_into(ckpt: fastckpt.Checkpoint) -> dict[str, Any]:
    targets = {name: np.empty_like(ckpt[name]) for name in ckpt}
    drop_from_cache(ckpt.prefix)
    ckpt.load_into(targets)
    return targets


READS: dict[str, Callable[[fastckpt.Checkpoint], dict[str, Any]]] = {
    "load": lambda ckpt: ckpt.load(),
    "some": lambda ckpt: ckpt.load(["small7", "large1", "small499"]),
    "load_into": loaded_into,
    "stream": lambda ckpt: dict(ckpt.stream(prefetch_bytes=40 * MIB)),
    "views": lambda ckpt: {name: ckpt[name] for name in ckpt},
    "handles": lambda ckpt: {name: ckpt.tensor(name).read() for name in ckpt},
}


@pytest.mark.parametrize("backend", ["auto", "mmap", "pread", "direct"])
@pytest.mark.parametrize("how", READS)
@pytest.mark.parametrize("num_threads", [1, 3])
def test_cold_files_read_equal(
    prefix: str, tensors: dict[str, Any], backend: Any, how: str, num_threads: int
) -> None:
    drop_from_cache(prefix)
    with fastckpt.open(prefix, backend=backend, num_threads=num_threads) as ckpt:
        found = READS[how](ckpt)
    assert how == "some" or set(found) == set(tensors)
    for name, value in found.items():
        assert np.array_equal(value, tensors[name]), name


@pytest.mark.parametrize("backend", ["auto", "direct"])
def test_damage_in_cold_files_is_found(
    tmp_path: Path, tensors: dict[str, Any], backend: Any
) -> None:
    prefix = fastckpt.save(tmp_path / "m", tensors, num_shards=1)
    with fastckpt.open(prefix) as ckpt:
        offset = ckpt.tensor("large1").offset
    assert offset is not None
    with Path(f"{prefix}.data-00000-of-00001").open("r+b") as file:
        file.seek(offset + 5 * MIB)
        byte = file.read(1)[0]
        file.seek(offset + 5 * MIB)
        file.write(bytes([byte ^ 1]))
    drop_from_cache(prefix)
    with fastckpt.open(prefix, backend=backend) as ckpt:
        assert [failure.name for failure in ckpt.verify().failures] == ["large1"]
        with pytest.raises(fastckpt.DataLossError, match="large1"):
            ckpt.load()


def test_there_are_no_views_past_the_page_cache(prefix: str) -> None:
    with fastckpt.open(prefix, backend="direct") as ckpt:
        handle = ckpt.tensor("large0")
        assert not handle.can_view
        with pytest.raises(UnsupportedError):
            handle.view()
        assert not ckpt["large0"].flags.writeable
        assert np.array_equal(handle[3:5, 100:200:7], ckpt["large0"][3:5, 100:200:7])


@pytest.mark.parametrize("sync", [True, False])
@pytest.mark.parametrize("num_shards", [1, 3])
def test_direct_saves_give_the_same_files(
    tmp_path: Path, tensors: dict[str, Any], num_shards: int, *, sync: bool
) -> None:
    found = []
    backends: tuple[Any, ...] = ("auto", "direct")
    for backend in backends:
        (tmp_path / backend).mkdir()
        prefix = fastckpt.save(
            tmp_path / backend / "m",
            tensors,
            num_shards=num_shards,
            sync=sync,
            backend=backend,
        )
        found.append(files_of(prefix))
    assert found[0] == found[1]


def test_a_direct_save_replaces_what_was_there(tmp_path: Path) -> None:
    prefix = fastckpt.save(tmp_path / "m", {"w": np.zeros(9 * MIB, np.uint8)}, backend="direct")
    fastckpt.save(prefix, {"w": np.ones(5 * MIB + 1, np.uint8)}, backend="direct")
    assert fastckpt.load(prefix)["w"].sum() == 5 * MIB + 1
    # The index, the shard, and the empty one that its total stands for.
    assert sorted(path.stat().st_size for path in tmp_path.glob("m.data*")) == [0, 5 * MIB + 1]


@pytest.mark.parametrize("backend", ["auto", "direct"])
def test_memory_that_nobody_changes_is_stored_alike(tmp_path: Path, backend: Any) -> None:
    raw = np.random.default_rng(1).bytes(9 * MIB + 17)
    array = np.frombuffer(raw, np.uint8)
    cases = {
        "plain": {"a": array.copy(), "b": array[5:].copy()},
        "bytes": {"a": array, "b": array[5:]},
    }
    for name, values in cases.items():
        (tmp_path / name).mkdir()
        fastckpt.save(tmp_path / name / "m", values, backend=backend)
    (tmp_path / "async").mkdir()
    fastckpt.save_async(tmp_path / "async" / "m", cases["plain"], backend=backend).result()
    expected = files_of(str(tmp_path / "plain" / "m"))
    assert files_of(str(tmp_path / "bytes" / "m")) == expected
    assert files_of(str(tmp_path / "async" / "m")) == expected
    assert fastckpt.open(tmp_path / "bytes" / "m").verify().ok
