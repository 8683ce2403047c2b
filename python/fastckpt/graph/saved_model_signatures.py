"""Signatures of SavedModels: which tensors a caller feeds and gets, by his names for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from numpy.typing import NDArray

from fastckpt.errors import InvalidArgumentError
from fastckpt.graph.graph import Graph
from fastckpt.graph.sources import as_message, message_name
from fastckpt.graph.tensor_types import TensorDType, TensorShape
from fastckpt.graph.tensor_values import make_ndarray
from fastckpt.graph.tensorflow_errors import WrongTypeError
from fastckpt.names import near_names
from fastckpt.protos import message_class

__all__ = [
    "INIT_OP",
    "PREDICT",
    "RESERVED",
    "Signature",
    "SignatureTensor",
    "decode_signatures",
    "make_signature",
]

# Method of signatures that are called with tensors and give tensors.
PREDICT = "tensorflow/serving/predict"

# Signatures that name an operation to run, not tensors.
INIT_OP = "__saved_model_init_op"
RESERVED = frozenset({INIT_OP, "__saved_model_train_op"})

_PARTS = frozenset({"inputs", "outputs", "method_name"})


class SignatureTensor(NamedTuple):
    """One input or output of a signature.

    Attributes
    ----------
    name : str
        Name of the tensor in the graph, such as ``"x:0"``; empty for one of several tensors.
    dtype : TensorDType or None
        Its dtype; None where the file tells none, as for ragged ones.
    shape : TensorShape
        What is known of its shape.
    components : tuple of SignatureTensor
        The tensors that make up a sparse, ragged or other composite one; the values, indices and
        dense shape of a sparse one.
    """

    name: str
    dtype: TensorDType | None
    shape: TensorShape
    components: tuple[SignatureTensor, ...] = ()


class Signature(NamedTuple):
    """How a model is called.

    Attributes
    ----------
    name : str
        Such as ``"serving_default"``.
    inputs, outputs : dict of str to SignatureTensor
        By the caller's names, sorted.
    method_name : str
        Such as ``"tensorflow/serving/predict"``.
    defaults : dict of str to ndarray
        Values of inputs that may be left out.
    """

    name: str
    inputs: dict[str, SignatureTensor]
    outputs: dict[str, SignatureTensor]
    method_name: str
    defaults: dict[str, NDArray[Any]]


def decode_signatures(meta_graph: Any) -> dict[str, Signature]:
    """Give the signatures of a MetaGraphDef by name, without those that name an operation."""
    found = sorted(meta_graph.signature_def.items())
    return {name: _signature(name, proto) for name, proto in found if name not in RESERVED}


def make_signature(name: str, spec: Any, graph: Graph) -> Any:
    """Build a SignatureDef; dtypes and shapes are those of the graph.

    Parameters
    ----------
    name : str
        Of the signature.
    spec : mapping, Signature or SignatureDef
        ``{"inputs": {...}, "outputs": {...}}``, with ``"method_name"`` if it is not to be called
        by tensors. Inputs and outputs are names of tensors, tensors of a graph, or TensorInfos.
    graph : Graph
        Where the tensors are.

    Returns
    -------
    SignatureDef

    Raises
    ------
    InvalidArgumentError
        A reserved name; a tensor that the graph has not, with near names.
    WrongTypeError
        A `spec` of another form.
    """
    if name in RESERVED:
        raise InvalidArgumentError(
            f"the name {name!r} is reserved; choose another one, or pass the operation as init_op"
        )
    if message_name(spec) == "SignatureDef":
        return as_message(spec)
    inputs, outputs, method = _parts(name, spec)
    proto = message_class("SignatureDef")(method_name=method)
    for kind, tensors in (("inputs", inputs), ("outputs", outputs)):
        if not isinstance(tensors, Mapping):
            raise WrongTypeError(f"signature {name!r}: {kind} must be a dict, not {tensors!r}")
        for key, tensor in tensors.items():
            info = _tensor_info(f"{kind} {key!r} of signature {name!r}", tensor, graph)
            getattr(proto, kind)[key].CopyFrom(info)
    return proto


def _signature(name: str, proto: Any) -> Signature:
    return Signature(
        name,
        {key: _tensor(info) for key, info in sorted(proto.inputs.items())},
        {key: _tensor(info) for key, info in sorted(proto.outputs.items())},
        proto.method_name,
        {key: make_ndarray(value) for key, value in sorted(proto.defaults.items())},
    )


def _tensor(info: Any) -> SignatureTensor:
    dtype, shape = _dtype(info.dtype), TensorShape(info.tensor_shape)
    kind = info.WhichOneof("encoding")
    if kind == "coo_sparse":
        return SignatureTensor("", dtype, shape, _sparse(info.coo_sparse, dtype))
    if kind == "composite_tensor":
        parts = tuple(map(_tensor, info.composite_tensor.components))
        return SignatureTensor("", dtype, shape, parts)
    return SignatureTensor(info.name, dtype, shape)


def _dtype(number: int) -> TensorDType | None:
    try:
        return TensorDType(number)
    except InvalidArgumentError:
        return None


def _sparse(sparse: Any, dtype: TensorDType | None) -> tuple[SignatureTensor, ...]:
    int64 = TensorDType(9)
    return (
        SignatureTensor(sparse.values_tensor_name, dtype, TensorShape([None])),
        SignatureTensor(sparse.indices_tensor_name, int64, TensorShape([None, None])),
        SignatureTensor(sparse.dense_shape_tensor_name, int64, TensorShape([None])),
    )


def _parts(name: str, spec: Any) -> tuple[Any, Any, str]:
    if isinstance(spec, Signature):
        return spec.inputs, spec.outputs, spec.method_name
    if isinstance(spec, Mapping) and _PARTS.issuperset(spec) and "outputs" in spec:
        return spec.get("inputs", {}), spec["outputs"], spec.get("method_name", PREDICT)
    raise WrongTypeError(
        f"signature {name!r} must be {{'inputs': {{...}}, 'outputs': {{...}}}} with names of "
        f"tensors, not {spec!r}"
    )


def _tensor_info(what: str, tensor: Any, graph: Graph) -> Any:
    if message_name(tensor) == "TensorInfo":
        return as_message(tensor)
    name = getattr(tensor, "name", tensor)
    if not isinstance(name, str) or not name:
        raise WrongTypeError(f"{what} must be the name of a tensor, not {tensor!r}")
    try:
        found = graph.get_tensor_by_name(name if ":" in name else f"{name}:0")
    except (KeyError, ValueError) as error:
        known = [node.name for node in graph.as_graph_def().node]
        near = near_names(name.partition(":")[0], known)
        hint = f"did you mean {' or '.join(repr(f'{x}:0') for x in near)}?" if near else str(error)
        raise InvalidArgumentError(
            f"{what} names no tensor of the graph: {name!r}; {hint}"
        ) from None
    proto = message_class("TensorInfo")(name=found.name, dtype=int(found.dtype.base_dtype))
    proto.tensor_shape.CopyFrom(found.shape.as_proto())
    return proto
