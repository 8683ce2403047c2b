"""Paths that mean no checkpoint: every mistake has its own message and the right call."""

import errno
import json
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from checkpoint_files import LFS, META, NODE, V1_FILE, fails, field, put, state, v2
from fastckpt.errors import (
    CheckpointIOError,
    CheckpointNotFoundError,
    DataLossError,
    InvalidArgumentError,
    UnsupportedError,
)

# --- mistakes: nothing there ---------------------------------------------------------------------


def test_no_such_checkpoint(tmp_path: Path):
    v2(tmp_path, "model.ckpt-1000", "model.ckpt-200", "other")
    error = fails(
        tmp_path / "model.ckpt", CheckpointNotFoundError, "model.ckpt.index", "does not exist"
    )
    assert str(error).index("model.ckpt-1000") < str(error).index("model.ckpt-200")
    assert "other" not in str(error)
    assert error.path == str(tmp_path / "model.ckpt")
    assert (error.errno, error.filename) == (errno.ENOENT, error.path)


def test_a_misspelt_prefix(tmp_path: Path):
    v2(tmp_path, "linear-regression")
    fails(
        tmp_path / "linear-regresion",
        CheckpointNotFoundError,
        "did you mean",
        "linear-regression'",
    )


def test_a_name_that_is_like_no_other(tmp_path: Path):
    fails(tmp_path / "nope", CheckpointNotFoundError, "no checkpoint is in its directory")
    v2(tmp_path, "model-9", "model-10")
    there = f"in its directory are '{tmp_path}/model-10', '{tmp_path}/model-9'"
    fails(tmp_path / "zzz", CheckpointNotFoundError, there)


@pytest.mark.parametrize("suffix", [".index", ".meta", ".data-00000-of-00001"])
def test_no_such_checkpoint_named_by_a_file(tmp_path: Path, suffix: str):
    fails(tmp_path / f"m{suffix}", CheckpointNotFoundError, f"no checkpoint '{tmp_path}/m'")


def test_no_such_directory(tmp_path: Path):
    fails(
        tmp_path / "no" / "m", CheckpointNotFoundError, f"directory '{tmp_path}/no' does not exist"
    )
    fails("~/nowhere/m", CheckpointNotFoundError, "'~' is not expanded")


def test_a_file_where_a_directory_should_be(tmp_path: Path):
    put(tmp_path / "file", b"x")
    fails(tmp_path / "file" / "m", CheckpointNotFoundError, "does not exist")


def test_shards_without_index(tmp_path: Path):
    path = put(tmp_path / "m.data-00000-of-00001", bytes(100))
    fails(path, CheckpointNotFoundError, "has no index", "m.index' is missing")
    fails(tmp_path / "m", CheckpointNotFoundError, "data shards but no index", "m.index")
    fails(tmp_path / "m.index", CheckpointNotFoundError, "data shards but no index")
    fails(tmp_path, CheckpointNotFoundError, "it holds data shards, but no index")


def test_an_interrupted_save(tmp_path: Path):
    put(tmp_path / "m.index.tempstate123")
    fails(tmp_path / "m", CheckpointNotFoundError, "was interrupted")


def test_a_pattern_that_matches_nothing(tmp_path: Path):
    fails(tmp_path / "m-?????-of-00002", CheckpointNotFoundError, "no file matches")


def test_a_pattern_that_matches_v2_checkpoints(tmp_path: Path):
    v2(tmp_path, "m-9", "m-10")
    fails(tmp_path / "m-*", CheckpointNotFoundError, f"pass one prefix: '{tmp_path}/m-10'")


# --- mistakes: directories -----------------------------------------------------------------------


def test_an_empty_directory(tmp_path: Path):
    fails(tmp_path, CheckpointNotFoundError, "no checkpoint state in directory", "is empty")


def test_a_directory_without_state_file(tmp_path: Path):
    v2(tmp_path, "m-1", "m-2", "m-3", "m-10")
    error = fails(tmp_path, CheckpointNotFoundError, "pass a prefix", "m-10', ", "and 1 more")
    assert error.path == str(tmp_path)


def test_a_directory_of_many_checkpoints_is_not_listed_whole(tmp_path: Path):
    for i in range(500):
        put(tmp_path / f"m-{i}.index")
    error = fails(tmp_path, CheckpointNotFoundError, "and 497 more")
    assert len(str(error)) < 300 + 4 * len(str(tmp_path))


