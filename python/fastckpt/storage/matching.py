"""Which files a path of TensorFlow's state functions means: a name, or a pattern of names."""

from __future__ import annotations

import glob
import os

__all__ = ["checkpoint_files", "matching_files"]


def matching_files(pattern: str) -> list[str]:
    """Paths that exist and match a pattern, sorted.

    ``*`` and ``?`` match within one component, hidden names included. Brackets are ordinary
    characters: directories are called ``run[1]`` more often than anybody asks for a class.
    """
    if not pattern or "\0" in pattern:
        return []
    if not any(mark in pattern for mark in "*?"):
        return [pattern] if os.path.exists(pattern) else []
    return sorted(glob.glob(pattern.replace("[", "[[]"), include_hidden=True))


def checkpoint_files(prefix: str) -> list[str]:
    """What stands for the checkpoint `prefix`: its index, otherwise what bears the very name.

    A pattern may match several; nothing is opened, so a directory counts too.
    """
    return matching_files(f"{prefix}.index") or matching_files(prefix)
