"""What a path that is no directory means: a checkpoint, or something else altogether."""

from __future__ import annotations

import os
from itertools import islice
from typing import NamedTuple

from fastckpt.names import index_file, near_names, strip_suffix
from fastckpt.storage import content, local
from fastckpt.storage.urls import is_url
from fastckpt.tools.doctor.findings import Finding, listed, no_permission, note, problem, quoted

__all__ = ["Place", "data_of", "find_place", "index_missing"]

# Entries of a directory among which directories of a near name are looked for.
_MAX_LOOKED_AT = 1000


class Place(NamedTuple):
    """Where a path leads.

    Attributes
    ----------
    prefix : str or None
        The checkpoint; None where there is none.
    state : str or None
        A state file, whose directory is to be looked at.
    findings : list of Finding
        What to say of the path.
    """

    prefix: str | None
    findings: list[Finding]
    state: str | None = None


def find_place(path: str) -> Place:
    """Say what a path is."""
    if is_url(path):
        fix = "download all files of the checkpoint, the .index too, and pass the local prefix"
        return _nothing(problem("url", f"{path!r} is a URL", fix, path))
    prefix, kind = strip_suffix(path)
    if local.file_size(index_file(path)) is not None:
        return Place(path, [])
    if kind != "prefix" and local.file_size(index_file(prefix)) is not None:
        what = f"{path!r} is one file of a checkpoint; fastckpt opens it, TensorFlow does not"
        return Place(prefix, [note("suffix", what, f"pass the prefix {prefix!r}", path)])
    if local.file_size(path) is None:
        return _v1_shards(path) or _nothing(_missing(path))
    return _file(path)


def _nothing(finding: Finding) -> Place:
    return Place(None, [finding])


def _file(path: str) -> Place:
    """A file without an index of its name."""
    prefix, kind = strip_suffix(path)
    name = os.path.basename(index_file(prefix))
    if not os.access(path, os.R_OK):
        return _nothing(no_permission(path))
    head = local.read_head(path)
    if not head:
        what = f"{path!r} is empty: the save was interrupted, or the disk was full"
        return _nothing(problem("empty-file", what, "use another checkpoint", path))
    if content.is_lfs_pointer(head):
        fix = "run 'git lfs pull' in its repository, for the index and all data shards"
        return _nothing(problem("lfs", f"{path!r} is a Git-LFS pointer", fix, path))
    if kind == "data":
        return _nothing(
            problem(
                "no-index",
                f"{path!r} is a data shard whose index is missing: bytes without names",
                f"copy {name!r} here too; it cannot be rebuilt from the shards",
                path,
            )
        )
    if content.is_state_text(head):
        return Place(None, [], state=path)
    if local.is_table(path):
        return _table(path)
    return _nothing(_other_format(path, head, kind == "meta"))


def _table(path: str) -> Place:
    if local.is_v2_index(path):
        fix = f"rename it to {path + '.index'!r}, beside its data shards, and pass {path!r}"
        what = f"{path!r} is the index of a checkpoint under a name that does not end in .index"
        return _nothing(problem("renamed-index", what, fix, path))
    prefix = local.v1_pattern(path) or path
    return Place(prefix, [_v1_note(prefix)])


def _v1_note(prefix: str) -> Finding:
    return note(
        "v1",
        f"{prefix!r} has the V1 format of 2016 and before",
        "nothing to do; to have it in the V2 format: fastckpt convert OLD NEW",
        prefix,
    )


def _v1_shards(path: str) -> Place | None:
    """A V1 checkpoint in several files: a pattern, or what their names begin with."""
    pattern = path if local.is_pattern(path) else f"{path}-?????-of-?????"
    tables = [x for x in local.matches(pattern) if local.is_table(x) and not local.is_v2_index(x)]
    if not tables:
        return None
    prefix = local.v1_pattern(tables[0]) or tables[0]
    return Place(prefix, [_v1_note(prefix)])


def _other_format(path: str, head: bytes, is_meta: bool) -> Finding:  # noqa: FBT001
    found = content.recognise(head)
    if found is None:
        what = f"{path!r} is no file of a checkpoint: its first bytes are like nothing known"
        fix = "pass a prefix: the common start of the .index and .data-00000-of-0000N names"
        return problem("unknown-format", what, fix, path)
    if is_meta:
        what = f"{path!r} is {found.what}, which holds no weights, and its checkpoint is missing"
        fix = f"copy {os.path.basename(index_file(strip_suffix(path)[0]))!r} and its data here too"
        return problem("no-index", what, fix, path)
    fix = found.advice
    if found.what in ("a safetensors file", "a NumPy .npz archive"):
        command = f"fastckpt convert {quoted(path)} NEW-PREFIX"
        what = f"{path!r} is {found.what}, no checkpoint"
        return problem("other-format", what, "convert it", path, command=command)
    return problem("other-format", f"{path!r} is {found.what}, no checkpoint", fix, path)


def _missing(path: str) -> Finding:
    """A path at which nothing is."""
    prefix, _ = strip_suffix(path)
    directory, base = os.path.split(prefix)
    if directory and not local.is_directory(directory):
        what = f"there is no directory {directory!r}"
        fix = "pass os.path.expanduser(path): '~' is the shell's" if path[:1] == "~" else None
        return problem("nothing-there", what, fix or _below(directory), path)
    data = data_of(prefix)
    if data:
        return index_missing(prefix, data)
    others = [os.path.basename(x) for x in local.prefixes_in(directory)]
    near = sorted(x for x in others if x.startswith(base))[-3:] or near_names(base, others)
    if not near:
        near = near_names(base, _directories(directory))
    what = f"there is no checkpoint {prefix!r}"
    if near:
        near = [os.path.join(directory, x) for x in near]
        return problem("nothing-there", what, f"did you mean {listed(near)}?", path)
    fix = f"there are {listed(others)}" if others else "there is none in that directory"
    return problem("nothing-there", what, fix, path)


def data_of(prefix: str) -> list[str]:
    """Names of the data shards of a prefix."""
    directory, base = os.path.split(prefix)
    return sorted(x for x in local.entries(directory) if strip_suffix(x) == (base, "data"))


def index_missing(prefix: str, data: list[str]) -> Finding:
    """Say that there are data shards whose index is not there."""
    directory = os.path.dirname(prefix)
    name = os.path.basename(index_file(prefix))
    shards = "are bytes" if len(data) > 1 else "is bytes"
    what = f"the index {name!r} is missing; {listed(data)} {shards} without names"
    fix = "copy it here too; it cannot be rebuilt from the shards"
    lonely = [x for x in local.prefixes_in(directory) if not data_of(x)]
    if lonely:
        indexes = listed(os.path.basename(index_file(x)) for x in lonely)
        fix += f"; or rename index and data alike: there is an index without data, {indexes}"
    return problem("no-index", what, fix, prefix)


def _directories(directory: str) -> list[str]:
    names = islice(local.entries(directory), _MAX_LOOKED_AT)
    return [x for x in names if local.is_directory(os.path.join(directory, x))]


def _below(directory: str) -> str:
    """Say how far the path exists."""
    while directory and not local.is_directory(directory):
        directory = os.path.dirname(directory)
    return f"of that path {directory!r} exists" if directory else "check the working directory"
