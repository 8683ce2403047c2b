"""Files of graphs: both forms, told apart by content; whatever else is in them is named."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from fastckpt import errors
from fastckpt.graph import file_errors, files, read_message, tensorflow_errors, write_message
from fastckpt.graph.files import MAX_BYTES, is_text, parse_message
from fastckpt.protos import message_class
from unit import graph_files
from unit.graph_files import Broken, binary, broken_files

BROKEN = broken_files()
MAKERS = {
    "MetaGraphDef": graph_files.meta_graph,
    "GraphDef": graph_files.graph,
    "SavedModel": graph_files.saved_model,
}


def is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.parametrize("as_text", [False, True], ids=["binary", "text"])
@pytest.mark.parametrize("name", MAKERS)
def test_both_forms_read_alike_whatever_the_name(tmp_path: Path, name: str, as_text: bool) -> None:
    message = MAKERS[name]()
    path = tmp_path / "made" / "of.anything"
    write_message(path, message, as_text=as_text)
    assert is_text(path.read_bytes()) == as_text
    assert read_message(path, name) == message
    assert parse_message(path.read_bytes(), name) == message
    for other in MAKERS.keys() - {name}:
        with pytest.raises(errors.InvalidArgumentError, match=f"is no {other}: this is"):
            read_message(path, other)


@pytest.mark.parametrize(
    "text",
    [
        '\ufeff# first\n\n  \t# second\r\nnode { name: "caf\u00e9" op: "NoOp" }',
        'node:{name:"a"}',
        'node <name: "a">',
        'versions\n{ producer: 1 } node { name: "a" name: "b" }',
    ],
)
def test_text_form_in_all_its_spellings(text: str) -> None:
    message = parse_message(text.encode(), "GraphDef")
    assert len(message.node) == 1
    assert is_text(text.encode())


def test_a_file_of_comments_is_an_empty_message() -> None:
    assert parse_message(b"# nothing yet\n", "GraphDef").ByteSize() == 0


def test_equal_messages_give_equal_bytes() -> None:
    first, second = message_class("MetaGraphDef")(), message_class("MetaGraphDef")()
    for key in ("a", "b", "c"):
        first.collection_def[key].node_list.value.append(key)
    for key in ("c", "a", "b"):
        second.collection_def[key].node_list.value.append(key)
    assert files.serialize(first) == files.serialize(second)


def test_fields_of_the_future_are_kept() -> None:
    data = binary(graph_files.meta_graph()) + graph_files.field(15, b"from a later version")
    message = parse_message(data, "MetaGraphDef")
    assert message.SerializeToString(deterministic=True).endswith(b"from a later version")


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_meta_graph_is_named(tmp_path: Path, name: str) -> None:
    case: Broken = BROKEN[name]
    path = tmp_path / name
    path.write_bytes(case.data)
    with pytest.raises(errors.CheckpointError) as caught:
        read_message(path, "MetaGraphDef")
    error = caught.value
    assert isinstance(error, case.error), repr(error)
    # What TensorFlow raises for a file that is text, and for one that is none.
    builtin = OSError if is_utf8(case.data) else UnicodeDecodeError
    assert isinstance(error, builtin | errors.LimitExceededError), repr(error)
    assert case.says in str(error)
    assert name in str(error)
    assert error.path == str(path)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.path) == (type(error), str(error), error.path)


@pytest.mark.parametrize("name", [x for x in BROKEN if not x.startswith("bomb")])
def test_no_broken_file_passes_for_a_graph_by_chance(tmp_path: Path, name: str) -> None:
    for kind in ("GraphDef", "SavedModel"):
        try:
            message = parse_message(BROKEN[name].data, kind)
        except errors.CheckpointError:
            continue
        assert (
            name
            in {
                "GraphDef": {"graph.pb", "graph.meta", "versions.pb", "library.pb", "one_node.pb"}
                | {"graph.pbtxt", "node.pbtxt", "library.pbtxt"},
                "SavedModel": {"saved_model.pb", "saved_model.pbtxt", "schema.pb"},
            }[kind]
        ), message


def test_errors_are_those_that_tensorflow_raises() -> None:
    assert issubclass(tensorflow_errors.WrongFileError, (OSError, ValueError))
    for cls in (tensorflow_errors.WrongBinaryError, tensorflow_errors.BrokenBinaryError):
        assert issubclass(cls, UnicodeDecodeError)
    with pytest.raises(UnicodeDecodeError) as caught:
        parse_message(b"\xff" * 4096, "MetaGraphDef")
    assert len(caught.value.object) < 10  # not the whole file, which an error would keep alive


def test_an_empty_file_may_be_an_empty_message(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    assert read_message(tmp_path / "empty", "MetaGraphDef", empty_ok=True).ByteSize() == 0


# --- what is no file -----------------------------------------------------------------------------


def test_a_missing_file(tmp_path: Path) -> None:
    (tmp_path / "model.ckpt-7.meta").write_bytes(b"x")
    for asked, says in {
        "model.ckpt-7": "pass '.*model.ckpt-7.meta'",
        "model.ckpt-8.meta": "did you mean '.*model.ckpt-7.meta'",
        "nowhere/m.meta": "its directory .* does not exist",
        "zzz": "no such file",
    }.items():
        with pytest.raises(errors.CheckpointNotFoundError, match=says) as caught:
            read_message(tmp_path / asked, "MetaGraphDef")
        assert str(caught.value).startswith(f"File does not exist. Received: {tmp_path / asked}")
        assert isinstance(caught.value, FileNotFoundError)
    with pytest.raises(errors.CheckpointNotFoundError, match="a URL"):
        read_message("gs://bucket/m.meta", "MetaGraphDef")
    with pytest.raises(errors.CheckpointNotFoundError, match="expanduser"):
        read_message("~/no/such.meta", "MetaGraphDef")


def test_a_directory(tmp_path: Path) -> None:
    with pytest.raises(tensorflow_errors.WrongFileError, match="it holds no"):
        read_message(tmp_path, "MetaGraphDef")
    (tmp_path / "m-7.meta").write_bytes(b"x")
    with pytest.raises(tensorflow_errors.WrongFileError, match=r"such as '.*m-7\.meta'"):
        read_message(tmp_path, "MetaGraphDef")
    (tmp_path / "saved_model.pb").write_bytes(b"x")
    with pytest.raises(tensorflow_errors.WrongFileError, match=r"graph\.SavedModel"):
        read_message(tmp_path, "MetaGraphDef")


def test_a_pipe_blocks_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(tensorflow_errors.WrongFileError, match="no regular file"):
        read_message(tmp_path / "pipe", "MetaGraphDef")


def test_no_path() -> None:
    for path in (None, 3, "", "a\0b"):
        with pytest.raises(errors.InvalidArgumentError):
            read_message(path, "MetaGraphDef")


def test_what_passes_2_gib_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.meta"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(errors.LimitExceededError, match="2 GiB"):
        read_message(path, "MetaGraphDef")
    assert file_errors.too_large("p", "GraphDef", MAX_BYTES + 1).path == "p"


def test_a_bomb_is_found_before_it_is_parsed() -> None:
    code = (
        "import resource, fastckpt; from fastckpt.graph import parse_message\n"
        "data = b'\\n\\0' * (8 << 20)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: parse_message(data, 'GraphDef')\n"
        "except fastckpt.LimitExceededError: pass\n"
        "else: raise SystemExit('parsed')\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert int(done.stdout) < 64 << 10  # KiB; parsed it takes a GiB


def test_the_room_imports_no_protobuf() -> None:
    code = (
        "import sys, fastckpt.graph as g; sorted(dir(g)); "
        "[getattr(g, n) for n in ('MetaGraph', 'Graph', 'import_meta_graph', 'GraphKeys')]; "
        "print('google.protobuf' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"
