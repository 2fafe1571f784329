"""What the parts of one run share."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import trio

from probe import __version__
from probe.auth import kinds
from probe.auth.material import Material
from probe.flow.evidence import CurlTerms, clean
from probe.flow.redact import Redactor
from probe.flow.values import Missing, Values
from probe.http.session import Session
from probe.http.url import BadUrl, Origin, clean_url, origin_of, parsed
from probe.model.auth import Auth, BearerAuth, carries_credential
from probe.model.failure import Failure, Phase
from probe.model.flow import ApiCheck, CommandStep, Persona, Step
from probe.model.result import StepResult
from probe.model.target import FlowKey, Target
from probe.model.template import names

_LEAST = 0.1
"""Least share of a step's time-out that must be left for it to begin."""

NewId = Callable[[int], str]
"""Gives that many random bytes as hex."""


def new_id(count: int) -> str:
    """Random bytes as hex, never all zero (W3C Trace Context forbids that)."""
    while True:
        found = secrets.token_hex(count)
        if found.strip("0"):
            return found


@dataclass(slots=True)
class Context:
    """One run: what it is given, what it learns, what it has found so far.

    Attributes:
        run_id: 32 hex digits; also the trace id of every request of the run.
        deadline: trio time by which the run is over.
        lag: the event loop's lag now, in seconds.
        phase: what is done outside a call: ``auth``, ``send`` before it, ``expect`` after it.
    """

    key: FlowKey
    check: ApiCheck
    target: Target
    persona: Persona | None
    session: Session
    values: Values
    redactor: Redactor
    material: Material
    run_id: str
    deadline: float
    lag: Callable[[], float]
    ids: NewId = new_id
    proxy: Callable[[str, str], str | None] = lambda _scheme, _host: None
    results: list[StepResult] = field(default_factory=list)
    phase: Phase = Phase.SEND
    _named: frozenset[Origin] | None = None
    _secret: frozenset[str] | None = None

    def json_due(self, step: Step) -> bool:
        """Whether a call that is let in gets JSON, by what the check expects.

        The same request with credentials tells; without one, the calls to the same place.
        """
        calls = [s for s in self.check.steps if isinstance(s, Step) and not s.deny]
        asked = (step.request.method, step.request.url)
        alike = [s for s in calls if (s.request.method, s.request.url) == asked]
        place = _place(step)
        return any(map(_expects_json, alike or [s for s in calls if _place(s) == place]))

    def auth(self, name: str | None) -> Auth | None:
        """The entry that a step's ``auth`` means for this persona."""
        if name is None:
            return None
        if self.persona is not None and name in self.persona.auth:
            return self.persona.auth[name]
        return self.check.auth[name]

    def named(self) -> frozenset[Origin]:
        """The origins that the configuration itself names: credentials go to no others."""
        if self._named is None:
            self._named = _named_origins(self)
        return self._named

    def secret_captures(self) -> frozenset[str]:
        """Captures that are secret: said so, or used as credentials."""
        if self._secret is None:
            self._secret = frozenset(_secret_captures(self.check, self.persona))
        return self._secret

    def logins(self) -> list[str]:
        """URL templates of the logins that this persona may use."""
        entries: dict[str, Auth | None] = dict(self.check.auth)
        if self.persona is not None:
            entries.update(self.persona.auth)
        return [
            kinds.login_url(spec)
            for spec in entries.values()
            if spec is not None and kinds.is_login(spec)
        ]

    def curl_terms(self) -> CurlTerms:
        """What the run's curl commands have in common."""
        own = self.check.run_id_header
        return CurlTerms(
            trust=self.check.trust,
            http2=self.check.http2,
            skip=frozenset() if own is None else frozenset({own.lower()}),
            client_certificate=self.check.client_certificate is not None,
            groups=self.check.groups,
        )

    def clean(self, failure: Failure) -> Failure:
        """The failure without secrets."""
        return clean(failure, self.redactor)

    def step_deadline(self, seconds: float | None) -> float:
        """When a step that starts now must be over."""
        own = self.check.timeout if seconds is None else seconds
        return min(trio.current_time() + own, self.deadline)

    def time_for(self, step: Step | CommandStep) -> bool:
        """Whether enough of the run's time is left for a step to begin.

        A call that is cut off at once would not come through to its host, and that host or its
        edge would be blamed for the time that others took. Cleanup is tried whatever is left.
        """
        own = self.check.timeout if step.timeout is None else step.timeout
        left = self.deadline - trio.current_time()
        return left > 0 if step.cleanup else left >= own * _LEAST

    def traceparent(self) -> str:
        """W3C Trace Context: this run's trace, a span of its own, sampled."""
        return f"00-{self.run_id}-{self.ids(8)}-01"

    def user_agent(self) -> str:
        """Of the CLI that the check stands for, else our own."""
        return self.check.user_agent or f"regional-probe/{__version__}"


def _place(step: Step) -> str:
    """The text of a URL template up to its path."""
    scheme, separator, rest = step.request.url.rpartition("://")
    return scheme + separator + rest.partition("/")[0]


def _expects_json(step: Step) -> bool:
    typed = (one.matches or "" for one in step.expect.headers if one.name.lower() == "content-type")
    return (
        bool(step.expect.json)
        or any(one.source == "json" for one in step.captures)
        or any("json" in pattern for pattern in typed)
    )


def _secret_captures(check: ApiCheck, persona: Persona | None) -> Iterator[str]:
    entries = [*check.auth.values(), *(persona.auth.values() if persona is not None else ())]
    for entry in entries:
        if isinstance(entry, BearerAuth) and entry.capture is not None:
            yield entry.capture
    headers = list(check.headers.items())
    for step in check.steps:
        if isinstance(step, Step):
            headers += step.request.headers.items()
            yield from (one.name for one in step.captures if one.secret)
    for name, value in headers:
        if carries_credential(name):
            yield from names(value)


def _named_origins(run: Context) -> frozenset[Origin]:
    known = run.values.uncaptured()
    origins = set()
    templates = [step.request.url for step in run.check.steps if isinstance(step, Step)]
    for template in [*templates, *run.logins()]:
        try:
            origins.add(origin_of(parsed(clean_url(_until_path(known, template)))))
        except (Missing, BadUrl):
            continue  # depends on what a server said: names nothing by itself
    return frozenset(origins)


def _until_path(known: Values, template: str) -> str:
    """A template's scheme and authority filled in: captures may still stand in its path."""
    scheme, separator, rest = template.partition("://")
    if not separator:  # begins with a value that holds scheme and authority
        head, brace, _ = template.partition("}")
        return known.fill(head + brace)
    return known.fill_url(f"{scheme}://{rest.partition('/')[0].partition('?')[0]}")
