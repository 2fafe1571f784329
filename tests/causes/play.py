"""Plays cases side by side: one lab and one agent, and edges of its own for each case."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import trio

from probe.agent.assembly import Assembly
from probe.agent.log import EventLog
from probe.lab.faults.row import Given
from probe.lab.places import Place
from probe.model.cause import Cause, Investigation
from probe.model.failure import Reason
from probe.model.spec import Listen, Provider, References, Spec, TargetList, TlsCheck
from probe.model.state import CONFIRMED, Transition
from probe.model.target import EdgeKey, Target
from probe.model.tls import ChainExpectations, Trust
from probe.schedule import WHOLE
from tests.causes import lab
from tests.causes.cases import DOMAINS, EDGES, Case, Injected, Spot
from tests.support.ports import HERE

INTERVAL = 2.0
TIMEOUT = 4.0
PATIENCE = 90.0
"""Seconds until every fault of a case must have its cause; three failures in ten take time."""

_EXPECTING = {
    Given.ALPN: ChainExpectations(alpn="h2"),
    Given.ISSUERS: ChainExpectations(issuers=("Lab Issuing CA 1",)),
}
_STEADY = 2.5  # seconds for which the agent sees everything pass


@dataclass(frozen=True)
class Answer:
    """What the agent said about one fault.

    Attributes:
        found: the investigations of it; empty when none ended in time.
        seconds: the longest from the confirmation of one of its edges to the sentence.
    """

    case: Case
    fault: Injected
    found: tuple[Investigation, ...]
    seconds: float | None = None

    @property
    def named(self) -> Cause | None:
        """The cause that was named: a wrong one before a right one; None without an answer."""
        causes = [one.cause for one in self.found]
        wrong = [c for c in causes if c not in self.fault.causes and c is not Cause.UNDETERMINED]
        right = [cause for cause in causes if cause in self.fault.causes]
        return next(iter(wrong + right + causes), None)

    @property
    def right(self) -> bool:
        """Whether the cause was named, and no other."""
        return self.named in self.fault.causes

    @property
    def wrong(self) -> bool:
        """Whether another cause was named."""
        return self.named not in (None, Cause.UNDETERMINED) and not self.right


@dataclass
class Ears(EventLog):
    """Notes when each edge was confirmed to fail."""

    confirmed: dict[EdgeKey, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin as any log."""
        super().__init__()

    def error(self, event: str, **fields: object) -> None:
        """Say what our own code did wrong."""
        sys.stdout.write(f"{event}: {fields}\n")

    def transition(self, change: Transition, **more: str) -> None:
        """Note a change of state."""
        if change.after in CONFIRMED and isinstance(change.key, EdgeKey):
            self.confirmed.setdefault(change.key, time.time())


@dataclass
class Stage:
    """The edges and the check of one case."""

    case: Case
    places: dict[str, list[Place]]
    domains: list[str]

    @property
    def name(self) -> str:
        """Name the check."""
        return f"case-{self.case.number:03}"

    def check(self, roots: str) -> TlsCheck:
        """The check that looks at it."""
        given = {one.given for one in self.case.injected}
        expect = next((_EXPECTING[one] for one in given if one in _EXPECTING), ChainExpectations())
        if Given.NOT_BEFORE in given:
            expect = replace(expect, not_before=time.time() - 5 * 86400)
        return TlsCheck(
            self.name,
            self.name,
            (f"{self.name}-a", f"{self.name}-b"),
            interval=INTERVAL,
            timeout=TIMEOUT,
            profiles=self.case.profiles,
            expect=expect,
            trust=Trust("file", roots),
            addresses=HERE,
        )

    def providers(self) -> Iterator[Provider]:
        """Its two providers."""
        own = ("*.edges.example",)
        given = {one.given for one in self.case.injected}
        for name in ("a", "b"):
            places = [*self.places[name], *self.places.get(f"{name}6", [])]
            yield Provider(
                f"{self.name}-{name}",
                addresses=tuple((place.ip, place.port) for place in places),
                own_names=own if Given.OWN_NAMES in given else (),
            )


def staged(case: Case, slot: int, port: int) -> Stage:
    """Lay out a case: three edges at each of two providers, and more where IPv6 is to differ."""
    name = f"case-{case.number:03}"
    places = {
        cdn: [
            Place(f"{name}/{cdn}/{n}", cdn, "", f"127.77.{slot}.{10 * c + n + 1}", port)
            for n in range(EDGES)
        ]
        for c, cdn in enumerate(("a", "b"))
    }
    if any(one.spot is Spot.ONE_FAMILY for one in case.injected):
        places["a6"] = [Place(f"{name}/a6/{n}", "a", "", "::1", free_port_6()) for n in range(2)]
    return Stage(case, places, lab.domains_of(case, DOMAINS))


def free_port_6() -> int:
    """A port of ::1 that is free now."""
    with socket.socket(socket.AF_INET6) as trial:
        trial.bind(("::1", 0))
        port: int = trial.getsockname()[1]
        return port


