"""The TensorFlow-shaped namespace: names, modules, imports, the runner."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastckpt
from fastckpt.compat import MissingError, names, tf


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fastckpt.compat", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(names.TABLE))
def test_every_name_of_the_table_is_there(path: str) -> None:
    value = tf
    for part in path.split("."):
        value = getattr(value, part)
    assert value is not None
    assert path.partition(".")[0] in dir(tf)


def test_the_spellings_of_both_versions_are_one() -> None:
    assert tf.compat.v1.train.Saver is tf.train.Saver
    assert tf.compat.v2.io.gfile.GFile is tf.io.gfile.GFile
    assert tf.python.training.checkpoint_management.latest_checkpoint is tf.train.latest_checkpoint
    assert tf.contrib.framework.list_variables is tf.train.list_variables
    assert tf.compat.v1.GraphDef is tf.core.framework.graph_pb2.GraphDef
    assert tf.float32 == np.float32
    assert tf.__version__.startswith("2.")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("nn", "computes nothing"),
        ("matmul", "tf.matmul is not part of"),
        ("train.latest_checkpoint_", "did you mean tf.train.latest_checkpoint"),
        ("contrib.layers", "gone from TensorFlow too"),
        ("compat.v1.estimator", "load_checkpoint"),
        ("keras.layers", "models of Keras need Keras"),
    ],
)
def test_a_missing_name_says_what_to_do(path: str, words: str) -> None:
    with pytest.raises(MissingError) as caught:
        functools.reduce(getattr, path.split("."), tf)
    assert words in str(caught.value)
    assert isinstance(caught.value, AttributeError)
    assert isinstance(caught.value, fastckpt.UnsupportedError)
    assert not hasattr(tf, "matmul")
    assert getattr(tf, "matmul", None) is None


@pytest.mark.parametrize(
    ("value", "name"),
    [(np.float32, "float32"), ("half", "float16"), (9, "int64"), (np.dtype("U3"), "string")],
)
def test_as_dtype(value: object, name: str) -> None:
    assert tf.as_dtype(value).name == name


@pytest.mark.parametrize("value", ["nonsense", None, object(), 999, np.dtype("datetime64[s]")])
def test_what_is_no_dtype_is_a_type_error(value: object) -> None:
    with pytest.raises(TypeError):
        tf.as_dtype(value)


# --- imports -------------------------------------------------------------------------------------


IMPORTS = """
import tensorflow as tf
import tensorflow.compat.v1 as tf1
from tensorflow.python import pywrap_tensorflow
from tensorflow.python.tools import inspect_checkpoint, freeze_graph
from tensorflow.python.framework import graph_util, errors_impl
from tensorflow.python.platform import gfile, flags
from tensorflow.python.training.checkpoint_management import latest_checkpoint
from tensorflow.core.framework import graph_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saver_pb2
from tensorflow.contrib.framework import load_variable
import sys
assert tf1.train.Saver is tf.train.Saver
assert freeze_graph.freeze_graph.__module__.startswith("fastckpt")
assert saver_pb2.SaverDef.V2 == 2
try:
    import tensorflow.keras.layers
except ModuleNotFoundError as error:
    print(error)
