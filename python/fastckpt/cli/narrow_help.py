"""Help texts that fit narrow terminals, for which click's own are too wide."""

from __future__ import annotations

import shutil
from collections.abc import Iterable

import click

__all__ = ["HelpContext"]

# Narrower than that, options and their help share too little room to stand side by side.
_NARROW = 60
_MIN_WIDTH = 20


class _Formatter(click.HelpFormatter):
    """Click never goes below 50 columns, and then the terminal breaks words."""

    def __init__(
        self, indent_increment: int = 2, width: int | None = None, max_width: int | None = None
    ) -> None:
        if width is None:
            columns = shutil.get_terminal_size().columns
            width = max(min(columns, max_width or 80) - 2, _MIN_WIDTH)
        super().__init__(indent_increment, width, max_width)

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        """Write terms and their help: side by side, or below longer terms."""
        super().write_dl(rows, self.width // 3 if self.width < _NARROW else col_max, col_spacing)


class HelpContext(click.Context):
    """The context of commands whose help fits any terminal."""

    formatter_class = _Formatter
