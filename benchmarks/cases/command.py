"""P13: ``fastckpt ls`` of many tensors, the wall time of the process, its output to a pipe."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from data import Dataset
from measure import CEILING, Contender, Inputs, Question, Settings, Target, Unavailable, case

BOUND_SECONDS = 0.3


def command() -> list[str]:
    """Return how the command of this environment is called."""
    found = shutil.which("fastckpt", path=str(Path(sys.executable).parent))
    if found is None:
        raise Unavailable("the command fastckpt is not installed")
    probe = subprocess.run([found, "--help"], capture_output=True, text=True, check=False)
    if probe.returncode:
        raise Unavailable("the command fastckpt does not run here (no fastckpt.cli)")
    return [found]


def listing(inputs: Inputs, tensors: int) -> Contender:
    """List the checkpoint, and see that no line is missing."""
    full = [*command(), "ls", inputs["checkpoint"]]
    lines = subprocess.run(full, capture_output=True, check=True).stdout.count(b"\n")
    if lines < tensors:
        raise AssertionError(f"fastckpt ls prints {lines} lines for {tensors} tensors")
    return Contender(
        "fastckpt ls", lambda _: subprocess.run(full, stdout=subprocess.PIPE, check=True)
    )


def imports(_: Inputs) -> Contender:
    """Import the package and end: the floor of every command."""
    full = [sys.executable, "-c", "import fastckpt"]
    return Contender("import fastckpt", lambda _: subprocess.run(full, check=True), peer=CEILING)


@case("P13", "the command on many tensors")
def questions(settings: Settings) -> Iterator[Question]:
    """Ask once; the bound is for 100 000 tensors on the reference machine."""
    yield Question(
        f"fastckpt ls of {settings.tensors} tensors",
        [partial(listing, tensors=settings.tensors), imports],
        [
            Target("fastckpt ls", kind="seconds", bound=BOUND_SECONDS),
            Target("fastckpt ls", "import fastckpt", "fraction"),
        ],
        {"checkpoint": Dataset("small", next(iter(settings.storage)), settings.tensors)},
        unit="runs",
        repeat=1 if settings.smoke else 15,
    )
