"""Run every program of tests/compat_scripts with one engine, each in a folder of its own.

    python run_compat_patterns.py {tensorflow,fastckpt} {eager,graph} INPUTS OUTPUTS

OUTPUTS/<program>/ is a copy of INPUTS; stdout.txt in it is what the program printed. Programs that
switch eager execution off are those of "graph": in one process it cannot be switched on again.
"""

import contextlib
import io
import os
import runpy
import shutil
import sys
import traceback
from pathlib import Path

SCRIPTS = Path(__file__).parent.parent / "compat_scripts"


def run(script: Path, folder: Path) -> str:
    """Run one program and give what it printed; an exception is its last line."""
    output = io.StringIO()
    argv, before = sys.argv, Path.cwd()
    os.chdir(folder)
    sys.argv = [script.name]
    try:
        with contextlib.redirect_stdout(output):
            runpy.run_path(str(script), run_name="__main__")
    except Exception as error:  # noqa: BLE001 - the other engine may fail the same way
        traceback.print_exc()
        output.write(f"failed: {type(error).__name__}\n")
    finally:
        sys.argv = argv
        os.chdir(before)
    return output.getvalue()


def main() -> None:
    """Run all of them."""
    engine, mode = sys.argv[1:3]
    inputs, outputs = map(Path, sys.argv[3:])
    if engine == "fastckpt":
        from fastckpt.compat import install

        install(shadow=True)
    import tensorflow as tf

    for script in sorted(SCRIPTS.glob("*.py")):
        if ("tf.disable_" in script.read_text()) != (mode == "graph"):
            continue
        folder = outputs / script.stem
        shutil.copytree(inputs, folder)
        tf.compat.v1.reset_default_graph()
        (folder / "stdout.txt").write_text(run(script, folder))
    if engine == "fastckpt":
        assert not any(name.startswith("tensorflow.core.") and hasattr(module, "__file__")
                       for name, module in sys.modules.items())  # fmt: skip


if __name__ == "__main__":
    main()
