"""What the doctor says: findings, each with what is to be done about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Diagnosis", "Finding", "Severity", "listed", "note", "problem", "warning"]

Severity = Literal["problem", "warning", "note"]

# How many paths or names a sentence lists.
_MAX_LISTED = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know.

    Attributes
    ----------
    severity : {"problem", "warning", "note"}
        Something does not load; something will go wrong, or does with TensorFlow; good to know.
    code : str
        A short, stable name of the kind, such as ``"missing-shard"``.
    what : str
        What was found.
    fix : str or None
        What to do; None where nothing needs to be done.
    path : str or None
        The file, prefix or directory concerned.
    tensors : tuple of str
        The tensors that cannot be read because of it.
    """

    severity: Severity
    code: str
    what: str
    fix: str | None = None
    path: str | None = None
    tensors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What :func:`diagnose` found.

    Attributes
    ----------
    path : str
        The path that was asked about.
    prefix : str or None
        The checkpoint that it means; None where it means none.
    findings : tuple of Finding
        Problems first.
    tensors, nbytes : int
        Of the checkpoint.
    verified : bool
        Whether all bytes were read and compared.
    """

    path: str
    prefix: str | None
    findings: tuple[Finding, ...] = field(default=())
    tensors: int = 0
    nbytes: int = 0
    verified: bool = False

    @property
    def ok(self) -> bool:
        """Whether there is no problem."""
        return not any(finding.severity == "problem" for finding in self.findings)


def problem(
    code: str, what: str, fix: str | None, path: str, tensors: Iterable[str] = ()
) -> Finding:
    """Make a finding that says why something does not load."""
    return Finding("problem", code, what, fix, path, tuple(tensors))


def warning(code: str, what: str, fix: str | None, path: str) -> Finding:
    """Make a finding that says what will go wrong."""
    return Finding("warning", code, what, fix, path)


def note(code: str, what: str, fix: str | None, path: str) -> Finding:
    """Make a finding that is good to know."""
    return Finding("note", code, what, fix, path)


def listed(items: Iterable[str]) -> str:
    """Write some paths or names, and how many more there are."""
    found = list(items)
    more = len(found) - _MAX_LISTED
    shown = ", ".join(map(repr, found[:_MAX_LISTED]))
    return f"{shown} and {more} more" if more > 0 else shown
