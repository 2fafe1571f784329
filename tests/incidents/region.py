"""One region's simulated day: noise of every kind and the faults, as series of samples."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from math import ceil

from probe.model.failure import Failure, Phase, Reason
from probe.model.result import CertificateFacts
from probe.model.state import Confirmation

from .bursts import Burst, burst, bursts
from .expiry import expiring
from .revoked import Story, edge_serves_revoked, list_names_served, listed
from .series import SLOTS, STEP, Series, samples
from .virtual import (
    ADDRESSES,
    DAY,
    INTERVAL,
    PER_TARGET,
    TARGETS,
    Course,
    Span,
    Window,
    cut_off,
    flow_day,
    losses,
    questions,
    renewal,
    silent,
    walk,
)

BURSTS = 20
REGIONS = ("sa-east", "us-east", "eu-west")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is really broken.

    Attributes:
        kind: ``tls``, ``refused``, ``dns`` or ``flow``; ``silence``: the agent answers and judges
            nothing; ``expiry``: nobody renews a certificate; ``revoked`` and ``listed``: an edge
            serves a certificate that a list names, and a list names one that an edge serves.
        share: of attempts or runs that it breaks.
        targets: how many domains; of ``expiry`` the certificate's lifetime in days.
    """

    name: str
    kind: str
    regions: tuple[str, ...]
    day: int
    span: Span
    share: float
    targets: int = 1

    @property
    def alert(self) -> str:
        """What must page."""
        kinds = {
            "dns": "ProbeDnsFailing",
            "expiry": "ProbeCertificateExpiresNow",
            "flow": "ProbeFlowFailing",
            "silence": "ProbeRegionBlind",
        }
        return kinds.get(self.kind, "ProbeProviderFailing")

    def explains(self, alert: str) -> bool:
        """Whether it may page so: its own alert, and that it grew after its first page."""
        grows = self.kind in ("tls", "refused", "dns")
        return alert == self.alert or (alert == "ProbeProviderWorse" and grows)


def region_day(
    series: Series,
    region: str,
    dice: random.Random,
    faults: list[Fault],
    shared: Iterable[Burst] = (),
    certificates: Iterable[tuple[str, CertificateFacts, float]] = (),
    lists: Iterable[Story] = (),
) -> None:
    """One region's day: noise of every kind, its own and the bursts of all, and its faults.

    Args:
        certificates: every target's, and the second at which it is renewed, if this day has it.
        lists: the day of every revocation list, the faults' own aside.
    """
    at = f'region="{region}"'
    where = f'{at},check="stores",provider="live"'
    cut = Span(start := dice.uniform(3600, DAY - 3600), start + 120)
    refused = dice.random() < 0.5
    step = None
    if dice.random() < 1 / 7:
        step = Span(start := dice.uniform(3600, DAY - 3600), start + 300)
    restarts = _steady(series, region, dice)
    window = Window(cut, refused=refused, step=step)
    courses = [*losses(dice), *cut_off(dice, window, cut)]
    for bad in (*shared, *bursts(dice, BURSTS)):
        courses += burst(dice, bad)
    window.advance(DAY)
    for span in window.ill:
        series.span(f'probe_vantage_healthy{{{at},instance="{region}"}}', span, 0, 1)
        ill = f'probe_vantage_illness{{{at},instance="{region}",cause="{span.what}"}}'
        series.span(ill, span, 1, None)
    if refused:  # then Prometheus does not reach the agent either
        series.unseen[region] |= set(samples(cut))
    named = [(span, "") for course in courses for span in course.named]
    for fault in faults:
        if fault.kind in ("tls", "refused"):
            broken = list(_broken(fault, dice))
            courses += broken
            named += [(span, fault.name) for course in broken for span in course.named]
    naming = listed(series, region, dice, (*lists, *_revocations(faults)))
    courses += naming
    revoked = [span for course in naming for span in course.named]
    _providers(series, where, [span for span, _ in named], revoked)
    _targets(series, region, dice, [*(span for span, _ in named), *revoked])
    _counters(series, where, courses, dice, restarts)
    _dns(series, where, dice, [fault for fault in faults if fault.kind == "dns"])
    for number in range(40):  # each name's questions in an order of time of their own
        alone = Window(cut, refused=refused, step=step)
        for span, accused in questions(dice, alone, cut):
            name = f'probe_resolve_success{{{where},target="t{TARGETS + number}"}}'
            series.span(name, span, 0 if accused else None, 1)
    shares = [(fault.span, fault.share) for fault in faults if fault.kind == "flow"]
    again = Window(cut, refused=refused, step=step)
    _flow(series, at, flow_day(dice, shares, again), [span for span, _ in shares])
    for target, facts, renewed in certificates:
        expiring(series, region, target, facts, renewed)
    for _ in range(17):  # of 1,000 domains, renewed twice in 120 days
        for span in renewal(dice, dice.uniform(0, DAY)):
            split = f'probe_certificates_split{{{where},target="x",key_type="ecdsa"}}'
            series.span(split, span, 1, 0)
    _silence(series, region, dice, [fault.span for fault in faults if fault.kind == "silence"])


