"""The last runs of a flow, step by step, as the rules of a diagnosis see them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from probe.model.flow import ApiCheck, Persona
from probe.model.result import FlowResult
from probe.state.diagnosis import evidence
from probe.state.diagnosis.evidence import Mark, Role

UNLIKELY = 0.05
"""A run of luck less likely than this is not believed in."""

EXCLUDED = 0.003
"""What is less likely than this is excluded. Stricter, because it is asked about a pattern that
was chosen for looking like the answer."""


@dataclass(frozen=True, slots=True)
class View:
    """One step over the runs since failures began.

    Attributes:
        past: marks of every attempt, oldest first.
        now: those of the latest run.
    """

    step: str
    layer: str
    role: Role
    backend: str
    past: tuple[Mark, ...]
    now: tuple[Mark, ...]

    @property
    def failing(self) -> bool:
        """It failed at least once."""
        return any(mark.bad for mark in self.past)

    @property
    def failing_now(self) -> bool:
        """It failed in the latest run."""
        return any(mark.bad for mark in self.now)

    @property
    def kind(self) -> Mark:
        """How it failed last; PASSED if it did not."""
        return next((mark for mark in reversed(self.past) if mark.bad), Mark.PASSED)

    @property
    def ran(self) -> int:
        """Calls that were made."""
        return sum(mark.bad or mark is Mark.PASSED for mark in self.past)

    @property
    def failures(self) -> int:
        """Calls that failed."""
        return sum(mark.bad for mark in self.past)


@dataclass(frozen=True, slots=True)
class Pattern:
    """Every step's view, and how many runs they span."""

    check: ApiCheck
    views: tuple[View, ...]
    runs: int

    def of(self, role: Role) -> tuple[View, ...]:
        """Select the views of steps that ran, by role."""
        return tuple(view for view in self.views if view.role is role and view.ran)

    @property
    def failing(self) -> tuple[View, ...]:
        """Steps that failed."""
        return tuple(view for view in self.views if view.failing)

    def fails(self, role: Role) -> bool:
        """Tell whether a step of that role failed."""
        return any(view.failing for view in self.of(role))


def observe(
    check: ApiCheck, persona: Persona | None, runs: Sequence[FlowResult]
) -> tuple[Pattern, Pattern]:
    """Collect what the runs show: since failures began, and in the latest run alone.

    Args:
        check: the flow.
        persona: who ran it.
        runs: oldest first, at least one.
    """
    latest = _pattern(check, persona, runs[-1:])
    first = next((i for i, run in enumerate(runs) if _bad(check, persona, run)), len(runs) - 1)
    return _pattern(check, persona, runs[first:]), latest


def failing_runs(check: ApiCheck, persona: Persona | None, runs: Iterable[FlowResult]) -> int:
    """Count the runs that hold a failure."""
    return sum(_bad(check, persona, run) for run in runs)


def _bad(check: ApiCheck, persona: Persona | None, run: FlowResult) -> bool:
    return any(view.failing for view in _pattern(check, persona, (run,)).views)


def _pattern(check: ApiCheck, persona: Persona | None, runs: Sequence[FlowResult]) -> Pattern:
    found: dict[str, View] = {}
    for number, run in enumerate(runs):
        latest = number == len(runs) - 1
        for result in run.steps:
            denied = evidence.must_be_refused(result.step, check, persona)
            mark = evidence.mark(result, denied=denied, router_codes=check.router_codes)
            before = found.get(result.step)
            found[result.step] = View(
                step=result.step,
                layer=result.layer,
                role=evidence.role(result, check, persona),
                backend=_backend(before, evidence.backend(result, check), result.step),
                past=(*(before.past if before else ()), mark),
                now=(*(before.now if before else ()), mark) if latest else (),
            )
    return Pattern(check, tuple(found.values()), len(runs))


def _backend(before: View | None, said: str, step: str) -> str:
    """A skipped call says no host; what an earlier run said still holds."""
    return before.backend if before is not None and said == step else said


def lingers(since: Pattern, latest: Pattern) -> bool:
    """Judge whether failures may still be there although the latest run shows none.

    Where only a part of the calls fail, a run without failures is luck that happens; where
    all of them failed, it is recovery.
    """
    suspects = [view for view in since.views if view.failing]
    earlier = sum(view.ran - _ran(view.now) for view in suspects)
    rate = sum(view.failures for view in suspects) / earlier if earlier else 1.0
    tries = sum(_ran(view.now) for view in suspects if view.now)
    return (1.0 - min(rate, 1.0)) ** tries >= UNLIKELY if latest.views else True


def _ran(now: tuple[Mark, ...]) -> int:
    return sum(mark.bad or mark is Mark.PASSED for mark in now)
