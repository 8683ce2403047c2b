"""Checkpoints to merge, and what directories hold before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

import oracle

Snapshot = dict[str, bytes | None]


def snapshot(folder: Path) -> Snapshot:
    """Every file below a folder with its content, and every directory."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def numbers(name: str, shape: Sequence[int] = (3, 5)) -> np.ndarray:
    """Values that differ from name to name."""
    seed = oracle.crc32c(name.encode())
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def write_plain(prefix: Path, names: Sequence[str], **options: object) -> str:
    """Write float tensors of these names; returns the prefix."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    oracle.write_bundle(prefix, {name: numbers(name) for name in names}, **options)  # type: ignore[arg-type]
    return str(prefix)


def write_parts(folder: Path, tensors: Mapping[str, Sequence[str]]) -> list[str]:
    """Write one checkpoint for each item; returns their prefixes."""
    return [write_plain(folder / part, names) for part, names in tensors.items()]


def expected(names: Sequence[str]) -> dict[str, np.ndarray]:
    """What a reader finds."""
    return {name: numbers(name) for name in names}


def check_content(prefix: str | Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Fail unless the oracle reads just these tensors."""
    found = oracle.read_bundle(prefix)
    assert sorted(found) == sorted(tensors)
    for name, array in tensors.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
