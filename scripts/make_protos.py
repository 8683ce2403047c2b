"""Rebuild python/fastckpt/protos/descriptors.binpb from the .proto files beside it.

Needs grpcio-tools (dependency group "dev"), whose protoc runs inside this process.
Usage: python scripts/make_protos.py [--check]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

PROTOS = Path(__file__).resolve().parents[1] / "python" / "fastckpt" / "protos"
OUTPUT = PROTOS / "descriptors.binpb"


def build() -> bytes:
    """Compile every .proto file into one serialized descriptor set, without source positions."""
    from grpc_tools import protoc

    sources = sorted(path.name for path in PROTOS.glob("*.proto"))
    # Any and the wrappers, which protobuf defines itself.
    known = Path(protoc.__file__).with_name("_proto")
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "descriptors.binpb"
        paths = [f"--proto_path={PROTOS}", f"--proto_path={known}"]
        options = [*paths, "--include_imports", f"--descriptor_set_out={target}"]
        if protoc.main(["protoc", *options, *sources]) != 0:
            raise SystemExit("protoc failed")
        return target.read_bytes()


def main() -> int:
    """Write the descriptor set, or with --check only compare it."""
    data = build()
    if "--check" not in sys.argv[1:]:
        OUTPUT.write_bytes(data)
        return 0
    if OUTPUT.read_bytes() == data:
        return 0
    print("descriptors.binpb is not what the .proto files say; run scripts/make_protos.py")
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
