"""``fastckpt doctor``: why something does not load, and what to do about it."""

from __future__ import annotations

import click

from fastckpt.cli import failures
from fastckpt.cli.bar import Bar
from fastckpt.cli.terminal import print_json_rows, styled, wrapped, write
from fastckpt.cli.text import counted, human_size, safe, short_path
from fastckpt.tools.doctor import Diagnosis, Finding, diagnose

_STYLES = {"problem": ("bold", "red"), "warning": ("bold", "yellow"), "note": ("bold", "cyan")}
_LABEL_CELLS = 8

# Beyond so many tensors a list is cut; --json has all.
_MAX_TENSORS = 5


@click.command()
@click.argument("path")
@click.option("--quick", is_flag=True, help="Look at the files, leave the tensors unread.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON document.")
def command(path: str, *, quick: bool, as_json: bool) -> int:
    """Find out why something does not load, and what to do about it.

    PATH may be anything: a prefix, one file, a directory, a path at which nothing is. Nothing is
    changed. All bytes of the checkpoint are read and compared; of a directory those of its latest
    one, and the files of the others are looked at.

    The exit status is 0 when it loads, 1 when a checkpoint has a problem, and 2 when PATH leads to
    none.
    """
    with Bar("read") as bar:
        found = diagnose(path, quick=quick, progress=bar)
    if as_json:
        _print_json(found)
    else:
        _print(found)
    if found.ok:
        return failures.OK
    return failures.USAGE if found.prefix is None else failures.DAMAGED


def _print(found: Diagnosis) -> None:
    for finding in found.findings:
        _print_finding(finding)
    problems = sum(finding.severity == "problem" for finding in found.findings)
    where = short_path(found.path if found.prefix is None else found.prefix)
    amount = f"{where}: {counted(found.tensors, 'tensor')}, {human_size(found.nbytes)}"
    if found.prefix is None:
        _verdict("no checkpoint", where, "red")
    elif problems:
        _verdict(counted(problems, "problem"), amount, "red")
    else:
        checked = "every checksum matches" if found.verified else "not read"
        _verdict("ok", f"{amount}; {checked}", "green")


def _verdict(label: str, text: str, colour: str) -> None:
    indent = len(label) + 2
    write(f"{styled(label, 'bold', colour)}  {wrapped(text, indent, indent)}\n")


def _print_finding(finding: Finding) -> None:
    style = _STYLES[finding.severity]
    _field(finding.severity, finding.what, *style)
    if finding.tensors:
        shown = ", ".join(map(safe, finding.tensors[:_MAX_TENSORS]))
        more = len(finding.tensors) - _MAX_TENSORS
        rest = f" and {more} more" if more > 0 else ""
        _field("lost", f"{counted(len(finding.tensors), 'tensor')}: {shown}{rest}", "dim")
    if finding.fix is not None:
        fix = finding.fix if finding.command is None else f"{finding.fix}:"
        _field("hint" if finding.severity == "note" else "fix", fix, "green")
    if finding.command is not None:
        # On a line of its own, and never broken: it is to be copied.
        write(f"{'':{_LABEL_CELLS}} {safe(finding.command)}\n")
    write("\n")


def _field(label: str, text: str, *styles: str) -> None:
    indent = _LABEL_CELLS + 1
    shown = wrapped(safe(text), indent, indent)
    write(f"{styled(f'{label:<{_LABEL_CELLS}}', *styles)} {shown}\n")


def _print_json(found: Diagnosis) -> None:
    head = {
        "path": found.path,
        "prefix": found.prefix,
        "ok": found.ok,
        "total": {"tensors": found.tensors, "nbytes": found.nbytes},
        "verified": found.verified,
    }
    print_json_rows(head, "findings", map(_json_row, found.findings))


def _json_row(finding: Finding) -> dict[str, object]:
    return {
        "severity": finding.severity,
        "code": finding.code,
        "what": finding.what,
        "fix": finding.fix,
        "command": finding.command,
        "path": finding.path,
        "tensors": finding.tensors,
    }
