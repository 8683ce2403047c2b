"""The doctor: from a path to findings."""

from __future__ import annotations

import os
from collections.abc import Iterable

from fastckpt.errors import CheckpointError
from fastckpt.progress import ProgressLike
from fastckpt.storage import local
from fastckpt.tools.doctor.directories import look_into
from fastckpt.tools.doctor.examination import Examination
from fastckpt.tools.doctor.findings import Diagnosis, Finding, problem
from fastckpt.tools.doctor.left_overs import left_overs
from fastckpt.tools.doctor.places import find_place

__all__ = ["diagnose"]

# Other checkpoints of a directory whose files are looked at.
_MAX_OTHERS = 100

_ORDER = ("problem", "warning", "note")


def diagnose(
    path: str | bytes | os.PathLike[str],
    *,
    quick: bool = False,
    num_threads: int | None = None,
    progress: ProgressLike = None,
) -> Diagnosis:
    """Find out why something does not load, and what to do about it.

    Parameters
    ----------
    path : str, bytes or PathLike
        Anything: a prefix, a file, a directory, nothing at all.
    quick : bool
        Look at the files, and leave the tensors unread.
    num_threads : int, optional
        Threads for reading.
    progress : bool or callable, optional
        As for :meth:`Checkpoint.verify`.

    Returns
    -------
    Diagnosis
        Whatever is wrong is among its findings; only an argument that is no path raises.

    Notes
    -----
    Nothing is changed. Of a directory the latest checkpoint is read, and the files of up to 100
    others are looked at.
    """
    text = local.as_path(path)
    findings: list[Finding] = []
    examined = None
    try:
        prefix, others, directory = _find(text, findings)
        if prefix is not None:
            examined = Examination(prefix)
            examined.run(read_all=not quick, num_threads=num_threads, progress=progress)
            findings += examined.findings
        for other in others[:_MAX_OTHERS]:
            examination = Examination(other)
            examination.run(read_all=False)
            findings += (x for x in examination.findings if x.severity == "problem")
        if directory is not None:
            findings += left_overs(directory)
        elif prefix is not None:
            findings += left_overs(os.path.dirname(prefix), [prefix])
    except CheckpointError as error:
        # Looking at files failed in a way that has no finding of its own.
        prefix = None
        findings.append(problem("unreadable", str(error), None, error.path or text))
    return Diagnosis(
        path=text,
        prefix=prefix,
        findings=tuple(_in_order(findings)),
        tensors=examined.tensors if examined else 0,
        nbytes=examined.nbytes if examined else 0,
        verified=examined.verified if examined else False,
    )


def _find(text: str, findings: list[Finding]) -> tuple[str | None, list[str], str | None]:
    """Give the checkpoint that is meant, others beside it, and the directory that holds all."""
    is_prefix = not text.endswith("/") and local.file_size(f"{text}.index") is not None
    if local.is_directory(text) and not is_prefix:
        found = look_into(text)
        findings += found.findings
        return found.prefix, found.others, text
    place = find_place(text)
    findings += place.findings
    if place.state is None:
        return place.prefix, [], None
    directory, name = os.path.split(place.state)
    found = look_into(directory or ".", name)
    findings += found.findings
    return found.prefix, found.others, directory or "."


def _in_order(findings: Iterable[Finding]) -> list[Finding]:
    return sorted(dict.fromkeys(findings), key=lambda finding: _ORDER.index(finding.severity))
