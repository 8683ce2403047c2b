"""Run one of the two inspect_checkpoint tools on many cases, in a process of its own.

Arguments: the tool's module, and a JSON file with a list of cases. A case is a list of arguments
of the command line, or a mapping with the arguments of print_tensors_in_checkpoint_file. Standard
output is a JSON list of ``[exit status, what the tool wrote]``.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import runpy
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np


def run_case(module: str, case: Any) -> list[Any]:
    """Run one case from a clean state."""
    output, status = io.StringIO(), 0
    with np.printoptions(), contextlib.redirect_stdout(output):
        try:
            if isinstance(case, dict):
                importlib.import_module(module).print_tensors_in_checkpoint_file(**case)
            else:
                sys.argv = ["inspect_checkpoint", *case]
                runpy.run_module(module, run_name="__main__")
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
    return [status, output.getvalue()]


if __name__ == "__main__":
    # The modules were imported before, as modules.
    warnings.filterwarnings("ignore", category=RuntimeWarning, module="runpy")
    _, tool, listed = sys.argv
    cases = json.loads(Path(listed).read_text(encoding="utf-8"))
    print(json.dumps([run_case(tool, case) for case in cases]))