def test_a_directory_above_the_checkpoints(tmp_path: Path):
    v2(tmp_path / "train" / "checkpoint", "m")
    state(tmp_path / "train" / "checkpoint", "m")
    fails(tmp_path / "train", CheckpointNotFoundError, f"pass '{tmp_path}/train/checkpoint'")
    v2(tmp_path / "loose" / "a", "n")
    fails(tmp_path / "loose", CheckpointNotFoundError, f"pass '{tmp_path}/loose/a/n'")


def test_a_directory_with_a_v1_file(tmp_path: Path):
    path = put(tmp_path / "model.ckpt", V1_FILE)
    fails(tmp_path, CheckpointNotFoundError, f"pass a V1 file: '{path}'")


def test_a_directory_of_something_else(tmp_path: Path):
    put(tmp_path / "config.json", b"{}")
    fails(tmp_path, CheckpointNotFoundError, "holds no '.index' file, only 'config.json'")


def test_a_saved_model_without_variables(tmp_path: Path):
    put(tmp_path / "saved_model.pb", b"graph")
    fails(tmp_path, CheckpointNotFoundError, "has no variables", "variables/variables.index")


def test_a_state_file_whose_checkpoints_are_gone(tmp_path: Path):
    path = state(tmp_path, "m-3")
    fails(
        tmp_path,
        CheckpointNotFoundError,
        f"'{path}' names",
        "m-3.index' does not exist",
        "no other",
    )
    v2(tmp_path, "m-1", "m-2")
    fails(
        path, CheckpointNotFoundError, f"pass another checkpoint that is there: '{tmp_path}/m-2'"
    )


def test_an_empty_state_file(tmp_path: Path):
    path = put(tmp_path / "checkpoint", b"")
    fails(tmp_path, DataLossError, "names no checkpoint")
    fails(path, DataLossError, "is empty")


# --- mistakes: files that are something else -----------------------------------------------------

BIG = bytes(9000)


def npz(path: Path) -> None:
    np.savez(path, a=np.zeros(3))


def npy(path: Path) -> None:
    with open(path, "wb") as file:
        np.save(file, np.zeros(3))


def safetensors(path: Path) -> None:
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))


OTHERS = [
    (NODE, "graph (GraphDef)", "prefix of a checkpoint"),
    (NODE * 500, "graph (GraphDef)", "prefix of a checkpoint"),
    (META, "meta graph (MetaGraphDef)", "prefix of the checkpoint"),
    (field(1, field(2, field(1, field(1, b"Add") + BIG))), "meta graph (MetaGraphDef)", "prefix"),
    (field(2, NODE), "meta graph (MetaGraphDef)", "prefix"),
    (b"\x08\x01" + field(2, META), "graph of a SavedModel", "SavedModel directory"),
    (field(2, META), "graph of a SavedModel", "SavedModel directory"),
    (b'node {\n  name: "a"\n}\n', "graph in text form", "prefix"),
    (b"# written by hand\n\nnode: < name: 'a' >", "graph in text form", "prefix"),
    (b"meta_info_def {\n}\n", "meta graph in text form", "prefix"),
    (b"saved_model_schema_version: 1\n", "SavedModel in text form", "SavedModel directory"),
    (npz, ".npz archive", "numpy.load(path)"),
    (npy, ".npy array", "numpy.load(path)"),
    (safetensors, "safetensors file", "safetensors.numpy.load_file"),
    (b"\x89HDF\r\n\x1a\n" + BIG, "HDF5 file", "h5py"),
    (pickle.dumps({"a": 1}), "Python pickle", "pickle.load"),
    (pickle.dumps({"torch.FloatStorage": 1}), "PyTorch file", "torch.load"),
    (
        b"PK\x03\x04" + bytes(22) + b"\x10\0\0\0" + b"archive/data.pkl",
        "PyTorch file",
        "torch.load",
    ),
    (b"PK\x03\x04" + bytes(22) + b"\x05\0\0\0" + b"a.txt", "zip archive", "unpack it"),
    (b"\x1f\x8b\x08" + BIG, "gzip archive", "unpack it"),
    (bytes(257) + b"ustar\0" + BIG, "tar archive", "unpack it"),
    (bytes(4) + b"TFL3" + BIG, "TensorFlow Lite", "no checkpoint"),
    (b"\n\n<!DOCTYPE html>\n<html>", "HTML page", "fetch the raw file"),
]


