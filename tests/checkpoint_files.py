"""Files that look like those of checkpoints, as far as recognising them goes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fastckpt.storage import locate

TABLE_MAGIC = bytes.fromhex("57fb808b247547db")
# A record at the empty key, then padding and the footer's magic: as much as recognising looks at.
V2_INDEX = bytes.fromhex("000006 08011a020801") + bytes(40) + TABLE_MAGIC
V1_FILE = bytes.fromhex("00001c 0a1a0a090a0161") + bytes(40) + TABLE_MAGIC

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 12345\n"


def field(number: int, content: bytes) -> bytes:
    size, length = len(content), b""
    while size >= 0x80:
        length += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


NODE = field(1, field(1, b"scope/a") + field(2, b"Placeholder"))
META_INFO = field(1, field(2, field(1, field(1, b"Add"))) + field(4, b"serve"))
META = META_INFO + field(2, NODE)


def put(path: Path, data: bytes = V2_INDEX) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def v2(directory: Path, *names: str) -> str:
    for name in names:
        put(directory / f"{name}.index")
        put(directory / f"{name}.data-00000-of-00001", b"data")
    return str(directory / names[0])


def state(directory: Path, latest: str, name: str = "checkpoint") -> Path:
    return put(directory / name, f'model_checkpoint_path: "{latest}"\n'.encode())


def fails(path, error: type[Exception], *words: str) -> Exception:
    with pytest.raises(error) as caught:
        locate(path)
    for word in words:
        assert word in str(caught.value)
    return caught.value


def numbers(folder: str = "run") -> list[int]:
    """Steps of the checkpoints in a folder."""
    names = (x.removesuffix(".index") for x in os.listdir(folder) if x.endswith(".index"))
    return sorted(int(name.rpartition("-")[2]) for name in names)
