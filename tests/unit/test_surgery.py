"""rename, drop, keep: one pass, all kinds of tensors, safe replacement, object graphs."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastckpt
import oracle
from fastckpt.protos import message_class
from fastckpt.tools import rewriting
from fastckpt.tools.surgery import drop, keep, rename
from golden.manifest import digest_values, golden, load_golden
from unit.cli_helpers import flip_byte, shard_of
from unit.writer_helpers import loaded, names_in

GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
OBJECT = golden("object")

RNG = np.random.default_rng(8)
ROWS = RNG.normal(size=(10, 4)).astype(np.float16)
TENSORS: dict[str, Any] = {
    "bert/w": RNG.normal(size=(3, 4)).astype(np.float32),
    "bert/w/Adam": np.ones((3, 4), np.float32),
    "step": np.int64(7),
    "quantised": oracle.Raw(11, (3,), b"\x01\xff\x7f"),
    "text": [b"a\0", b"", b"\xff"],
    "flags": np.array([True, False]),
    "none": np.zeros((0, 3), np.int32),
    "variants": oracle.Variants((1,), [b"\x0a\x03int"]),
    "parts": oracle.Slices((10, 4), [([(0, 3), None], ROWS[:3]), ([(3, 7), (0, 4)], ROWS[3:])]),
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A checkpoint of two shards with every kind of tensor."""
    oracle.write_bundle(tmp_path / "in", TENSORS, num_shards=2)
    return tmp_path / "in"


def entries(prefix: Path | str) -> dict[bytes, tuple[Any, ...]]:
    """What the index says of each entry but for its place in the shards."""
    _, found = oracle.read_entries(prefix)
    return {
        key: (entry.dtype, entry.shape, entry.size, entry.masked_crc, entry.slices)
        for key, entry in found.items()
    }


# --- rename --------------------------------------------------------------------------------------


def test_every_kind_of_tensor_comes_through(source: Path, tmp_path: Path) -> None:
    done = rename(source, tmp_path / "out", ["bert/=encoder/", "parts=whole"])
    assert done.renamed == (
        ("bert/w", "encoder/w"),
        ("bert/w/Adam", "encoder/w/Adam"),
        ("parts", "whole"),
    )
    before, after = entries(source), entries(done.destination)
    new = {b"bert/w": b"encoder/w", b"bert/w/Adam": b"encoder/w/Adam", b"parts": b"whole"}
    expected = {}
    for key, entry in before.items():
        name = key
        if key.startswith(b"\0"):
            # The spelling of both slices' places is part of their keys.
            name = key.replace(b"\0parts\0", b"\0whole\0")
        expected[new.get(name, name)] = entry
    assert after == expected
    assert len([key for key in after if key.startswith(b"\0")]) == 2
    assert fastckpt.open(done.destination).num_shards == 2


def test_nothing_to_rename_is_a_copy(source: Path, tmp_path: Path) -> None:
    rename(source, tmp_path / "out", {}, num_shards=1)
    assert entries(tmp_path / "out") == entries(source)


@pytest.mark.parametrize("name", load_golden())
def test_golden_checkpoints(name: str, tmp_path: Path) -> None:
    prefix = golden(name).prefix
    done = rename(prefix, tmp_path / "out", lambda name: f"new/{name}", object_graph="drop")
    assert done.tensors == len(fastckpt.open(prefix)) - (name == "object")
    with fastckpt.open(prefix) as old, fastckpt.open(done.destination) as new:
        assert new.verify().ok
        assert list(new) == [f"new/{x}" for x in old if x != GRAPH]
        for tensor in new.tensors():
            before = old.tensor(tensor.name.removeprefix("new/"))
            assert (tensor.tf_dtype, tensor.shape) == (before.tf_dtype, before.shape)
            assert len(tensor.parts) == len(before.parts)
            assert digest_values(tensor.read(), tensor.tf_dtype) == digest_values(
                before.read(), before.tf_dtype
            )


def test_the_source_may_be_the_destination(source: Path, tmp_path: Path) -> None:
    before = entries(source)
    with fastckpt.open(source) as still_open:
        rename(source, source, "step=global_step")
        assert still_open["bert/w"].tolist() == TENSORS["bert/w"].tolist()
    after = entries(source)
    assert after.pop(b"global_step") == before.pop(b"step")
    assert after == before
    # The old data files are gone, and so are all temporaries.
    assert names_in(tmp_path) == [
        "in.data-00000-of-00003", "in.data-00001-of-00003", "in.data-00002-of-00003", "in.index",
    ]  # fmt: skip


