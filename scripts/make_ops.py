"""Rebuild python/fastckpt/graph/ops.binpb.gz: the operations that TensorFlow registers.

Needs TensorFlow (dependency group "interop"). Descriptions are left out, names sorted.
Usage: python scripts/make_ops.py [--check]
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

OUTPUT = Path(__file__).resolve().parents[1] / "python" / "fastckpt" / "graph" / "ops.binpb.gz"


def build() -> bytes:
    """Serialize the OpList of all registered operations."""
    from tensorflow.core.framework import op_def_pb2
    from tensorflow.python.client import pywrap_tf_session as session

    registered = op_def_pb2.OpList.FromString(session.TF_GetBuffer(session.TF_GetAllOpList()))
    kept = op_def_pb2.OpList(op=sorted(registered.op, key=lambda op: op.name))
    for op in kept.op:
        op.ClearField("summary")
        for part in (op, *op.input_arg, *op.output_arg, *op.attr):
            part.ClearField("description")
        op.deprecation.ClearField("explanation")
        if not op.deprecation.version:
            op.ClearField("deprecation")
    return kept.SerializeToString(deterministic=True)


def main() -> int:
    """Write the file, or with --check only compare what it holds."""
    data = build()
    if "--check" not in sys.argv[1:]:
        OUTPUT.write_bytes(gzip.compress(data, 9, mtime=0))
        return 0
    if gzip.decompress(OUTPUT.read_bytes()) == data:
        return 0
    print("ops.binpb.gz is not what this TensorFlow registers; run scripts/make_ops.py")
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
