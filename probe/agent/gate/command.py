"""``probe check``: what a command line asks for, run once or until it is right."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import trio

from probe.agent.gate.narrowing import CheckRequest, SelectionError, narrow, normal, wanted
from probe.agent.gate.rounds import Round
from probe.agent.parts import Parts, build_parts
from probe.discovery import TargetWatcher
from probe.model.defect import trace
from probe.model.spec import Spec, TargetList
from probe.model.target import Target
from probe.report import ReportRow, RowVerdict, rows_of
from probe.report.console import OnProgress

T = TypeVar("T")


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
    narrowed = narrow(spec, request)
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
            found, problems = await _first_look(parts, spec.targets[check.targets])
            targets[check.targets] = found
            unread += [_unread(check.name, check.targets, problem) for problem in problems]
    if not unread:
        _all_known(request, spec, targets)
    chosen = {name: wanted(found, request) for name, found in targets.items()}
    round_ = Round(parts, spec, chosen, attempts=request.attempts, on_progress=on_progress)
    results = await (round_.run() if request.wait is None else round_.wait(request.wait))
    return [*unread, *rows_of(results)]


def _unread(check: str, name: str, problem: str) -> ReportRow:
    """Make the row of a source of targets that cannot be read: what it names was not probed."""
    return ReportRow(check, name, "", "", "targets", RowVerdict.INCONCLUSIVE, detail=problem)


def _all_known(request: CheckRequest, spec: Spec, targets: Mapping[str, Sequence[Target]]) -> None:
    """Refuse a name that no list holds: a typing error must not pass a gate."""
    known = {name for found in targets.values() for one in found for name in (one.name, one.label)}
    known |= {normal(check.name) for check in spec.checks if check.targets is None}
    missing = [name for name in request.targets if name not in known]
    if missing:
        raise SelectionError(f"no target list of the selected checks holds {', '.join(missing)}")


async def _first_look(parts: Parts, wanted: TargetList) -> tuple[tuple[Target, ...], list[str]]:
    """Look at every source of a list once. Returns its targets and the sources' problems."""
    watcher = TargetWatcher(wanted, parts.secrets.read)
    problems: list[str] = []
    try:
        await watcher.look()
    except Exception as error:
        problems.append(f"our own code crashed: {trace(error)}")
    problems += [problem for status in watcher.statuses for problem in status.problems]
    return watcher.targets, problems
