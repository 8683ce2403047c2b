"""Compiles the C++ helpers of ``benchmarks/cpp`` at run time and loads them with ctypes.

The system's compiler (``CXX``, c++ or g++) is used, with -O3 and no machine-specific flags, into a
folder that goes with the process.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from measure import Unavailable

BENCHMARKS = Path(__file__).resolve().parent
SOURCES = BENCHMARKS.parent / "src"
# Set by run.py, so that the processes of a run share what the first of them compiled.
LIBRARY_FOLDER = "FASTCKPT_BENCH_LIBRARIES"


def compiler() -> str:
    """Return the C++ compiler, or raise Unavailable."""
    for name in (os.environ.get("CXX"), "c++", "g++", "clang++"):
        if name and shutil.which(name):
            return name
    raise Unavailable("no C++ compiler for the helpers (CXX, c++, g++)")


def library_folder() -> Path:
    """Return the folder for compiled helpers."""
    shared = os.environ.get(LIBRARY_FOLDER)
    if shared:
        return Path(shared)
    own = tempfile.mkdtemp(prefix="fastckpt-bench-")
    atexit.register(shutil.rmtree, own, ignore_errors=True)
    return Path(own)


@cache
def build(name: str, *sources: Path) -> Path:
    """Compile a shared library and return its path."""
    path = library_folder() / f"lib{name}.so"
    if not path.exists():
        flags = ["-std=c++20", "-O3", "-fPIC", "-shared", "-pthread", "-fvisibility=hidden"]
        command = [compiler(), *flags, f"-I{SOURCES}", "-o", str(path), *map(str, sources)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{name} does not compile:\n{done.stderr}")
    return path


def crc_timing() -> Path:
    """Return the library that times CRC functions (``cpp/crc_timing.h``)."""
    kernels = sorted((SOURCES / "crc").glob("*.cc"))
    cpu = SOURCES / "base" / "cpu.cc"
    return build("crc_timing", BENCHMARKS / "cpp" / "crc_timing.cc", cpu, *kernels)


@cache
def ceiling() -> ctypes.CDLL:
    """Return the library of plain loops (``cpp/ceiling.cc``)."""
    library = ctypes.CDLL(str(build("ceiling", BENCHMARKS / "cpp" / "ceiling.cc")))
    size, pointer = ctypes.c_uint64, ctypes.c_void_p
    library.ceiling_map.argtypes = [ctypes.c_char_p, ctypes.POINTER(size)]
    library.ceiling_map.restype = pointer
    library.ceiling_read.argtypes = [pointer, size, ctypes.c_int]
    library.ceiling_map_read.argtypes = [ctypes.c_char_p, ctypes.c_int]
    library.ceiling_copy.argtypes = [pointer, pointer, size, ctypes.c_int]
    library.ceiling_pread.argtypes = [
        ctypes.c_char_p, pointer, pointer, pointer, ctypes.c_size_t, size, ctypes.c_int,
    ]  # fmt: skip
    library.ceiling_allocate.argtypes = [size]
    library.ceiling_allocate.restype = pointer
    library.ceiling_touch.argtypes = [pointer, size]
    library.ceiling_free.argtypes = [pointer, size]
    return library


@cache
def storage() -> ctypes.CDLL:
    """Return the library of plain writes and direct reads (``cpp/storage.cc``)."""
    library = ctypes.CDLL(str(build("storage", BENCHMARKS / "cpp" / "storage.cc")))
    size, pointer, count = ctypes.c_uint64, ctypes.c_void_p, ctypes.c_size_t
    library.storage_write.argtypes = [pointer, count, pointer, pointer, count, size]
    library.storage_direct_write.argtypes = [ctypes.c_char_p, pointer, size, size, ctypes.c_int]
    library.storage_direct_read.argtypes = [
        ctypes.c_char_p, pointer, size, size, size, ctypes.c_int,
    ]  # fmt: skip
    return library


def call(name: str, *arguments: object) -> None:
    """Call a function of a library of loops and raise OSError where it fails."""
    library = storage() if name.startswith("storage_") else ceiling()
    code = getattr(library, name)(*arguments)
    if code:
        raise OSError(code, f"{name}: {os.strerror(code)}")


class FreshMemory:
    """Untouched memory on huge pages; given back when the object goes."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.address = ceiling().ceiling_allocate(size)
        if not self.address:
            raise MemoryError(size)

    def __del__(self) -> None:
        ceiling().ceiling_free(self.address, self.size)


def claim_memory(size: int) -> None:
    """Touch and free memory, so that the next to ask for it gets pages that this machine holds."""
    memory = FreshMemory(size)
    call("ceiling_touch", memory.address, size)


class ResidentMap:
    """A mapped file that is read once, so that its page tables are filled."""

    def __init__(self, path: str) -> None:
        size = ctypes.c_uint64()
        self.address = ceiling().ceiling_map(os.fsencode(path), ctypes.byref(size))
        if not self.address:
            raise OSError(f"cannot map {path}")
        self.size = size.value
        self.read(1)

    def read(self, threads: int) -> None:
        """Read every word."""
        call("ceiling_read", self.address, self.size, threads)


def words(values: Sequence[int]) -> ctypes.Array[ctypes.c_uint64]:
    """Return a C array of 64-bit numbers."""
    return (ctypes.c_uint64 * len(values))(*values)
