"""``fastckpt verify``: read everything, compare every checksum, list all that is wrong."""

from __future__ import annotations

import os
import sys
import time
from typing import Any, NamedTuple

import click

import fastckpt
from fastckpt.cli import failures
from fastckpt.cli.terminal import is_terminal, print_json_rows, styled, wrapped, write
from fastckpt.cli.text import counted, human_rate, human_size, human_time, safe

# Below this a bar would flash up and be gone.
_MIN_BAR_BYTES = 64 << 20

# Below this a throughput says more of the clock than of the work.
_MIN_RATE_BYTES = 1 << 20


class _Result(NamedTuple):
    """What verifying one path gave: a report, or the error that kept it from being opened."""

    path: str
    prefix: str | None
    outcome: fastckpt.VerifyReport | fastckpt.CheckpointError
    seconds: float

    @property
    def exit_code(self) -> int:
        """What this result alone would exit with."""
        if isinstance(self.outcome, fastckpt.CheckpointError):
            return failures.exit_code(self.outcome)
        return failures.OK if self.outcome.ok else failures.DAMAGED


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--threads",
    "num_threads",
    type=click.IntRange(1, 1024),
    metavar="N",
    help="Threads to use; by default FASTCKPT_NUM_THREADS, or the CPUs available, at most 8.",
)
@click.option("--quiet", "-q", is_flag=True, help="Write about damaged checkpoints only.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON document.")
def command(paths: tuple[str, ...], *, num_threads: int | None, quiet: bool, as_json: bool) -> int:
    """Read everything and compare every checksum.

    All bytes of all tensors, every block of the index, and the padding between them. All failures
    are listed, not only the first. The exit status is 1 when anything is damaged or missing, else
    2 when a checkpoint was not found.
    """
    results = []
    for path in paths:
        result = _verify(path, num_threads, quiet=quiet)
        results.append(result)
        if not as_json:
            _print(result, quiet=quiet)
            sys.stdout.flush()
    codes = {result.exit_code for result in results}
    if as_json:
        head = {"ok": codes == {failures.OK}}
        print_json_rows(head, "checkpoints", map(_json, results))
    return failures.DAMAGED if failures.DAMAGED in codes else max(codes)


def _verify(path: str, num_threads: int | None, *, quiet: bool) -> _Result:
    start = time.perf_counter()
    prefix = None
    outcome: fastckpt.VerifyReport | fastckpt.CheckpointError
    try:
        with fastckpt.open(path, on_damage="skip", num_threads=num_threads) as checkpoint:
            prefix = checkpoint.prefix
            has_bar = not quiet and is_terminal(sys.stderr) and checkpoint.nbytes >= _MIN_BAR_BYTES
            outcome = checkpoint.verify(progress=has_bar)
    except fastckpt.CheckpointError as error:
        outcome = error
    return _Result(path, prefix, outcome, time.perf_counter() - start)


def _print(result: _Result, *, quiet: bool) -> None:
    report = result.outcome
    if isinstance(report, fastckpt.CheckpointError):
        failures.print_error(report, as_json=False)
        return
    amount = _amount(report, result.seconds)
    if report.ok:
        if not quiet:
            write(f"{styled('ok', 'bold', 'green')}  {_subject(result)}: {amount}\n")
        return
    count = counted(len(report.failures), "failure")
    write(f"{styled('DAMAGED', 'bold', 'red')}  {_subject(result)}: {count} in {amount}\n")
    for failure in report.failures:
        write(f"  {_failure_text(failure)}\n")


def _subject(result: _Result) -> str:
    """The path as it was given, and the checkpoint it led to where that does not show."""
    name = os.path.basename(result.prefix or "")
    path = safe(result.path)
    return path if os.path.basename(result.path) == name else f"{path} ({safe(name)})"


def _amount(report: fastckpt.VerifyReport, seconds: float) -> str:
    size = f"{counted(report.tensors, 'tensor')}, {human_size(report.nbytes)}"
    taken = f" in {human_time(seconds)}"
    if report.nbytes >= _MIN_RATE_BYTES:
        taken += f" ({human_rate(report.nbytes, seconds)})"
    return size + taken


def _failure_text(failure: fastckpt.VerifyFailure) -> str:
    message = safe(str(failure))
    if failure.name is None:
        return wrapped(message, 2, 4)
    name = safe(failure.name)
    text = wrapped(f"{name}: {message}", 2, 4)
    return styled(name, "bold") + text.removeprefix(name) if text.startswith(name) else text


def _json(result: _Result) -> dict[str, Any]:
    found: dict[str, Any] = {
        "path": result.path,
        "prefix": result.prefix,
        "ok": result.exit_code == failures.OK,
    }
    report = result.outcome
    if isinstance(report, fastckpt.CheckpointError):
        return {**found, "error": failures.describe_error(report)}
    return {
        **found,
        "tensors": report.tensors,
        "nbytes": report.nbytes,
        "seconds": result.seconds,
        "failures": [
            {"name": failure.name, **failures.describe_error(failure.error)}
            for failure in report.failures
        ],
    }
