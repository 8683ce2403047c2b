"""What is raised beside a real TensorFlow is caught by the handlers that programs have for it."""

from __future__ import annotations

import errno
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import fastckpt
from fastckpt import errors
from fastckpt.checkpoint.shared_errors import share
from fastckpt.checkpoint.tensorflow_errors import ShortShardError
from fastckpt.compat import errors as stand_in
from fastckpt.training.saver import Saver

tf1 = tf.compat.v1


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    fastckpt.save("m", {"v": np.ones(3, np.float32), "w": np.zeros((2, 2))})
    return tmp_path


def _flip(path: str) -> None:
    data = bytearray(Path(path).read_bytes())
    data[0] ^= 255
    Path(path).write_bytes(data)


def _missing_checkpoint() -> None:
    fastckpt.NewCheckpointReader("gone")


def _missing_tensor() -> None:
    fastckpt.load_variable("m", "gone")


def _damage() -> None:
    _flip("m.data-00000-of-00001")
    fastckpt.load_variable("m", "v")


def _wrong_file() -> None:
    fastckpt.load_checkpoint("m.data-00000-of-00001")


READERS: dict[str, tuple[Callable[[], None], type[tf.errors.OpError], str]] = {
    "no checkpoint": (
        _missing_checkpoint,
        tf.errors.NotFoundError,
        "Unsuccessful TensorSliceReader constructor: Failed to find any matching files for gone",
    ),
    "no tensor": (_missing_tensor, tf.errors.NotFoundError, "Key gone not found in checkpoint"),
    "damage": (_damage, tf.errors.DataLossError, "hecksum"),
    "wrong file": (_wrong_file, tf.errors.DataLossError, "bad magic number"),
}


@pytest.mark.parametrize("name", READERS)
def test_readers(name: str) -> None:
    call, kind, text = READERS[name]
    with pytest.raises(kind, match=text) as caught:
        call()
    error = caught.value
    assert isinstance(error, fastckpt.CheckpointError)
    assert str(error) == error.message
    assert error.error_code == tf.compat.v1.errors.error_code_from_exception_type(kind)
    assert error.op is None
    assert error.node_def is None


def _graph_variable(value: Any, *, resource: bool) -> Any:
    return tf1.Variable(value, name="v", use_resource=resource)


@pytest.mark.parametrize("resource", [False, True])
def test_restoring_through_a_session(resource: bool) -> None:
    with tf1.Graph().as_default(), tf1.Session() as session:
        variable = _graph_variable([0.0, 0.0], resource=resource)
        saver = Saver({"gone": variable})
        with pytest.raises(tf.errors.NotFoundError, match="Key gone not found in checkpoint"):
            saver.restore(session, "m")
        with pytest.raises(tf.errors.InvalidArgumentError, match="a mismatch between the current"):
            Saver([variable]).restore(session, "m")
        # TensorFlow's Saver raises a ValueError here, and nothing of its own.
        with pytest.raises(ValueError, match="not a valid checkpoint") as caught:
            saver.restore(session, "nothing")
        assert not isinstance(caught.value, tf.errors.OpError)


def test_restoring_damage() -> None:
    _flip("m.data-00000-of-00001")
    value = np.zeros(3, np.float32)
    with pytest.raises(tf.errors.DataLossError):
        Saver({"v": value}).restore("m")
    assert not value.any()


def test_saving_where_somebody_else_does() -> None:
    with fastckpt.CheckpointWriter("busy") as writer:
        writer.add("v", np.ones(1))
        with pytest.raises(tf.errors.AbortedError) as caught:
            Saver({"v": np.ones(1)}).save("busy")
    assert isinstance(caught.value, fastckpt.CheckpointBusyError)


KINDS = [
    (ShortShardError("m"), tf.errors.OutOfRangeError),
    (errors.LimitExceededError("m"), tf.errors.ResourceExhaustedError),
    (errors.UnsupportedError("m"), tf.errors.UnimplementedError),
    (errors.ClosedError("m"), tf.errors.FailedPreconditionError),
    (errors.CheckpointIOError("m", errno=errno.ENOSPC), tf.errors.ResourceExhaustedError),
    (errors.CheckpointIOError("m", errno=errno.EACCES), tf.errors.PermissionDeniedError),
    (errors.CheckpointIOError("m", errno=errno.EIO), tf.errors.UnknownError),
    (errors.CheckpointChangedError("m"), tf.errors.UnknownError),
    (errors.CheckpointError("m"), tf.errors.UnknownError),
]


@pytest.mark.parametrize(("error", "kind"), KINDS, ids=lambda x: getattr(x, "__name__", ""))
def test_kinds(error: errors.CheckpointError, kind: type[tf.errors.OpError]) -> None:
    plain = type(error)
    share(error)
    assert isinstance(error, kind)
    assert isinstance(error, plain)
    assert type(error).__name__ == plain.__name__
    share(error)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is plain
    assert str(again) == str(error)


def test_fields_survive() -> None:
    error = errors.CheckpointIOError("full", path="m.index", errno=errno.ENOSPC)
    share(error)
    assert (error.path, error.errno, error.filename) == ("m.index", errno.ENOSPC, "m.index")
    assert os.strerror(errno.ENOSPC) == error.strerror


def test_a_stand_in_is_no_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow.python.framework.errors_impl", stand_in)
    error = errors.DataLossError("m")
    share(error)
    assert type(error) is errors.DataLossError
