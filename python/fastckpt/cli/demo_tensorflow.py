"""TensorFlow's own reader and writer, in a process of its own that does one thing at a time.

Requests and answers are lines of JSON on the pipes of that process, which runs this module.
"""

from __future__ import annotations

import importlib.util
import json
import os
import selectors
import subprocess
import sys
import time
from typing import Any, Self

__all__ = ["TensorFlow", "TensorFlowFailed", "is_installed"]

# Importing it takes seconds on a slow machine, and no step of the demonstration as long as this.
_MAX_SECONDS = 60.0


class TensorFlowFailed(Exception):  # noqa: N818
    """It did not start, raised, died or took too long; the reason in words."""


def is_installed() -> bool:
    """Whether TensorFlow could be imported; it is not."""
    return importlib.util.find_spec("tensorflow") is not None


class TensorFlow:
    """The process, as a context manager: killed at the end, whatever it does."""

    def __init__(self) -> None:
        quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "fastckpt.cli.demo_tensorflow"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | quiet,
            # Ctrl-C is for the parent, who then kills it.
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def version(self) -> str:
        """Wait for the import; give TensorFlow's version."""
        return str(self._ask(do="version")["version"])

    def restore(self, prefix: str, tensors: list[tuple[str, str]]) -> None:
        """Read tensors, given as names and slice specs, and keep them for :meth:`save`."""
        self._ask(do="restore", prefix=prefix, tensors=tensors)

    def save(self, prefix: str) -> float:
        """Save what was restored; give the seconds of one SaveV2, which Saver.save runs."""
        return float(self._ask(do="save", prefix=prefix)["seconds"])

    def open(self, prefix: str) -> float:
        """Give the seconds of load_checkpoint."""
        return float(self._ask(do="open", prefix=prefix)["seconds"])

    def read(self, prefix: str, names: list[str], *, keeps: bool) -> float:
        """Give the seconds of get_tensor of all names; without `keeps`, each dropped at once."""
        return float(self._ask(do="read", prefix=prefix, names=names, keeps=keeps)["seconds"])

    def _ask(self, **request: Any) -> dict[str, Any]:
        pipe, answers = self._process.stdin, self._process.stdout
        assert pipe is not None  # noqa: S101
        assert answers is not None  # noqa: S101
        try:
            pipe.write(json.dumps(request).encode() + b"\n")
            pipe.flush()
        except BrokenPipeError:
            pass  # The answer tells.
        with selectors.DefaultSelector() as selector:
            selector.register(answers, selectors.EVENT_READ)
            if not selector.select(_MAX_SECONDS):
                raise TensorFlowFailed(f"it gave no answer within {_MAX_SECONDS:.0f} s")
        line = answers.readline()
        if not line:
            raise TensorFlowFailed("its process died")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise TensorFlowFailed(str(answer["error"]))
        return answer


class _Served:
    """What the process does; a method a request."""

    def __init__(self) -> None:
        import tensorflow as tf

        self._tf: Any = tf
        self._names: list[str] = []
        self._slices: list[str] = []
        self._values: list[Any] = []

    def version(self) -> dict[str, Any]:
        return {"version": self._tf.__version__}

    def restore(self, prefix: str, tensors: list[list[str]]) -> dict[str, Any]:
        self._names, self._slices = [x[0] for x in tensors], [x[1] for x in tensors]
        dtypes = self._tf.train.load_checkpoint(prefix).get_variable_to_dtype_map()
        self._values = self._tf.raw_ops.RestoreV2(
            prefix=prefix,
            tensor_names=self._names,
            shape_and_slices=self._slices,
            dtypes=[dtypes[name] for name in self._names],
        )
        return {}

    def save(self, prefix: str) -> dict[str, Any]:
        start = time.perf_counter()
        self._tf.raw_ops.SaveV2(
            prefix=prefix,
            tensor_names=self._names,
            shape_and_slices=self._slices,
            tensors=self._values,
        )
        return {"seconds": time.perf_counter() - start}

    def open(self, prefix: str) -> dict[str, Any]:
        start = time.perf_counter()
        self._tf.train.load_checkpoint(prefix)
        return {"seconds": time.perf_counter() - start}

    def read(self, prefix: str, names: list[str], *, keeps: bool) -> dict[str, Any]:
        reader = self._tf.train.load_checkpoint(prefix)
        kept = []
        start = time.perf_counter()
        for name in names:
            array = reader.get_tensor(name)
            if keeps:
                kept.append(array)
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "kept": len(kept)}


def _serve() -> None:
    """Answer requests until the parent has gone."""
    served: _Served | None = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            served = served or _Served()
            answer = getattr(served, request.pop("do"))(**request)
        except Exception as error:  # noqa: BLE001 - the parent tells it
            answer = {"error": f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    _serve()
