"""Friendly names and checkpoint keys: each gives the other."""

from __future__ import annotations

import contextlib

import hypothesis.strategies as st
import pytest
from hypothesis import given

import fastckpt
from fastckpt.graph import checkpoint_key, friendly_name
from fastckpt.graph.objects_names import VALUE, Place, escape, parse_name, unescape

VALUE_KEY = "/.ATTRIBUTES/VARIABLE_VALUE"
NASTY = st.text(st.sampled_from("ab01.S/[](){}'\"@\\ é\n\x00"), max_size=5)
NAMES = NASTY | st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
PATHS = st.lists(NAMES, max_size=4).map(tuple)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("w/.ATTRIBUTES/VARIABLE_VALUE", "w"),
        ("model/layer/kernel/.ATTRIBUTES/VARIABLE_VALUE", "model.layer.kernel"),
        ("layers/0/kernel/.ATTRIBUTES/VARIABLE_VALUE", "layers[0].kernel"),
        ("0/10/.ATTRIBUTES/VARIABLE_VALUE", "[0][10]"),
        ("a/007/.ATTRIBUTES/VARIABLE_VALUE", "a.007"),
        ("layer_with_weights-0/b/.ATTRIBUTES/VARIABLE_VALUE", "layer_with_weights-0.b"),
        ("m/d/a.Sb/.ATTRIBUTES/VARIABLE_VALUE", 'm.d["a/b"]'),
        ("m/d/..x/.ATTRIBUTES/VARIABLE_VALUE", 'm.d[".x"]'),
        ("d//.ATTRIBUTES/VARIABLE_VALUE", 'd[""]'),
        ('d/\\"/.ATTRIBUTES/VARIABLE_VALUE', 'd["\\\\\\""]'),
        ("d/..ATTRIBUTES/.ATTRIBUTES/VARIABLE_VALUE", 'd[".ATTRIBUTES"]'),
        ("größe/.ATTRIBUTES/VARIABLE_VALUE", "größe"),
        ("w/.OPTIMIZER_SLOT/opt/m/.ATTRIBUTES/VARIABLE_VALUE", "opt.m(w)"),
        ("a/w/.OPTIMIZER_SLOT/train/opt/m/.ATTRIBUTES/VARIABLE_VALUE", "train.opt.m(a.w)"),
        ("w/.OPTIMIZER_SLOT//m/.ATTRIBUTES/VARIABLE_VALUE", "m(w)"),
        ("t/.ATTRIBUTES/table-keys", "t@table-keys"),
        ("t/.ATTRIBUTES/a..Sb....c", 't@"a.Sb..c"'),
        ("/.ATTRIBUTES/VARIABLE_VALUE", "@VARIABLE_VALUE"),
        ("/.ATTRIBUTES/py_state", "@py_state"),
    ],
)
def test_both_ways(key: str, name: str) -> None:
    assert friendly_name(key) == name
    assert checkpoint_key(name) == key
    assert checkpoint_key(key) == key


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("layers.0.kernel", "layers/0/kernel"),
        ("layers[0]kernel", "layers/0/kernel"),
        ("d['a.b']", "d/a..b"),
        ("d['it\\'s']", "d/it's"),
        ('d["plain"]', "d/plain"),
        ("d/a.Sb/0", "d/a.Sb/0"),
        ("opt.m(d/a.Sb)", "d/a.Sb/.OPTIMIZER_SLOT/opt/m"),
    ],
)
def test_other_spellings(name: str, key: str) -> None:
    assert checkpoint_key(name) == key + VALUE_KEY


@pytest.mark.parametrize(
    "key", ["layer/kernel", "_CHECKPOINTABLE_OBJECT_GRAPH", "a.b/.ATTRIBUTES/VARIABLE_VALUE", ""]
)
def test_a_key_of_another_form_is_its_own_name(key: str) -> None:
    assert friendly_name(key) == key


@pytest.mark.parametrize(
    "name", ["a..b", ".", "a.[0]", "a[", "a[x]", "a[-1]", "a[00]", 'a["b', "a['b", "(w)", "m(w",
             "m(w))", "a b", "a@", "a@b.c"],
)  # fmt: skip
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(fastckpt.InvalidArgumentError, match="is no friendly name"):
        checkpoint_key(name)


@given(PATHS, st.just(VALUE) | NAMES, st.none() | PATHS, NAMES)
def test_every_place_has_its_names(path, attribute, optimizer, slot) -> None:
    place = Place(path, attribute, optimizer, "" if optimizer is None else slot)
    name = friendly_name(place.key)
    assert checkpoint_key(name) == place.key
    assert parse_name(place.name).key == place.key
    # A root and one child without a name have one key in TensorFlow too.
    if path != ("",) and optimizer != ("",):
        assert parse_name(name) == place


@given(NASTY)
def test_any_text_is_a_name_or_an_error(text: str) -> None:
    assert isinstance(friendly_name(text), str)
    with contextlib.suppress(fastckpt.InvalidArgumentError):
        key = checkpoint_key(text)
        assert checkpoint_key(friendly_name(key)) == key


@given(NAMES)
def test_escaping(name: str) -> None:
    assert unescape(escape(name)) == name
    assert "/" not in escape(name)
