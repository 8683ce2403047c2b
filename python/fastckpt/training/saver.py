"""``Saver``: TensorFlow's names, arguments and rhythm, for whatever holds numbers."""

# ruff: noqa: FBT001, FBT002 - TensorFlow's signatures

from __future__ import annotations

import os
from typing import Any

from fastckpt.checkpoint.async_save import AsyncSave
from fastckpt.checkpoint.tensorflow_errors import WrongTypeError
from fastckpt.training import saver_job
from fastckpt.training.saver_graph import Export
from fastckpt.training.saver_steps import Call, SaverSteps

__all__ = ["Saver"]

_UNSET: Any = object()


class Saver(SaverSteps):
    """Save variables under numbered names, keep the last few checkpoints, restore them.

    Parameters
    ----------
    var_list : dict, list, module, pytree or None
        What is saved. A dict gives the names in the checkpoint; a list stores each variable under
        its own name. NumPy arrays (restored in place), ``fastckpt.Variable``, torch tensors and
        modules, JAX arrays, ``tf.Variable`` with or without a session. None: every
        ``fastckpt.Variable`` of the default collection, or the variables of TensorFlow's default
        graph where one is in use, as they are now.
    reshape : bool
        Restore tensors of another shape with as many elements.
    sharded : bool
        One data file for each device of the variables.
    max_to_keep : int or None
        Checkpoints that are kept; older ones are removed. None or 0: all are, and the state file
        lists the last one.
    keep_checkpoint_every_n_hours : float
        Of those that would be removed, one is spared every so many hours.
    name : str, optional
        Scope of the nodes in the meta graph, ``"save"`` by default.
    restore_sequentially : bool
        Accepted and of no effect, as in TensorFlow.
    saver_def : SaverDef, optional
        Take the settings from it; with a session, its operations do the work.
    builder : object, optional
        TensorFlow's builder of other operations, for graph variables.
    defer_build : bool
        Look for variables at :meth:`build` instead of now.
    allow_empty : bool
        Without variables, do nothing instead of raising.
    write_version : int
        2, or 1 for single files of the old format.
    pad_step_number : bool
        Write steps with eight digits.
    save_relative_paths : bool
        Write paths to the state file that stay right when the directory is moved.
    filename : str, optional
        Prefix that the operations in the meta graph take where none is fed.
    sync : bool
        Return from a save when all of it is on the device.
    num_threads : int, optional
        Threads; None: the CPUs of this process, at most 8, or ``FASTCKPT_NUM_THREADS``.
    num_shards : int, optional
        Data files, of about the same size; None: one, or one for each device with `sharded`.
    recover : bool
        Take over the checkpoints that a state file lists, which may then be removed in their turn.
        Otherwise a new Saver forgets them, as TensorFlow's does.

    Raises
    ------
    InvalidArgumentError
        No variables; two of one name; a wrong option. A ValueError.
    WrongTypeError
        Something that is no variable or no option; a TypeError.

    Notes
    -----
    A save writes the data, the meta graph and the index, then the state file, and removes what is
    too old last: whenever it is cut off, the state file names a complete checkpoint. Readers see
    each checkpoint whole or not at all.

    Examples
    --------
    >>> saver = fastckpt.Saver({"w": w, "b": b}, max_to_keep=4)     # doctest: +SKIP
    >>> for epoch in range(30):                                     # doctest: +SKIP
    ...     train(w, b)
    ...     saver.save("model/my-model", global_step=epoch)
    >>> saver.restore(fastckpt.latest_checkpoint("model"))          # doctest: +SKIP
    """

    def save(
        self,
        sess: Any = None,
        save_path: Any = None,
        global_step: Any = None,
        latest_filename: str | None = None,
        meta_graph_suffix: str = "meta",
        write_meta_graph: bool = True,
        write_state: bool = True,
        strip_default_attrs: bool = False,
        save_debug_info: bool = False,
    ) -> str | None:
        """Save the variables: ``save(sess, path, …)``, or ``save(path, …)`` without a session.

        Parameters
        ----------
        sess : tf.compat.v1.Session, optional
            Where graph variables have their values; None where there are none.
        save_path : str or bytes, without a session PathLike too
            Directory and base name. Missing directories are made.
        global_step : int, or what holds one
            Appended to the name. A tensor of the session's graph or its name will do.
        latest_filename : str, optional
            Name of the state file in the same directory; ``"checkpoint"`` by default.
        meta_graph_suffix : str
            Suffix of the meta graph.
        write_meta_graph, write_state : bool
            Whether to write it, and the state file. Without the latter the checkpoint is not
            counted, and never removed.
        strip_default_attrs, save_debug_info : bool
            How the graph of a session is exported.

        Returns
        -------
        str or None
            The prefix, for :meth:`restore`; of several V1 files their pattern. None for a Saver
            without variables.

        Raises
        ------
        InvalidArgumentError, WrongTypeError
            A wrong path, name or step, before anything is written.
        CheckpointBusyError
            Another live writer owns this prefix.
        CheckpointIOError
            The operating system refused; what was there before is intact.
        """
        call = Call(
            *_shifted(sess, save_path, global_step),
            latest_filename,
            meta_graph_suffix,
            bool(write_meta_graph),
            bool(write_state),
            Export(bool(strip_default_attrs), bool(save_debug_info)),
        )
        with self._lock:
            self._settle()
            path: str | None = self._save(call, saver_job.run_now)
            return path

    def save_async(
        self,
        sess: Any = None,
        save_path: Any = None,
        global_step: Any = None,
        latest_filename: str | None = None,
        meta_graph_suffix: str = "meta",
        write_meta_graph: bool = True,
        write_state: bool = True,
        strip_default_attrs: bool = False,
        save_debug_info: bool = False,
    ) -> AsyncSave:
        """Save, and return as soon as the variables may change again.

        Parameters
        ----------
        sess, save_path, global_step, latest_filename, meta_graph_suffix, write_meta_graph, \
write_state, strip_default_attrs, save_debug_info
            As in :meth:`save`.

        Returns
        -------
        AsyncSave
            Call ``result()``, or the next save will raise what went wrong.

        Notes
        -----
        The state file is written, and old checkpoints are removed, once the data is complete. One
        save is under way at a time: the next one waits for it. Costs one copy of the data, into
        memory that is kept for the next save.
        """
        call = Call(
            *_shifted(sess, save_path, global_step),
            latest_filename,
            meta_graph_suffix,
            bool(write_meta_graph),
            bool(write_state),
            Export(bool(strip_default_attrs), bool(save_debug_info)),
        )
        return self._start(call)

    def restore(self, sess: Any = None, save_path: Any = _UNSET, *, strict: bool = True) -> Any:
        """Restore the variables: ``restore(sess, path)``, or ``restore(path)`` without a session.

        Parameters
        ----------
        sess : tf.compat.v1.Session, optional
            Where graph variables have their values; None where there are none.
        save_path : str or bytes, without a session PathLike too
            What a save or ``latest_checkpoint`` returned. V1 and V2, whole and partitioned
            tensors, checkpoints of ``tf.train.Checkpoint`` by the names its variables had.
        strict : bool
            Raise unless everything can be restored. Otherwise restore what fits, and say what was
            left in the log and in the result.

        Returns
        -------
        None, RestoreReport or object
            None. With ``strict=False`` the report. Where values are immutable, as JAX arrays are,
            the `var_list` with new ones in their place.

        Raises
        ------
        InvalidArgumentError
            None for a path; stored tensors of another shape or dtype.
        CheckpointNotFoundError
            No such checkpoint, or one of its shards is missing; a ValueError.
        TensorNotFoundError
            Variables that the checkpoint has not. One message names all that is missing, with near
            names, and all that does not fit.
        DataLossError
            Damaged bytes.

        Notes
        -----
        Whatever is raised, nothing was assigned: every value is read and verified before.
        Variables need no values before; those of other Savers keep theirs.
        """
        session, path = _shifted_path(sess, save_path)
        with self._lock:
            return self._restore(session, path, strict=strict)

    def export_meta_graph(
        self,
        filename: str | None = None,
        collection_list: list[str] | None = None,
        as_text: bool = False,
        export_scope: str | None = None,
        clear_devices: bool = False,
        clear_extraneous_savers: bool = False,
        strip_default_attrs: bool = False,
        save_debug_info: bool = False,
    ) -> Any:
        """Give the MetaGraphDef that saves write, and write it to a file.

        Parameters
        ----------
        filename : str, optional
            The ``.meta``; missing directories are made. Without, nothing is written.
        collection_list, as_text, export_scope, clear_devices, clear_extraneous_savers, \
strip_default_attrs, save_debug_info
            As for :func:`fastckpt.export_meta_graph`; the last one for graph variables alone.

        Returns
        -------
        MetaGraphDef
            TensorFlow's own message of its default graph, where the variables are in one.
        """
        return self._export(
            save_debug_info=save_debug_info,
            filename=filename,
            collection_list=collection_list,
            as_text=as_text,
            export_scope=export_scope,
            clear_devices=clear_devices,
            clear_extraneous_savers=clear_extraneous_savers,
            strip_default_attrs=strip_default_attrs,
        )


def _shifted(sess: Any, save_path: Any, global_step: Any) -> tuple[Any, Any, Any]:
    """Give session, path and step, whether or not a session came first."""
    if not _is_path(sess):
        return sess, save_path, global_step
    if save_path is not None and global_step is not None:
        raise WrongTypeError(
            f"save({sess!r}, {save_path!r}, {global_step!r}): the first argument is a path, so "
            "that the second is the global step; pass the others by their names"
        )
    return None, sess, global_step if save_path is None else save_path


def _shifted_path(sess: Any, save_path: Any) -> tuple[Any, Any]:
    if save_path is not _UNSET:
        if _is_path(sess):
            raise WrongTypeError(f"'sess' must be a Session; {sess!r} is a path")
        return sess, save_path
    return (None, sess) if _is_path(sess) else (sess, None)


def _is_path(value: object) -> bool:
    return isinstance(value, str | bytes | os.PathLike)
