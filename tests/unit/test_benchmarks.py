"""The benchmark harness runs, measures what it says, and reports failures."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from oracle.bundle import read_bundle

MODULES = ("child", "data", "measure", "native", "report", "scratch", "peers.ceiling_peer")


@pytest.fixture
def bench(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, ModuleType]]:
    """The modules of benchmarks/, imported as its command imports them, and forgotten after."""
    monkeypatch.syspath_prepend(str(repository / "benchmarks"))
    before = set(sys.modules)
    yield {name: importlib.import_module(name) for name in MODULES}
    for name in set(sys.modules) - before:
        if name in MODULES:
            del sys.modules[name]


def run(repository: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(repository / "benchmarks" / "run.py"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.mark.slow
def test_smoke_runs_every_case(repository: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    done = run(
        repository, "--smoke", "--peer", "none", "--dir", str(tmp_path), "--json", str(target)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    content = json.loads(target.read_text())
    assert {result["case"] for result in content["results"]} >= {
        "P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9", "P10", "P11", "P12", "P13", "P14",
    }  # fmt: skip
    for result in content["results"]:
        assert result["samples"] or result["left_out"], result["question"]
        assert all(seconds > 0 for samples in result["samples"].values() for seconds in samples)
    stamp = json.dumps(content)
    assert str(tmp_path) not in stamp
    assert os.uname().nodename not in json.dumps(content["machine"])
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"], "datasets are removed"


def test_a_failing_question_fails_the_run(repository: Path, tmp_path: Path) -> None:
    # Processes of the run see this module first; the run itself has started without it.
    (tmp_path / "sitecustomize.py").write_text(
        "import sys; sys.modules['fastckpt._core'] = None\n"
    )
    command = f"""
