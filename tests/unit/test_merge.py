"""merge, and commit of the parts that several processes wrote."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastckpt
import oracle
from merge_files import check_content, expected, numbers, snapshot, write_parts, write_plain

PARTS = {"a": ["w", "y"], "b": ["x"], "c": ["u", "v", "z"]}
NAMES = ["u", "v", "w", "x", "y", "z"]


def write_part(prefix: Path, shard: int, num_shards: int, **options: Any) -> None:
    with fastckpt.CheckpointWriter(
        prefix, shard=shard, num_shards=num_shards, sync=False, **options
    ) as writer:
        writer.add(f"own{shard}", numbers(f"own{shard}"))


def part_names(prefix: Path) -> list[str]:
    return sorted(os.listdir(f"{prefix}_temp"))


# --- merge ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("consume", [False, True])
@pytest.mark.parametrize("sync", [False, True])
@pytest.mark.parametrize("num_threads", [None, 1, 3])
def test_the_result_holds_all_tensors(
    tmp_path: Path, consume: bool, sync: bool, num_threads: int | None
) -> None:
    inputs = write_parts(tmp_path / "in", PARTS)
    before = snapshot(tmp_path / "in")
    result = fastckpt.merge(
        inputs, tmp_path / "new" / "ck", consume=consume, sync=sync, num_threads=num_threads
    )
    assert result == str(tmp_path / "new" / "ck")
    check_content(result, expected(NAMES))
    assert fastckpt.open(result).num_shards == 3
    if consume:
        assert not (tmp_path / "in").exists()
    else:
        assert snapshot(tmp_path / "in") == before


def test_index_files_stand_for_their_checkpoints(tmp_path: Path) -> None:
    write_parts(tmp_path / "in", PARTS)
    fastckpt.merge(sorted((tmp_path / "in").glob("*.index")), tmp_path / "ck", sync=False)
    check_content(tmp_path / "ck", expected(NAMES))


def test_any_iterable_will_do(tmp_path: Path) -> None:
    inputs = write_parts(tmp_path, PARTS)
    fastckpt.merge(iter(inputs), tmp_path / "ck", sync=False)
    check_content(tmp_path / "ck", expected(NAMES))


def test_the_destination_is_replaced_under_the_eyes_of_its_readers(tmp_path: Path) -> None:
    fastckpt.save(tmp_path / "ck", {"old": np.arange(1000)}, num_shards=2, sync=False)
    with fastckpt.open(tmp_path / "ck") as old:
        fastckpt.merge(write_parts(tmp_path / "in", PARTS), tmp_path / "ck", sync=False)
        np.testing.assert_array_equal(old["old"], np.arange(1000))
    check_content(tmp_path / "ck", expected(NAMES))


def test_block_checksums_survive(tmp_path: Path) -> None:
    big = np.arange(3 << 20, dtype=np.float32)
    fastckpt.save(tmp_path / "a", {"big": big}, sync=False)
    write_plain(tmp_path / "b", ["x"])
    fastckpt.merge([tmp_path / "b", tmp_path / "a"], tmp_path / "ck", sync=False)
    before = oracle.read_entries(tmp_path / "a")[1][b"big"]
    after = oracle.read_entries(tmp_path / "ck")[1][b"big"]
    assert after.extra == before.extra != b""
    assert after.shard_id == 1


def test_progress_counts_bytes(tmp_path: Path) -> None:
    seen: list[fastckpt.Progress] = []
    inputs = write_parts(tmp_path, PARTS)
    fastckpt.merge(inputs, tmp_path / "ck", sync=False, progress=seen.append)
    assert seen[-1].bytes_done == seen[-1].bytes_total == 6 * 60
    assert seen[-1].tensors_done == 6
    fastckpt.merge([tmp_path / "ck"], tmp_path / "moved", consume=True, progress=seen.append)
    assert seen[-1].bytes_done == 6 * 60


def test_what_progress_raises_cancels(tmp_path: Path) -> None:
    inputs = write_parts(tmp_path, PARTS)
    before = snapshot(tmp_path)

    def stop(_: fastckpt.Progress) -> None:
        raise KeyboardInterrupt

    for consume in (False, True):
        with pytest.raises(KeyboardInterrupt):
            fastckpt.merge(inputs, tmp_path / "ck", consume=consume, progress=stop)
        assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("prefixes", "words"),
    [
        ("one", r"list of checkpoints.*\['one'"),
        (b"one", "list of checkpoints"),
        (Path("one"), "list of checkpoints"),
        ([], "empty"),
        (5, "iterable"),
        ([5], "iterable"),
        ([b"bytes"], "not the prefix"),
        (["a\0b"], "not the prefix"),
        ([""], "not the prefix"),
    ],
)
def test_wrong_prefixes_are_explained(tmp_path: Path, prefixes: Any, words: str) -> None:
    with pytest.raises(fastckpt.InvalidArgumentError, match=words):
        fastckpt.merge(prefixes, tmp_path / "ck")
    assert not list(tmp_path.iterdir())


def test_refusals_leave_everything(tmp_path: Path) -> None:
    inputs = write_parts(tmp_path, {**PARTS, "again": ["x"]})
    (tmp_path / "folder").mkdir()
    before = snapshot(tmp_path)
    refused = [
        (inputs, "ck", fastckpt.InvalidArgumentError, "tensor .*is stored in"),
        (inputs[:2], "a", fastckpt.InvalidArgumentError, "one of the checkpoints"),
        ([inputs[0], f"{inputs[0]}.index"], "ck", fastckpt.InvalidArgumentError, "twice"),
        ([*inputs[:3], str(tmp_path / "no")], "ck", fastckpt.CheckpointNotFoundError, "1 of 4"),
        (inputs[:3], "folder", fastckpt.InvalidArgumentError, "directory"),
        (inputs[:3], "ck.index", fastckpt.InvalidArgumentError, "prefix"),
    ]
    for prefixes, destination, error, words in refused:
        for consume in (False, True):
            with pytest.raises(error, match=words):
                fastckpt.merge(prefixes, tmp_path / destination, consume=consume)
    assert snapshot(tmp_path) == before


def test_a_busy_destination(tmp_path: Path) -> None:
    inputs = write_parts(tmp_path, PARTS)
    with fastckpt.CheckpointWriter(tmp_path / "ck", sync=False) as writer:
        with pytest.raises(fastckpt.CheckpointBusyError):
            fastckpt.merge(inputs, tmp_path / "ck", consume=True)
        writer.add("mine", [1.0])
    check_content(inputs[0], expected(PARTS["a"]))


# --- commit --------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_shards", [1, 2, 7])
def test_parts_become_one_checkpoint(tmp_path: Path, num_shards: int) -> None:
    prefix = tmp_path / "new" / "ck"
    for shard in reversed(range(num_shards)):
        write_part(prefix, shard, num_shards)
        assert os.listdir(tmp_path / "new") == ["ck_temp"]
    assert fastckpt.commit(prefix, num_shards=num_shards) == str(prefix)
    check_content(prefix, expected([f"own{i}" for i in range(num_shards)]))
    with fastckpt.open(prefix) as checkpoint:
        assert checkpoint.num_shards == num_shards
        assert [checkpoint.tensor(f"own{i}").shard for i in range(num_shards)] == [
            *range(num_shards)
        ]
    assert not (tmp_path / "new" / "ck_temp").exists()


def test_slices_of_one_tensor_come_from_all_parts(tmp_path: Path) -> None:
    whole = numbers("rows", (8, 6))
    for i in range(4):
        with fastckpt.CheckpointWriter(tmp_path / "ck", shard=i, num_shards=4) as writer:
            writer.add_slice("rows", whole[2 * i : 2 * i + 2], (8, 6), (2 * i, None))
    fastckpt.commit(tmp_path / "ck", num_shards=4)
    check_content(tmp_path / "ck", {"rows": whole})


@pytest.mark.parametrize(
    ("starts", "words"), [([0, 2, 2], "one slice"), ([0, 1, 4], "overlap"), ([0, 2], "missing")]
)
def test_slices_that_do_not_make_up_the_tensor(
    tmp_path: Path, starts: list[int], words: str
) -> None:
    for i, start in enumerate(starts):
        with fastckpt.CheckpointWriter(
            tmp_path / "ck", shard=i, num_shards=len(starts), sync=False
        ) as writer:
            writer.add_slice("rows", np.zeros((2, 3)), (6, 3), (start, 0))
    before = snapshot(tmp_path)
    with pytest.raises(fastckpt.InvalidArgumentError, match=words) as caught:
        fastckpt.commit(tmp_path / "ck", num_shards=len(starts))
    assert caught.value.key == "rows"
    assert snapshot(tmp_path) == before


def test_one_name_in_two_parts(tmp_path: Path) -> None:
    for i in range(2):
        with fastckpt.CheckpointWriter(tmp_path / "ck", shard=i, num_shards=2) as writer:
            writer.add("step", 7)
    with pytest.raises(fastckpt.InvalidArgumentError, match=r"part-00000-of-00002.*part-00001"):
        fastckpt.commit(tmp_path / "ck", num_shards=2)


def test_parts_without_tensors_take_no_shard(tmp_path: Path) -> None:
    for i in (0, 2):
        write_part(tmp_path / "ck", i, 3)
    with fastckpt.CheckpointWriter(tmp_path / "ck", shard=1, num_shards=3):
        pass
    fastckpt.commit(tmp_path / "ck", num_shards=3)
    check_content(tmp_path / "ck", expected(["own0", "own2"]))
    assert fastckpt.open(tmp_path / "ck").num_shards == 2


def test_missing_parts_are_named_in_one_error(tmp_path: Path) -> None:
    for i in (1, 3):
        write_part(tmp_path / "ck", i, 5)
    before = snapshot(tmp_path)
    with pytest.raises(fastckpt.CheckpointNotFoundError, match=r"3 of 5 parts.*0, 2, 4") as caught:
        fastckpt.commit(tmp_path / "ck", num_shards=5)
    assert "own" not in str(caught.value)
    with pytest.raises(fastckpt.CheckpointNotFoundError, match=r"no parts.*for 5 processes"):
        fastckpt.commit(tmp_path / "ck", num_shards=2)
    assert snapshot(tmp_path) == before
    for i in (0, 2, 4):
        write_part(tmp_path / "ck", i, 5)
    fastckpt.commit(tmp_path / "ck", num_shards=5)
    with pytest.raises(fastckpt.CheckpointNotFoundError, match="may have been completed"):
        fastckpt.commit(tmp_path / "ck", num_shards=5)


def test_a_part_that_is_aborted_or_begun_again_is_not_there(tmp_path: Path) -> None:
    write_part(tmp_path / "ck", 0, 2)
    write_part(tmp_path / "ck", 1, 2)
    again = fastckpt.CheckpointWriter(tmp_path / "ck", shard=1, num_shards=2, sync=False)
    with pytest.raises(fastckpt.CheckpointNotFoundError, match=r"1 of 2 parts.*shard 1"):
        fastckpt.commit(tmp_path / "ck", num_shards=2)
    again.abort()
    with pytest.raises(fastckpt.CheckpointNotFoundError, match="shard 1"):
        fastckpt.commit(tmp_path / "ck", num_shards=2)
    assert part_names(tmp_path / "ck") == [
        "part-00000-of-00002.data-00000-of-00001",
        "part-00000-of-00002.index",
    ]


def test_a_part_has_one_writer(tmp_path: Path) -> None:
    with fastckpt.CheckpointWriter(tmp_path / "ck", shard=0, num_shards=2, sync=False):
        with pytest.raises(fastckpt.CheckpointBusyError):
            fastckpt.CheckpointWriter(tmp_path / "ck", shard=0, num_shards=2)
        write_part(tmp_path / "ck", 1, 2)
    fastckpt.commit(tmp_path / "ck", num_shards=2)


def test_parts_of_other_attempts_go_unless_their_writer_lives(tmp_path: Path) -> None:
    prefix = tmp_path / "ck"
    write_part(prefix, 0, 3)
    (tmp_path / "ck_temp" / "part-00001-of-00003.data-00000.tmp").write_bytes(b"left by the dead")
    alive = fastckpt.CheckpointWriter(prefix, shard=2, num_shards=4, sync=False)
    write_part(prefix, 0, 1)
    fastckpt.commit(prefix, num_shards=1)
    assert {name.partition(".")[0] for name in part_names(prefix)} == {"part-00002-of-00004"}
    alive.abort()
    write_part(prefix, 0, 1)
    (tmp_path / "ck_temp" / "notes").write_text("not a part")
    fastckpt.commit(prefix, num_shards=1)
    assert part_names(prefix) == ["notes"]


@pytest.mark.parametrize("removed", range(1, 6))
def test_a_commit_that_died_after_the_rename_can_be_repeated(tmp_path: Path, removed: int) -> None:
    """The parts' files still there are second names of the checkpoint's."""
    prefix = tmp_path / "ck"
    for i in range(3):
        write_part(prefix, i, 3)
    for name in part_names(prefix):
        os.link(tmp_path / "ck_temp" / name, tmp_path / name)
    fastckpt.commit(prefix, num_shards=3)
    before = snapshot(tmp_path)
    (tmp_path / "ck_temp").mkdir()
    # In the order in which a commit removes: the index of a part, then its data.
    order = [
        f"part-{i:05d}-of-00003{suffix}"
        for i in range(3)
        for suffix in (".index", ".data-00000-of-00001")
    ]
    for name in order[removed:]:
        os.link(tmp_path / name, tmp_path / "ck_temp" / name)
    assert fastckpt.commit(prefix, num_shards=3) == str(prefix)
    assert snapshot(tmp_path) == before


def test_new_parts_are_not_taken_for_committed_ones(tmp_path: Path) -> None:
    for i in range(3):
        write_part(tmp_path / "ck", i, 3)
    fastckpt.commit(tmp_path / "ck", num_shards=3)
    write_part(tmp_path / "ck", 1, 3)  # of the same content
    with pytest.raises(fastckpt.CheckpointNotFoundError, match="2 of 3 parts"):
        fastckpt.commit(tmp_path / "ck", num_shards=3)
    assert len(part_names(tmp_path / "ck")) == 2


def test_a_commit_replaces_the_checkpoint_before(tmp_path: Path) -> None:
    fastckpt.save(tmp_path / "ck", {"old": [1.0]}, num_shards=2, sync=False)
    for i in range(2):
        write_part(tmp_path / "ck", i, 2)
    fastckpt.commit(tmp_path / "ck", num_shards=2, progress=lambda _: None)
    check_content(tmp_path / "ck", expected(["own0", "own1"]))
    assert len(os.listdir(tmp_path)) == 4  # three shards, the last of them empty


@pytest.mark.parametrize(
    "options",
    [
        {"shard": 0},
        {"shard": 2, "num_shards": 2},
        {"shard": -1, "num_shards": 2},
        {"shard": "0", "num_shards": 2},
        {"shard": 0, "num_shards": 0},
        {"num_shards": 0},
    ],
)
def test_wrong_shards_are_explained(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(fastckpt.InvalidArgumentError, match="shard"):
        fastckpt.CheckpointWriter(tmp_path / "ck", **options)
    assert not list(tmp_path.iterdir())


def test_wrong_arguments_of_commit(tmp_path: Path) -> None:
    for num_shards in (0, "2", None):
        with pytest.raises(fastckpt.InvalidArgumentError, match="num_shards"):
            fastckpt.commit(tmp_path / "ck", num_shards=num_shards)  # type: ignore[arg-type]
    with pytest.raises(fastckpt.InvalidArgumentError, match="separator"):
        fastckpt.commit(f"{tmp_path}/", num_shards=1)


def test_a_part_is_one_data_file(tmp_path: Path) -> None:
    with fastckpt.CheckpointWriter(tmp_path / "ck", shard=1, num_shards=2) as writer:
        with pytest.raises(fastckpt.InvalidArgumentError, match="1 shards"):
            writer.add("x", [1.0], shard=1)
        writer.add("x", [1.0], shard=0)
