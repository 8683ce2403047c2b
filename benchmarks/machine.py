"""What the figures belong to: processor, kernel, versions. No host names, no paths."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PACKAGES = (
    "tf-fastckpt", "numpy", "ml_dtypes", "tensorflow", "tensorflow-cpu", "safetensors", "awscrt",
    "google-crc32c", "crc32c", "torch",
)  # fmt: skip


def processor() -> str:
    """Return the model name of the processor."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def file_system(folder: Path) -> str:
    """Return the type of the file system that holds a folder, such as "ext4"."""
    best, kind = "", "unknown"
    try:
        mounts = Path("/proc/mounts").read_text().splitlines()
    except OSError:
        return kind
    resolved = f"{folder.resolve()}/"
    for line in mounts:
        _, point, found, *_ = line.split()
        if resolved.startswith(point.rstrip("/") + "/") and len(point) >= len(best):
            best, kind = point, found
    return kind


def versions() -> dict[str, str]:
    """Return the versions of what takes part and is installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def crc_kernel() -> str:
    """Return the name of the CRC kernel in use."""
    from fastckpt import _core

    return str(_core.crc_kernel())


def stamp(storage: Mapping[str, str]) -> dict[str, Any]:
    """Return the description that goes into the JSON."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": processor(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "storage": dict(storage),
        "crc_kernel": crc_kernel(),
        "load_average": os.getloadavg(),
        "versions": versions(),
    }
