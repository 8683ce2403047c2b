"""Recognising, from its first bytes, a file that is no checkpoint.

The answer says what the file is and what to call instead. Nothing here reads files.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

__all__ = [
    "Content",
    "is_lfs_pointer",
    "is_mangled",
    "is_plain_text",
    "is_state_text",
    "recognise",
]


class Content(NamedTuple):
    """What a file is, as the end of "…: this is ", and what to do instead.

    `kind` tells those apart that this package reads: the name of a message, ``"chunked"`` or
    ``"mangled"``; empty for all others.
    """

    what: str
    advice: str
    kind: str = ""


_GRAPH = Content(
    "a frozen or plain graph (GraphDef)",
    "a frozen graph keeps its weights as constants; pass the prefix of a checkpoint instead",
    "GraphDef",
)
_META = Content(
    "a meta graph (MetaGraphDef)",
    "it describes the graph and holds no weights; pass the prefix of the checkpoint it belongs to",
    "MetaGraphDef",
)
_SAVED_MODEL = Content(
    "the graph of a SavedModel",
    "pass the SavedModel directory that holds it, or dir/variables/variables",
    "SavedModel",
)
_CHUNKED = Content("the graph of a SavedModel in chunks (.cpb)", _SAVED_MODEL.advice, "chunked")
_FINGERPRINT = Content(
    "the fingerprint of a SavedModel",
    "pass the SavedModel directory that holds it",
    "FingerprintDef",
)
_MANGLED = Content(
    "a binary file that something has treated as text",
    "bytes were replaced for good: fetch the original file, in binary mode",
    "mangled",
)
_TFLITE = Content(
    "a TensorFlow Lite model", "it holds no checkpoint; pass the one it was made from"
)
_TORCH = Content("a PyTorch file", "load it with torch.load(path, weights_only=True)")
_NPZ = Content(
    "a NumPy .npz archive",
    "load it with numpy.load(path), or make it a checkpoint: fastckpt convert",
)
_HDF5 = Content(
    "an HDF5 file (such as Keras' .h5 weights)",
    "open it with h5py, or load it with Keras' load_weights",
)
_SAFETENSORS = Content(
    "a safetensors file",
    "load it with safetensors.numpy.load_file(path), or make it a checkpoint: fastckpt convert",
)
_ARCHIVE = "unpack it and pass the prefix of the checkpoint inside"

_MAGIC: tuple[tuple[bytes, Content], ...] = (
    (b"\x89HDF\r\n\x1a\n", _HDF5),
    (b"\x93NUMPY", Content("a NumPy .npy array", "load it with numpy.load(path)")),
    (b"\x1f\x8b", Content("a gzip archive", _ARCHIVE)),
    (b"\xfd7zXZ\0", Content("an xz archive", _ARCHIVE)),
    (b"\x28\xb5\x2f\xfd", Content("a zstd archive", _ARCHIVE)),
    (bytes.fromhex("83af70d10d884a3f"), _CHUNKED),  # a Riegeli file
    (b"GGUF", Content("a GGUF file", "load it with the gguf package")),
)

_TEXT: tuple[tuple[re.Pattern[bytes], Content], ...] = (
    (
        re.compile(rb"(node|versions|library)\s*(:\s*)?[{<]"),
        _GRAPH._replace(what="a graph in text form (GraphDef .pbtxt)"),
    ),
    (
        re.compile(
            rb"(meta_info_def|graph_def|saver_def|collection_def|signature_def|asset_file_def"
            rb"|object_graph_def)\s*(:\s*)?[{<]"
        ),
        _META._replace(what="a meta graph in text form (MetaGraphDef)"),
    ),
    (
        re.compile(rb"saved_model_schema_version\s*:|meta_graphs\s*(:\s*)?[{<]"),
        _SAVED_MODEL._replace(what="the graph of a SavedModel in text form"),
    ),
    (
        # What object stores say in place of a file.
        re.compile(rb"<(\?xml[^>]*>\s*<)?Error>"),
        Content("an error message of an object store", "the download went wrong: fetch it again"),
    ),
    (
        re.compile(rb"<(!doctype\s+html|html)", re.IGNORECASE),
        Content("an HTML page", "the download went wrong: fetch the raw file instead of its page"),
    ),
)

# Blank lines and comments that may precede the first field of a text message.
_TEXT_LEAD = re.compile(rb"\A(\xef\xbb\xbf)?(\s+|#[^\n]*\n)*")

# All but control characters; blanks and line ends are none here.
_NO_CONTROL = bytes(range(9, 14)) + bytes(range(32, 256))

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"

_IDENTIFIER = re.compile(rb"[A-Za-z_][\w>./\\-]*\Z")


def is_lfs_pointer(head: bytes) -> bool:
    """Whether a file begins like a Git-LFS pointer, which stands for a file not fetched yet."""
    return head.startswith(_LFS_POINTER)


def is_mangled(head: bytes) -> bool:
    """Whether a file begins like binary data that went through a decoder of text.

    U+FFFD, which such a decoder puts where bytes are not UTF-8, stands beside control characters.
    """
    control = head.translate(None, delete=_NO_CONTROL)
    return "\ufffd".encode() in head and len(control) > 0 and _is_utf8(head)


def is_plain_text(head: bytes) -> bool:
    """Whether a file begins like text: UTF-8 without control characters."""
    return not head.translate(None, delete=_NO_CONTROL) and _is_utf8(head)


def is_state_text(head: bytes) -> bool:
    """Whether a file begins like a checkpoint state file."""
    start = _TEXT_LEAD.match(head)
    rest = head[start.end() :] if start else head
    return rest.startswith(
        (b"model_checkpoint_path", b"all_model_checkpoint_", b"last_preserved_")
    )


def recognise(head: bytes) -> Content | None:
    """Name what a file is from its first KiB; None where it is like nothing known."""
    for magic, content in _MAGIC:
        if head.startswith(magic):
            return content
    tests: tuple[Callable[[bytes], Content | None], ...] = (
        _zip,
        _tar,
        _safetensors,
        _pickle,
        _text,
        _proto,
        _fingerprint,
        _mangled,
    )
    return next((found for test in tests if (found := test(head)) is not None), None)


def _zip(head: bytes) -> Content | None:
    if not head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return None
    name = head[30 : 30 + int.from_bytes(head[26:28], "little")]
    if name.endswith(b".npy"):
        return _NPZ
    if name.endswith((b"/data.pkl", b"/version", b"/.format_version", b"/byteorder")):
        return _TORCH
    if name in (b"metadata.json", b"config.json", b"model.weights.h5"):
        return Content("a Keras archive (.keras)", "load it with keras.models.load_model(path)")
    return Content("a zip archive", _ARCHIVE)


def _tar(head: bytes) -> Content | None:
    return Content("a tar archive", _ARCHIVE) if head[257:262] == b"ustar" else None


def _safetensors(head: bytes) -> Content | None:
    # Eight bytes of header length, then a JSON object.
    plausible = 2 <= int.from_bytes(head[:8], "little") < 2**32
    return _SAFETENSORS if plausible and re.match(rb'\{\s*["}]', head[8:24]) else None


def _pickle(head: bytes) -> Content | None:
    if len(head) < 3 or head[0] != 0x80 or not 2 <= head[1] <= 5:
        return None
    if b"torch" in head:
        return _TORCH
    return Content(
        "a Python pickle", "load it with pickle.load only if you trust where it comes from"
    )


def _text(head: bytes) -> Content | None:
    start = _TEXT_LEAD.match(head)
    at = start.end() if start else 0
    return next((content for pattern, content in _TEXT if pattern.match(head, at)), None)


def _proto(head: bytes) -> Content | None:
    """Tell the binary messages apart by their first fields (numbers: docs/format.md)."""
    if head[4:8] == b"TFL3":
        return _TFLITE
    if head[:3] == b"\x08\x01\x12":
        return _SAVED_MODEL
    body, rest = _message_field(head, 0x0A)
    if _is_node(body):
        return _GRAPH
    if _is_meta_info(body) or _is_node(_message_field(_message_field(rest, 0x12)[0], 0x0A)[0]):
        return _META
    inner, _ = _message_field(_message_field(head, 0x12)[0], 0x0A)
    if _is_node(inner):
        return _META
    return _SAVED_MODEL if _is_meta_info(inner) else None


def _fingerprint(head: bytes) -> Content | None:
    # Five 64-bit numbers, then a version; unset numbers are left out.
    found = re.match(rb"(?:[\x08\x10\x18\x20\x28][\x80-\xff]{5,9}[\0-\x7f])+2", head)
    return _FINGERPRINT if found else None


def _mangled(head: bytes) -> Content | None:
    return _MANGLED if is_mangled(head) else None


def _is_utf8(head: bytes) -> bool:
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4 and error.reason == "unexpected end of data"
    return True


def _is_node(body: bytes) -> bool:
    """Whether a message is like a NodeDef: name = 1, op = 2, both identifiers."""
    name, rest = _message_field(body, 0x0A)
    op, _ = _message_field(rest, 0x12)
    return _IDENTIFIER.match(name) is not None and _IDENTIFIER.match(op) is not None


def _is_meta_info(body: bytes) -> bool:
    """Whether a message is like a MetaInfoDef: operations = 2, tags = 4, versions = 5 and 6."""
    operations, _ = _message_field(body, 0x12)
    return operations[:1] == b"\x0a" or body[:1] in (b"\x22", b"\x2a")


def _message_field(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """Split off the length-delimited field that starts `data`, as far as it is there."""
    size = shift = 0
    for at in range(1, min(len(data), 6)) if data[:1] == bytes([tag]) else ():
        size |= (data[at] & 0x7F) << shift
        shift += 7
        if data[at] < 0x80:
            return data[at + 1 : at + 1 + size], data[at + 1 + size :]
    return b"", b""
