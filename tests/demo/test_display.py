"""What fits on a terminal: the newest lines, and every link."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console
from rich.text import Text

from probe.demo.display import frame
from probe.demo.picture import Picture, RegionPicture
from probe.demo.verdict import Incident, Seen, Watch

REGIONS = ("sa-east", "us-east", "eu-west")
URLS = {region: f"http://127.0.0.1:4356{number}" for number, region in enumerate(REGIONS)}
LINKS = (
    ("Prometheus", "http://127.0.0.1:39470/classic/alerts"),
    ("Alertmanager", "http://127.0.0.1:39471/api/v2/alerts"),
)
INCIDENT = Incident(
    name="tls-propagation",
    checks=frozenset({"stores"}),
    regions=frozenset({"sa-east"}),
    provider="cdn-b",
    edges=frozenset({"127.20.2.1:43567", "127.20.2.2:43567"}),
    targets=frozenset({"store-001.example", "store-002.example"}),
    layer="edge",
    reasons=frozenset({"alert_unrecognized_name"}),
)


def seen(region: str, reason: str) -> Seen:
    edge = "127.20.2.1:43567"
    return Seen(region, "stores", "cdn-b", "store-001.example", edge, "edge", reason)


def picture(kinds: int) -> Picture:
    """Every region says so many kinds of failures."""
    regions = tuple(
        RegionPicture(
            region,
            URLS[region],
            640,
            1,
            tuple(seen(region, f"some_long_reason_of_a_failure_{kind}") for kind in range(kinds)),
        )
        for region in REGIONS
    )
    watch = Watch(INCIDENT, fault_at=10.0, detected_at=14.0, region="sa-east")
    other = Watch(replace(INCIDENT, name="cli-authorization"), fault_at=10.0)
    return Picture(60.0, 50.0, regions, (watch, other), (), LINKS)


def drawn(kinds: int, *, height: int, said: int = 30) -> list[str]:
    """Lines of the screen."""
    console = Console(
        file=io.StringIO(), width=80, height=height, force_terminal=True, legacy_windows=False
    )
    lines = [Text(f"{n:6.1f} s  line {n} " + "and more to say " * 8) for n in range(said)]
    with console.capture() as captured:
        console.print(frame(console, picture(kinds), lines))
    return [Text.from_ansi(line).plain for line in captured.get().splitlines()]


@pytest.mark.parametrize("kinds", [0, 1, 3, 12])
def test_on_80_by_24_the_newest_lines_and_all_links_are_visible(kinds: int) -> None:
    screen = drawn(kinds, height=24)
    assert len(screen) < 24
    text = "\n".join(screen)
    assert "line 29 " in text
    assert screen[-1].rstrip().endswith("say")  # to its end
    for url in (*URLS.values(), *(url for _, url in LINKS)):
        assert url in text


def test_what_is_left_out_is_counted() -> None:
    assert "10 more, and cdn-b" in "\n".join(drawn(12, height=24))
    assert "some_long_reason_of_a_failure_11" in "".join(drawn(12, height=90)).replace(" ", "")


def test_a_high_terminal_shows_more_of_what_happened() -> None:
    assert len(drawn(1, height=60)) > 40


def test_a_terminal_too_low_for_the_tables_still_ends_with_the_newest_line() -> None:
    screen = drawn(3, height=12)
    assert "line 29 " in "\n".join(screen[-4:])
