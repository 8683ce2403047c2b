"""What a path means: every way to name a checkpoint."""

import json
import os
from pathlib import Path

import pytest

from checkpoint_files import META, NODE, V1_FILE, V2_INDEX, fails, put, state, v2
from fastckpt.errors import CheckpointNotFoundError, DataLossError, InvalidArgumentError
from fastckpt.storage import CheckpointState, Location, local, locate

# --- what is found -------------------------------------------------------------------------------


def test_a_prefix(tmp_path: Path):
    prefix = v2(tmp_path, "model.ckpt-1000")
    assert locate(prefix) == Location(prefix, "v2", "prefix")


@pytest.mark.parametrize(
    "suffix", [".index", ".data-00000-of-00001", ".meta", ".data-00001-of-00007"]
)
def test_any_file_of_a_checkpoint(tmp_path: Path, suffix: str):
    prefix = v2(tmp_path, "m")
    assert locate(prefix + suffix) == Location(prefix, "v2", "file")


@pytest.mark.parametrize("kind", [str, os.fsencode, Path])
def test_str_bytes_and_pathlike(tmp_path: Path, kind):
    prefix = v2(tmp_path, "m")
    assert locate(kind(prefix)).prefix == prefix


@pytest.mark.parametrize(
    "name", ["g[1]", "g[!x]*", "what?", "模型-é", "a b", "{x}", "m.index", "~x"]
)
def test_odd_names_are_taken_literally(tmp_path: Path, name: str):
    v2(tmp_path, "other")
    prefix = v2(tmp_path / "dir[0]", name)
    assert locate(prefix) == Location(prefix, "v2", "prefix")


def test_a_name_that_is_not_utf8(tmp_path: Path):
    prefix = os.fsencode(tmp_path) + b"/m\xff"
    with open(prefix + b".index", "wb") as file:
        file.write(V2_INDEX)
    assert locate(prefix).prefix == os.fsdecode(prefix)


def test_a_relative_prefix_stays_relative(tmp_path, monkeypatch):
    v2(tmp_path, "m")
    monkeypatch.chdir(tmp_path)
    assert locate("m").prefix == "m"
    assert locate("./m.index").prefix == "./m"


def test_a_directory_with_a_state_file(tmp_path: Path):
    prefix = v2(tmp_path, "m-2", "m-1")
    state(tmp_path, "m-2")
    assert locate(tmp_path) == Location(prefix, "v2", "state")
    assert locate(f"{tmp_path}/").kind == "v2"


@pytest.mark.parametrize("name", ["checkpoint", "best", "state.txt"])
def test_the_state_file_itself(tmp_path: Path, name: str):
    prefix = v2(tmp_path, "m-2", "m-1")
    assert locate(state(tmp_path, "m-2", name)) == Location(prefix, "v2", "state")


def test_the_current_directory(tmp_path, monkeypatch):
    v2(tmp_path, "m")
    state(tmp_path, "m")
    monkeypatch.chdir(tmp_path)
    assert locate(".").prefix == "./m"
    assert locate("checkpoint").prefix == "m"


def test_a_state_file_of_another_machine(tmp_path: Path):
    prefix = v2(tmp_path, "m-2")
    state(tmp_path, "/elsewhere/somebody/m-2")
    assert locate(tmp_path) == Location(prefix, "v2", "state")


@pytest.mark.parametrize("graph", ["saved_model.pb", "saved_model.pbtxt"])
def test_a_saved_model_directory(tmp_path: Path, graph: str):
    prefix = v2(tmp_path / "variables", "variables")
    put(tmp_path / graph, b"graph")
    assert locate(tmp_path) == Location(prefix, "v2", "saved_model")


def test_a_saved_model_with_a_stale_state_file(tmp_path: Path):
    prefix = v2(tmp_path / "variables", "variables")
    put(tmp_path / "saved_model.pb", b"graph")
    state(tmp_path, "gone")
    assert locate(tmp_path) == Location(prefix, "v2", "saved_model")


def test_a_prefix_wins_over_a_directory_of_its_name(tmp_path: Path):
    prefix = v2(tmp_path, "m")
    inner = v2(tmp_path / "m", "inner")
    state(tmp_path / "m", "inner")
    assert locate(tmp_path / "m") == Location(prefix, "v2", "prefix")
    # A trailing slash asks for the directory.
    assert locate(f"{tmp_path}/m/") == Location(inner, "v2", "state")


def test_a_prefix_wins_over_a_v1_file_of_its_name(tmp_path: Path):
    prefix = v2(tmp_path, "m")
    put(tmp_path / "m", V1_FILE)
    assert locate(prefix).kind == "v2"


def test_a_trailing_slash_on_a_prefix(tmp_path: Path):
    prefix = v2(tmp_path, "m")
    assert locate(prefix + "/").prefix == prefix


def test_a_save_to_a_directory_has_files_without_a_stem(tmp_path: Path):
    put(tmp_path / ".index")
    for path in (f"{tmp_path}/", tmp_path, tmp_path / ".index"):
        assert locate(path)[:2] == (f"{tmp_path}/", "v2")
    state(tmp_path, ".")
    assert locate(tmp_path) == Location(f"{tmp_path}/", "v2", "state")


def test_links_are_followed(tmp_path: Path):
    v2(tmp_path / "real", "m")
    os.symlink(tmp_path / "real", tmp_path / "link")
    os.symlink(tmp_path / "real" / "m.index", tmp_path / "n.index")
    assert locate(tmp_path / "link" / "m").kind == "v2"
    assert locate(tmp_path / "n").prefix == str(tmp_path / "n")


# --- V1 ------------------------------------------------------------------------------------------


