"""doctor: many kinds of broken checkpoints, each with its finding, its lost tensors and a fix."""

from __future__ import annotations

import os
import shutil
import subprocess
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import fastckpt
import oracle
from checkpoint_files import LFS, META, NODE
from fastckpt.checkpoint.legacy_writer import save_v1
from fastckpt.tools.doctor import diagnose
from golden.manifest import golden, load_golden
from unit.cli_helpers import flip_byte, shard_of
from unit.doctor_helpers import codes, save, state, the
from unit.writer_helpers import names_in

# --- what is well --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", load_golden())
def test_golden_checkpoints_are_well(name: str) -> None:
    prefix = golden(name).prefix
    found = diagnose(prefix)
    assert (found.ok, found.verified, found.prefix) == (True, True, str(prefix))
    assert found.tensors == len(fastckpt.open(prefix))
    assert codes(found) == (["object-based"] if name == "object" else [])


def test_nothing_is_changed(tmp_path: Path) -> None:
    save(tmp_path / "m", 2)
    (tmp_path / "m.index.tmp").write_bytes(b"")
    before = names_in(tmp_path)
    diagnose(tmp_path)
    assert names_in(tmp_path) == before


def test_a_directory_with_its_state(tmp_path: Path) -> None:
    for step in (1, 2):
        save(tmp_path / f"m-{step}")
    state(tmp_path, "m-1", "m-2")
    for path in (tmp_path, f"{tmp_path}/", tmp_path / "checkpoint"):
        found = diagnose(path)
        assert (found.findings, found.prefix) == ((), str(tmp_path / "m-2"))


def test_quick_reads_no_tensor(tmp_path: Path) -> None:
    save(tmp_path / "m")
    flip_byte(tmp_path / "m.data-00000-of-00001", 3)
    found = diagnose(tmp_path / "m", quick=True)
    assert (found.ok, found.verified) == (True, False)
    assert not diagnose(tmp_path / "m").ok


# --- paths ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".index", ".data-00000-of-00001", ".meta"])
def test_a_suffix_is_no_obstacle(tmp_path: Path, suffix: str) -> None:
    save(tmp_path / "m")
    found = diagnose(f"{tmp_path}/m{suffix}")
    assert (found.ok, found.prefix) == (True, str(tmp_path / "m"))
    assert the(found, "suffix").fix == f"pass the prefix '{tmp_path}/m'"


@pytest.mark.parametrize(
    ("path", "code", "words"),
    [
        ("m-10", "nothing-there", "did you mean 'm-100'"),
        ("m-1000", "nothing-there", "'m-100'"),
        ("xyz", "nothing-there", "there are 'm-100'"),
        ("no/where/m", "nothing-there", "working directory"),
        ("~/m", "nothing-there", "expanduser"),
        ("s3://bucket/m", "url", "download"),
    ],
)
def test_paths_that_lead_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, code: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "m-100")
    found = diagnose(path)
    assert (found.prefix, codes(found)) == (None, [code])
    assert words in (the(found, code).fix or "")


def pack(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", b"")


def write(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "make", "code", "words"),
    [
        ("model.h5", write(b"\x89HDF\r\n\x1a\n" + bytes(99)), "other-format", "h5py"),
        ("m.safetensors", write(b"\x40\0\0\0\0\0\0\0" + b'{"a":{}}'), "other-format", "convert"),
        ("m.npz", pack, "other-format", "convert it"),
        ("m.pkl", write(b"\x80\x04\x95" + bytes(50)), "other-format", "pickle.load only if"),
        ("m.tar.gz", write(b"\x1f\x8b" + bytes(99)), "other-format", "unpack"),
        ("graph.pb", write(META), "other-format", "prefix of the checkpoint"),
        ("page.index.html", write(b"<!DOCTYPE html><p>"), "other-format", "raw file"),
        ("m.meta", write(META), "no-index", "copy 'm.index'"),
        ("m.data-00000-of-00001", write(b"abc"), "no-index", "copy 'm.index'"),
        ("m.ckpt", write(LFS), "lfs", "git lfs pull"),
        ("m.ckpt", write(b""), "empty-file", "another checkpoint"),
        ("m.ckpt", write(b"\x07\x08\x09" * 40), "unknown-format", "pass a prefix"),
    ],
)
def test_files_that_are_something_else(
    tmp_path: Path, name: str, make: Callable[[Path], object], code: str, words: str
) -> None:
    make(tmp_path / name)
    found = diagnose(tmp_path / name)
    assert (found.prefix, codes(found)) == (None, [code])
    assert words in (the(found, code).fix or "")


