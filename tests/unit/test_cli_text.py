"""Words and numbers for people."""

from __future__ import annotations

import pytest

from fastckpt.cli import terminal
from fastckpt.cli.text import (
    cells,
    counted,
    human_rate,
    human_size,
    human_time,
    pad,
    safe,
    shape_text,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("layer/kernel", "layer/kernel"),
        ("ünï/日本 [x] \\", "ünï/日本 [x] \\"),
        ("a\x1b[31m", "a\\x1b[31m"),
        ("a\nb\tc\x00", "a\\nb\\tc\\x00"),
        ("\u202eabc\u200b\u2028", "\\u202eabc\\u200b\\u2028"),
        ("\x85\x9b", "\\x85\\x9b"),
        ("\udcff", "\\xff"),
        ("\ud800", "\\ud800"),
        ("\U000e0001", "\\U000e0001"),
    ],
)
def test_safe(text: str, expected: str) -> None:
    assert safe(text) == expected


def test_safe_leaves_nothing_that_is_not_printable() -> None:
    everything = "".join(map(chr, range(0x11000)))
    assert safe(everything).isprintable()


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        ((1 << 20) - 1, "1.0 MiB"),
        (5 << 30, "5.0 GiB"),
        (1 << 63, "8.0 EiB"),
        (1 << 80, "1048576.0 EiB"),
    ],
)
def test_human_size(size: int, expected: str) -> None:
    assert human_size(size) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0, "0 us"),
        (1.23456e-5, "12.3 us"),
        (0.0009996, "1 ms"),
        (0.25, "250 ms"),
        (1.5, "1.50 s"),
        (75.25, "75.2 s"),
    ],
)
def test_human_time(seconds: float, expected: str) -> None:
    assert human_time(seconds) == expected


def test_human_rate() -> None:
    assert human_rate(25 * 10**9, 1.0) == "25.0 GB/s"
    assert human_rate(10**6, 1.0) == "0.001 GB/s"
    assert human_rate(0, 0.0) == "0 GB/s"


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0, "0 tensors"), (1, "1 tensor"), (9999, "9999 tensors"), (1234567, "1 234 567 tensors")],
)
def test_counted(number: int, expected: str) -> None:
    assert counted(number, "tensor") == expected


def test_shape_text() -> None:
    assert [shape_text(x) for x in ((), (0,), (2, 3))] == ["[]", "[0]", "[2,3]"]


def test_cells_and_pad() -> None:
    assert [cells(x) for x in ("abc", "日本", "e\u0301", "")] == [3, 4, 1, 0]
    assert pad("日", 4) == "日  "
    assert pad("long", 2) == "long"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"TERM": "xterm-256color"}, "38;5;166"),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, "38;5;166"),
        ({"TERM": "linux"}, "33"),
    ],
)
def test_colours_do_not_depend_on_a_theme_where_there_are_more_than_its_own(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
) -> None:
    for name in ("NO_COLOR", "TERM", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(terminal, "is_terminal", lambda _: True)
    assert terminal.styled("x", "bold", "yellow") == f"\x1b[1;{expected}mx\x1b[0m"