def _silence(series: Series, region: str, dice: random.Random, faults: list[Span]) -> None:
    """Runs that give nothing, an agent that hangs, and one that answers and judges nothing."""
    everything = TARGETS * PER_TARGET
    start = dice.uniform(3600, DAY - 3600)
    stuck = Span(start, start + dice.uniform(30, 900))
    start = dice.uniform(3600, DAY - 3600)
    hung = Span(start, start + dice.uniform(20, 200))
    series.unseen[region] |= set(samples(hung))
    unseen = silent(dice, 40, stuck)
    flow: list[Span] = []
    for span in (hung, *faults):
        unseen += silent(dice, everything, span)
        flow += silent(dice, 1, span)
    for check, keys, spans in (("stores", everything, unseen), ("cli", 1, flow)):
        labels = f'region="{region}",instance="{region}",check="{check}",provider="live"'
        series.hold(f"probe_provider_results_expected{{{labels}}}", keys)
        series.level(f"probe_provider_results_missing{{{labels}}}", spans, 0)


def _steady(series: Series, region: str, dice: random.Random) -> set[int]:
    """What an agent always says; scrapes that are lost now and then, and restarts.

    Returns the samples at which counters begin anew.
    """
    at = f'region="{region}"'
    series.hold(f'up{{job="probe",{at},instance="{region}"}}', 1)
    series.hold(f'probe_vantage_healthy{{{at},instance="{region}"}}', 1)
    series.hold(f'probe_check_info{{{at},check="stores",kind="tls",team="edge"}}', 1)
    series.hold(f'probe_check_info{{{at},check="cli",kind="api",team="identity"}}', 1)
    reload = f'probe_agent_config_last_reload_success{{{at},instance="{region}"}}'
    series.hold(reload, 1)
    if dice.random() < 0.2:  # a bad file, corrected half a minute later
        start = dice.random() * DAY
        series.span(reload, Span(start, start + 30), 0, 1)
    gone = series.unseen[region]
    for _ in range(20):
        slot = dice.randrange(SLOTS)
        gone.update((slot, slot + 1) if dice.random() < 0.1 else (slot,))
    if dice.random() < 0.3:  # a restart of up to half a minute
        start = dice.random() * DAY
        away = samples(Span(start, start + dice.uniform(5, 30)))
        gone |= set(away)
        return {away[-1] + 1}
    return set()


def _broken(fault: Fault, dice: random.Random) -> Iterator[Course]:
    """Every edge that a fault breaks."""
    failure = Failure(Phase.TLS, Reason.ALERT_UNRECOGNIZED_NAME)
    if fault.kind == "refused":
        failure = Failure(Phase.CONNECT, Reason.REFUSED)
    for _ in range(fault.targets):

        def meets(now: float) -> Failure | None:
            within = fault.span.start <= now < fault.span.end
            return failure if within and dice.random() < fault.share else None

        start = fault.span.start + dice.random() * INTERVAL
        yield walk(meets, start, fault.span.end, Confirmation())


def _revocations(faults: Iterable[Fault]) -> Iterator[Story]:
    stories = {"revoked": edge_serves_revoked, "listed": list_names_served}
    for fault in faults:
        if fault.kind in stories:
            yield stories[fault.kind](fault.span)


