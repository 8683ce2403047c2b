"""A process that saves in children of its own, which are killed.

It has one thread and everything imported, so that a child is one fork away. Each line of its
standard input asks for one save, each line of its standard output says how that ended.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from types import TracebackType
from typing import IO, Any, NamedTuple, Self, cast

from fastckpt._core import TracedFiles
from fastckpt.tools.crashtest.scene import save, tensors

__all__ = ["Ending", "Saver"]

_MAX_ERROR_BYTES = 4096

# Libraries that would start threads of their own.
_ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Ending(NamedTuple):
    """How a save ended: "killed", "done", or "failed" with an error."""

    status: str
    error: str
    seconds: float


class Saver:
    """The process, as a context manager."""

    def __init__(self) -> None:
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        self._process = subprocess.Popen(  # noqa: S603 - this very program
            [sys.executable, "-P", "-W", "ignore", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env=os.environ | _ONE_THREAD | {"PYTHONPATH": path},
            # Ctrl-C is for this process, which then lets that one finish.
            start_new_session=True,
        )

    def save(
        self, prefix: str, num_shards: int, *, kill_before: int = 0, delay: float | None = None
    ) -> Ending:
        """Save the new values in a child; returns when it has ended.

        It dies before the change number `kill_before`, counted from 1, or `delay` seconds after
        its begin.
        """
        request = {
            "prefix": prefix, "num_shards": num_shards, "kill_before": kill_before, "delay": delay,
        }  # fmt: skip
        requests, endings = self._pipes()
        requests.write(json.dumps(request) + "\n")
        requests.flush()
        answer = endings.readline()
        if not answer:
            raise RuntimeError("the process that saves is gone")
        return Ending(*json.loads(answer))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for pipe in self._pipes():
            pipe.close()
        self._process.wait()

    def _pipes(self) -> tuple[IO[str], IO[str]]:
        return cast(IO[str], self._process.stdin), cast(IO[str], self._process.stdout)


def _serve() -> None:
    tensors("new")
    for line in sys.stdin:
        answer = json.dumps(_run_child(json.loads(line))) + "\n"
        try:
            os.write(sys.stdout.fileno(), answer.encode())
        except BrokenPipeError:
            return


def _run_child(request: dict[str, Any]) -> Ending:
    news, child_news = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(news)
        _save(request, child_news)
    os.close(child_news)
    try:
        os.read(news, 1)
        start = time.perf_counter()
        if request["delay"] is not None:
            select.select([news], [], [], request["delay"])
            os.kill(child, signal.SIGKILL)
        error = os.read(news, _MAX_ERROR_BYTES).decode("utf-8", "replace")
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        seconds = time.perf_counter() - start
    finally:
        os.close(news)
    outcome = {0: "done", -signal.SIGKILL: "killed"}.get(status, "failed")
    return Ending(outcome, error or f"exit status {status}", seconds)


def _save(request: dict[str, Any], news: int) -> None:
    """Be the child: never returns."""
    try:
        os.write(news, b"!")
        files = TracedFiles(kill_before=request["kill_before"]) if request["kill_before"] else None
        save(request["prefix"], "new", request["num_shards"], sync=True, files=files)
    except BaseException as error:  # noqa: BLE001 - the other end is to know
        os.write(news, f"{type(error).__name__}: {error}".encode()[:_MAX_ERROR_BYTES])
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    _serve()
