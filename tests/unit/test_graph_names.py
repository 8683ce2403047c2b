"""Names that a graph does not have: texts and classes of the errors are TensorFlow's."""

from __future__ import annotations

import pickle
import re
from typing import Any

import pytest

from fastckpt import errors
from fastckpt.graph import Graph
from fastckpt.graph.tensorflow_errors import NotInGraphError, WrongTypeError
from unit.graph_files import GRAPH_TEXT, identity, make_graph, placeholder


@pytest.fixture(scope="module")
def small() -> Graph:
    return make_graph(GRAPH_TEXT, identity("z", "y", "^w"))


OPERATION_ERRORS = [
    ("zz", KeyError, "The name 'zz' refers to an Operation not in the graph."),
    ("w:0", ValueError, "Name 'w:0' appears to refer to a Tensor, not a Operation."),
    (3, TypeError, "Operation names are strings (or similar), not int."),
    (None, TypeError, "Operation names are strings (or similar), not NoneType."),
    (b"w", TypeError, "Operation names are strings (or similar), not bytes."),
]
FORM = 'Tensor names must be of the form "<op_name>:<output_index>".'
INVALID = "looks like an (invalid) Operation name, not a Tensor."
MALFORMED = "looks a like a Tensor name, but is not a valid one."
ABSENT = "refers to a Tensor which does not exist. The operation,"
TENSOR_ERRORS = [
    ("w", ValueError, f"The name 'w' refers to an Operation, not a Tensor. {FORM}"),
    ("zz", ValueError, f"The name 'zz' {INVALID} {FORM}"),
    ("", ValueError, f"The name '' {INVALID} {FORM}"),
    ("zz:0", KeyError, f"The name 'zz:0' {ABSENT} 'zz', does not exist in the graph."),
    ("w:1", KeyError, f"The name 'w:1' {ABSENT} 'w', exists but only has 1 outputs."),
    ("w:a", ValueError, f"The name 'w:a' {MALFORMED} {FORM}"),
    ("w:0:0", ValueError, f"The name 'w:0:0' {MALFORMED} {FORM}"),
    ("w:" + "9" * 5000, ValueError, "The name 'w:9"),
    (3, TypeError, "Tensor names are strings (or similar), not int."),
    (b"w:0", TypeError, "Tensor names are strings (or similar), not bytes."),
]  # fmt: skip
ELEMENT_ERRORS = [
    ((3,), TypeError, "Can not convert a int into a Tensor or Operation."),
    ((3, True, False), TypeError, "Can not convert a int into a Tensor."),
    (("zz",), KeyError, "The name 'zz' refers to an Operation not in the graph."),
    (("w:0", False), ValueError, "Name 'w:0' appears to refer to a Tensor, not a Operation."),
    (("w", True, False), ValueError, "The name 'w' refers to an Operation, not a Tensor."),
    (("w", False, False), ValueError, "allow_tensor and allow_operation can't both be False."),
]


@pytest.mark.parametrize(("name", "error", "text"), OPERATION_ERRORS)
def test_no_operation(small: Graph, name: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match="^" + re.escape(text)) as caught:
        small.get_operation_by_name(name)
    assert isinstance(caught.value, errors.CheckpointError)
    # A program that tells a missing name from a wrong one catches two builtins.
    assert isinstance(caught.value, ValueError) == (error is not KeyError)


@pytest.mark.parametrize(("name", "error", "text"), TENSOR_ERRORS)
def test_no_tensor(small: Graph, name: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match="^" + re.escape(text)) as caught:
        small.get_tensor_by_name(name)
    assert isinstance(caught.value, errors.CheckpointError)
    assert isinstance(caught.value, ValueError) == (error is not KeyError)


@pytest.mark.parametrize(("arguments", "error", "text"), ELEMENT_ERRORS)
def test_no_element(
    small: Graph, arguments: tuple[Any, ...], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match="^" + re.escape(text)):
        small.as_graph_element(*arguments)


def test_elements(small: Graph) -> None:
    w = small.get_operation_by_name("w")
    for element in ("w", b"w", w):
        assert small.as_graph_element(element) is w
    for element in ("w:0", b"w:0", w.outputs[0]):
        assert small.as_graph_element(element) is w.outputs[0]
    other = make_graph(GRAPH_TEXT)
    for element in (w, w.outputs[0]):
        with pytest.raises(errors.InvalidArgumentError, match="is not an element of this graph"):
            other.as_graph_element(element)
    with pytest.raises(WrongTypeError, match="Can not convert a Operation into a Tensor"):
        small.as_graph_element(w, allow_operation=False)


def test_hints_cost_nothing_until_they_are_shown(small: Graph) -> None:
    with pytest.raises(NotInGraphError) as caught:
        small.get_operation_by_name("W")
    assert caught.value.args == ("The name 'W' refers to an Operation not in the graph.",)
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value) == caught.value.args[0] + " Did you mean 'w'?"
    assert (again.key, str(again)) == ("W", str(again))


def test_near_names_are_proposed() -> None:
    found = make_graph(placeholder("layer/kernel"), placeholder("layer/bias"))
    with pytest.raises(NotInGraphError, match=r"Did you mean 'layer/kernel'\?$"):
        found.get_operation_by_name("layer/kernl")
    with pytest.raises(NotInGraphError, match="Did you mean 'layer/kernel'"):
        found.get_tensor_by_name("kernel:0")
