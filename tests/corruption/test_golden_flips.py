"""Every single-bit flip and every truncation of the golden checkpoints is noticed.

Damage of the index raises when the checkpoint is opened or read; the few bytes that no reader
needs (metaindex block, footer padding) leave the data equal and are found by verify(). Damage of
tensor data is found by reading and by verify(), and the damaged tensor is named.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import fastckpt
from golden.manifest import ExpectedCheckpoint, assert_tensor, golden

READABLE = ("linear", "types", "sharded", "object")
EXHAUSTIVE_INDEX_BITS = 5000  # a longer index is sampled down to this many flips
SEED = 6


class Extent(NamedTuple):
    """The stored bytes of one tensor."""

    name: str
    file: str
    start: int
    stop: int


class Victim:
    """A scratch copy of a golden checkpoint whose files are damaged and healed in place."""

    def __init__(self, expected: ExpectedCheckpoint, folder: Path) -> None:
        self.expected = expected
        self.prefix = expected.copy_to(folder)
        self.index = Path(f"{self.prefix}.index")
        self.shards = sorted(folder.glob(f"{self.prefix.name}.data-*"))

    def flip(self, path: Path, bit: int) -> None:
        """Invert one bit of a file; a second call heals it."""
        with path.open("r+b", buffering=0) as file:
            file.seek(bit // 8)
            byte = file.read(1)[0]
            file.seek(bit // 8)
            file.write(bytes([byte ^ (1 << bit % 8)]))

    def extents(self) -> list[Extent]:
        """Where each tensor's bytes lie; stock files have no gaps between tensors."""
        with fastckpt.open(self.prefix) as ckpt:
            handles = sorted(ckpt.tensors(), key=lambda h: (h.shard, h.offset))
            starts = [(h.shard, h.offset, h.name) for h in handles]
        found = []
        for (shard, start, name), following in zip(starts, [*starts[1:], None], strict=True):
            path = self.shards[shard]
            same_shard = following is not None and following[0] == shard
            stop = following[1] if following and same_shard else path.stat().st_size
            if stop > start:
                found.append(Extent(name, path.name, start, stop))
        return found


@pytest.fixture(params=READABLE)
def victim(request: pytest.FixtureRequest, tmp_path: Path) -> Victim:
    return Victim(golden(request.param), tmp_path)


def judge(victim: Victim) -> str:
    """Open, list and read everything: how the damage of the index is noticed."""
    expected = victim.expected.tensors
    try:
        with fastckpt.open(victim.prefix) as ckpt:
            values = {name: ckpt[name] for name in ckpt}
            report = ckpt.verify()
    except fastckpt.CheckpointError:
        return "raised"
    assert list(values) == [tensor.name for tensor in expected]
    for tensor in expected:
        assert_tensor(values[tensor.name], tensor)
    return "intact" if report.ok else "verified"


def sampled_bits(size_bytes: int) -> Iterator[int]:
    """All bits of a small file, a fixed sample of a large one with its last 48 bytes in full."""
    bits = range(size_bytes * 8)
    footer = size_bytes * 8 - 48 * 8
    if len(bits) <= EXHAUSTIVE_INDEX_BITS:
        yield from bits
        return
    yield from sorted(random.Random(SEED).sample(range(footer), EXHAUSTIVE_INDEX_BITS))
    yield from range(footer, len(bits))


def test_undamaged_copy_is_intact(victim: Victim) -> None:
    assert judge(victim) == "intact"


def test_index_bit_flips(victim: Victim) -> None:
    verdicts: Counter[str] = Counter()
    unnoticed = []
    for bit in sampled_bits(victim.index.stat().st_size):
        victim.flip(victim.index, bit)
        verdict = judge(victim)
        victim.flip(victim.index, bit)
        verdicts[verdict] += 1
        if verdict == "intact":
            unnoticed.append(divmod(bit, 8))
    assert unnoticed == [], "as (byte, bit)"
    # The 8-byte metaindex block and about 30 bytes of padding concern no reader.
    assert verdicts["verified"] > 8 * 20
    assert verdicts["raised"] > verdicts["verified"]
    assert judge(victim) == "intact"


def test_index_truncations(victim: Victim) -> None:
    data = victim.index.read_bytes()
    for length in range(len(data)):
        victim.index.write_bytes(data[:length])
        with pytest.raises(fastckpt.DataLossError):
            fastckpt.open(victim.prefix)


def test_index_extensions(victim: Victim) -> None:
    data = victim.index.read_bytes()
    for tail in (b"\0", b"\0" * 48, data[-48:-1], b"\xff" * 4096):
        victim.index.write_bytes(data + tail)
        with pytest.raises(fastckpt.DataLossError):
            fastckpt.open(victim.prefix)


def test_data_bit_flips(victim: Victim) -> None:
    damaged = 0
    for extent in victim.extents():
        path = victim.prefix.parent / extent.file
        for bit in range(extent.start * 8, extent.stop * 8):
            victim.flip(path, bit)
            assert_only_damaged(victim, {extent.name}, read_others=bit % 64 == 0)
            victim.flip(path, bit)
            damaged += 1
    assert damaged == sum(path.stat().st_size for path in victim.shards) * 8


def test_data_truncations(victim: Victim) -> None:
    extents = victim.extents()
    for path in victim.shards:
        data = path.read_bytes()
        for length in range(len(data)):
            path.write_bytes(data[:length])
            cut = {e.name for e in extents if e.file == path.name and e.stop > length}
            assert_only_damaged(victim, cut, read_others=length % 8 == 0)
        path.write_bytes(data)


def assert_only_damaged(victim: Victim, names: set[str], *, read_others: bool) -> None:
    """Check that reading and verify() find exactly the tensors in `names`, and name them."""
    with fastckpt.open(victim.prefix) as ckpt:
        for name in names:
            with pytest.raises(fastckpt.DataLossError) as caught:
                ckpt[name]
            assert caught.value.key == name
        report = ckpt.verify()
        assert not report.ok
        assert {failure.name for failure in report.failures} == names
        for tensor in victim.expected.tensors if read_others else ():
            if tensor.name not in names:
                assert_tensor(ckpt[tensor.name], tensor)
