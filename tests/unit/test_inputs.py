"""ndarrays, dtypes and names as inputs of a save."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import oracle
from fastckpt import dtypes
from fastckpt.checkpoint.inputs import check_name, prepare
from fastckpt.errors import InvalidArgumentError, UnsupportedError
from unit.inputs_helpers import (
    ML_NAMES,
    assert_array,
    dtype_named,
    refusal,
)

NUMPY_NAMES = [
    "float16", "float32", "float64", "complex64", "complex128", "bool",
    "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
]  # fmt: skip
QUANTISED = {"qint8": "i1", "quint8": "u1", "qint16": "i2", "quint16": "u2", "qint32": "i4"}


# --- ndarrays ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NUMPY_NAMES + ML_NAMES)
def test_every_dtype_of_arrays(name: str) -> None:
    values = np.array([[0, 1], [1, 0]]).astype(dtype_named(name))
    result = prepare("w", values)
    assert_array(result, name, values)
    assert result.array is not None
    assert np.shares_memory(result.array, values)


LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "transposed": lambda a: a.T,
    "reversed": lambda a: a[::-1, ::-1],
    "strided": lambda a: a[::2, 1::2],
    "column": lambda a: a[:, 1],
    "broadcast": lambda a: np.broadcast_to(a[:1], (5, *a.shape)),
    "fortran": np.asfortranarray,
    "scalar": lambda a: a[1, 2].reshape(()),
    "empty": lambda a: a[:0],
    "read-only": lambda a: np.frombuffer(a.tobytes(), np.uint8).view(a.dtype),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["float32", "bool", "bfloat16", "int4", "complex128"])
def test_layouts_are_kept(name: str, layout: str) -> None:
    values = LAYOUTS[layout]((np.arange(24).reshape(4, 6) % 2).astype(dtype_named(name)))
    result = prepare("w", values)
    assert_array(result, name, values)
    assert result.array is not None
    assert result.array.strides == values.strides


def test_unaligned_memory() -> None:
    values = np.frombuffer(bytes(range(17)), "f8", offset=1)
    assert not values.flags.aligned
    assert_array(prepare("w", values), "float64", values)


@pytest.mark.parametrize("name", ["float16", "float32", "int64", "complex64", "bfloat16"])
def test_the_other_byte_order(name: str) -> None:
    native = np.array([1, 2, 3]).astype(dtype_named(name))
    other = native.byteswap().view(native.dtype.newbyteorder("S"))
    result = prepare("w", other)
    assert_array(result, name, native)
    assert result.array is not None
    assert not result.array.dtype.isnative


def test_types_of_c_with_the_same_width() -> None:
    for code in "lqLQ":
        assert_array(prepare("w", np.ones(2, code)), np.dtype(code).name, np.ones(2, code))


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_subclasses(tmp_path: Path) -> None:
    matrix = np.matrix([[1.0, 2.0]])
    mapped = np.memmap(tmp_path / "m", np.float32, "w+", shape=(2, 3))
    for value in (matrix, mapped):
        result = prepare("w", value)
        assert_array(result, value.dtype.name, value)
        assert type(result.array) is np.ndarray


def test_masked_arrays_are_refused() -> None:
    cls, text = refusal(np.ma.masked_array([1.0, 2.0], [False, True]))
    assert cls is InvalidArgumentError
    assert "array.filled(value)" in text


@pytest.mark.parametrize(
    ("dtype", "step"),
    [
        ("M8[s]", 'array.view("int64")'),
        ("m8[ns]", 'array.view("int64")'),
        ("V3", 'array.view("uint8")'),
        ([("a", "i4"), ("b", "f4")], "array['field']"),
        ([("a", "i4")], "array['field']"),
        ([("qint8", "i4")], "array['field']"),
        pytest.param("g", 'array.astype("float64")', marks=pytest.mark.skipif(
            np.dtype("g").itemsize == 8, reason="long double is double here")),
        pytest.param("G", 'array.astype("complex128")', marks=pytest.mark.skipif(
            np.dtype("G").itemsize == 16, reason="long double is double here")),
        (ml_dtypes.float8_e8m0fnu, 'array.astype("float32")'),
    ],
)  # fmt: skip
def test_dtypes_that_no_checkpoint_holds(dtype: Any, step: str) -> None:
    for value in (np.zeros(2, dtype), np.zeros((), dtype)[()]):
        cls, text = refusal(value)
        assert cls is UnsupportedError
        assert "cannot be stored" in text
        assert step in text


# --- naming the dtype ----------------------------------------------------------------------------


class _TensorFlowDType:
    """As much of tf.DType as is looked at."""

    as_datatype_enum = 11


@pytest.mark.parametrize("name", QUANTISED)
def test_quantised_types(name: str) -> None:
    values = np.arange(4, dtype=QUANTISED[name])
    assert_array(prepare("q", (values, name)), name, values)
    assert_array(prepare("q", values, name), name, values)
    assert_array(prepare("q", ([0, 1, 2, 3], name)), name, values)
    # TensorFlow's own form of such arrays.
    field = np.dtype([(name, values.dtype)])
    assert_array(prepare("q", values.view(field)), name, values)
    assert_array(prepare("q", values, field), name, values)


@pytest.mark.parametrize(
    "dtype", ["qint8", dtypes.DType(11), _TensorFlowDType(), np.dtype([("qint8", "i1")])]
)
def test_ways_to_name_a_dtype(dtype: Any) -> None:
    values = np.arange(3, dtype=np.int8)
    assert_array(prepare("q", values, dtype), "qint8", values)
    assert_array(prepare("q", (values, dtype)), "qint8", values)


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        ([1, 2], "float", np.float32([1, 2])),
        ([1.1, 2], np.float16, np.float16([1.1, 2])),
        ([1, 0], "bool", np.array([True, False])),
        ([True], "int8", np.int8([1])),
        (3, "qint32", np.int32(3)),
        (0.5, np.dtype("f4"), np.float32(0.5)),
        (1, complex, np.complex128(1)),
        ([1.5], "complex64", np.complex64([1.5])),
        ([-8, 7], "int4", np.array([-8, 7], ml_dtypes.int4)),
        ([3], "uint2", np.array([3], ml_dtypes.uint2)),
        ([6, -0.5], "float4_e2m1fn", np.array([6, -0.5], ml_dtypes.float4_e2m1fn)),
        ([float("inf")], "bfloat16", np.array([np.inf], ml_dtypes.bfloat16)),
        ([float("nan")], "half", np.float16([np.nan])),
        ([], "qint8", np.int8([])),
        ([ml_dtypes.int4(3)], "int4", np.array([3], ml_dtypes.int4)),
    ],
)
def test_numbers_are_converted(value: Any, dtype: Any, expected: Any) -> None:
    for result in (prepare("w", value, dtype), prepare("w", (value, dtype))):
        assert result.number == dtypes.number_of(dtype)
        assert_array(result, dtypes.tf_name(result.number), expected)


@pytest.mark.parametrize(
    ("value", "dtype", "words"),
    [
        ([128], "qint8", "128 does not fit qint8 (-128 to 127)"),
        ([-1], "uint64", "-1 does not fit uint64"),
        ([0, -9], "int4", "-9 does not fit int4 (-8 to 7)"),
        ([4], "uint2", "4 does not fit uint2"),
        ([2], "bool", "2 does not fit bool"),
        ([1.0], "int32", "float64 values do not fit int32"),
        ([1j], "float32", "complex128 values do not fit float32"),
        ([1e39], "float32", "1e+39 does not fit float32"),
        ([70000], "half", "70000 does not fit float16"),
        ([1e300j], "complex64", "does not fit complex64"),
        ([7], "float4_e2m1fn", "7 does not fit float4_e2m1fn"),
        ([float("nan")], "float4_e2m1fn", "nan does not fit float4_e2m1fn"),
        ([float("inf")], "float8_e4m3fn", "inf does not fit float8_e4m3fn"),
        (["1"], "int32", "text cannot be stored as int32"),
        (("a", "float32"), None, "text cannot be stored as float32"),
        ([1], "string", "the elements are numbers"),
        ([1, "a"], "string", "element [1] is str"),
    ],
)
def test_numbers_that_do_not_fit(value: Any, dtype: Any, words: str) -> None:
    cls, text = refusal(value, dtype)
    assert cls is InvalidArgumentError
    assert words in text


@pytest.mark.parametrize(
    ("dtype", "wanted"),
    [("f8", "float32"), ("i2", "qint8"), ("u1", "qint8"), ("u2", "bfloat16"), ("f4", "string"),
     ("i8", "variant"), ("?", "uint8"), ("i1", "int4")],
)  # fmt: skip
def test_arrays_are_never_cast(dtype: str, wanted: str) -> None:
    for value in (np.ones(2, dtype), np.ones((), dtype)[()]):
        cls, text = refusal(value, wanted)
        assert cls is InvalidArgumentError
        assert f"cannot be stored as {wanted}" in text
    assert "cannot be stored" in refusal(np.array(["a"]), "uint8")[1]


@pytest.mark.parametrize("dtype", ["qint9", dict, object, 11, "int99"])
def test_what_is_no_dtype(dtype: Any) -> None:
    cls, text = refusal(np.ones(2), dtype)
    assert cls is InvalidArgumentError
    assert "not a dtype" in text


def test_a_mistyped_dtype_of_a_pair() -> None:
    assert "not a dtype: 'qint9'" in refusal((np.ones(2, np.int8), "qint9"))[1]


@pytest.mark.parametrize("dtype", ["resource", "M8[s]"])
def test_dtypes_that_cannot_be_asked_for(dtype: str) -> None:
    assert refusal(np.ones(2), dtype)[0] is UnsupportedError


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("layer/kernel", b"layer/kernel"), ("é", "é".encode()), ("a\0b", b"a\0b"), ("a/", b"a/"),
        ("/", b"/"), (" ", b" "), ("a\nb", b"a\nb"), ("\0", b"\0"), ("\0abc", b"\0abc"),
        ("a\udcff", b"a\xff"), (np.str_("w"), b"w"), ("n" * 100_000, b"n" * 100_000),
    ],
    ids=lambda value: repr(value)[:20],
)  # fmt: skip
def test_names(name: str, key: bytes) -> None:
    assert check_name(name) == key


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "must not be empty"),
        (b"w", "not bytes (b'w'); decode it"),
        (None, "not NoneType"),
        (3, "not int"),
        ("\ud800", "lone surrogate"),
    ],
)
def test_names_that_are_refused(name: Any, words: str) -> None:
    with pytest.raises(InvalidArgumentError, match="name") as caught:
        check_name(name)
    assert words in str(caught.value)
    assert caught.value.key == (name if isinstance(name, str) else None)


NUMBERS = st.one_of(st.integers(0, 200), st.integers(0, 2**63 - 1))
EXTENTS = st.lists(st.none() | st.tuples(NUMBERS, NUMBERS), max_size=6)


@given(st.binary(max_size=8), EXTENTS, st.data())
@example(b"n\0m\xff!", [(2**62, 3), (9223372036854775000, 2), (2**55, 1), (64, 64), None], None)
def test_names_that_are_slice_keys(name: bytes, extents: Any, data: st.DataObject | None) -> None:
    key = oracle.slice_key(name, extents)
    with pytest.raises(InvalidArgumentError, match=r"add_slice\(\)"):
        check_name(key.decode("utf-8", "surrogateescape"))
    others = [key + b"\x80"] + ([key[1:]] if key[1] else [])
    if extents:
        # One dimension too few, and a key that ends early.
        others.append(oracle.slice_key(name, [*extents, None])[: -len(b"\x80\x7f")])
        others.append(key[: data.draw(st.integers(1, len(key) - 1))] if data else key[:-1])
    for other in others:
        assert check_name(other.decode("utf-8", "surrogateescape")) == other


# --- imports -------------------------------------------------------------------------------------


def test_plain_arrays_import_nothing() -> None:
    code = (
        "import sys, numpy; from fastckpt.checkpoint.inputs import prepare;"
        "prepare('w', numpy.ones(3)); prepare('w', [1]); prepare('w', (numpy.int8(1), 'qint8'));"
        "print([m for m in ('ml_dtypes', 'google.protobuf', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