print([a for a in sys.argv], __name__)
files = (getattr(m, "__file__", None) for x, m in sys.modules.items() if "tensorflow." in x)
print(any(files))
sys.exit(3)
"""


def test_a_script_imports_what_scripts_import(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(IMPORTS)
    done = run("script.py", "--flag", "x", folder=tmp_path)
    assert done.returncode == 3, done.stderr
    first, second, third = done.stdout.splitlines()
    assert first.startswith("tensorflow.keras.layers is not part of fastckpt.compat")
    assert second == "['script.py', '--flag', 'x'] __main__"
    assert third == "False"


def test_a_script_finds_what_lies_beside_it_and_a_module_runs(tmp_path: Path) -> None:
    folder = tmp_path / "tools"
    folder.mkdir()
    (folder / "helper.py").write_text("import tensorflow as tf\nNAME = tf.float32.name\n")
    (folder / "main.py").write_text("import helper\nprint(helper.NAME)\n")
    assert run("tools/main.py", folder=tmp_path).stdout == "float32\n"
    assert run("-m", "main", folder=folder).stdout == "float32\n"


def test_wrong_usage_is_said(tmp_path: Path) -> None:
    assert run(folder=tmp_path).returncode == 2
    assert run("-m", folder=tmp_path).returncode == 2
    assert "no script 'nothing.py'" in run("nothing.py", folder=tmp_path).stderr
    done = run("--help", folder=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("usage: python -m fastckpt.compat script.py")


INSTALL = """
import importlib.util
from fastckpt.compat import install, uninstall
import fastckpt
if importlib.util.find_spec("tensorflow"):
    try:
        install()
    except fastckpt.InvalidArgumentError as error:
        assert "shadow=True" in str(error)
    else:
        raise SystemExit("it hides TensorFlow unasked")
install(shadow=True)
install(shadow=True)
import tensorflow
assert tensorflow.train.Saver.__module__.startswith("fastckpt")
uninstall()
import sys
assert "tensorflow" not in sys.modules
"""


def test_nothing_is_hidden_unless_asked(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INSTALL], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_it_costs_little_to_import() -> None:
    program = (
        "import sys; from fastckpt.compat import tf; tf.train.list_variables; tf.float32; "
        "print([x for x in ('tensorflow', 'google.protobuf', 'absl', 'rich') if x in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


# --- files ---------------------------------------------------------------------------------------


def test_files(tmp_path: Path) -> None:
    gfile = tf.io.gfile
    path = os.fspath(tmp_path / "a.txt")
    with gfile.GFile(path, "w") as file:
        file.write("eins\n")
        file.write(b"zwei\n")
    with gfile.GFile(path, "rb") as file:
        assert file.readline() == b"eins\n"
        assert file.tell() == 5
        file.seek(0)
        assert next(file) == b"eins\n"
        assert file.size() == 10
    assert gfile.GFile(tmp_path / "a.txt").readlines() == ["eins\n", "zwei\n"]
    assert tf.gfile.ListDirectory(os.fspath(tmp_path)) == ["a.txt"]
    for wrong in ("x", "rw", ""):
        with pytest.raises(fastckpt.InvalidArgumentError):
            gfile.GFile(path, wrong)
    with pytest.raises(fastckpt.UnsupportedError, match="gs://bucket"):
        gfile.exists("gs://bucket/file")
    with pytest.raises(tf.errors.NotFoundError):
        gfile.listdir(os.fspath(tmp_path / "none"))


# --- programs of TensorFlow ----------------------------------------------------------------------


def test_tools_are_programs(tmp_path: Path) -> None:
    fastckpt.save(tmp_path / "m", {"w": np.ones(2, np.float32)})
    tool = "tensorflow.python.tools.inspect_checkpoint"
    done = run("-m", tool, "--file_name=m", folder=tmp_path)
    assert "w (DT_FLOAT) [2]" in done.stdout
    assert run("-m", tool, folder=tmp_path).returncode == 1
    done = run("-m", "tensorflow.python.tools.freeze_graph", "--input_graph=g", folder=tmp_path)
    assert "Input graph file 'g' does not exist!" in done.stderr
    done = run("-m", "tensorflow.python.tools.strip_unused", folder=tmp_path)
    assert done.returncode == 1
    assert "tensorflow.python.tools.strip_unused is not part of fastckpt.compat" in done.stderr


def test_from_imports_say_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        "try:\n    from tensorflow.contrib import slim\nexcept ImportError as error:\n"
        "    print(error)\n"
    )
    done = run("script.py", folder=tmp_path)
    assert done.stdout.startswith("tensorflow.contrib.slim is not part of fastckpt.compat: tf.con")