def test_a_mapping_lets_names_change_places(tmp_path: Path) -> None:
    fastckpt.save(tmp_path / "in", {"a": [1], "b": [2]}, sync=False)
    rename(tmp_path / "in", tmp_path / "out", {"a": "b", "b": "a"})
    assert loaded(tmp_path / "out") == {"a": [2], "b": [1]}


@pytest.mark.parametrize(
    ("rules", "names"),
    [
        ("tower_0/=", ["b", "dense/bias", "dense/kernel", "global_step", "w"]),
        ("=model/", ["model/b", "model/global_step", "model/tower_0/dense/bias"]),
        ("s/tower_[0-9]+/tower/", ["b", "global_step", "tower/dense/bias"]),
        (r"s|(\w+)/(\w+)$|\2/\1|", ["b", "global_step", "tower_0/bias/dense"]),
        ("s/e/E/", ["b", "global_stEp", "towEr_0/dense/bias"]),
        ("s/e/E/g", ["b", "global_stEp", "towEr_0/dEnsE/bias"]),
        ("s/DENSE/x/i", ["b", "global_step", "tower_0/x/bias"]),
        (r"s/\//./g", ["b", "global_step", "tower_0.dense.bias"]),
        (["b=w1", "w1=w2"], ["global_step", "tower_0/dense/bias", "tower_0/dense/kernel"]),
        ({"w": "v", "b": "c"}, ["c", "global_step", "tower_0/dense/bias"]),
        (str.upper, ["B", "GLOBAL_STEP", "TOWER_0/DENSE/BIAS"]),
    ],
)
def test_rules(tmp_path: Path, rules: Any, names: list[str]) -> None:
    rename(golden("linear").prefix, tmp_path / "out", rules)
    assert list(loaded(tmp_path / "out"))[: len(names)] == names


@pytest.mark.parametrize(
    ("rules", "error", "message"),
    [
        ({"w:0": "v"}, fastckpt.TensorNotFoundError, "'w:0'; did you mean 'w'"),
        ("tower0/=x/", fastckpt.TensorNotFoundError, "did you mean 'tower_0/'"),
        ("kernl=x", fastckpt.TensorNotFoundError, "applies to none of the 5 tensors"),
        ("s/xyz/a/", fastckpt.TensorNotFoundError, "applies to none"),
        ("w=b", fastckpt.InvalidArgumentError, "'b' from 'b', 'w'"),
        ("s/^.*$/same/", fastckpt.InvalidArgumentError, "the same name: 'same' from"),
        ("w=", fastckpt.InvalidArgumentError, "new name of 'w' would be empty"),
        ("s/w//", fastckpt.InvalidArgumentError, "would be empty"),
        ("tower_0/=x", fastckpt.InvalidArgumentError, "write 'tower_0/=x/'"),
        ("rename", fastckpt.InvalidArgumentError, "is no rule"),
        ("=x", fastckpt.InvalidArgumentError, "is no rule"),
        ("a=b=c", fastckpt.InvalidArgumentError, "is no rule"),
        ("s/(/x/", fastckpt.InvalidArgumentError, "no valid regex"),
        (r"s/w/\1/", fastckpt.InvalidArgumentError, "no valid replacement"),
        ("s/old/=new/", fastckpt.InvalidArgumentError, "a scope or a regular expression"),
        ([7], fastckpt.InvalidArgumentError, "must be a str"),
        (lambda _: 7, fastckpt.InvalidArgumentError, "must be a str"),
        ({"w": "\ud800"}, fastckpt.InvalidArgumentError, "surrogate"),
    ],
)
def test_wrong_rules(tmp_path: Path, rules: Any, error: type[Exception], message: str) -> None:
    for dry_run in (True, False):
        with pytest.raises(error) as caught:
            rename(golden("linear").prefix, tmp_path / "out", rules, dry_run=dry_run)
        assert message in str(caught.value)
    assert names_in(tmp_path) == []


def test_a_scope_of_one_letter_needs_no_regex(tmp_path: Path) -> None:
    fastckpt.save(tmp_path / "in", {"s/a": [1]}, sync=False)
    rename(tmp_path / "in", tmp_path / "out", "s/a=b")
    assert list(loaded(tmp_path / "out")) == ["b"]


# --- drop and keep -------------------------------------------------------------------------------


def test_drop(source: Path, tmp_path: Path) -> None:
    done = drop(source, tmp_path / "out", ["*/Adam", "parts", "step"])
    assert done.dropped == ("bert/w/Adam", "parts", "step")
    assert (done.tensors, done.renamed, done.notes) == (6, (), ())
    gone = {b"bert/w/Adam", b"parts", b"step"}
    expected = entries(source)
    for key in list(expected):
        if key in gone or key.startswith(b"\0"):
            del expected[key]
    assert entries(tmp_path / "out") == expected
    assert done.nbytes == fastckpt.open(tmp_path / "out").nbytes


