"""TensorFlow's tool that prints what is in a checkpoint, line for line.

``python -m fastckpt.inspect_checkpoint --file_name=model.ckpt-1000 --all_tensors``

``fastckpt ls`` and ``fastckpt show`` are the comfortable ways to the same answers.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from fastckpt.checkpoint.tensorflow_errors import NotConvertibleError
from fastckpt.checkpoint.tensorflow_reader import CheckpointReader

__all__ = ["main", "parse_numpy_printoption", "print_tensors_in_checkpoint_file"]

_USAGE = (
    "Usage: inspect_checkpoint --file_name=checkpoint_file_name "
    "[--tensor_name=tensor_to_print] [--all_tensors] [--all_tensor_names] "
    "[--count_exclude_pattern] [--printoptions]"
)

_BOOLS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


def print_tensors_in_checkpoint_file(
    file_name: str,
    tensor_name: str,
    all_tensors: bool,  # noqa: FBT001
    all_tensor_names: bool = False,  # noqa: FBT001, FBT002
    count_exclude_pattern: str = "",
) -> None:
    """Print names, dtypes, shapes and values of a checkpoint to standard output.

    Parameters
    ----------
    file_name : str
        Prefix of the checkpoint.
    tensor_name : str
        The one tensor to print; empty for a list of all. Ignored with either of the next two.
    all_tensors : bool
        Print every tensor with its value.
    all_tensor_names : bool
        Print every tensor without its value.
    count_exclude_pattern : str
        Regular expression; tensors it is found in are left out of the count of parameters.

    Notes
    -----
    Raises nothing for what is wrong with the checkpoint: the message is printed instead.
    """
    try:
        reader = CheckpointReader(file_name)
        shapes = reader.get_variable_to_shape_map()
        if all_tensors or all_tensor_names:
            _print_all(reader, shapes, with_values=all_tensors)
        elif not tensor_name:
            print(reader.debug_string().decode("utf-8", "ignore"))
        elif reader.has_tensor(tensor_name):
            _print_header(reader, shapes, tensor_name)
            print(reader.get_tensor(tensor_name))
        else:
            print(f"Tensor {tensor_name} not found in checkpoint")
            return
        _print_count(shapes, count_exclude_pattern)
    except Exception as error:  # noqa: BLE001 the tool promises text instead of errors
        print(error)


def parse_numpy_printoption(kv_str: str) -> None:
    """Set one of NumPy's print options.

    Parameters
    ----------
    kv_str : str
        ``"name=value"``, such as ``"threshold=100000"``; see :func:`numpy.set_printoptions`.

    Raises
    ------
    argparse.ArgumentTypeError
        Another form, an unknown option, one that text cannot set, or a value of the wrong type.
    """
    name, equals, text = kv_str.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"'{kv_str}' is not in the form k=v.")
    options: dict[str, Any] = {**np.get_printoptions()}
    if name not in options:
        raise argparse.ArgumentTypeError(f"'{name}' is not a valid printoption.")
    current = options[name]
    if current is None:
        raise argparse.ArgumentTypeError(
            f"Setting '{name}' from the command line is not supported."
        )
    try:
        value = _BOOLS[text.lower()] if isinstance(current, bool) else type(current)(text)
        np.set_printoptions(**cast("dict[str, Any]", {name: value}))
    except (KeyError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"'{text}' is no value for '{name}'.") from error


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after the program's name; those of the process by default.

    Raises
    ------
    SystemExit
        1 without ``--file_name`` and for unknown flags, 2 for bad values. A checkpoint that
        cannot be read is not a failure.
    """
    options, rest = _parser().parse_known_args(argv)
    unknown = next((x.lstrip("-").partition("=")[0] for x in rest if x.startswith("-")), None)
    if unknown is not None:
        print(
            f"FATAL Flags parsing error: Unknown command line flag '{unknown}'\n"
            "Pass --help to see help on flags.",
            file=sys.stderr,
        )
        sys.exit(1)
    if not options.file_name:
        print(_USAGE)
        sys.exit(1)
    print_tensors_in_checkpoint_file(
        options.file_name,
        options.tensor_name,
        options.all_tensors,
        options.all_tensor_names,
        count_exclude_pattern=options.count_exclude_pattern,
    )


def _print_all(
    reader: CheckpointReader, shapes: dict[str, list[int]], *, with_values: bool
) -> None:
    for name in sorted(shapes):
        _print_header(reader, shapes, name)
        if with_values:
            try:
                print(reader.get_tensor(name))
            except NotConvertibleError:
                print("<not convertible to a numpy dtype>")


def _print_header(reader: CheckpointReader, shapes: dict[str, list[int]], name: str) -> None:
    dtype = reader.checkpoint.tensor(name).tf_dtype
    print(f"tensor: {name} ({dtype}) {shapes[name]}")


def _print_count(shapes: dict[str, list[int]], exclude: str) -> None:
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    if exclude:
        pattern = re.compile(exclude)
        excluded = [sizes.pop(name) for name in shapes if pattern.search(name)]
        print(
            f"# Excluding {len(excluded)} tensors ({sum(excluded)} params) "
            f"that match {exclude} when counting."
        )
    print(f"# Total number of params: {sum(sizes.values())}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="inspect_checkpoint", description="Print what is in a checkpoint."
    )
    parser.add_argument(
        "--file_name", default="", help="prefix of the checkpoint, without .index or .data-…"
    )
    parser.add_argument("--tensor_name", default="", help="the one tensor to print")
    parser.add_argument(
        "--count_exclude_pattern",
        default="",
        help="leave tensors that match this regular expression out of the count",
    )
    for flag, what in (("--all_tensors", "names and values"), ("--all_tensor_names", "names")):
        parser.add_argument(
            flag,
            nargs="?",
            const=True,
            type=_is_true,
            default=False,
            help=f"print the {what} of all tensors",
        )
    parser.add_argument(
        "--printoptions",
        nargs="*",
        type=parse_numpy_printoption,
        help="options of numpy.set_printoptions, as name=value",
    )
    return parser


def _is_true(text: str) -> bool:
    return text.lower() == "true"


if __name__ == "__main__":
    main()
