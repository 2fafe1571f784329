"""What is fuzzed: seeds, one execution, and what counts as a finding."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, TypeVar

import trio
import trio.testing

from probe.model.failure import Failure, Reason

T = TypeVar("T")

SEPARATOR = b"\xff||\xff"
"""Stands between the messages of one input."""

_DEFECTS = frozenset({Reason.DEFECT, Reason.UNKNOWN})

Mutate = Callable[[bytes, int, int, Callable[[bytes, int], bytes]], bytes]
"""From an input, the most bytes, a seed and the fuzzer's own mutation to another input."""


@dataclasses.dataclass(frozen=True)
class Target:
    """One thing that is fuzzed.

    Attributes:
        run: one execution; raises `Finding`, or whatever got out.
        seeds: makes the inputs to begin with.
        words: what the fuzzer may insert.
        longest: most bytes of an input.
        mutate: changes an input so that it stays well-formed; None leaves it to the fuzzer.
    """

    run: Callable[[bytes], object]
    seeds: Callable[[], Sequence[bytes]]
    words: Callable[[], Sequence[bytes]] = lambda: (SEPARATOR,)
    longest: int = 4096
    mutate: Mutate | None = None


class Finding(Exception):
    """A result that blames a defect of ours, or breaks a promise."""


def in_virtual_time(
    function: Callable[..., Awaitable[T]], *arguments: object, patience: float = 0.0
) -> T:
    """Run until done; waiting costs nothing, and the same input takes the same way."""
    scheduler: Any = trio._core._run
    scheduler._ALLOW_DETERMINISTIC_SCHEDULING = True
    scheduler._r.seed(0)
    clock = trio.testing.MockClock(autojump_threshold=patience)
    return trio.run(function, *arguments, clock=clock)


def judge(result: object) -> None:
    """Raise `Finding` when a result says that our own code is at fault."""
    for failure in failures_in(result):
        if failure.reason in _DEFECTS:
            raise Finding(f"{failure.phase}/{failure.reason}: {failure.detail}")


def failures_in(value: object) -> Iterator[Failure]:
    """Every failure anywhere in a result."""
    if isinstance(value, Failure):
        yield value
    elif isinstance(value, tuple | list):
        for one in value:
            yield from failures_in(one)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from failures_in(getattr(value, field.name))
