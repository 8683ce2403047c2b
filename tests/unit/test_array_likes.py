"""Objects of other libraries, and stored tensors, as inputs of a save."""

from __future__ import annotations

import array
import ctypes
import mmap
import sys
import types
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import fastckpt
import oracle
from fastckpt import dtypes
from fastckpt.checkpoint.inputs import Input, prepare
from fastckpt.errors import InvalidArgumentError, UnsupportedError
from unit.inputs_helpers import (
    VALUES,
    assert_array,
    assert_strings,
    dtype_named,
    refusal,
)

# --- objects of others ---------------------------------------------------------------------------


class _Arraying:
    """An object with nothing but ``__array__``, as pandas and xarray have."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        if isinstance(self.values, BaseException):
            raise self.values
        return self.values


class _Interface:
    def __init__(self, values: Any) -> None:
        self.values = values  # keeps the memory
        self.__array_interface__ = values.__array_interface__


class _Exchanging:
    """An object with nothing but DLPack."""

    def __init__(self, values: Any, device: int = 1) -> None:
        self.values = values
        self.device = device

    def __dlpack__(self, **options: Any) -> Any:
        if self.device != 1:
            raise BufferError("not here")
        return self.values.__dlpack__()

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device, 0


@pytest.mark.parametrize("wrap", [_Arraying, _Interface, _Exchanging, memoryview])
@pytest.mark.parametrize("values", [VALUES, VALUES.T, VALUES[:, ::2]], ids=["c", "f", "strided"])
def test_protocols_share_memory(wrap: Any, values: Any) -> None:
    result = prepare("w", wrap(values))
    assert_array(result, "float32", values)
    assert result.array is not None
    assert np.shares_memory(result.array, values)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (bytearray(b"a\0"), np.uint8([97, 0])),
        (memoryview(b"a\0"), np.uint8([97, 0])),
        (memoryview(b"a\0b").cast("c"), np.uint8([97, 0, 98])),
        (memoryview(b"\1\0").cast("?"), np.array([True, False])),
        (array.array("f", [1, 2]), np.float32([1, 2])),
        (array.array("q", [1, -2]), np.int64([1, -2])),
        ((ctypes.c_double * 2)(1, 2), np.float64([1, 2])),
        (mmap.mmap(-1, 4), np.zeros(4, np.uint8)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_buffers(value: Any, expected: Any) -> None:
    assert_array(prepare("w", value), expected.dtype.name, expected)


def test_objects_with_text() -> None:
    assert_strings(prepare("s", _Arraying(np.array(["a", b"b\0"], object))), (2,), [b"a", b"b\0"])
    assert "element [1] is float" in refusal(_Arraying(np.array(["a", np.nan], object)))[1]


def test_objects_whose_array_fails() -> None:
    released = memoryview(b"ab")
    released.release()
    for value in (_Arraying(TypeError("no way")), released):
        assert refusal(value)[0] is InvalidArgumentError
    assert "no way" in refusal(_Arraying(TypeError("no way")))[1]
    with pytest.raises(KeyboardInterrupt):
        prepare("w", _Arraying(KeyboardInterrupt()))


class _OnDevice(_Arraying):
    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 0


@pytest.mark.parametrize("value", [_Exchanging(VALUES, 2), _OnDevice(TypeError("implicit"))])
def test_other_devices(value: Any) -> None:
    cls, text = refusal(value)
    assert cls is UnsupportedError
    assert "move it to the CPU" in text


def test_an_object_on_a_device_that_copies_itself() -> None:
    assert_array(prepare("w", _OnDevice(VALUES)), "float32", VALUES)


class _Torch:
    """What of a torch.Tensor is used; as there, numpy() refuses gradients and some dtypes."""

    def __init__(self, values: Any, dtype: str, **state: Any) -> None:
        self.values = values
        self.dtype = type("dtype", (), {"__str__": lambda _: f"torch.{dtype}"})()
        self.device = types.SimpleNamespace(type=state.pop("device", "cpu"))
        self.layout = f"torch.{state.pop('layout', 'strided')}"
        self.pending = {"grad": True, "conj": False, "neg": False, **state}

    def _without(self, flag: str) -> _Torch:
        name = str(self.dtype).removeprefix("torch.")
        return _Torch(self.values, name, **{**self.pending, flag: False})

    def detach(self) -> _Torch:
        return self._without("grad")

    def resolve_conj(self) -> _Torch:
        return self._without("conj")

    def resolve_neg(self) -> _Torch:
        return self._without("neg")

    def view(self, name: str) -> _Torch:
        return _Torch(self.values.view(name), name, **self.pending)

    def numpy(self) -> Any:
        if any(self.pending.values()):
            raise RuntimeError(f"Can't call numpy() on Tensor with {self.pending}")
        if str(self.dtype) != f"torch.{self.values.dtype.name}":
            raise TypeError("Got unsupported ScalarType")
        return self.values


TORCH_FLOAT8 = ["float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz"]


@pytest.fixture
def torch_module(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = types.SimpleNamespace(int16="int16", uint8="uint8")
    monkeypatch.setitem(sys.modules, "torch", stand_in)


def test_torch_tensors() -> None:
    for value in (_Torch(VALUES.T, "float32"), _Torch(VALUES.T, "float32", conj=True, neg=True)):
        result = prepare("w", value)
        assert_array(result, "float32", VALUES.T)
        assert result.array is not None
        assert np.shares_memory(result.array, VALUES)


@pytest.mark.usefixtures("torch_module")
@pytest.mark.parametrize("name", ["bfloat16", *TORCH_FLOAT8])
def test_torch_dtypes_that_numpy_lacks(name: str) -> None:
    values = np.array([[1, 2], [0.5, -1]]).astype(dtype_named(name))
    bits = values.view(np.uint16 if values.itemsize == 2 else np.uint8)
    for layout in (bits, bits.T, bits[:, 1:]):
        result = prepare("w", _Torch(layout, name))
        assert_array(result, name, layout)
        assert_array(prepare("w", (_Torch(layout, name), name)), name, layout)
    assert "cannot be stored as quint16" in refusal(_Torch(bits, name), "quint16")[1]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (_Torch(VALUES, "float32", device="cuda"), "tensor.cpu()"),
        (_Torch(VALUES, "float32", device="meta"), "tensor.cpu()"),
        (_Torch(VALUES, "float32", layout="sparse_coo"), "tensor.to_dense()"),
        (_Torch(VALUES, "qint8"), "Got unsupported ScalarType"),
    ],
)
def test_torch_tensors_without_an_array(value: Any, words: str) -> None:
    cls, text = refusal(value)
    assert cls is UnsupportedError
    assert words in text


# --- stored tensors ------------------------------------------------------------------------------


@pytest.mark.parametrize("verify", ["lazy", "off"])
def test_stored_tensors_keep_their_type(tmp_path: Path, verify: Any) -> None:
    records = [b"\n\1t", b""]
    tensors = {
        "f": VALUES,
        "b": np.array([True, False]),
        "i4": np.array([-8, 7], ml_dtypes.int4),
        "bf": np.ones(3, ml_dtypes.bfloat16),
        "q": oracle.Raw(11, (2,), b"\x80\x7f"),
        "s": np.array([b"a\0", b""], object),
        "v": oracle.Variants((2,), records),
        "p": oracle.Slices((2, 3), [(((0, 1), None), VALUES[:1]), (((1, 1), None), VALUES[1:])]),
    }
    oracle.write_bundle(tmp_path / "m", tensors)
    with fastckpt.open(tmp_path / "m", verify=verify) as ckpt:
        found = {handle.name: prepare(handle.name, handle) for handle in ckpt.tensors()}
        assert_array(prepare("q", (ckpt.tensor("q"), "int8")), "int8", np.int8([-128, 127]))
    for name in ("f", "b", "i4", "bf"):
        assert_array(found[name], tensors[name].dtype.name, tensors[name])
    assert_array(found["p"], "float32", VALUES)
    assert_array(found["q"], "qint8", np.int8([-128, 127]))
    assert_strings(found["s"], (2,), [b"a\0", b""])
    assert found["v"] == Input(dtypes.VARIANT, (2,), None, None, records)


def test_a_damaged_stored_tensor_says_where(tmp_path: Path) -> None:
    oracle.write_bundle(tmp_path / "m", {"old": VALUES})
    data = tmp_path / "m.data-00000-of-00001"
    data.write_bytes(bytes([data.read_bytes()[0] ^ 1]) + data.read_bytes()[1:])
    with (
        fastckpt.open(tmp_path / "m") as ckpt,
        pytest.raises(fastckpt.DataLossError) as caught,
    ):
        prepare("copy", ckpt.tensor("old"))
    assert (caught.value.key, caught.value.path) == ("old", str(data))
