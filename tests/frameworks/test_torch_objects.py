"""Objects of torch as variables of an ObjectCheckpoint."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fastckpt.errors import UnsupportedError
from fastckpt.training.objects import Module, ObjectCheckpoint


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_values_that_are_replaced_or_in_parts_are_refused() -> None:
    linear = torch.nn.Linear(2, 1)
    module = Module()
    module.linear = linear
    with pytest.raises(UnsupportedError, match="its parts in a dict"):
        ObjectCheckpoint(module).write("no")
    parameters = dict(linear.named_parameters())
    path = ObjectCheckpoint(linear=parameters).save("ckpt")
    before = linear.weight.detach().clone()
    with torch.no_grad():
        linear.weight.zero_()
    ObjectCheckpoint(linear=parameters).restore(path).assert_consumed()
    assert torch.equal(linear.weight, before)
