"""A meta graph: a graph with its saver, collections and signatures, as a ``.meta`` holds it."""

from __future__ import annotations

import functools
import os
from typing import Any

from fastckpt.graph import graph_def as graph_defs
from fastckpt.graph.collections import Collections
from fastckpt.graph.files import is_text, parse_message, read_bytes, serialize
from fastckpt.graph.graph import Graph
from fastckpt.graph.sources import as_message, message_name
from fastckpt.graph.tensorflow_errors import WrongTypeError
from fastckpt.names import strip_suffix
from fastckpt.protos import message_class
from fastckpt.storage import local
from fastckpt.storage.replace import replace_file

__all__ = ["MetaGraph"]


class MetaGraph:
    """What a ``.meta`` file holds.

    Parameters
    ----------
    meta_graph_def : MetaGraphDef
        The message, TensorFlow's own too. One of the private pool is shared.

    Attributes
    ----------
    meta_graph_def : MetaGraphDef
        The message itself. It may be changed; do so before `graph` is asked for.

    Raises
    ------
    WrongTypeError
        Not a MetaGraphDef.

    Notes
    -----
    A meta graph holds no weights: those are in the checkpoint beside it, which
    :func:`fastckpt.graph.import_meta_graph` brings together with it.

    Examples
    --------
    >>> meta = MetaGraph.load("model.ckpt-1000.meta")  # doctest: +SKIP
    >>> meta.graph.get_tensor_by_name("w:0").shape  # doctest: +SKIP
    """

    def __init__(self, meta_graph_def: Any) -> None:
        if message_name(meta_graph_def) != "MetaGraphDef":
            raise WrongTypeError(
                "meta_graph_def must be a MetaGraphDef, but got type "
                f"{type(meta_graph_def).__name__}; MetaGraph.load opens a file"
            )
        self.meta_graph_def = as_message(meta_graph_def)
        self._original: bytes | None = None
        self._path = ""

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> MetaGraph:
        """Open a ``.meta`` file, in binary or in text form.

        Parameters
        ----------
        path : str or PathLike
            The file; its name does not matter.

        Returns
        -------
        MetaGraph

        Raises
        ------
        CheckpointNotFoundError, DataLossError, LimitExceededError, CheckpointIOError
            See :func:`fastckpt.graph.read_message`.
        InvalidArgumentError
            Another kind of file; the message says what to call.

        Notes
        -----
        Costs the file in memory, which `save` writes again, and the message.
        """
        return cls.from_bytes(read_bytes(path), path=local.as_path(path))

    @classmethod
    def from_bytes(cls, data: bytes, *, path: str = "") -> MetaGraph:
        """Parse what a ``.meta`` file holds.

        Parameters
        ----------
        data : bytes
            All of it, in binary or in text form.
        path : str
            What errors name as the source.
        """
        meta_graph = cls(parse_message(data, "MetaGraphDef", path=path))
        meta_graph._original = data
        meta_graph._path = path
        return meta_graph

    def save(
        self, path: str | os.PathLike[str], *, as_text: bool | None = None, sync: bool = True
    ) -> None:
        """Write the meta graph to a file, which appears whole or not at all.

        Parameters
        ----------
        path : str or PathLike
            The file; missing directories are made.
        as_text : bool, optional
            Write text form, or binary; by default the form that was read, else binary.
        sync : bool
            Return when the file is on the device.

        Raises
        ------
        LimitExceededError
            It takes 2 GiB or more.
        CheckpointIOError
            The operating system refused.

        Notes
        -----
        What was not changed since it was read is written as it was read, byte for byte, unless
        another form is asked for. Binary form keeps fields that this package does not know; text
        form cannot.
        """
        replace_file(path, self.to_bytes(as_text=as_text), sync=sync)

    def to_bytes(self, *, as_text: bool | None = None) -> bytes:
        """Give what `save` writes."""
        original = self._original
        was_text = original is not None and is_text(original)
        as_text = was_text if as_text is None else as_text
        if original is not None and was_text == as_text:
            before = parse_message(original, "MetaGraphDef")
            # Messages that hold a NaN are unequal to themselves; their bytes are not.
            if serialize(before) == serialize(self.meta_graph_def):
                return original
        return serialize(self.meta_graph_def, as_text=as_text)

    # --- parts ---------------------------------------------------------------------------------

    @property
    def graph_def(self) -> Any:
        """The GraphDef, part of the message."""
        return self.meta_graph_def.graph_def

    @functools.cached_property
    def graph(self) -> Graph:
        """The graph with its collections, built when it is first asked for.

        Raises
        ------
        InvalidArgumentError
            The graph is broken, see :class:`fastckpt.graph.Graph`.
        """
        return Graph(
            self.graph_def,
            op_list=self.meta_info.stripped_op_list,
            collections=Collections(self.meta_graph_def),
        )

    @property
    def saver_def(self) -> Any:
        """The SaverDef, part of the message; None where there is none."""
        has_saver = self.meta_graph_def.HasField("saver_def")
        return self.meta_graph_def.saver_def if has_saver else None

    @property
    def collections(self) -> dict[str, list[Any]]:
        """All collections by key, decoded, see :meth:`Graph.get_collection`."""
        graph = self.graph
        return {key: graph.get_collection(key) for key in graph.get_all_collection_keys()}

    @property
    def signatures(self) -> dict[str, Any]:
        """SignatureDefs by name, parts of the message."""
        return dict(sorted(self.meta_graph_def.signature_def.items()))

    @property
    def meta_info(self) -> Any:
        """The MetaInfoDef, part of the message: versions, tags, operations used."""
        return self.meta_graph_def.meta_info_def

    @property
    def tags(self) -> list[str]:
        """Tags that tell the meta graphs of a SavedModel apart."""
        return list(self.meta_info.tags)

    @property
    def prefix(self) -> str | None:
        """Prefix of the checkpoint that the file lies beside; None where that is not known."""
        prefix, kind = strip_suffix(self._path)
        return prefix if kind == "meta" else None

    # --- what it computes ----------------------------------------------------------------------

    def run(self, fetches: Any, feed_dict: Any = None, *, checkpoint: Any = None) -> Any:
        """Compute tensors with an engine that is installed; see :func:`fastckpt.graph.run`.

        Parameters
        ----------
        fetches : str, Tensor, or list, tuple or dict of them
            What is to be computed, such as ``"y:0"``.
        feed_dict : mapping, optional
            Tensors or their names -> values.
        checkpoint : Checkpoint, str, PathLike or mapping, optional
            Values of the variables; by default those of the checkpoint beside the file.

        Returns
        -------
        ndarray, or the structure of `fetches` with ndarrays

        Raises
        ------
        CheckpointError
            As :func:`fastckpt.graph.run`.
        """
        from fastckpt.graph.running import run

        return run(self, fetches, feed_dict, checkpoint=checkpoint)

    # --- changed copies ------------------------------------------------------------------------

    def clear_devices(self) -> MetaGraph:
        """Give a copy whose nodes may run on any device."""
        copy = message_class("MetaGraphDef")()
        copy.CopyFrom(self.meta_graph_def)
        copy.graph_def.CopyFrom(graph_defs.clear_devices(self.graph_def))
        return MetaGraph(copy)

    def strip_default_attrs(self) -> MetaGraph:
        """Give a copy without the attributes that say what their operation says anyway."""
        return MetaGraph(graph_defs.strip_default_attrs(self.meta_graph_def))

    def __repr__(self) -> str:
        nodes = len(self.graph_def.node)
        return f"<MetaGraph {nodes} nodes, {len(self.meta_graph_def.collection_def)} collections>"
