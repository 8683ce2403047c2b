"""From one format to another: bit by bit, in pieces, or not at all."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from fastckpt.checkpoint.options import resolve_num_threads
from fastckpt.checkpoint.reader import Checkpoint
from fastckpt.errors import InvalidArgumentError, UnsupportedError
from fastckpt.progress import ProgressLike, reporter
from fastckpt.storage import local
from fastckpt.storage.destination import destination as check_prefix
from fastckpt.tools.convert import checkpoint as checkpoints
from fastckpt.tools.convert import npz, safetensors
from fastckpt.tools.convert.tensors import Refused, Source, Tensor
from fastckpt.tools.object_graph import OBJECT_GRAPH
from fastckpt.tools.patterns import choose_names
from fastckpt.tools.rewriting import num_data_files, rewrite

__all__ = ["FORMATS", "Conversion", "convert", "format_of"]

Format = Literal["checkpoint", "safetensors", "npz"]
FORMATS: tuple[Format, ...] = ("checkpoint", "safetensors", "npz")

Path = str | os.PathLike[str]

# Endings by which nobody means the prefix of a checkpoint.
_OTHER_ENDINGS = frozenset(
    {".gguf", ".h5", ".hdf5", ".keras", ".npy", ".onnx", ".pb", ".pt", ".pth", ".tflite"}
)

# How many tensors a message lists.
_MAX_LISTED = 10


@dataclass(frozen=True, slots=True)
class Conversion:
    """What :func:`convert` did, or would do.

    Attributes
    ----------
    source, destination : str
        Paths; the prefix of a checkpoint.
    source_format, format : str
        ``"checkpoint"``, ``"safetensors"`` or ``"npz"``.
    tensors, nbytes : int
        Tensors that were converted, and the bytes of their elements.
    skipped : tuple of Refused
        Tensors that were left out, each with its name and the reason.
    notes : tuple of str
        What else to know.
    """

    source: str
    destination: str
    source_format: str
    format: str
    tensors: int
    nbytes: int
    skipped: tuple[Refused, ...] = ()
    notes: tuple[str, ...] = field(default=())


def convert(
    source: Path,
    destination: Path,
    *,
    to: Format | None = None,
    patterns: str | Sequence[str] | None = None,
    skip_unsupported: bool = False,
    as_bytes: bool = False,
    metadata: Mapping[str, str] | None = None,
    dry_run: bool = False,
    num_shards: int | None = None,
    sync: bool = True,
    num_threads: int | None = None,
    progress: ProgressLike = None,
) -> Conversion:
    """Convert a checkpoint to safetensors or npz, or one of these to a checkpoint.

    Parameters
    ----------
    source : str or PathLike
        A ``.safetensors`` or ``.npz`` file, told by its content, or what :func:`fastckpt.open`
        takes.
    destination : str or PathLike
        The file, or the prefix of the checkpoint. What is there is replaced at one stroke once the
        result is complete; it may be the source.
    to : {"checkpoint", "safetensors", "npz"}, optional
        The target's format; None goes by the ending of `destination`, and refuses those that
        files of other programs have, such as ``.pt`` and ``.h5``.
    patterns : str or sequence of str, optional
        The tensors to convert, as in :func:`fastckpt.tools.surgery.keep`; None means all.
    skip_unsupported : bool
        Leave out what the target cannot hold. Otherwise that is an error which names it.
    as_bytes : bool
        For npz: store types that NumPy lacks (bfloat16, the float8, float4 and sub-byte types) as
        unsigned integers of their bits. The dtype is noted beside them, and comes back when the
        file is converted to a checkpoint.
    metadata : mapping of str to str, optional
        For safetensors: further entries of the header's metadata.
    dry_run : bool
        Find out all that there is to find out, and write nothing.
    num_shards, sync, num_threads, progress
        As in :func:`fastckpt.save`.

    Returns
    -------
    Conversion

    Raises
    ------
    UnsupportedError
        The target cannot hold some of the tensors; the message names them, and nothing was
        written.
    DataLossError
        The source is damaged; what was at `destination` is intact.
    InvalidArgumentError
        Wrong options or paths.

    Notes
    -----
    Every bit of every number is kept, and every checksum that the source has is compared;
    safetensors has none. safetensors holds no strings, variants, complex128,
    float8_e4m3b11fnuz and integers of 2 and 4 bits; npz no strings and variants. The object graph
    of a ``tf.train.Checkpoint`` is kept in the metadata of safetensors, and left out of npz; its
    ``save_counter`` is a tensor like others. Quantised types are stored as their plain integers,
    with a note that brings them back. Memory: 64 MiB, or one tensor that has no view.

    Examples
    --------
    >>> convert("model.ckpt-1000", "model.safetensors")  # doctest: +SKIP
    >>> convert("weights.npz", "model.ckpt")  # doctest: +SKIP
    """
    target = os.fspath(destination)
    kind = format_of(target) if to is None else to
    _check_options(kind, target, is_chosen=to is not None, as_bytes=as_bytes, metadata=metadata)
    chosen = [patterns] if isinstance(patterns, str) else patterns
    opened, checkpoint = _open(local.as_path(source), chosen, num_threads)
    try:
        tensors, skipped = _sorted_out(opened, kind, as_bytes=as_bytes)
        if skipped and not skip_unsupported:
            raise _unsupported(opened, kind, skipped)
        result = Conversion(
            source=opened.path,
            destination=target,
            source_format=opened.format,
            format=kind,
            tensors=len(tensors) + (kind == "checkpoint" and opened.object_graph is not None),
            nbytes=sum(tensor.nbytes for tensor in tensors),
            skipped=tuple(skipped),
            notes=tuple(_notes(opened, kind)),
        )
        if dry_run:
            return result
        if checkpoint is not None and kind == "checkpoint":
            _rewrite(checkpoint, opened, target, num_shards, sync, num_threads, progress)
            return result
        with reporter(progress, label="convert", bytes_total=result.nbytes) as report:
            options: dict[str, Any] = {"sync": sync, "report": report.update}
            if kind == "checkpoint":
                options |= {"num_shards": num_shards, "object_graph": opened.object_graph}
                options |= {"num_threads": resolve_num_threads(num_threads)}
                checkpoints.write(target, tensors, **options)
            elif kind == "npz":
                npz.write(target, tensors, **options)
            else:
                options |= {"metadata": metadata or {}, "object_graph": opened.object_graph}
                safetensors.write(target, tensors, **options)
        return result
    finally:
        opened.close()


def format_of(path: str) -> Format:
    """Tell a format by the ending of a path."""
    if path.endswith(".safetensors"):
        return "safetensors"
    return "npz" if path.endswith(".npz") else "checkpoint"


def _check_options(
    kind: str,
    target: str,
    *,
    is_chosen: bool,
    as_bytes: bool,
    metadata: Mapping[str, str] | None,
) -> None:
    if kind not in FORMATS:
        choices = ", ".join(map(repr, FORMATS))
        raise InvalidArgumentError(f"to must be one of {choices}, not {kind!r}")
    if kind == "checkpoint":
        check_prefix(target)
        ending = os.path.splitext(target)[1].lower()
        if ending in _OTHER_ENDINGS and not is_chosen:
            raise InvalidArgumentError(
                f"{target!r} ends like a file of another program, and would become a checkpoint; "
                f"there is no conversion to {ending}: let it end in .safetensors or .npz, or say "
                "to='checkpoint' (--to checkpoint)",
                path=target,
            )
    if as_bytes and kind != "npz":
        raise InvalidArgumentError("as_bytes is about npz files alone")
    if metadata and kind != "safetensors":
        raise InvalidArgumentError("metadata is about safetensors files alone")
    if not all(isinstance(x, str) for pair in (metadata or {}).items() for x in pair):
        raise InvalidArgumentError("metadata must map str to str")


def _open(
    path: str, patterns: Sequence[str] | None, num_threads: int | None
) -> tuple[Source, Checkpoint | None]:
    """Open what is there; the checkpoint as well, where it is one."""
    # A checkpoint wins over a file of the same name, as everywhere.
    if local.file_size(f"{path}.index") is None:
        head = local.read_head(path, 16)
        is_st, is_zip = safetensors.is_safetensors(head), npz.is_npz(head)
        if is_st or is_zip:
            opened = safetensors.open_source(path) if is_st else npz.open_source(path)
            try:
                return _chosen(opened, patterns), None
            except BaseException:
                opened.close()
                raise
    source, checkpoint = checkpoints.open_source(path, patterns, num_threads=num_threads)
    return source, checkpoint


def _chosen(source: Source, patterns: Sequence[str] | None) -> Source:
    """Leave the tensors that were asked for."""
    if patterns is None:
        return source
    names = [tensor.name for tensor in source.tensors] + [item.name for item in source.refused]
    wanted = frozenset(choose_names(names, patterns, source.path))
    return dataclasses.replace(
        source,
        tensors=[tensor for tensor in source.tensors if tensor.name in wanted],
        refused=[item for item in source.refused if item.name in wanted],
        object_graph=None,
    )


def _sorted_out(
    source: Source, kind: Format, *, as_bytes: bool
) -> tuple[list[Tensor], list[Refused]]:
    """Give what the target can hold, and what it cannot."""
    if kind == "npz":
        refused = list(npz.refusals(source.tensors, as_bytes=as_bytes))
    elif kind == "safetensors":
        reasons = ((tensor.name, safetensors.refusal(tensor)) for tensor in source.tensors)
        refused = [Refused(name, reason) for name, reason in reasons if reason is not None]
    else:
        refused = [Refused(x.name, "its name is empty") for x in source.tensors if not x.name]
    gone = {item.name for item in refused}
    kept = [tensor for tensor in source.tensors if tensor.name not in gone]
    return kept, [*source.refused, *refused]


def _unsupported(source: Source, kind: Format, refused: Sequence[Refused]) -> UnsupportedError:
    article = "a checkpoint" if kind == "checkpoint" else f"{kind}"
    lines = [f"{len(refused)} of the tensors of {source.path!r} cannot be converted to {article}:"]
    lines += [f"  {item.name!r}: {item.reason}" for item in refused[:_MAX_LISTED]]
    if len(refused) > _MAX_LISTED:
        lines.append(f"  and {len(refused) - _MAX_LISTED} more")
    lines.append("nothing was written; skip_unsupported (--skip-unsupported) leaves them out")
    return UnsupportedError("\n".join(lines), path=source.path, key=refused[0].name)


def _notes(source: Source, kind: Format) -> Iterable[str]:
    if source.object_graph is not None and kind == "npz":
        yield (
            f"{OBJECT_GRAPH!r} is left out: it describes the objects of tf.train.Checkpoint, "
            "and holds no numbers"
        )


def _rewrite(
    checkpoint: Checkpoint,
    source: Source,
    target: str,
    num_shards: int | None,
    sync: bool,  # noqa: FBT001
    num_threads: int | None,
    progress: ProgressLike,
) -> None:
    """Write a checkpoint anew, such as a V1 file in the V2 format; slices stay slices."""
    names = [tensor.name for tensor in source.tensors]
    if source.object_graph is not None:
        names.append(OBJECT_GRAPH)
    rewrite(
        checkpoint,
        target,
        dict(zip(names, names, strict=True)),
        num_shards=num_data_files(checkpoint) if num_shards is None else num_shards,
        sync=sync,
        num_threads=num_threads,
        progress=progress,
        label="convert",
    )
