"""Rules that give tensors other names: exact names, scopes, regular expressions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from fastckpt.errors import InvalidArgumentError, TensorNotFoundError
from fastckpt.names import near_names

__all__ = ["Rules", "new_names"]

Rules = Mapping[str, str] | Iterable[str] | str | Callable[[str], str]

# How many names a message lists.
_MAX_NAMED = 5

_FLAGS = frozenset("gi")


class _Rule(NamedTuple):
    """One rule of text, and what it makes of a name; None where it does not apply."""

    text: str
    subject: str
    apply: Callable[[str], str | None]


def new_names(names: Sequence[str], rules: Rules, where: str) -> dict[str, str]:
    r"""Give every name its new one, by rules.

    Parameters
    ----------
    names : sequence of str
        All names there are.
    rules : mapping, str, iterable of str, or callable
        A mapping holds exact names, all replaced at once, so that two may change places. Rules of
        text are applied one after the other, each to what the ones before it made:

        ``old=new``
            an exact name
        ``old/=new/``
            the scope `old`, all below it; ``old/=`` takes the scope away, ``=new/`` puts
            everything below `new`
        ``s/regex/replacement/``
            the first match of a regular expression, as in sed; ``\1`` is its first group. After
            the last delimiter, ``g`` means every match, ``i`` any case. Another delimiter saves
            escaping: ``s|old/(\w+)|new/\1|``

        A callable is given each name and returns the new one.
    where : str
        The checkpoint, for messages.

    Returns
    -------
    dict of str to str
        In the order of `names`, names that stay the same included.

    Raises
    ------
    TensorNotFoundError
        A name or rule applies to nothing; the message lists near names.
    InvalidArgumentError
        Not a rule; two tensors would have the same name; a name would be empty.
    """
    if isinstance(rules, Mapping):
        found = _by_mapping(names, rules, where)
    elif callable(rules):
        found = {name: _checked(name, rules(name)) for name in names}
    else:
        found = _by_rules(names, [rules] if isinstance(rules, str) else rules, where)
    _check_distinct(found)
    return found


def _by_mapping(names: Sequence[str], mapping: Mapping[str, str], where: str) -> dict[str, str]:
    known = set(names)
    missing = [old for old in mapping if old not in known]
    if missing:
        raise _nothing_named(missing, names, where)
    return {name: _checked(name, mapping.get(name, name)) for name in names}


def _by_rules(names: Sequence[str], rules: Iterable[str], where: str) -> dict[str, str]:
    found = {name: name for name in names}
    for rule in map(_parse, rules):
        applied = False
        for old, current in found.items():
            new = rule.apply(current)
            if new is not None:
                found[old] = _checked(old, new)
                applied = True
        if not applied:
            raise _no_match(rule, list(found.values()), where)
    return found


def _checked(old: str, new: object) -> str:
    if not isinstance(new, str):
        raise InvalidArgumentError(
            f"the new name of {old!r} must be a str, not {type(new).__name__}", key=old
        )
    if not new:
        raise InvalidArgumentError(f"the new name of {old!r} would be empty", key=old)
    return new


def _check_distinct(found: Mapping[str, str]) -> None:
    if len(set(found.values())) == len(found):
        return
    sources: dict[str, list[str]] = {}
    for old, new in found.items():
        sources.setdefault(new, []).append(old)
    clashes = {new: olds for new, olds in sources.items() if len(olds) > 1}
    lines = [
        f"{new!r} from {', '.join(map(repr, olds[:_MAX_NAMED]))}"
        for new, olds in list(clashes.items())[:_MAX_NAMED]
    ]
    more = len(clashes) - len(lines)
    rest = f"; and {more} more" if more > 0 else ""
    raise InvalidArgumentError(
        f"several tensors would have the same name: {'; '.join(lines)}{rest}; change the rules, "
        "or drop one of the tensors first",
        key=next(iter(clashes)),
    )


# --- rules of text -------------------------------------------------------------------------------


def _parse(text: str) -> _Rule:
    if not isinstance(text, str):
        raise InvalidArgumentError(f"a rule must be a str, not {type(text).__name__}")
    pieces = _substitution(text)
    old, equals, new = text.partition("=")
    is_plain = bool(equals) and "=" not in new and (bool(old) or new.endswith("/"))
    if pieces is not None and is_plain and old.endswith("/"):
        raise InvalidArgumentError(
            f"the rule {text!r} may mean a scope or a regular expression; write the latter with "
            f"another delimiter (s|…|…|), the former as s|^{old}|{new}|"
        )
    if pieces is not None:
        return _regex_rule(text, *pieces)
    if not is_plain:
        raise InvalidArgumentError(
            f"{text!r} is no rule: write old=new for a name, old/=new/ for a scope, or "
            "s/regex/replacement/; names that hold '=' go into a mapping"
        )
    if old.endswith("/") or not old:
        return _scope_rule(text, old, new)
    return _Rule(text, old, lambda name: new if name == old else None)


def _scope_rule(text: str, old: str, new: str) -> _Rule:
    if new and not new.endswith("/"):
        raise InvalidArgumentError(
            f"the rule {text!r} takes a scope and gives a name; write {text + '/'!r}"
        )

    def apply(name: str) -> str | None:
        return new + name[len(old) :] if name.startswith(old) else None

    return _Rule(text, old, apply)


def _substitution(text: str) -> tuple[str, str, str] | None:
    """Split ``s/regex/replacement/flags``; None where the text is no such thing."""
    if len(text) < 4 or text[0] != "s" or text[1].isalnum() or text[1] in "=\\ _":
        return None
    delimiter = text[1]
    pieces = [""]
    rest = iter(text[2:])
    for char in rest:
        if char == "\\":
            following = next(rest, "")
            # An escaped delimiter is the character itself; all other escapes are the regex's.
            pieces[-1] += following if following == delimiter else char + following
        elif char == delimiter:
            pieces.append("")
        else:
            pieces[-1] += char
    if len(pieces) != 3 or not pieces[0] or not set(pieces[2]) <= _FLAGS:
        return None
    return pieces[0], pieces[1], pieces[2]


def _regex_rule(text: str, regex: str, replacement: str, flags: str) -> _Rule:
    count = 0 if "g" in flags else 1
    try:
        pattern = re.compile(regex, re.IGNORECASE if "i" in flags else 0)
    except re.error as error:
        raise InvalidArgumentError(f"the rule {text!r} has no valid regex: {error}") from None

    def apply(name: str) -> str | None:
        try:
            return pattern.sub(replacement, name, count) if pattern.search(name) else None
        except (re.error, IndexError) as error:
            raise InvalidArgumentError(
                f"the rule {text!r} has no valid replacement: {error}"
            ) from None

    return _Rule(text, regex, apply)


# --- errors --------------------------------------------------------------------------------------


def _no_match(rule: _Rule, names: Sequence[str], where: str) -> TensorNotFoundError:
    if rule.subject.endswith("/"):
        scopes = {name[: at.end()] for name in names for at in re.finditer("/", name)}
        hint = _did_you_mean(rule.subject, sorted(scopes))
    else:
        hint = _did_you_mean(rule.subject, names)
    return TensorNotFoundError(
        f"the rule {rule.text!r} applies to none of the {len(names)} tensors of {where!r}{hint}",
        path=where,
        key=rule.subject,
    )


def _nothing_named(
    missing: Sequence[str], names: Sequence[str], where: str
) -> TensorNotFoundError:
    shown = "; ".join(f"{x!r}{_did_you_mean(x, names)}" for x in missing[:_MAX_NAMED])
    more = len(missing) - _MAX_NAMED
    rest = f"; and {more} more" if more > 0 else ""
    return TensorNotFoundError(
        f"{len(missing)} names to replace are not in {where!r}: {shown}{rest}",
        path=where,
        key=missing[0],
    )


def _did_you_mean(name: str, names: Sequence[str]) -> str:
    near = near_names(name, names)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
