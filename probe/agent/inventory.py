"""What there is to probe: the targets that lists give, and the edges that DNS names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import trio

from probe.agent.gate import CheckRequest, narrow, wanted
from probe.agent.jobs import checks_of, provider_jobs, targets_of
from probe.agent.parts import Parts, build_parts
from probe.discovery import TargetWatcher
from probe.model.spec import Provider, Spec, TargetList, TlsCheck
from probe.model.target import Edge, ProviderKey, Resolution, Target
from probe.net.addresses import refusal

_QUESTIONS = 50
"""Questions to DNS at once."""


@dataclass(frozen=True, slots=True)
class ListedTarget:
    """A target that a source of a list gives.

    Attributes:
        list_name: the target list.
        source: ``static``, a path, or a URL without user, password and query.
        note: why it is not probed from here, such as a source before it that names it too.
    """

    list_name: str
    target: str
    labels: Mapping[str, str]
    source: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class NamedEdge:
    """An address of a provider for a target, or why there is none.

    Attributes:
        address: with the port; empty where nothing was named.
        source: ``fixed``, ``hosts file``, or ``dns``.
        ttl: seconds until DNS is asked again, floor and cap applied; None where nobody asks.
        refused: why it is not connected to; empty when it is.
        notes: evidence in words, such as canonical names that led here.
    """

    check: str
    target: str
    provider: str
    address: str
    source: str
    ttl: float | None = None
    refused: str = ""
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class Inventory:
    """What was found.

    Attributes:
        problems: sources that cannot be read, and entries that cannot be used.
    """

    targets: list[ListedTarget] = field(default_factory=list)
    edges: list[NamedEdge] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def find_targets(spec: Spec, request: CheckRequest, environ: Mapping[str, str]) -> Inventory:
    """Read every list of targets once; in the order of the configuration.

    Raises:
        SelectionError: for names that the configuration does not have.
    """
    spec = narrow(spec, request)
    return trio.run(_look, spec, request, build_parts(spec, environ))


def find_edges(spec: Spec, request: CheckRequest, environ: Mapping[str, str]) -> Inventory:
    """Ask the DNS of every provider for every target of the TLS checks once.

    Raises:
        SelectionError: for names that the configuration does not have.
    """
    spec = narrow(spec, request)
    return trio.run(partial(_ask, spec, request, build_parts(spec, environ)))


async def _look(spec: Spec, request: CheckRequest, parts: Parts) -> Inventory:
    found = Inventory()
    names = dict.fromkeys(check.targets for check in spec.checks if check.targets is not None)
    for name in names:
        said: dict[str, str] = {}
        for one in _sources(spec.targets[name]):
            watcher = TargetWatcher(one, parts.secrets)
            await watcher.look()
            for status in watcher.statuses:
                found.problems += status.problems
                listed = wanted(watcher.targets, request)
                found.targets += _listed(name, listed, status.source, said)
    return found


def _sources(whole: TargetList) -> Iterator[TargetList]:
    """A list for each source, so that each target's source is known."""
    bare = replace(whole, static=(), files=(), http=())
    if whole.static:
        yield replace(bare, static=whole.static)
    yield from (replace(bare, files=(one,)) for one in whole.files)
    yield from (replace(bare, http=(one,)) for one in whole.http)


def _listed(
    name: str, targets: Iterable[Target], source: str, said: dict[str, str]
) -> Iterator[ListedTarget]:
    for target in targets:
        before = said.setdefault(target.label, source)
        note = "" if before == source else f"{before} names it first"
        yield ListedTarget(name, target.label, target.labels, source, note)


async def _ask(spec: Spec, request: CheckRequest, parts: Parts) -> Inventory:
    found = Inventory()
    lists: dict[str, tuple[Target, ...]] = {}
    for name in {check.targets for check in spec.checks if check.targets is not None}:
        watcher = TargetWatcher(spec.targets[name], parts.secrets)
        await watcher.look()
        lists[name] = wanted(watcher.targets, request)
        found.problems += [text for status in watcher.statuses for text in status.problems]
    limit = trio.CapacityLimiter(_QUESTIONS)
    answers: dict[ProviderKey, Resolution] = {}

    async def ask(check: TlsCheck, key: ProviderKey, target: Target) -> None:
        async with limit:
            provider = spec.providers[key.provider]
            answers[key] = await parts.finder.find(provider, target, check.port)

    checks = checks_of(spec, TlsCheck)
    keys = [
        (check, key, target)
        for check in checks.values()
        for key, target in provider_jobs(check, targets_of(check, lists)).items()
    ]
    async with trio.open_nursery() as nursery:
        for one in keys:
            nursery.start_soon(ask, *one)
    for check, key, _ in keys:
        found.edges += _edges(check, spec.providers[key.provider], key, answers[key])
    return found


def _edges(
    check: TlsCheck, provider: Provider, key: ProviderKey, answer: Resolution
) -> Iterator[NamedEdge]:
    notes = answer.notes
    source = "fixed" if provider.addresses else "dns"
    if "from this host's hosts file" in notes:
        source, notes = "hosts file", ()
    if answer.skipped_ipv6:
        notes = (*notes, f"{answer.skipped_ipv6} IPv6 addresses left out: no IPv6 route here")
    for edge in answer.edges:
        refused = None if edge.written else refusal(edge.ip, check.addresses)
        said = (*_evidence(edge), *notes)
        yield NamedEdge(*key, edge.label, source, answer.ttl, refused or "", said)
    if not answer.edges:
        why = answer.failure
        text = f"{why.reason}: {why.detail}".rstrip(": ") if why else "no addresses"
        yield NamedEdge(*key, "", source, answer.ttl, "", (text, *notes))


def _evidence(edge: Edge) -> Iterator[str]:
    if edge.cnames:
        yield f"through {' > '.join(edge.cnames)}"
    if edge.seen_from:
        yield f"for clients in {', '.join(edge.seen_from)}"
