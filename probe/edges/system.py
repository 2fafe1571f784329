"""What this host says about names and routes: resolv.conf, the hosts file, IPv6 routes."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Generic, TypeVar

from probe.documents.files import Stamp, stamp
from probe.model.failure import Reason
from probe.model.spec import NameServer
from probe.net.errors import reason_of

T = TypeVar("T")

HOSTS = Path("/etc/hosts")
RESOLV_CONF = Path("/etc/resolv.conf")


class WatchedFile(Generic[T]):
    """A small file, parsed again when it changed; looked at no more often than asked.

    A file that cannot be read counts as empty: both files are optional by their manual pages.
    """

    def __init__(self, path: Path, parse: Callable[[str], T], pause: float = 5.0) -> None:
        """Remember where to look; nothing is read yet.

        Args:
            path: the file.
            parse: text to value; must not raise.
            pause: seconds during which the file is not looked at again.
        """
        self._path = path
        self._parse = parse
        self._pause = pause
        self._next_look = float("-inf")
        self._stamp: Stamp | None = None
        self._value: T | None = None

    def value(self, now: float) -> T:
        """Return the parsed content as of the last look."""
        if self._value is not None and now < self._next_look:
            return self._value
        self._next_look = now + self._pause
        seen = stamp(self._path)
        if self._value is None or seen != self._stamp:
            self._stamp = seen
            self._value = self._parse(self._text())
        return self._value

    def _text(self) -> str:
        try:
            return self._path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""


def parse_hosts(text: str) -> Mapping[str, tuple[str, ...]]:
    """Read the names of a hosts file (hosts(5)), each with its addresses in order."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        fields = line.partition("#")[0].split()
        if len(fields) < 2 or (ip := canonical_ip(fields[0])) is None:
            continue
        for name in fields[1:]:
            addresses = found.setdefault(name.lower().rstrip("."), [])
            if ip not in addresses:
                addresses.append(ip)
    return {name: tuple(addresses) for name, addresses in found.items()}


@dataclass(frozen=True, slots=True)
class ResolvConf:
    """What a resolver configuration (resolv.conf(5)) says.

    Attributes:
        servers: the local one when none is named.
        search: domains in which names without a dot are tried.
    """

    servers: tuple[NameServer, ...]
    search: tuple[str, ...]


def parse_resolv_conf(text: str) -> ResolvConf:
    """Read name servers and search domains; of several lines with domains the last one holds."""
    servers: dict[NameServer, None] = {}
    search: list[str] = []
    for line in text.splitlines():
        keyword, *values = line.split() or [""]
        if keyword == "nameserver" and values and canonical_ip(values[0]) is not None:
            servers[NameServer(values[0])] = None
        elif keyword in ("search", "domain"):
            search = [one.strip(".").lower() for one in values if one.strip(".")]
    return ResolvConf(tuple(servers) or (NameServer("127.0.0.1"),), tuple(search))


@lru_cache(maxsize=4096)
def canonical_ip(text: str) -> str | None:
    """Bring an address, with or without a zone, to canonical form; None for anything else."""
    try:
        return str(ip_address(text))
    except ValueError:
        return None


def has_route(ip: str) -> bool:
    """Tell whether this host has a route to an IPv6 address.

    Connecting a UDP socket asks the kernel for a route and sends nothing, so loopback and
    on-link addresses count on a host that has no default route.
    """
    address, _, zone = ip.partition("%")
    try:
        interface = socket.if_nametoindex(zone) if zone else 0
    except OSError:
        return False
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9, 0, interface))
    except OSError as error:
        return reason_of(error.errno, at_once=True) is not Reason.NO_ROUTE
    return True
