"""The targets without the fuzzer: what it begins with finds nothing, and a defect is found."""

from __future__ import annotations

from importlib import import_module

import pytest

from probe.certificates import Judge
from probe.edges import inquiry
from probe.flow import call
from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Failed, Passed
from tests.fuzz import chains, dns, http, http_mutation
from tests.fuzz.__main__ import Row, corpus, table
from tests.fuzz.child import NAMES
from tests.fuzz.target import SEPARATOR, Finding, Target, judge


@pytest.mark.parametrize("name", NAMES)
def test_what_it_begins_with_is_no_finding(name: str) -> None:
    target: Target = import_module(f"tests.fuzz.{name}").TARGET
    for data in (*target.seeds(), *corpus(name), b"", b"\0", b"\xff" * 40):
        target.run(data)


def raising(*_values: object, **_named: object) -> None:
    raise IndexError


@pytest.mark.parametrize(
    ("target", "holder", "name"),
    [
        (dns, inquiry.Inquiry, "about"),
        (chains, Judge, "judge"),
        (http, call, "make"),
    ],
)
def test_a_defect_is_a_finding_though_the_prober_catches_it(
    target: object, holder: object, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holder, name, raising)
    fuzzed: Target = target.TARGET  # type: ignore[attr-defined]
    with pytest.raises(Finding, match="defect: IndexError at "):
        fuzzed.run(fuzzed.seeds()[0])


def test_defects_are_found_wherever_they_stand() -> None:
    good = Failure(Phase.TLS, Reason.RESET, "gone")
    judge((Passed((good,)), [Failed(good)]))
    with pytest.raises(Finding, match="tls/unknown: odd"):
        judge((Passed(), [Failed(good, (Failure(Phase.TLS, Reason.UNKNOWN, "odd"),))]))


def test_elements_are_told_apart_and_their_ends_do_not_matter() -> None:
    short, long = b"\x30\x03abc", b"\x30\x81\x80" + b"x" * 128
    assert chains.split(short + long + short) == [short, long, short]
    assert chains.split(short + long[:-1]) == [short, long[:-1]]
    assert chains.split(b"\x30") == [b"\x30"]


def test_a_changed_certificate_is_judged_by_what_it_says() -> None:
    """Signed anew, a chain is more than bytes that do not parse or verify."""
    data = chains.seeds()[0]
    made = {chains.mutate(data, 16_384, seed, lambda some, _most: some[::-1]) for seed in range(60)}
    assert len(made) > 40
    for one in made:
        chains.run(one)


def test_a_changed_answer_is_still_an_answer() -> None:
    data = next(seed for seed in http.seeds() if seed.count(SEPARATOR) == 3)
    made = {http_mutation.mutate(data, 4096, seed, lambda some, _most: some) for seed in range(80)}
    assert len(made) > 40
    assert all(one.count(b"HTTP/1.1 ") >= 4 for one in made)
    for one in sorted(made)[:20]:
        http.run(one)


def test_the_table_names_what_was_covered() -> None:
    row = Row("dns", 60.4, 1234, 567, "IndexError", (), "")
    assert table([row]).splitlines()[1].split() == ["dns", "60", "1234", "567", "IndexError"]
