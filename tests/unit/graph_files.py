"""Graphs, meta graphs and SavedModels as bytes, and a collection of files that are none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from google.protobuf import text_format

from fastckpt.errors import (
    CheckpointError,
    DataLossError,
    InvalidArgumentError,
    LimitExceededError,
)
from fastckpt.graph import Graph
from fastckpt.protos import message_class

GRAPH_TEXT = """
# a product
node { name: "x" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } }
       attr { key: "shape" value { shape { dim { size: -1 } dim { size: 2 } } } } }
node { name: "w" op: "Const" attr { key: "dtype" value { type: DT_FLOAT } }
       attr { key: "value" value { tensor { dtype: DT_FLOAT
              tensor_shape { dim { size: 2 } dim { size: 3 } } float_val: 1.5 } } } }
node { name: "y" op: "MatMul" input: "x" input: "w" attr { key: "T" value { type: DT_FLOAT } } }
versions { producer: 22 }
"""


# Another kind of file; a damaged one, or nothing known; one that breaks its readers.
WRONG, BROKEN, LIMIT = InvalidArgumentError, DataLossError, LimitExceededError


FLOAT = 'attr { key: "T" value { type: DT_FLOAT } }'


class Broken(NamedTuple):
    """A file that is no MetaGraphDef, and what the error says of it."""

    data: bytes
    says: str
    error: type[CheckpointError] = WRONG


def graph(text: str = GRAPH_TEXT) -> Any:
    return text_format.Parse(text, message_class("GraphDef")())


# Nodes in text form, whose values are of type float.
def node(name: str, op: str, *inputs: str, extra: str = "") -> str:
    texts = " ".join(f'input: "{x}"' for x in inputs)
    return f'node {{ name: "{name}" op: "{op}" {texts} {extra} }}'


def identity(name: str, *inputs: str, extra: str = "") -> str:
    return node(name, "Identity", *inputs, extra=FLOAT + extra)


def placeholder(name: str) -> str:
    return node(name, "Placeholder", extra='attr { key: "dtype" value { type: DT_FLOAT } }')


def place(device: str = "", *beside: str) -> str:
    """The device of a node, and the nodes it is to be placed beside."""
    names = " ".join(f's: "loc:@{x}"' for x in beside)
    return f'device: "{device}"' + (
        f'attr {{ key: "_class" value {{ list {{ {names} }} }} }}' if beside else ""
    )


def make_graph(*texts: str, **options: Any) -> Graph:
    """A Graph of nodes in text form."""
    return Graph(graph("\n".join(texts)), **options)


def meta_graph(graph_def: Any = None) -> Any:
    meta = message_class("MetaGraphDef")(graph_def=graph() if graph_def is None else graph_def)
    meta.meta_info_def.tags.append("serve")
    meta.meta_info_def.tensorflow_version = "2.21.0"
    meta.collection_def["losses"].node_list.value.append("y:0")
    for field_name in ("filename_tensor_name", "save_tensor_name", "restore_op_name"):
        setattr(meta.saver_def, field_name, "y:0")
    return meta


def saved_model() -> Any:
    return message_class("SavedModel")(saved_model_schema_version=1, meta_graphs=[meta_graph()])


def binary(message: Any) -> bytes:
    return message.SerializeToString(deterministic=True)


def nested(depth: int) -> bytes:
    """A constant whose variants hold each other."""
    data = b""
    for _ in range(depth):
        data = field(15, field(3, data))
    value = field(2, field(8, data))
    node = field(1, b"deep") + field(2, b"Const") + field(5, field(1, b"value") + value)
    return field(2, field(1, node))


def field(number: int, data: bytes) -> bytes:
    """One length-delimited field."""
    size, length = len(data), b""
    while size > 0x7F:
        length += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + data


def mangled(data: bytes) -> bytes:
    """What a decoder of text leaves of binary data."""
    return data.decode("utf-8", "replace").encode()


def _zip(name: str) -> bytes:
    import io
    import zipfile

    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, b"content")
    return file.getvalue()


def _table() -> bytes:
    return b"\0\0\1\x08\1" + bytes(43) + bytes.fromhex("57fb808b247547db")


def broken_files() -> dict[str, Broken]:
    """Files by name; the parametrised collection of what people pass for a ``.meta``."""
    found = {name: case for make in _MAKERS for name, case in make().items()}
    assert len(found) >= 60, len(found)
    return found


def _other_messages() -> dict[str, Broken]:
    graph_bytes, saved = binary(graph()), binary(saved_model())
    versions = binary(graph("versions { producer: 27 min_consumer: 12 }"))
    library = 'library { function { signature { name: "f" } node_def { name: "a" op: "Add" } } }'
    load = "fastckpt.graph.Graph.load"
    return {
        "graph.pb": Broken(graph_bytes, load),
        "graph.meta": Broken(graph_bytes, load),
        "versions.pb": Broken(versions, load),
        "library.pb": Broken(binary(graph(library)), load),
        "one_node.pb": Broken(binary(graph('node { name: "a" op: "NoOp" }')), load),
        "graph.pbtxt": Broken(GRAPH_TEXT.encode(), load),
        "node.pbtxt": Broken(b'node {\n name: "a"\n op: "NoOp" }\n', load),
        "library.pbtxt": Broken(library.encode(), load),
        "saved_model.pb": Broken(saved, "fastckpt.graph.SavedModel"),
        "saved_model.pbtxt": Broken(
            text_format.MessageToString(saved_model()).encode(), "fastckpt.graph.SavedModel"
        ),
        "schema.pb": Broken(b"\x08\x01", "fastckpt.graph.SavedModel"),
        "saved_model.cpb": Broken(bytes.fromhex("83af70d10d884a3f") + bytes(56), "in chunks"),
        "fingerprint.pb": Broken(
            bytes.fromhex("08c6cd92f2c7e1a4c64b1083b0abd39fd9a0ba2d18aafdefcdd185e0d9a901")
            + bytes.fromhex("20e6d0b7bdadb4d5c49f0128b9c3c2d0aef1e5bc3d32020801"),
            "fingerprint of a SavedModel",
        ),
    }


def _checkpoint_files() -> dict[str, Broken]:
    state = b'model_checkpoint_path: "m-7"\nall_model_checkpoint_paths: "m-7"\n'
    return {
        "m.index": Broken(_table(), "fastckpt.open("),
        "table.ckpt": Broken(_table(), "fastckpt.open("),
        "m.data-00000-of-00001": Broken(b"\0\0\x80\x3f" * 9, "a data shard"),
        "m.data-00001-of-00002": Broken(b"\x01\x02\x03\x04", "a data shard"),
        "checkpoint": Broken(state, "a checkpoint state"),
        "commented_state": Broken(b"# kept\n" + state, "a checkpoint state"),
        "preserved": Broken(b"last_preserved_timestamp: 1.5\n", "a checkpoint state"),
    }


def _foreign_files() -> dict[str, Broken]:
    lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 123\n"
    return {
        "pointer.meta": Broken(lfs, "git lfs pull"),
        "page.html": Broken(b"<!DOCTYPE html><html><body>404</body></html>", "an HTML page"),
        "page2.meta": Broken(b"\n\n<html><head/></html>", "an HTML page"),
        "weights.h5": Broken(b"\x89HDF\r\n\x1a\n" + bytes(8), "an HDF5 file"),
        "arrays.npz": Broken(_zip("w.npy"), "a NumPy .npz"),
        "torch.pt": Broken(_zip("archive/data.pkl"), "a PyTorch file"),
        "model.keras": Broken(_zip("metadata.json"), "a Keras archive"),
        "any.zip": Broken(_zip("readme.txt"), "a zip archive"),
        "array.npy": Broken(b"\x93NUMPY\x01\0v\0{'descr'", "a NumPy .npy"),
        "pickled.pkl": Broken(b"\x80\x04\x95\x0b\0\0\0\0\0\0\0", "a Python pickle"),
        "model.tflite": Broken(b"\x1c\0\0\0TFL3" + bytes(8), "TensorFlow Lite"),
        "m.safetensors": Broken(b"\x08" + bytes(7) + b'{"a":1} ', "a safetensors file"),
        "a.gz": Broken(b"\x1f\x8b\x08\0", "a gzip archive"),
        "a.xz": Broken(b"\xfd7zXZ\0\0", "an xz archive"),
        "a.zst": Broken(b"\x28\xb5\x2f\xfd\x04", "a zstd archive"),
        "a.tar": Broken(b"a" + bytes(256) + b"ustar\0" + bytes(200), "a tar archive"),
        "m.gguf": Broken(b"GGUF\x03\0\0\0", "a GGUF file"),
    }


def _damaged_messages() -> dict[str, Broken]:
    data = binary(meta_graph())
    large = meta_graph()
    large.graph_def.node[1].attr["value"].tensor.tensor_content = bytes(range(128, 256)) * 9
    converted = binary(large).replace(b"\n", b"\r\n")
    lost = Broken(mangled(binary(large)), "replaced bytes for good", BROKEN)
    cut = {
        f"cut_{share}.meta": Broken(data[: len(data) * share // 100], "it is cut off", BROKEN)
        for share in (20, 35, 50, 65, 80, 95)
    }
    deep = Broken(nested(200), "100 levels", LIMIT)
    return cut | {
        "mangled.meta": lost,
        "converted.meta": Broken(converted, "line ends were converted", BROKEN),
        "empty.meta": Broken(b"", "is empty", BROKEN),
        "deep.meta": deep,
        "bomb.meta": Broken(field(2, b"\n\0" * 70_000), "fill the memory", LIMIT),
        "bomb.pb": Broken(b"\n\0" * 70_000, "fill the memory", LIMIT),
        "zeros.meta": Broken(bytes(100), "Cannot parse file", BROKEN),
        "ones.meta": Broken(b"\xff" * 100, "Cannot parse file", BROKEN),
        "noise.meta": Broken(bytes(range(255, 0, -1)), "Cannot parse file", BROKEN),
        "groups.meta": Broken(b"\x0b" * 300, "Cannot parse file", BROKEN),
        "newline.meta": Broken(b"\r\n", "is empty", BROKEN),
        "unknown_only.meta": Broken(b"\x98\x06\x01", "Cannot parse file", BROKEN),
        "bad_utf8.meta": Broken(field(1, field(5, b"2.\xff\xfe")), "Cannot parse file", BROKEN),
        "length.meta": Broken(b"\x12\xff\xff\xff\xff\x07abc", "it is cut off", BROKEN),
    }


def _damaged_texts() -> dict[str, Broken]:
    deep = "graph_def { node { attr { value { tensor { "
    deep += "variant_val { tensors { " * 800 + "}} " * 800 + "}}}}}"
    latin = 'meta_info_def { tags: "caf\xe9" }'.encode("latin-1")
    return {
        "unknown.pbtxt": Broken(b"meta_info_def { nope: 1 }", 'no field named "nope"', BROKEN),
        "open.pbtxt": Broken(b"graph_def { node {", "Cannot parse file", BROKEN),
        "type.pbtxt": Broken(b'saver_def { max_to_keep: "five" }', "Cannot parse file", BROKEN),
        "word.txt": Broken(b"hello world, this is no graph", "it is text, and not", BROKEN),
        "colon.txt": Broken(b"name: value\nother: thing\n", "no field named", BROKEN),
        "a.json": Broken(b'{"node": [{"name": "a"}]}', "it is text, and not", BROKEN),
        "script.py": Broken(b"import tensorflow as tf\n", "it is text, and not", BROKEN),
        "latin.pbtxt": Broken(latin, "is not UTF-8", BROKEN),
        "deep.pbtxt": Broken(deep.encode(), "100 levels", LIMIT),
        "wide.pbtxt": Broken("graph_def {}".encode("utf-16"), "Cannot parse", BROKEN),
    }


_MAKERS: tuple[Callable[[], dict[str, Broken]], ...] = (
    _other_messages,
    _checkpoint_files,
    _foreign_files,
    _damaged_messages,
    _damaged_texts,
)
