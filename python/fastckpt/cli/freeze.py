"""``fastckpt freeze``: a graph and the values of its variables, in one file."""

from __future__ import annotations

from collections import Counter
from typing import Any

import click

from fastckpt.cli.terminal import styled, to_json, write
from fastckpt.cli.text import counted, human_size, safe, short_path
from fastckpt.graph.files import serialize
from fastckpt.graph.freeze_sources import load_model, split_names
from fastckpt.graph.freezing import freeze
from fastckpt.storage.replace import replace_file


def _listed(text: str | None) -> list[str] | None:
    return None if text is None else split_names(text)


@click.command()
@click.argument("graph", metavar="GRAPH")
@click.argument("checkpoint", metavar="[CHECKPOINT]", required=False)
@click.option(
    "--output-node-names",
    "outputs",
    metavar="A,B",
    help="Nodes to compute; by default what the signature of GRAPH yields.",
)
@click.option("--output", "-o", required=True, metavar="FILE", help="File to write.")
@click.option("--text", "as_text", is_flag=True, help="Write text form.")
@click.option("--clear-devices", is_flag=True, help="Let all nodes run on any device.")
@click.option("--only", metavar="A,B", help="Names of the variables to convert; all by default.")
@click.option("--keep", metavar="A,B", help="Names of variables that stay variables.")
@click.option("--tags", metavar="A,B", help="Which meta graph of a SavedModel.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON document.")
def command(
    graph: str,
    checkpoint: str | None,
    *,
    outputs: str | None,
    output: str,
    as_text: bool,
    clear_devices: bool,
    only: str | None,
    keep: str | None,
    tags: str | None,
    as_json: bool,
) -> None:
    """Write a graph whose variables are constants: a model in one file.

    GRAPH is a .meta file, the directory of a SavedModel, or a file with a GraphDef. CHECKPOINT is
    needed for the last alone: a SavedModel has its variables, and a .meta has its checkpoint
    beside it. What the outputs do not need is left out.
    """
    model = load_model(graph, checkpoint, tags)
    names = model.output_names(outputs)
    frozen = freeze(
        model,
        outputs=names,
        variable_names_allowlist=_listed(only),
        variable_names_denylist=_listed(keep),
        clear_devices=clear_devices,
    )
    content = serialize(frozen, as_text=as_text, path=output)
    replace_file(output, content)
    found = _describe(frozen, names, output, len(content))
    if as_json:
        write(to_json(found) + "\n")
    else:
        _print(found)


def _describe(frozen: Any, outputs: list[str], path: str, size: int) -> dict[str, Any]:
    ops = Counter(node.op for node in frozen.node)
    return {
        "path": path,
        "nbytes": size,
        "nodes": len(frozen.node),
        "functions": len(frozen.library.function),
        "constants": ops["Const"],
        "inputs": [node.name for node in frozen.node if node.op == "Placeholder"],
        "outputs": outputs,
    }


def _print(found: dict[str, Any]) -> None:
    size = f"{counted(found['nodes'], 'node')}, {human_size(found['nbytes'])}"
    write(f"{styled('written', 'bold', 'green')}  {short_path(found['path'])}: {size}\n")
    for what in ("inputs", "outputs"):
        names = ", ".join(map(safe, found[what])) or "none"
        write(f"  {what}: {names}\n")
