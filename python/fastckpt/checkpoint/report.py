"""What a verification found, and what opening left out."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastckpt.errors import CheckpointError


@dataclass(frozen=True, slots=True)
class VerifyFailure:
    """One thing that is wrong.

    Attributes
    ----------
    name : str or None
        The tensor concerned; None where the failure belongs to a file and to no tensor.
    error : CheckpointError
        What reading it would raise; its ``path`` and ``offset`` say where.
    """

    name: str | None
    error: CheckpointError

    def __str__(self) -> str:
        return str(self.error)


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """The result of :meth:`Checkpoint.verify`.

    Attributes
    ----------
    tensors : int
        Tensors looked at.
    nbytes : int
        Bytes of tensor data read and compared.
    failures : tuple of VerifyFailure
        All of them, in file order; empty when the checkpoint is intact.
    """

    tensors: int
    nbytes: int
    failures: tuple[VerifyFailure, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.failures

    def __bool__(self) -> bool:
        return self.ok


@dataclass(frozen=True, slots=True)
class Damage:
    """A part of the index that ``on_damage="skip"`` left out.

    Attributes
    ----------
    error : CheckpointError
        Why; its ``offset`` is that of the index block.
    after, up_to : str
        Every lost name sorts after `after` and, where `up_to` is not empty, not after `up_to`.
    """

    error: CheckpointError
    after: str
    up_to: str

    def __str__(self) -> str:
        if self.after == self.up_to:
            return str(self.error)
        return f"{self.error}; names after {self.after!r} up to {self.up_to!r} are lost"
