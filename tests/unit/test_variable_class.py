"""``fastckpt.Variable``: its value, its name, and the default collection."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from fastckpt.checkpoint.tensorflow_errors import WrongTypeError
from fastckpt.errors import InvalidArgumentError, UnsupportedError
from fastckpt.training.variables import (
    Variable,
    assign_values,
    collection,
    name_targets,
    read_values,
    reset_default_collection,
)


@pytest.fixture(autouse=True)
def _empty_collection() -> Iterator[None]:
    reset_default_collection()
    yield
    reset_default_collection()


# --- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (1.0, "float32"),
        ([1, 2], "int32"),
        (1 << 40, "int64"),
        (True, "bool"),
        (1j, "complex128"),
        ([[1.5], [2]], "float32"),
        (np.float64(1.0), "float64"),
        ([np.float64(1.0)], "float64"),
        (np.arange(3), "int64"),
        (np.zeros(2, np.float16), "float16"),
        (np.zeros(2, ml_dtypes.bfloat16), "bfloat16"),
        (np.zeros(2, ">f4"), "float32"),
        ("text", "object"),
        ([b"a\0", "é"], "object"),
        (range(3), "int32"),
    ],
)
def test_dtypes_are_those_of_tensorflow(value: Any, dtype: str) -> None:
    variable = Variable(value)
    assert variable.dtype == np.dtype(getattr(ml_dtypes, dtype, dtype))
    assert variable.dtype.isnative
    assert variable.numpy().shape == variable.shape == np.shape(value)


def test_a_dtype_can_be_asked_for() -> None:
    assert Variable([1, 2], dtype="bfloat16").dtype == ml_dtypes.bfloat16
    assert Variable(1.0, dtype=np.float64).dtype == np.float64
    with pytest.raises(InvalidArgumentError, match="not a dtype"):
        Variable(1.0, dtype="nonsense")


def test_the_initial_value_is_copied_and_the_value_is_not() -> None:
    array = np.zeros(3)
    variable = Variable(array)
    array[0] = 1
    assert variable.value.tolist() == [0, 0, 0]
    variable.value[1] = 2
    assert variable.numpy().tolist() == [0, 2, 0]
    copy = variable.numpy()
    copy[2] = 3
    assert np.asarray(variable).tolist() == [0, 2, 0]
    assert np.asarray(variable) is variable.value
    assert np.array(variable) is not variable.value
    assert np.asarray(variable, np.int8).dtype == np.int8
    assert (np.ones(3) + variable.value).tolist() == [1, 3, 1]


def test_assignments() -> None:
    variable = Variable([1.0, 2.0], name="w")
    value = variable.value
    assert variable.assign([3, 4]) is variable
    variable.assign_add([1.0, 1.0]).assign_sub(np.array([0.5, 0]))
    variable.value = variable.value * 2
    assert variable.value is value
    assert value.tolist() == [7, 10]
    assert value.dtype == np.float32
    assert repr(variable) == (
        "<Variable 'w' shape=(2,) dtype=float32, numpy=array([ 7., 10.], dtype=float32)>"
    )


@pytest.mark.parametrize("value", [1.0, [1.0], [[1.0, 2.0]], ["a", "b"], [1j, 2j], object()])
def test_assignments_that_are_refused_change_nothing(value: Any) -> None:
    variable = Variable([1.0, 2.0])
    for assign in (variable.assign, variable.assign_add):
        with pytest.raises(InvalidArgumentError):
            assign(value)
    assert variable.value.tolist() == [1, 2]


def test_no_float_becomes_an_int_and_no_number_text() -> None:
    for variable, value in ((Variable(1), 1.5), (Variable("a"), 1.0), (Variable(1.0), "a")):
        before = variable.numpy()
        with pytest.raises(InvalidArgumentError, match="does not become"):
            variable.assign(value)
        assert variable.numpy() == before


@pytest.mark.parametrize("value", [np.zeros(2, "M8[s]"), object(), [[1], [2, 3]], None])
def test_values_that_no_checkpoint_holds(value: Any) -> None:
    with pytest.raises((InvalidArgumentError, UnsupportedError)):
        Variable(value)


# --- names ---------------------------------------------------------------------------------------


def test_unnamed_variables_are_counted() -> None:
    many = [Variable(0.0) for _ in range(3)]
    assert [v.name for v in many] == ["Variable", "Variable_1", "Variable_2"]


def test_names_are_made_unique_as_in_a_graph_of_tensorflow() -> None:
    names = ["w", "w", "W", "w_1", "w", "scope/w", "scope/w"]
    many = [Variable(0.0, name=name) for name in names]
    assert [v.name for v in many] == ["w", "w_1", "W_2", "w_1_1", "w_3", "scope/w", "scope/w_1"]


def test_a_name_stays_used_when_its_variable_is_gone() -> None:
    Variable(0.0, name="w")
    gc.collect()
    assert Variable(0.0, name="w").name == "w_1"
    reset_default_collection()
    assert Variable(0.0, name="w").name == "w"


@pytest.mark.parametrize("name", ["", "a b", "w:0", "_w", "-w", "ü", "a\n", "/w"])
def test_names_that_no_operation_could_have(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="not a valid name"):
        Variable(0.0, name=name)


def test_a_name_must_be_text() -> None:
    with pytest.raises(WrongTypeError, match="must be a str, not 5"):
        Variable(0.0, name=5)  # type: ignore[arg-type]


def test_names_from_many_threads_are_all_different() -> None:
    found: list[Variable] = []
    threads = [
        threading.Thread(target=lambda: found.extend(Variable(0.0) for _ in range(200)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({v.name for v in found}) == 1600


# --- the collection ------------------------------------------------------------------------------


def test_the_default_is_every_variable_alive() -> None:
    assert collection.alive() == []
    b, a = Variable(1.0, name="b"), Variable([1, 2], name="a", trainable=False)
    Variable(3.0, name="gone")
    gc.collect()
    named = name_targets(None)
    assert list(named) == ["a", "b"]
    assert [(t.shape, t.tf_dtype, t.trainable) for (t,) in named.values()] == [
        ((2,), "int32", False),
        ((), "float32", True),
    ]
    later = Variable(1.0, name="later")
    assert "later" not in named
    assert list(name_targets([later, b, a])) == ["a", "b", "later"]


def test_a_saver_keeps_what_it_saves_alive() -> None:
    named = name_targets([Variable(5.0, name="only")])
    gc.collect()
    assert read_values(named["only"])[0] == 5
    assert list(name_targets(None)) == ["only"]


def test_reading_and_assigning() -> None:
    w, s = Variable([1.0, 2.0], name="w"), Variable([b"a"], name="s")
    value = w.value
    (ts,), (tw,) = name_targets([w, s]).values()
    found = read_values([tw, ts])
    assert found[0] is value
    assign_values([(tw, np.array([3, 4], np.float32)), (ts, np.array([b"b\0"], object))])
    assert w.value is value
    assert value.tolist() == [3, 4]
    assert s.value.tolist() == [b"b\0"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda v: [v, v], "At least two variables have the same name: v"),
        (lambda v: [v, [(v,)]], "At least two variables have the same name: v"),
        (lambda v: {"a": v, "b": v}, "The same saveable will be restored with two names: b"),
        (lambda v: {"a": [v]}, "Slices must all be slices"),
        (lambda v: v, "passed in a dict or a list"),
    ],
)
def test_mistakes(make: Any, words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        name_targets(make(Variable(0.0, name="v")))


def test_sets_of_variables() -> None:
    a, b = Variable(1.0, name="a"), Variable(1.0, name="b")
    assert list(name_targets({a, b})) == ["a", "b"]
    assert list(name_targets(({a}, [b]))) == ["a", "b"]
    assert a != b
