"""The options of a Saver, checked as TensorFlow's constructor does."""

from __future__ import annotations

import logging
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastckpt.checkpoint.tensorflow_errors import WrongTypeError
from fastckpt.errors import InvalidArgumentError, UnsupportedError
from fastckpt.training.variables import Target

__all__ = [
    "are_opaque",
    "check_max_to_keep",
    "check_saver_def",
    "check_version",
    "hours_of",
    "is_nothing",
]

# What a session gives to nobody.
_OPAQUE = frozenset({"variant", "resource"})

V1 = 1
V2 = 2

_log = logging.getLogger("fastckpt")


def are_opaque(targets: Sequence[Target]) -> bool:
    """Whether only operations of their graph can save some of these, such as dataset iterators.

    Raises
    ------
    UnsupportedError
        Others among them are in no graph.
    """
    opaque = [x for x in targets if x.tf_dtype in _OPAQUE]
    if opaque and not all(x.group.needs_session for x in targets):
        raise UnsupportedError(
            f"{opaque[0].label} is a {opaque[0].tf_dtype}, which only operations of its graph can "
            "save; give what is in no graph a Saver of its own",
            key=opaque[0].key,
        )
    return bool(opaque)


def check_max_to_keep(max_to_keep: object) -> int:
    """Give the length of the list; 0 for no list."""
    if max_to_keep is None:
        return 0
    try:
        number = operator.index(max_to_keep)  # type: ignore[arg-type]
    except TypeError:
        raise WrongTypeError(
            f"max_to_keep must be an integer or None, not {max_to_keep!r}"
        ) from None
    if not 0 <= number < 1 << 31:
        raise InvalidArgumentError(
            f"max_to_keep must not be negative, nor exceed 31 bits: {number}; TensorFlow removes "
            "every checkpoint right after it was saved then. None or 0 keeps all"
        )
    return number


def hours_of(keep_checkpoint_every_n_hours: object) -> float:
    """Give the hours as a SaverDef holds them, in single precision."""
    if keep_checkpoint_every_n_hours is None:
        return 0.0
    try:
        return float(np.float32(float(keep_checkpoint_every_n_hours)))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise WrongTypeError(
            "keep_checkpoint_every_n_hours must be a number, not "
            f"{keep_checkpoint_every_n_hours!r}"
        ) from None


def check_version(write_version: object) -> int:
    """Give the format, 1 or 2."""
    if isinstance(write_version, int) and write_version in {V1, V2}:
        return int(write_version)
    raise WrongTypeError(
        f"write_version must be 2 (SaverDef.V2) or 1 (SaverDef.V1), not {write_version!r}"
    )


def check_saver_def(saver_def: Any) -> None:
    """Raise unless this is a SaverDef, TensorFlow's or fastckpt's, that names its operations."""
    descriptor = getattr(saver_def, "DESCRIPTOR", None)
    if getattr(descriptor, "name", None) != "SaverDef":
        raise InvalidArgumentError(f"saver_def must be a saver_pb2.SaverDef: {saver_def!r}")
    for field in ("save_tensor_name", "restore_op_name"):
        if not getattr(saver_def, field):
            raise InvalidArgumentError(f"saver_def must specify the {field}: {saver_def}")


def kept_by(saver_def: Any) -> int:
    """Give the length of the list that a SaverDef from elsewhere asks for."""
    if saver_def.max_to_keep < 0:
        _log.warning(
            "max_to_keep of the SaverDef is %d, with which TensorFlow removes every checkpoint "
            "right after it was saved; all are kept",
            saver_def.max_to_keep,
        )
    return max(0, int(saver_def.max_to_keep))


def is_nothing(var_list: object) -> bool:
    """Whether a `var_list` is None, or a container without items."""
    return var_list is None or (
        isinstance(var_list, dict | list | tuple | set | frozenset) and not var_list
    )
