"""Use an installed fastckpt as a stranger would: no compiler, no source tree, no TensorFlow.

Opens every golden checkpoint that ships with the package, through Python and through the command.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import shutil
import subprocess
import sys
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np

import fastckpt


def golden_prefixes(root: Path) -> list[Path]:
    """Find the checkpoints that ship as package data."""
    return sorted(index.with_suffix("") for index in root.rglob("*.index"))


def check_python(prefix: Path) -> int:
    """Read what can be read of one checkpoint, verify the whole of it, and count the tensors."""
    read = 0
    with fastckpt.open(prefix) as checkpoint:
        for name in checkpoint:
            with contextlib.suppress(fastckpt.UnsupportedError):
                assert isinstance(checkpoint[name], np.ndarray), name
                read += 1
        report = checkpoint.verify()
        assert report.ok, report.failures
    return read


def check_command(*arguments: str) -> None:
    """Run the installed command; its exit status is the verdict."""
    command = Path(sys.executable).with_name("fastckpt")
    subprocess.run([str(command), *arguments], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Run the smoke and print one line."""
    if "--no-compiler" in sys.argv[1:]:
        for tool in ("cc", "gcc", "c++", "g++", "clang"):
            assert shutil.which(tool) is None, f"{tool} is on PATH"
    assert "tensorflow" not in sys.modules
    with as_file(files("fastckpt") / "golden") as golden:
        prefixes = golden_prefixes(golden)
        assert prefixes, f"no golden checkpoint under {golden}"
        tensors = sum(check_python(prefix) for prefix in prefixes)
        assert tensors > 0, f"nothing was read of {prefixes}"
        for prefix in prefixes:
            check_command("ls", str(prefix))
            check_command("verify", str(prefix))
    check_command("demo", "--size", "16MiB")
    version = importlib.metadata.version("tf-fastckpt")
    print(f"wheel smoke: {version} read {len(prefixes)} checkpoints, {tensors} tensors")


if __name__ == "__main__":
    main()
