"""Writing nested dicts and lists of arrays as object-based checkpoints."""

from __future__ import annotations

import collections
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastckpt
from fastckpt.graph import (
    ObjectState,
    load_objects,
    object_graph,
    object_tensors,
    save_objects,
)
from unit.objects_helpers import KEY, VALUE, variable_key

K = variable_key
W = np.arange(6, dtype=np.float32).reshape(2, 3)


def save(folder: Path, objects: Any, **options: Any) -> Any:
    """Save without a counter, and give the object graph."""
    options = {"save_counter": False, "sync": False} | options
    return object_graph(save_objects(folder / "m", objects, **options))


def children(graph: Any) -> list[dict[str, int]]:
    return [node.children for node in graph.nodes]


def test_objects_are_numbered_breadth_first(tmp_path: Path) -> None:
    graph = save(tmp_path, {"d": {"z": W, "a": {"k": 1}}, "b": [2, (3, {})], "e": []})
    assert children(graph) == [
        {"b": 1, "d": 2, "e": 3},
        {"0": 4, "1": 5},
        {"z": 6, "a": 7},
        {}, {}, {"0": 8, "1": 9}, {}, {"k": 10}, {}, {}, {},
    ]  # fmt: skip
    assert list(graph.checkpoint) == sorted(
        [KEY, *map(K, ["b/0", "b/1/0", "d/a/k", "d/z"])], key=str.encode
    )
    stored = [node.has_checkpoint_values for node in graph.nodes]
    assert [x for x, has in enumerate(stored) if not has] == [3, 9]
    np.testing.assert_array_equal(graph["d.z"], W)


def test_one_array_is_one_variable(tmp_path: Path) -> None:
    graph = save(tmp_path, {"a": [W], "b": {"c": W}, "d": W, "copy": W.copy()})
    assert list(graph.variables) == ["copy", "d"]
    assert graph.aliases("d") == ["d", "a[0]", "b.c"]
    # Python keeps one object for equal numbers and names; these are variables of their own.
    assert (
        len(save(tmp_path, {"a": 1, "b": 1, "c": "x", "d": "x", "e": np.int8(1)}).variables) == 5
    )


def test_a_shared_dict_is_wrapped_at_each_place(tmp_path: Path) -> None:
    shared = {"w": W, "n": 1, "deeper": {"v": W.copy()}}
    graph = save(tmp_path, {"a": shared, "b": shared, "c": [shared]})
    a, b, c = graph.find("a"), graph.find("b"), graph.find("c[0]")
    assert a.children == b.children == c.children
    assert len({a.id, b.id, c.id}) == 3
    state = ObjectState(shared)
    graph = save(tmp_path, {"a": state, "b": state})
    assert graph.find("a").id == graph.find("b").id


def test_cycles(tmp_path: Path) -> None:
    state = ObjectState({"w": W})
    state["me"] = state
    plain: dict[str, Any] = {"w": W.copy()}
    plain["me"] = plain
    graph = save(tmp_path, {"plain": plain, "state": state})
    assert graph.find("state.me.me").id == graph.find("state").id
    assert graph.key("plain.me.me.w") == K("plain/w")
    plain["me"] = [plain]
    graph = save(tmp_path, plain, save_counter=3)
    assert graph.find("me[0].me[0]").children.keys() == {"w", "me"}
    assert list(graph.variables) == ["w", "save_counter"]


def test_names_are_escaped(tmp_path: Path) -> None:
    names = ["a/b", "a.b", ".ATTRIBUTES", "", "0", "é", "a b", "\x00"]
    graph = save(tmp_path, {"d": dict.fromkeys(names, 1)})
    assert [x.key for node in graph.nodes for x in node.attributes] == [
        K("d/" + x) for x in ["a.Sb", "a..b", "..ATTRIBUTES", "", "0", "é", "a b", "\x00"]
    ]
    assert list(load_objects(graph.checkpoint)["d"]) == names


