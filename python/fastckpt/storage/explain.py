"""Errors for paths that are no checkpoint: what is there instead, and what to pass.

Every function builds an error and leaves raising it to the caller.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable

from fastckpt.errors import (
    CheckpointError,
    CheckpointIOError,
    CheckpointNotFoundError,
    DataLossError,
    InvalidArgumentError,
)
from fastckpt.names import index_file, near_names, strip_suffix
from fastckpt.storage import content, local

__all__ = ["latest_is_gone", "lfs_pointer", "no_checkpoint", "other_index", "renamed_index"]

# How many names a message lists, and how many entries of a directory are looked into.
_MAX_NAMED = 3
_MAX_LOOKED_INTO = 64


def no_checkpoint(path: str) -> CheckpointError:
    """Explain why `path`, whatever it is, means no checkpoint."""
    if local.is_directory(path):
        return _directory(path)
    size = local.file_size(path)
    if size is None:
        return _missing(path)
    return _file(path) if size else _empty_file(path)


def latest_is_gone(state_file: str, prefix: str, directory: str) -> CheckpointNotFoundError:
    """Explain a state file whose latest checkpoint does not exist."""
    others = [x for x in local.prefixes_in(directory) if x != prefix]
    hint = (
        f"pass another checkpoint that is there: {_listed(_newest_first(others))}"
        if others
        else "no other checkpoint is beside it; restore the files or pass another directory"
    )
    return CheckpointNotFoundError(
        f"checkpoint state {state_file!r} names {prefix!r} as the latest checkpoint, but "
        f"{index_file(prefix)!r} does not exist; {hint}",
        path=prefix,
    )


def lfs_pointer(path: str) -> CheckpointNotFoundError:
    """Explain a file that stands for one that git-lfs has not fetched."""
    return CheckpointNotFoundError(
        f"{path!r} is a Git-LFS pointer: the file itself was not fetched; "
        "run 'git lfs pull' in its repository, for the data shards too",
        path=path,
    )


def other_index(path: str, found: content.Content) -> DataLossError:
    """Explain a file with the name of an index that is something else altogether."""
    return DataLossError(f"index {path!r} is {found.what}: {found.advice}", path=path)


def renamed_index(path: str) -> InvalidArgumentError:
    """Explain the index of a V2 checkpoint under a name that does not end in .index."""
    return InvalidArgumentError(
        f"{path!r} is the index of a checkpoint, but its name does not end in '.index'; rename it "
        "to <prefix>.index beside its data shards and pass the prefix",
        path=path,
    )


def _missing(path: str) -> CheckpointNotFoundError:
    prefix, kind = strip_suffix(path)
    index = index_file(prefix)
    directory = os.path.dirname(path)
    if directory and not local.is_directory(directory):
        hint = f"its directory {directory!r} does not exist"
        if path.startswith("~"):
            hint += "; '~' is not expanded: pass os.path.expanduser(path)"
        return _not_found(path, f"no checkpoint {prefix!r}", hint)
    if local.is_pattern(path):
        return _no_match(path)
    if _siblings(prefix, ".data-"):
        return _not_found(
            path,
            f"checkpoint {prefix!r} has data shards but no index",
            f"{index!r} is missing and cannot be rebuilt from the shards: copy it here too",
        )
    if _siblings(prefix, ".index.tempstate"):
        return _not_found(
            path, f"the save of {prefix!r} was interrupted", "use another checkpoint"
        )
    what = "" if kind == "prefix" else f" (from {path!r})"
    return _not_found(
        path, f"no checkpoint {prefix!r}{what}", f"{index!r} does not exist{_near(prefix)}"
    )


def _no_match(pattern: str) -> CheckpointNotFoundError:
    indexes = local.matches(pattern + ".index")
    hint = "no file matches; the pattern of a V1 checkpoint looks like 'name-?????-of-00002'"
    if indexes:
        prefixes = [x.removesuffix(".index") for x in indexes]
        hint = (
            f"a pattern means a V1 checkpoint; pass one prefix: {_listed(_newest_first(prefixes))}"
        )
    return _not_found(pattern, f"no V1 checkpoint {pattern!r}", hint)


def _directory(path: str) -> CheckpointError:
    if not os.access(path, os.R_OK | os.X_OK):
        return CheckpointIOError(
            f"cannot list the directory {path!r}: permission denied", path=path, errno=errno.EACCES
        )
    what = f"no checkpoint state in directory {path!r}"
    names = sorted(local.entries(path))
    if not names:
        return _not_found(path, what, "the directory is empty")
    prefixes = local.prefixes_in(path)
    if prefixes:
        return _not_found(path, what, f"pass a prefix: {_listed(_newest_first(prefixes))}")
    if local.is_saved_model(path):
        missing = index_file(local.variables_prefix(path))
        return _not_found(
            path, f"SavedModel {path!r} has no variables", f"{missing!r} does not exist"
        )
    tables = [x for x in _some_paths(path, names) if local.is_table(x)]
    if tables:
        return _not_found(path, what, f"pass a V1 file: {_listed(tables)}")
    inner = _inner_directories(path, names)
    if inner:
        return _not_found(path, what, f"there are checkpoints below: pass {_listed(inner)}")
    if any(strip_suffix(name)[1] == "data" for name in names):
        return _not_found(
            path, what, "it holds data shards, but no index: copy the .index file too"
        )
    return _not_found(path, what, f"it holds no '.index' file, only {_listed(names)}")


def _some_paths(directory: str, names: list[str]) -> list[str]:
    return [os.path.join(directory, name) for name in names[:_MAX_LOOKED_INTO]]


def _inner_directories(path: str, names: list[str]) -> list[str]:
    """Subdirectories that can be opened, and the first prefix of those that cannot."""
    found = []
    for inner in _some_paths(path, names):
        has_state = local.file_size(os.path.join(inner, "checkpoint")) is not None
        if has_state or local.is_saved_model(inner):
            found.append(inner)
        else:
            found += local.prefixes_in(inner)[:1]
    return found


def _empty_file(path: str) -> DataLossError:
    return DataLossError(
        f"file {path!r} is empty; the save was interrupted or the disk was full: "
        "use another checkpoint",
        path=path,
    )


def _file(path: str) -> CheckpointError:
    head = local.read_head(path)
    if content.is_lfs_pointer(head):
        return lfs_pointer(path)
    prefix, kind = strip_suffix(path)
    if kind == "data":
        return _not_found(
            path,
            f"data shard {path!r} has no index",
            f"{index_file(prefix)!r} is missing; a shard alone holds bytes without names: copy "
            "the index here too",
        )
    found = content.recognise(head)
    if found is None:
        return _unknown(path)
    if kind == "meta":
        return _not_found(
            path,
            f"{path!r} is {found.what}, without its checkpoint",
            f"it holds no weights, and {index_file(prefix)!r} does not exist{_near(prefix)}",
        )
    return InvalidArgumentError(
        f"{path!r} is no checkpoint: this is {found.what}; {_advice(path, found)}", path=path
    )


def _unknown(path: str) -> DataLossError:
    return DataLossError(
        f"{path!r} is no checkpoint file (bad magic); it may be damaged, or something else: pass "
        "a prefix, the common start of the '.index' and '.data-00000-of-0000N' names",
        path=path,
    )


def _advice(path: str, found: content.Content) -> str:
    directory = os.path.dirname(path) or "."
    if local.is_saved_model(directory) and local.checkpoint_exists(
        local.variables_prefix(directory)
    ):
        return f"pass the SavedModel directory {directory!r}"
    return found.advice


def _not_found(path: str, what: str, hint: str) -> CheckpointNotFoundError:
    return CheckpointNotFoundError(f"{what}: {hint}", path=path)


def _siblings(prefix: str, suffix: str) -> bool:
    directory, name = os.path.split(prefix)
    return any(x.startswith(name + suffix) for x in local.entries(directory))


def _near(prefix: str) -> str:
    """Write the end of a message that proposes other prefixes of the same directory."""
    directory, name = os.path.split(prefix)
    there = local.prefixes_in(directory)
    if not there:
        return "; no checkpoint is in its directory"
    prefixes = [os.path.basename(x) for x in there]
    longer = _newest_first(x for x in prefixes if name and x.startswith(name))
    found = list(dict.fromkeys(longer[:_MAX_NAMED] + near_names(name, prefixes)))
    if not found:
        return f"; in its directory are {_listed(_newest_first(there))}"
    return f"; did you mean {_listed([os.path.join(directory, x) for x in found])}?"


def _newest_first(prefixes: Iterable[str]) -> list[str]:
    """Prefixes by falling step number, as far as their names hold one."""

    def key(prefix: str) -> list[int | str]:
        return [int(x) if x.isdecimal() else x for x in re.split(r"(\d+)", prefix)]

    return sorted(prefixes, key=key, reverse=True)


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(x) for x in names[:_MAX_NAMED])
    more = len(names) - _MAX_NAMED
    return f"{shown} and {more} more" if more > 0 else shown
