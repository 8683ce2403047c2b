"""Running the command: inside this process, as a process of its own, and on a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner, Result

from fastckpt.cli.app import app
from oracle import write_bundle

# Colours, cursor movements and the like.
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def invoke(*args: object) -> Result:
    """Run the command in this process; what it did not expect is raised here."""
    result = CliRunner().invoke(app, [str(x) for x in args], prog_name="fastckpt")
    assert result.exit_code != 70, result.stderr
    return result


def command(*args: object) -> list[str]:
    """The command line of ``python -m fastckpt``."""
    return [sys.executable, "-m", "fastckpt", *map(str, args)]


def spawn(*args: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command as a process whose output is no terminal."""
    options = {"capture_output": True, "encoding": "utf-8", "timeout": 120} | options
    return subprocess.run(command(*args), check=False, **options)


def on_terminal(*args: object, columns: int = 80, **variables: str) -> tuple[int, str]:
    """Run the command on a pseudo terminal; give its exit code and all that appeared there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    hidden = {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"}
    environment = {k: v for k, v in os.environ.items() if k not in hidden}
    environment |= {"TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"} | variables
    process = subprocess.Popen(
        command(*args), stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    output = b""
    try:
        while data := os.read(ours, 65536):
            output += data
    except OSError:  # The other end is closed.
        pass
    finally:
        os.close(ours)
    return process.wait(timeout=120), output.decode().replace("\r\n", "\n")


def plain(text: str) -> str:
    """Take the colours away."""
    return ANSI.sub("", text)


def flip_byte(path: Path, offset: int) -> None:
    """Damage one bit of a file."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x10
    path.write_bytes(data)


def shard_of(prefix: Path) -> Path:
    """The only data shard of a checkpoint."""
    return prefix.with_name(f"{prefix.name}.data-00000-of-00001")


def write_many(prefix: Path, count: int) -> None:
    """Write a checkpoint of many small tensors."""
    value = np.arange(4, dtype=np.float32)
    write_bundle(prefix, {f"layer_{i // 10:05d}/part_{i % 10}": value for i in range(count)})
