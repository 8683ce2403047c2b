"""Turns the JSON of a run into a table: ``python benchmarks/report.py results/FILE.json``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from measure import Figure, Result, ratio

LEGEND = (
    "figures: medians; ratios: median (lowest..highest) of the pairs within rounds; "
    "~ the spread contains the target"
)
HEADER = ("case", "question", "ours", "", "peer", "", "ratio (spread)", "target", "met?")


def quantity(seconds: float, work: float | None, unit: str) -> str:
    """Return a time as a rate or a time, whichever people compare."""
    if work and unit == "bytes":
        return f"{work / seconds / 1e9:.2f} GB/s"
    if work and unit == "tensors":
        return duration(seconds / work)
    return plain(seconds, unit)


def plain(value: float, unit: str) -> str:
    """Return a sample as it is: a time, or an amount of memory."""
    return f"{value / 2**20:.2f} MiB" if unit == "memory" else duration(value)


def duration(seconds: float) -> str:
    """Return seconds in a unit that fits."""
    for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "us")):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def verdict(figure: Figure, bound: float | None, *, at_least: bool) -> str:
    """Return whether the median keeps the bound; ``~`` marks a spread that contains the bound."""
    if bound is None:
        return ""
    met = figure.median >= bound if at_least else figure.median <= bound
    return ("yes" if met else "NO") + (" ~" if figure.low < bound < figure.high else "")


def ratio_cells(result: Result, target: dict[str, Any]) -> tuple[str, str, str]:
    """Return ratio, target and verdict of two contenders."""
    bound = target["bound"]
    if target["kind"] == "speedup":
        figure = ratio(result, target["against"], target["ours"])
        text, sign, at_least = "{:.2f}x", ">=", True
    else:
        figure = ratio(result, target["ours"], target["against"])
        text, sign, at_least = "{:.3f} of", "<=", False
    shown = f"{text.format(figure.median)} ({figure.low:.3g}..{figure.high:.3g})"
    wanted = "" if bound is None else f"{sign} {bound:g}"
    return shown, wanted, verdict(figure, bound, at_least=at_least)


def absolute_cells(result: Result, target: dict[str, Any]) -> tuple[str, str, str]:
    """Return spread, target and verdict of one contender alone."""
    samples, bound = result.samples[target["ours"]], target["bound"]
    if target["kind"] == "seconds":
        figure = Figure.of(samples)
        return (
            f"({plain(figure.low, result.unit)}..{plain(figure.high, result.unit)})",
            "" if bound is None else f"<= {plain(bound, result.unit)}",
            verdict(figure, bound, at_least=False),
        )
    figure = Figure.of([(result.work or 0) / seconds for seconds in samples])
    spread = f"({figure.low / 1e9:.2f}..{figure.high / 1e9:.2f} GB/s)"
    return spread, f">= {bound / 1e9:g} GB/s", verdict(figure, bound, at_least=True)


def rows(result: Result) -> Iterator[tuple[str, ...]]:
    """Yield the lines of one question."""
    state = "" if result.verified else " (unverified)"
    question = f"{result.question}{state}"
    for target in result.targets:
        ours, against = target["ours"], target["against"]
        if ours not in result.samples or (against and against not in result.samples):
            continue
        middle = Figure.of(result.samples[ours]).median
        cells = [result.case, question, ours, quantity(middle, result.work, result.unit)]
        if against:
            other = Figure.of(result.samples[against]).median
            cells += [against, quantity(other, result.work, result.unit)]
            cells += ratio_cells(result, target)
        else:
            cells += ["", "", *absolute_cells(result, target)]
        yield tuple(cells)


def table(lines: Sequence[Sequence[str]]) -> str:
    """Align columns; what repeats the line above is left empty."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    shown, above = [], ("", "")
    for line in lines:
        start = ("", "") if (line[0], line[1]) == above else (line[0], line[1])
        above = (line[0], line[1])
        cells = (*start, *line[2:])
        shown.append("  ".join(c.ljust(w) for c, w in zip(cells, widths, strict=True)).rstrip())
    return "\n".join(shown)


def load(path: Path) -> tuple[dict[str, Any], dict[str, Any], list[Result]]:
    """Read a JSON file."""
    content = json.loads(path.read_text())
    results = [Result(**result) for result in content["results"]]
    return content["machine"], content["settings"], results


def report(machine: dict[str, Any], settings: Mapping[str, Any], results: Sequence[Result]) -> str:
    """Return the whole text: machine, table, what was left out, errors."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    memory = f"{machine['memory_gib']} GiB, {machine['kernel']}, CRC {machine['crc_kernel']}"
    parts = [f"{machine['cpu']}, {machine['cpus']} CPUs, {memory}", versions, LEGEND, ""]
    lines = [row for result in results for row in rows(result)]
    if settings["smoke"]:
        lines = [(*line[:-1], "") for line in lines]
        parts.append("smoke run: the sizes are tiny, and no target is judged\n")
    parts.append(table([HEADER, *lines]))
    for result in results:
        parts += [f"{result.case} {result.question}: left out: {why}" for why in result.left_out]
        if result.error:
            parts.append(f"{result.case} {result.question}: FAILED\n{result.error}")
    return "\n".join(parts)


if __name__ == "__main__":
    print(report(*load(Path(sys.argv[1]))))
