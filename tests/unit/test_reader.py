"""What open, Checkpoint and StoredTensor promise, on the golden checkpoints."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import fastckpt
from golden.manifest import assert_tensor, golden

W = np.arange(6, dtype=np.float32).reshape(3, 2) / 4


@pytest.fixture
def linear(tmp_path: Path) -> Path:
    """The prefix of a scratch copy of the golden checkpoint `linear`."""
    return golden("linear").copy_to(tmp_path / "linear")


@pytest.fixture
def ckpt(linear: Path) -> Iterator[fastckpt.Checkpoint]:
    with fastckpt.open(linear) as opened:
        yield opened


def flip_data_bit(prefix: Path, offset: int = 0) -> None:
    """Damage one byte of the first shard."""
    shard = next(prefix.parent.glob(f"{prefix.name}.data-00000-of-*"))
    data = bytearray(shard.read_bytes())
    data[offset] ^= 0x10
    shard.write_bytes(data)


# --- open ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["", ".index", ".data-00000-of-00001"])
@pytest.mark.parametrize("kind", [str, Path])
def test_open_by_any_file(linear: Path, suffix: str, kind: type) -> None:
    with fastckpt.open(kind(f"{linear}{suffix}")) as opened:
        assert opened.prefix == str(linear)
        np.testing.assert_array_equal(opened["w"], W)


def test_open_by_folder(linear: Path) -> None:
    with fastckpt.open(linear.parent) as opened:
        assert opened.prefix == str(linear)


def test_prefix_wins_over_a_folder_of_the_same_name(linear: Path) -> None:
    golden("object").copy_to(linear)
    with fastckpt.open(linear) as opened:
        assert opened.prefix == str(linear)


def test_brackets_in_a_path_are_taken_literally(tmp_path: Path) -> None:
    prefix = golden("linear").copy_to(tmp_path / "run[1]*?")
    with fastckpt.open(prefix) as opened:
        assert "w" in opened


def test_missing_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(fastckpt.CheckpointNotFoundError, match="nowhere") as caught:
        fastckpt.open(tmp_path / "nowhere")
    assert isinstance(caught.value, FileNotFoundError)


@pytest.mark.parametrize("option", ["verify", "backend", "on_damage"])
def test_unknown_mode(linear: Path, option: str) -> None:
    with pytest.raises(fastckpt.InvalidArgumentError, match="sometimes"):
        fastckpt.open(linear, **{option: "sometimes"})


@pytest.mark.parametrize("backend", ["auto", "mmap", "pread", "direct"])
def test_backends_agree(backend: str) -> None:
    for name in ("linear", "types", "sharded", "object"):
        expected = golden(name)
        with fastckpt.open(expected.prefix, backend=backend) as opened:
            for tensor in expected.tensors:
                assert_tensor(opened[tensor.name], tensor)
            assert opened.verify().ok


# --- verify modes --------------------------------------------------------------------------------


def test_lazy_verification_finds_damage_at_first_use(linear: Path) -> None:
    flip_data_bit(linear)
    with fastckpt.open(linear) as opened:
        for _ in range(2):
            with pytest.raises(fastckpt.DataLossError) as caught:
                opened["b"]
            assert caught.value.key == "b"
        np.testing.assert_array_equal(opened["w"], W)


def test_eager_verification_finds_damage_at_open(linear: Path) -> None:
    flip_data_bit(linear)
    with pytest.raises(fastckpt.DataLossError, match="'b'"):
        fastckpt.open(linear, verify="eager")


def test_verification_off_hands_out_the_stored_bytes(linear: Path) -> None:
    flip_data_bit(linear)
    with fastckpt.open(linear, verify="off") as opened:
        assert opened["b"].tobytes() == bytes.fromhex("1000003f000000bf")
        assert not opened.verify().ok


def test_verify_reports_every_failure(linear: Path) -> None:
    for offset in (0, 16, 40):
        flip_data_bit(linear, offset)
    with fastckpt.open(linear) as opened:
        damaged = [h.name for h in opened.tensors()
                   if any(h.offset <= at < h.offset + h.nbytes for at in (0, 16, 40))]  # fmt: skip
        report = opened.verify()
        assert len(damaged) == 3
        assert not report.ok
        assert sorted(failure.name for failure in report.failures) == damaged
        assert report.tensors == len(opened)
        assert opened.verify(["w"]).ok == ("w" not in damaged)


def test_verify_reads_again_every_time(linear: Path) -> None:
    with fastckpt.open(linear, backend="pread") as opened:
        assert opened.verify().ok
        shard = Path(f"{linear}.data-00000-of-00001")
        with shard.open("r+b") as file:
            file.write(b"\xff")
        assert [failure.name for failure in opened.verify().failures] == ["b"]


# --- Mapping -------------------------------------------------------------------------------------


def test_mapping(ckpt: fastckpt.Checkpoint) -> None:
    names = [tensor.name for tensor in golden("linear").tensors]
    assert isinstance(ckpt, Mapping)
    assert list(ckpt) == list(ckpt.keys()) == names
    assert len(ckpt) == len(names)
    assert "w" in ckpt
    assert "W" not in ckpt
    assert 3 not in ckpt
    assert ckpt.get("W") is None
    assert [name for name, _ in ckpt.items()] == names


def test_equality_is_identity(linear: Path) -> None:
    with fastckpt.open(linear) as one, fastckpt.open(linear) as other:
        assert one == one
        assert one != other
        assert len({one, other}) == 2


def test_unknown_name_lists_near_ones(ckpt: fastckpt.Checkpoint) -> None:
    for access in (ckpt.__getitem__, ckpt.tensor, lambda name: ckpt.load([name])):
        with pytest.raises(fastckpt.TensorNotFoundError, match="tower_0/dense/kernel") as caught:
            access("tower_0/dense/kernl")
        assert isinstance(caught.value, KeyError)
        assert caught.value.key == "tower_0/dense/kernl"


def test_attributes(ckpt: fastckpt.Checkpoint, linear: Path) -> None:
    assert ckpt.format == "v2"
    assert ckpt.num_shards == 1
    assert {Path(file) for file in ckpt.files} == {
        Path(f"{linear}.index"),
        Path(f"{linear}.data-00000-of-00001"),
    }
    assert ckpt.nbytes == 88
    assert ckpt.byteorder == "little"
    assert not ckpt.damage


def test_close(linear: Path) -> None:
    opened = fastckpt.open(linear)
    handle, view = opened.tensor("w"), opened["w"]
    opened.close()
    opened.close()
    for use in (lambda: opened["w"], lambda: opened.tensor("w"), opened.load, opened.verify):
        with pytest.raises(fastckpt.ClosedError):
            use()
    np.testing.assert_array_equal(view, W)
    np.testing.assert_array_equal(handle.read(), W)


# --- StoredTensor --------------------------------------------------------------------------------


def test_handle_describes_without_reading(linear: Path) -> None:
    flip_data_bit(linear)
    with fastckpt.open(linear) as opened:
        handle = opened.tensor("b")
    assert (handle.name, handle.dtype, handle.tf_dtype) == ("b", np.dtype(np.float32), "float32")
    assert (handle.shape, handle.ndim, handle.size, handle.nbytes) == ((2,), 1, 2, 8)
    assert (handle.shard, handle.offset) == (0, 0)
    assert handle.can_view


def test_handle_crc_is_unmasked(ckpt: fastckpt.Checkpoint) -> None:
    crc32c = pytest.importorskip("crc32c")
    for handle in ckpt.tensors():
        assert handle.crc32c == crc32c.crc32c(ckpt[handle.name].tobytes())


def test_read_gives_an_owned_aligned_array(ckpt: fastckpt.Checkpoint) -> None:
    for handle in ckpt.tensors():
        values = handle.read()
        assert values.flags.writeable
        assert values.flags.owndata
        assert values.flags.aligned
        assert values.flags.c_contiguous
        np.testing.assert_array_equal(values, ckpt[handle.name])


def test_read_into_out(ckpt: fastckpt.Checkpoint) -> None:
    out = np.full((3, 2), np.nan, np.float32)
    assert ckpt.tensor("w").read(out=out) is out
    np.testing.assert_array_equal(out, W)


@pytest.mark.parametrize(
    "out", [np.zeros((2, 3), np.float32), np.zeros((3, 2)), np.zeros(6, np.float32)]
)
def test_read_into_a_wrong_out(ckpt: fastckpt.Checkpoint, out: np.ndarray) -> None:
    with pytest.raises(fastckpt.InvalidArgumentError):
        ckpt.tensor("w").read(out=out)
    assert not out.any()


def test_read_into_a_read_only_out(ckpt: fastckpt.Checkpoint) -> None:
    out = np.zeros((3, 2), np.float32)
    out.flags.writeable = False
    with pytest.raises(fastckpt.InvalidArgumentError):
        ckpt.tensor("w").read(out=out)
    assert not out.any()


def test_asarray(ckpt: fastckpt.Checkpoint) -> None:
    np.testing.assert_array_equal(np.asarray(ckpt.tensor("w")), W)
    assert np.asarray(ckpt.tensor("w"), dtype=np.float64).dtype == np.float64


def test_item_access_is_read_only() -> None:
    for name in ("linear", "types", "sharded", "object"):
        with fastckpt.open(golden(name).prefix) as opened:
            for key, values in opened.items():
                assert isinstance(values, np.ndarray), key
                assert not values.flags.writeable, key
                if opened.tensor(key).can_view and values.size:
                    with pytest.raises(ValueError, match="WRITEABLE"):
                        values.flags.writeable = True


def test_what_has_no_view_is_refused() -> None:
    with fastckpt.open(golden("types").prefix) as opened:
        for name in ("string/mixed", "string/scalar", "string/none"):
            assert not opened.tensor(name).can_view
            with pytest.raises(fastckpt.UnsupportedError, match=name):
                opened.tensor(name).view()


def test_views_of_plain_dtypes() -> None:
    with fastckpt.open(golden("types").prefix) as opened:
        handle = opened.tensor("plain/bfloat16")
        assert handle.can_view
        view = handle.view()
        assert not view.flags.owndata
        assert view.dtype == np.dtype(ml_dtypes.bfloat16)
        unaligned = [h.name for h in opened.tensors() if h.can_view
                     and not h.view().flags.aligned]  # fmt: skip
    assert unaligned, "stock files pack tensors without alignment"


def test_verify_one_tensor(linear: Path) -> None:
    flip_data_bit(linear)
    with fastckpt.open(linear) as opened:
        opened.tensor("w").verify()
        with pytest.raises(fastckpt.DataLossError):
            opened.tensor("b").verify()


# --- pickling ------------------------------------------------------------------------------------


def test_pickle(ckpt: fastckpt.Checkpoint) -> None:
    with pickle.loads(pickle.dumps(ckpt)) as copy:
        assert copy.prefix == ckpt.prefix
        np.testing.assert_array_equal(copy["w"], W)


def test_pickle_of_another_checkpoint(ckpt: fastckpt.Checkpoint, linear: Path) -> None:
    data = pickle.dumps(ckpt)
    shutil.copyfile(f"{golden('object').prefix}.index", f"{linear}.index.new")
    Path(f"{linear}.index.new").rename(f"{linear}.index")
    with pytest.raises(fastckpt.CheckpointChangedError):
        pickle.loads(data)


def test_pickle_of_a_missing_checkpoint(ckpt: fastckpt.Checkpoint, linear: Path) -> None:
    data = pickle.dumps(ckpt)
    Path(f"{linear}.index").unlink()
    with pytest.raises(fastckpt.CheckpointError):
        pickle.loads(data)


def test_open_checkpoint_ignores_an_overwrite(ckpt: fastckpt.Checkpoint, linear: Path) -> None:
    shard = Path(f"{linear}.data-00000-of-00001")
    fresh = shard.with_name("fresh")
    fresh.write_bytes(bytes(88))
    fresh.rename(shard)
    np.testing.assert_array_equal(ckpt["w"], W)
    assert ckpt.verify().ok
