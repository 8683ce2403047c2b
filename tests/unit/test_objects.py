"""Reading object graphs: objects, names, variables, slots, trees, nested arrays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastckpt
from fastckpt.graph import ObjectGraph, ObjectState, load_objects, names_to_keys, object_graph
from unit.objects_helpers import KEY, VALUE, variable, variable_key, write_graph

K = variable_key


@pytest.fixture
def training(tmp_path: Path) -> ObjectGraph:
    """A model of two layers, an optimizer with slots, a counter; layers know their model."""
    slot = "model/layers/0/w/.OPTIMIZER_SLOT/opt/momentum"
    nodes = [
        {"children": [("model", 1), ("opt", 2), ("step", 3), ("save_counter", 4)]},
        {"children": [("layers", 5), ("empty", 6)]},
        {"children": [("iter", 7), ("decay", 8)], "slots": [("momentum", 11, 13)]},
        variable("step", "global_step"),
        variable("save_counter", "save_counter"),
        {"children": [("0", 9), ("1", 10)]},
        {},
        variable("opt/iter"),
        variable("opt/decay"),
        {"children": [("w", 11), ("model", 1)]},
        {"children": [("w", 11), ("_b", 12)]},
        variable("model/layers/0/w", "layer/w"),
        variable("model/layers/1/_b", "layer/b"),
        variable(slot, "layer/w/Momentum"),
    ]
    values = {
        K("step"): np.int64(7), K("save_counter"): np.int64(3),
        K("opt/iter"): np.int64(70), K("opt/decay"): np.float32(0.5),
        K("model/layers/0/w"): np.ones((2, 3), np.float32),
        K("model/layers/1/_b"): np.zeros(3, np.float32), K(slot): np.full((2, 3), 9, np.float32),
    }  # fmt: skip
    return object_graph(write_graph(tmp_path / "m", nodes, **values))


def test_variables_have_friendly_names(training: ObjectGraph) -> None:
    assert list(training.variables) == [
        "step", "save_counter", "opt.iter", "opt.decay", "model.layers[0].w", "model.layers[1]._b",
    ]  # fmt: skip
    assert training.variables["model.layers[0].w"].shape == (2, 3)
    assert list(training) == list(training.variables)
    assert len(training) == 6
    assert training.save_counter == 3


def test_slots_and_state_of_optimizers_are_told_apart(training: ObjectGraph) -> None:
    ((key, values),) = training.slots.items()
    assert key == ("opt", "momentum")
    assert list(values) == ["model.layers[0].w"]
    np.testing.assert_array_equal(values["model.layers[0].w"], np.full((2, 3), 9))
    (optimizer,) = training.optimizers.values()
    assert optimizer.name == "opt"
    assert optimizer.slots == {"momentum": values}
    assert list(optimizer.variables) == ["opt.iter", "opt.decay"]
    assert list(training.weights) == ["step", "model.layers[0].w", "model.layers[1]._b"]
    assert list(training.trainable) == ["model.layers[0].w"]


@pytest.mark.parametrize(
    "name",
    [
        "model.layers[0].w",
        "model.layers.0.w",
        "model/layers/0/w",
        "model/layers/0/w/.ATTRIBUTES/VARIABLE_VALUE",
        "model.layers[1].w",
        "model.layers[0].model.layers[1].w",
    ],
)
def test_any_path_finds_a_tensor(training: ObjectGraph, name: str) -> None:
    assert training.key(name) == K("model/layers/0/w")
    assert training[name].shape == (2, 3)
    assert name in training
    assert training.find(name).id == 11


def test_slots_underscores_and_what_is_missing(training: ObjectGraph) -> None:
    assert training["opt.momentum(model.layers[1].w)"][0, 0] == 9
    assert training.find("opt.momentum(model.layers[0].w)").id == 13
    assert training.key("model.layers[1].b") == K("model/layers/1/_b")
    assert "model.layers[2].w" not in training
    assert "a..b" not in training
    for name in ("model.layers[2].w", "opt.nesterov(model.layers[0].w)", "model"):
        with pytest.raises(fastckpt.TensorNotFoundError, match="no tensor"):
            training.tensor(name)
    with pytest.raises(fastckpt.TensorNotFoundError, match=r"did you mean 'model\.layers"):
        training.find("layers[0].w")
    with pytest.raises(fastckpt.InvalidArgumentError):
        training.tensor("a..b")


def test_objects(training: ObjectGraph) -> None:
    assert len(training.nodes) == len(list(training.nodes)) == 14
    root = training.find("")
    assert root.id == 0
    assert root.children == {"model": 1, "opt": 2, "step": 3, "save_counter": 4}
    assert training.nodes[11].attributes == (
        (VALUE, "layer/w", "model/layers/0/w/.ATTRIBUTES/VARIABLE_VALUE"),
    )
    assert training.nodes[2].slot_variables == (("momentum", 11, 13),)
    assert training.nodes[0].has_checkpoint_values is None
    assert training.nodes[0].registered_saver is None
    assert [x.id for x in training.nodes[-2:]] == [12, 13]
    assert training.path(11) == ("model", "layers", "0", "w")
    assert training.path(13) is None
    assert training.aliases("model.layers[0].w") == ["model.layers[0].w", "model.layers[1].w"]
    assert training.aliases("model") == ["model", "model.layers[0].model"]
    with pytest.raises(IndexError):
        training.nodes[14]


def test_full_names(training: ObjectGraph) -> None:
    expected = {
        "global_step": K("step"),
        "save_counter": K("save_counter"),
        "Variable": K("opt/decay"),
        "layer/w": K("model/layers/0/w"),
        "layer/b": K("model/layers/1/_b"),
        "layer/w/Momentum": K("model/layers/0/w/.OPTIMIZER_SLOT/opt/momentum"),
    }
    assert training.names_to_keys() == expected
    assert names_to_keys(training.checkpoint) == names_to_keys(training.checkpoint.prefix)
    assert names_to_keys(training.checkpoint) == expected


def test_the_tree(training: ObjectGraph) -> None:
    assert list(training.tree()) == [
        "(root)",
        "├─ model",
        "│  └─ layers",
        "│     ├─ [0]",
        "│     │  ├─ w  float32 [2, 3]",
        "│     │  │  └─ (opt.momentum)  float32 [2, 3]",
        "│     │  └─ model  = model",
        "│     └─ [1]",
        "│        ├─ w  = model.layers[0].w",
        "│        └─ _b  float32 [3]",
        "├─ opt  optimizer",
        "│  ├─ iter  int64 []",
        "│  └─ decay  float32 []",
        "├─ step  int64 []",
        "└─ save_counter  int64 []",
    ]
    assert "│  └─ empty" in list(training.tree(with_empty=True))
    short = list(training.tree(max_lines=2))
    assert short == ["(root)", "├─ model", "… the first 2 lines; there are 14 objects"]
    assert list(training.tree(max_depth=1))[:2] == ["(root)", "├─ model  … 1 below"]


def test_nested_arrays(training: ObjectGraph) -> None:
    tree = load_objects(training.checkpoint)
    assert list(tree) == ["model", "opt", "step", "save_counter"]
    first, second = tree["model"]["layers"]
    assert first["w"] is second["w"]
    assert first["w"].flags.writeable
    # The way back to the model is left out: nothing that walks the result runs in circles.
    assert list(first) == ["w"]
    assert tree["model"]["empty"] == {}
    assert tree["step"] == 7
    views = load_objects(training.checkpoint, views=True)
    assert not views["model"]["layers"][0]["w"].flags.writeable


def test_values_that_are_no_variables(tmp_path: Path) -> None:
    nodes = [
        {"children": [("state", 1), ("table", 2), ("plain", 3)]},
        {"attributes": [("py_state", "", "state/.ATTRIBUTES/py_state")]},
        {"attributes": [("table", "", "table/.ATTRIBUTES/table")]},
        {**variable("plain"), "children": [("more", 4)]},
        variable("plain/more"),
    ]
    values = {
        "state/.ATTRIBUTES/py_state": b"abc",
        "table/.ATTRIBUTES/table-keys": [b"x"],
        "table/.ATTRIBUTES/table-values": np.array([5]),
        "table/.ATTRIBUTES/tableau": 1,
        K("plain"): 1,
        K("plain/more"): 2,
    }
    graph = object_graph(write_graph(tmp_path / "m", nodes, **values))
    assert list(graph.others) == ["state@py_state", "table@table-keys", "table@table-values"]
    assert graph.python_state == {"state": b"abc"}
    assert graph["table@table-values"] == 5
    assert list(graph.variables) == ["plain", "plain.more"]
    tree = load_objects(graph.checkpoint)
    assert isinstance(tree["table"], ObjectState)
    assert tree["table"].attributes.keys() == {"table-keys", "table-values"}
    assert tree["plain"].attributes[VALUE] == 1
    assert dict(tree["plain"]) == {"more": 2}


def test_a_root_that_is_a_variable(tmp_path: Path) -> None:
    root = {"attributes": [(VALUE, "v", "/.ATTRIBUTES/VARIABLE_VALUE")], "children": [("root", 0)]}
    path = write_graph(tmp_path / "m", [root], **{"/.ATTRIBUTES/VARIABLE_VALUE": np.arange(3)})
    graph = object_graph(path)
    assert list(graph.variables) == ["@VARIABLE_VALUE"]
    np.testing.assert_array_equal(graph[""], [0, 1, 2])
    np.testing.assert_array_equal(graph["root.root"], [0, 1, 2])
    np.testing.assert_array_equal(load_objects(path), [0, 1, 2])


def test_an_optimizer_as_the_root(tmp_path: Path) -> None:
    nodes = [
        {"children": [("_iterations", 1), ("_variables", 2), ("_trainable_variables", 3)]},
        variable("_iterations"),
        {"children": [("0", 1)]},
        {"children": [("0", 4)]},
        variable("_trainable_variables/0"),
    ]
    values = {K("_iterations"): 1, K("_trainable_variables/0"): 2}
    graph = object_graph(write_graph(tmp_path / "m", nodes, **values))
    assert list(graph.optimizers) == [""]
    assert list(graph.optimizers[""].variables) == ["_iterations"]
    assert list(graph.weights) == list(graph.trainable) == ["_trainable_variables[0]"]


def test_protobuf_is_imported_on_first_use(tmp_path: Path) -> None:
    path = write_graph(tmp_path / "m", [{}])
    program = f"""if True:
        import sys
        import fastckpt, fastckpt.graph
        from fastckpt.graph import object_graph, save_objects, load_objects, friendly_name
        assert not any(name.startswith("google.protobuf") for name in sys.modules)
        assert len(object_graph({path!r}).nodes) == 1
        assert "google.protobuf" in sys.modules
        assert "tensorflow" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_graph_is_a_tensor_like_any_other(training: ObjectGraph) -> None:
    assert training.message.SerializeToString() == training.checkpoint[KEY].item()
    assert repr(training).endswith("14 objects, 6 variables>")
