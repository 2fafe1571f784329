"""The agents of one region divide the targets: who lives, what is ours, what we still hold.

Peers are the addresses behind a DNS name, such as a headless Service of Kubernetes. Three rules
keep every target probed while views differ:

- What is no longer ours is probed for two more looks: by then whoever it went to has seen the
  same peers and begun.
- While peers cannot be seen, those last seen stay, and each target gets more replicas, one at
  once and one for each minute. An agent that never saw any probes everything.
- We are always among the peers, whatever DNS says.

Who owns what is decided by the ring of ``probe.schedule``.

Looking the peers up is not the work of the finder of edges. That one keeps addresses that rotate
away, and bounds how many there are. Here an address that DNS drops must go at once, and 500 are
usual.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from ipaddress import ip_address
from typing import Literal

import trio

from probe.agent.jobs import UNLISTED
from probe.agent.log import EventLog
from probe.edges import client
from probe.edges.answers import DnsAnswer, DnsQuestion, NoAnswer
from probe.edges.system import RESOLV_CONF, WatchedFile, parse_resolv_conf
from probe.model.spec import NameServer, Share
from probe.model.target import Target
from probe.schedule import Ring
from probe.serve.series import families
from probe.serve.series.family import Sample

Lookup = Callable[[str], Awaitable[frozenset[str] | str]]
"""Every address behind a name, or why there is none to be had."""

LINGER = 2
"""Looks for which a lost target is still probed."""

_SLICE = 1000
"""Owners found on the ring between two turns of the event loop: about two milliseconds."""


class Sharing:
    """Keeps each list's share up to date.

    Args:
        share: the name, the replicas, the time between looks.
        me: our own address, as DNS gives it.
        lookup: asks DNS.
        set_our_targets: awaited with the targets of a list that are ours, whenever they change.
        log: one line when peers come, go or cannot be seen.
    """

    def __init__(
        self,
        share: Share,
        me: str,
        lookup: Lookup,
        set_our_targets: Callable[[str, tuple[Target, ...]], Awaitable[None]],
        log: EventLog,
    ) -> None:
        self._share = share
        self._me = me
        self._lookup = lookup
        self._set_our_targets = set_our_targets
        self._log = log
        self._ring = Ring({me})
        self._replicas = share.replicas
        self._blind_since: float | None = None
        self._looked = False
        self._lists: dict[str, _List] = {}
        self._changed: dict[str, None] = {}  # first come, first served
        self._news = trio.Event()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Look at the peers until cancelled; started once the first look is over."""
        self._changed |= dict.fromkeys(self._lists)  # a crash may have left one half done
        await self._look()
        task_status.started()
        while True:
            next_look = trio.current_time() + self._share.refresh
            while trio.current_time() < next_look:
                await self._settle()
                with trio.move_on_at(next_look):
                    await self._news.wait()
            if await self._look():
                self._changed |= dict.fromkeys(self._lists)
                await self._settle()
            await self._let_go()

    def set_targets(self, name: str, targets: tuple[Target, ...]) -> None:
        """Take a list as it was discovered. Our share of it is set soon."""
        known = self._lists.setdefault(name, _List())
        known.targets = {target.label: target for target in targets}
        self._changed[name] = None
        self._news.set()
        self._news = trio.Event()

    def forget_lists(self, names: Iterable[str]) -> None:
        """Keep only the lists of these names, and the flows that are in none."""
        for name in self._lists.keys() - {*names, UNLISTED}:
            del self._lists[name]
            self._changed.pop(name, None)

    def samples(self) -> Iterator[Sample]:
        """Yield the share as metrics, once it is known."""
        if self._looked:
            yield families.AGENT_SHARE_PEERS, float(len(self._ring.peers)), ()
            yield families.AGENT_SHARE_PEERS_UP, float(self._blind_since is None), ()
            yield families.AGENT_SHARE_REPLICAS, float(self._replicas), ()
        for name, known in self._lists.items():
            if name != UNLISTED and known.told is not None:
                yield families.AGENT_SHARE_TARGETS, float(known.told), (("list", name),)

    # ------------------------------------------------------------ inside

    async def _look(self) -> bool:
        """Ask DNS for the peers. Returns whether peers or replicas changed."""
        before = (self._ring.peers, self._replicas)
        found = await self._lookup(self._share.peers)
        if isinstance(found, str):
            peers, now = before[0], trio.current_time()
            if self._blind_since is None:
                self._blind_since = now
                self._log.warning("peers cannot be seen", problem=found, peers=len(peers))
            self._replicas = self._share.replicas + 1 + int((now - self._blind_since) / 60)
        else:
            peers = found | {self._me}
            if self._blind_since is not None:
                self._blind_since = None
                self._log.info("peers are seen again", peers=len(peers))
            self._replicas = self._share.replicas
        self._looked = True
        if before[0] != peers:
            self._log.info("peers changed", peers=len(peers), before=len(before[0]))
            for _ in (ring := Ring()).filled(peers):
                await trio.lowlevel.checkpoint()
            self._ring = ring
        return before != (peers, self._replicas)

    async def _settle(self) -> None:
        """Work out our share of every list that changed, a few milliseconds at a time."""
        while self._changed:
            name = next(iter(self._changed))
            del self._changed[name]
            known, ours = self._lists[name], set[str]()
            if self._replicas >= len(self._ring.peers):
                ours.update(known.targets)
            else:
                step = max(1, _SLICE // self._replicas)
                for place, label in enumerate(known.targets):
                    if place % step == 0:
                        await trio.lowlevel.checkpoint()
                    if self._me in self._ring.owners(label, self._replicas):
                        ours.add(label)
            if name not in self._lists or name in self._changed:
                continue  # it went, or changed once more meanwhile
            known.turn(ours, trio.current_time() + LINGER * self._share.refresh)
            await self._tell(name, known)

    async def _let_go(self) -> None:
        """Stop probing what others have had for long enough."""
        for name, known in list(self._lists.items()):
            if known.let_go(trio.current_time()):
                await self._tell(name, known)

    async def _tell(self, name: str, known: _List) -> None:
        targets = known.effective()
        known.told = len(targets)
        await self._set_our_targets(name, targets)


class _List:
    """A list of targets, and which of them are ours."""

    def __init__(self) -> None:
        self.targets: dict[str, Target] = {}
        self.told: int | None = None
        self._ours: set[str] = set()
        self._held: dict[str, float] = {}

    def turn(self, ours: set[str], until: float) -> None:
        """Take a new share, and hold what is lost until this time."""
        self._held |= dict.fromkeys(self._ours - ours, until)
        for label in self._held.keys() & ours:
            del self._held[label]
        self._ours = ours

    def let_go(self, now: float) -> bool:
        """Drop what was held for long enough. Returns whether there was anything."""
        over = [label for label, until in self._held.items() if until <= now]
        for label in over:
            del self._held[label]
        return bool(over)

    def effective(self) -> tuple[Target, ...]:
        """Return the targets that are probed here, in the list's order."""
        mine = self._ours | self._held.keys()
        return tuple(target for label, target in self.targets.items() if label in mine)


_TIMEOUT = 2.0
_CNAMES = 4


class NoAddressError(ValueError):
    """What should be our own address is none."""


def peer_lookup(
    me: str, servers: tuple[NameServer, ...] = ()
) -> Callable[[str], Awaitable[frozenset[str] | str]]:
    """Return a function that asks DNS for the addresses of all peers.

    Args:
        me: our own address. Its family alone is asked for: in a cluster with both, each pod has
            an address of each, and would count twice.
        servers: DNS servers to ask; empty asks the system's.

    Raises:
        NoAddressError: ``me`` is no address.
    """
    try:
        version: Literal[4, 6] = 4 if ip_address(me).version == 4 else 6
    except ValueError as error:
        raise NoAddressError(f"{me!r} is no IP address") from error
    system = WatchedFile(RESOLV_CONF, parse_resolv_conf)

    async def lookup(name: str) -> frozenset[str] | str:
        asked = servers or system.value(trio.current_time()).servers
        found: set[str] = set()
        for _ in range(_CNAMES):
            outcome = await client.ask(asked, DnsQuestion(name, version), _TIMEOUT)
            match outcome:
                case NoAnswer(failure):
                    return failure.detail
                case DnsAnswer(addresses, partial=further):
                    found.update(addresses)
            if further is None:
                break
            name = further  # a CNAME that the server left to us
        return frozenset(found) or f"{name} has no addresses"

    return lookup
