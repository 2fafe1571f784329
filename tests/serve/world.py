"""A store filled as an agent would fill it: results of a small world, whole or with faults.

``World`` makes one result at a time; ``filled`` gives a store in the middle of both incidents.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from zlib import crc32

from probe.certificates.renewal import renewal_of
from probe.model.cause import Cause, Change, Experiment, Investigation, Observed
from probe.model.failure import Failure, Phase, Reason
from probe.model.flow import ApiCheck, RequestTemplate, Step
from probe.model.flow_cause import FlowCause, FlowChange, FlowExperiment, FlowInvestigation
from probe.model.result import (
    CertificateFacts,
    Clock,
    Evidence,
    Failed,
    FlowResult,
    Handshake,
    Outcome,
    Passed,
    ResolveResult,
    StepResult,
    Timings,
    TlsResult,
)
from probe.model.spec import Limits, Listen, Provider, Spec, TargetList, TlsCheck
from probe.model.state import Diagnosis, EdgeStatus, Transition
from probe.model.target import Edge, EdgeKey, FlowKey, ProviderKey, Resolution, Target
from probe.model.tls import ChainExpectations
from probe.serve import CertificatesKey, CertificateSplit, Store
from probe.serve.memory.agent import SourceView
from probe.serve.series import families
from probe.serve.series.family import Sample
from probe.state.vantage import Complaint, Health, Sign

START = 1_790_000_000.0
DAY = 86_400.0
UNRECOGNIZED = Failure(
    Phase.TLS,
    Reason.ALERT_UNRECOGNIZED_NAME,
    "the server answered ClientHello with alert unrecognized_name (112)",
)
DENIED = Failure(Phase.EXPECT, Reason.STATUS, "500 Internal Server Error, expected 200")
STEPS = (
    ("control", "control", "/_v/public/toolbelt/global-config"),
    ("deny", "authorization", "/acme/master"),
    ("login", "login", "/api/vtexid/apptoken/login"),
    ("token_valid", "token", "/api/vtexid/credential/validate"),
    ("whoami", "authorization", "/acme/master"),
    ("apps", "authorization", "/apps/v0/acme/master/apps"),
)


def leaf(name: str, *, provider: str = "cdn-a", days: float = 60.0) -> CertificateFacts:
    digest = sha256(f"{provider}/{name}".encode(errors="replace")).hexdigest()
    return CertificateFacts(
        fingerprint_sha256=digest,
        spki_sha256=digest[::-1],
        subject=f"CN={name}",
        issuer=f"CN={provider} Issuing CA 1,O=Example Trust,C=US",
        serial=digest[:32],
        not_before=START - 30 * DAY,
        not_after=START + days * DAY,
        dns_names=(name, f"www.{name}"),
        ip_names=(),
        key="ec-p256",
        key_type="ecdsa",
        issuer_url="http://ca.example/issuing.der",
    )


INTERMEDIATE = leaf("Issuing CA 1", days=900.0)


def shaken(own: CertificateFacts) -> Handshake:
    return Handshake(
        version="TLS 1.3",
        cipher="TLS_AES_128_GCM_SHA256",
        chain=(own, INTERMEDIATE),
        group="X25519MLKEM768",
        alpn="h2",
        verified_not_after=own.not_after,
        renewal=renewal_of(own, ChainExpectations()),
        leaf_renewal=renewal_of(own, ChainExpectations()),
    )


@dataclass
class World:
    """Results for stores behind CDNs with a few addresses each, and one flow."""

    check: str = "stores"
    region: str = "sa-east"
    at: float = START
    leaves: dict[tuple[str, str], CertificateFacts] = field(default_factory=dict)

    def key(
        self, target: str, provider: str = "cdn-a", number: int = 1, client: str = "default"
    ) -> EdgeKey:
        return EdgeKey(self.check, target, provider, self.edge(provider, number).label, client)

    def edge(self, provider: str, number: int) -> Edge:
        site = sum(provider.encode()) % 200
        return Edge(f"198.51.{site}.{number}", 443)

    def result(
        self, key: EdgeKey, outcome: Outcome | None = None, *, shook: bool = True, lag: float = 0.0
    ) -> TlsResult:
        """One attempt; a failed one has no handshake unless its phase is the certificate's."""
        outcome = outcome or Passed()
        ip, _, port = key.edge.rpartition(":")
        failed = isinstance(outcome, Failed) and outcome.failure.phase is not Phase.CERTIFICATE
        own = self.leaves.get((key.target, key.provider))
        if own is None:
            own = leaf(key.target, provider=key.provider)
            self.leaves[key.target, key.provider] = own
        handshake = shaken(own) if shook and not failed else None
        spread = (crc32(repr(key).encode()) % 1000) / 100_000
        return TlsResult(
            key=key,
            edge=Edge(ip.strip("[]"), int(port)),
            at=self.at,
            outcome=outcome,
            timings=Timings(
                connect=0.010 + spread,
                tls=0.031 + 2 * spread if handshake else None,
                total=0.042 + 3 * spread,
                lag=lag,
                clock=Clock.KERNEL,
            ),
            handshake=handshake,
            command=""
            if isinstance(outcome, Passed)
            else f"openssl s_client -connect {key.edge} -servername {key.target} </dev/null",
            browser="ERR_SSL_UNRECOGNIZED_NAME_ALERT" if failed else "",
        )

    def resolved(self, key: ProviderKey, edges: Iterable[Edge]) -> ResolveResult:
        return ResolveResult(key, self.at, Resolution(tuple(edges), ttl=60.0, seconds=0.012))