def test_python_numbers_have_the_types_of_tensorflow(tmp_path: Path) -> None:
    values = {
        "f": 1.5, "i": -3, "big": 1 << 40, "b": True, "c": 1j, "s": "é", "y": b"\xff\x00",
        "f64": np.float64(1), "i8": np.int8(1), "q": ObjectState({}, {VALUE: (W[0], "float32")}),
    }  # fmt: skip
    graph = save(tmp_path, values)
    assert {name: x.tf_dtype for name, x in graph.variables.items()} == {
        "f": "float32", "i": "int32", "big": "int64", "b": "bool", "c": "complex128",
        "s": "string", "y": "string", "f64": "float64", "i8": "int8", "q": "float32",
    }  # fmt: skip
    assert graph["y"].item() == b"\xff\x00"


def test_what_is_left_out(tmp_path: Path) -> None:
    graph = save(tmp_path, {"l": [None, 1, ()], "none": None})
    assert children(graph) == [{"l": 1}, {"1": 2}, {}]
    assert children(save(tmp_path, {})) == [{}]


def test_named_tuples_have_both_names(tmp_path: Path) -> None:
    pair = collections.namedtuple("pair", "x y")  # noqa: PYI024
    graph = save(tmp_path, {"p": pair(1, {"a": 2})})
    assert graph.find("p").children == {"x": 2, "y": 3, "0": 2, "1": 3}
    assert list(graph.variables) == ["p.x", "p.y.a"]


def test_other_mappings_and_stored_tensors(tmp_path: Path) -> None:
    path = fastckpt.save(tmp_path / "by-name", {"layer/w": W, "b": 1}, sync=False)
    with fastckpt.open(path) as ckpt:
        handle = ckpt.tensor("layer/w")
        objects = {"all": ckpt, "od": collections.OrderedDict(w=handle), "again": handle}
        graph = save(tmp_path, objects)
    assert list(graph.variables) == ["again", "all.b", 'all["layer/w"]']
    np.testing.assert_array_equal(graph["od.w"], W)


@pytest.mark.parametrize(
    ("prefix", "counter", "stored"),
    [
        ("m-7", None, 7),
        ("m", None, 0),
        ("m-7", 3, 3),
        ("m-7", False, None),
        ("m-x-0012", None, 12),
        ("m-99999999999999999999", None, 0),
    ],
)
def test_the_save_counter(tmp_path: Path, prefix: str, counter, stored) -> None:
    path = save_objects(tmp_path / prefix, {"w": 1}, save_counter=counter, sync=False)
    graph = object_graph(path)
    assert graph.save_counter == stored
    if stored is not None:
        assert graph.variables["save_counter"].tf_dtype == "int64"
        assert list(graph.find("").children) == ["w", "save_counter"]


def test_a_counter_among_the_objects(tmp_path: Path) -> None:
    objects = {"z": 1, "save_counter": np.int64(5)}
    graph = object_graph(save_objects(tmp_path / "m-7", objects, sync=False))
    assert graph.save_counter == 5
    assert list(graph.find("").children) == ["z", "save_counter"]
    graph = object_graph(save_objects(tmp_path / "m-7", objects, save_counter=9, sync=False))
    assert graph.save_counter == 9


def test_slots(tmp_path: Path) -> None:
    objects = {"a": {"w": W}, "opt": {"iter": np.int64(1)}, "b": 2.0}
    slots = {("opt", "m"): {"b": 3.0, "a.w": W + 1}, ("opt", "v"): {"a/w": W + 2}}
    graph = save(tmp_path, objects, slots=slots)
    assert graph.nodes[3].slot_variables == (("m", 2, 6), ("m", 4, 7), ("v", 4, 8))
    assert graph.nodes[6].attributes[0].key == K("b/.OPTIMIZER_SLOT/opt/m")
    found = {key: {x: y.read().tolist() for x, y in of.items()} for key, of in graph.slots.items()}
    assert found == {
        ("opt", "m"): {"b": 3.0, "a.w": (W + 1).tolist()},
        ("opt", "v"): {"a.w": (W + 2).tolist()},
    }
    again = save(tmp_path, load_objects(graph.checkpoint), slots=graph.slots)
    assert again.message == graph.message


