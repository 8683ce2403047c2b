"""GraphDefs brought into a graph: names, inputs that are mapped, elements that are asked for.

Rules and texts are those of ``tf.import_graph_def`` and of ``graph_constructor.cc`` of TensorFlow
2.21.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from fastckpt.errors import InvalidArgumentError
from fastckpt.graph.edges import is_control
from fastckpt.graph.graph import Graph
from fastckpt.graph.graph_def import fill_default_attrs
from fastckpt.graph.imported_nodes import ImportedNodes, Source, parse_source
from fastckpt.graph.op_registry import find_op
from fastckpt.graph.operations import Tensor
from fastckpt.graph.sources import as_graph_def, as_message, message_name
from fastckpt.graph.tensor_values import make_tensor_proto
from fastckpt.graph.tensorflow_errors import WrongTypeError
from fastckpt.protos import message_class

__all__ = ["import_graph_def"]

# Scopes that were made in a graph, in lower case -> how many there are of them.
_scopes: weakref.WeakKeyDictionary[Graph, dict[str, int]] = weakref.WeakKeyDictionary()


def import_graph_def(
    graph_def: Any,
    input_map: Mapping[str, Any] | None = None,
    return_elements: Iterable[str] | None = None,
    name: str | None = None,
    op_dict: Any = None,  # noqa: ARG001 - TensorFlow's signature
    producer_op_list: Any = None,
    *,
    graph: Graph | None = None,
) -> Any:
    """Bring a GraphDef into a graph.

    Parameters
    ----------
    graph_def : GraphDef, bytes, path or graph
        What to bring in; it is not changed.
    input_map : mapping of str to Tensor, optional
        Tensors of `graph_def` by name (``"a:0"``, ``"a"``; ``"^a"`` for control inputs) -> what
        their consumers take instead: tensors of the graph, or values, which become constants.
    return_elements : iterable of str, optional
        Names of operations and tensors of `graph_def` to give back.
    name : str, optional
        Name scope to put it below: the next free one of this name, ``"import"`` by default; with
        a slash at its end that one exactly; ``""`` for none. Names that are taken get a number.
    op_dict : object
        Not used, as in TensorFlow.
    producer_op_list : OpList, optional
        Describes the operations of the program that made `graph_def`: attributes that only it
        knows are left out where they have its defaults.
    graph : Graph, optional
        The graph that grows; by default that of the tensors in `input_map`, or a new one.

    Returns
    -------
    list of Operation and Tensor, or None, or Graph
        What `return_elements` names. Without, None where `graph` was given, else the graph:
        there is no default graph here that it would be in.

    Raises
    ------
    WrongTypeError
        An argument of another type; a TypeError too.
    InvalidArgumentError
        A scope that TensorFlow takes not, a name that is not in `graph_def`, an input from a node
        or output that does not exist, nodes that feed each other in a circle, another function of
        one name. A ValueError too; the graph is as it was.

    Notes
    -----
    Costs a pass over all nodes, the old ones too. Attributes that nodes leave out are filled in.
    Operations that nobody describes are taken as they are.
    """
    elements = _names(return_elements)
    mapped = _checked_map(input_map)
    target = _target(graph, mapped)
    source = _copied(graph_def)
    if producer_op_list is not None:
        _drop_defaults(source, as_message(producer_op_list))
    fill_default_attrs(source)
    scope = _scope(target, name)
    values = _values(mapped, scope)
    nodes = ImportedNodes(target, source, scope.prefix, values.sources)
    grown = nodes.grown(values.constants)
    found = None if elements is None else [nodes.element(x) for x in elements]
    target.become(grown)
    _scopes[target] = scope.taken
    if found is None:
        return target if graph is None else None
    return [target.as_graph_element(x) for x in found]


class _Scope(NamedTuple):
    """The prefix of the nodes, and the scopes that are taken with it."""

    prefix: str
    taken: dict[str, int]


class _Values(NamedTuple):
    """What is taken instead of mapped inputs, and the constants that are made for it."""

    sources: dict[Source, str]
    constants: list[Any]


def _names(elements: Iterable[Any] | None) -> list[str] | None:
    if elements is None:
        return None
    names = list(elements)
    if not all(isinstance(x, str | bytes) for x in names):
        raise WrongTypeError(
            f"Argument `return_elements` must be a list of strings. Obtained {names}."
        )
    return [x.decode() if isinstance(x, bytes) else x for x in names]


def _checked_map(input_map: Any) -> dict[str, Any]:
    if input_map is None:
        return {}
    if not isinstance(input_map, dict):
        raise WrongTypeError(
            f"Argument `input_map` must be a dictionary. Obtained {type(input_map).__name__}"
        )
    if not all(isinstance(key, str | bytes) for key in input_map):
        raise WrongTypeError(
            f"All keys for argument `input_map` must be strings. Obtained keys: {list(input_map)}"
        )
    return {x.decode() if isinstance(x, bytes) else x: y for x, y in input_map.items()}


def _target(graph: Graph | None, mapped: Mapping[str, Any]) -> Graph:
    graphs = [x.graph for x in mapped.values() if isinstance(x, Tensor)]
    target = graph if graph is not None else graphs[0] if graphs else Graph()
    if not isinstance(target, Graph):
        raise WrongTypeError(f"graph must be a Graph, but got type {type(target).__name__}")
    if any(x is not target for x in graphs):
        raise InvalidArgumentError("a tensor of input_map is not in the graph that grows")
    return target


def _copied(graph_def: Any) -> Any:
    if message_name(graph_def) not in (None, "GraphDef"):
        raise WrongTypeError("Argument `graph_def` must be a GraphDef proto.")
    copy = message_class("GraphDef")()
    copy.CopyFrom(as_graph_def(graph_def, "Argument `graph_def`"))
    return copy


def _drop_defaults(source: Any, producer: Any) -> None:
    """Leave out the attributes that only the producer knows, where they have its defaults."""
    theirs = {op.name: op for op in producer.op}
    for node in source.node:
        op_def = find_op(node.op)
        if node.op not in theirs or op_def is None:
            continue
        known = {attr.name for attr in op_def.attr}
        for attr in theirs[node.op].attr:
            is_unknown = attr.name not in known and attr.name in node.attr
            has_default = attr.HasField("default_value")
            if is_unknown and has_default and node.attr[attr.name] == attr.default_value:
                del node.attr[attr.name]


def _scope(target: Graph, name: Any) -> _Scope:
    taken = dict(_scopes.get(target, {}))
    if name is not None and not isinstance(name, str):
        raise WrongTypeError(f"name must be a string, but got {name!r}")
    if name == "":
        return _Scope("", taken)
    if name is not None and name.endswith("/"):
        return _Scope(name[:-1], taken)
    used = {**dict.fromkeys((x.lower() for x in target.operation_names()), 1), **taken}
    prefix = _unique(name or "import", used, taken)
    return _Scope(prefix, taken)


def _unique(name: str, used: Mapping[str, int], taken: dict[str, int]) -> str:
    """Give the next free scope of a name, and note that it is taken; case does not matter."""
    found = key = name.lower()
    i = used.get(key, 0)
    taken[key] = i + 1
    if not i:
        return name
    while found in used:
        found = f"{key}_{i}"
        i += 1
    taken[found] = 1
    return f"{name}_{i - 1}"


def _values(mapped: Mapping[str, Any], scope: _Scope) -> _Values:
    values = _Values({}, [])
    for key, value in mapped.items():
        if isinstance(value, Tensor):
            tensor = value.name
        elif scope.prefix:
            tensor = _add_constant(values.constants, f"{scope.prefix}/_inputs/Const", value)
        else:
            raise InvalidArgumentError(
                "tf.import_graph_def() requires a non-empty `name` if `input_map` contains "
                "non-Tensor values: pass a name, or tensors"
            )
        source = parse_source(key)
        node = tensor.rpartition(":")[0]
        values.sources[source] = f"^{node}" if is_control(key) else tensor.removesuffix(":0")
    return values


def _add_constant(constants: list[Any], name: str, value: Any) -> str:
    constant = message_class("NodeDef")(op="Const")
    constant.name = f"{name}_{len(constants)}" if constants else name
    constant.attr["value"].tensor.CopyFrom(make_tensor_proto(value))
    constant.attr["dtype"].type = constant.attr["value"].tensor.dtype
    constants.append(constant)
    return f"{constant.name}:0"
