"""Arrays and pytrees of JAX as targets: a restore hands new ones back."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fastckpt.checkpoint.tensorflow_errors import WrongTypeError
from fastckpt.errors import InvalidArgumentError, UnsupportedError
from fastckpt.training.variables import (
    Variable,
    assign_values,
    name_targets,
    read_values,
    restored,
)


class State(NamedTuple):
    """What an optimizer might keep."""

    count: Any
    mu: Any


def restore(var_list: Any, values: dict[str, Any]) -> Any:
    """What a Saver does with the values of a checkpoint."""
    named = name_targets(var_list)
    pairs = [(named[key][0], value) for key, value in values.items()]
    holders = assign_values(pairs)
    return restored(var_list, dict(zip(values, holders, strict=True)))


def read(var_list: Any) -> dict[str, Any]:
    named = name_targets(var_list)
    return {key: read_values(targets)[0] for key, targets in named.items()}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8", "bool", "complex64", "uint32"])
def test_an_array_is_replaced(dtype: str) -> None:
    state = {"w": jnp.zeros((2, 3), dtype)}
    (target,) = name_targets(state)["w"]
    assert (target.tf_dtype, target.shape, target.group.replaces) == (dtype, (2, 3), True)
    (array,) = read_values([target])
    assert array.dtype == target.dtype
    before = state["w"]
    value = (np.arange(6).reshape(2, 3) % 2).astype(target.dtype)
    value.flags.writeable = False
    (new,) = assign_values([(target, value)])
    assert isinstance(new, jax.Array)
    assert state["w"] is new
    assert new.sharding == before.sharding
    assert np.asarray(new).tobytes() == value.tobytes()
    assert not np.asarray(before).any()


def test_the_new_array_does_not_share_a_read_only_view() -> None:
    backing = np.zeros(1 << 12, np.float32)
    view = backing.view()
    view.flags.writeable = False
    (new,) = assign_values([(name_targets({"w": jnp.ones(1 << 12)})["w"][0], view)])
    backing[:] = 5
    assert float(new.max()) == 0


def test_the_dict_is_looked_up_at_each_save() -> None:
    state: dict[str, Any] = {"params": {"w": jnp.zeros(2), "layers": [jnp.zeros(1)]}, "step": 0}
    state["step"] = jnp.array(0)
    named = name_targets(state)
    assert list(named) == ["params/layers/0", "params/w", "step"]
    state["params"] = jax.tree.map(lambda x: x + 1, state["params"])
    state["step"] += 3
    assert [read_values(t)[0].tolist() for t in named.values()] == [[1], [1, 1], 3]
    state["params"] = {"w": jnp.zeros(2)}
    with pytest.raises(InvalidArgumentError, match="'params/layers/0' is no longer in its pytree"):
        read_values(named["params/layers/0"])


TREES: dict[str, tuple[Any, list[str]]] = {
    "dict": ({"a": {"b": jnp.zeros(2)}}, ["a/b"]),
    "tuple": ((jnp.zeros(2), {"x": jnp.ones(1)}), ["0", "1/x"]),
    "list": ([jnp.zeros(2), [jnp.ones(1)]], ["0", "1/0"]),
    "named tuple": (State(jnp.array(1), {"w": jnp.zeros(1)}), ["count", "mu/w"]),
    "in a dict": ({"opt": State(jnp.array(1), None)}, ["opt/count"]),
    "frozen dict": (MappingProxyType({"p": {"w": jnp.zeros(1)}}), ["p/w"]),
    "int keys": ({"p": {0: jnp.zeros(1), 1: jnp.zeros(1)}}, ["p/0", "p/1"]),
}


@pytest.mark.parametrize("case", TREES)
def test_names_are_paths_and_structures_are_kept(case: str) -> None:
    tree, names = TREES[case]
    values = read(tree)
    assert list(values) == names
    new = restore(tree, {key: np.array(value) + 5 for key, value in values.items()})
    if not isinstance(tree, MappingProxyType):
        assert jax.tree.structure(new) == jax.tree.structure(tree)
    assert {key: value.tolist() for key, value in read(new).items()} == {
        key: (value + 5).tolist() for key, value in values.items()
    }


def test_leaves_that_are_no_arrays_of_jax() -> None:
    tree = {"p": (jnp.zeros(1), np.zeros(2), 3, True, 0.5, np.float32(1))}
    host = tree["p"][1]
    values = read(tree)
    assert [x.dtype.name for x in values.values()] == [
        "float32", "float64", "int64", "bool", "float64", "float32"
    ]  # fmt: skip
    new = restore(tree, {
        "p/1": np.ones(2), "p/2": np.array(4), "p/3": np.array(False), "p/4": np.array(1.5),
        "p/5": np.float32(2),
    })["p"]  # fmt: skip
    assert new[0] is tree["p"][0]
    assert (new[1].tolist(), *new[2:]) == ([1, 1], 4, False, 1.5, np.float32(2))
    assert [type(x) for x in new[2:]] == [int, bool, float, np.float32]
    assert host.tolist() == [0, 0]


@pytest.mark.filterwarnings("error")
def test_iterators_are_no_pytrees_and_jax_is_not_asked() -> None:
    weights = {"w": jnp.zeros(1)}
    for value in (iter([weights["w"]]), (x for x in weights.values()), weights.values()):
        with pytest.raises(WrongTypeError):
            name_targets(value)


def test_one_array_in_two_places_becomes_two() -> None:
    zero = jnp.zeros(2)
    new = restore(
        {"s": State(zero, zero)}, {"s/count": np.ones(2, "f4"), "s/mu": np.zeros(2, "f4")}
    )
    assert [x.tolist() for x in new["s"]] == [[1, 1], [0, 0]]


def test_keys_of_random_numbers() -> None:
    state = {"rng": jax.random.key(7), "raw": jax.random.PRNGKey(7)}
    (raw,), (target,) = name_targets(state).values()
    assert (target.tf_dtype, target.shape) == (raw.tf_dtype, raw.shape) == ("uint32", (2,))
    data = np.array(read_values([target])[0])
    wanted = float(jax.random.normal(state["rng"]))
    state["rng"] = jax.random.key(8)
    assign_values([(target, data)])
    assert state["rng"].dtype == jax.random.key(7).dtype
    assert float(jax.random.normal(state["rng"])) == wanted


def test_beside_other_variables() -> None:
    v, a = Variable(1.0, name="v"), np.zeros(1)
    state = {"p": {"w": jnp.zeros(1)}, "v": v, "a": a}
    assert list(name_targets(state)) == ["a", "p/w", "v"]
    new = restore(state, {"p/w": np.ones(1, "f4"), "v": np.float32(2), "a": np.ones(1)})
    assert new["p"]["w"].tolist() == [1]
    assert new["a"] is a
    assert a.tolist() == [1]
    assert (new["v"], v.value) == (v, 2)


def test_what_no_checkpoint_holds() -> None:
    with pytest.raises(WrongTypeError, match="Not a variable: text"):
        name_targets({"p": [jnp.zeros(1), "text"]})
    with pytest.raises(InvalidArgumentError, match="passed in a dict or a list"):
        name_targets(5)

    @jax.jit
    def traced(x: Any) -> Any:
        with pytest.raises(UnsupportedError, match="'x' is traced"):
            name_targets({"x": x})
        return x

    traced(jnp.zeros(1))


def test_a_donated_array_has_no_value() -> None:
    x = jnp.zeros(1000)
    (target,) = name_targets({"x": x})["x"]
    x.delete()
    with pytest.raises(InvalidArgumentError, match="value of 'x' is gone"):
        read_values([target])
    assign_values([(target, np.ones(1000, np.float32))])


def test_an_array_alone_is_no_var_list() -> None:
    with pytest.raises(WrongTypeError, match="passed in a dict or a list"):
        name_targets(jnp.zeros(1))
