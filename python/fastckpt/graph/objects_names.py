"""Checkpoint keys of object-based checkpoints and the friendly names that stand for them.

A key spells the way from the root to an object, and what is stored of it:
``model/layers/0/kernel/.ATTRIBUTES/VARIABLE_VALUE``. Its friendly name is
``model.layers[0].kernel``. These are pure functions of the text; no file is touched.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

from fastckpt.errors import InvalidArgumentError

__all__ = [
    "VALUE",
    "Place",
    "checkpoint_key",
    "escape",
    "friendly_name",
    "friendly_path",
    "parse_name",
    "place_of_key",
    "unescape",
]

# The attribute that holds the value of a variable.
VALUE = "VARIABLE_VALUE"

_ATTRIBUTES = "/.ATTRIBUTES/"
_SLOT = "/.OPTIMIZER_SLOT/"

# Local names that need no quotes, and those that stand in brackets as the index of an item.
_PLAIN = re.compile(r"""[^\s.\[\](){}'"@/\\]+""")
_INDEX = re.compile(r"0|[1-9][0-9]*")
_DECODER = json.JSONDecoder(strict=False)
_SINGLE_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL)


class Place(NamedTuple):
    """Where a tensor belongs in the tree of objects.

    Attributes
    ----------
    path : tuple of str
        Local names from the root to the object; of a slot variable, to the variable it is for.
    attribute : str
        What of the object it is.
    optimizer : tuple of str or None
        Of a slot variable, the path of its optimizer.
    slot : str
        Of a slot variable, the name of the slot.
    """

    path: tuple[str, ...]
    attribute: str = VALUE
    optimizer: tuple[str, ...] | None = None
    slot: str = ""

    @property
    def key(self) -> str:
        """The checkpoint key."""
        text = _joined(self.path)
        if self.optimizer is not None:
            text += f"{_SLOT}{_joined(self.optimizer)}/{escape(self.slot)}"
        return f"{text}{_ATTRIBUTES}{escape(self.attribute)}"

    @property
    def name(self) -> str:
        """The friendly name."""
        text = friendly_path(self.path)
        if self.optimizer is not None:
            text = f"{friendly_path((*self.optimizer, self.slot))}({text})"
        if self.attribute != VALUE or not text:
            text += f"@{_quoted_unless_plain(self.attribute)}"
        return text


def escape(name: str) -> str:
    """Write a local name as keys hold it.

    >>> escape("a/b.c")
    'a.Sb..c'
    """
    if "." in name or "/" in name:
        return name.replace(".", "..").replace("/", ".S")
    return name


def unescape(text: str) -> str:
    """Undo :func:`escape`.

    >>> unescape("a.Sb..c")
    'a/b.c'
    """
    if "." not in text:
        return text
    return re.sub(r"\.[.S]", lambda match: "/" if match[0] == ".S" else ".", text)


def friendly_name(key: str) -> str:
    """Give the friendly name for a checkpoint key.

    Parameters
    ----------
    key : str
        Key of a tensor in an object-based checkpoint.

    Returns
    -------
    str
        Local names joined by dots. Indices stand in brackets, and so do, quoted, names with dots,
        slashes, brackets, quotes or blanks in them: ``d["a.b"]``. A slot variable is written as
        its optimizer's slot for a variable, ``opt.momentum(model.w)``. What is no variable has
        its attribute at the end: ``table@table-keys``. A key that is not of this form is its own
        name.

    Examples
    --------
    >>> friendly_name("model/layers/0/kernel/.ATTRIBUTES/VARIABLE_VALUE")
    'model.layers[0].kernel'
    >>> friendly_name("w/.OPTIMIZER_SLOT/opt/momentum/.ATTRIBUTES/VARIABLE_VALUE")
    'opt.momentum(w)'
    """
    place = place_of_key(key)
    return key if place is None else place.name


def checkpoint_key(name: str) -> str:
    """Give the checkpoint key for a friendly name.

    Parameters
    ----------
    name : str
        As :func:`parse_name` takes it.

    Returns
    -------
    str

    Raises
    ------
    InvalidArgumentError
        Brackets, quotes or parentheses that do not match.

    Examples
    --------
    >>> checkpoint_key('model.layers[0]["a/b"]')
    'model/layers/0/a.Sb/.ATTRIBUTES/VARIABLE_VALUE'
    """
    return parse_name(name).key


def friendly_path(path: Sequence[str]) -> str:
    """Write a path of local names as friendly names write it; the root's is empty."""
    text = "".join(map(_step, path))
    return text.removeprefix(".")


