"""Small files that ask for large memory or endless work are refused within the promised bound.

The bound: no file makes the process allocate more than 16 MiB + 4 x the bytes actually present.
Each bomb is opened in a process of its own under a limit of address space, so that a failure does
not take the test run with it.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from corruption import forge
from corruption.forge import entry, header
from oracle import encode_block
from oracle.coding import encode_varint
from oracle.entry import encode_shape

ALLOWANCE_BYTES = 16 << 20
# Between two readings of the peak: what Python itself takes to make and print an error.
NOISE_BYTES = 4 << 20
ADDRESS_SPACE_BYTES = 8 << 30
HANG_S = 120

USE = """
import json, re, resource, sys
import fastckpt
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[3]),) * 2)
def read_status(field):
    return int(re.search(field + r":\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
open("/proc/self/clear_refs", "w").write("5")
before = read_status("VmRSS")
try:
    with fastckpt.open(sys.argv[1], on_damage=sys.argv[2]) as ckpt:
        outcome = "opened"
        assert not ckpt.verify(num_threads=1).ok, "nothing here is a whole checkpoint"
        ckpt.load(num_threads=1)
        outcome = "damaged" if ckpt.damage else "read"
except fastckpt.CheckpointError as error:
    outcome = type(error).__name__
print(json.dumps([outcome, read_status("VmHWM") - before]))
"""


def growing_names(count: int) -> bytes:
    """A block whose entries each share all of the previous key and add one byte: O(n^2) names."""
    value = header()[1]
    out = bytearray(encode_varint(0) + encode_varint(0) + encode_varint(len(value)) + value)
    for shared in range(count):
        out += encode_varint(shared) + b"\x01\x00a"
    return bytes(out) + struct.pack("<II", 0, 1)


def snappy_zeros(size: int) -> bytes:
    """A Snappy block that decodes to `size` zero bytes."""
    copies, rest = divmod(size - 1, 64)
    out = bytearray(encode_varint(size) + b"\x00\x00")  # a literal of one byte, 0
    out += b"\xfe\x01\x00" * copies  # copy 64 bytes from offset 1
    if rest:
        out += bytes([(rest - 1) << 2 | 2]) + b"\x01\x00"
    return bytes(out)


def snappy_claim(size: int) -> bytes:
    """A Snappy block that only claims to be large."""
    return encode_varint(size) + b"\x00\x00"


def many_handles(count: int, value: bytes) -> bytes:
    """An index block whose entries all share one key byte and hold the same handle."""
    out = bytearray(b"\x00\x01" + encode_varint(len(value)) + b"\xff" + value)
    out += (b"\x01\x00" + encode_varint(len(value)) + value) * count
    return bytes(out) + struct.pack("<II", 0, 1)


PLAIN = encode_block([header(), entry("a", b"")])
DEEP = forge.message((1, 1), (2, encode_shape([0] * 250)))


def shapes_without_data(count: int) -> bytes:
    """Entries of rank 250 under one-byte-longer keys."""
    return encode_block([header(), *((b"%06d" % i, DEEP) for i in range(count))])


BOMBS: dict[str, Callable[[], bytes]] = {
    "names_of_gigabytes": lambda: forge.table([growing_names(200_000)]),
    "names_of_gigabytes_compressed": lambda: _compressed(growing_names(1_000_000)),
    "snappy_zeros": lambda: forge.table(
        [PLAIN, snappy_zeros(64 << 20)], kinds=[forge.RAW, forge.SNAPPY]
    ),
    "snappy_claims_4_gib": lambda: forge.table([snappy_claim(2**32 - 1)], kinds=[forge.SNAPPY]),
    "snappy_claims_2_63": lambda: forge.table([snappy_claim(2**63)], kinds=[forge.SNAPPY]),
    "snappy_index_block": lambda: forge.table(
        [PLAIN], index_stored=snappy_zeros(64 << 20), index_kind=forge.SNAPPY
    ),
    "handle_loop": lambda: forge.table(
        [PLAIN], index_stored=many_handles(1_000_000, forge.encode_handle(0, len(PLAIN)))
    ),
    "handles_of_nothing": lambda: forge.table(
        [PLAIN], index_stored=many_handles(1_000_000, forge.encode_handle(0, 0))
    ),
    "handles_past_end": lambda: forge.table(
        [PLAIN],
        index_stored=encode_block(
            [
                (b"\x01", forge.encode_handle(0, len(PLAIN))),
                *((b"\xff%07d" % i, forge.encode_handle(1 << 40, 1)) for i in range(100_000)),
            ]
        ),
    ),
    "deep_shapes": lambda: forge.table([shapes_without_data(10_000)]),
    "huge_tensors": lambda: forge.table(
        [encode_block([header(), *_huge_entries()])],
    ),
}


def _compressed(stored: bytes) -> bytes:
    cramjam = pytest.importorskip("cramjam")
    return forge.table([bytes(cramjam.snappy.compress_raw(stored))], kinds=[forge.SNAPPY])


def _huge_entries() -> list[forge.Record]:
    return [
        entry("float", b"", shape=(2**40,), size=2**42),
        entry("string", b"", dtype=forge.STRING, shape=(2**40,), size=2**41),
        entry("variant", b"", dtype=forge.VARIANT, shape=(2**40,), size=2**41),
    ]


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
@pytest.mark.skipif(
    "FASTCKPT_SANITIZED" in os.environ, reason="AddressSanitizer reserves terabytes"
)
@pytest.mark.parametrize("on_damage", ["raise", "skip"])
@pytest.mark.parametrize("name", BOMBS)
def test_bomb(name: str, on_damage: str, tmp_path: Path) -> None:
    prefix = forge.write(tmp_path, BOMBS[name](), bytes(8))
    present = sum(path.stat().st_size for path in tmp_path.iterdir())
    done = subprocess.run(
        [sys.executable, "-c", USE, str(prefix), on_damage, str(ADDRESS_SPACE_BYTES)],
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    outcome, allocated = json.loads(done.stdout)
    assert outcome != "read" or on_damage == "skip"
    assert allocated < ALLOWANCE_BYTES + 4 * present + NOISE_BYTES