def test_a_v1_file(tmp_path: Path):
    path = put(tmp_path / "model.ckpt-123", V1_FILE)
    assert locate(path) == Location(str(path), "v1", "prefix")


def test_a_v1_pattern_and_all_that_means_it(tmp_path: Path):
    for shard in range(2):
        put(tmp_path / f"m-0000{shard}-of-00002", V1_FILE)
    put(tmp_path / "m.meta", META)
    pattern = str(tmp_path / "m-?????-of-00002")
    assert locate(pattern) == Location(pattern, "v1", "prefix")
    assert locate(tmp_path / "m-*") == Location(str(tmp_path / "m-*"), "v1", "prefix")
    assert locate(tmp_path / "m-00001-of-00002") == Location(pattern, "v1", "file")
    assert locate(tmp_path / "m.meta") == Location(pattern, "v1", "file")
    assert locate(tmp_path / "m") == Location(pattern, "v1", "prefix")


def test_a_v1_checkpoint_named_by_a_state_file(tmp_path: Path):
    path = put(tmp_path / "m-3", V1_FILE)
    state(tmp_path, "/gone/m-3")
    assert locate(tmp_path) == Location(str(path), "v1", "state")


def test_brackets_in_a_v1_pattern_are_literal(tmp_path: Path):
    put(tmp_path / "g[1]-00000-of-00001", V1_FILE)
    put(tmp_path / "g1-00000-of-00001", b"no table")
    assert locate(tmp_path / "g[1]-?????-of-00001").kind == "v1"
    with pytest.raises(CheckpointNotFoundError):
        locate(tmp_path / "g1-?????-of-00001")


def test_the_index_of_a_v2_checkpoint_under_another_name(tmp_path: Path):
    path = put(tmp_path / "m.index.bak")
    with pytest.raises(InvalidArgumentError, match=r"rename it to <prefix>\.index"):
        locate(path)


# --- a directory whose writer is at work ---------------------------------------------------------


def test_a_latest_checkpoint_that_is_pruned_meanwhile(tmp_path, monkeypatch):
    """The state is read, then the writer saves m-2 and deletes m-1, then the answer is used."""
    v2(tmp_path, "m-1")
    state(tmp_path, "m-1")
    real, reads = locate.__globals__["read_state"], []

    def read_then_prune(*args):
        found = real(*args)
        reads.append(found)
        if len(reads) == 1:
            v2(tmp_path, "m-2")
            state(tmp_path, "m-2")
            (tmp_path / "m-1.index").unlink()
        return found

    monkeypatch.setitem(locate.__globals__, "read_state", read_then_prune)
    assert locate(tmp_path).prefix == str(tmp_path / "m-2")
    assert len(reads) == 2


def test_a_writer_that_always_outruns_the_reader(tmp_path, monkeypatch):
    reads = []

    def always_another(directory, name):
        reads.append(name)
        return CheckpointState(f"{directory}/m-{len(reads)}")

    monkeypatch.setitem(locate.__globals__, "read_state", always_another)
    with pytest.raises(CheckpointNotFoundError):
        locate(tmp_path)
    assert 2 < len(reads) < 2000


# --- how much is read ----------------------------------------------------------------------------


def test_only_the_ends_of_a_file_are_read(tmp_path, monkeypatch):
    """Every file is huge and sparse; the bytes asked for are counted."""
    asked = []
    real = local._read
    monkeypatch.setattr(local, "_read", lambda p, o, n: asked.append(n) or real(p, o, n))
    for name, head in [("m.index", V2_INDEX), ("graph.pb", NODE), ("odd", b"\xfe")]:
        with open(put(tmp_path / name, head), "r+b") as file:
            file.truncate(1 << 40)
    locate(tmp_path / "m")
    fails(tmp_path / "graph.pb", InvalidArgumentError)
    fails(tmp_path / "odd", DataLossError)
    assert asked
    assert max(asked) <= 4096
    assert sum(asked) < 64 << 10


# --- real ones -----------------------------------------------------------------------------------


def samples(corpus_dir: Path):
    for path in sorted(corpus_dir.glob("*/expected.json")):
        expected = json.loads(path.read_text())
        if "prefix" in expected:
            yield path.parent / expected["prefix"]


def test_every_checkpoint_of_the_corpus_by_prefix_and_by_each_file(corpus_dir: Path):
    kinds = {"v1": 0, "v2": 0}
    for prefix in samples(corpus_dir):
        found = locate(prefix)
        assert found.prefix == str(prefix)
        assert found.kind == ("v2" if Path(f"{prefix}.index").exists() else "v1")
        kinds[found.kind] += 1
        for file in prefix.parent.glob(f"{prefix.name}.*"):
            assert locate(file)[:2] == found[:2], file
    assert kinds["v1"] >= 3
    assert kinds["v2"] >= 60


def test_every_saved_model_of_the_corpus(corpus_dir: Path):
    found = 0
    for prefix in samples(corpus_dir):
        directory = prefix.parent.parent
        if prefix.name == "variables" and local.is_saved_model(str(directory)):
            assert locate(directory) == Location(str(prefix), "v2", "saved_model")
            found += 1
    assert found >= 20


def test_graph_files_of_the_corpus_are_recognised(corpus_dir: Path):
    words = {"frozen": "GraphDef", "_S.pb": "GraphDef", "meta_graph": "MetaGraphDef"}
    words |= {"saved_model.": "SavedModel", ".pbtxt": "text form"}
    seen = set()
    for path in sorted(corpus_dir.glob("file--*/*.*pb*")):
        what = next((w for part, w in words.items() if part in path.name), None)
        if what is not None:
            fails(path, InvalidArgumentError, what)
            seen.add(what)
    assert seen == set(words.values())