def test_keep(source: Path, tmp_path: Path) -> None:
    done = keep(source, tmp_path / "out", ["bert", "t?xt"])
    assert sorted(loaded(tmp_path / "out")) == ["bert/w", "bert/w/Adam", "text"]
    assert len(done.dropped) == 6


def test_one_pattern_may_be_a_str(source: Path, tmp_path: Path) -> None:
    assert drop(source, tmp_path / "out", "bert").dropped == ("bert/w", "bert/w/Adam")


def test_wrong_patterns(source: Path, tmp_path: Path) -> None:
    with pytest.raises(fastckpt.TensorNotFoundError, match="did you mean 'bert/w'"):
        drop(source, tmp_path / "out", ["step", "bert/v"])
    with pytest.raises(fastckpt.InvalidArgumentError, match="there is no pattern"):
        keep(source, tmp_path / "out", [])
    with pytest.raises(fastckpt.InvalidArgumentError, match=r"no tensor of .* would be left"):
        drop(source, tmp_path / "out", "*")
    assert "out.index" not in names_in(tmp_path)


def test_a_dry_run_writes_nothing(source: Path, tmp_path: Path) -> None:
    before = names_in(tmp_path)
    tried = drop(source, tmp_path / "out", "bert", dry_run=True)
    assert names_in(tmp_path) == before
    assert tried == drop(source, tmp_path / "out", "bert")


# --- damage, memory, other formats ---------------------------------------------------------------


def test_damage_leaves_the_destination_as_it_was(tmp_path: Path) -> None:
    fastckpt.save(tmp_path / "in", {"a": np.arange(9), "b": np.arange(9)}, sync=False)
    fastckpt.save(tmp_path / "out", {"old": [1]}, sync=False)
    flip_byte(shard_of(tmp_path / "in"), 100)
    before = names_in(tmp_path)
    for target in ("out", "in"):
        with pytest.raises(fastckpt.DataLossError, match="'b'"):
            rename(tmp_path / "in", tmp_path / target, "a=c")
    assert loaded(tmp_path / "out") == {"old": [1]}
    assert names_in(tmp_path) == before
    drop(tmp_path / "in", tmp_path / "in", "b")
    assert loaded(tmp_path / "in") == {"a": list(range(9))}


def test_memory_does_not_grow_with_the_tensors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewriting, "_COPIED_BYTES", 4 << 20)
    # Big-endian data has no view: it is copied, some of it at a time.
    for order in ("little", "big"):
        values = {f"t{i:02d}": np.full(1 << 18, i, np.float32) for i in range(32)}
        oracle.write_bundle(tmp_path / order, values, byte_order=order)
        tracemalloc.start()
        rename(tmp_path / order, tmp_path / "out", "=x/", sync=False)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < {"little": 1 << 20, "big": 7 << 20}[order]
        assert fastckpt.load(tmp_path / "out")["x/t31"][-1] == 31


def test_v1_becomes_v2(tmp_path: Path) -> None:
    from fastckpt.checkpoint.legacy_writer import Placed, save_v1

    parts = [("p", Placed(ROWS[:4].astype("f4"), (10, 4), (0, None)))]
    parts += [("p", Placed(ROWS[4:].astype("f4"), (10, 4), (4, None)))]
    save_v1(tmp_path / "old", [("w", [1.5]), ("s", [b"x"]), *parts], sync=False)
    rename(tmp_path / "old", tmp_path / "new", "w=v")
    with fastckpt.open(tmp_path / "new") as new:
        assert (new.format, new["v"].tolist(), new["s"].tolist()) == ("v2", [1.5], [b"x"])
        assert [part.start for part in new.tensor("p").parts] == [(0, 0), (4, 0)]
        assert new["p"].tolist() == ROWS.tolist()
    with pytest.raises(fastckpt.InvalidArgumentError, match="is a V1 file"):
        rename(tmp_path / "old", tmp_path / "old", "w=v")


def test_100_000_tensors(tmp_path: Path) -> None:
    value = np.zeros(4, np.float32)
    names = [f"layer_{i // 10:05d}/part_{i % 10}" for i in range(100_000)]
    fastckpt.save(tmp_path / "in", dict.fromkeys(names, value), sync=False)
    done = rename(tmp_path / "in", tmp_path / "out", r"s/layer_(\d+)/l\1/", sync=False)
    assert len(done.renamed) == 100_000
    assert len(drop(tmp_path / "out", tmp_path / "out", "*/part_3", sync=False).dropped) == 10_000


