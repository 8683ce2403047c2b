"""Messages of the private pool: the descriptor set, laziness, and life beside TensorFlow."""

import importlib.util
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool

from fastckpt import protos

HAVE_COMPILER = importlib.util.find_spec("grpc_tools") is not None

# Names, numbers and types that TensorFlow gives the fields; compatibility rests on them.
STATE_FIELDS = {
    "model_checkpoint_path": (1, "string", False),
    "all_model_checkpoint_paths": (2, "string", True),
    "all_model_checkpoint_timestamps": (3, "double", True),
    "last_preserved_timestamp": (4, "double", False),
}


def descriptor_set():
    data = (files("fastckpt.protos") / "descriptors.binpb").read_bytes()
    return descriptor_pb2.FileDescriptorSet.FromString(data)


def run(program: str, python: str = sys.executable) -> None:
    done = subprocess.run([python, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def own_files():
    return [f for f in descriptor_set().file if not f.name.startswith("google/protobuf/")]


def all_messages(file):
    """Every message of a file, nested ones included, without the entries of maps."""
    waiting = list(file.message_type)
    while waiting:
        message = waiting.pop()
        waiting += message.nested_type
        if not message.options.map_entry:
            yield message


def test_fields_of_the_checkpoint_state():
    (file,) = [f for f in own_files() if f.name == "state.proto"]
    (message,) = file.message_type
    types = {1: "double", 9: "string"}
    found = {f.name: (f.number, types[f.type], f.label == 3) for f in message.field}
    assert message.name == "CheckpointState"
    assert found == STATE_FIELDS


def test_every_file_is_in_the_private_package():
    for file in own_files():
        assert file.package == protos.PACKAGE
        assert file.syntax == "proto3"
    others = {f.name for f in descriptor_set().file} - {f.name for f in own_files()}
    assert others == {"google/protobuf/any.proto", "google/protobuf/wrappers.proto"}


def test_the_descriptor_set_says_what_the_sources_say(repository: Path):
    folder = repository / "python" / "fastckpt" / "protos"
    line = re.compile(r"^\s*(?:repeated |optional )?(?:map<.+>|[\w.]+) (\w+) = (\d+)(?: \[.*\])?;")
    sources = {p.name: p.read_text() for p in folder.glob("*.proto")}
    compiled = {f.name: f for f in own_files()}
    assert sources.keys() == compiled.keys()
    for name, text in sources.items():
        messages = list(all_messages(compiled[name]))
        fields = sorted((f.name, f.number) for m in messages for f in m.field)
        found = [m.groups() for m in map(line.match, text.splitlines()) if m]
        assert sorted((x, int(n)) for x, n in found) == fields
        values = [v.name for e in compiled[name].enum_type for v in e.value]
        assert all(re.search(rf"^  {v} = \d+;", text, re.MULTILINE) for v in values)


@pytest.mark.skipif(not HAVE_COMPILER, reason="grpcio-tools (group dev) is not installed")
def test_the_descriptor_set_is_up_to_date(repository: Path):
    script = repository / "scripts" / "make_protos.py"
    subprocess.run([sys.executable, str(script), "--check"], check=True)


def test_one_class_for_all_threads():
    with ThreadPoolExecutor(8) as pool:
        classes = set(pool.map(protos.message_class, ["CheckpointState"] * 64))
    assert len(classes) == 1


def test_round_trip():
    cls = protos.message_class("CheckpointState")
    state = cls(model_checkpoint_path="m-é", all_model_checkpoint_timestamps=[1.5])
    assert cls.FromString(state.SerializeToString()) == state
    assert cls.DESCRIPTOR.full_name == "fastckpt.private.CheckpointState"


def test_unknown_message():
    with pytest.raises(KeyError):
        protos.message_class("NoSuchMessage")


def test_nothing_is_added_to_the_default_pool():
    protos.message_class("CheckpointState")
    with pytest.raises(KeyError):
        descriptor_pool.Default().FindMessageTypeByName("fastckpt.private.CheckpointState")


def test_protobuf_is_imported_on_first_use():
    run("""if True:
        import sys
        import fastckpt.protos, fastckpt.storage
        assert not any(name.startswith("google.protobuf") for name in sys.modules)
        fastckpt.protos.message_class("CheckpointState")
        assert "google.protobuf" in sys.modules
    """)


USE_OURS = """
from fastckpt.storage.state import parse_state
assert parse_state('model_checkpoint_path: "a"').model_checkpoint_path == "a"
"""
USE_TENSORFLOW = """
from tensorflow.python.training.checkpoint_state_pb2 import CheckpointState
from google.protobuf import text_format
text = text_format.MessageToString(CheckpointState(model_checkpoint_path="b"))
assert text == 'model_checkpoint_path: "b"\\n', text
"""


@pytest.mark.tf
@pytest.mark.parametrize(
    "order", [(USE_OURS, USE_TENSORFLOW), (USE_TENSORFLOW, USE_OURS)], ids=["first", "last"]
)
def test_lives_in_one_process_with_tensorflow(order: tuple[str, str]):
    if importlib.util.find_spec("tensorflow") is None:
        pytest.skip("TensorFlow is not installed")
    run("".join([*order, *order]))


def test_the_pure_python_protobuf_will_do():
    run("import os; os.environ['PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION'] = 'python'" + USE_OURS)
