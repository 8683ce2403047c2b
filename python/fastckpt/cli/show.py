"""``fastckpt show``: where tensors are stored, how they can be reached, and what they hold."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import click
from numpy.typing import NDArray

import fastckpt
from fastckpt.cli import failures
from fastckpt.cli.rows import choose
from fastckpt.cli.terminal import print_json_rows, styled, width, wrapped, write
from fastckpt.cli.text import counted, human_size, safe, shape_text
from fastckpt.cli.values import json_values, statistics, values_text
from fastckpt.names import data_file

_LABEL_CELLS = 8
_NO_BREAK = "\N{NO-BREAK SPACE}"


@click.command()
@click.argument("path")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--full", is_flag=True, help="All values, however many.")
@click.option("--stats", "with_stats", is_flag=True, help="Minimum, maximum, mean, NaN count …")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON document.")
def command(
    path: str, names: tuple[str, ...], *, full: bool, with_stats: bool, as_json: bool
) -> int:
    """Show what tensors hold and where they are stored.

    A NAME is a tensor's name, a scope (everything below it), or has * and ? in it. Checksums are
    compared before any value is shown. JSON output holds values with --full only.
    """
    with fastckpt.open(path, on_damage="skip") as checkpoint:
        shown = [_Shown(checkpoint, name) for name in choose(checkpoint, names)]
        if as_json:
            rows = (tensor.as_json(full=full, with_stats=with_stats) for tensor in shown)
            print_json_rows({"prefix": checkpoint.prefix}, "tensors", rows)
        else:
            for i, tensor in enumerate(shown):
                write("\n" if i else "")
                tensor.print(full=full, with_stats=with_stats)
    return failures.DAMAGED if any(tensor.error for tensor in shown) else failures.OK


class _Shown:
    """One tensor; its bytes are read when it is shown, and let go after that."""

    def __init__(self, checkpoint: fastckpt.Checkpoint, name: str) -> None:
        self._checkpoint = checkpoint
        self._tensor = checkpoint.tensor(name)
        self.error: fastckpt.CheckpointError | None = None
        # Why there are no values although nothing is wrong.
        self._reason: str | None = None
        self._is_view = False

    def print(self, *, full: bool, with_stats: bool) -> None:
        """Write all that is known of the tensor."""
        write(f"{styled(safe(self._tensor.name), 'bold')}\n")
        array = self._array()
        if self.error is not None and not self._is_described():
            _field("error", styled(_wrapped(safe(str(self.error))), "red"))
            return
        for label, text in self._facts(has_values=array is not None):
            _field(label, text)
        if array is None:
            _field("values", self._no_values())
            return
        _field("access", self._access(array))
        if with_stats:
            _print_stats(statistics(array, self._tensor.tf_dtype))
        _field("values", values_text(array, full=full, columns=width() - _LABEL_CELLS - 4))

    def as_json(self, *, full: bool, with_stats: bool) -> dict[str, Any]:
        """Give all that is known of the tensor."""
        tensor = self._tensor
        array = self._array()
        found: dict[str, Any] = {"name": tensor.name}
        if self._is_described():
            found |= {
                "dtype": tensor.tf_dtype,
                "numpy_dtype": None if array is None else str(array.dtype),
                "shape": list(tensor.shape),
                "nbytes": tensor.nbytes,
                "shard": tensor.shard,
                "file": self._file(),
                "offset": tensor.offset,
                "crc32c": tensor.crc32c,
                "partitioned": tensor.shard is None,
                "view": self._is_view,
                "aligned": None if array is None else bool(array.flags.aligned),
            }
        if self.error is not None:
            found["error"] = failures.describe_error(self.error)
        if self._reason is not None:
            found["no_values"] = self._reason
        if array is not None and with_stats:
            found["stats"] = statistics(array, tensor.tf_dtype)
        if array is not None and full:
            found["values"] = json_values(array, tensor.tf_dtype)
        return found

    def _array(self) -> NDArray[Any] | None:
        """Give a view, or a copy where there is none; None says why in `error` or `_reason`."""
        try:
            try:
                array = self._tensor.view()
                self._is_view = True
            except fastckpt.UnsupportedError:
                array = self._tensor.read()
        except fastckpt.UnsupportedError as error:
            self._reason = str(error)
        except fastckpt.CheckpointError as error:
            self.error = error
        else:
            return array
        return None

    def _is_described(self) -> bool:
        """Whether the entry is well-formed."""
        try:
            return self._tensor.shape is not None
        except fastckpt.CheckpointError:
            return False

    def _facts(self, *, has_values: bool) -> Iterator[tuple[str, str]]:
        tensor = self._tensor
        elements = f", {counted(tensor.size, 'element')}" if tensor.shape else ", scalar"
        yield "dtype", styled(tensor.tf_dtype, "cyan")
        yield "shape", _wrapped(shape_text(tensor.shape) + elements)
        if tensor.shard is None:
            yield "stored", "in slices (partitioned)"
            return
        file = os.path.basename(self._file() or "")
        if tensor.offset is None:
            yield "stored", _wrapped(f"{human_size(tensor.nbytes)} in a record of {safe(file)}")
            return
        where = f"{human_size(tensor.nbytes)} at offset {tensor.offset} of {safe(file)}"
        yield "stored", _wrapped(where)
        matches = f", {styled('matches', 'green')}" if has_values else ""
        yield "crc32c", f"{tensor.crc32c:08x}{matches}"

    def _access(self, array: NDArray[Any]) -> str:
        aligned = "" if array.flags.aligned else ", not aligned"
        return ("zero-copy view" if self._is_view else "copy") + aligned

    def _no_values(self) -> str:
        if self.error is not None:
            return styled(_wrapped(f"damaged: {safe(str(self.error))}"), "red")
        return _wrapped(safe(self._reason or ""))

    def _file(self) -> str | None:
        shard = self._tensor.shard
        if shard is None:
            return None
        if self._checkpoint.format == "v1":
            return self._checkpoint.files[shard]
        return data_file(self._checkpoint.prefix, shard, self._checkpoint.num_shards)


def _wrapped(text: str) -> str:
    indent = _LABEL_CELLS + 2
    # The lines after the first are indented where they are written.
    return wrapped(text, indent, indent).replace("\n" + " " * indent, "\n")


def _field(label: str, text: str) -> None:
    indent = "\n" + " " * (_LABEL_CELLS + 2)
    write(f"  {styled(f'{label:<{_LABEL_CELLS}}', 'dim')}{text.replace(chr(10), indent)}\n")


def _print_stats(found: dict[str, Any] | None) -> None:
    if found is None:
        _field("stats", "none: not real numbers")
        return
    words = [
        f"{key} {value if isinstance(value, int) else f'{value:.6g}'}"
        for key, value in found.items()
        if value is not None
    ]
    text = ", ".join(word.replace(" ", _NO_BREAK) for word in words)
    _field("stats", _wrapped(text).replace(_NO_BREAK, " "))