import os, sys
sys.path.insert(0, "benchmarks")
import run
os.environ["PYTHONPATH"] = {str(tmp_path)!r}
sys.exit(run.main(["--smoke", "--case", "P12", "--dir", {str(tmp_path)!r}]))
"""
    done = subprocess.run(
        [sys.executable, "-c", command],
        capture_output=True,
        text=True,
        check=False,
        cwd=repository,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAILED" in done.stdout


def test_an_unknown_case_is_refused(repository: Path) -> None:
    done = run(repository, "--case", "P99")
    assert done.returncode != 0
    assert "P99" in done.stderr


def test_contenders_take_turns(bench: dict[str, ModuleType]) -> None:
    measure = bench["measure"]
    calls: list[str] = []

    def contender(name: str) -> Any:
        return measure.Contender(name, lambda _: calls.append(name))

    names = ["a", "b", "c"]
    samples = measure.take_samples([contender(name) for name in names], rounds=4, warm_up=2)
    rounds = [calls[i : i + 3] for i in range(0, len(calls), 3)]
    assert len(rounds) == 6
    assert all(sorted(one) == names for one in rounds)
    assert len({tuple(one) for one in rounds}) > 1, "the order changes"
    assert all(len(samples[name]) == 4 for name in names), "warm-up is dropped"


def test_an_own_clock_counts(bench: dict[str, ModuleType]) -> None:
    measure = bench["measure"]
    contender = measure.Contender("own", lambda state: state * 2, lambda: 3.0, own_clock=True)
    assert measure.sample(contender) == 6.0


def test_ratios_are_of_pairs(bench: dict[str, ModuleType]) -> None:
    measure = bench["measure"]
    result = measure.Result("P0", "q", "bytes", 1.0, "warm", verified=True)
    result.samples = {"slow": [10.0, 40.0, 9.0], "fast": [1.0, 2.0, 3.0]}
    assert measure.ratio(result, "slow", "fast") == measure.Figure(10.0, 3.0, 20.0)


@pytest.mark.parametrize(
    ("samples", "kind", "bound", "met"),
    [
        ([2.0, 2.0], "speedup", 2.0, "yes"),
        ([3.0, 3.0], "speedup", 2.0, "NO"),
        ([1.0, 3.0], "speedup", 1.9, "yes ~"),
        ([2.0, 2.0], "fraction", 0.5, "yes"),
        ([3.0, 3.0], "fraction", 0.5, "NO"),
        ([3.0, 3.0], "seconds", 3.1, "yes"),
        ([3.0, 3.0], "rate", 3.0, "NO"),
    ],
)
def test_verdicts(
    bench: dict[str, ModuleType], samples: list[float], kind: str, bound: float, met: str
) -> None:
    measure, report = bench["measure"], bench["report"]
    result = measure.Result("P0", "q", "bytes", 6.0, "warm", verified=True)
    result.samples = {"ours": samples, "peer": [4.0, 4.0]}
    against = "" if kind in {"seconds", "rate"} else "peer"
    result.targets = [{"ours": "ours", "against": against, "kind": kind, "bound": bound}]
    ((*_, verdict),) = report.rows(result)
    assert verdict == met


def test_memory_is_not_time(bench: dict[str, ModuleType]) -> None:
    measure, report = bench["measure"], bench["report"]
    result = measure.Result("P0", "q", "memory", None, "warm", verified=True)
    result.samples = {"ours": [3.0 * 2**20]}
    limit = {"ours": "ours", "against": "", "kind": "seconds", "bound": 2.0 * 2**20}
    result.targets = [limit]
    ((*_, figure, _, _, _, bound, verdict),) = report.rows(result)
    assert (figure, bound, verdict) == ("3.00 MiB", "<= 2.00 MiB", "NO")


def test_a_child_takes_the_memory_that_it_takes(
    bench: dict[str, ModuleType], tmp_path: Path
) -> None:
    options = {"path": str(tmp_path / "m"), "kind": "equal", "size": 16 << 20, "wait": True}
    cost = bench["child"].run("save_async", {**options, "save": {}}, watch=True)
    assert cost.extra_bytes >= 15 << 20, "a snapshot of the data"
    assert cost.seconds > 0
    assert (tmp_path / "m.index").exists()


def test_a_failing_child_is_an_error(bench: dict[str, ModuleType], tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="open"):
        bench["child"].run("open", {"path": str(tmp_path / "none")})


@pytest.mark.parametrize("files", [1, 2, 3])
def test_plain_writes_are_the_bytes_of_the_tensors(
    bench: dict[str, ModuleType], tmp_path: Path, files: int
) -> None:
    arrays = {name: array.copy() for name, array in bench["data"].large_tensors(1 << 20)}
    paths = [str(tmp_path / str(number)) for number in range(files)]
    bench["peers.ceiling_peer"].plain_write(paths, arrays)()
    written = [Path(path).read_bytes() for path in paths]
    assert all(written), "each file has a part"
    assert b"".join(written) == b"".join(array.tobytes() for array in arrays.values())


def test_direct_loops_move_every_byte(bench: dict[str, ModuleType], tmp_path: Path) -> None:
    peer, native, measure = bench["peers.ceiling_peer"], bench["native"], bench["measure"]
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(os.urandom((9 << 20) + 123))
    try:
        memory = peer.direct_read(str(source), keep=True)()
    except measure.Unavailable as reason:
        pytest.skip(str(reason))
    size = source.stat().st_size
    native.call("storage_direct_write", os.fsencode(copy), memory.address, size, 4 << 20, 4)
    assert copy.read_bytes() == source.read_bytes()


def test_dropped_pages_are_cold(bench: dict[str, ModuleType], tmp_path: Path) -> None:
    scratch, measure = bench["scratch"], bench["measure"]
    path = tmp_path / "file"
    path.write_bytes(bytes(1 << 20))
    try:
        scratch.require_cold(tmp_path)
    except measure.Unavailable as reason:
        pytest.skip(str(reason))
    path.read_bytes()
    assert scratch.is_cached(path)
    scratch.cold(measure.Contender("read", lambda _: None), str(path)).prepare()
    assert not scratch.is_cached(path)


def test_a_scratch_folder_is_empty_before_each_sample(
    bench: dict[str, ModuleType], tmp_path: Path
) -> None:
    scratch = bench["scratch"].Scratch(tmp_path, 4096)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").touch()
    (tmp_path / "file").touch()
    scratch.prepare()
    assert list(tmp_path.iterdir()) == []


def test_datasets_are_checkpoints(bench: dict[str, ModuleType], tmp_path: Path) -> None:
    data = bench["data"]
    for kind, size in (("large", 1 << 20), ("equal", 1 << 20), ("small", 300)):
        data.write_bundle(tmp_path / kind, data.tensors_of(kind, size))
        stored = read_bundle(tmp_path / kind)
        expected = dict(data.tensors_of(kind, size))
        assert sorted(expected) == list(expected), "names are in order"
        assert stored.keys() == expected.keys()
        for name, array in expected.items():
            np.testing.assert_array_equal(stored[name], array)


def test_the_large_checkpoint_has_its_size(bench: dict[str, ModuleType]) -> None:
    sizes = bench["data"].tensor_sizes(2048 << 20)
    assert sum(sizes) == (2048 << 20) + 512 * 4096
    assert sizes.count(128 << 20) == 8