def spec(*, edge_series: str = "all", targets: Iterable[Target] = ()) -> Spec:
    series = {"all", "failing", "none"} & {edge_series}
    (mode,) = series
    steps = tuple(
        Step(name, layer, RequestTemplate("GET", f"https://platform.example{path}"))
        for name, layer, path in STEPS
    )
    return Spec(
        region="sa-east",
        listen=Listen(port=0),
        providers={name: Provider(name) for name in ("live", "cdn-a", "cdn-b")},
        targets={"stores": TargetList("stores", tuple(targets))},
        checks=(
            TlsCheck(
                "stores",
                "stores",
                ("cdn-a", "cdn-b"),
                interval=15.0,
                edge_series=mode,  # type: ignore[arg-type]  # one of the three, as asserted
                labels={"team": "edge", "severity": "page"},
            ),
            ApiCheck(
                "developer-cli",
                steps,
                interval=30.0,
                instance_headers=("x-cluster",),
                labels={"team": "platform"},
            ),
        ),
        limits=Limits(lag_bound=0.02),
        digest="0f" * 32,
    )


def flow_result(
    key: FlowKey, at: float, failing: Iterable[str] = (), failure: Failure = DENIED
) -> FlowResult:
    """One run; the steps named fail."""
    broken = set(failing)
    steps = tuple(
        StepResult(
            step=name,
            layer=layer,
            outcome=Failed(failure) if name in broken else Passed(),
            timings=Timings(
                resolve=0.002, connect=0.01, tls=0.03, send=0.001, wait=0.05, receive=0.002,
                total=0.095, lookup=0.002,
            ),
            attempts=1,
            edge=Edge("203.0.113.9", 443),
            handshake=shaken(leaf("platform.example")),
            evidence=Evidence(
                request=f"GET https://platform.example{path}",
                status=500 if name in broken else (403 if name == "deny" else 200),
                headers={"x-request-id": "5a0f", "x-cluster": "io-7"},
                body='{"code":"internal","message":"<b>policy</b>"}' if name in broken else "{}",
                command=f"curl -H 'Authorization: Bearer $TOKEN' https://platform.example{path}",
                trace_id=sha256(name.encode()).hexdigest()[:32],
                http_version=2.0,
                content_length=2,
                body_size=2,
                redirects=0,
            ),
        )
        for name, layer, path in STEPS
    )  # fmt: skip
    first = next((s.outcome for s in steps if isinstance(s.outcome, Failed)), None)
    outcome = first or Passed()
    return FlowResult(
        key, at, outcome, steps, seconds=0.6, run_id="run-1", token_expires_at=at + 3600.0
    )


def filled(
    *,
    targets: int = 30,
    edges: int = 4,
    broken_targets: int = 9,
    broken_edges: int = 2,
    cli_broken: bool = True,
    edge_series: str = "all",
    store: Store | None = None,
) -> Store:
    """A store in the middle of both incidents, or of none with zeros and False."""
    names = [f"store-{number:05}.example" for number in range(targets)]
    listed = [Target(name, labels={"owner": f"team-{i % 7}"}) for i, name in enumerate(names)]
    store = store or Store("sa-east", started_at=START - 3600.0)
    world = World()
    store.configure(spec(edge_series=edge_series, targets=listed))
    store.set_targets("stores", listed)
    store.set_targets("developer-cli", [Target("developer-cli")])
    for place, name in enumerate(names):
        for provider in ("cdn-a", "cdn-b"):
            through = ProviderKey("stores", name, provider)
            known = [world.edge(provider, number) for number in range(1, edges + 1)]
            store.record_resolution(world.resolved(through, known))
            for number in range(1, edges + 1):
                key = world.key(name, provider, number)
                broken = provider == "cdn-b" and place < broken_targets and number <= broken_edges
                _attempts(store, world, key, broken=broken)
    if targets and broken_targets and broken_edges:
        store.causes.record(missing_certificate(store))
    _cli(store, broken=cli_broken)
    if cli_broken:
        store.flow_causes.record(authorization_fails(store))
    _agent(store)
    return store


