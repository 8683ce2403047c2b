"""Object graphs that are damaged, odd or made to harm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import fastckpt
from fastckpt.graph import (
    load_objects,
    names_to_keys,
    object_graph,
    objects_message,
    save_objects,
)
from unit.objects_helpers import (
    KEY,
    VALUE,
    graph_message,
    variable,
    variable_key,
    write_bytes,
    write_graph,
)


def check_damaged(path: str, *words: str) -> None:
    for read in (object_graph, load_objects):
        with pytest.raises(fastckpt.DataLossError) as caught:
            read(path)
        for word in words:
            assert word in str(caught.value)
        assert caught.value.key == KEY


def test_a_checkpoint_by_name(tmp_path: Path) -> None:
    path = fastckpt.save(tmp_path / "m", {"w": 1}, sync=False)
    for read in (object_graph, load_objects, names_to_keys):
        with pytest.raises(fastckpt.InvalidArgumentError, match="has no object graph") as caught:
            read(path)
        # TensorFlow's Saver looks for a missing tensor, object_metadata raises ValueError.
        assert isinstance(caught.value, fastckpt.TensorNotFoundError)


def test_cut_at_every_length(tmp_path: Path) -> None:
    nodes = [{"children": [("w", 1)]}, variable("w", "full name")]
    data = graph_message(nodes).SerializeToString()
    for length in range(len(data)):
        path = write_bytes(tmp_path / "m", data[:length], **{variable_key("w"): 1})
        try:
            graph = object_graph(path)
        except fastckpt.DataLossError:
            continue
        assert graph.message.ByteSize() == length


@pytest.mark.parametrize(
    ("graph", "word"),
    [
        (b"", "no object"),
        (b"\xff" * 9, "do not parse"),
        (b"\x0a\x04\x0a\x02\x12\xff", "do not parse"),
        (np.zeros(3), "float64 [3]"),
        ([b"", b""], "string [2]"),
    ],
)
def test_what_is_no_graph(tmp_path: Path, graph, word: str) -> None:
    check_damaged(write_bytes(tmp_path / "m", graph), word)


@pytest.mark.parametrize("number", [1, -1, 2**31 - 1, -(2**31)])
def test_numbers_out_of_range(tmp_path: Path, number: int) -> None:
    path = write_graph(tmp_path / "m", [{"children": [("a", number)]}])
    check_damaged(path, f"child 'a' of object 0 is object {number}")
    for slots in ([("s", number, 0)], [("s", 0, number)]):
        check_damaged(write_graph(tmp_path / "m", [{"slots": slots}]), "slot 's' of object 0")


def test_a_graph_that_is_too_large(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(objects_message, "MAX_BYTES", 99)
    path = write_bytes(tmp_path / "m", b"\x0a\x00" * 50)
    with pytest.raises(fastckpt.LimitExceededError):
        object_graph(path)


def test_very_many_objects(tmp_path: Path) -> None:
    graph = object_graph(write_bytes(tmp_path / "m", b"\x0a\x00" * 100_000))
    assert len(graph.nodes) == 100_000
    assert list(graph.tree(max_lines=3)) == ["(root)"]


def test_a_deep_chain(tmp_path: Path) -> None:
    count = 10_000
    nodes = [{"children": [("a", x + 1)]} for x in range(count - 1)]
    nodes.append({"attributes": [(VALUE, "v", "k")]})
    path = write_graph(tmp_path / "m", nodes, k=5)
    graph = object_graph(path)
    assert list(graph.variables) == list(graph.weights) == ["k"]
    assert len(graph.path(count - 1) or ()) == count - 1
    assert graph[".".join(["a"] * (count - 1))] == 5
    assert list(graph.tree())[-1].endswith("a  … 1 below")
    tree = load_objects(path)
    for _ in range(count - 1):
        tree = tree["a"]
    assert tree == 5


def test_everything_leads_everywhere(tmp_path: Path) -> None:
    count = 60
    every = [(str(x), x) for x in range(count)]
    nodes = [
        {"children": every, "slots": [("s", x, 0)], "attributes": [(VALUE, "", "k")]}
        for x in range(count)
    ]
    graph = object_graph(write_graph(tmp_path / "m", nodes, k=5))
    # Each object is drawn once, with a line for each child and each slot variable.
    assert len(list(graph.tree())) <= count * (count + 1) + 1
    assert list(graph.variables) == ["k"]
    assert len(graph.optimizers) == count
    assert list(load_objects(graph.checkpoint).attributes) == [VALUE]


def test_names_that_come_twice(tmp_path: Path) -> None:
    nodes = [{"children": [("w", 1), ("w", 2)]}, variable("w"), variable("u")]
    values = {variable_key("w"): 1, variable_key("u"): 2}
    graph = object_graph(write_graph(tmp_path / "m", nodes, **values))
    assert list(graph.variables) == ["w", "u"]
    # The last child of a name counts, as in TensorFlow's own view of the file.
    assert graph.find("w").id == 2
    assert load_objects(graph.checkpoint) == {"w": 2}


def test_keys_of_another_form(tmp_path: Path) -> None:
    nodes = [
        {"children": [("a", 1), ("b", 2), ("c", 3)]},
        {"attributes": [(VALUE, "", "a")]},
        variable("a"),
        {"attributes": [(VALUE, "", "x.y/.ATTRIBUTES/VARIABLE_VALUE")]},
    ]
    odd = "x.y/.ATTRIBUTES/VARIABLE_VALUE"
    values = {"a": 1, variable_key("a"): 2, odd: 3}
    graph = object_graph(write_graph(tmp_path / "m", nodes, **values))
    assert {name: int(x.read()) for name, x in graph.variables.items()} == {
        "a": 1, variable_key("a"): 2, odd: 3,
    }  # fmt: skip
    for name in graph.variables:
        assert graph.variables[graph.key(name)].name == name or graph.key(name) == name
    assert graph["b"] == 2


def test_odd_keys_of_other_values(tmp_path: Path) -> None:
    nodes = [
        {"children": [("a", 1)]},
        {"attributes": [("py_state", "", "a..b"), ("table", "", "x[")]},
    ]
    values = {"a..b": b"s", "x[-keys": 1, "x[_more": 2}
    graph = object_graph(write_graph(tmp_path / "m", nodes, **values))
    assert list(graph.others) == list(values)
    assert graph.python_state == {}
    assert graph["a@py_state"].item() == b"s"
    assert list(load_objects(graph.checkpoint)["a"].attributes) == list(values)


def test_a_root_with_numbers(tmp_path: Path) -> None:
    children = [(str(x), x + 1) for x in range(11)]
    nodes = [{"children": children}, *(variable(str(x)) for x in range(11))]
    values = {variable_key(str(x)): x for x in range(11)}
    tree = load_objects(write_graph(tmp_path / "m", nodes, **values))
    assert list(tree) == [str(x) for x in range(11)]
    assert load_objects(save_objects(tmp_path / "n", tree, save_counter=False)) == tree


def test_a_value_that_is_not_stored(tmp_path: Path) -> None:
    path = write_graph(tmp_path / "m", [{"children": [("w", 1)]}, variable("w")])
    graph = object_graph(path)
    assert graph.variables == {}
    assert list(graph.tree()) == ["(root)", "└─ w  (not stored)"]
    with pytest.raises(fastckpt.TensorNotFoundError):
        graph.tensor("w")
    with pytest.raises(fastckpt.TensorNotFoundError):
        load_objects(path)


def test_a_way_back_that_comes_first(tmp_path: Path) -> None:
    """The shortest ways stay in nested arrays, whatever cycle is met first on the way."""
    nodes = [
        {"children": [("a", 1), ("u", 2)]},
        {"children": [("v", 3)]},
        {"children": [("v", 3), ("a", 1)]},
        {"children": [("u", 2), ("w", 4)]},
        variable("a/v/w"),
    ]
    path = write_graph(tmp_path / "m", nodes, **{variable_key("a/v/w"): 7})
    tree = load_objects(path)
    assert tree["a"]["v"]["w"] == 7
    assert tree["u"]["v"] is tree["a"]["v"]
    assert "u" not in tree["a"]["v"]


def test_a_counter_that_is_none(tmp_path: Path) -> None:
    nodes = [{"children": [("save_counter", 1)]}, variable("save_counter")]
    path = write_graph(tmp_path / "m", nodes, **{variable_key("save_counter"): [b"x"]})
    assert object_graph(path).save_counter is None
    assert object_graph(write_graph(tmp_path / "n", [{}])).save_counter is None
