"""V1 checkpoints whose blocks or files do not fit together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

import fastckpt
from malformed.case import Case
from malformed.v1_files import ARGUMENT, FINE, GOOD, LOSS, damaged_block, raw, three
from oracle.coding import bytes_field, varint_field
from oracle.legacy import V1File, build_v1


def cases() -> list[Case]:
    """All of them."""
    return [*_blocks(), *_shards()]


def _blocks() -> list[Case]:
    def items_of_nothing() -> bytes:
        v1 = three()
        v1.meta = bytes_field(1, bytes_field(1, b"") * 1_000_000)
        return v1.table()

    return [
        Case(
            "v1block/checksum", "checksum of the block that holds one tensor",
            "FORMAT 7.3: only block checksums protect values",
            raw(lambda: damaged_block(2)),
            tensors=FINE | {"bad": LOSS},
        ),
        Case(
            "v1block/type", "unknown type of the block that holds one tensor", "FORMAT 1.4",
            raw(lambda: damaged_block(2, kind=9)), tensors=FINE | {"bad": LOSS},
        ),
        Case(
            "v1block/million_items", "a million tensors without a name in 2 MB",
            "DESIGN 4.4: memory is bounded by the bytes that are there", raw(items_of_nothing),
            opens=fastckpt.LimitExceededError,
        ),
    ]  # fmt: skip


def _shards() -> list[Case]:
    def shards(change: Callable[[Path, list[V1File]], object]) -> Callable[[Path], Path]:
        def build(folder: Path) -> Path:
            parts = [build_v1({"a": GOOD, "bad": GOOD}), build_v1({"z": GOOD})]
            change(folder, parts)
            for i, part in enumerate(parts):
                part.write(folder / f"m-{i:05d}-of-00002")
            return folder / "m-?????-of-00002"

        return build

    def overlapping(folder: Path, parts: list[V1File]) -> None:
        parts[1].add("bad", GOOD)

    def contradicting(folder: Path, parts: list[V1File]) -> None:
        parts[1].add("bad", np.arange(3))

    def newer(folder: Path, parts: list[V1File]) -> None:
        parts[1].version = varint_field(2, 5)

    return [
        Case(
            "v1shards/same_slice_twice", "one slice in two files", "FORMAT 7.4",
            shards(overlapping),
            tensors=FINE | {"bad": LOSS},
        ),
        Case(
            "v1shards/contradiction", "one tensor with two shapes", "FORMAT 7.4",
            shards(contradicting),
            tensors=FINE | {"bad": LOSS},
        ),
        Case(
            "v1shards/newer", "one file asks for a newer reader", "FORMAT 7.4", shards(newer),
            opens=ARGUMENT,
        ),
    ]  # fmt: skip
