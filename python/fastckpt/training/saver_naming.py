"""Where a Saver writes: the prefix of a save, checked before anything is touched."""

from __future__ import annotations

import operator
import os
from typing import Any, NamedTuple

from fastckpt.checkpoint.tensorflow_errors import WrongTypeError, as_text
from fastckpt.errors import InvalidArgumentError
from fastckpt.names import strip_suffix
from fastckpt.storage.destination import destination
from fastckpt.storage.state import STATE_FILE
from fastckpt.training.removing import meta_graph_filename

__all__ = ["Naming", "Place", "choose_place", "step_number"]


class Naming(NamedTuple):
    """How a Saver names what it writes.

    Attributes
    ----------
    pad_step_number : bool
        Write steps with eight digits at least.
    sharded : bool
        The Saver writes shards.
    """

    pad_step_number: bool = False
    sharded: bool = False


class Place(NamedTuple):
    """Where one save goes.

    Attributes
    ----------
    prefix : str
        Of the checkpoint, as the caller spells it.
    directory : str
        Where the state file lies; empty for the current one.
    latest_filename : str
        Name of the state file.
    meta_file : str or None
        The meta graph; None where none is to be written.
    """

    prefix: str
    directory: str
    latest_filename: str
    meta_file: str | None


def choose_place(
    save_path: object,
    global_step: object = None,
    latest_filename: str | None = None,
    meta_graph_suffix: str | None = "meta",
    *,
    naming: Naming,
    session: Any = None,
) -> Place:
    """Name the files of a save.

    Parameters
    ----------
    save_path : str, bytes, or without a session PathLike
        Directory and base name.
    global_step : int, or what gives one
        See :func:`step_number`; its number is appended to the base name.
    latest_filename : str, optional
        Name of the state file; ``"checkpoint"`` by default.
    meta_graph_suffix : str, optional
        Suffix of the meta graph; None for no meta graph.
    naming : Naming
        The rules of the Saver.
    session : tf.compat.v1.Session, optional
        What evaluates `global_step`.

    Raises
    ------
    WrongTypeError
        A path or a name that is not text; a step that is no integer.
    InvalidArgumentError
        A name with path components; a file that another one of the save would replace; an empty
        base name, a directory in the place of a file. A directory called like the prefix is in
        nobody's way.
    """
    latest = STATE_FILE if latest_filename is None else _plain_name(latest_filename)
    path = as_text(save_path, "save_path", paths=session is None)
    if global_step is None:
        prefix = path
        if os.path.basename(path) == latest and not naming.sharded:
            raise InvalidArgumentError(
                f"'latest_filename' collides with 'save_path': {latest!r} and {path!r}", path=path
            )
    else:
        number = step_number(global_step, session)
        prefix = f"{path}-{number:08d}" if naming.pad_step_number else f"{path}-{number:d}"
    meta = None if meta_graph_suffix is None else meta_graph_filename(prefix, meta_graph_suffix)
    place = Place(destination(prefix, allow_directory=True), os.path.dirname(path), latest, meta)
    _check_files(place)
    return place


def step_number(global_step: object, session: Any = None) -> int:
    """Evaluate a global step.

    Parameters
    ----------
    global_step : int, array, variable, tensor or str
        An integer of any library; something with ``numpy()``, such as a ``fastckpt.Variable``;
        with a session, a tensor of its graph or the name of one.

    Raises
    ------
    WrongTypeError
        Nothing of the kind, such as a float; a TypeError.
    """
    try:
        return operator.index(global_step)  # type: ignore[arg-type]
    except (TypeError, NotImplementedError):
        pass
    try:
        if session is not None:
            return int(session.run(global_step))
        if not isinstance(global_step, str | float) and hasattr(global_step, "numpy"):
            return int(global_step.numpy().item())
    except TypeError as error:
        raise WrongTypeError(f"global_step {global_step!r} is no integer: {error}") from error
    raise WrongTypeError(
        f"global_step must be an integer, or a variable that holds one, not {global_step!r}"
    )


def _plain_name(latest_filename: object) -> str:
    if not isinstance(latest_filename, str):
        raise WrongTypeError(f"latest_filename must be str, not {latest_filename!r}")
    if os.path.split(latest_filename)[0]:
        raise InvalidArgumentError(
            f"'latest_filename' must not contain path components: {latest_filename!r}"
        )
    if latest_filename in {"", ".", ".."}:
        raise InvalidArgumentError(f"latest_filename {latest_filename!r} names no file")
    return latest_filename


def _check_files(place: Place) -> None:
    """Raise where the files of a save would get in each other's way, or in that of others."""
    state = os.path.join(place.directory, place.latest_filename)
    if os.path.isdir(state):
        raise InvalidArgumentError(
            f"{state!r}, the name of the checkpoint state, is a directory; pass another "
            f"latest_filename, or a prefix inside it such as {os.path.join(state, 'ckpt')!r}",
            path=state,
        )
    parent = place.directory or "."
    if os.path.lexists(parent) and not os.path.isdir(parent):
        raise InvalidArgumentError(
            f"Parent directory of {place.prefix} doesn't exist, can't save. {parent!r} is a file",
            path=parent,
        )
    for path in (state, place.meta_file):
        if path is not None and path != place.prefix:
            _check_no_data(path, place.prefix)
    if place.meta_file == state:
        raise InvalidArgumentError(
            f"the meta graph and the checkpoint state would both be {state!r}; pass another "
            "latest_filename or meta_graph_suffix",
            path=state,
        )


def _check_no_data(path: str, prefix: str) -> None:
    of, kind = strip_suffix(path)
    if of == prefix and kind in {"index", "data"}:
        raise InvalidArgumentError(
            f"{path!r} is the {kind} file of the checkpoint itself; pass another latest_filename "
            "or meta_graph_suffix",
            path=path,
        )
