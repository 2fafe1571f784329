"""What it costs to look for secrets in a text, by its length and by how many are known."""

from __future__ import annotations

import secrets
import statistics
import time

from probe.flow.known import KnownSecrets

from .case import Bench, Report

SIZES = (400, 1024, 65_536, 1_048_576)
KNOWN = (1, 100, 1000)
_BODY = '{"id": %d, "name": "number %d", "url": "https:\\/\\/a.example\\/%d?a=1&amp;b=2"}, '


def redaction(bench: Bench) -> Report:
    """Texts that hold no secret and were never seen: the whole of them is read."""
    report = Report(
        "looking for secrets in JSON that holds none, ms (ns for a character)",
        ("characters", *(f"{known} secrets" for known in KNOWN)),
    )
    costs: dict[tuple[int, int], float] = {}
    for known in KNOWN:
        book = KnownSecrets()
        for _ in range(known):
            book.learn(secrets.token_urlsafe(24))
        for size in SIZES:
            text = "".join(_BODY % (n, n, n) for n in range(size // 60))[:size]
            costs[size, known] = _seconds(book, text, 3 if bench.quick else 9)
    for size in SIZES:
        cells = (costs[size, known] for known in KNOWN)
        report.add(str(size), *(f"{1e3 * one:.3f} ({1e9 * one / size:.0f})" for one in cells))
    words = _seconds(book, ("the order was not found, try again later; " * 10)[:400], 99)
    report.add("400 of plain words", "-", "-", f"{1e3 * words:.3f} ({1e9 * words / 400:.0f})")
    report.hold("400 characters of plain words in at most 0.1 ms", words <= 1e-4)
    for known in KNOWN:
        share = costs[SIZES[-1], known] / SIZES[-1] / (costs[65_536, known] / 65_536)
        report.hold(
            f"linear with {known}: 1 MiB costs {share:.2f} times 64 KiB, by length", share < 2
        )
    report.data["seconds"] = {f"{size} {known}": cost for (size, known), cost in costs.items()}
    return report


def _seconds(book: KnownSecrets, text: str, rounds: int) -> float:
    found = []
    for number in range(rounds):
        unseen = f"{number:08}{text}"
        start = time.process_time()
        book.near(unseen)
        found.append(time.process_time() - start)
    return statistics.median(found)
