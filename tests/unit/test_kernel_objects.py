"""CRC kernel objects hold no code that the linker might share with the rest of the program.

A weak function (an inline or template one) compiled for AVX-512 may be the copy that the linker
keeps for everybody; on a machine without AVX-512 the whole program then dies.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src"
KERNELS = sorted((SOURCE / "crc").glob("kernel_*.cc"))

# A kernel file that breaks the rule.
OFFENDER = """
inline int Shared(int n) { return n > 1 ? Shared(n - 1) + 1 : n; }
int (*use)(int) = Shared;
"""


@pytest.fixture(scope="session")
def tools() -> tuple[str, str]:
    """Return the C++ compiler and nm, or skip."""
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    nm = shutil.which("nm")
    if compiler is None:
        pytest.skip("no C++ compiler on PATH")
    if nm is None:
        pytest.skip("no nm on PATH (it comes with binutils)")
    return compiler, nm


def weak_functions(tools: tuple[str, str], source: Path, level: str, folder: Path) -> list[str]:
    """Compile `source` and return its weak function symbols."""
    compiler, nm = tools
    target = folder / f"{source.stem}.o"
    command = [
        *compiler.split(),
        "-std=c++20",
        level,
        f"-I{SOURCE}",
        "-c",
        str(source),
        "-o",
        str(target),
    ]
    subprocess.run(command, check=True, timeout=300)
    listing = subprocess.run(
        [nm, "--demangle", str(target)], check=True, capture_output=True, text=True, timeout=60
    ).stdout
    # nm marks weak functions W or w; weak objects, which carry no instructions, are V, v or u.
    return [line for line in listing.splitlines() if line[17:18] in {"W", "w"}]


def test_all_kernels_are_here() -> None:
    names = {path.stem for path in KERNELS}
    assert names >= {"kernel_portable", "kernel_sse42", "kernel_avx512", "kernel_armv8"}


@pytest.mark.parametrize("level", ["-O0", "-O2"])
@pytest.mark.parametrize("kernel", KERNELS, ids=lambda path: path.stem)
def test_no_weak_function(
    kernel: Path, level: str, tools: tuple[str, str], tmp_path: Path
) -> None:
    assert weak_functions(tools, kernel, level, tmp_path) == []


def test_a_weak_function_would_be_found(tools: tuple[str, str], tmp_path: Path) -> None:
    source = tmp_path / "offender.cc"
    source.write_text(OFFENDER)
    assert len(weak_functions(tools, source, "-O0", tmp_path)) == 1


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda path: path.stem)
def test_includes_only_what_a_kernel_may(kernel: Path) -> None:
    allowed = {
        "<arm_acle.h>", "<immintrin.h>", "<nmmintrin.h>", "<wmmintrin.h>",
        "<cstddef>", "<cstdint>", "<cstring>", '"crc/kernel.h"', '"crc/polynomial.h"',
    }  # fmt: skip
    lines = kernel.read_text().splitlines()
    included = {line.split()[1] for line in lines if line.startswith("#include")}
    assert included <= allowed
