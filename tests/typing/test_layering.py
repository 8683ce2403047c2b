"""The house keeps its storeys: includes and imports point down, never up and never sideways.

Each line of a table is one storey, lowest first; rooms of one storey do not import each other.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

CPP_STOREYS = [
    ["base"],
    ["coding", "crc"],
    ["io"],
    ["tensor", "table"],
    ["commit"],
    ["bundle", "legacy"],
    ["binding"],
]

PYTHON_STOREYS = [
    ["_core"],
    ["errors"],  # every other room raises
    ["dtypes", "names", "progress", "protos"],
    ["storage"],
    ["checkpoint"],
    ["graph"],
    ["tools", "dask", "torch", "jax", "inspect_checkpoint"],
    ["training"],
    ["__init__"],  # the public names
    ["cli", "report", "compat"],
    ["__main__"],
]

# Headers of the operating system: every room but io/ stays portable.
SYSTEM_HEADER = re.compile(
    r"^(sys|linux|asm)/|^(aio|dirent|dlfcn|fcntl|glob|poll|pthread|pwd|sched|signal|spawn|unistd)\.h$"
)
# Which instructions an aarch64 processor has is known to the system alone.
SYSTEM_HEADER_EXCEPTIONS = {
    ("src/base/cpu.cc", "sys/auxv.h"),
    ("src/base/cpu.cc", "asm/hwcap.h"),
}
# Code shared between files could be compiled for one kernel's instructions and linked for all;
# polynomial.h is consteval throughout and leaves no code.
KERNEL_HEADER = re.compile(
    r"^([a-z0-9]*intrin\.h|cpuid\.h|arm_(acle|neon)\.h|cstdint|cstddef|cstring|crc/(kernel|polynomial)\.h)$"
)
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)
EXTERN = re.compile(r'^\s*cdef extern from "([^"]+)"', re.MULTILINE)


def level_of(storeys: list[list[str]], room: str) -> int | None:
    """Find the storey of a room; None when the table has no such room."""
    return next((level for level, rooms in enumerate(storeys) if room in rooms), None)


def judge_edge(storeys: list[list[str]], source: str, target: str) -> str | None:
    """Say what is wrong with an edge from one room to another; None when it points down."""
    if source == target:
        return None
    levels = level_of(storeys, source), level_of(storeys, target)
    for room, level in zip((source, target), levels, strict=True):
        if level is None:
            return f"room '{room}' is not in the table"
    if levels[0] == levels[1]:
        return f"sideways: {source} -> {target}"
    return None if levels[0] > levels[1] else f"upward: {source} -> {target}"


# --- C++ -----------------------------------------------------------------------------------------


def cpp_complaints(root: Path) -> list[str]:
    """Read every include of src/ and complain about edges and forbidden headers."""
    complaints = []
    for path in sorted((root / "src").rglob("*")):
        if path.suffix not in {".h", ".cc", ".pyx", ".pxd"}:
            continue
        text = path.read_text(encoding="utf-8")
        for header in INCLUDE.findall(text) + EXTERN.findall(text):
            problem = judge_include(root, path, header)
            if problem:
                complaints.append(f"{path.relative_to(root)}: {problem}")
    return complaints


def judge_include(root: Path, path: Path, header: str) -> str | None:
    """Judge one include of one file."""
    room = path.relative_to(root / "src").parts[0]
    if header == "Python.h":
        return None if room == "binding" else "only src/binding sees Python.h"
    name = path.relative_to(root).as_posix()
    if SYSTEM_HEADER.match(header) and room != "io":
        allowed = (name, header) in SYSTEM_HEADER_EXCEPTIONS
        return None if allowed else f"only src/io calls the operating system (<{header}>)"
    if path.name.startswith("kernel_") and room == "crc" and not KERNEL_HEADER.match(header):
        return f"a CRC kernel includes intrinsics and plain C headers alone, not {header}"
    if not (root / "src" / header).is_file():
        return None
    if "/" not in header:
        return f"includes are written from src/: {header}"
    return judge_edge(CPP_STOREYS, room, header.partition("/")[0])


# --- Python --------------------------------------------------------------------------------------


def python_complaints(root: Path) -> list[str]:
    """Read every import of the package, those inside functions included."""
    package = root / "python" / "fastckpt"
    complaints = []
    for path in sorted(package.rglob("*.py")):
        module = path.relative_to(package).with_suffix("").parts
        for target in imported_rooms(path, module, package):
            problem = judge_edge(PYTHON_STOREYS, module[0], target)
            if problem:
                complaints.append(f"{path.relative_to(root)}: {problem}")
    return complaints


def imported_rooms(path: Path, module: tuple[str, ...], package: Path) -> list[str]:
    """Name the rooms of the package that a file imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    dotted = [name for node in ast.walk(tree) for name in imported_names(node, module)]
    return [room_of(parts, package) for parts in dotted if parts[0] == "fastckpt"]


