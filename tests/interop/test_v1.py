"""V1 checkpoints that real TensorFlow writes read as TensorFlow reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastckpt
from oracle.legacy import V1File, build_v1

tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")

from tensorflow.python.training import py_checkpoint_reader  # noqa: E402

pytestmark = pytest.mark.tf

BLOCK_BYTES = 256 * 1024
PLAIN = (
    *("float16", "float32", "float64", "complex64", "complex128", "bool"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16"),
)
QUANTISED = {"qint8": np.int8, "quint8": np.uint8, "qint32": np.int32}
SHAPES: tuple[tuple[int, ...], ...] = ((), (0, 3), (5,), (2, 3, 4))
# What TensorFlow's reader class refuses although its restore op reads it.
READER_REFUSES = {"float16", "complex64", "complex128", "uint16", "qint8", "quint8", "qint32"}


def random_tensors() -> dict[str, Any]:
    """Every dtype that V1 holds, in every shape, filled with random bits."""
    rng = np.random.default_rng(7)
    tensors = {}
    for dtype in (*PLAIN, *QUANTISED):
        plain = np.dtype(QUANTISED.get(dtype, dtype))
        for shape in SHAPES:
            raw = np.frombuffer(rng.bytes(int(np.prod(shape)) * plain.itemsize), np.uint8)
            values = (raw & 1 if dtype == "bool" else raw).view(plain).reshape(shape)
            tensor = tf.constant(values)
            is_quantised = dtype in QUANTISED
            name = f"{dtype}/{'x'.join(map(str, shape)) or 'scalar'}"
            tensors[name] = tf.bitcast(tensor, getattr(tf, dtype)) if is_quantised else tensor
    tensors["string/scalar"] = tf.constant(b"one")
    tensors["string/none"] = tf.zeros((0, 2), tf.string)
    tensors["string/many"] = tf.constant([[b"", b"\0\xff"], [b"a" * 300, b"b"]])
    return tensors


def save(path: Path, tensors: dict[str, Any]) -> None:
    """Write one V1 file with the raw op."""
    tf.raw_ops.Save(filename=str(path), tensor_names=list(tensors), data=list(tensors.values()))


def save_slices(path: Path, parts: list[tuple[str, str, Any]]) -> None:
    """Write (name, spec, value) triples with the raw op."""
    names, specs, values = zip(*parts, strict=True)
    tf.raw_ops.SaveSlices(
        filename=str(path), tensor_names=names, shapes_and_slices=specs, data=values
    )


def restored(path: Path, name: str, dtype: Any) -> np.ndarray[Any, Any]:
    """One tensor as TensorFlow's restore op gives it."""
    value = tf.raw_ops.Restore(file_pattern=str(path), tensor_name=name, dt=dtype)
    if dtype.is_quantized:
        plain = QUANTISED[dtype.name]
        return np.asarray(tf.bitcast(value, tf.as_dtype(plain)))
    return np.asarray(value)


def assert_same(ours: Any, theirs: np.ndarray[Any, Any]) -> None:
    """Compare dtype, shape and every byte; strings by equality."""
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    if theirs.dtype == object:
        assert ours.tolist() == theirs.tolist()
    else:
        assert ours.tobytes() == theirs.tobytes()


