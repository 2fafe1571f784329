"""The agents of one region divide the targets: who lives, what is ours, what we still hold.

Peers are the addresses behind a DNS name, such as a headless Service of Kubernetes. Three rules
keep every target probed while views differ:

- What is no longer ours is probed for two more looks: by then whoever it went to has seen the
  same peers and begun.
- While peers cannot be seen, those last seen stay, and each target gets more replicas, one at
  once and one for each minute. An agent that never saw any probes everything.
- We are always among the peers, whatever DNS says.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping

import trio

from probe.agent.log import EventLog
from probe.model.spec import Share
from probe.model.target import Target
from probe.schedule.peers import Ranking, foremost
from probe.serve.memory.agent_metrics import AgentMetrics

Lookup = Callable[[str], Awaitable[frozenset[str] | str]]
"""Every address behind a name, or why there is none to be had."""

LINGER = 2
"""Looks for which a lost target is still probed."""


class Sharing:
    """Keeps each list's share up to date.

    Args:
        share: the name, the replicas, the time between looks.
        me: our own address, as DNS gives it.
        lookup: asks DNS.
        deliver: told the targets of a list that are ours, whenever they change.
        on_peers: told when the peers changed, after the lists.
        log: one line when peers come, go or cannot be seen.
        metrics: told the same in numbers.
    """

    def __init__(
        self,
        share: Share,
        me: str,
        lookup: Lookup,
        deliver: Callable[[str, tuple[Target, ...]], None],
        on_peers: Callable[[], None],
        log: EventLog,
        metrics: AgentMetrics,
    ) -> None:
        self._share = share
        self._me = me
        self._lookup = lookup
        self._deliver = deliver
        self._on_peers = on_peers
        self._log = log
        self._metrics = metrics
        self._peers: frozenset[str] = frozenset({me})
        self._replicas = share.replicas
        self._blind_since: float | None = None
        self._lists: dict[str, _List] = {}
        self._changed: dict[str, None] = {}  # first come, first served
        self._news = trio.Event()
        self._before: tuple[frozenset[str], int, float] = (self._peers, 0, float("-inf"))

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Look at the peers until cancelled; started once the first look is over."""
        again = bool(self._lists)
        for known in self._lists.values():
            known.ranking = Ranking(self._replicas)  # a crash may have left it half done
        self._changed |= dict.fromkeys(self._lists)
        await self._look()
        if not again:
            self._before = (self._peers, 0, float("-inf"))  # there was no share to lose
        task_status.started()
        while True:
            next_look = trio.current_time() + self._share.refresh
            while trio.current_time() < next_look:
                await self._settle()
                with trio.move_on_at(next_look):
                    await self._news.wait()
            changed = await self._look() or again
            if changed:
                self._changed |= dict.fromkeys(self._lists)
                await self._settle()
            if self._let_go() or changed:
                self._on_peers()
            again = False

    def set_targets(self, name: str, targets: tuple[Target, ...]) -> None:
        """A list as discovered; our share of it is delivered soon."""
        known = self._lists.setdefault(name, _List(Ranking(self._replicas)))
        known.targets = {target.label: target for target in targets}
        self._changed[name] = None
        self._news.set()
        self._news = trio.Event()

    def forget_lists(self, names: Iterable[str]) -> None:
        """Keep only the lists of these names."""
        for name in self._lists.keys() - set(names):
            del self._lists[name]
            self._changed.pop(name, None)

    def owns(self, name: str) -> bool:
        """Whether something that is in no list is probed here."""
        if self._me in foremost(name, self._peers, self._replicas):
            return True
        peers, replicas, until = self._before
        return trio.current_time() < until and self._me in foremost(name, peers, replicas)

    # ------------------------------------------------------------ inside

    async def _look(self) -> bool:
        """Ask DNS; whether peers or replicas are others than before."""
        before = (self._peers, self._replicas)
        found = await self._lookup(self._share.peers)
        now = trio.current_time()
        if isinstance(found, str):
            if self._blind_since is None:
                self._blind_since = now
                self._log.warning("peers cannot be seen", problem=found, peers=len(self._peers))
            blind = int((now - self._blind_since) / 60)
            self._replicas = self._share.replicas + 1 + blind
        else:
            if self._blind_since is not None:
                self._blind_since = None
                self._log.info("peers are seen again", peers=len(found | {self._me}))
            self._peers = found | {self._me}
            self._replicas = self._share.replicas
        self._metrics.shared(
            peers=len(self._peers), up=self._blind_since is None, replicas=self._replicas
        )
        if before == (self._peers, self._replicas):
            return False
        self._before = (*before, now + LINGER * self._share.refresh)
        if before[0] != self._peers:
            self._log.info("peers changed", peers=len(self._peers), before=len(before[0]))
        return True

    async def _settle(self) -> None:
        """Work out our share of every list that changed, a few milliseconds at a time."""
        while self._changed:
            name = next(iter(self._changed))
            del self._changed[name]
            known = self._lists[name]
            for _ in known.ranking.update(list(known.targets), self._peers, self._replicas):
                await trio.lowlevel.checkpoint()
            shares: dict[str, tuple[str, ...]] = {}
            for _ in known.ranking.share_out(shares):
                await trio.lowlevel.checkpoint()
            if name not in self._lists or name in self._changed:
                continue  # it went, or changed once more meanwhile
            ours = {label for label, peers in shares.items() if self._me in peers}
            until = trio.current_time() + LINGER * self._share.refresh
            known.turn(ours, until)
            self._tell(name, known)

    def _let_go(self) -> bool:
        """Stop probing what others have had for long enough; whether something may be over."""
        now = trio.current_time()
        for name, known in self._lists.items():
            if known.let_go(now):
                self._tell(name, known)
        peers, replicas, until = self._before
        over = until <= now and replicas > 0
        if over:
            self._before = (peers, 0, until)
        return over

    def _tell(self, name: str, known: _List) -> None:
        targets = tuple(known.effective())
        self._metrics.share_of(name, len(targets))
        self._deliver(name, targets)


class _List:
    """A list of targets, and which of them are ours."""

    def __init__(self, ranking: Ranking) -> None:
        self.ranking = ranking
        self.targets: Mapping[str, Target] = {}
        self._ours: set[str] = set()
        self._held: dict[str, float] = {}

    def turn(self, ours: set[str], until: float) -> None:
        """A new share; what is lost is held until then."""
        for label in self._ours - ours:
            self._held[label] = until
        for label in [label for label in self._held if label in ours]:
            del self._held[label]
        self._ours = ours

    def let_go(self, now: float) -> bool:
        """Hold no longer what was held long enough; whether that was anything."""
        over = [label for label, until in self._held.items() if until <= now]
        for label in over:
            del self._held[label]
        return bool(over)

    def effective(self) -> list[Target]:
        """What is probed here, in the list's order."""
        return [
            target
            for label, target in self.targets.items()
            if label in self._ours or label in self._held
        ]
