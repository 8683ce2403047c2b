"""What the tests of writers share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fastckpt


def names_in(folder: Path) -> list[str]:
    """The names of all files in a folder, hidden ones included."""
    return sorted(path.name for path in folder.iterdir())


def loaded(prefix: Path | str) -> dict[str, Any]:
    """All tensors of a checkpoint as Python objects, once verified."""
    with fastckpt.open(prefix) as ckpt:
        assert ckpt.verify().ok
        return {name: values.tolist() for name, values in ckpt.load().items()}
