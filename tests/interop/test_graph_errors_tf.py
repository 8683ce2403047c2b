"""What stock TensorFlow refuses is refused with the same builtin class, and the same words."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import fastckpt
from fastckpt import errors
from fastckpt.graph import Graph, import_meta_graph
from interop import graph_oracle as oracle
from interop.graph_oracle import tf1
from unit import graph_files
from unit.graph_files import binary, broken_files, graph
from unit.test_graph_elements import BROKEN as BROKEN_GRAPHS
from unit.test_graph_names import ELEMENT_ERRORS, OPERATION_ERRORS, TENSOR_ERRORS

BROKEN_FILES = broken_files()
BUILTINS = (KeyError, UnicodeDecodeError, OSError, TypeError, ValueError)
# Read by TensorFlow, with a different sense: protobuf keeps what it does not know.
TAKEN_BY_TENSORFLOW = {
    "versions.pb", "schema.pb", "fingerprint.pb", "empty.meta", "unknown_only.meta",
    "groups.meta", "newline.meta",
}  # fmt: skip


def outcome(call: Callable[[], Any]) -> type[Exception] | None:
    """Which builtin class a call raises; None where it returns."""
    try:
        call()
    except Exception as error:  # noqa: BLE001
        return next((x for x in BUILTINS if isinstance(error, x)), type(error))
    return None


def text_of(call: Callable[[], Any]) -> str:
    try:
        return repr(call())
    except Exception as error:  # noqa: BLE001
        return str(error.args[0] if type(error) is KeyError else error)


@pytest.mark.parametrize("name", BROKEN_FILES)
def test_broken_files(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(BROKEN_FILES[name].data)

    theirs = outcome(lambda: oracle.import_meta_stock(str(path)))
    ours = outcome(lambda: import_meta_graph(path))
    if BROKEN_FILES[name].error is graph_files.LIMIT:
        assert ours is ValueError
    elif name == "library.pb":  # a function passes for a node
        assert (theirs, ours) == (ValueError, OSError)
    elif theirs is None:
        assert name in TAKEN_BY_TENSORFLOW
    else:
        assert ours is theirs


@pytest.mark.parametrize("source", [None, 3, "", b"/no/such", "no_such.meta", "graph", "meta"])
def test_what_is_no_file(tmp_path: Path, source: Any) -> None:
    path = {"graph": tf1.GraphDef(), "": str(tmp_path / "gone")}.get(source, source)
    if source == "meta":
        (tmp_path / "m.meta").write_bytes(binary(graph_files.meta_graph()))
        path = str(tmp_path / "m")
    theirs = outcome(lambda: oracle.import_meta_stock(path))
    assert theirs in (OSError, TypeError)
    assert outcome(lambda: import_meta_graph(path)) is theirs
    if isinstance(path, str):
        says = text_of(lambda: import_meta_graph(path))
        assert says.startswith(text_of(lambda: oracle.import_meta_stock(path)))
        assert ("'" + path + ".meta'" in says) == (source == "meta")


def test_arguments(tmp_path: Path) -> None:
    meta = graph_files.meta_graph()
    meta.collection_def["unbound_inputs"].bytes_list.value.append(b"x")
    theirs = tf1.MetaGraphDef.FromString(binary(meta))
    for options in ({"nope": 1}, {}, {"unbound_inputs_col_name": None}):
        expected = outcome(lambda options=options: oracle.import_meta_stock(theirs, **options))
        assert outcome(lambda options=options: import_meta_graph(meta, **options)) is expected
    with pytest.raises(ValueError, match="Graph contains unbound inputs: x"):
        import_meta_graph(theirs)
    with pytest.raises(errors.UnsupportedError, match="input_map"):
        import_meta_graph(theirs, input_map={"x": 1})


def test_messages_are_not_changed() -> None:
    ours = graph_files.meta_graph()
    theirs = tf1.MetaGraphDef.FromString(binary(ours))
    for message in (ours, theirs):
        before = binary(message)
        found = import_meta_graph(message, clear_devices=True, import_scope="scope")
        assert found is not None
        assert found.graph.get_tensor_by_name("scope/y:0").op.inputs[0].name == "scope/x:0"
        assert binary(message) == before


def test_nothing_to_restore_gives_none(tmp_path: Path) -> None:
    meta = graph_files.meta_graph()
    meta.ClearField("saver_def")
    assert import_meta_graph(meta) is None
    (tmp_path / "empty.meta").write_bytes(b"")
    assert import_meta_graph(tmp_path / "empty.meta") is None


# --- names and graphs ----------------------------------------------------------------------------


def test_names() -> None:
    ours = Graph(graph())
    theirs = oracle.import_stock(graph())
    calls = [("get_operation_by_name", (x[0],)) for x in OPERATION_ERRORS]
    calls += [("get_tensor_by_name", (x[0],)) for x in TENSOR_ERRORS]
    calls += [("as_graph_element", x[0]) for x in ELEMENT_ERRORS]
    calls += [("get_tensor_by_name", (x,)) for x in ("w:-1", "w: 0", "w:00", "^w", "^w:0", ":0")]
    calls += [("as_graph_element", (x,)) for x in (b"w", "w", b"w:0", "x:0", "y")]
    for method, arguments in calls:
        expected = text_of(lambda: getattr(theirs, method)(*arguments))  # noqa: B023
        found = text_of(lambda: getattr(ours, method)(*arguments))  # noqa: B023
        assert found.startswith(expected.replace("shape=(?, 2)", "shape=(None, 2)")), arguments
        assert outcome(lambda: getattr(ours, method)(*arguments)) is outcome(  # noqa: B023
            lambda: getattr(theirs, method)(*arguments)  # noqa: B023
        )


@pytest.mark.parametrize("name", BROKEN_GRAPHS)
def test_broken_graphs(name: str) -> None:
    texts, _ = BROKEN_GRAPHS[name]
    broken = graph("\n".join(texts))
    expected = text_of(lambda: oracle.import_stock(broken))
    assert outcome(lambda: oracle.import_stock(broken)) is ValueError
    assert outcome(lambda: Graph(broken)) is ValueError
    # The number of nodes in a cycle, and what follows, is ours.
    assert text_of(lambda: Graph(broken)).startswith(expected.partition(" in a cycle")[0])


def test_attributes_of_every_operation() -> None:
    theirs, _ = oracle.build("old_control_flow")
    ours = Graph(theirs.as_graph_def(add_shapes=True))
    compared = 0
    for op in theirs.get_operations():
        mine = ours.get_operation_by_name(op.name)
        for attr in op.op_def.attr:
            expected = plain(op.get_attr(attr.name))
            assert plain(mine.get_attr(attr.name)) == expected, (op.name, attr.name)
            compared += 1
        assert outcome(lambda mine=mine: mine.get_attr("nope")) is ValueError
        assert mine.colocation_groups() == op.colocation_groups()
    assert compared > 60


def plain(value: Any) -> Any:
    if isinstance(value, list):
        return list(map(plain, value))
    if hasattr(value, "SerializeToString"):
        return value.SerializeToString(deterministic=True)
    return getattr(value, "name", value)


def test_shuffled_graphs_have_the_order_of_an_import() -> None:
    shuffle = random.Random(3)
    for name in ("old_control_flow", "ref_variables", "functions"):
        stock, _ = oracle.build(name)
        message = stock.as_graph_def()
        for _ in range(3):
            nodes = list(message.node)
            shuffle.shuffle(nodes)
            shuffled = tf1.GraphDef(node=nodes, library=message.library, versions=message.versions)
            theirs = oracle.import_stock(shuffled)
            assert oracle.describe(Graph(shuffled)) == oracle.describe(theirs)
            names = [op.name for op in Graph(shuffled).get_operations()]
            assert names == [op.name for op in theirs.get_operations()]


# --- restoring -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    prefix = str(tmp_path_factory.mktemp("model") / "m")
    oracle.saved("ref_variables", prefix)
    return prefix


def changed(model: str, folder: Path, **tensors: Any) -> str:
    """The checkpoint with some tensors of its own; None leaves one out."""
    kept = fastckpt.load(model) | tensors
    values = {name: value for name, value in kept.items() if value is not None}
    return fastckpt.save(folder / "other", values)


@pytest.mark.parametrize(
    ("tensors", "says"),
    [
        ({"w": None}, "Key w not found in checkpoint"),
        ({"w": np.float32([1])}, "Assign requires shapes of both tensors to match"),
        ({"w": np.float64([[1, 2], [3, 4]])}, "w"),
    ],
)
def test_checkpoints_that_do_not_fit(
    model: str, tmp_path: Path, tensors: dict[str, Any], says: str
) -> None:
    prefix = changed(model, tmp_path, **tensors)
    graph, saver = oracle.import_meta_stock(f"{model}.meta")
    with tf1.Session(graph=graph) as session, pytest.raises(tf.errors.OpError) as theirs:
        saver.restore(session, prefix)
    imported = import_meta_graph(f"{model}.meta")
    assert imported is not None
    imported.restore(model)
    before = imported.value("w:0")
    with pytest.raises(errors.CheckpointError, match=says) as ours:
        imported.restore(prefix)
    assert says in str(theirs.value)
    expected = KeyError if isinstance(theirs.value, tf.errors.NotFoundError) else ValueError
    assert isinstance(ours.value, expected)
    assert imported.value("w:0") is before


@pytest.mark.parametrize("path", [None, 3, "", "gone", "m.meta", "m.index", "."])
def test_paths_that_are_no_checkpoint(model: str, path: Any) -> None:
    path = str(Path(model).parent / path) if isinstance(path, str) and path else path
    graph, saver = oracle.import_meta_stock(f"{model}.meta")
    with tf1.Session(graph=graph) as session:
        theirs = outcome(lambda: saver.restore(session, path))
    imported = import_meta_graph(f"{model}.meta")
    assert imported is not None
    # Classes of TensorFlow's own are no builtins; ours are ValueErrors.
    expected = theirs if theirs in BUILTINS else ValueError
    with pytest.raises(errors.CheckpointError) as caught:
        imported.restore(None, path)
    assert isinstance(caught.value, expected)
