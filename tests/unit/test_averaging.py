"""average: exact sums, weights, what is taken, differences in one report."""

from __future__ import annotations

import tracemalloc
from fractions import Fraction
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import fastckpt
import oracle
from fastckpt.tools import averaging
from fastckpt.tools.surgery import average
from unit.cli_helpers import flip_byte, shard_of
from unit.writer_helpers import loaded, names_in

RNG = np.random.default_rng(5)
REAL: tuple[Any, ...] = (
    np.float64, np.float32, np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e5m2,
    ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e4m3fnuz, ml_dtypes.float8_e5m2fnuz,
    ml_dtypes.float8_e4m3b11fnuz, ml_dtypes.float4_e2m1fn,
)  # fmt: skip


def save(prefix: Path, tensors: dict[str, Any]) -> Path:
    fastckpt.save(prefix, tensors, sync=False)
    return prefix


def nearest(value: Fraction, dtype: Any) -> Any:
    """Round an exact number to the nearest value of a dtype: the slow twin."""
    low = np.nextafter(np.float64(value), -np.inf)
    high = np.nextafter(np.float64(value), np.inf)
    # Doubles around the value round the same way as the value does, but at a tie.
    found = {np.dtype(dtype).type(x) for x in (low, high)}
    return min(found, key=lambda x: abs(Fraction(float(x)) - value))


@pytest.mark.parametrize("dtype", REAL, ids=lambda x: np.dtype(x).name)
def test_each_real_dtype_is_rounded_once(tmp_path: Path, dtype: Any) -> None:
    values = [RNG.uniform(-3, 3, 200).astype(dtype) for _ in range(3)]
    prefixes = [save(tmp_path / str(i), {"x": x}) for i, x in enumerate(values)]
    average(prefixes, tmp_path / "out", sync=False)
    found = fastckpt.load(tmp_path / "out")["x"]
    assert found.dtype == dtype
    for position, result in enumerate(found):
        exact = sum(Fraction(float(x[position])) for x in values) / 3
        off = abs(Fraction(float(result)) - exact)
        assert off <= abs(Fraction(float(nearest(exact, dtype))) - exact)


@pytest.mark.parametrize("dtype", [*REAL, np.complex64, np.complex128])
def test_the_average_of_one_checkpoint_thrice_is_itself(tmp_path: Path, dtype: Any) -> None:
    values = RNG.normal(size=1000).astype(np.float64).astype(dtype)
    prefix = save(tmp_path / "in", {"x": values})
    average([prefix] * 3, tmp_path / "out", sync=False)
    assert fastckpt.load(tmp_path / "out")["x"].tobytes() == values.tobytes()


def test_what_has_no_average_is_that_of_the_last(tmp_path: Path) -> None:
    first = {"step": np.int64(1), "text": [b"a"], "flag": np.array([True]), "w": np.ones(2)}
    first["q"] = (np.ones(2, np.int8), "qint8")
    last = {"step": np.int64(5), "text": [b"b"], "flag": np.array([False]), "w": np.zeros(2)}
    last["q"] = (np.zeros(2, np.int8), "qint8")
    inputs = [save(tmp_path / "a", first), save(tmp_path / "b", last)]
    done = average(inputs, tmp_path / "out", sync=False)
    assert done.averaged == ("w",)
    assert done.taken == ("flag", "q", "step", "text")
    assert loaded(tmp_path / "out") == {
        "flag": [False], "q": [0, 0], "step": 5, "text": [b"b"], "w": [0.5, 0.5],
    }  # fmt: skip
    assert fastckpt.open(tmp_path / "out").tensor("q").tf_dtype == "qint8"


def test_weights(tmp_path: Path) -> None:
    inputs = [save(tmp_path / str(i), {"x": np.array([float(i)])}) for i in range(3)]
    done = average(inputs, tmp_path / "out", weights=[1, 0, 3], sync=False)
    assert done.weights == (0.25, 0.0, 0.75)
    assert loaded(tmp_path / "out") == {"x": [1.5]}
    for weights in ([1, 2], [1, -1, 1], [0, 0, 0], [1, 1, float("nan")], ["a", 1, 1]):
        with pytest.raises(fastckpt.InvalidArgumentError, match="weights"):
            average(inputs, tmp_path / "other", weights=weights)  # type: ignore[arg-type]
    assert "other.index" not in names_in(tmp_path)


def test_not_a_number_and_infinity(tmp_path: Path) -> None:
    values = [[np.nan, np.inf, np.inf, 65504], [1.0, 1.0, -np.inf, 65504]]
    inputs = [
        save(tmp_path / str(i), {"x": np.array(x, np.float16)}) for i, x in enumerate(values)
    ]
    average(inputs, tmp_path / "out", sync=False)
    found = fastckpt.load(tmp_path / "out")["x"]
    np.testing.assert_array_equal(found, np.array([np.nan, np.inf, np.nan, 65504], np.float16))


