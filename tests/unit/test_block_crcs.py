"""Block checksums: parts of large tensors are verified without the rest; damage is located."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import fastckpt
import oracle

MIB = 1 << 20
BLOCK = 4096
BACKENDS = ["mmap", "pread", "direct"]
DTYPES = ["u1", "<i2", "<f4", "<c16", "?", ml_dtypes.bfloat16, ml_dtypes.int4]


def add_blocks(bundle: oracle.Bundle, block_size: int = BLOCK, *names: bytes) -> None:
    """Give entries (all that have bytes, by default) the checksums of their blocks."""
    for name in names or bundle.entries:
        entry = bundle.entry(name)
        if not entry.slices:
            stored = bundle.shards[entry.shard_id][entry.offset :][: entry.size]
            entry.extra = oracle.block_crcs(bytes(stored), block_size)


def with_blocks(
    folder: Path, tensors: Any, block_size: int = BLOCK, *, damage: int | None = None, **how: Any
) -> str:
    """Write a checkpoint whose tensors have block checksums; `damage` flips a byte of shard 0."""
    bundle = oracle.build_bundle(tensors, **how)
    add_blocks(bundle, block_size)
    if damage is not None:
        bundle.shards[0][damage] ^= 0x10
    bundle.write(folder / "m.ckpt")
    return str(folder / "m.ckpt")


def random_index(rng: random.Random, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """Some basic index; most of them small, so that few blocks are touched."""
    items: list[Any] = []
    for size in shape[: rng.randint(0, len(shape))]:
        start, stop = sorted(rng.randint(0, size) for _ in "ab")
        step = rng.choice([1, 1, 2, 3, size])
        choices = [
            rng.randrange(-size, size),
            slice(start, min(stop, start + rng.randint(0, 3))),
            slice(start, stop, step),
            slice(None, None, -step),
            slice(None),
        ]
        items.append(rng.choice(choices))
    return tuple(items)


# --- what is read --------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
class TestLargeTensor:
    """64 MiB of float32 in 4 MiB blocks and rows of 1 MiB + 4 bytes, most of them zeros."""

    COLUMNS = MIB // 4 + 1
    ROWS = 64 * MIB // (4 * COLUMNS)

    @pytest.fixture
    def values(self) -> np.ndarray:
        values = np.zeros((self.ROWS, self.COLUMNS), np.float32)
        values[:, ::1000] = np.arange(self.ROWS)[:, None]
        return values

    def written(self, folder: Path, values: np.ndarray, damage: int | None = None) -> str:
        return with_blocks(folder, {"a": np.arange(5), "w": values}, 4 * MIB, damage=damage)

    def test_one_row_touches_two_blocks_at_most(
        self, tmp_path: Path, values: np.ndarray, backend: Any
    ) -> None:
        prefix = self.written(tmp_path, values)
        row_bytes = values[0].nbytes
        for row in range(self.ROWS):
            with fastckpt.open(prefix, backend=backend) as ckpt:
                np.testing.assert_array_equal(ckpt.tensor("w")[row], values[row])
                first, last = (
                    row * row_bytes // (4 * MIB),
                    ((row + 1) * row_bytes - 1) // (4 * MIB),
                )
                stored = min((last + 1) * 4 * MIB, values.nbytes) - first * 4 * MIB
                assert ckpt.bytes_read == stored + row_bytes
                assert ckpt.bytes_read <= 8 * MIB + row_bytes

    def test_no_block_is_verified_twice(
        self, tmp_path: Path, values: np.ndarray, backend: Any
    ) -> None:
        with fastckpt.open(self.written(tmp_path, values), backend=backend) as ckpt:
            handle = ckpt.tensor("w")
            for row in range(self.ROWS):
                assert handle[row, 1000] == row
            assert ckpt.bytes_read == values.nbytes + self.ROWS * 4
            before = ckpt.bytes_read
            handle[3:5]
            # Every block was verified, and so was the tensor: a view touches nothing more.
            if backend == "mmap":
                np.testing.assert_array_equal(ckpt["w"], values)
            assert ckpt.bytes_read == before + 2 * values[0].nbytes

    def test_a_wide_selection_verifies_the_whole(
        self, tmp_path: Path, values: np.ndarray, backend: Any
    ) -> None:
        with fastckpt.open(self.written(tmp_path, values), backend=backend) as ckpt:
            handle = ckpt.tensor("w")
            np.testing.assert_array_equal(handle[:, 1000], values[:, 1000])
            assert ckpt.bytes_read == values.nbytes + self.ROWS * 4
            handle[7]
            assert ckpt.bytes_read == values.nbytes + self.ROWS * 4 + values[0].nbytes

    def test_damage_concerns_its_block(
        self, tmp_path: Path, values: np.ndarray, backend: Any
    ) -> None:
        start = 40  # the bytes of "a"
        prefix = self.written(tmp_path, values, damage=start + 20 * MIB + 77)
        with fastckpt.open(prefix, backend=backend) as ckpt:
            handle = ckpt.tensor("w")
            np.testing.assert_array_equal(handle[3], values[3])
            np.testing.assert_array_equal(handle[40:50], values[40:50])
            assert not np.isnan(handle[3::40, 5]).any()
            for read in (lambda: handle[20], lambda: handle[20, :5], lambda: handle[18:25:3, -1]):
                with pytest.raises(
                    fastckpt.DataLossError, match="bytes 20971520 to 25165824"
                ) as e:
                    read()
                assert e.value.offset == start + 20 * MIB
                assert e.value.key == "w"
                assert str(e.value.path).endswith(".data-00000-of-00001")
            for read in (lambda: ckpt["w"], handle.read, handle.verify, ckpt.load):
                with pytest.raises(fastckpt.DataLossError, match="1 of its 16 blocks") as e:
                    read()
                assert e.value.offset == start + 20 * MIB
            (failure,) = ckpt.verify().failures
            assert failure.name == "w"
            assert failure.error.offset == start + 20 * MIB  # type: ignore[attr-defined]
            np.testing.assert_array_equal(handle[3], values[3])

    def test_switched_off(self, tmp_path: Path, values: np.ndarray, backend: Any) -> None:
        prefix = self.written(tmp_path, values, damage=40 + 20 * MIB)
        with fastckpt.open(prefix, backend=backend, verify="off") as ckpt:
            assert ckpt.tensor("w")[20].shape == (self.COLUMNS,)
            assert ckpt.bytes_read == values[0].nbytes


def test_without_block_checksums_nothing_changes(tmp_path: Path) -> None:
    values = np.arange(50_000, dtype=np.int32).reshape(500, 100)
    bundle = oracle.build_bundle({"w": values})
    bundle.shards[0][9000] ^= 1
    bundle.write(tmp_path / "m.ckpt")
    with fastckpt.open(tmp_path / "m.ckpt") as ckpt:
        with pytest.raises(fastckpt.DataLossError, match=r"damaged \(stored") as caught:
            ckpt.tensor("w")[0]
        assert caught.value.offset == 0
        assert "the damage begins" not in str(caught.value)


# --- any selection -------------------------------------------------------------------------------


@pytest.mark.parametrize("byte_order", ["little", "big"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_any_selection_of_any_tensor(tmp_path: Path, backend: Any, byte_order: Any) -> None:
    rng = random.Random(f"{backend} {byte_order}")
    for number in range(40):
        shape = tuple(rng.choice([1, 2, 7, 30, 61]) for _ in range(rng.randint(1, 4)))
        count = int(np.prod(shape))
        dtype = np.dtype(rng.choice(DTYPES))
        values = (np.arange(count) % 5).astype(dtype).reshape(shape)
        folder = tmp_path / str(number)
        folder.mkdir()
        block_size = rng.choice([4096, 4097, 5000, 10_000, 65_536])
        tensors = {"a": np.arange(3, dtype=np.int8), "w": values}
        prefix = with_blocks(folder, tensors, block_size, byte_order=byte_order)
        with fastckpt.open(prefix, backend=backend) as ckpt:
            handle = ckpt.tensor("w")
            for _ in range(15):
                index = random_index(rng, shape)
                found, wanted = handle[index], values[index]
                assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
                assert found.tobytes() == wanted.tobytes(), (shape, dtype, index, block_size)


@pytest.mark.parametrize("backend", BACKENDS)
def test_damaged_elements_are_never_given(tmp_path: Path, backend: Any) -> None:
    """A selection is right, or refused; one that holds the damaged element is refused."""
    rng = random.Random(backend)
    refused = given = 0
    for number in range(60):
        shape = tuple(rng.choice([3, 7, 30, 61]) for _ in range(rng.randint(2, 3)))
        values = np.arange(int(np.prod(shape)), dtype=np.float64).reshape(shape)
        victim = rng.randrange(values.size)
        folder = tmp_path / str(number)
        folder.mkdir()
        prefix = with_blocks(folder, {"w": values}, damage=victim * 8 + rng.randrange(8))
        touched = np.zeros(shape, bool)
        touched.flat[victim] = True
        with fastckpt.open(prefix, backend=backend) as ckpt:
            handle = ckpt.tensor("w")
            for _ in range(20):
                index = random_index(rng, shape)
                try:
                    found = handle[index]
                except fastckpt.DataLossError:
                    refused += 1
                    continue
                given += bool(found.size)
                assert not touched[index].any()
                np.testing.assert_array_equal(found, values[index])
    assert refused > 100
    assert given > 100


@pytest.mark.parametrize("backend", BACKENDS)
def test_parts_of_a_partitioned_tensor(tmp_path: Path, backend: Any) -> None:
    values = np.arange(60 * 1000, dtype=np.float32).reshape(60, 1000)
    slices = [([(at, 20), None], values[at : at + 20]) for at in (0, 20, 40)]
    tensors = {"w": oracle.Slices(values.shape, slices)}
    # Part 1 stands at 80 000; byte 30 000 of it is in its row 7.
    prefix = with_blocks(tmp_path, tensors, damage=80_000 + 30_000)
    with fastckpt.open(prefix, backend=backend) as ckpt:
        handle = ckpt.tensor("w")
        np.testing.assert_array_equal(handle[5], values[5])
        assert ckpt.bytes_read == 2 * BLOCK + 4000
        np.testing.assert_array_equal(handle[10:26, 3:5], values[10:26, 3:5])
        with pytest.raises(fastckpt.DataLossError) as caught:
            handle[19:29]
        assert caught.value.offset == 80_000 + 30_000 // BLOCK * BLOCK
        assert caught.value.key == "w"
        np.testing.assert_array_equal(handle[29:], values[29:])
        with pytest.raises(fastckpt.DataLossError):
            handle.read()


# --- strings -------------------------------------------------------------------------------------


def test_damage_in_strings_is_located(tmp_path: Path) -> None:
    values = [b"x" * 3000] * 5
    with fastckpt.open(with_blocks(tmp_path, {"s": values})) as ckpt:
        assert ckpt["s"].tolist() == values
    with fastckpt.open(with_blocks(tmp_path, {"s": values}, damage=9000)) as ckpt:
        with pytest.raises(fastckpt.DataLossError, match="1 of its 4 blocks") as caught:
            ckpt["s"]
        assert caught.value.offset == 8192
        with pytest.raises(fastckpt.DataLossError):
            ckpt.tensor("s")[0]


# --- fields that cannot be used ------------------------------------------------------------------

VALUES = np.arange(5000, dtype=np.float32).reshape(50, 100)
DATA = VALUES.tobytes()
GOOD_FIELD = oracle.block_crcs(DATA, BLOCK)
PACKED = GOOD_FIELD[-20:]
BAD_FIELDS = {
    "twice": GOOD_FIELD * 2,
    "empty": oracle.coding.bytes_field(1000, b""),
    "number": oracle.coding.varint_field(1000, 5),
    "block_size_zero": oracle.block_crcs_field(0, PACKED),
    "block_size_small": oracle.block_crcs(DATA, 4095),
    "block_size_huge": oracle.block_crcs_field(2**64 - 1, PACKED),
    "block_size_other": oracle.block_crcs_field(4097, PACKED),
    "one_missing": oracle.block_crcs_field(BLOCK, PACKED[:-4]),
    "one_too_many": oracle.block_crcs_field(BLOCK, PACKED + bytes(4)),
    "half_missing": oracle.block_crcs_field(BLOCK, PACKED[:-2]),
    "none": oracle.block_crcs_field(BLOCK, b""),
    "many": oracle.block_crcs_field(BLOCK, bytes(4 * 100_000)),
    "zeros": oracle.block_crcs_field(BLOCK, bytes(20)),
    "swapped": oracle.block_crcs_field(BLOCK, PACKED[4:8] + PACKED[:4] + PACKED[8:]),
    "of_other_bytes": oracle.block_crcs(DATA[::-1], BLOCK),
}


def forged(folder: Path, extra: bytes, damage: int | None = None) -> Path:
    bundle = oracle.build_bundle({"w": VALUES})
    bundle.entry("w").extra = extra
    if damage is not None:
        bundle.shards[0][damage] ^= 1
    bundle.write(folder / "m.ckpt")
    return folder / "m.ckpt"


@pytest.mark.parametrize("name", BAD_FIELDS)
def test_bad_fields_are_ignored(tmp_path: Path, name: str) -> None:
    with fastckpt.open(forged(tmp_path, BAD_FIELDS[name])) as ckpt:
        np.testing.assert_array_equal(ckpt.tensor("w")[7], VALUES[7])
        assert ckpt.bytes_read == VALUES.nbytes + VALUES[7].nbytes, "verified whole"
        np.testing.assert_array_equal(ckpt["w"], VALUES)
        assert ckpt.verify().ok
    with fastckpt.open(forged(tmp_path, BAD_FIELDS[name], damage=19_000)) as ckpt:
        with pytest.raises(fastckpt.DataLossError) as caught:
            ckpt.tensor("w")[7]
        assert caught.value.offset == 0


def test_no_flipped_bit_of_the_field_hands_out_damaged_bytes(tmp_path: Path) -> None:
    given = 0
    for bit in range(len(GOOD_FIELD) * 8):
        flipped = bytearray(GOOD_FIELD)
        flipped[bit // 8] ^= 1 << bit % 8
        # Byte 8000 is in row 20, and in the second block.
        with fastckpt.open(forged(tmp_path, bytes(flipped), damage=8000)) as ckpt:
            handle = ckpt.tensor("w")
            for row in (0, 20, 49):
                with pytest.raises(fastckpt.DataLossError):
                    handle[row]
            with pytest.raises(fastckpt.DataLossError):
                ckpt["w"]
        with fastckpt.open(forged(tmp_path, bytes(flipped))) as ckpt:
            try:
                np.testing.assert_array_equal(ckpt.tensor("w")[20], VALUES[20])
                given += 1
            except fastckpt.DataLossError:
                # The entry is no message any more, or its other fields are others.
                assert bit < 5 * 8
    assert given > len(PACKED) * 8


def test_a_truncated_file_is_data_loss(tmp_path: Path) -> None:
    path = forged(tmp_path, GOOD_FIELD)
    with fastckpt.open(path) as ckpt:
        Path(f"{path}.data-00000-of-00001").write_bytes(DATA[:9000])
        with pytest.raises(fastckpt.DataLossError):
            ckpt.tensor("w")[0]
        with pytest.raises(fastckpt.DataLossError):
            ckpt.tensor("w")[49]
