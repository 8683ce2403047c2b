"""Run a script in which ``import tensorflow`` means fastckpt's namespace.

    python -m fastckpt.compat script.py [arguments]
    python -m fastckpt.compat -m package.module [arguments]

A TensorFlow that is installed is not touched, and not imported either: to run the command is to
ask for that.
"""

from __future__ import annotations

import os
import runpy
import sys

from fastckpt.compat.importer import install

_USAGE = """usage: python -m fastckpt.compat script.py [arguments]
       python -m fastckpt.compat -m package.module [arguments]

Runs a script whose "import tensorflow as tf" gives fastckpt's namespace: checkpoints, meta
graphs, frozen graphs and files, without TensorFlow. It does no arithmetic."""


def main(arguments: list[str]) -> int:
    """Run what the arguments name; the script's own exit status is the result."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_USAGE, file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else 2
    install(shadow=True)
    if arguments[0] == "-m":
        return _run_module(arguments[1:])
    script = arguments[0]
    if not os.path.isfile(script):
        print(f"no script {script!r}\n\n{_USAGE}", file=sys.stderr)
        return 2
    sys.argv[:] = arguments
    # As `python script.py` has it: the script's own folder comes first.
    sys.path[0] = os.path.dirname(os.path.abspath(script))
    runpy.run_path(script, run_name="__main__")
    return 0


def _run_module(arguments: list[str]) -> int:
    if not arguments:
        print(_USAGE, file=sys.stderr)
        return 2
    sys.argv[:] = arguments
    top, _, below = arguments[0].partition(".")
    if top == "tensorflow":
        # Of TensorFlow's modules, those that are programs.
        from fastckpt.compat.tools import TOOLS

        if below in TOOLS:
            TOOLS[below](arguments[1:])
            return 0
    runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
