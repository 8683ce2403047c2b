"""Use every private message with protobuf 4.25, 5, 6 and 7, each in an environment of its own.

    check_protobuf_versions.py [VERSION...]     such as 4.25 or 6; all four by default

The environments are thrown away; they hold protobuf alone, and see the installed fastckpt, NumPy
and ml_dtypes through the environment of the Python that runs this. Each version is tried in its
compiled form and in pure Python, with warnings as errors. Then, with the protobuf that is
installed, both orders of importing fastckpt and TensorFlow are tried, where TensorFlow is there.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from typing import Any

VERSIONS = ["4.25", "5", "6", "7"]


# --- in each environment -------------------------------------------------------------------------


def use_everything(folder: Path) -> str:
    """Use each message, and what reads and writes them; say what was used."""
    import google.protobuf
    from google.protobuf.internal import api_implementation

    messages = sum(use_message(name) for name in message_names())
    for use in (use_state, use_objects, use_graphs):
        use(folder)
    return (
        f"protobuf {google.protobuf.__version__} ({api_implementation.Type()}): "
        f"{messages} messages, state, objects, meta graph, freezing"
    )


def message_names() -> list[str]:
    """Name every message of the private package, nested ones too."""
    from google.protobuf import descriptor_pb2

    from fastckpt import protos

    data = files(protos).joinpath("descriptors.binpb").read_bytes()
    found = []
    for file in descriptor_pb2.FileDescriptorSet.FromString(data).file:
        waiting = [("", x) for x in file.message_type if file.package == protos.PACKAGE]
        while waiting:
            scope, message = waiting.pop()
            waiting += [(f"{scope}{message.name}.", x) for x in message.nested_type]
            if not message.options.map_entry:
                found.append(f"{scope}{message.name}")
    assert len(found) > 50, found
    return found


def use_message(name: str) -> int:
    """Fill a message, and send it through the binary form and the text form."""
    from google.protobuf import text_format

    from fastckpt import protos

    cls = protos.message_class(name)
    message = cls()
    fill(message, depth=2)
    assert cls.FromString(message.SerializeToString()) == message, name
    assert text_format.Parse(text_format.MessageToString(message), cls()) == message, name
    return 1


def fill(message: Any, depth: int) -> None:
    """Give every field a value, and those of messages inside down to some depth."""
    if message.DESCRIPTOR.full_name == "google.protobuf.Any":
        return  # Its type must be one that the pool knows.
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        kind = field.message_type
        if hasattr(value, "MergeFrom") and kind and kind.GetOptions().map_entry:
            fill_map(value, kind, depth)
        elif kind and hasattr(value, "add"):
            fill(value.add(), depth - 1) if depth else value.add()
        elif kind:
            value.SetInParent()
            if depth:
                fill(value, depth - 1)
        elif hasattr(value, "append"):
            value.append(scalar(field))
        else:
            setattr(message, field.name, scalar(field))


def fill_map(value: Any, entry: Any, depth: int) -> None:
    """Give a map one entry."""
    key = scalar(entry.fields_by_name["key"])
    if entry.fields_by_name["value"].message_type is None:
        value[key] = scalar(entry.fields_by_name["value"])
    elif depth:
        fill(value[key], depth - 1)
    else:
        value[key].SetInParent()


def scalar(field: Any) -> object:
    """Give a value that is not the default."""
    if field.enum_type is not None:
        return field.enum_type.values[-1].number
    kinds = {field.CPPTYPE_STRING: b"x" if field.type == field.TYPE_BYTES else "é"}
    return kinds.get(field.cpp_type, field.cpp_type == field.CPPTYPE_BOOL or 3)


def use_state(folder: Path) -> None:
    """Read a checkpoint state."""
    import fastckpt

    fastckpt.save(folder / "ckpt-1", {"w": 1.5}, sync=False)
    (folder / "checkpoint").write_text('model_checkpoint_path: "ckpt-1"\n')
    assert fastckpt.latest_checkpoint(str(folder)) == str(folder / "ckpt-1")


def use_objects(folder: Path) -> None:
    """Write an object graph and read it."""
    from fastckpt.graph import load_objects, object_graph, save_objects

    objects = {"model": {"w": 1.0}, "opt": {}}
    path = save_objects(
        folder / "objects", objects, slots={("opt", "m"): {"model.w": 2.0}}, sync=False
    )
    graph = object_graph(path)
    assert list(graph.slots[("opt", "m")]) == ["model.w"]
    assert load_objects(path)["model"]["w"] == 1
    assert len(list(graph.tree(with_empty=True))) == len(graph.nodes) == 6


def use_graphs(folder: Path) -> None:
    """Write a meta graph in both forms, read it, freeze it, and write what is frozen."""
    import numpy as np

    import fastckpt
    from fastckpt import graph

    path = fastckpt.save(folder / "graph", {"w": np.arange(3, dtype=np.float32)}, sync=False)
    for as_text in (False, True):
        graph.export_meta_graph(f"{path}.meta", source=path, as_text=as_text)
        meta = graph.MetaGraph.load(f"{path}.meta")
        assert meta.graph.get_operation_by_name("w").type == "VariableV2"
        assert graph.MetaGraph.from_bytes(meta.to_bytes()).to_bytes() == meta.to_bytes()
        frozen = graph.freeze(meta, path, ["w"])
        written = graph.write_graph(frozen, str(folder), "frozen.pb", as_text=as_text)
        (node,) = graph.read_message(written, "GraphDef").node
        assert (node.name, node.op) == ("w", "Const")
        np.testing.assert_array_equal(graph.make_ndarray(node.attr["value"].tensor), [0, 1, 2])


def use_tensorflow(folder: Path) -> None:
    """Let TensorFlow, with messages of its own, read what we wrote."""
    import tensorflow as tf

    tf.train.Checkpoint(model=tf.Module()).restore(str(folder / "objects")).expect_partial()
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        saver = tf.compat.v1.train.import_meta_graph(str(folder / "graph.meta"))
        saver.restore(session, str(folder / "graph"))
        assert session.run("w:0").tolist() == [0, 1, 2]


def work(order: str) -> None:
    """Do all of it in this process."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if order == "first":
            import tensorflow as tf  # noqa: F401
        used = use_everything(folder)
        if order != "alone":
            use_tensorflow(folder)
            used = f"{use_everything(folder)}; TensorFlow imported {order}"
    print(used)


