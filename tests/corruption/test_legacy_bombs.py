"""Small V1 files that ask for large memory or endless work: the bound of test_bombs.py holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from corruption.test_bombs import (
    ADDRESS_SPACE_BYTES,
    ALLOWANCE_BYTES,
    HANG_S,
    NOISE_BYTES,
    USE,
    snappy_zeros,
)
from oracle import Block, assemble, encode_block, slice_key
from oracle.coding import bytes_field
from oracle.entry import encode_slice
from oracle.legacy import MetaItem, V1File, encode_record
from oracle.table import RAW, SNAPPY


def meta_only(*items: MetaItem | bytes) -> bytes:
    """A file that tells of tensors and holds none."""
    return V1File(items=list(items)).table()


def raw_table(*blocks: tuple[bytes, int]) -> bytes:
    """A table of these stored blocks, under index keys in order."""
    return assemble(
        [Block(stored, b"\xff" * (i + 1), kind) for i, (stored, kind) in enumerate(blocks)]
    )


def huge_shapes() -> bytes:
    """Tensors of 2^40 elements, each with an empty record."""
    v1 = V1File()
    for dtype in (1, 7, 9, 10, 18):
        name = b"t%d" % dtype
        v1.items.append(MetaItem(name, (2**40,), dtype, [[None]]))
        v1.records[slice_key(name, [None])] = encode_record(name, [None], b"")
    return v1.table()


def one_record_for_all(count: int) -> bytes:
    """Many tensors that all lie in one large block, which holds none of them."""
    v1 = V1File()
    v1.items += [MetaItem(b"%06d" % i, (1,), 1, [[None]]) for i in range(count)]
    v1.records[b"\xff"] = bytes(4 << 20)
    return v1.table()


def overlapping(count: int) -> bytes:
    """One tensor of many slices that share a row each with the next."""
    slices = [[(0, 1), (i, 2)] for i in range(0, 2 * count, 2)] + [[(0, 1), (0, 2 * count)]]
    return meta_only(MetaItem(b"t", (1, 2 * count), 1, slices))


BOMBS: dict[str, Callable[[], bytes]] = {
    "items_of_nothing": lambda: meta_only(*[b""] * 1_000_000),
    "items_of_nothing_compressed": lambda: raw_table(
        (encode_block([(b"", bytes_field(1, bytes_field(1, b"") * 16))]), RAW),
        (snappy_zeros(64 << 20), SNAPPY),
    ),
    "slices_of_nothing": lambda: meta_only(
        MetaItem(b"t", (), 1, extra=bytes_field(4, b"") * 500_000)
    ),
    "slices_of_high_rank": lambda: meta_only(
        MetaItem(b"t", (1,) * 254, 1, extra=bytes_field(4, encode_slice([None] * 254)) * 2000)
    ),
    "dims_of_nothing": lambda: meta_only(
        MetaItem(b"t", (), 1, extra=bytes_field(2, bytes_field(2, b"") * 500_000))
    ),
    "meta_is_zeros_compressed": lambda: raw_table((snappy_zeros(64 << 20), SNAPPY)),
    "huge_shapes": huge_shapes,
    "one_record_for_all": lambda: one_record_for_all(3000),
    "overlapping_slices": lambda: overlapping(20_000),
}


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
@pytest.mark.skipif(
    "FASTCKPT_SANITIZED" in os.environ, reason="AddressSanitizer reserves terabytes"
)
@pytest.mark.parametrize("on_damage", ["raise", "skip"])
@pytest.mark.parametrize("name", BOMBS)
def test_bomb(name: str, on_damage: str, tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(BOMBS[name]())
    done = subprocess.run(
        [sys.executable, "-c", USE, str(path), on_damage, str(ADDRESS_SPACE_BYTES)],
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    outcome, allocated = json.loads(done.stdout)
    assert outcome != "read" or on_damage == "skip"
    assert allocated < ALLOWANCE_BYTES + 4 * path.stat().st_size + NOISE_BYTES
