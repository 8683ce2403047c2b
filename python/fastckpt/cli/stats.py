"""``fastckpt stats``: what tensors hold, in numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

import fastckpt
from fastckpt.cli import failures
from fastckpt.cli.bar import Bar
from fastckpt.cli.rows import choose
from fastckpt.cli.terminal import (
    Column,
    is_terminal,
    print_json_rows,
    print_table,
    styled,
    width,
    wrapped,
    write,
)
from fastckpt.cli.text import counted, human_size, pad, safe, short_path
from fastckpt.tools.stats import Numbers, StatsReport, TensorStats, stats

_LABELS = ("min", "max", "mean", "std", "zero", "nan", "inf")
_COLUMNS = (Column("name"), *(Column(label, right=True) for label in _LABELS))

# A terminal with fewer columns gets one paragraph a tensor.
_TABLE_COLUMNS = 80


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
        damage = [str(part) for part in checkpoint.damage if part.error.key is None]
    rows: Iterable[TensorStats] = report.tensors
    if order == "size":
        rows = sorted(rows, key=lambda row: (-row.nbytes, row.name))
    if as_json:
        _print_json(report, rows)
    else:
        _print(report, rows)
        for problem in [*damage, *(f"{x.name}: {x}" for x in report.failures)]:
            failures.warn(problem)
    return failures.DAMAGED if report.failures or damage else failures.OK


def _print(report: StatsReport, rows: Iterable[TensorStats]) -> None:
    if is_terminal() and width() < _TABLE_COLUMNS:
        for row in rows:
            write(f"{styled(safe(row.name), 'bold')}\n  {wrapped(_sentence(row.numbers), 2, 2)}\n")
    else:
        print_table(_COLUMNS, ((safe(row.name), *_cells(row.numbers)) for row in rows))
    sizes = {name: human_size(size) for name, size in report.bytes_by_dtype.items()}
    label = max(map(len, [*sizes, "all"])) + 2
    write(f"\n{styled(pad('all', label), 'bold')}{wrapped(_sentence(report.total), label, label)}")
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


def _sentence(numbers: Numbers | None) -> str:
    if numbers is None:
        return "not real numbers"
    pairs = zip(_LABELS, _cells(numbers), strict=True)
    return ", ".join(f"{label} {cell}" for label, cell in pairs)


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
