"""``tf.train.Checkpoint`` without TensorFlow."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastckpt.checkpoint.existing import existing_checkpoint
from fastckpt.checkpoint.opening import open_checkpoint
from fastckpt.checkpoint.reader import Checkpoint
from fastckpt.checkpoint.tensorflow_errors import as_text
from fastckpt.checkpoint.writer import save
from fastckpt.errors import CheckpointNotFoundError, DataLossError, InvalidArgumentError
from fastckpt.graph.objects_message import OBJECT_GRAPH_KEY
from fastckpt.graph.objects_saving import object_tensors
from fastckpt.storage.destination import destination
from fastckpt.storage.locate import locate
from fastckpt.training.objects.restoration import Restoration, assign_variables
from fastckpt.training.objects.states import reachable, state_of
from fastckpt.training.objects.status import InitializationOnlyStatus, LoadStatus, NameBasedStatus
from fastckpt.training.objects.tracking import (
    Dependencies,
    Tracked,
    dependencies_of,
    own_dependencies,
)
from fastckpt.training.state_writing import update_checkpoint_state_internal
from fastckpt.training.variables import assign_values
from fastckpt.training.variables.mistakes import in_short

__all__ = ["ObjectCheckpoint", "Status", "count_save"]

Status = LoadStatus | NameBasedStatus | InitializationOnlyStatus

_log = logging.getLogger("fastckpt")


class ObjectCheckpoint(Tracked):
    """Save and restore objects by their places, as ``tf.train.Checkpoint`` does.

    Parameters
    ----------
    root : Module or variable, optional
        What all names start from; its children are stored without a name in front.
    **objects : object
        Variables (what a Saver can restore in place: NumPy arrays, ``fastckpt.Variable``, tensors
        of torch), modules, other checkpoints, and dicts, lists and tuples of them at any depth.
        They become attributes; attributes that are set later are tracked too.

    Raises
    ------
    InvalidArgumentError
        Something else; a name that `root` has already; a ValueError.

    Notes
    -----
    Files go both ways: what is saved here, a ``tf.train.Checkpoint`` of the same names restores,
    and the other way round. Values of a restore are assigned at once, and those of objects that
    are tracked later at that time. Plain dicts and lists are copied into tracked ones; change
    those, by the attribute.

    Examples
    --------
    >>> checkpoint = ObjectCheckpoint(model={"w": w, "b": b}, step=step)   # doctest: +SKIP
    >>> path = checkpoint.save("run/ckpt")                                 # doctest: +SKIP
    >>> checkpoint.restore(path).assert_consumed()                         # doctest: +SKIP
    """

    _root: Any
    _counter: Any
    # Children of the root that are not its own; of no use without one.
    _attached: dict[str, Any]

    def __init__(self, root: Any = None, **objects: Any) -> None:
        # Past the tracking of attributes: these are no children.
        hidden = vars(self)
        hidden["_counter"] = None
        hidden["_root"] = root
        hidden["_attached"] = {}
        if root is not None:
            self._check_trackable("root", root)
            objects["root"] = root
            hidden["_counter"] = _children(root).get("save_counter")
        for name, value in sorted(objects.items()):
            setattr(self, name, value)
            child = self._own.children.get(name)
            if child is None:
                raise _not_trackable(name, value)
            if root is not None:
                self._attach(name, child)

    @property
    def save_counter(self) -> Any:
        """The variable that counts saves; it is saved with the rest."""
        if self._counter is None:
            counter = self._rules.new_counter()
            vars(self)["_counter"] = counter
            if self._root is None:
                self._own.track("save_counter", counter)
            else:
                self._attached["save_counter"] = counter
                awaiting = dependencies_of(self._root)
                if awaiting is not None:
                    awaiting.settle("save_counter", counter)
        return self._counter

    def save(
        self,
        file_prefix: str | os.PathLike[str],
        options: Any = None,
        *,
        session: Any = None,
        **layout: Any,
    ) -> str:
        """Save as ``file_prefix-1``, ``-2`` … and write the state file of the directory.

        Parameters
        ----------
        file_prefix : str or PathLike
            Directory and base name. Missing directories are made.
        options, session : object, optional
            Accepted, as by TensorFlow; nothing depends on them.
        **layout
            ``num_shards`` (one by default, as in TensorFlow), ``sync``, ``num_threads``,
            ``alignment``, ``block_crcs``, as of :func:`fastckpt.save`.

        Returns
        -------
        str
            The prefix with the number.

        Raises
        ------
        InvalidArgumentError
            A list or a dict that was changed so that it cannot be restored; a key that is no str.
        CheckpointError
            As :func:`fastckpt.save`; the counter keeps its value then.
        """
        prefix = as_text(file_prefix, "file_prefix", paths=True)
        number = count_save(self)
        try:
            path = self.write(f"{prefix}-{number}", options, session=session, **layout)
        except BaseException:
            self._set_counter(number - 1)
            raise
        update_checkpoint_state_internal(
            os.path.dirname(path), path, [path], save_relative_paths=True
        )
        return path

    def write(
        self,
        file_prefix: str | os.PathLike[str],
        options: Any = None,  # noqa: ARG002
        *,
        session: Any = None,  # noqa: ARG002
        **layout: Any,
    ) -> str:
        """Save under the very name: nothing is counted, and there is no state file.

        Parameters
        ----------
        file_prefix, options, session, **layout
            As of :meth:`save`.

        Returns
        -------
        str
            The prefix.
        """
        prefix = destination(as_text(file_prefix, "file_prefix", paths=True))
        state = state_of(self._start, self._attached, self._rules)
        layout.setdefault("num_shards", 1)
        save(prefix, object_tensors(state), **layout)
        return prefix

    def restore(self, save_path: Any, options: Any = None) -> Status:
        """Restore what :meth:`save` wrote, and go on counting from there.

        Parameters
        ----------
        save_path : str, PathLike or None
            A prefix, or the directory of a SavedModel. None restores nothing.
        options : object, optional
            Accepted, as by TensorFlow.

        Returns
        -------
        LoadStatus, NameBasedStatus or InitializationOnlyStatus
            Asks whether everything matched. What a name-based Saver wrote is restored by the names
            of variables.

        Raises
        ------
        CheckpointNotFoundError
            Nothing is there.
        InvalidArgumentError
            A stored tensor of another shape or type; nothing was assigned.
        DataLossError
            Damaged, or a directory.
        """
        if save_path is not None:
            save_path = _existing(save_path)
        status = self.read(save_path, options)
        _ = self.save_counter  # takes its stored value when it is made
        return status

    def read(self, save_path: Any, options: Any = None) -> Status:  # noqa: ARG002
        """Restore what :meth:`write` wrote: no counter is expected.

        Parameters
        ----------
        save_path, options
            As of :meth:`restore`; a SavedModel is none.

        Returns
        -------
        LoadStatus, NameBasedStatus or InitializationOnlyStatus
            As of :meth:`restore`.
        """
        if save_path is None:
            return InitializationOnlyStatus()
        checkpoint = open_checkpoint(existing_checkpoint(save_path))
        if OBJECT_GRAPH_KEY not in checkpoint:
            return self._read_by_names(checkpoint)
        restoration = Restoration(checkpoint, self._rules)
        restoration.restore(self._start, self._attached)
        return self._status(restoration)

    def sync(self) -> None:
        """Do nothing: saves are complete when they return."""

    # --- helpers ------------------------------------------------------------------------------

    @property
    def _own(self) -> Dependencies:
        return own_dependencies(self)

    @property
    def _start(self) -> Any:
        return self if self._root is None else self._root

    def _status(self, restoration: Restoration) -> Status:
        return LoadStatus(restoration, self._objects)

    def _objects(self) -> list[Any]:
        return [value for value, _ in reachable(self._start, self._attached)]

    def _read_by_names(self, checkpoint: Checkpoint) -> NameBasedStatus:
        _log.warning(
            "%r was written by a name-based Saver; variables are restored by their names. Save it "
            "again with this object to have it by places",
            checkpoint.prefix,
        )
        found: dict[str, Any] = {}
        left = []
        for variable in filter(self._rules.is_variable, self._objects()):
            name = self._rules.full_name(variable)
            if name is not None and name in checkpoint:
                found[name] = variable
            elif variable is not self._counter:
                left.append(variable)
        assign_variables(checkpoint, found, self._rules)
        return NameBasedStatus(left)

    def _set_counter(self, number: int) -> None:
        target = self._rules.target(self.save_counter)
        assign_values([(target, np.asarray(number, target.dtype))])
        self._rules.is_set(self.save_counter)

    def _check_trackable(self, name: str, value: Any) -> None:
        if not isinstance(value, Tracked) and not self._rules.is_variable(value):
            raise _not_trackable(name, value)

    def _attach(self, name: str, child: Any) -> None:
        known = _children(self._root).get(name)
        if known is None:
            self._attached[name] = child
        elif known is not child:
            raise InvalidArgumentError(
                f"Cannot create a Checkpoint with keyword argument {name} if root.{name} already "
                "exists."
            )


def count_save(checkpoint: ObjectCheckpoint) -> int:
    """Count one more save, and give its number."""
    ((value, _),) = checkpoint._rules.read([checkpoint.save_counter])  # noqa: SLF001
    number = int(value) + 1
    checkpoint._set_counter(number)  # noqa: SLF001
    return number


def _children(value: Any) -> Mapping[Any, Any]:
    dependencies = dependencies_of(value)
    return {} if dependencies is None else dependencies.children


def _not_trackable(name: str, value: Any) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"`Checkpoint` was expecting {name} to be a trackable object (an object derived from "
        f"`Trackable`), got {in_short(value)}. Variables, modules, and dicts, lists and tuples of "
        "them are"
    )


def _existing(save_path: Any) -> str:
    """Give the prefix of a checkpoint or of a SavedModel."""
    path = as_text(save_path, "save_path", paths=True)
    try:
        if os.path.isdir(path) and locate(path).origin == "saved_model":
            return os.path.join(path, "variables", "variables")
        return existing_checkpoint(path)
    except (CheckpointNotFoundError, DataLossError) as error:
        if isinstance(error, DataLossError):
            raise
        raise CheckpointNotFoundError(
            f"Error when restoring from checkpoint or SavedModel at {path}: {error}\nPlease "
            "double-check that the path is correct. You may be missing the checkpoint suffix "
            "(e.g. the '-1' in 'path/to/ckpt-1').",
            path=path,
        ) from error
