"""Which layer to blame for a flow's failures: pure, by rules that are asked in order.

The idea is the differential: calls that share everything but one layer tell that layer from the
others. A control call without credentials tells the router, a call that must be refused tells
whether authorization still decides, a login tells the identity service, and authorized calls to
several backends tell what they have in common from what each has alone.

The last `WINDOW` runs are looked at together, because an outage may hit only a part of the
calls: one run then shows a random half of the picture. Blame needs a failure in the latest run,
or failures of that partial kind in two runs before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from probe.model.flow import ApiCheck, Persona
from probe.model.result import Failed, FlowResult, Inconclusive
from probe.model.state import Diagnosis
from probe.state.marks import Mark, Role
from probe.state.pattern import EXCLUDED, Pattern, View, failing_runs, lingers, observe

WINDOW = 3
"""Runs that are looked at together."""

EDGE = "edge"
ROUTER = "router"
LOGIN = "login"
TOKEN = "token"  # noqa: S105 - a layer, not a password
AUTHORIZATION = "authorization"
BACKEND = "backend"
INCONCLUSIVE = "inconclusive"

Rule = Callable[[Pattern], Diagnosis | None]


def diagnose(check: ApiCheck, persona: Persona | None, runs: Sequence[FlowResult]) -> Diagnosis:
    """Name the layer to blame.

    Args:
        check: the flow as configured: roles, layers, backends.
        persona: who ran it; None for the check's own credentials.
        runs: its latest runs, oldest first; only the last `WINDOW` count. Of one `FlowKey`.
    """
    window = runs[-WINDOW:]
    if not window:
        return Diagnosis()
    if not any(isinstance(step.outcome, Failed) for run in window for step in run.steps):
        return _ours(window[-1])  # nearly every run: only failures make marks that rules ask for
    since, latest = observe(check, persona, window)
    if not latest.failing and not (
        failing_runs(check, persona, window) > 1 and lingers(since, latest)
    ):
        return _ours(window[-1])
    for rule in RULES:
        found = rule(since)
        if found is not None:
            return found
    return _ours(window[-1])


def _ours(run: FlowResult) -> Diagnosis:
    """Nothing failed: healthy, unless the fault is ours."""
    for step in run.steps:
        if isinstance(step.outcome, Inconclusive):
            why = f"{step.step}: {step.outcome.failure.reason}"
            return Diagnosis(INCONCLUSIVE, f"nothing can be said, the fault is ours: {why}")
    if isinstance(run.outcome, Inconclusive):
        return Diagnosis(INCONCLUSIVE, f"nothing can be said: {run.outcome.failure.detail}")
    return Diagnosis()


# ------------------------------------------------------------------ the rules, in order


def fails_open(pattern: Pattern) -> Diagnosis | None:
    """A call that must be refused succeeded: nothing else matters as much."""
    open_now = [view for view in pattern.views if Mark.OPEN in view.now]
    if not open_now:
        return None
    why = f"{_names(open_now)} succeeded although it must be refused"
    return Diagnosis(AUTHORIZATION, why, _steps(open_now), fails_open=True)


def edge(pattern: Pattern) -> Diagnosis | None:
    """DNS, TCP or TLS fails: no layer behind it was reached."""
    cut = [v for v in pattern.failing if Mark.WAY in v.now]
    if not cut:
        older = pattern.failing
        quiet = not any(view.failing_now for view in older)
        cut = [view for view in older if quiet and view.kind is Mark.WAY]
    if not cut:
        return None
    hosts = _backends(cut)
    why = f"{_names(cut)} did not get through to {', '.join(hosts)}"
    return Diagnosis(EDGE, why, _steps(cut), backend=hosts[0] if len(hosts) == 1 else "")


def router(pattern: Pattern) -> Diagnosis | None:
    """Calls that need no credentials fail like those that carry them: they share the router."""
    control, deny = pattern.of(Role.CONTROL), pattern.of(Role.DENY)
    authorized = pattern.of(Role.AUTHORIZED)
    silent = (Mark.GATEWAY,)
    if _all(control, silent) and _none_but(authorized, silent):
        return _blame(ROUTER, pattern, "the control call and all others get 502-504 or nothing")
    if _all(deny, silent) and _all(authorized, silent):
        return _blame(ROUTER, pattern, "calls with and without credentials get 502-504 or nothing")
    if not control and not deny and _all(authorized, silent) and len(_backends(authorized)) > 1:
        return _blame(ROUTER, pattern, "all backends get 502-504 or nothing")
    broken = (Mark.GATEWAY, Mark.ERROR)
    if _all(control, broken) and _none_but(deny, broken) and _all(authorized, broken):
        return _blame(ROUTER, pattern, "every call fails, also those that nothing must authorize")
    return None


def login(pattern: Pattern) -> Diagnosis | None:
    """The login fails; whether kept tokens still work is in the words."""
    if not pattern.fails(Role.LOGIN) or pattern.fails(Role.CONTROL):
        return None
    authorized = pattern.of(Role.AUTHORIZED)
    working = bool(authorized) and not pattern.fails(Role.AUTHORIZED)
    more = ", while calls with a kept token pass" if working else ""
    return _blame(LOGIN, pattern, f"the login fails{more}", pattern.of(Role.LOGIN))


def token(pattern: Pattern) -> Diagnosis | None:
    """The login gives a token, and nobody takes it."""
    if pattern.fails(Role.CONTROL):
        return None
    if pattern.fails(Role.TOKEN):
        return _blame(TOKEN, pattern, "the token's validation fails", pattern.of(Role.TOKEN))
    authorized = pattern.of(Role.AUTHORIZED)
    if _all(authorized, (Mark.UNAUTHORIZED,)):
        return _blame(TOKEN, pattern, "every call with a good token gets a 401", authorized)
    return None


_DENIALS = frozenset({Mark.ERROR, Mark.FORBIDDEN, Mark.UNAUTHORIZED, Mark.GATEWAY})


def authorization(pattern: Pattern) -> Diagnosis | None:
    """Authorized calls fail whatever serves them, and all that they share with others works."""
    authorized = pattern.of(Role.AUTHORIZED)
    failing = [view for view in authorized if view.failing]
    if not failing or not all(view.kind in _DENIALS for view in failing):
        return None
    if not any(view.kind in {Mark.ERROR, Mark.FORBIDDEN} for view in failing) and (
        len(failing) < len(authorized)
    ):
        return None
    control = pattern.of(Role.CONTROL)
    if any(view.failing for view in control):
        # The control call is served by the platform too: a deep failure takes it along.
        deny = pattern.of(Role.DENY)
        denies = bool(deny) and not any(view.failing for view in deny)
        deep = _all(control, (Mark.ERROR,)) and len(failing) == len(authorized)
        if not (denies and deep and pattern.of(Role.LOGIN)):
            return None
        return _blame(
            AUTHORIZATION, pattern, "calls fail, while tokens are issued and strangers refused"
        )
    if not _shared(authorized, failing):
        return None
    hosts = ", ".join(_backends(failing))
    why = f"authorized calls fail on {hosts}, while {_working(pattern)}"
    return _blame(AUTHORIZATION, pattern, why, failing)


def _shared(authorized: tuple[View, ...], failing: list[View]) -> bool:
    """Whether the failures are of what all authorized calls share, not of one backend."""
    if len(_backends(failing)) > 1:
        return True
    if len(failing) == len(authorized):
        return len(authorized) > 1 or failing[0].kind is Mark.FORBIDDEN
    if all(view.failures == view.ran for view in failing):
        return False  # these always fail and the others never: a clean cut
    # A part of the calls fails. Would the other backends have been spared by luck?
    here = [view for view in authorized if view.backend == failing[0].backend]
    rate = sum(view.failures for view in here) / sum(view.ran for view in here)
    elsewhere = sum(view.ran for view in authorized if view.backend != failing[0].backend)
    return elsewhere > 0 and (1.0 - rate) ** elsewhere >= EXCLUDED


def backend(pattern: Pattern) -> Diagnosis | None:
    """One host's or one step's authorized calls fail, and others pass."""
    authorized = pattern.of(Role.AUTHORIZED)
    failing = [view for view in pattern.failing if view.failing]
    if not failing or any(view.role is not Role.AUTHORIZED for view in failing):
        return None
    hosts = _backends(failing)
    ordinary = all(view.layer in {AUTHORIZATION, BACKEND} for view in failing)
    if len(hosts) != 1 or len(failing) == len(authorized) or not ordinary:
        return None
    why = f"only {_names(failing)} fails, served by {hosts[0]}"
    return _blame(BACKEND, pattern, why, failing, hosts[0])


def outermost(pattern: Pattern) -> Diagnosis | None:
    """No pattern is known for this: the outermost declared layer that fails."""
    failing = pattern.failing
    if not failing:
        return None
    order = {layer: place for place, layer in enumerate(pattern.check.layers)}
    first = min(failing, key=lambda view: order.get(view.layer, len(order)))
    same = [view for view in failing if view.layer == first.layer]
    hosts = _backends(same)
    alone = hosts[0] if len(hosts) == 1 else ""
    why = f"{_names(same)} fails: the outermost layer with a failure"
    return _blame(first.layer, pattern, why, same, alone)


RULES: tuple[Rule, ...] = (
    fails_open,
    edge,
    router,
    login,
    token,
    authorization,
    backend,
    outermost,
)


# ------------------------------------------------------------------ words


def _blame(
    layer: str,
    pattern: Pattern,
    why: str,
    views: Sequence[View] | None = None,
    host: str = "",
) -> Diagnosis:
    shown = pattern.failing if views is None else tuple(v for v in views if v.failing)
    failures, ran = sum(v.failures for v in shown), sum(v.ran for v in shown)
    over = f" in {pattern.runs} runs" if pattern.runs > 1 else ""
    kinds = " and ".join(dict.fromkeys(view.kind.value for view in shown))
    words = f"{why}; {failures} of {ran} calls of {_names(shown)} {kinds}{over}"
    return Diagnosis(layer, words, _steps(shown), backend=host)


def _working(pattern: Pattern) -> str:
    """What is known to work, in words."""
    passing = [
        view.step
        for role in (Role.CONTROL, Role.DENY, Role.LOGIN, Role.TOKEN)
        for view in pattern.of(role)
        if not view.failing
    ]
    return f"{', '.join(passing)} pass" if passing else "nothing else was asked"


def _all(views: Sequence[View], kinds: tuple[Mark, ...]) -> bool:
    """There are such steps, and each failed in one of these ways."""
    return bool(views) and _none_but(views, kinds)


def _none_but(views: Sequence[View], kinds: tuple[Mark, ...]) -> bool:
    """Each failed in one of these ways, if there are any."""
    return all(view.kind in kinds for view in views)


def _backends(views: Sequence[View]) -> list[str]:
    return list(dict.fromkeys(view.backend for view in views))


def _names(views: Sequence[View]) -> str:
    return ", ".join(view.step for view in views)


def _steps(views: Sequence[View]) -> tuple[str, ...]:
    return tuple(view.step for view in views)
