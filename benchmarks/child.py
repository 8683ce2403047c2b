"""Work in a process of its own: first calls, and what they cost in memory.

``run`` starts ``python benchmarks/child.py JOB OPTIONS``. The child makes its inputs and says
"ready"; then it does the work and says how long that took. With `watch` the parent meanwhile reads
how much memory the child has that no file backs (RssAnon), as often as it can.
"""

from __future__ import annotations

import json
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Work = Callable[[], Any]


@dataclass(frozen=True)
class Cost:
    """What a piece of work took."""

    seconds: float
    extra_bytes: int


# --- the parent ----------------------------------------------------------------------------------


def anonymous_bytes(process: int) -> int:
    """Return the memory of a process that no file backs."""
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"RssAnon:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0


def peak_until_output(process: subprocess.Popen[bytes], peak: int) -> int:
    """Return the most memory that a child has until it prints, at least `peak`."""
    assert process.stdout is not None
    while not select.select([process.stdout], [], [], 0.0005)[0]:
        peak = max(peak, anonymous_bytes(process.pid))
    return max(peak, anonymous_bytes(process.pid))


def run(job: str, options: Mapping[str, Any], *, watch: bool = False) -> Cost:
    """Do a job in a new process."""
    command = [sys.executable, str(Path(__file__)), job, json.dumps(options)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            if process.stdout.readline() != b"ready\n":
                raise RuntimeError(f"the process for {job} ended before its work")
            before = anonymous_bytes(process.pid)
            process.stdin.write(b"go\n")
            peak = peak_until_output(process, before) if watch else before
            answer = process.stdout.readline()
        finally:
            process.stdin.close()
    if process.returncode or not answer:
        raise RuntimeError(f"the process for {job} failed with status {process.returncode}")
    # A clock and a ratio need more than nothing.
    return Cost(float(answer), max(1, peak - before))


# --- the child -----------------------------------------------------------------------------------


def save(options: dict[str, Any]) -> Work:
    """Save with this library."""
    import fastckpt
    from data import owned_tensors

    arrays = owned_tensors(options["kind"], options["size"])
    return lambda: fastckpt.save(options["path"], arrays, **options["save"])


def save_async(options: dict[str, Any]) -> Work:
    """Start the first asynchronous save of the process; with "wait", see it through."""
    import fastckpt
    from data import owned_tensors

    arrays = owned_tensors(options["kind"], options["size"])

    def work() -> Any:
        handle = fastckpt.save_async(options["path"], arrays, **options["save"])
        return handle.result() if options["wait"] else handle

    return work


def open_checkpoint(options: dict[str, Any]) -> Work:
    """Open with this library."""
    import fastckpt

    return lambda: fastckpt.open(options["path"])


def stream(options: dict[str, Any]) -> Work:
    """Stream all tensors and keep none."""
    import fastckpt

    def work() -> None:
        with fastckpt.open(options["path"]) as checkpoint:
            for _ in checkpoint.stream(prefetch_bytes=options["prefetch_bytes"]):
                pass

    return work


def save_with_tensorflow(options: dict[str, Any]) -> Work:
    """Call TensorFlow's SaveV2 for the first time in the process."""
    from data import owned_tensors
    from peers import tensorflow_peer

    arrays = owned_tensors(options["kind"], options["size"])
    if options["seed"] is not None:
        arrays = shuffled(arrays, options["seed"])
    return tensorflow_peer.prepared_save(options["path"], arrays)


def open_with_tensorflow(options: dict[str, Any]) -> Work:
    """Open with TensorFlow's reader."""
    from peers import tensorflow_peer

    tf = tensorflow_peer.load_module()
    return lambda: tf.train.load_checkpoint(options["path"])


def save_with_safetensors(options: dict[str, Any]) -> Work:
    """Save with safetensors."""
    from data import owned_tensors
    from peers import safetensors_peer

    safetensors_peer.load_module()
    arrays = owned_tensors(options["kind"], options["size"])
    return lambda: safetensors_peer.save(options["path"], arrays)


def save_with_numpy(options: dict[str, Any]) -> Work:
    """Save with NumPy."""
    from data import owned_tensors
    from peers import numpy_peer

    arrays = owned_tensors(options["kind"], options["size"])
    return lambda: numpy_peer.save(options["path"], arrays)


JOBS: dict[str, Callable[[dict[str, Any]], Work]] = {
    "save": save,
    "save_async": save_async,
    "open": open_checkpoint,
    "stream": stream,
    "tensorflow save": save_with_tensorflow,
    "tensorflow open": open_with_tensorflow,
    "safetensors save": save_with_safetensors,
    "numpy save": save_with_numpy,
}


def shuffled(arrays: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Return the arrays in an order that follows from the seed."""
    import random

    names = list(arrays)
    random.Random(seed).shuffle(names)
    return {name: arrays[name] for name in names}


def main(job: str, options: str) -> None:
    """Be the child."""
    work = JOBS[job](json.loads(options))
    print("ready", flush=True)
    sys.stdin.readline()
    start = time.perf_counter()
    kept = work()
    seconds = time.perf_counter() - start
    print(seconds, flush=True)
    # A save under way is seen through, so that its failure is one of this process.
    if hasattr(kept, "result"):
        kept.result()


if __name__ == "__main__":
    main(*sys.argv[1:])
