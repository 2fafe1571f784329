"""Where each credential of a flow may go: bound to hosts, whatever lists and servers say.

A credential goes to the hosts that its ``hosts`` name. Without them it goes to the origins that the
configuration itself spells out in the URLs that use it: filled in from its own values, not from
labels, targets of lists that others write, or captures.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from probe.auth.signers import StaticAuth
from probe.auth.store import Login
from probe.auth.values import NoValue, Unsafe, Values, names_in, walk
from probe.http.url import BadUrl, Origin, origin_at
from probe.model.flow import ApiCheck, Step
from probe.model.secret import SecretRef
from probe.net.names import belongs_to


@dataclass(frozen=True, slots=True)
class Bond:
    """Where a credential may go.

    Attributes:
        name: of the auth entry; empty for other secrets of the check.
        hosts: patterns of names, at any port.
        places: templates of URLs up to their path; what the configuration alone fills in counts.
        shown: whether it is a client certificate, which leaves in TLS handshakes alone.
    """

    name: str
    hosts: tuple[str, ...]
    places: tuple[str, ...]
    shown: bool = False


class Spelled:
    """What the configuration itself spells out in one run.

    Args:
        given: returns the values that the configuration itself writes; most runs never ask.
        places: templates of all URLs, up to their path.
    """

    def __init__(self, given: Callable[[], Mapping[str, str]], places: tuple[str, ...]) -> None:
        self._given = given
        self._places = places
        self._found: dict[tuple[str, ...], frozenset[Origin]] = {}

    def permits(self, bond: Bond, origin: Origin) -> bool:
        """Tell whether a credential may go to an origin."""
        named = belongs_to(origin.host.strip("[]"), bond.hosts)
        return named or origin in self._origins(bond.places)

    def writes(self, host: str) -> bool:
        """Tell whether the configuration itself spells out a host."""
        return any(origin.host == host for origin in self._origins(self._places))

    def calls(self, host: str, port: int) -> bool:
        """Tell whether the configuration itself spells out a host with this port."""
        return any(
            (origin.host, origin.port) == (host, port) for origin in self._origins(self._places)
        )

    def _origins(self, places: tuple[str, ...]) -> frozenset[Origin]:
        if places not in self._found:
            self._found[places] = frozenset(self._spelled(places))
        return self._found[places]

    def _spelled(self, places: Iterable[str]) -> Iterator[Origin]:
        values = Values(self._given())
        for place in places:
            try:
                yield _origin(values.fill_url(place))
            except (NoValue, Unsafe, BadUrl):
                continue  # others give a part of it: names nothing by itself


_origin = functools.lru_cache(maxsize=4096)(origin_at)


def bonds_of(
    check: ApiCheck,
    entries: Mapping[str, Login | StaticAuth | None],
    calls: list[Step],
    lent: Mapping[str, tuple[str, ...]],
    secret: frozenset[str],
    own: Bond,
) -> Iterator[tuple[str, tuple[Bond, ...]]]:
    """Yield where each call's credentials may go, under the name of its step or login."""
    always = () if check.client_certificate is None else (replace(own, shown=True),)
    users: dict[str, list[Step]] = {}
    for step in calls:
        for name in {*([] if step.auth is None else [step.auth]), *lent[step.name]}:
            users.setdefault(name, []).append(step)
    bonds: dict[str, Bond] = {}
    for name, entry in entries.items():
        if entry is None:
            continue
        hosts = entry.hosts or check.hosts
        spelled = () if hosts else tuple(places_of(check, users.get(name, ())))
        bonds[name] = Bond(name, hosts, spelled)
        if isinstance(entry, Login):
            yield name, (Bond(name, hosts, (until_path(entry.url),)), *always)
    for step in calls:
        used = [bonds[name] for name in (step.auth, *lent[step.name]) if name in bonds]
        if _holds_secret(step, secret):
            used.append(own)
        yield step.name, (*dict.fromkeys(used), *always)


def _holds_secret(step: Step, secret: frozenset[str]) -> bool:
    """Tell whether a step's own text holds a secret, or a capture that is one."""
    found: list[SecretRef] = []
    walk(step.request, str, found.append)
    return bool(found) or not secret.isdisjoint(names_in(step.request))


def places_of(check: ApiCheck, calls: Iterable[Step]) -> Iterator[str]:
    """Yield what their URLs, and their Host headers, say before the path."""
    for step in calls:
        yield until_path(step.request.url)
        for name, value in {**check.headers, **step.request.headers}.items():
            if name.lower() == "host":
                yield f"https://{value}"


def until_path(template: str) -> str:
    """Cut a URL template after its authority: captures may still stand in its path."""
    scheme, separator, rest = template.partition("://")
    if not separator:  # begins with a value that holds scheme and authority
        head, brace, _ = template.partition("}")
        return head + brace
    return f"{scheme}://{rest.partition('/')[0].partition('?')[0]}"
