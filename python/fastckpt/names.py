"""Names of checkpoint files and of tensors; pure functions, no file is touched."""

from __future__ import annotations

import heapq
import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Literal

__all__ = [
    "FileKind",
    "data_file",
    "index_file",
    "meta_file",
    "near_names",
    "strip_suffix",
    "tensor_not_found",
]

FileKind = Literal["prefix", "index", "data", "meta"]

# Shard numbers are padded to five digits and grow beyond them.
_DATA_SUFFIX = re.compile(r"\.data-\d{5,}-of-\d{5,}\Z")

# How tf.train.Checkpoint ends the key of a variable (escaped object path before it).
_VARIABLE_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"

# Bounds of the search for near names: candidates compared by difflib, neighbours on each side in
# sorted order, and how alike two spellings must be (difflib's ratio, its usual cutoff).
_MAX_COMPARED = 256
_NEIGHBOURS = 32
_CUTOFF = 0.6


def strip_suffix(path: str) -> tuple[str, FileKind]:
    """Split the path of a checkpoint file into its prefix and what kind of file it is.

    >>> strip_suffix("dir/m.ckpt-7.data-00001-of-00002")
    ('dir/m.ckpt-7', 'data')
    >>> strip_suffix("dir/m.ckpt-7")
    ('dir/m.ckpt-7', 'prefix')
    """
    if path.endswith(".index"):
        return path.removesuffix(".index"), "index"
    if path.endswith(".meta"):
        return path.removesuffix(".meta"), "meta"
    match = _DATA_SUFFIX.search(path)
    if match is not None:
        return path[: match.start()], "data"
    return path, "prefix"


def index_file(prefix: str) -> str:
    """Name of the index of `prefix`."""
    return f"{prefix}.index"


def meta_file(prefix: str) -> str:
    """Name of the meta graph of `prefix`."""
    return f"{prefix}.meta"


def data_file(prefix: str, shard: int, num_shards: int) -> str:
    """Name of one data shard of `prefix`.

    >>> data_file("m", 1, 2)
    'm.data-00001-of-00002'
    """
    return f"{prefix}.data-{shard:05d}-of-{num_shards:05d}"


def near_names(name: str, names: Iterable[str], n: int = 3) -> list[str]:
    """Find the names that someone who asked for `name` may have meant.

    Parameters
    ----------
    name : str
        The name that was not found.
    names : iterable of str
        The names that exist, best sorted: neighbours in sorted order are candidates.
    n : int
        At most so many are returned.

    Returns
    -------
    list of str
        Best first: equal but for case, ``:0`` or the suffix of object-based keys; equal below some
        scope; then similar spelling.

    Notes
    -----
    A few passes over `names` with C-level string tests, some 0.3 s for 10^6; spelling is compared
    for at most 256 names. Not for places where absence is an ordinary answer.
    """
    known = _as_sequence(names)
    asked = _without_output(name)
    if not asked or not known or n < 1:
        return []
    found = _equal_but_form(asked.lower(), known)
    if len(found) < n:
        same_last = _same_last(asked, known)
        found += _below_scope(asked, same_last)
        found += _similar(asked, _candidates(asked, known, same_last))
    return [x for x in dict.fromkeys(found) if x != name][:n]


def tensor_not_found(name: str, names: Iterable[str], where: str) -> str:
    """Build the message for a tensor that is not in the checkpoint `where`.

    >>> tensor_not_found("w:0", ["b", "w"], "m.ckpt")
    "no tensor 'w:0' in 'm.ckpt' (2 tensors); did you mean 'w'?"
    """
    known = _as_sequence(names)
    count = f"{len(known)} tensor{'' if len(known) == 1 else 's'}"
    near = [repr(x) for x in near_names(name, known)]
    if not near:
        hint = f"list the names with: fastckpt ls {where}"
    elif len(near) == 1:
        hint = f"did you mean {near[0]}?"
    else:
        hint = f"did you mean {', '.join(near[:-1])} or {near[-1]}?"
    return f"no tensor {name!r} in {where!r} ({count}); {hint}"


def _as_sequence(names: Iterable[str]) -> Sequence[str]:
    return names if isinstance(names, list | tuple) else list(names)


def _without_output(name: str) -> str:
    """`name` without the output number and the slashes that callers add."""
    return re.sub(r":\d+\Z", "", name.strip()).strip("/")


def _plain(name: str) -> str:
    """`name` as spellings are compared: lower case, no suffix of object-based keys."""
    return name.removesuffix(_VARIABLE_SUFFIX).lower()


def _equal_but_form(wanted: str, known: Sequence[str]) -> list[str]:
    forms = {wanted, wanted + _VARIABLE_SUFFIX.lower()}
    lengths = {len(form) for form in forms}
    return [x for x in known if len(x) in lengths and x.lower() in forms]


def _same_last(asked: str, known: Sequence[str]) -> list[str]:
    """Names whose last component is that of `asked`."""
    last = asked.rpartition("/")[2]
    whole = (last, last + _VARIABLE_SUFFIX)
    tails = tuple("/" + x for x in whole)
    return [x for x in known if x.endswith(tails) or x in whole]


def _below_scope(asked: str, same_last: Sequence[str]) -> list[str]:
    """Names that are `asked` inside some scope, or `asked` without its outer scopes."""
    inner = (f"/{asked}", f"/{asked}{_VARIABLE_SUFFIX}")
    parts = asked.split("/")
    outer = {"/".join(parts[i:]) for i in range(1, len(parts))}
    outer |= {x + _VARIABLE_SUFFIX for x in outer}
    return heapq.nsmallest(
        _MAX_COMPARED,
        (x for x in same_last if x in outer or x.endswith(inner)),
        key=lambda x: (abs(len(x) - len(asked)), x),
    )


def _candidates(asked: str, known: Sequence[str], same_last: Sequence[str]) -> Iterable[str]:
    """At most _MAX_COMPARED names worth a comparison of spelling."""
    if len(known) <= _MAX_COMPARED:
        return known
    at = bisect_left(known, asked)
    near = list(known[max(0, at - _NEIGHBOURS) : at + _NEIGHBOURS])
    lengths = range(len(asked) - 2, len(asked) + 3)
    close = _sharing_most(asked, [x for x in same_last if len(x) in lengths])
    return dict.fromkeys(near + _spread(close, _MAX_COMPARED - len(near)))


def _sharing_most(asked: str, names: list[str]) -> list[str]:
    """Those of `names` that share most last components with `asked`, then most first ones."""
    parts = asked.split("/")
    for i in range(1, len(parts) - 1):
        tail = "/" + "/".join(parts[i:])
        if found := [x for x in names if x.endswith(tail)]:
            names = found
            break
    for i in range(len(parts) - 1, 0, -1):
        head = "/".join(parts[:i]) + "/"
        if found := [x for x in names if x.startswith(head)]:
            return found
    return names


def _spread(items: list[str], count: int) -> list[str]:
    """At most `count` of `items`, at even distances."""
    if len(items) <= count:
        return items
    return [items[i * len(items) // count] for i in range(count)]


def _similar(asked: str, candidates: Iterable[str]) -> list[str]:
    import difflib

    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2(_plain(asked))
    scored = []
    for candidate in candidates:
        matcher.set_seq1(_plain(candidate))
        if min(matcher.real_quick_ratio(), matcher.quick_ratio()) >= _CUTOFF:
            scored.append((-matcher.ratio(), candidate))
    return [candidate for ratio, candidate in sorted(scored) if -ratio >= _CUTOFF]
