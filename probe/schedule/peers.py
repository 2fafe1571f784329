"""Which of many agents of one region probe a target: rendezvous hashing over live peers. Pure.

Each target ranks all peers by a score that every agent computes alike, without talking. The first
of them always probes it; so do the next ones, as many as there are replicas, where those that
have a fifth more than the average already are passed over. Peers that then have a fifth less take
places beyond the first from those that have enough. That keeps what makes rendezvous hashing
sound, and bounds the load on both sides (with two replicas or more: first places know no bound):

- The first peer depends on nothing but the pair's score: when views of the peers differ for a
  moment, the foremost peer that lives probes the target as soon as it misses those before it.
- A peer that comes or goes moves its own share and, through the bound, little else.

Where ``shard`` divides among a fixed number of agents, this follows peers that come and go.
"""

from __future__ import annotations

import sys
from array import array
from bisect import insort
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from math import ceil

BOUND = 1.2
"""Most load of a peer beyond its first places, as a multiple of the average."""

LEAST = 0.8
"""Load below which a peer takes over from others, as a multiple of the average …"""

_ENOUGH = 0.9  # … that have more than this

_PASSED = 6  # peers beyond the replicas that are considered when others are full …
_SPARE = 9  # … and that are remembered, so that few leave a gap when peers go
_SLICE = 200
_BITS = 31
_MASK = (1 << _BITS) - 1

Rank = tuple[int, str]
"""Score, negated so that the foremost peer sorts first, and the peer."""