def imported_names(node: ast.AST, module: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Spell out, from the top, what one import statement names."""
    if isinstance(node, ast.Import):
        return [tuple(alias.name.split(".")) for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = tuple(node.module.split(".")) if node.module else ()
    if node.level:
        # A module's own package is one level, each further dot one more.
        base = ("fastckpt", *module)[: -node.level] + base
    return [(*base, alias.name) for alias in node.names]


def room_of(parts: tuple[str, ...], package: Path) -> str:
    """Name the room an import reaches; a plain name of the package itself is `__init__`'s."""
    if len(parts) == 1:
        return "__init__"
    compiled_or_known = level_of(PYTHON_STOREYS, parts[1]) is not None
    exists = (package / parts[1]).is_dir() or (package / f"{parts[1]}.py").is_file()
    return parts[1] if compiled_or_known or exists else "__init__"


# --- tests ---------------------------------------------------------------------------------------


def test_cpp_includes_point_down(repository: Path) -> None:
    assert (repository / "src" / "base").is_dir()
    assert cpp_complaints(repository) == []


def test_python_imports_point_down(repository: Path) -> None:
    assert (repository / "python" / "fastckpt" / "__init__.py").is_file()
    assert python_complaints(repository) == []


@pytest.mark.parametrize(
    ("name", "line", "problem"),
    [
        ("table/a.cc", '#include "bundle/b.h"', "upward: table -> bundle"),
        ("table/a.cc", '#include "tensor/b.h"', "sideways: table -> tensor"),
        ("cellar/a.cc", '#include "base/b.h"', "room 'cellar' is not in the table"),
        ("table/a.cc", "#include <Python.h>", "only src/binding sees Python.h"),
        ("table/a.cc", "# include <sys/stat.h>", "calls the operating system (<sys/stat.h>)"),
        ("base/cpu.cc", "#include <unistd.h>", "calls the operating system (<unistd.h>)"),
        ("crc/kernel_sse42.cc", "#include <vector>", "alone, not vector"),
        ("table/a.pxd", 'cdef extern from "bundle/b.h":', "upward: table -> bundle"),
    ],
)
def test_a_planted_include_is_found(tmp_path: Path, name: str, line: str, problem: str) -> None:
    for room in ("base", "tensor", "bundle"):
        (tmp_path / "src" / room).mkdir(parents=True)
        (tmp_path / "src" / room / "b.h").write_text("")
    path = tmp_path / "src" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(line + "\n")
    (complaint,) = cpp_complaints(tmp_path)
    assert complaint.startswith(f"src/{name}: ")
    assert complaint.endswith(problem)


@pytest.mark.parametrize(
    ("name", "line", "problem"),
    [
        (
            "storage/locate.py",
            "from fastckpt.checkpoint import reader",
            "upward: storage -> checkpoint",
        ),
        (
            "storage/locate.py",
            "from ..checkpoint.reader import A",
            "upward: storage -> checkpoint",
        ),
        ("storage/__init__.py", "from .. import checkpoint", "upward: storage -> checkpoint"),
        ("dtypes.py", "def f():\n    from . import names", "sideways: dtypes -> names"),
        ("cli/ls.py", "import fastckpt.report", "sideways: cli -> report"),
        ("checkpoint/reader.py", "import fastckpt", "upward: checkpoint -> __init__"),
        ("checkpoint/reader.py", "from fastckpt import open", "upward: checkpoint -> __init__"),
        ("cellar.py", "from . import errors", "room 'cellar' is not in the table"),
    ],
)
def test_a_planted_import_is_found(tmp_path: Path, name: str, line: str, problem: str) -> None:
    path = tmp_path / "python" / "fastckpt" / name
    path.parent.mkdir(parents=True)
    path.write_text(line + "\n")
    assert python_complaints(tmp_path) == [f"python/fastckpt/{name}: {problem}"]


def test_downward_edges_pass(tmp_path: Path) -> None:
    package = tmp_path / "python" / "fastckpt"
    (package / "checkpoint").mkdir(parents=True)
    (package / "checkpoint" / "reader.py").write_text(
        "import numpy\nfrom .. import _core\nfrom ..errors import E\nfrom . import stored_tensor\n"
    )
    (tmp_path / "src" / "io").mkdir(parents=True)
    (tmp_path / "src" / "io" / "a.cc").write_text("#include <unistd.h>\n#include <vector>\n")
    assert python_complaints(tmp_path) == []
    assert cpp_complaints(tmp_path) == []
