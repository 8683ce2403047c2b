"""The golden checkpoints and the corpus as tests see them: paths and expected tensors."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
GOLDEN_ROOT = REPOSITORY / "python" / "fastckpt" / "golden"
CORPUS_ROOT = Path(os.environ.get("FASTCKPT_CORPUS", REPOSITORY.parent / "shared" / "corpus"))


@dataclass(frozen=True)
class ExpectedTensor:
    """One tensor as TensorFlow's own reader gave it; `sha256` is None where it could not."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    nbytes: int | None
    sha256: str | None


@dataclass(frozen=True)
class ExpectedCheckpoint:
    """One stored checkpoint: its prefix, its files and what they hold, sorted by name."""

    name: str
    prefix: Path
    files: Mapping[str, str]
    tensors: tuple[ExpectedTensor, ...]

    def copy_to(self, folder: Path) -> Path:
        """Copy the checkpoint's files (a state file too) and return the copy's prefix."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in self.files:
            shutil.copyfile(self.prefix.parent / name, folder / name)
        return folder / self.prefix.name


def load_golden() -> dict[str, ExpectedCheckpoint]:
    """Read MANIFEST.toml."""
    document = tomllib.loads((GOLDEN_ROOT / "MANIFEST.toml").read_text(encoding="utf-8"))
    return {
        name: ExpectedCheckpoint(
            name=name,
            prefix=GOLDEN_ROOT / section["prefix"],
            files={row["name"]: row["sha256"] for row in section["files"]},
            tensors=tuple(_expected_tensor(row["name"], row) for row in section["tensors"]),
        )
        for name, section in document["checkpoint"].items()
    }


def golden(name: str) -> ExpectedCheckpoint:
    """One golden checkpoint by its name in MANIFEST.toml."""
    return load_golden()[name]


def load_corpus(kinds: frozenset[str]) -> list[ExpectedCheckpoint]:
    """The corpus' checkpoints of the given kinds, empty where the corpus is absent."""
    found = []
    for path in sorted(CORPUS_ROOT.glob("*/expected.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["kind"] not in kinds:
            continue
        tensors = sorted(document["tensors"].items(), key=lambda item: item[0].encode())
        found.append(
            ExpectedCheckpoint(
                name=path.parent.name,
                prefix=path.parent / document["prefix"],
                files={},
                tensors=tuple(_expected_tensor(name, row) for name, row in tensors),
            )
        )
    return found


def require_corpus() -> None:
    """Skip the calling test where the corpus is absent."""
    if not CORPUS_ROOT.is_dir():
        pytest.skip("the corpus is absent: put it beside the repository or set FASTCKPT_CORPUS")


def digest_values(values: Any, tf_dtype: str) -> tuple[int, str]:
    """Byte count and SHA-256 of a tensor's values, as MANIFEST.toml and expected.json say."""
    if tf_dtype != "string":
        data = np.asarray(values).tobytes()
        return len(data), hashlib.sha256(data).hexdigest()
    elements = [bytes(element) for element in np.asarray(values, dtype=object).ravel()]
    digest = hashlib.sha256()
    for element in elements:
        digest.update(len(element).to_bytes(8, "little") + element)
    return sum(map(len, elements)), digest.hexdigest()


def assert_tensor(values: Any, expected: ExpectedTensor) -> None:
    """Check shape and every byte of one tensor's values."""
    assert np.shape(values) == expected.shape, expected.name
    assert digest_values(values, expected.dtype) == (expected.nbytes, expected.sha256), (
        expected.name
    )


def _expected_tensor(name: str, row: Mapping[str, Any]) -> ExpectedTensor:
    return ExpectedTensor(
        name=name,
        dtype=row["dtype"],
        shape=tuple(row["shape"]),
        nbytes=row.get("nbytes"),
        sha256=row.get("sha256"),
    )