def common_port(addresses: Iterable[str]) -> int:
    """A port that is free at every address."""
    addresses = list(addresses)
    while True:
        with ExitStack() as stack, suppress(OSError):
            first = stack.enter_context(socket.socket())
            first.bind((addresses[0], 0))
            port: int = first.getsockname()[1]
            for address in addresses[1:]:
                stack.enter_context(socket.socket()).bind((address, port))
            return port


async def play(cases: list[Case], folder: Path, count: int, draw: int) -> list[Answer]:
    """Play some cases side by side; returns what the agent said about each of their faults.

    Args:
        cases: to play.
        folder: where the roots are written.
        count: how many were drawn, and from which seed: the lab draws them as well.
        draw: that seed.
    """
    roots = str(folder / "roots.pem")
    addresses = [
        f"127.77.{slot}.{10 * c + n + 1}"
        for slot in range(len(cases))
        for c in range(2)
        for n in range(EDGES)
    ]
    port = common_port(addresses)
    stages = [staged(case, slot, port) for slot, case in enumerate(cases)]
    request = {
        "seed": draw,
        "draw": draw,
        "count": count,
        "roots": roots,
        "domains": DOMAINS,
        "cases": {
            stage.case.number: {
                cdn: [[one.name, one.provider, one.region, one.ip, one.port] for one in places]
                for cdn, places in stage.places.items()
            }
            for stage in stages
        },
    }
    log = Ears()
    async with lab.apart(request) as process, trio.open_nursery() as nursery:
        assembly = Assembly(_spec(stages, roots), {}, WHOLE, log)
        await assembly.start(nursery)
        await _all_pass(assembly)
        await trio.sleep(_STEADY)
        await lab.tell(process, "inject")
        answers = await _answers(stages, assembly, log)
        nursery.cancel_scope.cancel()
    return answers


def _spec(stages: list[Stage], roots: str) -> Spec:
    checks = tuple(stage.check(roots) for stage in stages)
    providers = {one.name: one for stage in stages for one in stage.providers()}
    targets = {
        stage.name: TargetList(stage.name, static=tuple(map(Target, stage.domains)))
        for stage in stages
    }
    return Spec(
        "lab",
        Listen(),
        MappingProxyType(providers),
        MappingProxyType(targets),
        checks,
        references=References(urls=()),
        addresses=HERE,
    )


async def _all_pass(assembly: Assembly) -> None:
    with trio.move_on_after(30):
        while not (assembly.store.census.providers and _counts(assembly)):
            await trio.sleep(0.2)


def _counts(assembly: Assembly) -> bool:
    records = [
        record for target in assembly.store.targets.values() for record in target.edges.values()
    ]
    return bool(records) and all(record.status == "passing" for record in records)


Kept = dict[tuple[str, int], dict[tuple[EdgeKey, float], Investigation]]
"""Every answer about a fault, by the check's name and the fault's number."""


async def _answers(stages: list[Stage], assembly: Assembly, log: Ears) -> list[Answer]:
    """Wait until every fault has its answer, or time is up."""
    kept: Kept = {}
    told: dict[EdgeKey, tuple[float, Reason]] = {}
    with trio.move_on_after(PATIENCE):
        while True:
            await trio.sleep(0.25)
            for key in log.confirmed.keys() - told.keys():
                if (known := assembly.store.causes.of(key)) is not None:
                    told[key] = (known.ended, known.failure.reason)
            for found, _ in assembly.store.causes.current():
                for stage in stages:
                    if stage.name == found.subject.check:
                        for nth, one in enumerate(stage.case.injected):
                            if _belongs(found, one, stage):
                                kept.setdefault((stage.name, nth), {})[
                                    found.subject, found.ended
                                ] = found
            if all(_done(stage, assembly, kept) for stage in stages):
                break
    return [
        Answer(
            stage.case, one, tuple(found.values()), _seconds(stage.name, one, told, log.confirmed)
        )
        for stage in stages
        for nth, one in enumerate(stage.case.injected)
        for found in [kept.get((stage.name, nth), {})]
    ]


def _belongs(found: Investigation, fault: Injected, stage: Stage) -> bool:
    """Whether an investigation is about a fault: by its reason, and by the domain of a pair."""
    if found.failure.reason not in fault.reasons:
        return False
    others = [one for one in stage.case.injected if one is not fault]
    return all(found.failure.reason not in one.reasons for one in others)


def _done(stage: Stage, assembly: Assembly, kept: Kept) -> bool:
    """Whether each fault has an answer, and every edge that fails is explained."""
    if any((stage.name, nth) not in kept for nth in range(len(stage.case.injected))):
        return False
    failing = [
        record.key
        for target in assembly.store.targets.values()
        if target.key.check == stage.name
        for record in target.edges.values()
        if record.status in CONFIRMED
    ]
    return all(assembly.store.causes.of(key) is not None for key in failing)


def _seconds(
    check: str,
    fault: Injected,
    told: Mapping[EdgeKey, tuple[float, Reason]],
    confirmed: Mapping[EdgeKey, float],
) -> float | None:
    """The longest time from the confirmation of an edge to a sentence that explains it."""
    took = [
        at - confirmed[key]
        for key, (at, reason) in told.items()
        if key.check == check and reason in fault.reasons
    ]
    return max(took, default=None)