def _providers(series: Series, where: str, named: list[Span], revoked: list[Span]) -> None:
    """Each named edge is one of another target."""
    series.hold(f"probe_provider_targets{{{where}}}", TARGETS)
    series.level(f"probe_provider_targets_failing{{{where}}}", [*named, *revoked], 0)
    for why, spans in (
        ('phase="connect",reason="timeout"', named),
        ('phase="certificate",reason="crl_revoked"', revoked),
    ):
        series.level(f"probe_provider_targets_failing_by_reason{{{where},{why}}}", spans, None)


def _targets(series: Series, region: str, dice: random.Random, named: list[Span]) -> None:
    """Each named edge is one of two of some target, which every region looks at."""
    for span in named:
        where = f'check="stores",target="t{dice.randrange(TARGETS)}"'
        for other in REGIONS:
            series.hold(f'probe_target_edges{{region="{other}",{where}}}', PER_TARGET)
            series.hold(f'probe_target_edges_failing{{region="{other}",{where}}}', 0)
        series.span(f'probe_target_edges_failing{{region="{region}",{where}}}', span, 1, 0)
        state = f'region="{region}",{where},provider="live",edge="198.51.100.1:443"'
        series.span(f'probe_edge_state{{{state},state="flapping"}}', span, 1, None)


def _counters(
    series: Series,
    where: str,
    courses: list[Course],
    dice: random.Random,
    restarts: Collection[int],
) -> None:
    """Attempts by address, over all targets: the rules only ever look at that sum."""
    regular = TARGETS * PER_TARGET / ADDRESSES * STEP / INTERVAL
    at: dict[int, list[Course]] = defaultdict(list)
    for course in courses:
        at[dice.randrange(ADDRESSES) if course.address is None else course.address].append(course)
    for n in range(ADDRESSES):
        labels = f'{where},target="all",edge="198.51.100.{n}:443",client="default"'
        attempts, failed = (
            f"probe_edge_{name}_total{{{labels}}}" for name in ("attempts", "failed_attempts")
        )
        for slot in range(SLOTS + 1):
            series.add(attempts, slot * STEP, regular)
        series.hold(failed, 0)
        for course in at[n]:
            if course.failed:
                series.add(attempts, course.failed[0], course.attempts)
                for moment in course.failed:
                    series.add(failed, moment, 1)
        series.sum_up(attempts, restarts)
        series.sum_up(failed, restarts)


def _dns(series: Series, where: str, dice: random.Random, faults: list[Fault]) -> None:
    """Bursts of SERVFAIL, an hour of slow DNS that loses questions, and names that are gone."""
    missed: dict[int, list[Span]] = defaultdict(list)
    for _ in range(4):
        start = dice.random() * DAY
        length = dice.uniform(20, 60)
        for target in range(50):  # of 1,000: the alert counts any
            asked = start + dice.random() * INTERVAL
            if asked < start + length:
                missed[target].append(Span(asked, asked + INTERVAL * ceil(length / INTERVAL)))
    if dice.random() < 0.1:
        start = dice.uniform(0, DAY - 3600)
        for asked in range(120):
            for target in range(TARGETS):
                if dice.random() < 0.01:
                    moment = start + asked * INTERVAL
                    missed[target].append(Span(moment, moment + INTERVAL))
    for fault in faults:
        for target in range(fault.targets):
            asked = fault.span.start + dice.random() * INTERVAL
            missed[target].append(Span(asked, fault.span.end + dice.random() * INTERVAL))
    for target, spans in missed.items():
        for span in spans:
            name = f'probe_resolve_success{{{where},target="t{target}"}}'
            series.span(name, span, 0, 1)


def _flow(series: Series, at: str, course: Course, faults: list[Span]) -> None:
    labels = f'{at},check="cli",target="cli",persona=""'
    for span in course.named:
        series.span(f'probe_flow_state{{{labels},state="failing"}}', span, 1, None)
        real = any(fault.start < span.end and span.start < fault.end + 60 for fault in faults)
        layer = "authorization" if real else "edge"
        series.span(f'probe_flow_diagnosis{{{labels},layer="{layer}"}}', span, 1, None)
    series.hold(f"probe_flow_fails_open{{{labels}}}", 0)
