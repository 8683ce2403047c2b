"""One checkpoint under examination: its index, its shards, every tensor."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import replace

from fastckpt.checkpoint.listing import list_rows
from fastckpt.checkpoint.opening import open_checkpoint
from fastckpt.checkpoint.reader import Checkpoint
from fastckpt.checkpoint.report import VerifyReport
from fastckpt.errors import CheckpointError, CheckpointIOError, CheckpointNotFoundError
from fastckpt.names import index_file, meta_file
from fastckpt.progress import ProgressLike
from fastckpt.storage import content, local
from fastckpt.tools.doctor.findings import Finding, listed, no_permission, note, problem, warning
from fastckpt.tools.doctor.left_overs import unmentioned_data
from fastckpt.tools.object_graph import OBJECT_GRAPH

__all__ = ["Examination"]

_SHARD = re.compile(r"\.data-(\d{5,})-of-\d{5,}\Z")

_ELSEWHERE = "copy the file here again from where the checkpoint was saved"
_PULL = "run 'git lfs pull' in its repository, for the index and all data shards"


class Examination:
    """What was found out about one checkpoint.

    Parameters
    ----------
    prefix : str
        Its prefix, or V1 file or pattern.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.findings: list[Finding] = []
        self.tensors = 0
        self.nbytes = 0
        self.verified = False
        # Tensors of which a finding says already why they cannot be read.
        self._lost: set[str] = set()

    def run(
        self, *, read_all: bool, num_threads: int | None = None, progress: ProgressLike = None
    ) -> None:
        """Look at the files, and with `read_all` at every byte."""
        trouble = _index_trouble(self.prefix)
        if trouble is not None:
            self.findings.append(trouble)
            return
        try:
            with open_checkpoint(
                self.prefix, on_damage="skip", num_threads=num_threads
            ) as checkpoint:
                self.tensors, self.nbytes = len(checkpoint), checkpoint.nbytes
                self._look_at(checkpoint)
                if read_all:
                    self._read(checkpoint, progress)
        except CheckpointError as error:
            self.findings.append(_unreadable(self.prefix, error))

    def _look_at(self, checkpoint: Checkpoint) -> None:
        for part in checkpoint.damage:
            self.findings.append(
                problem(
                    "damaged-index",
                    str(part if part.error.key is None else part.error),
                    f"{_ELSEWHERE}; {_others(len(checkpoint))} can be read with "
                    "fastckpt.open(path, on_damage='skip')",
                    index_file(self.prefix),
                    [] if part.error.key is None else [part.error.key],
                )
            )
        if checkpoint.format == "v2":
            self._look_at_shards(checkpoint)
            self._look_around(checkpoint)
        if OBJECT_GRAPH in checkpoint:
            self.findings.append(
                note(
                    "object-based",
                    "it was saved by tf.train.Checkpoint, under the paths of objects",
                    "restore it with tf.train.Checkpoint; a Saver asks for other names",
                    self.prefix,
                )
            )

    # --- shards -------------------------------------------------------------------------------

    def _look_at_shards(self, checkpoint: Checkpoint) -> None:
        paths = {_shard_number(path): path for path in checkpoint.files[1:]}
        held = _held_by_shard(checkpoint)
        gone = [path for path in paths.values() if local.file_size(path) is None]
        if gone and len(gone) == len(paths):
            self._add_lost(_only_the_index(self.prefix, gone), set().union(*held.values()))
            return
        for number, path in paths.items():
            ends = held.get(number, {})
            found = _shard_trouble(path, ends)
            if found is not None:
                self._add_lost(found, found.tensors)

    def _add_lost(self, found: Finding, tensors: Iterable[str]) -> None:
        lost = tuple(sorted(tensors))
        self._lost.update(lost)
        left = self.tensors - len(self._lost)
        fix = found.fix or ""
        if left:
            fix += f"; {_others(left)} can be read"
        self.findings.append(replace(found, fix=fix, tensors=lost))

    def _look_around(self, checkpoint: Checkpoint) -> None:
        extra = unmentioned_data(self.prefix, checkpoint.files)
        if extra and not self._lost:
            self.findings.append(
                warning(
                    "left-over-data",
                    f"the index mentions none of {listed(extra)}",
                    "they are of another save, and nothing depends on them: delete them",
                    self.prefix,
                )
            )
        meta = meta_file(self.prefix)
        size = local.file_size(meta)
        if size == 0 or (size and content.is_lfs_pointer(local.read_head(meta))):
            what = "is empty" if size == 0 else "is a Git-LFS pointer"
            fix = "save again, or restore without it: values do not need it" if not size else _PULL
            self.findings.append(warning("meta", f"the meta graph {meta!r} {what}", fix, meta))
        if local.is_table(self.prefix):
            self.findings.append(
                warning(
                    "v1-and-v2",
                    f"a V1 checkpoint {self.prefix!r} lies beside the V2 checkpoint of that name",
                    "readers take the V2 one; move the V1 file away if that is not meant",
                    self.prefix,
                )
            )

    # --- every byte ---------------------------------------------------------------------------

    def _read(self, checkpoint: Checkpoint, progress: ProgressLike) -> None:
        report = checkpoint.verify(progress=progress)
        self.verified = True
        self._tell_files(report, {str(part.error) for part in checkpoint.damage})
        failed = [x for x in report.failures if x.name is not None and x.name not in self._lost]
        shards: dict[int | None, list[str]] = {}
        reasons: dict[str, str] = {}
        held = {row.name: row.shard for row in list_rows(checkpoint)}
        for failure in failed:
            name = failure.name or ""
            if name not in reasons:
                shards.setdefault(held.get(name), []).append(name)
                reasons[name] = str(failure)
        for shard, names in shards.items():
            in_shard = sum(1 for x in held.values() if x == shard)
            path = next((x for x in checkpoint.files if _shard_number(x) == shard), self.prefix)
            self.findings.append(
                _mixed(path, names)
                if shard is not None and in_shard == len(names) > 1
                else _damaged(path, names, reasons[names[0]], self.tensors)
            )

    def _tell_files(self, report: VerifyReport, known: set[str]) -> None:
        for failure in report.failures:
            if failure.name is not None or str(failure) in known or self._lost:
                continue
            path = failure.error.path or self.prefix
            if isinstance(failure.error, CheckpointNotFoundError):  # of a V1 checkpoint
                found = problem("missing-shard", str(failure), _ELSEWHERE, path)
            else:
                fix = "no tensor is concerned; copy the file again when you can"
                found = warning("damaged-file", str(failure), fix, path)
            self.findings.append(found)


