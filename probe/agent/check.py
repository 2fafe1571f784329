"""``probe check``: what a command line asks for, run once or until it is right."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import trio

from probe.agent.once import Progress, Round
from probe.agent.parts import build_parts, first_targets
from probe.agent.selection import Selection, SelectionError, narrow, wanted
from probe.config import ConfigError, load_targets
from probe.config.units import UnitProblem, parse_duration, parse_fingerprint, parse_moment
from probe.model.spec import Spec
from probe.model.target import Target
from probe.report import Row, rows_of

T = TypeVar("T")

_GATE_ATTEMPTS = 5
"""With ``--wait``: an edge that fails 4 handshakes in 10 passes five tries with 8 %, and every
edge of every domain of the batch has to; one try would let most such edges through."""


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """A command line, understood.

    Attributes:
        wait: seconds of patience; None probes once.
        attempts: tries for each edge, all of which must pass.
    """

    selection: Selection = field(default_factory=Selection)
    wait: float | None = None
    attempts: int = 1

    @classmethod
    def parse(
        cls,
        *,
        checks: Sequence[str] = (),
        targets: Sequence[str] = (),
        batch: Path | None = None,
        providers: Sequence[str] = (),
        fingerprints: Sequence[str] = (),
        not_before: str | None = None,
        wait: str | None = None,
        attempts: int | None = None,
    ) -> CheckRequest:
        """Understand texts as people write them.

        Raises:
            SelectionError: naming the option and what to write instead.
        """
        selection = Selection(
            checks=tuple(checks),
            targets=tuple(name.lower().rstrip(".") for name in targets),
            providers=tuple(providers),
            batch=None if batch is None else _batch(batch),
            fingerprints=tuple(
                _read("--expect-fingerprint", text, parse_fingerprint) for text in fingerprints
            ),
            not_before=None
            if not_before is None
            else _read("--expect-not-before", not_before, parse_moment),
        )
        patience = None if wait is None else _read("--wait", wait, parse_duration)
        default = 1 if wait is None else _GATE_ATTEMPTS
        return cls(selection, patience, attempts or default)


def run_check(
    spec: Spec,
    request: CheckRequest,
    *,
    environ: Mapping[str, str],
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Sequence[Row]:
    """Probe what was asked for; rows in a stable order.

    Raises:
        SelectionError: for names that the configuration does not have.
    """
    narrowed = narrow(spec, request.selection)

    async def work() -> Sequence[Row]:
        parts = build_parts(narrowed, environ)
        targets = {
            name: wanted(await first_targets(parts, target_list), request.selection)
            for name, target_list in narrowed.targets.items()
            if any(check.targets == name for check in narrowed.checks)
        }
        _some_left(request.selection, targets)
        round_ = Round(parts, narrowed, targets, attempts=request.attempts, on_progress=on_progress)
        if request.wait is None:
            return rows_of(await round_.run())
        return rows_of(await round_.wait(request.wait))

    return trio.run(work)


def _some_left(selection: Selection, targets: Mapping[str, Sequence[object]]) -> None:
    if selection.targets and targets and not any(targets.values()):
        names = ", ".join(selection.targets)
        raise SelectionError(f"no target list of the selected checks holds {names}")


def _batch(path: Path) -> tuple[Target, ...]:
    try:
        return load_targets(path)
    except ConfigError as error:
        raise SelectionError("\n".join(str(problem) for problem in error.problems)) from error


def _read(option: str, text: str, parse: Callable[[str], T]) -> T:
    """A value as configuration files write it."""
    try:
        return parse(text)
    except UnitProblem as problem:
        raise SelectionError(f"{option}: {problem}") from None
