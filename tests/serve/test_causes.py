"""Causes are kept while what they explain fails, and claimed for nothing else."""

from __future__ import annotations

from probe.model.cause import Cause, Investigation
from probe.model.failure import Failure, Phase, Reason
from probe.model.target import EdgeKey
from probe.serve.memory.causes import MOST, CauseBook

REFUSED = Failure(Phase.CONNECT, Reason.REFUSED)


def key(edge: str) -> EdgeKey:
    """An edge of one target."""
    return EdgeKey("stores", "shop.example", "cdn", edge, "default")


def found(*edges: str, cause: Cause = Cause.EDGE) -> Investigation:
    """An investigation that explains these edges."""
    keys = frozenset(key(edge) for edge in edges)
    return Investigation(cause, key(edges[0]), REFUSED, 1.0, 2.0, keys=keys, edges=edges)


def test_an_edge_that_recovered_has_no_cause() -> None:
    failing = {key("a"), key("b")}
    book = CauseBook(lambda one, _: one in failing)
    book.record(found("a", "b"))
    assert [keys for _, keys in book.current()] == [(key("a"), key("b"))]
    failing.remove(key("a"))
    assert book.of(key("a")) is None
    assert [keys for _, keys in book.current()] == [(key("b"),)]


def test_a_later_investigation_takes_the_place_of_earlier_ones() -> None:
    book = CauseBook(lambda *_: True)
    book.record(found("a"))
    book.record(found("b", "a", cause=Cause.PROVIDER))
    assert [one.cause for one, _ in book.current()] == [Cause.PROVIDER]
    known = book.of(key("a"))
    assert known is not None
    assert known.cause is Cause.PROVIDER


def test_an_edge_joins_what_explains_another() -> None:
    book = CauseBook(lambda *_: True)
    book.record(found("a"))
    book.join(key("c"), key("a"))
    book.join(key("d"), key("unknown"))
    assert [keys for _, keys in book.current()] == [(key("a"), key("c"))]
    assert book.of(key("d")) is None


def test_at_most_so_many_are_kept() -> None:
    book = CauseBook(lambda *_: True)
    for number in range(MOST + 10):
        book.record(found(str(number)))
    assert len(list(book.current())) == MOST
    assert book.of(key("0")) is None


def test_the_sentence_names_places_and_share() -> None:
    text = found("192.0.2.1:443").sentence
    assert text == "192.0.2.1:443 of cdn fails for every domain; other edges work"