@pytest.mark.parametrize(("made", "what", "advice"), OTHERS, ids=[x[1] for x in OTHERS])
@pytest.mark.parametrize("name", ["m.pb", "m"])
def test_a_file_that_is_something_else(tmp_path: Path, made, what: str, advice: str, name: str):
    path = tmp_path / name
    if callable(made):
        made(path)
        path = path if path.exists() else tmp_path / f"{name}.npz"
    else:
        path.write_bytes(made)
    error = fails(path, InvalidArgumentError, "is no checkpoint: this is", what, advice)
    assert error.path == str(path)


def test_the_graph_of_a_saved_model_that_is_there(tmp_path: Path):
    v2(tmp_path / "variables", "variables")
    path = put(tmp_path / "saved_model.pb", b"\x08\x01" + field(2, META))
    fails(path, InvalidArgumentError, f"pass the SavedModel directory '{tmp_path}'")


def test_a_meta_graph_without_its_checkpoint(tmp_path: Path):
    path = put(tmp_path / "m.meta", META)
    fails(path, CheckpointNotFoundError, "holds no weights", "m.index' does not exist")


@pytest.mark.parametrize("data", [b"hello", bytes(5000), os.urandom(16).join([b"\xfe"] * 9)])
def test_a_file_like_nothing_known(tmp_path: Path, data: bytes):
    fails(put(tmp_path / "m", data), DataLossError, "bad magic", "pass a prefix")


@pytest.mark.parametrize("name", ["m", "m.pb", "m.data-00000-of-00001", "m.meta"])
def test_an_empty_file(tmp_path: Path, name: str):
    fails(put(tmp_path / name, b""), DataLossError, "is empty")


def test_an_empty_index(tmp_path: Path):
    put(tmp_path / "m.index", b"")
    for path in ("m", "m.index", "m.data-00000-of-00001"):
        fails(tmp_path / path, DataLossError, "m.index' is empty")


@pytest.mark.parametrize(
    "name", ["m.index", "m.data-00000-of-00001", "model.ckpt", "m.meta", "m.pb"]
)
def test_a_git_lfs_pointer(tmp_path: Path, name: str):
    path = put(tmp_path / name, LFS)
    fails(path, CheckpointNotFoundError, f"'{path}' is a Git-LFS pointer", "git lfs pull")


def test_a_prefix_whose_index_is_a_git_lfs_pointer(tmp_path: Path):
    put(tmp_path / "m.index", LFS)
    fails(tmp_path / "m", CheckpointNotFoundError, "m.index' is a Git-LFS pointer")


def test_an_index_that_is_something_else(tmp_path: Path):
    (tmp_path / "m.index").write_bytes(b"<!DOCTYPE html><title>Not found")
    fails(tmp_path / "m", DataLossError, "m.index' is an HTML page: the download went wrong")


def test_a_pipe_does_not_block(tmp_path: Path):
    os.mkfifo(tmp_path / "m.index")
    fails(tmp_path / "m", CheckpointNotFoundError)
    fails(tmp_path / "m.index", CheckpointNotFoundError)


# --- mistakes: not even a path -------------------------------------------------------------------


@pytest.mark.parametrize("path", [None, "", b"", 7, 1.5, object(), ["m"]])
def test_not_a_path(path):
    fails(path, InvalidArgumentError, "path ")


def test_none_says_where_it_comes_from():
    fails(None, InvalidArgumentError, "latest_checkpoint gives None")


def test_a_nul_character():
    fails("m\0n", InvalidArgumentError, "NUL")


@pytest.mark.parametrize(
    "url", ["gs://bucket/m", "s3://b/m.index", "https://host/m", "memory://m"]
)
def test_urls_need_the_extra(url: str):
    fails(url, UnsupportedError, repr(url), "tf-fastckpt[remote]")


def test_a_file_url_names_the_plain_path():
    fails("file:///data/m", InvalidArgumentError, "pass the plain path '/data/m'")


def test_a_name_too_long_is_just_absent(tmp_path: Path):
    fails(tmp_path / ("m" * 5000), CheckpointNotFoundError, "does not exist")


def test_a_loop_of_links_is_told(tmp_path: Path):
    os.symlink("m.index", tmp_path / "m.index")
    error = fails(tmp_path / "m", CheckpointIOError, os.strerror(errno.ELOOP))
    assert error.errno == errno.ELOOP


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list everything")
def test_a_directory_that_may_not_be_listed(tmp_path: Path):
    (tmp_path / "m").mkdir(mode=0)
    assert fails(tmp_path / "m", CheckpointIOError).errno == errno.EACCES
