"""V1 files written here are those of TensorFlow's saver, byte for byte, and it restores them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastckpt
from fastckpt import dtypes
from fastckpt.checkpoint.legacy_writer import Placed, save_v1

tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")

pytestmark = pytest.mark.tf

QUANTISED = {"qint8": "int8", "quint8": "uint8", "qint32": "int32"}
PLAIN = (
    *("float16", "float32", "float64", "complex64", "complex128", "bool"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16"),
)
REFUSED = (
    *("bfloat16", "float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e4m3b11fnuz"),
    *("float8_e5m2fnuz", "int4", "uint4", "qint16", "quint16", "uint32", "uint64"),
)
SHAPES: tuple[tuple[int, ...], ...] = ((), (0, 3), (1,), (2, 3, 4), (1, 700))


def random_values(dtype: str, shape: tuple[int, ...], seed: int) -> np.ndarray[Any, Any]:
    """Any bits that the type has; negative integers, NaNs and subnormals among them."""
    plain = np.dtype(QUANTISED.get(dtype, dtype))
    raw = np.frombuffer(
        np.random.default_rng(seed).bytes(int(np.prod(shape)) * plain.itemsize), np.uint8
    )
    return (raw & 1 if dtype == "bool" else raw).view(plain).reshape(shape)


def as_tensor(value: Any) -> Any:
    """What TensorFlow's op is given for a value of `save_v1`."""
    array, dtype = value if isinstance(value, tuple) else (value, None)
    tensor = tf.constant(array)
    return tensor if dtype is None else tf.bitcast(tensor, tf.as_dtype(dtype))


def assert_same_file(folder: Path, tensors: dict[str, Any]) -> bytes:
    """Write both ways, compare the bytes, and give them."""
    save_v1(folder / "ours", tensors)
    tf.raw_ops.Save(
        filename=str(folder / "theirs"),
        tensor_names=list(tensors),
        data=[as_tensor(value) for value in tensors.values()],
    )
    ours = (folder / "ours").read_bytes()
    assert ours == (folder / "theirs").read_bytes()
    return ours


def save_slices(path: str, parts: list[tuple[str, str, Any]]) -> None:
    """Write (name, spec, value) triples with the raw op."""
    names, specs, values = zip(*parts, strict=True)
    tf.raw_ops.SaveSlices(filename=path, tensor_names=names, shapes_and_slices=specs, data=values)


def restore(path: Any, name: str, dtype: str, spec: str = "") -> np.ndarray[Any, Any]:
    """One tensor as TensorFlow's restore op gives it."""
    (value,) = tf.raw_ops.RestoreV2(
        prefix=str(path), tensor_names=[name], shape_and_slices=[spec], dtypes=[tf.as_dtype(dtype)]
    )
    if dtype in QUANTISED:
        value = tf.bitcast(value, QUANTISED[dtype])
    return np.asarray(value)


def spec_of(full: tuple[int, ...], start: tuple[int | None, ...], shape: tuple[int, ...]) -> str:
    """Spell a slice as TensorFlow's ops want it."""
    items = ["-" if s is None else f"{s},{n}" for s, n in zip(start, shape, strict=True)]
    return " ".join(map(str, full)) + " " + ":".join(items)


# --- whole tensors ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [*PLAIN, *QUANTISED])
def test_every_type(tmp_path: Path, dtype: str) -> None:
    tensors: dict[str, Any] = {}
    for seed, shape in enumerate(SHAPES):
        value = random_values(dtype, shape, seed)
        tensors[f"v{seed}"] = (value, dtype) if dtype in QUANTISED else value
    assert_same_file(tmp_path, tensors)
    for name, value in tensors.items():
        array = value[0] if isinstance(value, tuple) else value
        theirs = restore(tmp_path / "ours", name, dtype)
        assert (theirs.shape, theirs.tobytes()) == (array.shape, array.tobytes())


def test_strings(tmp_path: Path) -> None:
    text = [b"", b"\0\xff", b"a" * 300, "ü".encode()]
    tensors = {
        "many": np.array(text, object).reshape(2, 2),
        "none": np.zeros((0, 2), object),
        "scalar": np.array(b"one", object),
        "long": np.array([b"x" * 400_000, b"y" * 200_000], object),
    }
    save_v1(tmp_path / "ours", tensors)
    theirs = [tf.constant(v.tolist(), tf.string, v.shape) for v in tensors.values()]
    tf.raw_ops.Save(filename=str(tmp_path / "theirs"), tensor_names=list(tensors), data=theirs)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    assert restore(tmp_path / "ours", "many", "string").tolist() == tensors["many"].tolist()


