"""``probe check``: what a command line asks for, run once or until it is right."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import trio

from probe.agent.gate.narrowing import Selection, SelectionError, narrow, normal, wanted
from probe.agent.gate.rounds import Round
from probe.agent.parts import build_parts, first_look
from probe.config import DocumentError, load_targets
from probe.config.units import UnitProblem, parse_duration, parse_fingerprint, parse_moment
from probe.model.spec import Spec
from probe.model.target import Target
from probe.report import ReportRow, RowVerdict, rows_of
from probe.report.console import OnProgress

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
            targets=tuple(map(normal, targets)),
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
    on_progress: OnProgress = lambda _: None,
) -> Sequence[ReportRow]:
    """Probe what was asked for; rows in a stable order.

    Raises:
        SelectionError: for names that the configuration does not have.
        KeyboardInterrupt: Ctrl-C.
    """
    narrowed = narrow(spec, request.selection)
    rows = trio.run(_until_interrupted, partial(_probe, narrowed, request, environ, on_progress))
    if rows is None:
        raise KeyboardInterrupt
    return rows


async def _until_interrupted(call: Callable[[], Awaitable[T]]) -> T | None:
    """Return what ``call`` returns, or None after Ctrl-C.

    Python raises KeyboardInterrupt wherever it happens to be. Inside a callback of OpenSSL
    it would be lost. The second Ctrl-C is Python's again, for cleaning up that hangs.
    """
    result: T | None = None
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:

        async def listen(*, task_status: trio.TaskStatus[None]) -> None:
            with trio.open_signal_receiver(signal.SIGINT) as signals:
                task_status.started()
                async for _ in signals:
                    break
            nursery.cancel_scope.cancel()

        await nursery.start(listen)
        try:
            result = await call()
        except Exception as error:
            failure = error  # to leave as itself, not in a group of one
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return result


async def _probe(
    spec: Spec,
    request: CheckRequest,
    environ: Mapping[str, str],
    on_progress: OnProgress,
) -> Sequence[ReportRow]:
    parts = build_parts(spec, environ)
    targets: dict[str, tuple[Target, ...]] = {}
    unread: list[ReportRow] = []
    for check in spec.checks:
        if check.targets is not None and check.targets not in targets:
            found, problems = await first_look(parts, spec.targets[check.targets])
            targets[check.targets] = found
            unread += [_unread(check.name, check.targets, problem) for problem in problems]
    if not unread:
        _all_known(request.selection, spec, targets)
    chosen = {name: wanted(found, request.selection) for name, found in targets.items()}
    round_ = Round(parts, spec, chosen, attempts=request.attempts, on_progress=on_progress)
    results = await (round_.run() if request.wait is None else round_.wait(request.wait))
    return [*unread, *rows_of(results)]


def _unread(check: str, name: str, problem: str) -> ReportRow:
    """Make the row of a source of targets that cannot be read: what it names was not probed."""
    return ReportRow(check, name, "", "", "targets", RowVerdict.INCONCLUSIVE, detail=problem)


def _all_known(selection: Selection, spec: Spec, targets: Mapping[str, Sequence[Target]]) -> None:
    """Refuse a name that no list holds: a typing error must not pass a gate."""
    known = {name for found in targets.values() for one in found for name in (one.name, one.label)}
    known |= {normal(check.name) for check in spec.checks if check.targets is None}
    missing = [name for name in selection.targets if name not in known]
    if missing:
        raise SelectionError(f"no target list of the selected checks holds {', '.join(missing)}")


def _batch(path: Path) -> tuple[Target, ...]:
    try:
        return load_targets(path)
    except DocumentError as error:
        raise SelectionError("\n".join(str(problem) for problem in error.problems)) from error


def _read(option: str, text: str, parse: Callable[[str], T]) -> T:
    """Read a value as configuration files write it."""
    try:
        return parse(text)
    except UnitProblem as problem:
        raise SelectionError(f"{option}: {problem}") from None
