"""Comparing what a function of fastckpt does with what TensorFlow's does: value or error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

import fastckpt

# TensorFlow's error -> the class that fastckpt raises in its place.
ERRORS: dict[type[Exception], type[Exception] | tuple[type[Exception], ...]] = {
    tf.errors.NotFoundError: (fastckpt.CheckpointNotFoundError, fastckpt.TensorNotFoundError),
    tf.errors.DataLossError: fastckpt.DataLossError,
    tf.errors.OutOfRangeError: fastckpt.DataLossError,
    tf.errors.InvalidArgumentError: fastckpt.InvalidArgumentError,
    tf.errors.InternalError: fastckpt.InvalidArgumentError,
    tf.errors.UnimplementedError: fastckpt.UnsupportedError,
    tf.errors.ResourceExhaustedError: fastckpt.LimitExceededError,
}

# Python's reader gives many errors their base class, and only the text tells the code.
TEXTS: tuple[tuple[str, type[Exception]], ...] = (
    ("No such file or directory", fastckpt.CheckpointNotFoundError),
    ("sstable", fastckpt.DataLossError),
    ("hecksum", fastckpt.DataLossError),
    ("corrupt", fastckpt.DataLossError),
)


class Outcome(NamedTuple):
    """What a call gave: a value, or the error it raised."""

    value: Any = None
    error: Exception | None = None


def outcome(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Outcome:
    """Call, and keep the error."""
    try:
        return Outcome(function(*args, **kwargs))
    except Exception as error:  # noqa: BLE001 whatever it is, it is compared
        return Outcome(error=error)


def assert_same_error(ours: Exception | None, theirs: Exception) -> None:
    """Check the class of an error: DESIGN's table, or the builtin that TensorFlow raises."""
    told = f"ours {ours!r}, theirs {theirs!r}"
    assert isinstance(ours, fastckpt.CheckpointError), told
    if type(theirs) is tf.errors.OpError:
        expected: Any = next(cls for text, cls in TEXTS if text in str(theirs))
    elif isinstance(theirs, tf.errors.OpError):
        expected = ERRORS[type(theirs)]
    else:
        expected = type(theirs)
    assert isinstance(ours, expected), told


def assert_same_value(ours: Any, theirs: Any) -> None:
    """Check type and content; of arrays also dtype, bytes and whether they may be written to."""
    assert type(ours) is type(theirs)
    if not isinstance(theirs, np.ndarray):
        equal = (
            ours.tobytes() == theirs.tobytes() if hasattr(theirs, "tobytes") else ours == theirs
        )
        assert equal, (ours, theirs)
        return
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    assert ours.flags.writeable == theirs.flags.writeable
    if theirs.dtype == object:
        assert ours.ravel().tolist() == theirs.ravel().tolist()
        assert {type(x) for x in ours.ravel()} == {type(x) for x in theirs.ravel()}
    else:
        assert ours.tobytes() == theirs.tobytes()


def assert_same_outcome(
    ours: Callable[..., Any], theirs: Callable[..., Any], *args: Any, **kwargs: Any
) -> None:
    """Call both with the same arguments and compare."""
    here, there = outcome(ours, *args, **kwargs), outcome(theirs, *args, **kwargs)
    if there.error is not None:
        assert_same_error(here.error, there.error)
    else:
        assert here.error is None, (here.error, there.value)
        assert_same_value(here.value, there.value)