def test_an_index_under_another_name(tmp_path: Path) -> None:
    save(tmp_path / "m")
    os.rename(tmp_path / "m.index", tmp_path / "m.idx")
    assert "m.idx.index" in (the(diagnose(tmp_path / "m.idx"), "renamed-index").fix or "")


# --- index and shards ----------------------------------------------------------------------------


def test_the_index_is_missing(tmp_path: Path) -> None:
    save(tmp_path / "m", 2)
    (tmp_path / "m.index").unlink()
    for path in (tmp_path / "m", f"{tmp_path}/m.index", tmp_path):
        found = diagnose(path)
        assert (found.prefix, codes(found)) == (None, ["no-index"])
        assert "cannot be rebuilt" in (the(found, "no-index").fix or "")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty-index"),
        (LFS, "lfs"),
        (b"<html><body>Not found</body></html>" * 3, "other-format"),
        (NODE * 9, "other-format"),
        (b"\x01\x02" * 500, "damaged-index"),
    ],
)
def test_the_index_is_no_index(tmp_path: Path, content: bytes, code: str) -> None:
    save(tmp_path / "m")
    (tmp_path / "m.index").write_bytes(content)
    found = diagnose(tmp_path / "m")
    assert (found.prefix, codes(found)) == (str(tmp_path / "m"), [code])


