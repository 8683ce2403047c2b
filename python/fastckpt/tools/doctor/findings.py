"""What the doctor says: findings, each with what is to be done about it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "Diagnosis",
    "Finding",
    "Severity",
    "listed",
    "no_permission",
    "note",
    "problem",
    "quoted",
    "warning",
]

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
    command : str or None
        A command for a POSIX shell that does what `fix` says, where there is one.
    tensors : tuple of str
        The tensors that cannot be read because of it.
    """

    severity: Severity
    code: str
    what: str
    fix: str | None = None
    path: str | None = None
    tensors: tuple[str, ...] = ()
    command: str | None = None


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
    code: str,
    what: str,
    fix: str | None,
    path: str,
    tensors: Iterable[str] = (),
    command: str | None = None,
) -> Finding:
    """Make a finding that says why something does not load."""
    return Finding("problem", code, what, fix, path, tuple(tensors), command)


def warning(
    code: str, what: str, fix: str | None, path: str, command: str | None = None
) -> Finding:
    """Make a finding that says what will go wrong."""
    return Finding("warning", code, what, fix, path, command=command)


def note(code: str, what: str, fix: str | None, path: str) -> Finding:
    """Make a finding that is good to know."""
    return Finding("note", code, what, fix, path)


def no_permission(path: str, tensors: Iterable[str] = ()) -> Finding:
    """Make a finding about a file or directory that the user may not read."""
    is_directory = os.path.isdir(path)
    what = f"no permission to {'list the directory' if is_directory else 'read'} {path!r}"
    change = f"chmod {'a+rx' if is_directory else 'a+r'} {quoted(path)}"
    return problem("permission", what, "let its owner run this", path, tensors, change)


def quoted(word: str) -> str:
    """Quote a word for a POSIX shell, such that no character of it can touch a terminal."""
    if word.isprintable():
        return shlex.quote(word)
    escaped = (chr(x) if 32 <= x < 127 and x not in b"'\\" else f"\\{x:03o}" for x in _bytes(word))
    return f"$'{''.join(escaped)}'"


def _bytes(word: str) -> bytes:
    return word.encode("utf-8", "surrogateescape")


def listed(items: Iterable[str]) -> str:
    """Write some paths or names, and how many more there are."""
    found = list(items)
    more = len(found) - _MAX_LISTED
    shown = ", ".join(map(repr, found[:_MAX_LISTED]))
    return f"{shown} and {more} more" if more > 0 else shown