def test_names_in_any_order(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    names = ["z", "a", "B", "a/b", "a/a", "ab", "ü", "a\0b", "\xff", "a" * 300, "scope/x:0", "10"]
    tensors = {name: rng.standard_normal(3).astype(np.float32) for name in names}
    assert_same_file(tmp_path, tensors)
    assert_same_file(tmp_path, dict(reversed(tensors.items())))


def test_tables_of_many_blocks(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    tensors: dict[str, Any] = {
        f"layer{i % 7}/w{i}": rng.integers(-(2**i % 2**31) - 1, 2**31, i * 5) for i in range(400)
    }
    tensors["large"] = rng.standard_normal(300_000).astype(np.float32)
    tensors["at_the_border"] = np.zeros(524288 // 4 - 10, np.float32)
    assert len(assert_same_file(tmp_path, tensors)) > 3 << 20


@pytest.mark.parametrize("elements", range(131052, 131066))
def test_records_around_two_blocks(tmp_path: Path, elements: int) -> None:
    """The size at which a record starts a block of its own."""
    ramp = np.arange(elements, dtype=np.float32)
    assert_same_file(tmp_path, {"a": np.float32(1), "b": ramp, "c": np.float32(2)})


def test_strides_and_byte_order_do_not_show(tmp_path: Path) -> None:
    plain = np.arange(-60, 60, dtype=np.int32).reshape(4, 30)
    wide = np.arange(40, dtype=np.float64)
    odd = {
        "fortran": np.asfortranarray(plain),
        "steps": plain[::-2, 1::3],
        "swapped": plain.astype(">i4"),
        "swapped_steps": wide.astype(">f8")[::-3],
        "complex": (wide + 1j).astype(">c16")[1::2],
        "broadcast": np.broadcast_to(np.int64(-5), (3, 4)),
    }
    save_v1(tmp_path / "ours", odd)
    native = {k: np.ascontiguousarray(v).astype(v.dtype.newbyteorder("=")) for k, v in odd.items()}
    save_v1(tmp_path / "plain", native)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "plain").read_bytes()
    assert_same_file(tmp_path, native)


@pytest.mark.parametrize("dtype", REFUSED)
def test_both_refuse(tmp_path: Path, dtype: str) -> None:
    plain = dtypes.numpy_dtype(dtypes.number_of(dtype))
    value = np.zeros(2, np.uint8).astype(plain)
    tensor = tf.constant(value)
    if dtype.startswith("q"):
        tensor = tf.bitcast(tensor, tf.as_dtype(dtype))
    with pytest.raises((tf.errors.UnimplementedError, tf.errors.InvalidArgumentError)):
        tf.raw_ops.Save(filename=str(tmp_path / "theirs"), tensor_names=["x"], data=[tensor])
    with pytest.raises(fastckpt.UnsupportedError, match=f"tensor 'x': V1 files .* {dtype};"):
        save_v1(tmp_path / "ours", {"x": (value, dtype)})
    assert not (tmp_path / "ours").exists()


def test_both_estimate_the_same_limit(tmp_path: Path) -> None:
    """A zero takes one byte and counts as ten."""
    value = np.broadcast_to(np.int8(0), (214_748_262,))
    with pytest.raises(fastckpt.InvalidArgumentError, match="too large to serialize"):
        save_v1(tmp_path / "ours", {"x": value})
    with pytest.raises(tf.errors.InvalidArgumentError, match="too large to serialize"):
        tf.raw_ops.Save(
            filename=str(tmp_path / "theirs"),
            tensor_names=["x"],
            data=[tf.zeros(value.shape, tf.int8)],
        )


@pytest.mark.slow
def test_the_largest_tensor_of_both(tmp_path: Path) -> None:
    """One element less than the limit above: both write it."""
    name = "x"
    value = np.broadcast_to(np.int8(0), (214_748_261,))
    assert 1024 + 3 + 4 + 10 * len(value) <= 1 << 31
    save_v1(tmp_path / "ours", {name: value})
    tf.raw_ops.Save(
        filename=str(tmp_path / "theirs"),
        tensor_names=[name],
        data=[tf.zeros(value.shape, tf.int8)],
    )
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


# --- slices --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [*PLAIN, "string"])
def test_slices(tmp_path: Path, dtype: str) -> None:
    if dtype == "string":
        whole = np.array([b"%d" % i * i for i in range(24)], object).reshape(4, 6)
    else:
        whole = random_values(dtype, (4, 6), 3)
    cuts: list[tuple[tuple[int | None, ...], Any]] = [
        ((3, 0), np.s_[3:, :]),
        ((0, None), np.s_[:1, :]),
        ((1, 4), np.s_[1:3, 4:]),
        ((1, 0), np.s_[1:3, :4]),
    ]
    ours: list[tuple[str, Any]] = [("t", Placed(whole[cut], (4, 6), start)) for start, cut in cuts]
    theirs = [
        ("t", spec_of((4, 6), start, whole[cut].shape), tf.constant(whole[cut]))
        for start, cut in cuts
    ]
    for name, start in (("whole", (None, None)), ("explicit", (0, 0)), ("a", (0, None))):
        ours.append((name, Placed(whole, (4, 6), start)))
        theirs.append((name, spec_of((4, 6), start, (4, 6)), tf.constant(whole)))
    ours.append(("scalar", whole[0, 0] if dtype != "string" else b""))
    theirs.append(("scalar", "", tf.constant(ours[-1][1])))
    save_v1(tmp_path / "ours", ours)
    save_slices(str(tmp_path / "theirs"), theirs)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    got = restore(tmp_path / "ours", "t", dtype)
    assert (
        got.tolist() == whole.tolist() if dtype == "string" else got.tobytes() == whole.tobytes()
    )


@pytest.mark.parametrize("parts", [2, 16, 17, 40, 300])
def test_many_slices_of_one_tensor(tmp_path: Path, parts: int) -> None:
    """TensorFlow's sort leaves the slices of a tensor in an order of its own."""
    whole = np.arange(parts * 2, dtype=np.float32).reshape(parts, 2)
    rng = np.random.default_rng(parts)
    order = rng.permutation(parts)
    ours: list[tuple[str, Any]] = []
    theirs = []
    for i in order:
        row = whole[i : i + 1]
        for name in ("p", "q", f"w{i}"):
            start = (None, 0) if name[0] == "w" else (int(i), None)
            full = (1, 2) if name[0] == "w" else (parts, 2)
            ours.append((name, Placed(row, full, start)))
            theirs.append((name, spec_of(full, start, (1, 2)), row))
    save_v1(tmp_path / "ours", ours)
    save_slices(str(tmp_path / "theirs"), theirs)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    assert np.array_equal(restore(tmp_path / "ours", "q", "float32"), whole)


# --- the saver -----------------------------------------------------------------------------------


def test_saver(tmp_path: Path) -> None:
    v1 = tf.compat.v1
    rng = np.random.default_rng(3)
    values = {
        "large/w": rng.standard_normal((300, 500)).astype(np.float32),
        "ids": rng.integers(-(2**60), 2**60, (200, 300)),
        "step": np.array(7, np.int64),
        "names": np.array([b"a", b""], object),
    }
    with tf.Graph().as_default(), v1.Session() as session:
        variables = [
            v1.get_variable(name, initializer=tf.constant(value), use_resource=False)
            for name, value in values.items()
        ]
        session.run(v1.global_variables_initializer())
        saver = v1.train.Saver(write_version=v1.train.SaverDef.V1)
        path = saver.save(session, str(tmp_path / "theirs"), write_meta_graph=False)
        save_v1(tmp_path / "ours", values)
        assert (tmp_path / "ours").read_bytes() == Path(path).read_bytes()
        session.run(
            [v.assign(tf.zeros_like(v)) for v in variables if v.dtype.base_dtype != tf.string]
        )
        saver.restore(session, str(tmp_path / "ours"))
        for variable, value in zip(variables, values.values(), strict=True):
            assert session.run(variable).tolist() == value.tolist()


@pytest.mark.parametrize("axis", [0, 1])
def test_sharded_saver_with_partitioned_variables(tmp_path: Path, axis: int) -> None:
    v1 = tf.compat.v1
    whole = np.arange(35, dtype=np.float32).reshape(7, 5)
    with tf.Graph().as_default() as graph:
        for device, name in (("/cpu:0", "p"), ("/cpu:1", "q")):
            with graph.device(device):
                v1.get_variable(
                    name,
                    initializer=tf.constant(whole),
                    partitioner=v1.fixed_size_partitioner(3, axis=axis),
                    use_resource=False,
                )
        config = v1.ConfigProto(device_count={"CPU": 2})
        with v1.Session(config=config) as session:
            session.run(v1.global_variables_initializer())
            saver = v1.train.Saver(write_version=v1.train.SaverDef.V1, sharded=True)
            pattern = saver.save(session, str(tmp_path / "theirs"), write_meta_graph=False)
            tensors: list[tuple[str, Any]] = []
            for shard, name in enumerate(("p", "q")):
                at = 0
                for part in np.array_split(whole, 3, axis=axis):
                    start = (at, 0) if axis == 0 else (0, at)
                    tensors.append((name, Placed(part, whole.shape, start, shard=shard)))
                    at += part.shape[axis]
            ours = save_v1(tmp_path / "ours", tensors, num_shards=2)
            assert ours == pattern.replace("theirs", "ours")
            for shard in range(2):
                suffix = f"-{shard:05d}-of-00002"
                written = (tmp_path / f"ours{suffix}").read_bytes()
                assert written == (tmp_path / f"theirs{suffix}").read_bytes()
            session.run(v1.global_variables_initializer())
            saver.restore(session, ours)
            assert np.array_equal(
                np.concatenate(
                    session.run([v for v in v1.global_variables() if v.name[0] == "q"]), axis
                ),
                whole,
            )


@pytest.mark.parametrize("num_shards", [1, 3, 9])
def test_shards_that_this_library_chooses(tmp_path: Path, num_shards: int) -> None:
    tensors = {f"v{i}": np.full((i, 3), i, np.int32) for i in range(8)}
    pattern = save_v1(tmp_path / "ours", tensors, num_shards=num_shards)
    assert pattern.endswith(f"ours-?????-of-0000{num_shards}")
    for name, value in tensors.items():
        assert np.array_equal(restore(pattern, name, "int32"), value)
