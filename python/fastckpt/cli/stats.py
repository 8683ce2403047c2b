"""``fastckpt stats``: what tensors hold, in numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import click

import fastckpt
from fastckpt.cli import failures
from fastckpt.cli.bar import Bar
from fastckpt.cli.paragraphs import joined, print_rows
from fastckpt.cli.rows import choose
from fastckpt.cli.terminal import Column, print_json_rows, styled, write
from fastckpt.cli.text import counted, human_size, pad, safe, short_path
from fastckpt.tools.stats import Numbers, StatsReport, TensorStats, stats

_LABELS = ("min", "max", "mean", "std", "zero", "nan", "inf")
_COLUMNS = (Column("name"), *(Column(label, right=True) for label in _LABELS))


@click.command()
@click.argument("path")
@click.argument("patterns", nargs=-1, metavar="[PATTERN]...")
@click.option("--sort", "order", type=click.Choice(["name", "size"]), default="name",
              show_default=True, help="Order: by name, or largest first.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Write one JSON document.")
def command(path: str, patterns: tuple[str, ...], *, order: str, as_json: bool) -> int:
    """Sum up what tensors hold, one by one and all together.

    Minimum, maximum, mean and standard deviation are of finite elements; then how many elements
    are zero, NaN and infinite. A PATTERN is a name, a scope, or has * and ? in it. Checksums are
    compared; the exit status is 1 when a tensor cannot be read.
    """
    with fastckpt.open(path, on_damage="skip") as checkpoint, Bar("stats") as bar:
        chosen = choose(checkpoint, patterns) if patterns else None
        report = stats(checkpoint, chosen, progress=bar)
        lost = [fastckpt.VerifyFailure(x.error.key, x.error) for x in checkpoint.damage]
        report = dataclasses.replace(report, failures=(*lost, *report.failures))
    rows: Sequence[TensorStats] = report.tensors
    if order == "size":
        rows = sorted(rows, key=lambda row: (-row.nbytes, row.name))
    if as_json:
        _print_json(report, rows)
    else:
        _print(report, rows)
        for failure in report.failures:
            failures.warn(str(failure) if failure.name is None else f"{failure.name}: {failure}")
    return failures.DAMAGED if report.failures else failures.OK


def _print(report: StatsReport, rows: Sequence[TensorStats]) -> None:
    print_rows(_COLUMNS, ((safe(x.name), *_cells(x.numbers)) for x in rows), _sentence)
    sizes = {name: human_size(size) for name, size in report.bytes_by_dtype.items()}
    label = max(map(len, [*sizes, "all"])) + 2
    write(f"\n{styled(pad('all', label), 'bold')}")
    write(joined(_sentence(_cells(report.total)), label))

    for name, size in sizes.items():
        write(f"\n{styled(pad(name, label), 'cyan')}{size}")
    amount = f"{counted(len(report.tensors), 'tensor')}, {_total_size(report)}"
    write(f"\n\n{styled(amount, 'bold')}  {styled(short_path(report.prefix), 'dim')}\n")


def _total_size(report: StatsReport) -> str:
    return human_size(sum(report.bytes_by_dtype.values()))


def _values(numbers: Numbers) -> tuple[Any, ...]:
    moments = numbers.min, numbers.max, numbers.mean, numbers.std
    return (*moments, numbers.zeros, numbers.nans, numbers.infs)


def _cells(numbers: Numbers | None) -> tuple[str, ...]:
    if numbers is None:
        return ("-",) * len(_LABELS)
    moments, counts = _values(numbers)[:4], _values(numbers)[4:]
    return (*map(_number_text, moments), *map(str, counts))


def _number_text(value: float | None) -> str:
    if value is None:
        return "-"
    # Integers are exact where they are short.
    return str(value) if isinstance(value, int) and abs(value) < 10**8 else f"{value:.4g}"


def _sentence(texts: Sequence[str]) -> str:
    if set(texts) == {"-"}:
        return "not real numbers"
    # A number stays on the line of its label.
    pairs = zip(_LABELS, texts, strict=True)
    return ", ".join(f"{label}\N{NO-BREAK SPACE}{text}" for label, text in pairs)


def _print_json(report: StatsReport, rows: Iterable[TensorStats]) -> None:
    head = {
        "prefix": report.prefix,
        "total": {
            "tensors": len(report.tensors),
            "nbytes": sum(report.bytes_by_dtype.values()),
            **_json_numbers(report.total),
        },
        "bytes_by_dtype": report.bytes_by_dtype,
        "failures": [
            {"name": x.name, **failures.describe_error(x.error)} for x in report.failures
        ],
    }
    print_json_rows(head, "tensors", map(_json_row, rows))


def _json_row(row: TensorStats) -> dict[str, Any]:
    found = {"name": row.name, "dtype": row.dtype, "shape": row.shape, "nbytes": row.nbytes}
    return found | ({} if row.numbers is None else _json_numbers(row.numbers))


def _json_numbers(numbers: Numbers) -> dict[str, Any]:
    return {label: _finite(value) for label, value in zip(_LABELS, _values(numbers), strict=True)}


def _finite(value: float | None) -> float | None:
    """Give what JSON can hold: the mean of large float64 numbers may have overflowed."""
    return value if value is not None and abs(value) < float("inf") else None
