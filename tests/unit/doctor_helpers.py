"""What the tests of the doctor share."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import oracle
from fastckpt.tools.doctor import Diagnosis, Finding


def save(prefix: Path, num_shards: int = 1) -> Path:
    """A checkpoint of four tensors, `b` and `d` in the second shard where there is one."""
    tensors = {name: np.full(8, i, np.float32) for i, name in enumerate("abcd")}
    oracle.write_bundle(prefix, tensors, num_shards=num_shards)
    return prefix


def state(folder: Path, *prefixes: str, latest: str | None = None) -> None:
    lines = [f'model_checkpoint_path: "{latest or prefixes[-1]}"']
    lines += [f'all_model_checkpoint_paths: "{prefix}"' for prefix in prefixes]
    (folder / "checkpoint").write_text("\n".join(lines) + "\n")


def codes(found: Diagnosis) -> list[str]:
    return [finding.code for finding in found.findings]


def the(found: Diagnosis, code: str) -> Finding:
    (finding,) = [x for x in found.findings if x.code == code]
    assert finding.severity == "note" or finding.fix
    return finding
