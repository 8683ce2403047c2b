"""The table of dtypes, against NumPy, ml_dtypes and real TensorFlow."""

import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest

from fastckpt import dtypes
from fastckpt.dtypes import item_size, number_of, numpy_dtype, tf_name
from fastckpt.errors import InvalidArgumentError, UnsupportedError

NUMBERS = range(1, 34)
RESOURCE, VARIANT, STRING = 20, 21, 7
QUANTISED = {11: "int8", 12: "uint8", 13: "int32", 15: "int16", 16: "uint16"}
STORED = [n for n in NUMBERS if n not in (RESOURCE, VARIANT, STRING)]


@pytest.mark.parametrize("number", STORED)
def test_item_size_is_that_of_the_array(number: int):
    assert item_size(number) == numpy_dtype(number).itemsize > 0


@pytest.mark.parametrize("number", NUMBERS)
def test_names_and_numbers_are_one_to_one(number: int):
    assert number_of(tf_name(number)) == number


@pytest.mark.parametrize("number", [n for n in STORED if n not in QUANTISED])
def test_a_dtype_finds_its_number_again(number: int):
    dtype = numpy_dtype(number)
    assert number_of(dtype) == number
    assert number_of(dtype.type) == number
    assert dtype.isnative


@pytest.mark.parametrize(("number", "plain"), QUANTISED.items())
def test_quantised_types_are_plain_integers(number: int, plain: str):
    assert numpy_dtype(number) == np.dtype(plain)
    assert number_of(plain) != number


def test_types_whose_elements_vary():
    assert numpy_dtype(STRING) == numpy_dtype(VARIANT) == np.dtype(object)
    assert item_size(STRING) == item_size(VARIANT) == item_size(RESOURCE) == 0


def test_ml_dtypes_are_ml_dtypes():
    assert numpy_dtype(14) == np.dtype(ml_dtypes.bfloat16)
    assert numpy_dtype(29) == np.dtype(ml_dtypes.int4)
    assert number_of(ml_dtypes.float8_e4m3b11fnuz) == 27


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        ("float", "float32"),
        ("double", "float64"),
        ("half", "float16"),
        (">f4", "float32"),
        (np.dtype(">i8"), "int64"),
        (float, "float64"),
        (bool, "bool"),
        (np.longlong, "int64"),
        (np.dtype("S5"), "string"),
        ("U3", "string"),
        (object, "string"),
        (np.dtypes.StringDType() if hasattr(np.dtypes, "StringDType") else str, "string"),
    ],
)
def test_number_of_takes_what_names_a_dtype(dtype: object, name: str):
    assert tf_name(number_of(dtype)) == name


@pytest.mark.parametrize("dtype", ["M8[s]", "m8", np.dtype([("a", "i4")]), ml_dtypes.float8_e3m4])
def test_dtypes_without_a_number(dtype: object):
    with pytest.raises(UnsupportedError, match="cannot be stored"):
        number_of(dtype)


@pytest.mark.parametrize("dtype", ["no such", None, 7, "int5"])
def test_not_a_dtype(dtype: object):
    with pytest.raises(InvalidArgumentError, match="not a dtype"):
        number_of(dtype)


@pytest.mark.parametrize("number", [0, -1, 34, 99, 1000])
@pytest.mark.parametrize("function", [numpy_dtype, tf_name, item_size])
def test_unknown_numbers(function, number: int):
    with pytest.raises(InvalidArgumentError, match="no DataType has the number"):
        function(number)


def test_reference_types_are_named():
    with pytest.raises(InvalidArgumentError, match="reference form of float32"):
        numpy_dtype(101)


def test_a_resource_has_no_array():
    with pytest.raises(UnsupportedError, match="live resource"):
        numpy_dtype(RESOURCE)


def test_a_type_that_ml_dtypes_lacks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(ml_dtypes, "float4_e2m1fn")
    with pytest.raises(UnsupportedError, match="upgrade"):
        numpy_dtype.__wrapped__(33)


def test_ml_dtypes_is_imported_only_when_asked_for():
    program = """if True:
        import sys
        from fastckpt import dtypes
        for number in range(1, 34):
            dtypes.tf_name(number), dtypes.item_size(number)
        dtypes.numpy_dtype(1), dtypes.number_of("bfloat16"), dtypes.number_of("f4")
        assert "ml_dtypes" not in sys.modules
        dtypes.numpy_dtype(14)
        assert "ml_dtypes" in sys.modules
    """
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.tf
@pytest.mark.parametrize("number", NUMBERS)
def test_the_table_is_tensorflows(number: int):
    tf = pytest.importorskip("tensorflow")
    theirs = tf.dtypes.as_dtype(number)
    assert tf_name(number) == theirs.name
    assert item_size(number) == theirs.size
    if number not in (RESOURCE, VARIANT):
        array_type = np.dtype(theirs.as_numpy_dtype)
        # TensorFlow wraps quantised integers in a record of one field.
        assert numpy_dtype(number) == (array_type[0] if array_type.names else array_type)


@pytest.mark.tf
def test_tensorflow_knows_no_number_beyond_the_table():
    tf = pytest.importorskip("tensorflow")
    with pytest.raises(TypeError):
        tf.dtypes.as_dtype(max(dtypes._ROWS) + 1)
