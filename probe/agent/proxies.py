"""Proxies that the environment names for other programs: probes go past them, and say so.

A probe measures the way to each edge. Through a proxy it would measure the proxy's, so none is
used; on a host from which only a proxy leads out this must not look like a target's fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from probe.model.flow import ApiCheck, Step
from probe.model.spec import Spec
from probe.model.template import UnknownName, parse


class Proxies:
    """The variables that curl and browsers read: ``https_proxy``, ``no_proxy`` and so on.

    Args:
        environ: of this process.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        named = {name.lower(): name for name, value in environ.items() if value.strip()}
        self._names = {
            scheme: named.get(f"{scheme}_proxy", named.get("all_proxy"))
            for scheme in ("http", "https")
        }
        without = environ.get(named.get("no_proxy", ""), "")
        self._without = [one.strip().lower() for one in without.split(",")]

    def variable(self, scheme: str, host: str) -> str | None:
        """Return the variable that names a proxy for a host; None where no proxy is meant for it.

        Args:
            scheme: ``http`` or ``https``.
            host: empty when it is not known; then no exception holds for it.
        """
        return None if _excepted(host.lower(), self._without) else self._names.get(scheme)

    def ignored(self, spec: Spec) -> str | None:
        """Return a variable that names a proxy for something that is probed; None without one."""
        if not any(self._names.values()):
            return None
        found = (self.variable(scheme, host) for scheme, host in _called(spec))
        return next((name for name in found if name is not None), None)


def _excepted(host: str, without: Iterable[str]) -> bool:
    """Whether ``no_proxy`` names a host, a domain or network of it, or everything."""
    for one in without:
        name = one.removeprefix("*").removeprefix(".")
        if one == "*" or (name and (host == name or host.endswith(f".{name}"))):
            return True
        try:
            if ip_address(host) in ip_network(one, strict=False):
                return True
        except ValueError:  # a name on one side
            continue
    return False


def _called(spec: Spec) -> Iterator[tuple[str, str]]:
    """Yield scheme and host of what is probed. The host is empty where only the run knows it."""
    for check in spec.checks:
        if not isinstance(check, ApiCheck):
            yield "https", ""
            continue
        for step in check.steps:
            if isinstance(step, Step):
                try:
                    parts = urlsplit(parse(step.request.url).render(check.vars))
                    yield parts.scheme, parts.hostname or ""
                except (UnknownName, ValueError):
                    yield "https", ""