def missing_certificate(store: Store) -> Investigation:
    """Why the edges of cdn-b fail, as experiments tell in the middle of the incident."""
    keys = [
        key
        for target in store.targets.values()
        for key, record in target.edges.items()
        if record.status is EdgeStatus.FAILING
    ]
    key = min(keys)
    other = "store-00029.example"
    experiments = (
        Experiment(
            Change.NOTHING,
            *(key.target, key.provider, key.edge, key.client),
            Observed.SAME,
            "tls/alert_unrecognized_name",
            regular=True,
            times=4,
        ),
        Experiment(
            Change.DOMAIN, other, key.provider, key.edge, key.client, Observed.PASSED, seconds=0.05
        ),
        Experiment(
            Change.EDGE,
            *(key.target, key.provider, World().edge("cdn-b", 4).label, key.client),
            Observed.PASSED,
            seconds=0.04,
        ),
    )
    return Investigation(
        Cause.CERTIFICATE_MISSING,
        key,
        UNRECOGNIZED,
        began=START + 26.0,
        ended=START + 27.0,
        experiments=experiments,
        domains=tuple(sorted({one.target for one in keys})),
        edges=tuple(sorted({one.edge for one in keys})),
        keys=frozenset(keys),
        spent=2,
    )


def authorization_fails(store: Store) -> FlowInvestigation:
    """Why the flow fails, as experiments tell in the middle of the incident."""
    (key,) = (key for key, flow in store.flows.items() if flow.status is EdgeStatus.FAILING)

    def made(
        change: FlowChange, step: str, token: str, seen: Observed, *, regular: bool = False
    ) -> FlowExperiment:
        detail = "expect/status" if seen is Observed.SAME else ""
        return FlowExperiment(
            *(change, step, "platform.example", "203.0.113.9:443", token, *key[1:]),
            seen,
            detail,
            regular,
            3 if regular else 1,
        )

    return FlowInvestigation(
        FlowCause.AUTHORIZATION,
        key,
        "whoami",
        DENIED,
        "the authorization layer answers 500 to every authenticated call: calls without a token "
        "and the login itself pass",
        began=START + 26.0,
        ended=START + 27.0,
        experiments=(
            made(FlowChange.NOTHING, "whoami", "kept", Observed.SAME, regular=True),
            made(FlowChange.NO_TOKEN, "whoami", "none", Observed.PASSED),
            made(FlowChange.NEW_TOKEN, "whoami", "new", Observed.SAME),
        ),
        keys=frozenset({key}),
        spent=3,
    )


def _attempts(store: Store, world: World, key: EdgeKey, *, broken: bool) -> None:
    store.record_edge(world.result(key), EdgeStatus.PASSING, START - 3600.0)
    if not broken:
        return
    world.at = START + 22.0
    failed = world.result(key, Failed(UNRECOGNIZED))
    for _ in range(3):
        store.record_edge(failed, EdgeStatus.SUSPECT, world.at)
    store.record_edge(failed, EdgeStatus.FAILING, world.at)
    store.note(
        Transition(
            key, "suspect", "failing", world.at, world.at + 3.0, UNRECOGNIZED, failed.command
        )
    )
    world.at = START


def _cli(store: Store, *, broken: bool) -> None:
    for persona in ("developer", "internal"):
        key = FlowKey("developer-cli", "developer-cli", "live", persona)
        store.record_flow(
            flow_result(key, START), Diagnosis(refused=True), EdgeStatus.PASSING, START - 3600.0
        )
        if broken and persona == "developer":
            result = flow_result(key, START + 30.0, ("whoami", "apps"))
            why = "control, login and token pass; every authorized call fails"
            diagnosis = Diagnosis("authorization", why, ("whoami", "apps"))
            store.record_flow(result, diagnosis, EdgeStatus.FAILING, START + 30.0)
            store.note(Transition(key, "", "authorization", START + 30.0, START + 31.0, DENIED))


ILL = Health(
    (Complaint(Sign.CLOCK, 0.0, True, "slow"), Complaint(Sign.DNS, 0.0, True, "dead")),
    unjudged={Sign.NETWORK: "nothing to compare with"},
    clock_offset=-60.0,
)


def _agent(store: Store) -> None:
    agent = store.agent
    agent.build(version="0.1.0", python="3.11.7", openssl="3.5.0")
    agent.reloaded(success=True, at=START - 3600.0, digest="0f" * 32)
    agent.health = Health
    source = SourceView(
        "stores",
        "targets/stores.yaml",
        True,
        len(store.targets),
        answered_at=START,
        held_since=START,
    )
    agent.sources = lambda: (source,)
    agent.ready = True
    for check in ("stores", "developer-cli"):
        late = store.series.histograms.of(families.AGENT_SCHEDULE_LATENESS)
        late.observe((("check", check),), 0.002)
    agent.readings.append(lambda: _runs(store))
    agent.readings.append(lambda: [(families.AGENT_STATE_DIR_WRITABLE, 1.0, ())])
    store.series.histograms.of(families.AGENT_LOOP_LAG).observe((), 0.001)
    split = CertificatesKey("stores", "store-00000.example", "cdn-a", "ecdsa")
    store.record_split(CertificateSplit(split, distinct=1))


def _runs(store: Store) -> list[Sample]:
    counted = (families.AGENT_MISSED_RUNS, families.AGENT_IN_FLIGHT)
    return [(one, 3.0, (("check", check),)) for one in counted for check in store.checks]
