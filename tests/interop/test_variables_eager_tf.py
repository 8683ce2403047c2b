"""Eager variables of TensorFlow as targets, and SaveableObjects in a graph or eager."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.training.saving import saveable_object

from fastckpt.errors import InvalidArgumentError
from fastckpt.training.variables import (
    assign_values,
    name_targets,
    needs_session,
    read_values,
)

tf1 = tf.compat.v1


def targets_of(var_list: Any) -> list[Any]:
    return [target for found in name_targets(var_list).values() for target in found]


def values_of(var_list: Any, session: Any = None) -> dict[str, Any]:
    named = name_targets(var_list)
    return {key: read_values(found, session)[0] for key, found in named.items()}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int4", "bool", "complex64", "uint16"])
def test_an_eager_variable_is_read_and_assigned(dtype: str) -> None:
    bits = np.array([[0, 1], [1, 1]]).astype(tf.as_dtype(dtype).as_numpy_dtype)
    variable = tf.Variable(bits, name="v")
    ((key, (target,)),) = name_targets([variable]).items()
    assert (key, target.tf_dtype, target.shape, target.trainable) == ("v", dtype, (2, 2), True)
    assert not needs_session([target])
    (value,) = read_values([target])
    assert value.tobytes() == bits.tobytes()
    new = bits[::-1].copy()
    new.flags.writeable = False
    assert assign_values([(target, new)]) == [variable]
    assert variable.numpy().tobytes() == new.tobytes()
    assert value.tobytes() == bits.tobytes()


def test_what_was_read_of_an_eager_variable_stays_when_it_changes_in_place() -> None:
    variable = tf.Variable(np.zeros(1000, np.float32))
    (value,) = read_values(targets_of({"v": variable}))
    variable.assign_add(tf.ones(1000))
    assert value.max() == 0


def test_an_eager_variable_beside_a_graph_that_is_being_built() -> None:
    variable = tf.Variable([1.0])
    (target,) = targets_of({"v": variable})
    with tf.Graph().as_default() as graph:
        assert read_values([target])[0].tolist() == [1]
        assign_values([(target, np.array([2.0], np.float32))])
        assert graph.get_operations() == []
    assert variable.numpy().tolist() == [2]


def test_eager_strings_and_quantised_values() -> None:
    text = tf.Variable([b"a\0", b""], name="s")
    quantised = tf.Variable(tf.bitcast(tf.constant([1, 2], tf.int8), tf.qint8), name="q")
    values = values_of([text, quantised])
    assert values["s"].tolist() == [b"a\0", b""]
    (q, s) = targets_of([text, quantised])
    assert (q.tf_dtype, s.tf_dtype) == ("qint8", "string")
    assign_values([(s, np.array([b"x", b"\0y"], object)), (q, np.array([3, 4], np.int8))])
    assert text.numpy().tolist() == [b"x", b"\0y"]
    assert tf.bitcast(quantised.read_value(), tf.int8).numpy().tolist() == [3, 4]


def test_an_eager_variable_of_unknown_shape_takes_any() -> None:
    variable = tf.Variable([1.0], shape=tf.TensorShape([None]))
    (target,) = targets_of({"v": variable})
    assert target.shape == (None,)
    assert target.mismatch("float32", (7,)) is None
    assert "Assign requires shapes" in str(target.mismatch("float32", (7, 1)))
    assign_values([(target, np.ones(7, np.float32))])
    assert variable.numpy().shape == (7,)


def test_variables_of_keras_are_named_by_their_paths() -> None:
    """TensorFlow's Saver stores one of them, as ``VARIABLE_VALUE``, and loses the others."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dense(1)])
    named = name_targets(model.variables)
    assert sorted(named) == sorted(variable.path for variable in model.variables)
    (target,) = name_targets({"kernel": model.layers[0].kernel})["kernel"]
    assert target.shape == (3, 2)
    assign_values([(target, np.ones((3, 2), np.float32))])
    assert model.layers[0].get_weights()[0].tolist() == [[1, 1]] * 3


# --- saveable objects ---------------------------------------------------------------------------


class Table(saveable_object.SaveableObject):
    """A hash table, saved as two tensors."""

    def __init__(self, name: str) -> None:
        table = tf.raw_ops.MutableHashTableV2(key_dtype=tf.string, value_dtype=tf.int64)
        tensors = tf.raw_ops.LookupTableExportV2(
            table_handle=table, Tkeys=tf.string, Tvalues=tf.int64
        )
        spec = saveable_object.SaveSpec
        names = (f"{name}-keys", f"{name}-values")
        super().__init__(
            table, [spec(x, "", part) for x, part in zip(tensors, names, strict=True)], name
        )

    def restore(self, restored_tensors: Any, restored_shapes: Any) -> Any:
        return tf.raw_ops.LookupTableImportV2(
            table_handle=self.op, keys=restored_tensors[0], values=restored_tensors[1]
        )


def test_saveable_objects_of_a_table() -> None:
    with tf.Graph().as_default():
        v = tf1.get_variable("v", [1])
        table = Table("table")
        tf1.add_to_collection(tf1.GraphKeys.SAVEABLE_OBJECTS, table)
        named = name_targets(None)
        assert list(named) == ["table-keys", "table-values", "v"]
        assert list(name_targets({"other": table, "v": v})) == list(named)
        assert list(name_targets([v, table])) == list(named)
        ((k,), (v,), _) = named.values()
        tf1.get_default_graph().finalize()
        with tf1.Session() as session:
            assign_values([(v, np.array([1, 2])), (k, np.array([b"a", b"b"], object))], session)
            found = dict(zip(*[x.tolist() for x in read_values([k, v], session)], strict=True))
            assert found == {b"a": 1, b"b": 2}
            with pytest.raises(InvalidArgumentError, match="restored together"):
                assign_values([(v, np.array([1]))], session)


def test_eager_saveable_objects() -> None:
    table = Table("t")
    ((k,), (v,)) = name_targets([table]).values()
    assert [x.tolist() for x in read_values([k, v])] == [[], []]
    assign_values([(v, np.array([1, 2])), (k, np.array([b"a", b"b"], object))])
    assert tf.raw_ops.LookupTableSizeV2(table_handle=table.op).numpy() == 2
    again = tf.raw_ops.LookupTableFindV2(
        table_handle=table.op, keys=[b"b"], default_value=tf.constant(0, tf.int64)
    )
    assert again.numpy().tolist() == [2]
    with pytest.raises(InvalidArgumentError, match="restored together"):
        assign_values([(v, np.array([1]))])
