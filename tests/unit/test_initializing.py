"""``init_from_checkpoint`` for arrays and variables: assigned at once, all or none."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastckpt
from fastckpt.checkpoint.tensorflow_errors import WrongTypeError
from fastckpt.errors import CheckpointNotFoundError, InvalidArgumentError, TensorNotFoundError
from fastckpt.training.initializing import init_from_checkpoint
from fastckpt.training.variables import Variable, reset_default_collection


@pytest.fixture(autouse=True)
def _empty_collection() -> Iterator[None]:
    reset_default_collection()
    yield
    reset_default_collection()


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> str:
    return fastckpt.save(
        tmp_path_factory.mktemp("init") / "m",
        {
            "v1": np.arange(3, dtype=np.float32),
            "scope/a": np.float32(1),
            "scope/deep/b": np.float32(2),
            "s": ["x"],
        },
    )


def test_each_form_of_a_value(prefix: str) -> None:
    array, named = np.zeros(3, np.float32), Variable(np.zeros(3, np.float32), name="n/other")
    text = Variable("", name="text")
    strings = np.array([b""], object)
    init_from_checkpoint(prefix, [("v1", array), ("v1", "n/other"), ("s", strings)])
    assert array.tolist() == named.value.tolist() == [0, 1, 2]
    assert strings.tolist() == [b"x"]
    assert text.value == b""
    other = Variable(0.0, name="elsewhere")
    init_from_checkpoint(prefix.encode(), {"scope/deep/b": other})
    init_from_checkpoint(Path(prefix), {"scope/": {"a": array[:1].reshape(())}})
    assert other.value == 2
    assert array.tolist() == [1, 1, 2]


@pytest.mark.parametrize(
    ("assignment_map", "names"),
    [
        ({"scope/": "mine/"}, ["mine/a", "mine/deep/b"]),
        ({"/": "mine/"}, ["mine/scope/a", "mine/scope/deep/b"]),
        ({"scope/": "/"}, ["a", "deep/b"]),
        ({"/": "/"}, ["scope/a", "scope/deep/b"]),
    ],
)
def test_scopes(prefix: str, assignment_map: Any, names: list[str]) -> None:
    first, second = (Variable(0.0, name=name) for name in names)
    init_from_checkpoint(prefix, assignment_map)
    assert (first.value, second.value) == (1, 2)


def test_a_scope_without_variables(prefix: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "fastckpt"):
        init_from_checkpoint(prefix, {"scope/": "nobody/"})
    assert "no variable is below scope 'nobody/'" in caplog.text


WRONG: dict[str, tuple[Any, type[Exception], str]] = {
    "absent": ({"nope": np.zeros(3)}, ValueError, "Tensor nope is not found in .* checkpoint {"),
    "absent, near": ({"v1:0": np.zeros(3)}, KeyError, "did you mean 'v1'"),
    "no variable": ({"v1": "n"}, ValueError, "scope only name  should map to scope only v1"),
    "no variable in a scope": ({"v1": "n/m"}, ValueError, "only name n should map to scope only"),
    "scope without a slash": ({"scope/": "n"}, ValueError, "ends with a slash: 'n/'"),
    "shape": ({"v1": np.zeros(4, "f4")}, ValueError, r"\(\(4,\)\) doesn't .* v1 \(\[3\]\) from"),
    "dtype": ({"v1": np.zeros(3)}, ValueError, "expected dtype float64 .* original dtype float32"),
    "scope member": ({"scope/": "x/"}, KeyError, r"Tensor scope/zz \(zz in scope/\) is not found"),
    "container": ({"v1": {"a": np.zeros(1)}}, ValueError, "holds several; pass the scope"),
    "number": ({"v1": 5}, TypeError, "is not a Variable: 5"),
    "key": ({1: np.zeros(1)}, TypeError, "must be a str, not 1"),
    "no map": (5, TypeError, "must be a mapping"),
    "no pairs": (["ab", "cde"], TypeError, "or a list of such pairs"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_mistakes_change_nothing(prefix: str, case: str) -> None:
    assignment_map, kind, words = WRONG[case]
    first, member = Variable(0.0, name="first"), Variable(0.0, name="x/zz")
    if isinstance(assignment_map, dict):
        assignment_map = [("scope/a", first), *assignment_map.items()]
    with pytest.raises(kind, match=words) as caught:
        init_from_checkpoint(prefix, assignment_map)
    assert isinstance(caught.value, InvalidArgumentError)
    assert (first.value, member.value) == (0, 0)


def test_which_checkpoint(prefix: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointNotFoundError):
        init_from_checkpoint(tmp_path / "none", {})
    (tmp_path / "checkpoint").write_text(f'model_checkpoint_path: "{prefix}"\n')
    array = np.zeros(3, np.float32)
    init_from_checkpoint(tmp_path, {"v1": array})
    assert array.tolist() == [0, 1, 2]
    init_from_checkpoint(prefix, {})


def test_the_error_is_every_class_that_a_caller_might_expect(prefix: str) -> None:
    with pytest.raises(TensorNotFoundError) as caught:
        init_from_checkpoint(prefix, {"nope": np.zeros(1)})
    assert isinstance(caught.value, ValueError)
    assert (caught.value.key, caught.value.path) == ("nope", prefix)
    with pytest.raises(WrongTypeError):
        init_from_checkpoint(prefix, {b"v1": np.zeros(3)})
