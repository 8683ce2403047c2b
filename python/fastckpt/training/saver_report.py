"""What a restore found wrong, in one report."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from fastckpt.checkpoint.reader import Checkpoint
from fastckpt.errors import CheckpointError, InvalidArgumentError, TensorNotFoundError
from fastckpt.names import near_names

__all__ = ["RestoreReport", "complaint", "left_out"]

# How many names a list spells out.
_MAX_LISTED = 20

_ADVICE = (
    "Nothing was assigned. A var_list {stored name: variable} renames; restore(…, strict=False) "
    "restores what fits."
)


@dataclasses.dataclass(slots=True)
class RestoreReport:
    """What a restore with ``strict=False`` did, and what it left.

    Attributes
    ----------
    restored : list of str
        Keys whose variables have their stored values.
    missing : list of str
        Keys that the checkpoint has not.
    mismatched : dict of str to str
        Keys whose stored tensor does not fit, and why.
    unexpected : list of str
        Names in the checkpoint that no variable asked for.
    values : object
        The `var_list`, with new objects in the place of immutable ones such as JAX arrays.
    """

    restored: list[str] = dataclasses.field(default_factory=list)
    missing: list[str] = dataclasses.field(default_factory=list)
    mismatched: dict[str, str] = dataclasses.field(default_factory=dict)
    unexpected: list[str] = dataclasses.field(default_factory=list)
    values: Any = None

    @property
    def ok(self) -> bool:
        """Whether every variable was restored."""
        return not self.missing and not self.mismatched


def complaint(checkpoint: Checkpoint, report: RestoreReport) -> CheckpointError:
    """Make the error of a restore that assigned nothing."""
    kind = TensorNotFoundError if report.missing else InvalidArgumentError
    key = next(iter(report.missing or report.mismatched))
    cause = (
        "a Variable name or other graph key that is missing"
        if report.missing
        else "a mismatch between the current graph and the graph"
    )
    summary = (
        f"Restoring from checkpoint failed. This is most likely due to {cause} from the "
        f"checkpoint {checkpoint.prefix!r}"
    )
    text = "\n".join([f"{summary}: {_counts(report)}", *_details(report), _ADVICE])
    return kind(text, path=checkpoint.prefix, key=key)


def left_out(checkpoint: Checkpoint, report: RestoreReport) -> str:
    """Say what a restore that is not strict left as it was."""
    summary = f"restoring from {checkpoint.prefix!r} leaves variables as they are"
    return "\n".join([f"{summary}: {_counts(report)}", *_details(report)])


def _counts(report: RestoreReport) -> str:
    return (
        f"{len(report.missing)} missing, {len(report.mismatched)} of another shape or dtype, "
        f"{len(report.restored)} that fit"
    )


def _details(report: RestoreReport) -> list[str]:
    return [
        *_shortened(_missing(report), len(report.missing)),
        *_shortened(
            (f"{key}: {reason}" for key, reason in report.mismatched.items()),
            len(report.mismatched),
        ),
        *_unexpected(report.unexpected),
    ]


def _missing(report: RestoreReport) -> Iterator[str]:
    for key in report.missing:
        near = [repr(x) for x in near_names(key, report.unexpected)]
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        yield f"Key {key} not found in checkpoint{hint}"


def _shortened(lines: Iterable[str], count: int) -> Iterator[str]:
    for _, line in zip(range(_MAX_LISTED), lines, strict=False):
        yield f"  {line}"
    if count > _MAX_LISTED:
        yield f"  … and {count - _MAX_LISTED} more"


def _unexpected(names: Sequence[str]) -> list[str]:
    if not names:
        return []
    listed = ", ".join(map(repr, names[:_MAX_LISTED]))
    more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    return [f"In the checkpoint, and asked for by no variable: {listed}{more}."]
