"""What a Saver is before it saves: its variables, its settings, its SaverDef."""

# ruff: noqa: FBT001, FBT002 - TensorFlow's signatures

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from fastckpt import protos
from fastckpt.checkpoint.async_save import AsyncSave
from fastckpt.checkpoint.options import check_integer, resolve_num_threads
from fastckpt.errors import InvalidArgumentError, UnsupportedError
from fastckpt.graph.meta_building import SaverSpec
from fastckpt.training import saver_graph, saver_options
from fastckpt.training.history import History
from fastckpt.training.saver_graph import Export, GraphExporter
from fastckpt.training.saver_meta import MetaWriter, message_of, scoped, unscoped
from fastckpt.training.saver_naming import Naming
from fastckpt.training.saver_saving import Layout
from fastckpt.training.variables import Target, name_targets, needs_session

__all__ = ["SaverBase", "all_targets"]

# The fields of a SaverDef that name nodes.
_NODES = ("filename_tensor_name", "save_tensor_name", "restore_op_name")


class SaverBase:
    """The constructor, the settings and the messages of a Saver."""

    def __init__(
        self,
        var_list: Any = None,
        reshape: bool = False,
        sharded: bool = False,
        max_to_keep: int | None = 5,
        keep_checkpoint_every_n_hours: float = 10000.0,
        name: str | None = None,
        restore_sequentially: bool = False,
        saver_def: Any = None,
        builder: Any = None,
        defer_build: bool = False,
        allow_empty: bool = False,
        write_version: int = saver_options.V2,
        pad_step_number: bool = False,
        save_relative_paths: bool = False,
        filename: str | None = None,
        *,
        sync: bool = True,
        num_threads: int | None = None,
        num_shards: int | None = None,
        recover: bool = False,
    ) -> None:
        if defer_build and not saver_options.is_nothing(var_list):
            raise InvalidArgumentError(
                "If `var_list` is provided then build cannot be deferred. Either set "
                "defer_build=False or var_list=None."
            )
        self._lock = threading.RLock()
        self._pending: AsyncSave | None = None
        self._var_list = var_list
        self._named: dict[str, list[Target]] | None = None
        self._is_built = False
        self._is_empty = False
        # Whether operations of the graph write the files: those of an adopted SaverDef, or of a
        # builder that may do anything.
        self._runs_operations = builder is not None
        self._saver_def = saver_def
        self._builder = builder
        self._allow_empty = allow_empty
        self._reshape = bool(reshape)
        self._restore_sequentially = restore_sequentially
        self._filename = filename
        self._spec = SaverSpec(
            saver_options.check_max_to_keep(max_to_keep),
            saver_options.hours_of(keep_checkpoint_every_n_hours),
            bool(sharded),
            saver_options.V2,
            name or "save",
            filename or "model",
        )
        self._name = name
        self._write_version = write_version
        self._naming = Naming(bool(pad_step_number), bool(sharded))
        self._layout = Layout(
            saver_options.V2,
            bool(sharded),
            None if num_shards is None else check_integer("num_shards", num_shards, 1, 1 << 20),
            bool(sync),
            resolve_num_threads(num_threads),
        )
        self._remembering = {"relative": bool(save_relative_paths), "recover": bool(recover)}
        self._history = self._new_history(None)
        self._exporter = GraphExporter()
        self._meta_writer = MetaWriter()
        if not defer_build:
            self.build()

    def build(self) -> None:
        """Take the variables that there are; only with ``defer_build=True`` there is need to."""
        if self._is_built:
            return
        if self._saver_def is not None:
            self._adopt()
        else:
            self._make()
        self._is_built = True
        self._history = self._new_history(self._saver_def)

    def default_session(self) -> Any:
        """TensorFlow's default session where the values are in one, else None."""
        if not self._in_graph():
            return None
        import tensorflow as tf

        return tf.compat.v1.get_default_session()

    def wait(self) -> None:
        """Wait for the asynchronous save that may be under way; nothing is raised."""
        if self._pending is not None:
            self._pending.wait()

    # --- messages -----------------------------------------------------------------------------

    @property
    def saver_def(self) -> Any:
        """The SaverDef, the same object each time; None without variables or before `build`."""
        if self._saver_def is None and self._named:
            data = self._meta_writer.content(self._named, self._spec)
            found = protos.message_class("SaverDef")()
            found.CopyFrom(message_of(data).saver_def)
            self._saver_def = found
        return self._saver_def

    @saver_def.setter
    def saver_def(self, saver_def: Any) -> None:
        self._saver_def = saver_def

    @property
    def write_version(self) -> int:
        """Format of the files that it writes: 2 or 1."""
        return self._layout.version

    def as_saver_def(self) -> Any:
        """Give the SaverDef itself."""
        return self.saver_def

    def to_proto(self, export_scope: str | None = None) -> Any:
        """Give the SaverDef; below `export_scope` a copy without the scope.

        Returns
        -------
        SaverDef or None
            None where not all of its nodes are below the scope.
        """
        saver_def = self.saver_def
        if export_scope is None:
            return saver_def
        if not all(getattr(saver_def, x).startswith(export_scope) for x in _NODES):
            return None
        found = type(saver_def)()
        found.CopyFrom(saver_def)
        for node in _NODES:
            setattr(found, node, unscoped(getattr(found, node), export_scope))
        return found

    @classmethod
    def from_proto(cls, saver_def: Any, import_scope: str | None = None) -> Self:
        """Make a Saver of a SaverDef whose operations are in the graph, below `import_scope`."""
        return cls(saver_def=saver_def, name=import_scope)

    # --- the list -----------------------------------------------------------------------------

    @property
    def last_checkpoints(self) -> list[str]:
        """The checkpoints that are not removed yet, oldest first; a new list."""
        return [x.path for x in self._history.rule.checkpoints]

    def set_last_checkpoints(self, last_checkpoints: list[str]) -> None:
        """Replace the list; what is in it now will never be removed.

        Raises
        ------
        NotAListError
            Something else than a list; a TypeError, and an AssertionError as in TensorFlow.
        """
        self._history.set_paths(last_checkpoints)

    def set_last_checkpoints_with_time(
        self, last_checkpoints_with_time: list[tuple[str, float]]
    ) -> None:
        """Replace the list by paths and the seconds since the epoch when they were saved."""
        self._history.set_with_time(last_checkpoints_with_time)

    def recover_last_checkpoints(self, checkpoint_paths: Iterable[str]) -> None:
        """Replace the list by those of the checkpoints that exist, with the times of their files.

        After a restart, with the paths of a state file: the Saver goes on where the former stopped
        and removes old checkpoints in their turn.
        """
        self._history.set_with_time(self._history.find(checkpoint_paths))

    # --- helpers ------------------------------------------------------------------------------

    def _make(self) -> None:
        named = {} if _is_empty_container(self._var_list) else name_targets(self._var_list)
        if not named:
            if not self._allow_empty:
                raise InvalidArgumentError(
                    "No variables to save: pass a var_list, make a fastckpt.Variable before the "
                    "Saver, or say allow_empty=True"
                )
            self._is_empty = True
            return
        self._set_version(saver_options.check_version(self._write_version))
        self._named = named
        targets = all_targets(named)
        if needs_session(targets):
            self._saver_def = self._tensorflow_saver_def(targets)
            self._runs_operations |= saver_options.are_opaque(targets)
        elif self._builder is not None:
            raise UnsupportedError(
                "a builder makes operations of a TensorFlow graph, and none of these variables "
                "is in one"
            )

    def _adopt(self) -> None:
        saver_def = self._saver_def
        if self._name:
            for node in _NODES:
                setattr(saver_def, node, scoped(getattr(saver_def, node), self._name))
        saver_options.check_saver_def(saver_def)
        self._runs_operations = True
        # Other versions are those of proto2's default, of which no writer is left.
        self._set_version(1 if saver_def.version == 1 else 2)

    def _set_version(self, version: int) -> None:
        self._spec = self._spec._replace(version=version)
        self._layout = self._layout._replace(version=version)

    def _tensorflow_saver_def(self, targets: Sequence[Target]) -> Any:
        var_list = self._var_list
        if not all(target.group.needs_session for target in targets):
            var_list = _of_graph(self._named or {})
        return saver_graph.make_saver_def(
            var_list,
            reshape=self._reshape,
            sharded=self._spec.sharded,
            max_to_keep=self._spec.max_to_keep,
            keep_checkpoint_every_n_hours=self._spec.keep_checkpoint_every_n_hours,
            name=self._name,
            restore_sequentially=self._restore_sequentially,
            builder=self._builder,
            write_version=self._spec.version,
            filename=self._filename,
        )

    def _new_history(self, saver_def: Any) -> History:
        kept, hours = self._spec.max_to_keep, self._spec.keep_checkpoint_every_n_hours
        if saver_def is not None:
            kept = saver_options.kept_by(saver_def)
            hours = saver_def.keep_checkpoint_every_n_hours
        return History(kept or 0, hours, sync=self._layout.sync, **self._remembering)

    def _targets(self) -> dict[str, list[Target]]:
        """The variables; of an adopted SaverDef they are looked for when they are needed."""
        if self._named is None:
            self._named = name_targets(self._var_list)
        return self._named

    def _in_graph(self) -> bool:
        """Whether the values are in a session of TensorFlow."""
        return self._named is not None and needs_session(all_targets(self._named))

    def _is_eager(self) -> bool:
        """Whether these are eager variables of TensorFlow, which has no meta graph for them."""
        return self._named is not None and any(
            type(x.origin).__module__.partition(".")[0] in {"tensorflow", "keras"}
            and not x.group.needs_session
            for x in all_targets(self._named)
        )

    def _kept_by_saver_def(self) -> int:
        return saver_options.kept_by(self._saver_def)

    def _meta_content(self, session: Any, how: Export) -> tuple[bytes, bytes | None]:
        """The serialised MetaGraphDef of a save, and its debug info."""
        # A session says that a graph is in use, unless the variables say otherwise.
        if saver_graph.is_session(session) and (not self._named or self._in_graph()):
            return self._exporter.content(session, self._saver_def, how)
        return self._meta_writer.content(self._named or {}, self._spec), None


def all_targets(named: Mapping[str, Sequence[Target]]) -> list[Target]:
    """Give the targets of all keys, in one list."""
    return [target for targets in named.values() for target in targets]


def _is_empty_container(var_list: object) -> bool:
    return var_list is not None and saver_options.is_nothing(var_list)


def _of_graph(named: Mapping[str, Sequence[Target]]) -> dict[str, Any]:
    """The graph variables among others, as TensorFlow takes them."""
    return {
        key: targets[0].origin if len(targets) == 1 else [x.origin for x in targets]
        for key, targets in named.items()
        if targets[0].group.needs_session
    }
