"""Run every examples/*_tensorflow.py, each in a folder of its own, in one process.

    python run_examples.py EXAMPLES OUTPUTS

OUTPUTS/<program>.txt is what it printed.
"""

import contextlib
import os
import runpy
import sys
from pathlib import Path

import tensorflow as tf

examples, outputs = Path(sys.argv[1]), Path(sys.argv[2])
sys.argv = [""]
# `disable_v2_behavior` cannot be taken back: what needs version 2 goes first.
programs = sorted(
    examples.glob("*_tensorflow.py"), key=lambda p: "disable_v2_behavior" in p.read_text()
)
for program in programs:
    folder = outputs / program.stem
    folder.mkdir()
    os.chdir(folder)
    tf.compat.v1.reset_default_graph()
    with (
        open(outputs / f"{program.stem}.txt", "w") as file,
        contextlib.redirect_stdout(file),
    ):
        runpy.run_path(str(program), run_name="__main__")
