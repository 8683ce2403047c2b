"""Tensors and modules of torch as targets: shared on a save, restored in place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import fastckpt
from fastckpt.checkpoint.tensorflow_errors import WrongTypeError
from fastckpt.errors import InvalidArgumentError, UnsupportedError
from fastckpt.training.initializing import init_from_checkpoint
from fastckpt.training.variables import (
    UnnamedError,
    Variable,
    assign_values,
    name_targets,
    read_values,
    restored,
)

DTYPES = [
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16",
    "bfloat16", "float32", "float64", "complex64", "complex128", "float8_e4m3fn", "float8_e5m2",
]  # fmt: skip


def one(tensor: Any) -> Any:
    (target,) = name_targets({"x": tensor})["x"]
    return target


def bits_of(tensor: Any) -> bytes:
    return bytes(tensor.detach().contiguous().view(torch.uint8).numpy().tobytes())


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_is_read_without_a_copy_and_restored_in_place(dtype: str) -> None:
    tensor = torch.zeros(3, 4).to(getattr(torch, dtype))
    target = one(tensor)
    assert (target.tf_dtype, target.shape) == (dtype, (3, 4))
    (array,) = read_values([target])
    assert array.ctypes.data == tensor.data_ptr()
    assert array.dtype == target.dtype
    value = (np.arange(12).reshape(3, 4) % 2).astype(target.dtype)
    value.flags.writeable = False
    assert assign_values([(target, value)])[0] is tensor
    assert bits_of(tensor) == value.tobytes()


def test_layouts() -> None:
    base = torch.zeros(6, 8)
    for tensor in (base.T, base[::2, 1:], base[0, 0], torch.zeros(0, 3), torch.zeros(())):
        target = one(tensor)
        value = np.random.default_rng(0).random(tuple(tensor.shape)).astype(np.float32)
        assign_values([(target, value)])
        assert np.array_equal(tensor.numpy(), value)
        assert np.array_equal(read_values([target])[0], value)
        assign_values([(target, np.asarray(value[::-1] if value.ndim else value))])


def test_pending_conjugation_is_resolved() -> None:
    tensor = torch.tensor([1 + 2j]).conj()
    assert read_values([one(tensor)])[0].tolist() == [1 - 2j]


def test_a_parameter_is_assigned_in_spite_of_its_gradient() -> None:
    parameter = torch.nn.Parameter(torch.ones(2))
    target = one(parameter)
    assert target.trainable
    assert not one(parameter.detach()).trainable
    loss = (parameter**2).sum()
    assign_values([(target, np.array([3.0, 4.0], np.float32))])
    assert parameter.tolist() == [3, 4]
    assert parameter.requires_grad
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_tensors_of_inference_mode() -> None:
    with torch.inference_mode():
        tensor = torch.zeros(2)
    assign_values([(one(tensor), np.ones(2, np.float32))])
    assert tensor.tolist() == [1, 1]


UNSUITABLE: dict[str, tuple[Any, str]] = {
    "meta": (lambda: torch.empty(2, device="meta"), "device meta"),
    "sparse": (lambda: torch.eye(2).to_sparse(), "layout torch.sparse"),
    "quantised": (lambda: torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8), "qint8"),
    "half complex": (lambda: torch.zeros(2, dtype=torch.complex32), "complex32"),
    "lazy": (lambda: torch.nn.LazyLinear(2).weight, "no shape yet"),
}


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
@pytest.mark.filterwarnings("ignore:quantize_per_tensor")
@pytest.mark.filterwarnings("ignore:.*[Qq]uantiz")
@pytest.mark.filterwarnings("ignore:.*ComplexHalf")
@pytest.mark.parametrize("case", UNSUITABLE)
def test_tensors_that_no_checkpoint_holds(case: str) -> None:
    make, words = UNSUITABLE[case]
    with pytest.raises(UnsupportedError, match=words) as caught:
        name_targets({"x": make()})
    assert caught.value.key == "x"


def test_an_expanded_tensor_cannot_be_restored() -> None:
    first = torch.zeros(2)
    pairs = [(one(first), np.ones(2, np.float32)), (one(torch.zeros(1).expand(3)), np.ones(3))]
    assert read_values([pairs[1][0]])[0].tolist() == [0, 0, 0]
    with pytest.raises(InvalidArgumentError, match="is expanded"):
        assign_values(pairs)
    assert first.tolist() == [0, 0]


def test_names() -> None:
    net = torch.nn.Linear(2, 3)
    with pytest.raises(UnnamedError, match="no name"):
        name_targets([net.weight])
    assert list(name_targets(net)) == ["bias", "weight"]
    assert list(name_targets([net])) == ["bias", "weight"]
    assert list(name_targets(net.state_dict())) == ["bias", "weight"]
    assert list(name_targets(dict(net.named_parameters()))) == ["bias", "weight"]
    mixed = {"net": net, "state": {"m": torch.zeros(1)}, "step": Variable(0, name="step")}
    assert list(name_targets(mixed)) == ["net/bias", "net/weight", "state/m", "step"]
    with pytest.raises(InvalidArgumentError, match="restored with two names: b"):
        name_targets({"a": net.weight, "b": net.weight})
    with pytest.raises(InvalidArgumentError, match="At least two variables have the same name"):
        name_targets([net, torch.nn.Linear(1, 1)])
    with pytest.raises(WrongTypeError, match="key 'o/lr'"):
        name_targets({"o": {"lr": 0.1}})
    with pytest.raises(InvalidArgumentError, match="key 'optimizer/param_groups'"):
        name_targets({"optimizer": torch.optim.SGD(net.parameters(), lr=0.1).state_dict()})


def test_the_dict_is_looked_up_at_each_save() -> None:
    state = {"w": torch.zeros(2)}
    (target,) = name_targets(state)["w"]
    state["w"] = state["w"] + 1
    assert read_values([target])[0].tolist() == [1, 1]
    now = state["w"]
    assign_values([(target, np.array([5.0, 6.0], np.float32))])
    assert now.tolist() == [5, 6]


# --- modules -------------------------------------------------------------------------------------


class Tied(torch.nn.Module):
    """Two layers of one weight, a buffer, and one that is not saved."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = torch.nn.Linear(3, 3, bias=False)
        self.decoder = torch.nn.Linear(3, 3, bias=False)
        self.decoder.weight = self.encoder.weight
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self.register_buffer("cache", torch.zeros(2), persistent=False)


