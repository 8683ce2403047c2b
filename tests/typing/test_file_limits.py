"""Files stay short, and none names a place that exists on one machine only."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

MAX_LINES = 400
# What people write and read; generated data (JSON, corpora, golden files) has no such limit.
WRITTEN = {
    ".cc", ".cmake", ".h", ".html", ".js", ".md", ".proto", ".pxd", ".py", ".pyi", ".pyx", ".sh",
    ".toml", ".txt", ".yml",
}  # fmt: skip
WRITTEN_NAMES = {"Makefile", "run"}
OUTPUTS = {".git", ".venv", "build", "dist", "__pycache__", "_build"}

# Absolute paths below folders that hold people's or machines' own files.
MACHINE_PATH = re.compile(rb"(?<![\w.~$}/-])/(?:home|root|Users|work)/[\w.+-]+")


def source_files(root: Path) -> list[Path]:
    """List what git tracks or would add; a tree without git is walked."""
    command = ["git", "-C", str(root), "ls-files", "-z", "-co", "--exclude-standard"]
    if (root / ".git").exists():
        listed = subprocess.run(command, check=True, capture_output=True).stdout
        paths = [root / name.decode() for name in listed.split(b"\0") if name]
    else:
        paths = [p for p in root.rglob("*") if not OUTPUTS & set(p.relative_to(root).parts)]
    return sorted(path for path in paths if path.is_file())


def long_files(root: Path) -> list[str]:
    """Name the written files that are longer than the limit."""
    found = []
    for path in source_files(root):
        if path.suffix in WRITTEN or path.name in WRITTEN_NAMES:
            lines = path.read_bytes().count(b"\n")
            if lines > MAX_LINES:
                found.append(f"{path.relative_to(root)}: {lines} lines")
    return found


def machine_paths(root: Path) -> list[str]:
    """Name the text files that hold a machine's path, and the path."""
    found = []
    for path in source_files(root):
        content = path.read_bytes()
        if b"\0" not in content:
            found += [
                f"{path.relative_to(root)}: {match.decode()}"
                for match in MACHINE_PATH.findall(content)
            ]
    return found


def test_no_file_is_too_long(repository: Path) -> None:
    assert long_files(repository) == []


def test_no_file_names_a_machine_path(repository: Path) -> None:
    assert machine_paths(repository) == []


@pytest.mark.parametrize("name", ["a.py", "Makefile"])
def test_a_planted_long_file_is_found(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("\n" * (MAX_LINES + 1))
    (tmp_path / "limit.py").write_text("\n" * MAX_LINES)
    (tmp_path / "data.json").write_text("\n" * 1000)
    assert long_files(tmp_path) == [f"{name}: {MAX_LINES + 1} lines"]


@pytest.mark.parametrize("top", ["home", "root", "Users", "work"])
def test_a_planted_machine_path_is_found(tmp_path: Path, top: str) -> None:
    path = f"/{top}" + "/someone/tree"
    (tmp_path / "a.md").write_text(f"see {path}\n")
    assert machine_paths(tmp_path) == [f"a.md: {path.removesuffix('/tree')}"]
    (tmp_path / "a.md").write_text(f"see $ROOT{path} and docs{path} and https://host{path}\n")
    assert machine_paths(tmp_path) == []