def _index_trouble(prefix: str) -> Finding | None:
    """What keeps the index from being opened at all; None where nothing does."""
    index = index_file(prefix)
    if local.file_size(index) is None:
        return None  # V1
    if not os.access(index, os.R_OK):
        return no_permission(index)
    head = local.read_head(index)
    if not head:
        return problem(
            "empty-index",
            f"the index {index!r} is empty: the save was interrupted, or the disk was full",
            "use another checkpoint; or copy it here again from where it was saved",
            index,
        )
    if content.is_lfs_pointer(head):
        return problem("lfs", f"the index {index!r} is a Git-LFS pointer", _PULL, index)
    found = None if local.is_table(index) else content.recognise(head)
    if found is not None:
        return problem("other-format", f"{index!r} is {found.what}", found.advice, index)
    return None


def _unreadable(prefix: str, error: CheckpointError) -> Finding:
    path = error.path or prefix
    if isinstance(error, CheckpointIOError):
        return problem("unreadable", str(error), "make the file readable", path)
    fix = f"{_ELSEWHERE}; it cannot be rebuilt from the data shards"
    return problem("damaged-index", str(error), fix, path)


def _shard_number(path: str) -> int | None:
    match = _SHARD.search(path)
    return None if match is None else int(match[1])


def _held_by_shard(checkpoint: Checkpoint) -> dict[int | None, dict[str, int]]:
    """For each shard, the tensors in it, and where each ends."""
    held: dict[int | None, dict[str, int]] = {}
    for row in list_rows(checkpoint):
        if row.shard is not None:
            held.setdefault(row.shard, {})[row.name] = (row.offset or 0) + row.nbytes
            continue
        try:
            parts = checkpoint.tensor(row.name).parts
        except CheckpointError:
            continue  # Reading the tensor tells why.
        for part in parts:
            ends = held.setdefault(part.shard, {})
            end = (part.offset or 0) + part.nbytes
            ends[row.name] = max(ends.get(row.name, 0), end)
    return held


