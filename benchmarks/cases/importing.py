"""P12: the wall time of a process that imports the package and ends.

Every sample is a process of its own. The plain interpreter and NumPy stand beside.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import partial

from measure import CEILING, Contender, Inputs, Question, Settings, Target, case

FORBIDDEN = ("google.protobuf", "rich", "click", "tensorflow")
PROCESSES = 41


def python(_: Inputs, statement: str, peer: str = "fastckpt") -> Contender:
    """Run one statement in an interpreter."""
    command = [sys.executable, "-c", statement]
    return Contender(statement, lambda _: subprocess.run(command, check=True), peer=peer)


def check(_: Inputs) -> None:
    """The import loads none of the heavy modules."""
    code = f"import sys, fastckpt; print([m for m in {FORBIDDEN!r} if m in sys.modules])"
    command = [sys.executable, "-c", code]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    if loaded != "[]":
        raise AssertionError(f"import fastckpt loads {loaded}")


@case("P12", "import time")
def questions(settings: Settings) -> Iterator[Question]:
    """Ask once."""
    yield Question(
        "process wall time; heavy modules are not imported",
        [
            partial(python, statement="import fastckpt"),
            partial(python, statement="import numpy", peer="numpy"),
            partial(python, statement="pass", peer=CEILING),
        ],
        [
            Target("import fastckpt", "import numpy", "fraction", 1.15),
            Target("import numpy", "pass", "fraction"),
        ],
        unit="runs",
        repeat=1 if settings.smoke else PROCESSES,
        check=check,
    )
