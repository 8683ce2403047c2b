"""Finding elements of a graph by name, with the errors that TensorFlow raises.

Texts and classes are those of ``Graph.as_graph_element`` in TensorFlow 2.21; where a name is
missing, near ones are appended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from fastckpt.errors import InvalidArgumentError
from fastckpt.graph.operations import Operation, Tensor
from fastckpt.graph.tensorflow_errors import NotInGraphError, WrongTypeError
from fastckpt.names import near_names

if TYPE_CHECKING:
    from fastckpt.graph.graph import Graph

__all__ = ["find_element", "find_operation", "find_tensor"]

_FORM = 'Tensor names must be of the form "<op_name>:<output_index>".'


def find_operation(graph: Graph, name: Any) -> Operation:
    """Find an operation by its name, a str."""
    if not isinstance(name, str):
        raise WrongTypeError(
            f"Operation names are strings (or similar), not {type(name).__name__}."
        )
    if ":" in name:
        raise InvalidArgumentError(
            f"Name {name!r} appears to refer to a Tensor, not a Operation.", key=name
        )
    found = graph.find_operation(name)
    if found is None:
        raise NotInGraphError(
            f"The name {name!r} refers to an Operation not in the graph.",
            hint=lambda: _near(graph, name),
            key=name,
        )
    return found


def find_tensor(graph: Graph, name: Any) -> Tensor:
    """Find a tensor by its name, a str such as ``"w:0"``."""
    if not isinstance(name, str):
        raise WrongTypeError(f"Tensor names are strings (or similar), not {type(name).__name__}.")
    if ":" not in name:
        _no_output_number(graph, name)
    op_name, number = _split(name)
    op = graph.find_operation(op_name)
    if op is None:
        raise NotInGraphError(
            f"The name {name!r} refers to a Tensor which does not exist. The operation, "
            f"{op_name!r}, does not exist in the graph.",
            hint=lambda: _near(graph, op_name),
            key=name,
        )
    outputs = op.values()
    try:
        return outputs[number]
    except IndexError:
        raise NotInGraphError(
            f"The name {name!r} refers to a Tensor which does not exist. The operation, "
            f"{op_name!r}, exists but only has {len(outputs)} outputs.",
            key=name,
        ) from None


def find_element(graph: Graph, obj: Any, *, allow_tensor: bool, allow_operation: bool) -> Any:
    """Find what a name means, or check that an element is of this graph."""
    wanted = _wanted(allow_tensor=allow_tensor, allow_operation=allow_operation)
    convert = getattr(obj, "_as_graph_element", None)
    if convert is not None:
        obj = convert()
    if isinstance(obj, bytes):
        obj = obj.decode("utf-8", "surrogateescape")
    if isinstance(obj, str):
        is_tensor = allow_tensor and (":" in obj or not allow_operation)
        return find_tensor(graph, obj) if is_tensor else find_operation(graph, obj)
    if isinstance(obj, Tensor if allow_tensor else ()):
        return _of_this_graph(graph, obj, "Tensor")
    if isinstance(obj, Operation if allow_operation else ()):
        return _of_this_graph(graph, obj, "Operation")
    raise WrongTypeError(f"Can not convert a {type(obj).__name__} into a {wanted}.")


def _wanted(*, allow_tensor: bool, allow_operation: bool) -> str:
    if not allow_tensor and not allow_operation:
        raise InvalidArgumentError("allow_tensor and allow_operation can't both be False.")
    names = ["Tensor"] * allow_tensor + ["Operation"] * allow_operation
    return " or ".join(names)


def _of_this_graph(graph: Graph, element: Any, kind: str) -> Any:
    if element.graph is not graph:
        raise InvalidArgumentError(
            f"{kind} {element!r} is not an element of this graph.", key=element.name
        )
    return element


def _no_output_number(graph: Graph, name: str) -> NoReturn:
    if graph.find_operation(name) is not None:
        what = f"The name {name!r} refers to an Operation, not a Tensor."
    else:
        what = f"The name {name!r} looks like an (invalid) Operation name, not a Tensor."
    raise InvalidArgumentError(f"{what} {_FORM}", key=name)


def _split(name: str) -> tuple[str, int]:
    op_name, *rest = name.split(":")
    try:
        (number,) = map(int, rest)
    except ValueError:
        raise InvalidArgumentError(
            f"The name {name!r} looks a like a Tensor name, but is not a valid one. {_FORM}",
            key=name,
        ) from None
    return op_name, number


def _near(graph: Graph, name: str) -> str:
    near = near_names(name, sorted(graph.operation_names()))
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
