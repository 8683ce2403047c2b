"""``fastckpt rename``: a checkpoint under other names."""

from __future__ import annotations

import json
from typing import Any

import click

from fastckpt.cli.surgery import operate, surgery_options
from fastckpt.tools.surgery import rename


@click.command()
@click.argument("source", metavar="SRC")
@click.argument("rules", nargs=-1, metavar="[RULE]...")
@click.option(
    "--map",
    "mapping",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="A JSON object of old names and new ones, replaced all at once, in place of rules.",
)
@surgery_options
def command(source: str, rules: tuple[str, ...], *, mapping: str | None, **options: Any) -> None:
    """Write a checkpoint anew with other names.

    \b
    A RULE is one of
      old=new       an exact name
      old/=new/     a scope: all below it (old/= takes it away, =new/ adds one)
      s/regex/new/  a regular expression as in sed, with groups (\\1), and the
                    flags g (every match) and i (any case); s|a/b|c| works too

    Rules are applied one after the other. A rule that applies to no tensor is an error, and so
    are two tensors of one name. The result replaces what is at DST at one stroke, when it is
    complete.

    Try it first: fastckpt rename SRC old/=new/ --dry-run
    """  # noqa: D301 click's mark is the character itself
    if (mapping is None) == (not rules):
        raise click.UsageError("pass either rules or --map FILE")
    operate("rename", rename, source, _mapping(mapping) if mapping else list(rules), **options)


def _mapping(path: str) -> dict[str, str]:
    with click.open_file(path, encoding="utf-8") as file:
        try:
            found = json.load(file)
        except ValueError as error:
            raise click.UsageError(f"{path!r} is not JSON: {error}") from None
    if not isinstance(found, dict) or not all(isinstance(x, str) for x in found.values()):
        raise click.UsageError(f"{path!r} does not hold a JSON object of names")
    return found
