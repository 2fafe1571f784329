"""``probe check``: what a command line asks for, run once or until it is right."""

from __future__ import annotations

import difflib
import signal
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import trio

from probe.agent.jobs import checks_of, persona_of
from probe.agent.key_types import KeyTypes
from probe.agent.parts import Parts, build_parts, learn_secrets
from probe.agent.rounds import Round
from probe.config.units import UnitProblem, parse_duration, parse_fingerprint, parse_moment
from probe.discovery import TargetWatcher
from probe.documents.problem import DocumentError
from probe.documents.targets import load_targets
from probe.model.cause import Investigation
from probe.model.failure import trace
from probe.model.flow import ApiCheck
from probe.model.flow_cause import FlowInvestigation
from probe.model.result import FlowResult, Result
from probe.model.spec import LIVE, Check, Provider, Spec, TargetList
from probe.model.state import Diagnosis
from probe.model.target import EdgeKey, FlowKey, Target
from probe.net.names import NameProblem, parse_target
from probe.report import ReportRow, RowVerdict, rows_of
from probe.report.progress import OnProgress
from probe.state.diagnosis import diagnose


class SelectionError(Exception):
    """A name on the command line that the configuration does not have; says which it has."""


_GATE_ATTEMPTS = 5
"""With ``--wait``: an edge that fails 4 handshakes in 10 passes five tries with 8 %, and every
edge of every domain of the batch has to; one try would let most such edges through."""