def test_full_names(tmp_path: Path) -> None:
    objects = {"a": {"w": W, "b": 1}, "opt": {}}
    slots = {("opt", "m"): {"a.w": W, "a.b": 1}}
    graph = save(tmp_path, objects, slots=slots, full_names={"a.w": "layer/w"})
    assert list(graph.names_to_keys()) == ["layer/w", "a/b", "opt/layer/w/m", "opt/a/b/m"]
    with pytest.raises(fastckpt.InvalidArgumentError, match="'x', which is no variable"):
        save(tmp_path, objects, full_names={"x": "y"})


@pytest.mark.parametrize(
    ("objects", "options", "words"),
    [
        ([W], {}, "objects must be a mapping"),
        ({1: W}, {}, "object at the top (lists give numbers from 0 on) must be str, not int: 1"),
        ({"a": [{"b": {2: 1}}]}, {}, "in 'a[0].b'"),
        ({"a": "\ud800"}, {}, "Unicode"),
        ({"\ud800": W}, {}, "lone surrogate"),
        ({"a": {"b": object()}}, {}, "tensor 'a.b'"),
        ({"": W, "x": ObjectState()}, {"slots": {("y", "m"): {}}}, "the optimizer 'y'"),
        ({"w": W, "o": {}}, {"slots": {("o", "m"): {"v": W}}}, "the variable 'v'"),
        ({"w": W, "o": {}}, {"slots": {("o", "m"): {"a..b": W}}}, "is no friendly name"),
        ({"w": W, "o": {}}, {"slots": {"o.m": {"w": W}}}, "slots must map"),
        ({"w": W, "o": {}}, {"slots": {("o", "m"): W}}, "slots must map"),
        ({"w": W, "o": {}}, {"slots": {("o", 1): {"w": W}}}, "a name in slots must be str"),
        ({"w": W, "o": {}}, {"slots": {("o", "\ud800"): {"w": W}}}, "lone surrogate"),
        ({"w": W}, {"full_names": {"w": 1}}, "full_names['w'] must be str"),
        ({"w": W}, {"save_counter": True}, "save_counter"),
        ({"w": W}, {"save_counter": -1}, "save_counter"),
        (ObjectState({"": W}, {VALUE: W}), {}, "two objects have the key"),
        ({"w": ObjectState({}, {1: W})}, {}, "must be str"),
    ],
)
def test_mistakes_write_nothing(tmp_path: Path, objects, options, words: str) -> None:
    with pytest.raises(fastckpt.InvalidArgumentError) as caught:
        save(tmp_path, objects, **options)
    assert words in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_depth(tmp_path: Path) -> None:
    tree: Any = {"w": W}
    for _ in range(5000):
        tree = {"a": tree}
    graph = save(tmp_path, tree)
    assert len(graph.checkpoint.tensor(graph.key("/".join(["a"] * 5000 + ["w"]))).name) > 10_000
    for _ in range(6000):
        tree = [tree]
    with pytest.raises(fastckpt.LimitExceededError, match="nested more than"):
        save(tmp_path, {"a": tree})


def test_tensors_for_another_writer(tmp_path: Path) -> None:
    tensors = object_tensors({"a": [W]}, save_counter=4)
    assert list(tensors) == [K("save_counter"), K("a/0"), KEY]
    path = fastckpt.save_async(tmp_path / "m", tensors, sync=False).result()
    assert object_graph(path).save_counter == 4


def test_an_existing_checkpoint_is_replaced_at_one_stroke(tmp_path: Path) -> None:
    path = save_objects(tmp_path / "m", {"a": W}, sync=False)
    old = load_objects(path, views=True)
    with pytest.raises(fastckpt.InvalidArgumentError):
        save_objects(path, {"a": object()}, sync=False)
    np.testing.assert_array_equal(load_objects(path)["a"], W)
    save_objects(path, {"b": W + 1}, sync=False, num_shards=2)
    assert list(load_objects(path)) == ["b", "save_counter"]
    np.testing.assert_array_equal(old["a"], W)
