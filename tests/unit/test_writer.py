"""What a save leaves on the disk, and what others see meanwhile."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastckpt
from fastckpt import CheckpointWriter
from unit.writer_helpers import loaded, names_in

MIB = 1 << 20

# A checkpoint without tensors, as TensorFlow's C++ writer makes it: 101 bytes.
EMPTY_INDEX = bytes.fromhex(
    "000006 08011a020801 0000000001000000 00 629457f9"  # the header's block
    "0000000001000000 00 c0f2a1b0"  # metaindex
    "000002 0011 0000000001000000 00 ccbf8b5d"  # index
    "1608 230d" + "00" * 36 + "57fb808b247547db"
)


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    return tmp_path / "m"


# --- files ---------------------------------------------------------------------------------------


def test_save_returns_the_prefix_as_given(tmp_path: Path) -> None:
    given = f"{tmp_path}/./deeper/and/deeper/m"
    assert fastckpt.save(given, {"w": np.ones(2)}) == given
    assert names_in(tmp_path / "deeper/and/deeper") == ["m.data-00000-of-00001", "m.index"]


def test_an_empty_checkpoint(prefix: Path) -> None:
    fastckpt.save(prefix, {})
    assert len(EMPTY_INDEX) == 101
    assert Path(f"{prefix}.index").read_bytes() == EMPTY_INDEX
    assert Path(f"{prefix}.data-00000-of-00001").read_bytes() == b""
    with fastckpt.open(prefix) as ckpt:
        assert list(ckpt) == []
        assert ckpt.verify().ok


def test_an_empty_checkpoint_of_many_shards(prefix: Path) -> None:
    fastckpt.save(prefix, {}, num_shards=3)
    assert len(names_in(prefix.parent)) == 4
    with fastckpt.open(prefix) as ckpt:
        assert (list(ckpt), ckpt.num_shards) == ([], 3)


def test_tensors_lie_in_the_order_of_the_mapping(prefix: Path) -> None:
    names = ["z", "a", "日本語", "m/n", "A"]
    fastckpt.save(prefix, {name: np.int64(i) for i, name in enumerate(names)})
    with fastckpt.open(prefix) as ckpt:
        assert [h.name for h in sorted(ckpt.tensors(), key=lambda h: h.offset or 0)] == names
        assert list(ckpt) == sorted(names, key=str.encode)


def test_alignment(prefix: Path) -> None:
    tensors = {
        "byte": np.uint8(1),
        "small": np.zeros(3, np.complex128),
        "below": np.zeros(4095, np.uint8),
        "large": np.zeros(4096, np.uint8),
        "text": [b"x" * 5000],
    }
    fastckpt.save(prefix, tensors, alignment=256)
    with fastckpt.open(prefix) as ckpt:
        offsets = {handle.name: handle.offset for handle in ckpt.tensors()}
        assert all(ckpt[name].flags.aligned for name in ("small", "below", "large"))
    assert offsets == {"byte": 0, "small": 16, "below": 64, "large": 4352, "text": 8448}


def test_one_hundred_thousand_tensors(prefix: Path) -> None:
    tensors = {f"layer_{i}/w": np.full(i % 3, i, np.int32) for i in range(100_000)}
    fastckpt.save(prefix, tensors, num_shards=2)
    with fastckpt.open(prefix) as ckpt:
        values = ckpt.load()
        assert ckpt.verify().ok
    assert values.keys() == tensors.keys()
    assert all(np.array_equal(values[name], tensors[name]) for name in tensors)


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_follow_the_umask(prefix: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        fastckpt.save(prefix, {"w": np.ones(2)})
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in prefix.parent.iterdir()} == {mode}


def test_default_number_of_shards(prefix: Path) -> None:
    small = {f"t{i}": np.zeros(MIB, np.uint8) for i in range(2)}
    fastckpt.save(prefix, small, num_threads=3)
    assert fastckpt.open(prefix).num_shards == 1
    # 2^28 bytes of which one page is touched.
    large = {"w": np.broadcast_to(np.float64(1), (1 << 25,))}
    fastckpt.save(prefix.parent / "n", large, num_threads=3, sync=False)
    assert fastckpt.open(prefix.parent / "n").num_shards == 3


def test_overwriting_leaves_nothing_of_the_old(prefix: Path) -> None:
    for num_shards in (3, 1, 1, 2):
        tensors = {f"of {num_shards}": np.arange(num_shards), "w": np.float32(num_shards)}
        fastckpt.save(prefix, tensors, num_shards=num_shards)
        with fastckpt.open(prefix) as ckpt:
            assert len(names_in(prefix.parent)) == 1 + ckpt.num_shards
            assert list(ckpt) == list(tensors)
            assert ckpt["w"] == num_shards


# --- paths ---------------------------------------------------------------------------------------


def test_a_prefix_without_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert fastckpt.save("m", {"w": 1}) == "m"
    assert names_in(tmp_path) == ["m.data-00000-of-00001", "m.index"]


def test_a_relative_prefix_means_the_directory_of_the_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with CheckpointWriter("sub/m") as writer:
        writer.add("w", 1)
        monkeypatch.chdir(tmp_path / "elsewhere")
        writer.add("v", 2)
    assert names_in(tmp_path) == ["elsewhere", "sub"]
    assert names_in(tmp_path / "elsewhere") == []
    assert loaded(tmp_path / "sub/m") == {"v": 2, "w": 1}


def test_a_directory_behind_a_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "real/inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real/inner")
    for i in range(2):
        fastckpt.save(tmp_path / "link/m", {"w": i})
        assert loaded(tmp_path / "real/inner/m") == {"w": i}
    # Up from where the link leads, not from where it stands.
    fastckpt.save(f"{tmp_path}/link/../m", {"w": 7})
    assert names_in(tmp_path / "real") == ["inner", "m.data-00000-of-00001", "m.index"]


@pytest.mark.parametrize(
    "base", ["ünïcode 重み", "sp ace", "[a]*?", "\udcff\udc80", "-x", ".hidden"]
)
def test_odd_prefixes(tmp_path: Path, base: str) -> None:
    prefix = f"{tmp_path}/{base}"
    for i in range(2):
        fastckpt.save(prefix, {"w": i})
        assert loaded(prefix) == {"w": i}
    assert len(names_in(tmp_path)) == 3  # the second save has two shards


def test_a_file_of_the_prefix_itself_stays(prefix: Path) -> None:
    prefix.write_text("mine")
    fastckpt.save(prefix, {"w": 1})
    assert prefix.read_text() == "mine"


# --- readers and other threads meanwhile ---------------------------------------------------------


@pytest.mark.parametrize("backend", ["mmap", "pread", "direct"])
def test_views_outlive_an_overwrite(prefix: Path, backend: Any) -> None:
    old = np.arange(3 * MIB, dtype=np.float32)
    fastckpt.save(prefix, {"w": old, "late": old[:10]})
    ckpt = fastckpt.open(prefix, backend=backend)
    view = ckpt["w"]
    for i in range(3):
        fastckpt.save(prefix, {"w": np.full(3 * MIB, i, np.float32)})
        assert np.array_equal(view, old)
        assert np.array_equal(ckpt.tensor("w").read(), old)
    assert ckpt["late"].tolist() == old[:10].tolist()
    assert ckpt.verify().ok


def test_an_array_that_changes_meanwhile_has_the_checksum_of_what_was_stored(prefix: Path) -> None:
    array = np.zeros(6 * MIB, np.uint8)
    stop = threading.Event()

    def change() -> None:
        value = 0
        while not stop.is_set():
            value += 1
            array.fill(value % 256)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        mixed = 0
        for _ in range(8):
            tensors = {"w": array, "gathered": array[::2], "flags": array.view(bool)}
            fastckpt.save(prefix, tensors, num_threads=2, sync=False)
            with fastckpt.open(prefix) as ckpt:
                assert ckpt.verify().ok
                mixed += (ckpt["w"] != ckpt["w"][0]).any()
    finally:
        stop.set()
        thread.join()
    # Otherwise nothing changed while it was stored, and nothing was tested.
    assert mixed