_LISTS_WITHIN = 10.0
"""Seconds for which an edge's verdict waits for the revocation lists that its chain names."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """What a command line asks for; empty means everything.

    Attributes:
        checks: names of checks.
        targets: names of targets and of flows without targets, as `normal` writes them.
        providers: names of providers. One that a check does not list is used all the same:
            that is how a batch is tried on a CDN before any check names it.
        batch: targets that replace every target list; None keeps the lists.
        fingerprints: SHA-256 of the only leaf certificates that are right; hex.
        not_before: leaf certificates older than this are wrong; seconds since the epoch.
        wait: seconds of patience; None probes once.
        attempts: tries for each edge, all of which must pass.
        why: find out by experiments what each failure depends on.
        every_key_type: each edge is asked once for its RSA certificate besides.
    """

    checks: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    batch: tuple[Target, ...] | None = None
    fingerprints: tuple[str, ...] = ()
    not_before: float | None = None
    wait: float | None = None
    attempts: int = 1
    why: bool = False
    every_key_type: bool = False

    @classmethod
    def parse(
        cls,
        *,
        checks: Sequence[str] = (),
        targets: Sequence[str] = (),
        batch: Path | None = None,
        batch_names: Sequence[str] | None = None,
        providers: Sequence[str] = (),
        fingerprints: Sequence[str] = (),
        not_before: str | None = None,
        wait: str | None = None,
        attempts: int | None = None,
        why: bool = False,
        key_types: str | None = None,
    ) -> CheckRequest:
        """Understand texts as people write them.

        Who waits, brings a batch or says which certificate is right uses it as a gate.

        Raises:
            SelectionError: naming the option and what to write instead.
        """
        default = 1 if wait is None else _GATE_ATTEMPTS
        given = None if batch is None else _batch(batch)
        if batch_names is not None:
            given = _named(batch_names)
        gate = any((wait, given is not None, fingerprints, not_before))
        return cls(
            checks=tuple(checks),
            targets=tuple(map(normal, targets)),
            providers=tuple(providers),
            batch=given,
            fingerprints=tuple(
                _read("--expect-fingerprint", text, parse_fingerprint) for text in fingerprints
            ),
            not_before=None
            if not_before is None
            else _read("--expect-not-before", not_before, parse_moment),
            wait=None if wait is None else _read("--wait", wait, parse_duration),
            attempts=attempts or default,
            why=why,
            every_key_type=gate if key_types is None else key_types == "every",
        )


def normal(name: str) -> str:
    """Write the name of a target or flow for comparing: ``Shop.Example.`` is shop.example."""
    try:
        return parse_target(name).label
    except NameProblem:
        return name.lower()


def narrow(spec: Spec, request: CheckRequest) -> Spec:
    """Return the configuration with only what was selected.

    Raises:
        SelectionError: for an unknown check or provider, or a selection that leaves nothing.
    """
    _known("check", request.checks, [check.name for check in spec.checks])
    if LIVE in request.providers:  # checks may name it undeclared too
        spec = replace(spec, providers={LIVE: Provider(LIVE), **spec.providers})
    _known("provider", request.providers, {LIVE, *spec.providers})
    checks = tuple(
        _narrow_check(check, request)
        for check in spec.checks
        if not request.checks or check.name in request.checks
    )
    if request.batch is not None:
        checks = tuple(check for check in checks if check.targets is not None)
        lists = {name: TargetList(name, static=request.batch) for name in spec.targets}
        spec = replace(spec, targets=lists)
    if request.targets:  # a flow without a list has its own name for a target
        checks = tuple(
            check
            for check in checks
            if check.targets is not None or normal(check.name) in request.targets
        )
    if not checks:
        raise SelectionError(
            "no check is left: a batch or choice of targets needs a check over targets"
        )
    return replace(spec, checks=checks)


def wanted(targets: Iterable[Target], request: CheckRequest) -> tuple[Target, ...]:
    """Return the targets that were selected by name."""
    names = frozenset(request.targets)
    return tuple(t for t in targets if not names or t.name in names or t.label in names)


def _narrow_check(check: Check, request: CheckRequest) -> Check:
    if isinstance(check, ApiCheck):
        if check.targets is None:
            return check
        return replace(check, providers=request.providers or check.providers)
    expect = check.expect
    if request.fingerprints:
        expect = replace(expect, fingerprints=request.fingerprints)
    if request.not_before is not None:
        expect = replace(expect, not_before=request.not_before)
    return replace(check, providers=request.providers or check.providers, expect=expect)


def _known(kind: str, names: Sequence[str], known: Iterable[str]) -> None:
    have = list(known)
    for name in names:
        if name not in have:
            near = difflib.get_close_matches(name, have, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(sorted(have))}"
            raise SelectionError(f"no {kind} is called {name!r}; {hint}")


def _batch(path: Path) -> tuple[Target, ...]:
    try:
        return load_targets(path)
    except DocumentError as error:
        raise SelectionError("\n".join(str(problem) for problem in error.problems)) from error


def _named(names: Sequence[str]) -> tuple[Target, ...]:
    try:
        return tuple(map(parse_target, dict.fromkeys(names)))
    except NameProblem as problem:
        raise SelectionError(f"--targets -: {problem}") from None


def _read(option: str, text: str, parse: Callable[[str], T]) -> T:
    """Read a value as configuration files write it."""
    try:
        return parse(text)
    except UnitProblem as problem:
        raise SelectionError(f"{option}: {problem}") from None


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
    probe = partial(_probe, narrowed, request, environ, on_progress)
    rows = trio.run(_beside, _interrupted, probe)
    if rows is None:
        raise KeyboardInterrupt
    return rows


async def _interrupted(*, task_status: trio.TaskStatus[None]) -> None:
    """Return at Ctrl-C.

    Python raises KeyboardInterrupt wherever it happens to be. Inside a callback of OpenSSL
    it would be lost. The second Ctrl-C is Python's again, for cleaning up that hangs.
    """
    with trio.open_signal_receiver(signal.SIGINT) as signals:
        task_status.started()
        async for _ in signals:
            return


async def _beside(
    background: Callable[..., Awaitable[None]], call: Callable[[], Awaitable[T]]
) -> T | None:
    """Return what ``call`` returns, or None when what runs beside it ends first."""
    result: T | None = None
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:

        async def until_it_ends(*, task_status: trio.TaskStatus[None]) -> None:
            await background(task_status=task_status)
            nursery.cancel_scope.cancel()

        await nursery.start(until_it_ends)
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
) -> Sequence[ReportRow] | None:
    parts = build_parts(spec, environ)
    parts.tls.settled = partial(parts.crls.settled, patience=_LISTS_WITHIN)
    return await _beside(parts.crls.run, partial(_rows, parts, spec, request, on_progress))


async def _rows(
    parts: Parts, spec: Spec, request: CheckRequest, on_progress: OnProgress
) -> Sequence[ReportRow]:
    await learn_secrets(spec, parts.secrets)
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
    key_types = KeyTypes.of(spec.checks if request.every_key_type else ())
    round_ = Round(
        parts,
        spec,
        chosen,
        attempts=request.attempts,
        key_types=key_types,
        on_progress=on_progress,
    )
    results = await (round_.run() if request.wait is None else round_.wait(request.wait))
    judged = list(key_types.judged(results))
    causes: dict[EdgeKey, Investigation] = {}
    flows: dict[FlowKey, FlowInvestigation] = {}
    if request.why:
        from probe.agent.why import Explainer  # noqa: PLC0415 - what is not asked for costs nothing

        explainer = Explainer(parts, spec, targets)
        causes, flows = await explainer.of(judged), await explainer.of_flows(judged)
    rows = rows_of(judged, causes, _blames(spec, judged), flows)
    return [*unread, *rows, *key_types.unchecked(results)]


def _blames(spec: Spec, results: Iterable[Result]) -> dict[FlowKey, Diagnosis]:
    """Name the layer to blame for each run of a flow, by the rules of a running agent."""
    checks = checks_of(spec, ApiCheck)
    return {
        run.key: diagnose(checks[run.key.check], persona_of(checks[run.key.check], who), (run,))
        for run in results
        if isinstance(run, FlowResult)
        for who in (run.key.persona,)
    }


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
    watcher = TargetWatcher(wanted, parts.secrets)
    problems: list[str] = []
    try:
        await watcher.look()
    except Exception as error:
        problems.append(f"our own code crashed: {trace(error)}")
    problems += [problem for status in watcher.statuses for problem in status.problems]
    return watcher.targets, problems
