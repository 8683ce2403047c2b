"""``fastckpt keep``: some tensors of a checkpoint alone."""

from __future__ import annotations

from typing import Any

import click

from fastckpt.cli.surgery import operate, surgery_options
from fastckpt.tools.surgery import keep


@click.command()
@click.argument("source", metavar="SRC")
@click.argument("patterns", nargs=-1, required=True, metavar="PATTERN...")
@surgery_options
def command(source: str, patterns: tuple[str, ...], **options: Any) -> None:
    """Write a checkpoint anew with some of its tensors alone.

    A PATTERN is a name, a scope (everything below it), or has * and ? in it, which match slashes
    too. The result replaces what is at DST at one stroke, when it is complete.
    """
    operate("keep", keep, source, list(patterns), **options)