# --- the environments ----------------------------------------------------------------------------


def run(command: list[str], **variables: str) -> str:
    """Run a command; on failure print its output and exit."""
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **variables}
    )
    if done.returncode:
        raise SystemExit(f"failed: {' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def try_version(version: str, scratch: Path) -> str:
    """Make an environment with one version of protobuf, and use everything there."""
    folder = scratch / version
    run([sys.executable, "-m", "venv", "--without-pip", str(folder)])
    python = str(folder / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    options = ["install", "-q", "--no-deps", "--only-binary", ":all:", f"protobuf=={version}.*"]
    run([*pip, "--python", python, *options])
    packages = run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"])
    # Behind the environment's own packages, so that its protobuf comes first.
    Path(packages.strip(), "host.pth").write_text(sysconfig.get_path("purelib") + "\n")
    work = [python, "-W", "error", __file__, "--work", "alone"]
    output = "".join(
        run(work, PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION=kind) for kind in ("upb", "python")
    )
    if output.count(f"protobuf {version}.") != 2:
        raise SystemExit(f"another version than {version} was used:\n{output}")
    return output


def main() -> None:
    """Try all versions at once, then both orders."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("versions", nargs="*", metavar="VERSION", default=VERSIONS)
    parser.add_argument("--work", choices=["alone", "first", "last"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(arguments.work)
        return
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(2) as pool:
        for output in pool.map(lambda x: try_version(x, Path(scratch)), arguments.versions):
            print(output, end="", flush=True)
    if subprocess.run(
        [sys.executable, "-c", "import tensorflow"], check=False, capture_output=True
    ).returncode:
        print("TensorFlow is not installed: orders of importing it are not tried")
        return
    for order in ("first", "last"):
        print(run([sys.executable, __file__, "--work", order], TF_CPP_MIN_LOG_LEVEL="2"), end="")


if __name__ == "__main__":
    main()
