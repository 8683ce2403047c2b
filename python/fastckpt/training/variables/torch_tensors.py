"""Tensors, parameters and modules of torch: saved without a copy, restored in place.

Imported only where the program has imported torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastckpt import dtypes
from fastckpt.checkpoint.array_likes import read_array
from fastckpt.errors import InvalidArgumentError, UnsupportedError
from fastckpt.training.variables.protocol import Group, Pair, Target
from fastckpt.training.variables.slots import Slot

__all__ = ["adapt", "adapt_tree", "default_items", "replace"]

# Names that torch and TensorFlow share; those of quantised tensors mean another thing in torch.
_SHARED_DTYPES = frozenset({
    "bfloat16", "bool", "complex128", "complex64", "float16", "float32", "float64",
    "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "int16", "int32",
    "int64", "int8", "uint16", "uint32", "uint64", "uint8",
})  # fmt: skip


def adapt(value: Any, slot: Slot | None) -> list[Target] | None:
    """Make a target of a tensor or parameter."""
    if not isinstance(value, _torch().Tensor):
        return None
    return [_TensorTarget(TENSORS, value, slot=slot)]


def adapt_tree(value: Any, slot: Slot | None = None) -> list[Target] | None:  # noqa: ARG001
    """Make a target of everything in the state of a module, under torch's own names."""
    if not isinstance(value, _torch().nn.Module):
        return None
    group = _Module(value)
    return [_TensorTarget(group, x, name=name) for name, x in group.state().items()]


def replace(value: Any, holders: Mapping[str, Any], key: str) -> tuple[bool, Any]:  # noqa: ARG001
    """Tensors are restored in place."""
    return False, None


def default_items(*, has_others: bool) -> list[Any]:  # noqa: ARG001
    """There is no collection of tensors in torch."""
    return []


class _TensorTarget(Target):
    """A tensor, or what is in its place of the caller's dict by the time it is looked at."""

    __slots__ = ("part", "slot")

    def __init__(
        self, group: Group, tensor: Any, *, name: str | None = None, slot: Slot | None = None
    ) -> None:
        self.slot = slot
        self.part = name  # in the state of its module, whatever the module's own key
        _check_kind(tensor, name or (slot.key if slot else ""))
        super().__init__(
            group,
            tensor,
            tf_dtype="",
            shape=None,
            name=name,
            device=_device(tensor),
            trainable=bool(tensor.requires_grad),
            # Tied parameters of a module have two names, as torch saves them.
            identity=id(tensor) if name is None else None,
        )

    @property
    def tensor(self) -> Any:
        """The tensor as it is now."""
        current = self.origin if self.slot is None else self.slot.get(self.origin)
        return current if isinstance(current, _torch().Tensor) else self.origin

    @property
    def tf_dtype(self) -> str:
        """TensorFlow's name of the dtype."""
        return _torch_name(self.tensor)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor."""
        return tuple(self.tensor.shape)


class _Tensors(Group):
    def read(
        self,
        targets: Sequence[Any],
        session: Any = None,  # noqa: ARG002
        *,
        share: bool = False,  # noqa: ARG002
    ) -> list[Any]:
        return [_array_of(target.tensor) for target in targets]

    def check(self, pairs: Sequence[Pair], session: Any = None) -> None:  # noqa: ARG002
        for target, _ in pairs:
            _check_writable(target)

    def assign(self, pairs: Sequence[Any], session: Any = None) -> list[Any]:  # noqa: ARG002
        for target, value in pairs:
            _copy_into(target.tensor, value)
        return [target.tensor for target, _ in pairs]


TENSORS = _Tensors()


class _Module(Group):
    """The state of one module, asked for at each save: a module may exchange its tensors."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def state(self) -> dict[str, Any]:
        """Give the tensors of the module's state by name."""
        found = {k: v for k, v in self._module.state_dict(keep_vars=True).items() if v is not None}
        for name, value in found.items():
            if not isinstance(value, _torch().Tensor):
                raise UnsupportedError(
                    f"{name!r} in the state of {type(self._module).__name__} is no tensor but a "
                    f"{type(value).__name__}; save a dict of the entries that are: "
                    "module.state_dict()"
                )
        return found

    def read(
        self,
        targets: Sequence[Any],
        session: Any = None,  # noqa: ARG002
        *,
        share: bool = False,  # noqa: ARG002
    ) -> list[Any]:
        self._refresh(targets)
        return [_array_of(target.origin) for target in targets]

    def check(self, pairs: Sequence[Pair], session: Any = None) -> None:  # noqa: ARG002
        self._refresh([target for target, _ in pairs])
        for target, _ in pairs:
            _check_writable(target)

    def assign(self, pairs: Sequence[Any], session: Any = None) -> list[Any]:  # noqa: ARG002
        # The module's own way, which a module with a state of its own making may have changed.
        values = {
            target.part: _as_tensor(value, target.origin).reshape(target.origin.shape)
            for target, value in pairs
        }
        try:
            self._module.load_state_dict(values, strict=False)
        except RuntimeError as error:
            raise InvalidArgumentError(
                f"{type(self._module).__name__} was restored in part: {error}"
            ) from error
        return [target.origin for target, _ in pairs]

    def _refresh(self, targets: Sequence[Any]) -> None:
        state = self.state()
        for target in targets:
            if target.part not in state:
                raise InvalidArgumentError(
                    f"{target.part!r} is no longer in the state of {type(self._module).__name__}; "
                    "make a new Saver after changing a module",
                    key=target.key,
                )
            target.origin = state[target.part]


