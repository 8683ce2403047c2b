"""The command ``fastckpt``; one module a subcommand, imported when it is called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Never

__all__ = ["main"]


def main(args: Sequence[str] | None = None) -> Never:
    """Run the command and exit.

    Parameters
    ----------
    args : sequence of str, optional
        Arguments after the program's name; those of the process by default.
    """
    import gc

    # Collections would walk the rows of long listings again and again, and find nothing.
    gc.disable()
    from fastckpt.cli.app import app

    app.main(args, prog_name="fastckpt")
    raise AssertionError("unreachable")
