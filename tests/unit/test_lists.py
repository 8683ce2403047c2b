"""Python numbers, text and variant records as inputs of a save."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from fastckpt import dtypes
from fastckpt.checkpoint.assembly import VariantRecord
from fastckpt.checkpoint.inputs import Input, prepare
from fastckpt.errors import InvalidArgumentError
from unit.inputs_helpers import (
    assert_array,
    assert_strings,
    refusal,
)

# --- Python numbers and lists --------------------------------------------------------------------


class _Colour(enum.IntEnum):
    RED = 3


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (True, "bool"), (7, "int64"), (1.5, "float64"), (2j, "complex128"), (2**63, "uint64"),
        (_Colour.RED, "int64"), ([1, 2], "int64"), ([1, 2.5], "float64"), ([], "float64"),
        ([[1], [2]], "int64"), ((1, 2, 3), "int64"), ((1, 2), "int64"), (range(3), "int64"),
        (np.float16(2), "float16"), (np.bool_(True), "bool"), (np.float64(3), "float64"),
        ([np.float32(1), np.float32(2)], "float32"), ([np.ones(2, "f4")], "float32"),
        ([ml_dtypes.bfloat16(1)], "bfloat16"), (ml_dtypes.int4(-3), "int4"),
    ],
)  # fmt: skip
def test_numbers_get_the_dtype_that_numpy_gives(value: Any, name: str) -> None:
    assert_array(prepare("w", value), name, np.asarray(value))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([[1], [2, 3]], "not rectangular"),
        ([[1], 2], "not rectangular"),
        ([1, None], "element [1] is NoneType"),
        ([[1, 2], [3, {}]], "element [1, 1] is dict"),
        ([1, "a"], "element [1] is str"),
        ([2**70], "beyond 64 bits"),
        (2**70, "beyond 64 bits"),
        ([decimal.Decimal(1)], "element [0] is Decimal"),
        ([dt.date(2020, 1, 1)], "element [0] is date"),
    ],
)
def test_lists_that_are_no_tensor(value: Any, words: str) -> None:
    cls, text = refusal(value)
    assert cls is InvalidArgumentError
    assert words in text


def test_a_list_that_contains_itself() -> None:
    numbers: list[Any] = []
    numbers.append(numbers)
    text: list[Any] = ["a"]
    text.append(text)
    for value in (numbers, text):
        assert refusal(value)[0] is InvalidArgumentError
    assert "64 deep" in refusal(numbers, "string")[1]


@pytest.mark.parametrize(
    "value",
    [
        None, {}, {"a": 1}, {1, 2}, object(), (x for x in [1]), map(int, []), np.ndarray, int,
        decimal.Decimal(1), dt.date(2020, 1, 1), len, ...,
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_is_not_array_like(value: Any) -> None:
    cls, text = refusal(value)
    assert cls is InvalidArgumentError
    assert f": {type(value).__name__} is not array-like" in text


# --- text ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "shape", "elements"),
    [
        ("é", (), ["é".encode()]),
        ("", (), [b""]),
        (b"\xff\0", (), [b"\xff\0"]),
        (np.str_("a\0"), (), [b"a\0"]),
        (np.bytes_(b"a\0"), (), [b"a\0"]),
        ([b"x\0", b""], (2,), [b"x\0", b""]),
        (["a", b"b\0"], (2,), [b"a", b"b\0"]),
        ([["a", "b"], ["c", "d"]], (2, 2), [b"a", b"b", b"c", b"d"]),
        ([("a",), ("b",)], (2, 1), [b"a", b"b"]),
        (("a", "b"), (2,), [b"a", b"b"]),
        (("a", "b", "c"), (3,), [b"a", b"b", b"c"]),
        ((b"a", b"float32"), (2,), [b"a", b"float32"]),
        (["a", "float32"], (2,), [b"a", b"float32"]),
        ([np.array(["a", "b"]), np.array(["c", "d"])], (2, 2), [b"a", b"b", b"c", b"d"]),
        (np.array([b"x\0\0", b"abc"]), (2,), [b"x", b"abc"]),
        (np.array([["é", "b"]]), (1, 2), ["é".encode(), b"b"]),
        (np.array(["é", "b"], ">U1"), (2,), ["é".encode(), b"b"]),
        (np.array([b"x\0", "y"], object), (2,), [b"x\0", b"y"]),
        (np.array([[b"a", b"b"], [b"c", b"d"]], object).T, (2, 2), [b"a", b"c", b"b", b"d"]),
        (np.array(b"a\0", object), (), [b"a\0"]),
        (np.array([], object), (0,), []),
        (np.empty((0, 3), "S4"), (0, 3), []),
    ],
)
def test_text(value: Any, shape: tuple[int, ...], elements: list[bytes]) -> None:
    assert_strings(prepare("s", value), shape, elements)
    assert_strings(prepare("s", value, "string"), shape, elements)


@pytest.mark.parametrize(("value", "shape"), [([], (0,)), ([[], []], (2, 0))])
def test_empty_lists_of_strings_say_so(value: Any, shape: tuple[int, ...]) -> None:
    assert_strings(prepare("s", (value, "string")), shape, [])
    assert_array(prepare("s", value), "float64", np.zeros(shape))


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="NumPy 1 has no StringDType")
def test_variable_width_strings() -> None:
    dtype = np.dtypes.StringDType(na_object=None)
    assert_strings(prepare("s", np.array(["a\0", "é"], dtype)), (2,), [b"a\0", "é".encode()])
    cls, text = refusal(np.array(["a", None], dtype))
    assert cls is InvalidArgumentError
    assert "element [1] is NoneType" in text


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (["a", 1], "element [1] is int"),
        (["a", None], "element [1] is NoneType"),
        (["a", bytearray(b"b")], "element [1] is bytearray"),
        ([["a"], ["b", "c"]], "not rectangular: element [1] is a list of 2"),
        ([["a"], "b"], "not rectangular: element [1] is str"),
        ([b"a", ["b"]], "element [1] is list"),
        (np.array([[b"a", 1.5]], object), "element [0, 1] is float"),
        (np.array([None], object), "element [0] is NoneType"),
        (np.array(None, object), "the value is NoneType"),
        (np.array([1, 2], object), "array.astype('float64')"),
        (["a", "\ud800"], "element [1] is not valid Unicode"),
        ("\udcff", "the value is not valid Unicode"),
    ],
)
def test_text_that_is_no_tensor(value: Any, words: str) -> None:
    cls, text = refusal(value)
    assert cls is InvalidArgumentError
    assert words in text


def test_a_long_string_does_not_widen_the_others() -> None:
    """NumPy would pad each of the 2 000 to 4 MB of UCS-4."""
    result = prepare("s", ["x" * 1_000_000] + ["y"] * 2_000)
    assert result.elements is not None
    assert sum(map(len, result.elements)) == 1_002_000


# --- variants ------------------------------------------------------------------------------------


def test_variants() -> None:
    records = [VariantRecord("t", b"\n\1t"), VariantRecord("", b"")]
    expected = Input(dtypes.VARIANT, (2,), None, None, [b"\n\1t", b""])
    cells = np.empty(2, object)
    cells[:] = records
    assert prepare("v", records) == prepare("v", cells) == expected
    assert prepare("v", ([b"\n\1t", b""], "variant")) == expected
    assert prepare("v", records[0]).shape == ()
    assert "element [1] is str" in refusal([records[0], "a"])[1]
    assert "element [0] is VariantRecord" in refusal(records, "string")[1]
    assert "element [0] is int" in refusal([1], "variant")[1]
