"""The section ``maintenance``: times with offsets, names that exist, an end that comes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from probe.config.loading import load
from probe.config.units import UnitProblem, parse_instant

Problems = Callable[..., list[str]]

REST = """\
providers: {cdn-b: {hostname: b.example}}
checks: [{name: stores, kind: tls, targets: [shop.example], providers: [cdn-b]}]
"""
NOON = 1_796_126_400.0  # 2026-12-01T12:00:00Z


def test_a_window_comes_out_whole(tmp_path: Path) -> None:
    path = tmp_path / "probe.yaml"
    path.write_text(f"""region: sa-east
maintenance:
  - start: 2026-12-01T12:00:00Z
    end: 2026-12-01 10:00-03:00
    reason: move
    checks: stores
    providers: [cdn-b, live]
    targets: "*.example"
    regions: sa-east
{REST}""")
    (found,) = load(path, environ={}).maintenance
    assert (found.start, found.end, found.reason) == (NOON, NOON + 3600, "move")
    assert (found.checks, found.providers) == (("stores",), ("cdn-b", "live"))
    assert (found.targets, found.regions) == (("*.example",), ("sa-east",))


def window(**more: str) -> str:
    keys = {"start": "2026-12-01T12:00:00Z", "end": "2026-12-01T13:00:00Z", "reason": "x"} | more
    written = "\n    ".join(f"{key}: {value}" for key, value in keys.items() if value)
    return f"maintenance:\n  - {written}\n{REST}"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, ":2:5: the window covers nothing"),
        ({"regions": "sa-east"}, ":2:5: the window covers nothing"),
        ({"checks": "store"}, ':5:13: unknown check "store"; did you mean "stores"?'),
        ({"providers": "[cdn-b, cdn-c]"}, ':5:24: unknown provider "cdn-c"; did you mean "cdn-b"?'),
        ({"targets": "a", "end": ""}, ':2:5: "end" is missing'),
        ({"targets": "a", "reason": ""}, ':2:5: "reason" is missing'),
        (
            {"targets": "a", "end": "2026-12-01T12:00:00Z"},
            ":3:10: the window ends before it begins",
        ),
        (
            {"targets": "a", "end": "2026-12-08T12:00:01Z"},
            ":3:10: the window lasts 7d1s, the longest may last 7d; "
            "write an end up to 2026-12-08T12:00:00Z",
        ),
        (
            {"targets": "a", "end": "2026-12-01T13:00:00"},
            ":3:10: the time has no offset from UTC; write 2026-12-01T13:00:00Z for UTC",
        ),
        ({"targets": "a", "end": "2026-12-01"}, ':3:10: "2026-12-01" is not a date with a time'),
        ({"targets": "a", "end": "tomorrow"}, ':3:10: "tomorrow" is not a date with a time'),
        ({"targets": "a", "end": "17"}, ":3:10: this must be text; write for example"),
        ({"target": "a"}, ':5:5: unknown key "target"; did you mean "targets"?'),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    problems: Problems, more: dict[str, str], said: str
) -> None:
    found = problems(window(**more))
    assert any(said in one for one in found), found


def test_the_longest_window_is_allowed(problems: Problems) -> None:
    assert problems(window(targets="a", end="2026-12-08T12:00:00Z")) == []


@pytest.mark.parametrize(
    "text",
    [
        "2026-12-01T12:00:00Z",
        "2026-12-01t12:00:00z",
        "2026-12-01 12:00Z",
        "2026-12-01T09:00:00-03:00",
        "2026-12-01T17:45:00.000+05:45",
    ],
)
def test_one_moment_is_written_in_many_ways(text: str) -> None:
    assert parse_instant(text) == NOON


@pytest.mark.parametrize(
    "text", ["2026-13-01T12:00Z", "2026-12-01T25:00Z", "2026-12-01T12:00+99:00"]
)
def test_a_time_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(UnitProblem, match="there is no such time"):
        parse_instant(text)
