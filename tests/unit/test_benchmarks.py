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

MODULES = ("data", "measure", "report")


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
        "P1", "P2", "P3", "P4", "P8", "P12", "P13",
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


def test_datasets_are_checkpoints(bench: dict[str, ModuleType], tmp_path: Path) -> None:
    data = bench["data"]
    for kind, size in (("large", 1 << 20), ("small", 300)):
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
