"""NumPy arrays as a Saver sees them: named, read as they are, restored in place."""

from __future__ import annotations

import subprocess
import sys
from collections import OrderedDict
from types import MappingProxyType
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from fastckpt.checkpoint.tensorflow_errors import WrongTypeError
from fastckpt.errors import CheckpointError, InvalidArgumentError, UnsupportedError
from fastckpt.training.variables import (
    Group,
    SliceInfo,
    Target,
    UnnamedError,
    Variable,
    as_targets,
    assign_values,
    name_targets,
    needs_session,
    read_values,
    restored,
)


def one(array: Any) -> Target:
    (target,) = name_targets({"x": array})["x"]
    return target


# --- names ---------------------------------------------------------------------------------------


def test_dicts_are_sorted_and_may_be_nested() -> None:
    a, b, c = np.zeros(1), np.zeros(2), np.zeros(3)
    var_list = OrderedDict(z=a, layer=MappingProxyType({"w": b, "b": c}))
    named = name_targets(var_list)
    assert [(k, t.shape, t.key) for k, (t,) in named.items()] == [
        ("layer/b", (3,), "layer/b"),
        ("layer/w", (2,), "layer/w"),
        ("z", (1,), "z"),
    ]
    assert read_values([t for (t,) in named.values()])[0] is c
    assert not needs_session(t for (t,) in named.values())


def test_what_a_target_says_of_an_array() -> None:
    target = one(np.zeros((2, 3), ml_dtypes.bfloat16))
    assert (target.tf_dtype, target.shape, target.dtype.name) == ("bfloat16", (2, 3), "bfloat16")
    assert (target.name, target.slice, target.device, target.trainable) == (None, None, "", True)
    assert repr(target) == "<ArrayTarget None bfloat16 [2,3]>"
    assert not target.group.replaces


