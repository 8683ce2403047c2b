"""SavedModels: a directory with graphs, the values of their variables, and files they need."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from fastckpt.checkpoint import Checkpoint, open_checkpoint
from fastckpt.graph.freeze_sources import chosen_meta_graph
from fastckpt.graph.meta_graph import MetaGraph
from fastckpt.graph.saved_model_reading import asset_files, find_model, init_op, read_fingerprint
from fastckpt.graph.saved_model_signatures import Signature, decode_signatures
from fastckpt.graph.saved_model_writing import export_saved_model
from fastckpt.names import index_file
from fastckpt.storage import local

__all__ = ["SavedModel"]

Tags = str | Iterable[str]


class SavedModel:
    """A SavedModel of TensorFlow 1 or 2, opened for reading; made by :meth:`load`.

    Attributes
    ----------
    path : str
        Its directory.
    saved_model_def : SavedModel message
        What ``saved_model.pb`` holds; not to be changed.

    Notes
    -----
    Where a method takes `tags`, None means the only meta graph, or the one tagged ``serve`` alone.
    It is a context manager, which closes `variables`.

    Examples
    --------
    >>> with SavedModel.load("export/1554227547") as model:  # doctest: +SKIP
    ...     print(model.signatures["serving_default"].inputs)
    ...     kernel = model.variables["dense/kernel"]
    """

    def __init__(self, path: str, saved_model_def: Any) -> None:
        self.path = path
        self.saved_model_def = saved_model_def

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> Self:
        """Open a SavedModel.

        Parameters
        ----------
        directory : str or PathLike
            Its directory, or the file ``saved_model.pb`` or ``saved_model.pbtxt`` in it. Of a
            directory with versions, whose names are numbers, the highest is opened.

        Returns
        -------
        SavedModel

        Raises
        ------
        CheckpointNotFoundError
            No SavedModel there; the message says what is there instead. An OSError too.
        ChunkedModelError
            A SavedModel in chunks (``saved_model.cpb``); an UnsupportedError and an OSError.
        InvalidArgumentError, DataLossError, LimitExceededError
            The file is something else, damaged, or too large.
        CheckpointIOError
            The operating system refused.

        Notes
        -----
        Costs the file in memory and the message; variables are opened when they are asked for.
        """
        return cls(*find_model(directory))

    @staticmethod
    def export(
        directory: str | os.PathLike[str],
        meta_graph: Any,
        checkpoint: Any = None,
        *,
        tags: Tags | None = None,
        signatures: Mapping[str, Any] | None = None,
        assets: Mapping[str, str | os.PathLike[str]] | None = None,
        init_op: Any = None,
        overwrite: bool = False,
        as_text: bool = False,
        num_shards: int | None = None,
        sync: bool = True,
    ) -> str:
        """Write a SavedModel that TensorFlow loads, in versions 1 and 2.

        Parameters
        ----------
        directory : str or PathLike
            Absent or empty; missing parents are made.
        meta_graph : MetaGraph, MetaGraphDef, graph, SavedModel, str or PathLike
            The graph, with its saver, collections and signatures. A path is that of a ``.meta``
            or of another file with a graph, the prefix that has a ``.meta``, or a SavedModel. A
            graph without variables needs no saver.
        checkpoint : str, PathLike, Checkpoint or mapping of str to array-like, optional
            Values of the variables: a path that :func:`fastckpt.open` takes, an open checkpoint,
            or arrays by key or by name of variable. By default those that belong to
            `meta_graph`, where it is a path or has been restored.
        tags : str or iterable of str, optional
            Tags of the meta graph; in one str, commas stand between them. By default those that
            it has, or ``serve``.
        signatures : mapping, optional
            Signatures to add or to replace, such as ``{"serving_default": {"inputs": {"x":
            "x:0"}, "outputs": {"y": "y:0"}}}``; dtypes and shapes come from the graph.
            SignatureDefs are taken as they are.
        assets : mapping of str to path, optional
            Files to copy, by the name of the string tensor that loaders feed with the path; or by
            the file name of an asset that the meta graph lists.
        init_op : str or Operation, optional
            What loaders run after restoring. Those of `meta_graph` (``saved_model_main_op``,
            ``legacy_init_op`` and the signature for it) are kept.
        overwrite : bool
            Write into a directory that holds something. A SavedModel that is there is replaced.
        as_text : bool
            Write ``saved_model.pbtxt``.
        num_shards, sync : optional
            As in :func:`fastckpt.save`, for the variables.

        Returns
        -------
        str
            The directory.

        Raises
        ------
        NotEmptyError
            The directory holds something; an AssertionError too, as TensorFlow has it.
        TensorNotFoundError
            The checkpoint lacks what the graph restores; the message lists it.
        InvalidArgumentError
            A variable has another shape or dtype than its value; a signature, an asset or the
            `init_op` names what the graph has not; the graph has variables and no checkpoint was
            given, or no saver.
        WrongTypeError
            An argument of another form.
        CheckpointNotFoundError, DataLossError, CheckpointIOError
            As opening the checkpoint, reading it and writing raise.

        Notes
        -----
        Everything is checked before anything is written. Variables come first, then assets, and
        ``saved_model.pb`` last, at one stroke: a directory where it is missing is no SavedModel.
        Only what the graph restores is written. Without a signature the model can be loaded, and
        called by the names of tensors.
        """
        return export_saved_model(
            directory, meta_graph, checkpoint, tags=tags, signatures=signatures, assets=assets,
            init_op=init_op, overwrite=overwrite, as_text=as_text, num_shards=num_shards,
            sync=sync,
        )  # fmt: skip

    # --- meta graphs ---------------------------------------------------------------------------

    @property
    def meta_graphs(self) -> list[Any]:
        """The MetaGraphDefs, parts of the message."""
        return list(self.saved_model_def.meta_graphs)

    @property
    def tags(self) -> list[list[str]]:
        """The tags of each meta graph, sorted."""
        return [sorted(message.meta_info_def.tags) for message in self.meta_graphs]

    def meta_graph(self, tags: Tags | None = None) -> MetaGraph:
        """Give one meta graph.

        Parameters
        ----------
        tags : str or iterable of str, optional
            All of its tags, in any order.

        Raises
        ------
        NoMetaGraphError
            There is none with exactly these tags, or several without them; a RuntimeError too,
            as TensorFlow has it. The message lists the tags there are.
        """
        return MetaGraph(self._chosen(tags))

    @property
    def signatures(self) -> dict[str, Signature]:
        """Signatures of the default meta graph by name, see `signatures_of`."""
        return self.signatures_of()

    def signatures_of(self, tags: Tags | None = None) -> dict[str, Signature]:
        """Give the signatures of one meta graph by name, without those that name an operation."""
        return decode_signatures(self._chosen(tags))

    @property
    def assets(self) -> dict[str, str]:
        """Paths of the assets of the default meta graph, see `assets_of`."""
        return self.assets_of()

    def assets_of(self, tags: Tags | None = None) -> dict[str, str]:
        """Give the paths of assets by the names of the tensors that loaders feed with them."""
        return asset_files(self.path, self._chosen(tags))

    def init_op_of(self, tags: Tags | None = None) -> str | None:
        """Name of the operation that loaders run after restoring; None where there is none."""
        return init_op(self._chosen(tags))

    # --- values --------------------------------------------------------------------------------

    @functools.cached_property
    def variables(self) -> Checkpoint:
        """The values of the variables, by key.

        Raises
        ------
        CheckpointNotFoundError
            The model has no variables, or their files are missing.
        DataLossError
            Their index is damaged.
        """
        prefix = local.variables_prefix(self.path)
        there = local.file_size(index_file(prefix)) is not None
        # Of a directory without variables, the checkpoint's own search says what is missing.
        return open_checkpoint(prefix if there else self.path)

    @property
    def has_variables(self) -> bool:
        """Whether there are files of variables."""
        return local.checkpoint_exists(local.variables_prefix(self.path))

    @property
    def fingerprint(self) -> Any:
        """The FingerprintDef that TensorFlow 2 writes beside the model; None where it is not."""
        return read_fingerprint(self.path)

    def close(self) -> None:
        """Close the variables; views of them stay valid."""
        opened = self.__dict__.pop("variables", None)
        if opened is not None:
            opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<SavedModel {self.path!r}, tags {self.tags}>"

    def _chosen(self, tags: Tags | None) -> Any:
        return chosen_meta_graph(self.meta_graphs, tags)
