"""Errors of naming and reading variables that are also what TensorFlow raises there."""

from __future__ import annotations

from fastckpt.checkpoint.tensorflow_errors import WrongTypeError
from fastckpt.errors import ClosedError, FailedPreconditionError, InvalidArgumentError

__all__ = [
    "ClosedSessionError",
    "EagerError",
    "UninitializedError",
    "UnnamedError",
    "in_short",
    "not_a_variable",
    "not_in_a_container",
]

# Longer texts of objects are cut: an ndarray's takes many lines.
_MAX_TEXT = 120


class ClosedSessionError(ClosedError, RuntimeError):
    """A session of TensorFlow that was closed."""


class EagerError(InvalidArgumentError, RuntimeError):
    """TensorFlow executes eagerly, where it has no collection of variables."""


class UnnamedError(WrongTypeError, AttributeError):
    """An object in a list that has no name to be stored under."""


class UninitializedError(InvalidArgumentError, FailedPreconditionError):
    """A variable that has no value yet.

    From a session of TensorFlow it is a ``tf.errors.FailedPreconditionError`` as well.
    """


def not_a_variable(value: object, key: str | None = None, hint: str = "") -> WrongTypeError:
    """Build the error for an object in a `var_list` that nothing can be restored into.

    Parameters
    ----------
    value : object
        The object.
    key : str, optional
        Its key in a dict; None for an object of a list.
    hint : str
        What to do about it.
    """
    step = hint or (
        "pass NumPy arrays, fastckpt.Variable objects, tensors of torch or JAX, or variables of "
        "TensorFlow; a number can be a 0-d array: np.array(value)"
    )
    if key is None:
        return WrongTypeError(f"Variable to save is not a Variable: {in_short(value)}; {step}")
    return WrongTypeError(
        "names_to_saveables must be a dict mapping string names to Tensors/Variables. "
        f"Not a variable: {in_short(value)} (key {key!r}); {step}",
        key=key,
    )


def not_in_a_container(value: object) -> WrongTypeError:
    """Build the error for a `var_list` that is neither dict nor list."""
    step = "wrap it: [variable]" if hasattr(value, "name") else "see fastckpt.Saver"
    return WrongTypeError(
        f"Variables to save should be passed in a dict or a list. Got {in_short(value)}; {step}"
    )


def in_short(value: object) -> str:
    """Give the text of an object on one line of bounded length."""
    try:
        line = " ".join(str(value).split())
    except Exception:  # noqa: BLE001 - the text of a stranger may raise anything
        line = f"<{type(value).__name__}>"
    return line if len(line) <= _MAX_TEXT else f"{line[:_MAX_TEXT]}…"
