"""Asks DNS for the addresses of all agents of a region.

Not the finder of edges: that one keeps addresses that rotate away, and bounds how many there are.
Here an address that DNS drops must go at once, and 500 are usual.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Literal

import trio

from probe.edges import dns
from probe.edges.question import Answer, NoAnswer, Question
from probe.edges.system import RESOLV_CONF, WatchedFile, parse_resolv_conf
from probe.model.spec import NameServer

_TIMEOUT = 2.0
_CNAMES = 4


class NoAddressError(ValueError):
    """What should be our own address is none."""


def peer_lookup(
    me: str, servers: tuple[NameServer, ...] = ()
) -> Callable[[str], Awaitable[frozenset[str] | str]]:
    """A function that finds peers.

    Args:
        me: our own address. Its family alone is asked for: in a cluster with both, each pod has
            an address of each, and would count twice.
        servers: whom to ask; empty asks the system's.

    Raises:
        NoAddressError: ``me`` is no address.
    """
    try:
        version: Literal[4, 6] = 4 if ip_address(me).version == 4 else 6
    except ValueError as error:
        raise NoAddressError(f"{me!r} is no IP address") from error
    system = WatchedFile(RESOLV_CONF, parse_resolv_conf)

    async def lookup(name: str) -> frozenset[str] | str:
        asked = servers or system.value(trio.current_time())
        found: set[str] = set()
        for _ in range(_CNAMES):
            outcome = await dns.ask(asked, Question(name, version), _TIMEOUT)
            match outcome:
                case NoAnswer(failure):
                    return failure.detail
                case Answer(addresses, partial=further):
                    found.update(addresses)
            if further is None:
                break
            name = further  # a CNAME that the server left to us
        return frozenset(found) or f"{name} has no addresses"

    return lookup