def test_progress_reaches_the_total_and_cancels(source: Path, tmp_path: Path) -> None:
    seen: list[fastckpt.Progress] = []
    done = rename(source, tmp_path / "out", {}, progress=seen.append)
    assert seen[-1].bytes_total == done.nbytes
    assert seen[-1].tensors_done == done.tensors

    def cancel(_: fastckpt.Progress) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        rename(source, tmp_path / "other", {}, progress=cancel)
    assert "other.index" not in names_in(tmp_path)


# --- the graph of variables ----------------------------------------------------------------------


def test_a_meta_graph_is_told_of(source: Path, tmp_path: Path) -> None:
    meta = source.with_name("in.meta")
    meta.write_bytes(b"graph")
    assert rename(source, tmp_path / "out", {}).notes == ()
    (note,) = rename(source, tmp_path / "out", "step=s").notes
    assert "is not copied" in note
    (note,) = drop(source, source, "step").notes
    assert "stays as it is" in note
    assert meta.read_bytes() == b"graph"


def graph_keys(prefix: Path | str) -> list[str]:
    content = fastckpt.load(prefix)[GRAPH].item()
    graph = message_class("TrackableObjectGraph").FromString(content)
    return sorted(a.checkpoint_key for node in graph.nodes for a in node.attributes)


def test_object_graphs_are_not_broken_in_passing(tmp_path: Path) -> None:
    before = graph_keys(OBJECT.prefix)
    victim = before[0]
    for operate in (
        lambda: rename(OBJECT.prefix, tmp_path / "out", {victim: "x"}),
        lambda: drop(OBJECT.prefix, tmp_path / "out", victim),
        lambda: keep(OBJECT.prefix, tmp_path / "out", before[1:]),
    ):
        with pytest.raises(fastckpt.InvalidArgumentError, match=r"saved by tf\.train\.Checkpoint"):
            operate()
    assert names_in(tmp_path) == []
    rename(OBJECT.prefix, tmp_path / "same", {})
    assert fastckpt.load(tmp_path / "same")[GRAPH] == fastckpt.load(OBJECT.prefix)[GRAPH]


def test_an_object_graph_follows(tmp_path: Path) -> None:
    before = graph_keys(OBJECT.prefix)
    new = f"zzz/{before[0]}"
    rename(OBJECT.prefix, tmp_path / "out", {before[0]: new}, object_graph="update")
    assert graph_keys(tmp_path / "out") == sorted([new, *before[1:]])
    with pytest.raises(fastckpt.InvalidArgumentError, match="keep that ending"):
        rename(OBJECT.prefix, tmp_path / "out", {before[0]: "zzz"}, object_graph="update")
    drop(OBJECT.prefix, tmp_path / "out", before[0], object_graph="update")
    assert graph_keys(tmp_path / "out") == before[1:]
    assert sorted(loaded(tmp_path / "out")) == sorted([GRAPH, *before[1:]])


def test_an_object_graph_is_left_out_or_alone(tmp_path: Path) -> None:
    victim = graph_keys(OBJECT.prefix)[0]
    done = drop(OBJECT.prefix, tmp_path / "out", victim, object_graph="drop")
    assert done.dropped == tuple(sorted([GRAPH, victim]))
    assert GRAPH not in loaded(tmp_path / "out")
    done = drop(OBJECT.prefix, tmp_path / "out", victim, object_graph="keep")
    assert "will not find" in done.notes[0]
    assert victim in graph_keys(tmp_path / "out")
    assert drop(OBJECT.prefix, tmp_path / "out", [GRAPH, victim]).notes == ()
    with pytest.raises(fastckpt.InvalidArgumentError, match="object_graph must be one of"):
        drop(OBJECT.prefix, tmp_path / "out", victim, object_graph="x")  # type: ignore[arg-type]


def test_an_unreadable_object_graph(tmp_path: Path) -> None:
    for number, value in enumerate([b"\xff\xff", np.ones(2)]):
        prefix = tmp_path / f"in{number}"
        oracle.write_bundle(prefix, {GRAPH: value, "a": [b"x"], "b": [b"y"]})
        with pytest.raises(fastckpt.DataLossError, match="object_graph='drop' leaves it out"):
            drop(prefix, tmp_path / "out", "a")
        drop(prefix, tmp_path / "out", "a", object_graph="drop")
        assert loaded(tmp_path / "out") == {"b": [b"y"]}
