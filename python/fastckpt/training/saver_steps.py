"""What a Saver does at a save and at a restore, step by step."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any, NamedTuple

from fastckpt.checkpoint.async_save import AsyncSave
from fastckpt.checkpoint.existing import existing_checkpoint
from fastckpt.checkpoint.shared_errors import share
from fastckpt.checkpoint.tensorflow_errors import WrongStateError, WrongTypeError
from fastckpt.errors import CheckpointError, InvalidArgumentError, UnsupportedError
from fastckpt.storage.destination import destination
from fastckpt.storage.replace import replace_file
from fastckpt.training import saver_graph
from fastckpt.training.saver_base import SaverBase, all_targets
from fastckpt.training.saver_graph import Export
from fastckpt.training.saver_job import Job, run_now, start
from fastckpt.training.saver_meta import message_of
from fastckpt.training.saver_naming import Place, choose_place
from fastckpt.training.saver_restore import holds_objects, restore_into
from fastckpt.training.saver_saving import collect, num_files, returned_path
from fastckpt.training.variables import name_targets, restored

__all__ = ["Call", "SaverSteps"]

_Companion = tuple[str, bytes] | None

_log = logging.getLogger("fastckpt")


class Call(NamedTuple):
    """The arguments of one save."""

    session: Any
    save_path: Any
    global_step: Any
    latest_filename: str | None
    meta_graph_suffix: str
    write_meta_graph: bool
    write_state: bool
    how: Export


class SaverSteps(SaverBase):
    """The steps behind the methods of a Saver; whoever calls them holds its lock."""

    def _save(self, call: Call, run: Callable[[Job, Callable[[], object]], Any]) -> Any:
        if not self._is_built:
            raise WrongStateError("`build()` should be called before save if defer_build==True")
        self._warn_of_v1()
        call = call._replace(session=self._session_for(call.session))
        place = choose_place(
            call.save_path,
            call.global_step,
            call.latest_filename,
            call.meta_graph_suffix if call.write_meta_graph else None,
            naming=self._naming,
            session=call.session,
        )
        self._check_session(call.session)
        meta, debug = self._companions(place, call)
        if self._is_empty:
            return self._write_companions(meta, debug)
        if self._leaves_it_to(call.session):
            if run is not run_now:
                raise _cannot_start()
            path = saver_graph.run_save(call.session, self._saver_def, place.prefix)
            self._write_companions(meta, debug)
            self._remember(place, path, call)
            return path
        job = self._job(place, call, meta, debug, share=run is run_now)
        try:
            return run(job, lambda: self._remember(place, job.path, call))
        except CheckpointError as error:
            share(error)
            raise

    def _job(
        self, place: Place, call: Call, meta: _Companion, debug: _Companion, *, share: bool
    ) -> Job:
        named = self._targets()
        count = num_files(named, self._layout)
        path = returned_path(place.prefix, count, self._layout.version)
        if count is None:  # the single file of V1 has the very name
            destination(place.prefix)
        if call.write_state:
            self._check_state(place, path)
        pieces = collect(named, self._layout, call.session, share=share)
        return Job(place.prefix, path, pieces, count, self._layout, meta, debug)

    def _check_state(self, place: Place, path: str) -> None:
        """Raise what would go wrong with the state file once the data is written."""
        self._history.check(place, path)
        if self._layout.version != 2 and path == os.path.join(
            place.directory, place.latest_filename
        ):
            raise InvalidArgumentError(
                f"the checkpoint and the checkpoint state would both be the file {path!r}; pass "
                "another latest_filename",
                path=path,
            )

    def _companions(self, place: Place, call: Call) -> tuple[_Companion, _Companion]:
        """Path and content of the meta graph and of its debug info, where they are wanted."""
        if place.meta_file is None or self._is_eager():
            return None, None
        content, debug = self._meta_content(call.session, call.how)
        if debug is None:
            return (place.meta_file, content), None
        return (place.meta_file, content), (f"{os.path.splitext(place.meta_file)[0]}.debug", debug)

    def _write_companions(self, *companions: _Companion) -> None:
        for companion in companions:
            if companion is not None:
                replace_file(*companion, sync=self._layout.sync)

    def _remember(self, place: Place, path: str, call: Call) -> None:
        if call.write_state:
            if self._saver_def is not None:
                self._history.rule.max_to_keep = self._kept_by_saver_def()
            self._history.record(place, path, self._layout.version, call.meta_graph_suffix)

    def _session_for(self, session: Any) -> Any:
        """Give the session; None for eager variables, with which TensorFlow takes anything."""
        if session is None or self._in_graph():
            return session
        return None if self._is_eager() else session

    def _leaves_it_to(self, session: Any) -> bool:
        """Whether operations of the session's graph save and restore.

        They do too where the variables are in another graph, and this one has operations of the
        same names.
        """
        if not saver_graph.is_session(session):
            return False
        if self._runs_operations or not self._in_graph():
            return self._runs_operations
        groups = {x.group for x in all_targets(self._targets()) if x.group.needs_session}
        return not all(x.is_in(session.graph) for x in groups) and saver_graph.has_operations(
            session.graph, self._saver_def
        )

    def _check_session(self, session: Any) -> None:
        if self._in_graph():
            if not saver_graph.is_session(session):
                raise WrongTypeError(
                    f"'sess' must be a Session; {session!r}. The variables of this Saver are in a "
                    "TensorFlow graph, and have their values in a session"
                )
        elif session is not None and not hasattr(session, "run"):
            raise WrongTypeError(f"'sess' must be a Session, or None; {session!r}")

    def start_unlisted(
        self, session: Any, prefix: str, then: Callable[[str], object]
    ) -> AsyncSave:
        """Begin an asynchronous save without meta graph and state file, for a manager.

        Parameters
        ----------
        session : tf.compat.v1.Session, optional
            As for a save.
        prefix : str
            Of the checkpoint.
        then : callable
            Called in the writing thread once the checkpoint is complete, with what a save returns.
        """
        call = Call(
            session, prefix, None, None, "meta",
            write_meta_graph=False, write_state=False, how=Export(),
        )  # fmt: skip
        return self._start(call, then)

    def _start(self, call: Call, then: Callable[[str], object] | None = None) -> AsyncSave:
        def run(job: Job, remember: Callable[[], object]) -> AsyncSave:
            def finish() -> None:
                remember()
                if then is not None:
                    then(job.path)

            return start(job, finish)

        with self._lock:
            self._settle()
            self.check_can_start()
            pending: AsyncSave = self._save(call, run)
            self._pending = pending
            return pending

    def check_can_start(self) -> None:
        """Raise UnsupportedError where there can be no asynchronous save."""
        if self._is_empty or self._runs_operations:
            raise _cannot_start()

    def _settle(self) -> None:
        """Wait for the asynchronous save, and raise what went wrong unless somebody knows."""
        pending = self._pending
        if pending is not None:
            pending.wait()  # Ctrl-C may come, and leaves it under way
            self._pending = None
            pending.settle()

    def _warn_of_v1(self) -> None:
        if self._layout.version != 2:
            _log.warning(
                "The V1 checkpoint format is deprecated: it takes more memory and time, and holds "
                "fewer types. Saver(write_version=2) writes the format that TensorFlow reads too"
            )

    # --- restoring ----------------------------------------------------------------------------

    def _restore(self, session: Any, save_path: Any, *, strict: bool) -> Any:
        if self._is_empty:
            return None
        if not self._is_built:
            raise WrongStateError("`build()` should be called before restore if defer_build==True")
        self.wait()
        session = self._session_for(session)
        path = existing_checkpoint(save_path, paths=session is None)
        self._check_session(session)
        _log.info("Restoring parameters from %s", path)
        try:
            if self._leaves_it_to(session) and self._restore_by_operations(session, path):
                return None
            return self._restore_values(session, path, strict=strict)
        except CheckpointError as error:
            share(error)
            raise

    def _restore_by_operations(self, session: Any, path: str) -> bool:
        """Let the graph restore; False where the checkpoint is one for names of variables."""
        try:
            saver_graph.run_restore(session, self._saver_def, path)
        except Exception as error:
            if type(error).__name__ == "NotFoundError" and holds_objects(path):
                return False
            raise
        return True

    def _restore_values(self, session: Any, path: str, *, strict: bool) -> Any:
        named = self._targets()
        report, holders = restore_into(
            named,
            path,
            session,
            reshape=self._reshape,
            strict=strict,
            num_threads=self._layout.num_threads,
        )
        if holders:
            self._var_list = restored(self._var_list, holders)
            self._named = name_targets(self._var_list)
        if strict:
            return self._var_list if holders else None
        report.values = self._var_list
        return report

    def _export(self, *, save_debug_info: bool, **options: Any) -> Any:
        options["saver_def"] = self.saver_def
        if self._in_graph() or (self._named is None and saver_graph.is_in_use()):
            return saver_graph.export_default_graph(save_debug_info=save_debug_info, **options)
        from fastckpt.graph.exporting import export_meta_graph

        content, _ = self._meta_content(None, Export())
        return export_meta_graph(graph=message_of(content), **options)


def _cannot_start() -> UnsupportedError:
    return UnsupportedError(
        "save_async needs variables that it can read itself: this Saver has none, or operations "
        "of a graph write for it; call save"
    )