WRONG: dict[str, tuple[Any, type[CheckpointError], str]] = {
    "number": ({"a": 5}, WrongTypeError, "Not a variable: 5 .*np.array"),
    "numpy number": ({"a": np.float32(1)}, WrongTypeError, "Not a variable: 1.0"),
    "bytes": ({"a": b"x"}, WrongTypeError, "Not a variable"),
    "none": ({"a": None}, WrongTypeError, "Not a variable: None"),
    "nested": ({"a": {"b": 5}}, WrongTypeError, "key 'a/b'"),
    "key": ({1: np.zeros(1)}, WrongTypeError, "Name is not a string: 1"),
    "nested key": ({"a": {b"b": np.zeros(1)}}, WrongTypeError, "Name is not a string: b'b'"),
    "list": ([np.zeros(1)], UnnamedError, "no attribute 'name'.*pass a dict"),
    "text": ("abc", WrongTypeError, "dict or a list. Got abc"),
    "array": (np.zeros(2), WrongTypeError, "dict or a list"),
    "list of arrays": ({"a": [np.zeros(1)]}, InvalidArgumentError, "Slices must all be Variables"),
    "empty key": ({"": np.zeros(1)}, InvalidArgumentError, "must not be empty"),
    "surrogate": ({"\ud800": np.zeros(1)}, InvalidArgumentError, "lone surrogate"),
    "two ways": ({"a/b": np.zeros(1), "a": {"b": np.ones(1)}}, InvalidArgumentError, "same name"),
    "masked": ({"a": np.ma.zeros(2)}, UnsupportedError, "no masks"),
    "dates": ({"a": np.zeros(2, "M8[s]")}, UnsupportedError, "datetime64"),
    "records": ({"a": np.zeros(2, [("x", "f4"), ("y", "f4")])}, UnsupportedError, "cannot be"),
    "long double": ({"a": np.zeros(2, np.longdouble)}, UnsupportedError, "cannot be stored"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_variable(case: str) -> None:
    var_list, kind, words = WRONG[case]
    with pytest.raises(kind, match=words):
        name_targets(var_list)


def test_one_array_under_two_keys() -> None:
    a = np.zeros(1)
    with pytest.raises(InvalidArgumentError, match="restored with two names: b"):
        name_targets({"a": a, "b": a})
    assert len(name_targets({"a": a, "b": a[:]})) == 2


def test_as_targets() -> None:
    assert len(as_targets(np.zeros(1))) == 1
    with pytest.raises(WrongTypeError, match="Variable to save is not a Variable: 7"):
        as_targets(7)


# --- reading and assigning -----------------------------------------------------------------------

ARRAYS: dict[str, np.ndarray[Any, Any]] = {
    "matrix": np.zeros((3, 4), np.float32),
    "fortran": np.zeros((3, 4), np.float64, order="F"),
    "strided": np.zeros((6, 8), np.int16)[::-2, ::3],
    "transposed": np.zeros((2, 3, 4), np.complex64).transpose(2, 0, 1),
    "big endian": np.zeros((2, 3), ">i4"),
    "scalar": np.array(0.0),
    "empty": np.zeros((0, 3), np.uint8),
    "bool": np.zeros(5, bool),
    "bfloat16": np.zeros(5, ml_dtypes.bfloat16),
    "int4": np.zeros(5, ml_dtypes.int4),
    "unaligned": np.zeros(41, np.uint8)[1:].view(np.float64),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_arrays_are_restored_in_place(case: str) -> None:
    array = ARRAYS[case].view()
    native = array.dtype.newbyteorder("=")
    value = np.array(np.arange(array.size).reshape(array.shape) % 7, native)
    value.flags.writeable = False
    target = one(array)
    assert read_values([target])[0] is array
    assert target.mismatch(target.tf_dtype, array.shape) is None
    assert assign_values([(target, value)])[0] is array
    assert np.array_equal(array.astype(native), value)


def test_quantised_arrays_have_the_form_of_tensorflow() -> None:
    array = np.zeros(3, [("qint8", "i1")])
    target = one(array)
    assert target.tf_dtype == "qint8"
    assign_values([(target, np.array([1, 2, 3], np.int8))])
    assert array["qint8"].tolist() == [1, 2, 3]


def test_strings() -> None:
    items = np.array([[b"a\0", "é".encode()], [b"", b"long enough"]], object)
    for dtype in (object, "U11", "S11"):
        array = np.zeros((2, 2), dtype)
        target = one(array)
        assert target.tf_dtype == "string"
        value = items.copy()
        value[0, 0] = b"a\0" if dtype is object else b"a"
        assign_values([(target, value)])
        wanted = [x.decode() for x in value.ravel()] if dtype == "U11" else value.ravel().tolist()
        assert array.ravel().tolist() == wanted


@pytest.mark.parametrize(
    ("dtype", "item", "words"),
    [("U3", b"long", "whole"), ("S3", b"a\0", "whole"), ("U3", b"\xff", "not UTF-8")],
)
def test_strings_that_do_not_fit_change_nothing(dtype: str, item: bytes, words: str) -> None:
    first, second = np.zeros(1), np.array(["old"], dtype)
    pairs = [(one(first), np.ones(1)), (one(second), np.array([item], object))]
    with pytest.raises(InvalidArgumentError, match=words):
        assign_values(pairs)
    assert first.tolist() == [0]
    assert second.tolist() == np.array(["old"], dtype).tolist()


def test_a_read_only_array_is_saved_but_not_restored() -> None:
    writable, fixed = np.zeros(2), np.zeros(2)
    fixed.flags.writeable = False
    named = name_targets({"w": writable, "frozen/x": fixed})
    targets = [t for found in named.values() for t in found]
    assert len(read_values(targets)) == 2
    with pytest.raises(InvalidArgumentError, match="'frozen/x' is read-only") as caught:
        assign_values([(t, np.ones(2)) for t in targets])
    assert caught.value.key == "frozen/x"
    assert writable.tolist() == [0, 0]


def test_the_dict_is_looked_up_at_each_save() -> None:
    state = {"w": np.zeros(2), "step": np.array(0)}
    named = name_targets(state)
    (step,), (w,) = named.values()
    state["w"] = state["w"] + 1
    state["step"] = state["step"] + 1  # a NumPy scalar, no array any more
    assert [x.tolist() for x in read_values([step, w])] == [1, [1, 1]]
    now = state["w"]
    assign_values([(step, np.array(7)), (w, np.full(2, 5.0))])
    assert now.tolist() == [5, 5]
    assert state["step"] == 7
    del state["w"]
    assert read_values([w])[0].tolist() == [0, 0]


def test_restored_gives_the_same_objects() -> None:
    state = {"a": np.zeros(1), "b": {"c": np.zeros(2)}}
    assert restored(state, {"a": state["a"]}) == state


# --- mismatches ----------------------------------------------------------------------------------


def test_mismatches_say_what_tensorflow_says() -> None:
    target = one(np.zeros((2, 3)))
    assert target.mismatch("float64", (2, 3)) is None
    assert "expected dtype float64 does not equal original dtype float32" in str(
        target.mismatch("float32", (2, 3))
    )
    assert "lhs shape= [2,3] rhs shape= [6]" in str(target.mismatch("float64", [6]))
    assert target.mismatch("float64", [6], reshape=True) is None
    assert "tensor with 5 values, but the requested shape [2,3] has 6" in str(
        target.mismatch("float64", [5], reshape=True)
    )


def test_static_shapes_are_matched_as_far_as_known() -> None:
    def target(shape: Any, slice_: SliceInfo | None = None) -> Target:
        return Target(Group(), None, tf_dtype="int8", shape=shape, slice=slice_)

    assert target(None).mismatch("int8", (1, 2)) is None
    assert target((None, 2)).mismatch("int8", (9, 2)) is None
    assert "lhs shape= [?,2]" in str(target((None, 2)).mismatch("int8", (9, 3)))
    assert target((None, 2)).mismatch("int8", (3,), reshape=True) is None
    part = target((2, 2), SliceInfo("p", (5, 2), (0, 0)))
    assert part.mismatch("int8", (5, 2)) is None
    assert "[5,2] does not match the shape stored in checkpoint: [2,2]" in str(
        part.mismatch("int8", (2, 2))
    )


class Spy(Group):
    """Notes what it is asked."""

    def __init__(self, log: list[str], *, refuses: bool = False) -> None:
        self.log = log
        self.refuses = refuses

    def read(self, targets: Any, session: Any = None, *, share: bool = False) -> list[Any]:
        self.log.append(f"read {len(targets)} {session}{' share' if share else ''}")
        return [target.origin for target in targets]

    def check(self, pairs: Any, session: Any = None) -> None:
        if self.refuses:
            raise InvalidArgumentError("no")

    def assign(self, pairs: Any, session: Any = None) -> list[Any]:
        self.log.append(f"assign {len(pairs)} {session}")
        return [value for _, value in pairs]


def test_each_group_is_asked_once_and_all_before_any_is_written() -> None:
    log: list[str] = []
    a, b = Spy(log), Spy(log)
    groups = [a, b, a]
    targets = [Target(g, i, tf_dtype="int8", shape=()) for i, g in enumerate(groups)]
    assert read_values(targets, "session") == [0, 1, 2]
    assert log == ["read 2 session", "read 1 session"]
    read_values(targets[1:2], share=True)
    assert log.pop() == "read 1 None share"
    log.clear()
    assert assign_values([(t, 10 + i) for i, t in enumerate(targets)]) == [10, 11, 12]
    assert log == ["assign 2 None", "assign 1 None"]
    log.clear()
    b.refuses = True
    with pytest.raises(InvalidArgumentError, match="no"):
        assign_values([(t, 0) for t in targets])
    assert log == []


def test_no_framework_is_imported() -> None:
    code = """
        import sys, numpy
        from fastckpt.training.variables import Variable, name_targets
        name_targets({"a": numpy.zeros(1), "v": Variable(1.0)}), name_targets(None)
        for bad in ([1], {"a": 1}, "x"):
            try: name_targets(bad)
            except TypeError: pass
        print(sorted({"tensorflow", "torch", "jax", "ml_dtypes"} & set(sys.modules)))
    """
    lines = [line[8:] for line in code.splitlines()]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_mixed_lists_of_variables() -> None:
    v = Variable(1.0, name="mixed")
    named = name_targets({"v": v, "a": np.zeros(2), "deep": {"w": Variable(2.0)}})
    assert list(named) == ["a", "deep/w", "v"]