def parse_name(name: str) -> Place:
    """Read a friendly name.

    Parameters
    ----------
    name : str
        As :func:`friendly_name` gives it. Indices may follow a dot, ``layers.0``, and quotes may
        be single. A checkpoint key is read too, and so is one without its ending, ``layers/0``.

    Returns
    -------
    Place

    Raises
    ------
    InvalidArgumentError
        Brackets, quotes or parentheses that do not match.
    """
    place = place_of_key(name)
    return _Scanner(name).read() if place is None else place


def place_of_key(key: str) -> Place | None:
    """Read a checkpoint key.

    Returns
    -------
    Place or None
        None unless writing what was read gives the same key again.
    """
    # The escaped path comes first and never holds the mark, an attribute might.
    owner, mark, attribute = key.partition(_ATTRIBUTES)
    if not mark:
        return None
    if "." not in owner and "." not in attribute and "/" not in attribute:
        # Nothing is escaped, as in most keys.
        return Place(tuple(owner.split("/")) if owner else (), attribute)
    owner, mark, slot_path = owner.partition(_SLOT)
    if mark:
        *optimizer, slot = _split(slot_path)
        steps = () if optimizer == [""] else tuple(optimizer)
        place = Place(_split(owner), unescape(attribute), steps, slot)
    else:
        place = Place(_split(owner), unescape(attribute))
    return place if place.key == key else None


def _joined(path: Sequence[str]) -> str:
    return "/".join(map(escape, path))


@functools.lru_cache(4096)
def _step(name: str) -> str:
    if _INDEX.fullmatch(name):
        return f"[{name}]"
    return f".{name}" if _PLAIN.fullmatch(name) else f"[{_quoted(name)}]"


def _quoted(name: str) -> str:
    # Without the marks of keys in them, names in quotes are told from keys.
    return json.dumps(name, ensure_ascii=not name.isprintable()).replace("/.", "\\/.")


def _quoted_unless_plain(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else _quoted(name)


def _split(path: str) -> tuple[str, ...]:
    return tuple(map(unescape, path.split("/"))) if path else ()


class _Scanner:
    """Reads a friendly name from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def read(self) -> Place:
        path = self._path()
        optimizer, slot = None, ""
        if self._take("("):
            if not path:
                self._fail("the name of the slot is missing in front of")
            *steps, slot = path
            optimizer, path = tuple(steps), self._path()
            if not self._take(")"):
                self._fail("')' is missing at")
        attribute = self._attribute() if self._take("@") else VALUE
        if self._at < len(self._text):
            self._fail("cannot read")
        return Place(path, attribute, optimizer, slot)

    def _path(self) -> tuple[str, ...]:
        start = self._at
        steps: list[str] = []
        while self._at < len(self._text) and self._text[self._at] not in "()@":
            if self._take("/"):
                # Slashes join names in the spelling of keys.
                return self._escaped_path(start)
            if self._take("["):
                steps.append(self._bracket())
                continue
            if steps:
                self._take(".")
            steps.append(self._plain())
        return tuple(steps)

    def _escaped_path(self, start: int) -> tuple[str, ...]:
        match = re.compile(r"[^()@]*").match(self._text, start)
        self._at = match.end() if match else start
        return _split(self._text[start : self._at])

    def _bracket(self) -> str:
        name = self._string()
        if name is None:
            match = _INDEX.match(self._text, self._at)
            if match is None:
                self._fail("expected an index or a name in quotes at")
            name = match[0]
            self._at = match.end()
        if not self._take("]"):
            self._fail("']' is missing at")
        return name

    def _attribute(self) -> str:
        name = self._string()
        return self._plain() if name is None else name

    def _string(self) -> str | None:
        """Read a name in quotes, if one is here."""
        quote = self._text[self._at : self._at + 1]
        if quote == '"':
            try:
                name, self._at = _DECODER.raw_decode(self._text, self._at)
            except ValueError:
                self._fail("the quotes do not match at")
            return str(name)
        if quote != "'":
            return None
        match = _SINGLE_QUOTED.match(self._text, self._at)
        if match is None:
            self._fail("the quotes do not match at")
        self._at = match.end()
        return re.sub(r"\\(.)", r"\1", match[1], flags=re.DOTALL)

    def _plain(self) -> str:
        match = _PLAIN.match(self._text, self._at)
        if match is None:
            self._fail("expected a name at")
        self._at = match.end()
        return match[0]

    def _take(self, mark: str) -> bool:
        found = self._text.startswith(mark, self._at)
        self._at += found
        return found

    def _fail(self, what: str) -> NoReturn:
        rest = self._text[self._at : self._at + 20]
        raise InvalidArgumentError(
            f"{self._text!r} is no friendly name: {what} {rest!r}; names look like "
            'model.layers[0].kernel, with quotes around others: model["a.b"]',
            key=self._text,
        )