def test_a_module_with_tied_parameters() -> None:
    module = Tied()
    named = name_targets(module)
    assert list(named) == ["count", "decoder.weight", "encoder.weight"]
    targets = [target for (target,) in named.values()]
    assert [t.trainable for t in targets] == [False, True, True]
    count, first, second = read_values(targets)
    assert count.tolist() == 0
    assert first.ctypes.data == second.ctypes.data == module.encoder.weight.data_ptr()
    new = np.arange(9, dtype=np.float32).reshape(3, 3)
    assign_values(list(zip(targets, [np.array(7), new, new], strict=True)))
    assert module.count.item() == 7
    assert module.decoder.weight is module.encoder.weight
    assert module.encoder.weight.tolist() == new.tolist()
    assert module.encoder.weight.requires_grad


def test_a_module_that_exchanges_its_tensors() -> None:
    module = Tied()
    (target,) = name_targets(module)["encoder.weight"]
    module.encoder.weight = torch.nn.Parameter(torch.full((3, 3), 2.0))
    assert read_values([target])[0].tolist() == [[2.0] * 3] * 3
    assign_values([(target, np.zeros((3, 3), np.float32))])
    assert module.encoder.weight.abs().sum().item() == 0
    del module.encoder
    with pytest.raises(InvalidArgumentError, match="no longer in the state of Tied"):
        read_values([target])


def test_a_module_whose_state_is_made_on_demand() -> None:
    module = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(2, 2))
    named = name_targets(module)
    wanted = {key: value.clone() for key, value in module.state_dict().items()}
    targets = [target for (target,) in named.values()]
    values = [np.array(x) for x in read_values(targets)]
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(1)
    assign_values(list(zip(targets, values, strict=True)))
    assert all(torch.equal(module.state_dict()[key], x) for key, x in wanted.items())


def test_a_module_with_state_that_is_no_tensor() -> None:
    class Extra(torch.nn.Module):
        def get_extra_state(self) -> Any:
            return {"a": 1}

        def set_extra_state(self, state: Any) -> None:
            raise AssertionError

    with pytest.raises(UnsupportedError, match="'_extra_state' in the state of Extra"):
        name_targets({"net": Extra()})


def test_restored_gives_the_same_objects() -> None:
    net = torch.nn.Linear(1, 1)
    state = {"net": net, "t": torch.zeros(1)}
    again = restored(state, {})
    assert again["net"] is net
    assert again["t"] is state["t"]


def test_init_from_checkpoint(tmp_path: Any) -> None:
    source, net = torch.nn.Linear(2, 3), torch.nn.Linear(2, 3)
    path = fastckpt.save(tmp_path / "m", {f"old/{k}": v for k, v in source.state_dict().items()})
    loose = torch.zeros(3)
    init_from_checkpoint(path, {"old/": net, "old/bias": loose})
    assert all(torch.equal(net.state_dict()[k], v) for k, v in source.state_dict().items())
    assert torch.equal(loose, source.bias)
    with pytest.raises(InvalidArgumentError, match="holds several"):
        init_from_checkpoint(path, {"old": net})