def _shard_trouble(path: str, ends: dict[str, int]) -> Finding | None:
    """What is wrong with a data shard as a file; None where nothing is."""
    size = local.file_size(path)
    name = os.path.basename(path)
    if size is None:
        what, fix = _absence(path)
        return problem("missing-shard", f"the data shard {name!r} {what}", fix, path, ends)
    if not os.access(path, os.R_OK):
        return no_permission(path, ends)
    head = local.read_head(path, 200)
    if content.is_lfs_pointer(head):
        return problem("lfs", f"the data shard {name!r} is a Git-LFS pointer", _PULL, path, ends)
    lost = [tensor for tensor, end in ends.items() if end > size]
    if not lost:
        return None
    found = _not_data(path, ends)
    if found is not None:
        return found
    needed = max(ends.values())
    what = f"the data shard {name!r} is cut short: it has {size} of {needed} bytes"
    return problem("short-shard", what, _ELSEWHERE, path, lost)


def _not_data(path: str, tensors: Iterable[str]) -> Finding | None:
    """Say what else a data shard is whose bytes are not the tensors'; None where none can tell."""
    found = content.recognise(local.read_head(path))
    if found is None:
        return None
    what = f"the data shard {os.path.basename(path)!r} is {found.what}"
    return problem("other-format", what, found.advice, path, tensors)


def _absence(path: str) -> tuple[str, str]:
    """Say how it comes that there is no such file, and what to do."""
    if os.path.islink(path):
        return f"is a link to {os.readlink(path)!r}, which is not there", _ELSEWHERE
    if local.is_directory(path):
        return "is a directory", _ELSEWHERE
    name = os.path.basename(path)
    near = sorted(x for x in local.entries(os.path.dirname(path)) if x.startswith(name))
    if near:
        return "is missing", f"rename {near[0]!r} to {name!r}, if it is that file"
    return "is missing", _ELSEWHERE


def _only_the_index(prefix: str, gone: list[str]) -> Finding:
    others = _other_data(prefix)
    what = f"only the index is here; {listed(map(os.path.basename, gone))} are missing"
    fix = "copy the data shards here too"
    if len(gone) == 1:
        how, advice = _absence(gone[0])
        what = f"only the index is here; {os.path.basename(gone[0])!r} {how}"
        fix = fix if advice == _ELSEWHERE else advice
    if others:
        fix += f", or rename index and data alike: there are data shards of {listed(others)}"
    return problem("missing-shards", what, fix, prefix)


def _other_data(prefix: str) -> list[str]:
    """Prefixes of data shards in the same directory that have no index of their own."""
    directory = os.path.dirname(prefix)
    names = set(local.entries(directory))
    bases = {name[: match.start()] for name in names if (match := _SHARD.search(name))}
    return sorted(base for base in bases if f"{base}.index" not in names)


def _mixed(path: str, names: list[str]) -> Finding:
    return _not_data(path, names) or problem(
        "other-save",
        f"no checksum of the data shard {os.path.basename(path)!r} matches: index and data are of "
        "different saves, or the whole file is damaged",
        "copy index and data shards together from one save",
        path,
        names,
    )


def _damaged(path: str, names: list[str], reason: str, tensors: int) -> Finding:
    left = tensors - len(names)
    rest = f"; {_others(left)} can be read" if left else ""
    return problem("damaged-tensors", reason, f"{_ELSEWHERE}{rest}", path, names)


def _others(count: int) -> str:
    return "the other tensor" if count == 1 else f"the other {count} tensors"