@pytest.fixture(scope="module")
def every_type(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    path = tmp_path_factory.mktemp("v1") / "model.ckpt"
    tensors = random_tensors()
    save(path, tensors)
    return path, tensors


@pytest.mark.parametrize("dtype", [*PLAIN, *QUANTISED, "string"])
def test_every_type(every_type: tuple[Path, dict[str, Any]], dtype: str) -> None:
    path, tensors = every_type
    reader = py_checkpoint_reader.NewCheckpointReader(str(path))
    with fastckpt.open(path) as ckpt:
        names = [name for name in tensors if name.startswith(f"{dtype}/")]
        assert len(names) >= 3
        for name in names:
            assert ckpt.tensor(name).tf_dtype == dtype
            assert_same(ckpt[name], restored(path, name, tensors[name].dtype))
            if dtype not in READER_REFUSES:
                theirs = reader.get_tensor(name)
                is_text = isinstance(theirs, bytes)
                assert_same(ckpt[name], np.array(theirs, object if is_text else None))


def test_listing(every_type: tuple[Path, dict[str, Any]]) -> None:
    path, tensors = every_type
    reader = py_checkpoint_reader.NewCheckpointReader(str(path))
    with fastckpt.open(path) as ckpt:
        assert list(ckpt) == sorted(tensors)
        shapes = reader.get_variable_to_shape_map()
        assert {x.name: list(x.shape) for x in ckpt.tensors()} == shapes
        dtypes = reader.get_variable_to_dtype_map()
        assert {x.name: x.tf_dtype for x in ckpt.tensors()} == {
            name: dtype.name for name, dtype in dtypes.items()
        }
        assert ckpt.verify().ok


def test_saver_writes_v1(tmp_path: Path) -> None:
    v1 = tf.compat.v1
    rng = np.random.default_rng(3)
    values = {
        "large/w": rng.standard_normal((300, 500)).astype(np.float32),
        "ids": rng.integers(-(2**60), 2**60, (200, 300)),
        "step": np.array(7, np.int64),
        "names": np.array([b"a", b""], object),
    }
    with tf.Graph().as_default(), v1.Session() as session:
        for name, value in values.items():
            v1.get_variable(name, initializer=tf.constant(value), use_resource=False)
        session.run(v1.global_variables_initializer())
        saver = v1.train.Saver(write_version=v1.train.SaverDef.V1)
        path = Path(saver.save(session, str(tmp_path / "model.ckpt"), global_step=3))
    assert path.stat().st_size > 4 * BLOCK_BYTES
    for given in (path, f"{path}.meta", tmp_path):
        with fastckpt.open(given) as ckpt:
            assert (ckpt.format, ckpt.prefix) == ("v1", str(path))
            assert list(ckpt) == sorted(values)
            for name, value in ckpt.load().items():
                assert_same(value, values[name])
            assert ckpt.verify().ok


@pytest.mark.parametrize("axis", [0, 1])
def test_sharded_saver_with_partitioned_variables(tmp_path: Path, axis: int) -> None:
    v1 = tf.compat.v1
    whole = np.arange(35, dtype=np.float32).reshape(7, 5)
    with tf.Graph().as_default() as graph:
        partitioner = v1.fixed_size_partitioner(3, axis=axis)
        for device, name in (("/cpu:0", "p"), ("/cpu:1", "q")):
            with graph.device(device):
                v1.get_variable(
                    name,
                    initializer=tf.constant(whole),
                    partitioner=partitioner,
                    use_resource=False,
                )
        config = v1.ConfigProto(device_count={"CPU": 2})
        with v1.Session(config=config) as session:
            session.run(v1.global_variables_initializer())
            saver = v1.train.Saver(write_version=v1.train.SaverDef.V1, sharded=True)
            pattern = saver.save(session, str(tmp_path / "model.ckpt"))
    assert pattern.endswith("model.ckpt-?????-of-00002")
    for given in (pattern, tmp_path / "model.ckpt-00000-of-00002", tmp_path):
        with fastckpt.open(given) as ckpt:
            assert ckpt.prefix == pattern
            assert ckpt.num_shards == len(ckpt.files) == 2
            assert list(ckpt) == ["p", "q"]
            for name in ckpt:
                assert_same(ckpt[name], whole)
                assert len(ckpt.tensor(name).parts) == 3
                assert_same(ckpt.tensor(name)[1:6, 2], whole[1:6, 2])
            assert ckpt.verify().ok


@pytest.mark.parametrize("dtype", [*PLAIN, "string"])
def test_slices_of_every_type(tmp_path: Path, dtype: str) -> None:
    numbers = np.arange(24).reshape(4, 6)
    text = np.array([b"%d" % i for i in range(24)], object).reshape(4, 6)
    plain = numbers % 2 if dtype == "bool" else numbers
    whole = text if dtype == "string" else plain.astype(dtype)
    parts = {
        "4 6 0,1:-": whole[:1],
        "4 6 3,1:0,6": whole[3:],
        "4 6 1,2:4,2": whole[1:3, 4:],
        "4 6 1,2:0,4": whole[1:3, :4],
    }
    save_slices(
        tmp_path / "m",
        [("t", spec, tf.constant(value)) for spec, value in parts.items()]
        + [
            ("whole", "4 6 -:-", tf.constant(whole)),
            ("explicit", "4 6 0,4:0,6", tf.constant(whole)),
        ],
    )
    with fastckpt.open(tmp_path / "m") as ckpt:
        assert list(ckpt) == ["explicit", "t", "whole"]
        for name, value in ckpt.items():
            assert_same(value, whole)
            handle = ckpt.tensor(name)
            assert len(handle.parts) == (4 if name == "t" else 1)
            assert_same(handle[::-2, 1:5:3], whole[::-2, 1:5:3])
        assert ckpt.verify().ok


def test_tensor_saved_twice(tmp_path: Path) -> None:
    """TensorFlow writes a file that it cannot read back, and this reader says why."""
    path = tmp_path / "m"
    tf.raw_ops.Save(
        filename=str(path), tensor_names=["a", "a", "b"],
        data=[tf.constant([1.0]), tf.constant([2.0]), tf.constant([3.0])],
    )  # fmt: skip
    with pytest.raises(tf.errors.OpError):
        restored(path, "b", tf.float32)
    with fastckpt.open(path) as ckpt:
        with pytest.raises(fastckpt.DataLossError, match="two places"):
            ckpt["a"]
        assert ckpt["b"].tolist() == [3.0]


# --- files that TensorFlow did not write but reads ----------------------------------------------


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "unpacked"])
@pytest.mark.parametrize("compression", ["none", "snappy"])
@pytest.mark.parametrize("version", [None, b"\x08\x01"], ids=["no_version", "version_1"])
def test_forms_that_tensorflow_reads(
    tmp_path: Path, packed: bool, compression: str, version: bytes | None
) -> None:
    rng = np.random.default_rng(9)
    values = {name: np.asarray(t) for name, t in random_tensors().items() if t.dtype.is_floating}
    values |= {"ints": rng.integers(-9, 9, 300), "bits": np.array([True, False])}
    v1 = V1File(version=version)
    for name in sorted(values):
        v1.add(name, values[name], packed=packed)
    path = v1.write(tmp_path / "m", compression=compression, block_size=300)
    with fastckpt.open(path) as ckpt:
        for name, value in values.items():
            assert_same(ckpt[name], value)
            assert_same(restored(path, name, tf.as_dtype(value.dtype)), value)


def test_oracle_writes_what_tensorflow_writes(tmp_path: Path) -> None:
    """The twin that the other tests build on makes the same bytes."""
    tensors = {n: t for n, t in sorted(random_tensors().items()) if not t.dtype.is_quantized}
    save(tmp_path / "theirs", tensors)
    values = {
        name: t.numpy() if t.shape.rank else np.array(t.numpy()) for name, t in tensors.items()
    }
    values["string/scalar"] = b"one"
    ours = build_v1(values)
    assert ours.table() == (tmp_path / "theirs").read_bytes()