def _torch() -> Any:
    return importlib.import_module("torch")


def _check_kind(tensor: Any, name: str) -> None:
    """Raise where a tensor has no memory that could be saved and restored."""
    if _torch().nn.parameter.is_lazy(tensor):
        problem = "has no shape yet; run its module once before"
    elif tensor.device.type == "meta":
        problem = "is on device meta, where tensors have no values"
    elif str(tensor.layout) != "torch.strided" or getattr(tensor, "is_nested", False):
        problem = f"has layout {tensor.layout}; save its components as dense tensors"
    elif tensor.is_quantized or _torch_name(tensor) not in _SHARED_DTYPES:
        problem = f"is of {tensor.dtype}, which TensorFlow has no DataType for"
    else:
        return
    raise UnsupportedError(f"the torch tensor {name!r} {problem}", key=name)


def _check_writable(target: Any) -> None:
    tensor = target.tensor
    repeated = any(s == 0 and n > 1 for s, n in zip(tensor.stride(), tensor.shape, strict=True))
    if repeated:
        raise InvalidArgumentError(
            f"the tensor of {target.label} is expanded: its elements share memory, and it cannot "
            "be restored in place; pass tensor.contiguous()",
            key=target.key,
        )


def _array_of(tensor: Any) -> NDArray[Any]:
    """Give the memory of a tensor as an ndarray; a copy only where it is on another device."""
    if tensor.device.type != "cpu":
        tensor = tensor.detach().cpu()
    array, number = read_array(tensor)
    return array if number is None else array.view(dtypes.numpy_dtype(number))


def _copy_into(tensor: Any, value: Any) -> None:
    torch = _torch()
    source = _as_tensor(value, tensor)
    # torch counts this as a change in place, so that a backward pass that needs the old value
    # says so; writing to the memory behind its back would not.
    mode = torch.inference_mode() if tensor.is_inference() else torch.no_grad()
    with mode:
        tensor.copy_(source.reshape(tensor.shape))


def _as_tensor(value: Any, like: Any) -> Any:
    """Make a tensor over the memory of an array, to be copied from and never written."""
    torch = _torch()
    array = np.asarray(value)
    if any(stride < 0 for stride in array.strides):
        array = np.ascontiguousarray(array)
    if array.dtype.isbuiltin != 1:
        # A type of ml_dtypes goes by its bits.
        array = array.view("u1" if array.itemsize == 1 else f"i{array.itemsize}")
    if not array.flags.writeable:
        array = np.asarray(_Writable(array))
    tensor = torch.from_numpy(array)
    return tensor if tensor.dtype == like.dtype else tensor.view(like.dtype)


class _Writable:
    """Read-only memory that says it can be written: torch warns of arrays that cannot."""

    def __init__(self, array: NDArray[Any]) -> None:
        self._array = array
        interface = dict(array.__array_interface__)
        self.__array_interface__ = {**interface, "data": (interface["data"][0], False)}


def _device(tensor: Any) -> str:
    """Name a device as TensorFlow does; the CPU has no name."""
    if tensor.device.type == "cpu":
        return ""
    kind = "GPU" if tensor.device.type == "cuda" else tensor.device.type.upper()
    return f"/device:{kind}:{tensor.device.index or 0}"


def _torch_name(tensor: Any) -> str:
    return str(tensor.dtype).removeprefix("torch.")