def test_slices_stay_slices(tmp_path: Path) -> None:
    values = [RNG.normal(size=(6, 4)).astype(np.float16) for _ in range(2)]
    cuts = [
        [([(0, 6), (0, 1)], np.s_[:, :1]), ([(0, 6), (1, 3)], np.s_[:, 1:])],
        [([(0, 2), None], np.s_[:2]), ([(2, 4), None], np.s_[2:])],
    ]
    for i, (value, cut) in enumerate(zip(values, cuts, strict=True)):
        parts = [(place, value[index]) for place, index in cut]
        oracle.write_bundle(tmp_path / str(i), {"p": oracle.Slices((6, 4), parts)})
    average([tmp_path / "0", tmp_path / "1"], tmp_path / "out", sync=False)
    with fastckpt.open(tmp_path / "out") as out, fastckpt.open(tmp_path / "1") as last:
        assert [(x.start, x.shape) for x in out.tensor("p").parts] == [
            (x.start, x.shape) for x in last.tensor("p").parts
        ]
        exact = (values[0].astype(np.float64) + values[1]) / 2
        np.testing.assert_array_equal(out["p"], exact.astype(np.float16))
    assert oracle.read_entries(tmp_path / "out")[1].keys() == (
        oracle.read_entries(tmp_path / "1")[1].keys()
    )


def test_all_differences_in_one_report(tmp_path: Path) -> None:
    save(tmp_path / "a", {"w": np.ones(2), "b": np.ones(2), "only_a": np.ones(1)})
    save(tmp_path / "b", {"w": np.ones(3), "b": np.ones(2, np.float32), "more": np.ones(1)})
    save(tmp_path / "c", {"w": np.ones(2), "b": np.ones(2), "more": np.ones(1)})
    for dry_run in (True, False):
        with pytest.raises(fastckpt.InvalidArgumentError) as caught:
            average([tmp_path / x for x in "abc"], tmp_path / "out", dry_run=dry_run)
        message = str(caught.value)
        for words in (
            f"'{tmp_path}/a' lacks 'more'",
            f"'{tmp_path}/a' has 'only_a' as well",
            f"'w' is float64 [3] in '{tmp_path}/b', and float64 [2] in the last",
            f"'b' is float32 [2] in '{tmp_path}/b', and float64 [2] in the last",
            "nothing was written",
        ):
            assert words in message
        assert len(message.splitlines()) == 6
    assert "out.index" not in names_in(tmp_path)


def test_no_checkpoints(tmp_path: Path) -> None:
    with pytest.raises(fastckpt.InvalidArgumentError, match="no checkpoint"):
        average([], tmp_path / "out")


def test_the_destination_may_be_one_of_them(tmp_path: Path) -> None:
    inputs = [save(tmp_path / str(i), {"x": np.array([float(i)])}) for i in range(2)]
    average(inputs, inputs[0], sync=False)
    assert loaded(inputs[0]) == {"x": [0.5]}


def test_the_meta_graph_of_the_last_is_copied(tmp_path: Path) -> None:
    inputs = [save(tmp_path / str(i), {"x": np.ones(1)}) for i in range(2)]
    (tmp_path / "0.meta").write_bytes(b"first")
    average(inputs, tmp_path / "out", sync=False)
    assert "out.meta" not in names_in(tmp_path)
    (tmp_path / "1.meta").write_bytes(b"last")
    average(inputs, tmp_path / "out", sync=False)
    assert (tmp_path / "out.meta").read_bytes() == b"last"
    average(inputs, tmp_path / "1", sync=False)
    assert (tmp_path / "1.meta").read_bytes() == b"last"


def test_damage_is_told_and_nothing_written(tmp_path: Path) -> None:
    inputs = [save(tmp_path / str(i), {"x": np.ones(4)}) for i in range(2)]
    flip_byte(shard_of(inputs[0]), 3)
    with pytest.raises(fastckpt.DataLossError, match="'x'"):
        average(inputs, tmp_path / "out")
    assert [name for name in names_in(tmp_path) if name.startswith("out")] == []


def test_memory_is_that_of_one_tensor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(averaging, "_GROUP_BYTES", 1 << 20)
    tensors = {f"t{i}": np.full(1 << 19, i, np.float32) for i in range(8)}
    inputs = [save(tmp_path / str(i), tensors) for i in range(3)]
    tracemalloc.start()
    average(inputs, tmp_path / "out", num_threads=1, sync=False)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The result of 2 MiB, and a few chunks of 2 MiB in float64.
    assert peak < 10 << 20
    assert fastckpt.load(tmp_path / "out")["t7"].tolist() == tensors["t7"].tolist()


def test_10_000_tensors_and_progress(tmp_path: Path) -> None:
    tensors = {f"layer_{i}/w": np.full(4, i, np.float32) for i in range(10_000)}
    inputs = [save(tmp_path / str(i), tensors) for i in range(2)]
    seen: list[fastckpt.Progress] = []
    average(inputs, tmp_path / "out", progress=seen.append, sync=False)
    assert (seen[-1].bytes_done, seen[-1].tensors_done) == (160_000, 10_000)
    assert loaded(tmp_path / "out")["layer_9/w"] == [9.0] * 4