def test_a_truncated_index(tmp_path: Path) -> None:
    save(tmp_path / "m")
    data = (tmp_path / "m.index").read_bytes()
    (tmp_path / "m.index").write_bytes(data[: len(data) // 2])
    assert "copy the file here again" in (the(diagnose(tmp_path / "m"), "damaged-index").fix or "")


def test_a_damaged_index_block(tmp_path: Path) -> None:
    zeros = {f"n{i:03d}": np.zeros(1, np.int8) for i in range(100)}
    oracle.write_bundle(tmp_path / "m", zeros, block_size=256)
    flip_byte(tmp_path / "m.index", (tmp_path / "m.index").stat().st_size // 3)
    finding = the(diagnose(tmp_path / "m"), "damaged-index")
    assert "are lost" in finding.what
    assert "on_damage='skip'" in (finding.fix or "")


def test_a_malformed_entry(tmp_path: Path) -> None:
    bundle = oracle.build_bundle({"a": np.zeros(2), "b": np.zeros(2)})
    bundle.entries[b"a"] = b"\xff\xff\xff"
    bundle.write(tmp_path / "m")
    found = diagnose(tmp_path / "m")
    assert found.findings[0].tensors == ("a",)
    assert not found.ok


def test_a_missing_shard_and_what_is_lost_with_it(tmp_path: Path) -> None:
    save(tmp_path / "m", 2)
    (tmp_path / "m.data-00001-of-00002").unlink()
    found = diagnose(tmp_path / "m")
    assert codes(found) == ["missing-shard"]
    finding = the(found, "missing-shard")
    assert finding.tensors == ("b", "d")
    assert "the other 2 tensors can be read" in (finding.fix or "")


def test_only_the_index_was_copied(tmp_path: Path) -> None:
    save(tmp_path / "m", 2)
    for shard in (0, 1):
        os.rename(
            tmp_path / f"m.data-0000{shard}-of-00002", tmp_path / f"n.data-0000{shard}-of-00002"
        )
    finding = the(diagnose(tmp_path / "m"), "missing-shards")
    assert finding.tensors == ("a", "b", "c", "d")
    assert "there are data shards of 'n'" in (finding.fix or "")


def test_a_shard_that_is_cut_short(tmp_path: Path) -> None:
    save(tmp_path / "m")
    shard = tmp_path / "m.data-00000-of-00001"
    shard.write_bytes(shard.read_bytes()[:70])
    found = diagnose(tmp_path / "m")
    assert codes(found) == ["short-shard"]
    finding = the(found, "short-shard")
    assert (finding.tensors, "70 of 128 bytes" in finding.what) == (("c", "d"), True)


def test_a_shard_that_git_has_not_fetched(tmp_path: Path) -> None:
    save(tmp_path / "m")
    (tmp_path / "m.data-00000-of-00001").write_bytes(LFS)
    finding = the(diagnose(tmp_path / "m"), "lfs")
    assert finding.tensors == ("a", "b", "c", "d")


def test_damaged_tensors(tmp_path: Path) -> None:
    save(tmp_path / "m")
    flip_byte(tmp_path / "m.data-00000-of-00001", 33)
    finding = the(diagnose(tmp_path / "m"), "damaged-tensors")
    assert finding.tensors == ("b",)
    assert "the other 3 tensors can be read" in (finding.fix or "")
    for offset in (0, 80):
        flip_byte(tmp_path / "m.data-00000-of-00001", offset)
    finding = the(diagnose(tmp_path / "m"), "damaged-tensors")
    assert "; the other tensor can be read" in (finding.fix or ""), finding


def test_files_of_two_saves(tmp_path: Path) -> None:
    save(tmp_path / "m", 2)
    other = {name: np.full(8, 9, np.float32) for name in "abcd"}
    oracle.write_bundle(tmp_path / "n", other, num_shards=2)
    shutil.copy(tmp_path / "n.data-00001-of-00002", tmp_path / "m.data-00001-of-00002")
    finding = the(diagnose(tmp_path / "m"), "other-save")
    assert finding.tensors == ("b", "d")
    assert "from one save" in (finding.fix or "")


def test_slices_are_lost_with_their_shard(tmp_path: Path) -> None:
    parts = [([(0, 2), None], np.ones((2, 3))), ([(2, 2), None], np.ones((2, 3)))]
    tensors = {"p": oracle.Slices((4, 3), parts), "w": np.ones(2), "z": np.ones(2)}
    oracle.write_bundle(tmp_path / "m", tensors, num_shards=2)
    (tmp_path / "m.data-00001-of-00002").unlink()
    assert the(diagnose(tmp_path / "m"), "missing-shard").tensors == ("p", "z")


def test_v1(tmp_path: Path) -> None:
    save_v1(tmp_path / "m", {"a": [1.0]}, sync=False)
    found = diagnose(tmp_path / "m")
    assert (found.ok, codes(found), found.verified) == (True, ["v1"], True)
    save_v1(tmp_path / "s", {"a": [1.0], "b": [2.0]}, num_shards=2, sync=False)
    assert diagnose(tmp_path / "s").prefix == f"{tmp_path}/s-?????-of-00002"
    (tmp_path / "s-00001-of-00002").unlink()
    assert codes(diagnose(tmp_path / "s")) == ["missing-shard", "v1"]
    save(tmp_path / "n")
    shutil.copy(tmp_path / "m", tmp_path / "n")
    found = diagnose(tmp_path / "n")
    assert (found.ok, codes(found)) == (True, ["v1-and-v2"])


def test_permissions(tmp_path: Path) -> None:
    save(tmp_path / "m")
    (tmp_path / "m.data-00000-of-00001").chmod(0)
    expected = [] if os.geteuid() == 0 else ["permission"]
    assert codes(diagnose(tmp_path / "m")) == expected
    os.symlink("loop.index", tmp_path / "loop.index")
    assert codes(diagnose(tmp_path / "loop")) == ["unreadable"]


def test_the_meta_graph(tmp_path: Path) -> None:
    save(tmp_path / "m")
    for content in (b"", LFS):
        (tmp_path / "m.meta").write_bytes(content)
        found = diagnose(tmp_path / "m")
        assert (found.ok, codes(found)) == (True, ["meta"])
    (tmp_path / "m.meta").write_bytes(META)
    assert diagnose(tmp_path / "m").findings == ()


def test_what_is_no_path() -> None:
    for wrong in (None, 7, ""):
        with pytest.raises(fastckpt.InvalidArgumentError):
            diagnose(wrong)  # type: ignore[arg-type]


def test_memory_of_a_large_checkpoint(tmp_path: Path) -> None:
    fastckpt.save(tmp_path / "m", {"x": np.zeros(16 << 20, np.uint8)}, sync=False)
    tracemalloc.start()
    assert diagnose(tmp_path / "m").ok
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


def test_a_command_is_quoted_for_the_shell(tmp_path: Path) -> None:
    pack(tmp_path / "my $x.npz")
    found = the(diagnose(tmp_path / "my $x.npz"), "other-format")
    assert found.command == f"fastckpt convert '{tmp_path}/my $x.npz' NEW-PREFIX"
    pack(tmp_path / "a'b\x1b[2J.npz")
    found = the(diagnose(tmp_path / "a'b\x1b[2J.npz"), "other-format")
    assert found.command == f"fastckpt convert $'{tmp_path}/a\\047b\\033[2J.npz' NEW-PREFIX"
    assert bash_words(found.command)[2] == f"{tmp_path}/a'b\x1b[2J.npz"


def bash_words(command: str) -> list[str]:
    """The words that a shell makes of a command."""
    printed = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {command}"], check=True, capture_output=True
    )
    return printed.stdout.decode().split("\0")[:-1]


# --- what stands in place of a shard -------------------------------------------------------------


@pytest.mark.parametrize("padding", [0, 1000], ids=["shorter", "longer"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<!DOCTYPE html><title>Sign in</title>", "is an HTML page"),
        (b'<?xml version="1.0"?>\n<Error><Code>AccessDenied', "error message of an object store"),
        (b"\x1f\x8b\x08", "is a gzip archive"),
    ],
)
def test_a_shard_that_is_something_else(
    tmp_path: Path, content: bytes, words: str, padding: int
) -> None:
    prefix = save(tmp_path / "m")
    shard_of(prefix).write_bytes(content + b"x" * padding)
    found = the(diagnose(prefix), "other-format")
    assert words in found.what
    assert sorted(found.tensors) == ["a", "b", "c", "d"]


def test_a_shard_under_nearly_its_name(tmp_path: Path) -> None:
    prefix = save(tmp_path / "m")
    name = shard_of(prefix).name
    os.rename(shard_of(prefix), tmp_path / f"{name} (1)")
    assert f"rename '{name} (1)' to '{name}'" in (
        the(diagnose(prefix), "missing-shards").fix or ""
    )


def test_a_shard_that_is_a_link_to_nothing_or_a_directory(tmp_path: Path) -> None:
    prefix = save(tmp_path / "m", 2)
    first, second = (tmp_path / f"m.data-0000{i}-of-00002" for i in range(2))
    second.unlink()
    second.symlink_to("/nowhere/blob")
    assert "link to '/nowhere/blob'" in the(diagnose(prefix), "missing-shard").what
    first.unlink()
    second.unlink()
    second.mkdir()
    assert codes(diagnose(prefix)) == ["missing-shards"]
    os.rename(save(tmp_path / "n").with_name("n.data-00000-of-00001"), first)
    assert "is a directory" in the(diagnose(prefix), "missing-shard").what
