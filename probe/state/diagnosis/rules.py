"""The rules of a diagnosis, in the order in which they are asked. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from probe.model.state import Diagnosis
from probe.state.diagnosis.evidence import EXCLUDED, UNLIKELY, Mark, Pattern, Role, View

EDGE = "edge"
ROUTER = "router"
LOGIN = "login"
TOKEN = "token"  # noqa: S105 - a layer, not a password
AUTHORIZATION = "authorization"
BACKEND = "backend"
INCONCLUSIVE = "inconclusive"
EITHER = "authorization or backend"
"""Authorized calls fail, and what they share cannot be told from what serves them."""
RATE_LIMIT = "rate limit"
"""Calls are answered with 429: no layer failed, and none was reached."""

Rule = Callable[[Pattern], Diagnosis | None]


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
    silent = tuple(_NOTHING)
    if _all(control, silent) and _none_but(authorized, silent):
        return _blame(ROUTER, pattern, "the control call and all others get 502-504 or nothing")
    if _all(deny, silent) and _all(authorized, silent):
        return _blame(ROUTER, pattern, "calls with and without credentials get 502-504 or nothing")
    if not control and not deny and _all(authorized, silent) and len(_backends(authorized)) > 1:
        return _blame(ROUTER, pattern, "all backends get 502-504 or nothing")
    broken = (*silent, Mark.ERROR, Mark.PAGE)
    if _all(control, broken) and _none_but(deny, broken) and _all(authorized, broken):
        return _blame(ROUTER, pattern, "every call fails, with authorization or without")
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
    failing = [view for view in authorized if view.failing]
    if _all(failing, (Mark.UNAUTHORIZED,)) and len(_backends(failing)) > 1:
        return _blame(TOKEN, pattern, "good tokens get a 401 on several backends", failing)
    return None


def limited(pattern: Pattern) -> Diagnosis | None:
    """Somebody counts our calls: what lies behind was not asked."""
    failing = pattern.failing
    if not failing or any(view.kind is not Mark.LIMITED for view in failing):
        return None
    hosts = _backends(failing)
    why = f"{', '.join(hosts)} limits the rate of calls; the service behind it was not reached"
    return _blame(RATE_LIMIT, pattern, why, failing, hosts[0] if len(hosts) == 1 else "")


_NOTHING = frozenset({Mark.GATEWAY, Mark.SILENT})
_DENIALS = frozenset({Mark.ERROR, Mark.FORBIDDEN, Mark.UNAUTHORIZED, *_NOTHING})


def authorization(pattern: Pattern) -> Diagnosis | None:
    """Authorized calls fail whatever serves them, and all that they share with others works."""
    authorized = pattern.of(Role.AUTHORIZED)
    failing = [v for v in authorized if v.failing and v.kind is not Mark.LIMITED]
    if not failing or not all(view.kind in _DENIALS for view in failing):
        return None
    if pattern.fails(Role.CONTROL):
        return _deep(pattern, authorized, failing)
    if all(view.kind in _NOTHING for view in failing):
        return _unreached(pattern, authorized, failing)
    if not any(view.kind in {Mark.ERROR, Mark.FORBIDDEN} for view in failing):
        return None
    hosts = _backends(failing)
    decided = all(view.kind is Mark.FORBIDDEN for view in failing)
    whole = len(failing) == len(authorized) and all(v.failures == v.ran for v in failing)
    if len(hosts) > 1 or (whole and (decided or len(authorized) > 1)):
        why = f"authorized calls fail on {', '.join(hosts)}, while {_working(pattern)}"
        return _blame(AUTHORIZATION, pattern, why, failing)
    if not all(view.layer in {AUTHORIZATION, BACKEND} for view in failing):
        return None
    unclear = _unclear(authorized, failing)
    if unclear and decided:
        return _blame(AUTHORIZATION, pattern, "authorized calls are refused", failing)
    return _blame(EITHER, pattern, unclear, failing, hosts[0]) if unclear else None


def _deep(pattern: Pattern, authorized: tuple[View, ...], failing: list[View]) -> Diagnosis | None:
    """The control call is served by the platform too: a deep failure takes it along."""
    deny = pattern.of(Role.DENY)
    denies = bool(deny) and not pattern.fails(Role.DENY)
    whole = _all(pattern.of(Role.CONTROL), (Mark.ERROR,)) and len(failing) == len(authorized)
    if not (denies and whole and pattern.of(Role.LOGIN)):
        return None
    return _blame(
        AUTHORIZATION, pattern, "calls fail, while logins work and unauthorized calls are refused"
    )


def _unreached(
    pattern: Pattern, authorized: tuple[View, ...], failing: list[View]
) -> Diagnosis | None:
    """Authorized calls get 502-504 or nothing, and the control call does not.

    A 502 to 504 is said by whoever waits for what lies behind. Where strangers are still refused,
    authorization decides, and it is the backends that do not answer. Silence says less.
    """
    several, all_of_them = len(_backends(failing)) > 1, len(failing) == len(authorized)
    if not several and not all_of_them:
        return None
    hosts = _backends(failing)
    host = "" if several else hosts[0]
    if any(view.kind is Mark.GATEWAY for view in failing):
        if pattern.of(Role.DENY) and not pattern.fails(Role.DENY):
            why = f"{', '.join(hosts)} give 502-504 or nothing, while {_working(pattern)}"
            return _blame(BACKEND, pattern, why, failing, host)
        why = "no answer comes from behind authorization, and no call shows whether it works"
        return _blame(EITHER, pattern, why, failing, host)
    if several and all_of_them:
        why = f"authorized calls get no answer on {', '.join(hosts)}, while {_working(pattern)}"
        return _blame(AUTHORIZATION, pattern, why, failing)
    return None


def _unclear(authorized: tuple[View, ...], failing: list[View]) -> str:
    """Why failures on one backend may as well be of what all authorized calls share.

    Empty when they are the backend's own.
    """
    host = failing[0].backend
    elsewhere = sum(view.ran for view in authorized if view.backend != host)
    cut = all(view.failures == view.ran for view in failing)
    here = [view for view in authorized if view.backend == host]
    failures, ran = sum(view.failures for view in here), sum(view.ran for view in here)
    if elsewhere:
        # Would the other backends have been spared by luck?
        if cut or (1.0 - failures / ran) ** elsewhere < EXCLUDED:
            return ""
        return f"some calls fail; too few went to other hosts to tell whether only {host} fails"
    if cut and len(failing) == 1:
        # Would the failures have met one and the same step by luck?
        rate = failures / ran
        if len(here) * rate**failures * (1.0 - rate) ** (ran - failures) < UNLIKELY:
            return ""
    return f"all authorized calls go to {host}: its faults look like those of authorization"


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
    failing = [view for view in pattern.failing if view.kind is not Mark.LIMITED]
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
    limited,
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