def digest(text: str) -> int:
    """31 bits of a name."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") & _MASK


def score(name: int, peer: int) -> int:
    """How much a target wants a peer, from the digests of both.

    Multiplicative hashing: the odd multiplier differs with each target, so that each target has
    its own order of the peers. 31 bits, because then a product fits into 62.
    """
    return ((name | 1) * peer) & _MASK


def foremost(name: str, peers: Iterable[str], count: int) -> tuple[str, ...]:
    """The peers that come first for one name, without any bound."""
    number = digest(name)
    ranked = sorted((-score(number, digest(peer)), peer) for peer in peers)
    return tuple(peer for _, peer in ranked[:count])


class Lanes:
    """All peers' digests in the lanes of one number, so that one multiplication scores them all.

    Python's own loop takes seconds for 20,000 targets and 500 peers; this a twentieth of it.

    Args:
        peers: digests by name.
    """

    def __init__(self, peers: Mapping[str, int]) -> None:
        self._names = sorted(peers, reverse=True)  # of equals, the first by name sorts last: wins
        self._values = self._packed(peers[name] for name in self._names)
        self._mask = self._packed([_MASK] * len(peers))
        self._places = self._packed(range(len(peers)))

    @staticmethod
    def _packed(values: Iterable[int]) -> int:
        return int.from_bytes(array("Q", values).tobytes(), sys.byteorder)

    def first(self, number: int, count: int) -> list[Rank]:
        """The foremost ``count`` peers for a target's digest."""
        size = len(self._names)
        # A product needs 62 of the 64 bits of its lane, so none runs over into the next.
        scores = (self._values * (number | 1)) & self._mask
        lanes = array("Q", ((scores << _BITS) + self._places).to_bytes(size * 8, sys.byteorder))
        # Scores are spread evenly: the best few lie above this, which spares sorting all.
        least = 0 if size < 64 else (_MASK - _MASK // size * count * 3) << _BITS
        best = [lane for lane in lanes if lane >= least]
        if len(best) < min(count, size):
            best = list(lanes)
        best.sort(reverse=True)
        return [(-(lane >> _BITS), self._names[lane & _MASK]) for lane in best[:count]]


class Ranking:
    """The foremost peers of every name of one list, kept as names and peers come and go.

    Args:
        replicas: how many peers probe a name.
    """

    def __init__(self, replicas: int) -> None:
        self._replicas = replicas
        self._peers: dict[str, int] = {}
        self._names: dict[str, int] = {}
        self._ranks: dict[str, list[Rank]] = {}
        self._lanes = Lanes({})

    @property
    def peers(self) -> frozenset[str]:
        """Every peer."""
        return frozenset(self._peers)

    def update(self, names: Iterable[str], peers: Iterable[str], replicas: int) -> Iterator[None]:
        """Follow the names, the peers and the number of replicas.

        The first ranking of 20,000 names among 500 peers takes seconds of one core, so this
        yields every few milliseconds; it is only whole when it is exhausted.
        """
        self._replicas = replicas
        wanted = dict.fromkeys(names)
        for name in [name for name in self._names if name not in wanted]:
            del self._names[name], self._ranks[name]
        yield from self._follow(set(peers))
        fresh = [name for name in wanted if name not in self._names]
        for place, name in enumerate(fresh):
            self._names[name] = digest(name)
            self._rank(name)
            if place % _SLICE == 0:
                yield

    def shares(self) -> dict[str, tuple[str, ...]]:
        """Who probes each name, foremost first."""
        shares: dict[str, tuple[str, ...]] = {}
        for _ in self.share_out(shares):
            pass
        return shares

    def share_out(self, shares: dict[str, tuple[str, ...]]) -> Iterator[None]:
        """Write who probes each name into an empty mapping; yields every few milliseconds.

        It is only whole when this is exhausted.
        """
        if not self._peers or not self._names:
            shares.update(dict.fromkeys(self._names, ()))
            return
        count = min(self._replicas, len(self._peers))
        average = len(self._names) * count / len(self._peers)
        least, enough, most = self._bounds(average)
        considered = self._replicas + _PASSED  # the same for every agent, however it got here
        load = dict.fromkeys(self._peers, 0)
        for ranks in self._ranks.values():
            load[ranks[0][1]] += 1
        # In an order that does not depend on the order in which names became known.
        order = sorted(self._names, key=lambda name: (self._names[name], name))
        ranked: dict[str, list[str]] = {}
        for place, name in enumerate(order):
            ranked[name] = [peer for _, peer in self._ranks[name][:considered]]
            shares[name] = self._choose(ranked[name], count, load, most)
            if place % _SLICE == 0:
                yield
        yield from self._even_out(shares, ranked, load, least, enough)

    def _bounds(
        self, average: float
    ) -> tuple[Mapping[str, int], Mapping[str, int], Mapping[str, int]]:
        """For each peer: the load to be had, the load that others may take from, the most.

        Each peer rounds at its own place. Else all bounds would change at once where the average
        passes a whole number, and one peer of 500 that goes would move a fifth of all places.
        """
        odds = {peer: number / (_MASK + 1) for peer, number in self._peers.items()}
        low, high = LEAST * average, BOUND * average
        return (
            {peer: max(ceil(low), int(low + 0.8 + odd)) for peer, odd in odds.items()},
            {peer: int(_ENOUGH * average + odd) for peer, odd in odds.items()},
            {
                peer: max(int(average + 1 + odd), min(int(high), int(high - 0.8 + odd)))
                for peer, odd in odds.items()
            },
        )

    def _even_out(
        self,
        shares: dict[str, tuple[str, ...]],
        ranked: Mapping[str, list[str]],
        load: dict[str, int],
        least: Mapping[str, int],
        enough: Mapping[str, int],
    ) -> Iterator[None]:
        """Give those that have too little a place that they come close to."""
        poor = {peer for peer, own in load.items() if own < least[peer]}
        for place, (name, (first, *others)) in enumerate(shares.items()):
            if not poor:
                return
            if place % _SLICE == 0:
                yield
            for peer in ranked[name][1:] if others else ():
                rich = max(others, key=load.__getitem__)
                if peer not in poor or peer in others or load[rich] <= enough[rich]:
                    continue
                load[rich] -= 1
                load[peer] += 1
                others[others.index(rich)] = peer
                if load[peer] >= least[peer]:
                    poor.remove(peer)
            shares[name] = (first, *others)

    def _choose(
        self, ranked: list[str], count: int, load: dict[str, int], most: Mapping[str, int]
    ) -> tuple[str, ...]:
        chosen = [ranked[0]]
        for peer in ranked[1:]:
            if len(chosen) == count:
                break
            if load[peer] < most[peer]:
                chosen.append(peer)
                load[peer] += 1
        for peer in ranked[1:] if len(chosen) < count else ():
            if len(chosen) < count and peer not in chosen:  # all of them are full
                chosen.append(peer)
                load[peer] += 1
        return tuple(chosen)

    def _follow(self, peers: set[str]) -> Iterator[None]:
        gone = self._peers.keys() - peers
        for peer in gone:
            del self._peers[peer]
        fresh = {peer: digest(peer) for peer in sorted(peers - self._peers.keys())}
        known = len(self._peers)
        self._peers |= fresh
        self._lanes = Lanes(self._peers)
        for place, name in enumerate(list(self._names)):
            ranks = self._ranks[name] = [r for r in self._ranks[name] if r[1] not in gone]
            whole = len(ranks) == known  # every peer is in it, not only the foremost
            if len(ranks) < min(known, self._replicas + _PASSED) or len(fresh) > known:
                self._rank(name)
            else:
                self._insert(name, ranks, fresh, whole)
            if place % _SLICE == 0:
                yield

    def _insert(self, name: str, ranks: list[Rank], fresh: dict[str, int], whole: bool) -> None:
        """New peers among those known; behind the last one known, others may stand before."""
        number = self._names[name]
        for peer, value in fresh.items():
            rank = (-score(number, value), peer)
            if whole or rank < ranks[-1]:
                insort(ranks, rank)
        del ranks[self._replicas + _SPARE :]

    def _rank(self, name: str) -> None:
        self._ranks[name] = self._lanes.first(self._names[name], self._replicas + _SPARE)
