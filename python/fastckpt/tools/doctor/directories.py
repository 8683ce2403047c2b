"""A directory under examination: its state file, what is in it, what is below."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from fastckpt.errors import CheckpointError
from fastckpt.names import strip_suffix
from fastckpt.storage import content, local
from fastckpt.storage.state import STATE_FILE, CheckpointState, parse_state, read_state
from fastckpt.tools.doctor.findings import (
    Finding,
    listed,
    no_permission,
    note,
    problem,
    quoted,
    warning,
)
from fastckpt.tools.doctor.places import data_of, index_missing

__all__ = ["Directory", "look_into"]

# Entries whose first bytes are looked at.
_MAX_LOOKED_INTO = 64

_MAX_STATE_BYTES = 4 << 20


class Directory(NamedTuple):
    """What a directory holds.

    Attributes
    ----------
    prefix : str or None
        The checkpoint that the directory means: its latest one.
    others : list of str
        Prefixes of the other checkpoints in it.
    findings : list of Finding
        What to say of the directory.
    """

    prefix: str | None
    others: list[str]
    findings: list[Finding]


def look_into(directory: str, latest_filename: str = STATE_FILE) -> Directory:
    """Find the checkpoints of a directory, and what is wrong with its state file."""
    if not os.access(directory, os.R_OK | os.X_OK):
        return Directory(None, [], [no_permission(directory)])
    prefixes = _newest_first(local.prefixes_in(directory))
    state_file = os.path.join(directory, latest_filename)
    if local.file_size(state_file) is None:
        return _without_state(directory, prefixes)
    try:
        state = read_state(directory, latest_filename)
        stored = parse_state(local.read_head(state_file, _MAX_STATE_BYTES).decode("utf-8-sig"))
    except CheckpointError as error:
        finding = problem("state", str(error), *_write_state(directory, prefixes, state_file))
        return Directory(prefixes[0] if prefixes else None, prefixes[1:], [finding])
    if state is None:  # deleted since
        return _without_state(directory, prefixes)
    return _with_state(directory, state_file, state, stored, prefixes)


def _with_state(
    directory: str,
    state_file: str,
    state: CheckpointState,
    stored: CheckpointState,
    prefixes: list[str],
) -> Directory:
    latest = state.model_checkpoint_path
    findings = []
    is_there = local.checkpoint_exists(latest)
    data = [] if is_there else data_of(latest)
    if data:
        findings.append(index_missing(latest, data))
    elif not is_there:
        what = f"the state file names {latest!r} as the latest checkpoint, which is not there"
        findings.append(
            problem("latest-is-gone", what, *_write_state(directory, prefixes, state_file))
        )
    elif latest != os.path.join(directory, stored.model_checkpoint_path):
        what = (
            f"the state file names {stored.model_checkpoint_path!r}, which is not there; the "
            "checkpoint lies beside the state file, as when a directory was moved: fastckpt finds "
            "it, TensorFlow does not"
        )
        fix, path, _, command = _write_state(directory, [latest], state_file)
        findings.append(warning("moved", what, fix, path, command))
    gone = [x for x in state.all_model_checkpoint_paths if not local.checkpoint_exists(x)]
    gone = [x for x in gone if x != latest]
    if gone:
        what = f"the state file lists {listed(gone)}, which {_are(gone)} not there"
        fix = "nothing depends on them; fastckpt prune takes them off the list"
        findings.append(warning("listed-is-gone", what, fix, state_file))
    known = {latest, *state.all_model_checkpoint_paths}
    unlisted = [x for x in prefixes if x not in known]
    if unlisted:
        what = f"the state file does not list {listed(map(os.path.basename, unlisted))}"
        fix = "what is not listed can be opened by its prefix, and no Saver deletes it"
        findings.append(note("unlisted", what, fix, directory))
    prefix = latest if is_there else next(iter(prefixes), None)
    return Directory(prefix, [x for x in prefixes if x != prefix], findings)


def _without_state(directory: str, prefixes: list[str]) -> Directory:
    if local.is_saved_model(directory):
        return _saved_model(directory)
    if prefixes:
        what = f"there is no state file in {directory!r}: nothing says which checkpoint is meant"
        fix, path, _, command = _write_state(directory, prefixes, directory)
        fix = f"pass a prefix, such as {prefixes[0]!r}; or {fix}"
        finding = problem("no-state", what, fix, path, command=command)
        return Directory(prefixes[0], prefixes[1:], [finding])
    names = sorted(local.entries(directory))
    return Directory(None, [], [_no_checkpoint(directory, names)])


def _saved_model(directory: str) -> Directory:
    prefix = local.variables_prefix(directory)
    if local.checkpoint_exists(prefix):
        what = f"{directory!r} is a SavedModel; its weights are the checkpoint {prefix!r}"
        return Directory(prefix, [], [note("saved-model", what, None, directory)])
    what = f"the SavedModel {directory!r} has no variables/variables.index"
    fix = "copy its directory 'variables' here too; a model without variables has none"
    return Directory(None, [], [problem("no-variables", what, fix, directory)])


def _no_checkpoint(directory: str, names: list[str]) -> Finding:
    if not names:
        what = f"the directory {directory!r} is empty"
        fix = "copy the files of the checkpoint here: .index and .data-…"
        return problem("empty-directory", what, fix, directory)
    data = [name for name in names if strip_suffix(name)[1] == "data"]
    if data:
        what = f"there are data shards, but no index: {listed(data)}"
        fix = "copy the .index file too; it cannot be rebuilt from the shards"
        return problem("no-index", what, fix, directory)
    inner = _inner(directory, names)
    if inner:
        what = f"there is no checkpoint in {directory!r}, but there are some below"
        return problem("below", what, f"pass {listed(inner)}", directory)
    return _other_files(directory, names)


def _other_files(directory: str, names: list[str]) -> Finding:
    for name in names[:_MAX_LOOKED_INTO]:
        path = os.path.join(directory, name)
        head = local.read_head(path)
        if local.is_table(path) and not local.is_v2_index(path):
            what = f"there is no state file in {directory!r}, but a V1 checkpoint {name!r}"
            return problem("no-state", what, f"pass {path!r}", directory)
        found = content.recognise(head)
        if found is not None:
            what = f"there is no checkpoint in {directory!r}; {name!r} is {found.what}"
            return problem("other-format", what, found.advice, directory)
    what = f"there is no checkpoint in {directory!r}, only {listed(names)}"
    fix = "pass a directory with .index and .data-… files"
    return problem("nothing-there", what, fix, directory)


def _inner(directory: str, names: list[str]) -> list[str]:
    """What can be passed of the directories below."""
    found = []
    for name in names[:_MAX_LOOKED_INTO]:
        path = os.path.join(directory, name)
        if not local.is_directory(path):
            continue
        has_state = local.file_size(os.path.join(path, STATE_FILE)) is not None
        if has_state or local.is_saved_model(path):
            found.append(path)
        else:
            found += _newest_first(local.prefixes_in(path))[:1]
    return found


def _write_state(
    directory: str, prefixes: list[str], path: str
) -> tuple[str, str, tuple[str, ...], str | None]:
    """Say how the state file is written anew: what follows `what` in a finding."""
    if not prefixes:
        return "copy the checkpoint here, or pass another directory", path, (), None
    # The paths are arguments of the program, not part of it: no character in them needs escapes.
    program = "import sys, fastckpt; fastckpt.update_checkpoint_state(*sys.argv[1:])"
    words = [quoted(os.path.join(".", x) if x[:1] == "-" else x) for x in (directory, prefixes[0])]
    return "write the state file anew", path, (), f"python -c '{program}' {' '.join(words)}"


def _are(items: list[str]) -> str:
    return "is" if len(items) == 1 else "are"


def _newest_first(prefixes: list[str]) -> list[str]:
    """Prefixes by falling step number, as far as their names hold one."""

    def key(prefix: str) -> list[tuple[int, int | str]]:
        words = re.split(r"(\d+)", prefix)
        return [(0, int(x)) if x.isdecimal() else (1, x) for x in words]

    return sorted(prefixes, key=key, reverse=True)
