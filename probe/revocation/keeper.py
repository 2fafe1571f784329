"""Looks after the lists that served chains name: fetched when due, read, handed to the judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import trio

from probe.certificates import Judge, crl
from probe.certificates.crl import RevocationList, UnusableList
from probe.certificates.lists import RevocationLists
from probe.certificates.verdict import Finding, Verdict, clip
from probe.model.failure import Phase, Reason, defect
from probe.net.apart import once
from probe.net.child import Unanswered
from probe.revocation.fetch import Copy, NoCopy
from probe.revocation.shelf import Shelf
from probe.revocation.timing import MINUTE, after_failure, after_success

MOST_AT_ONCE = 4
"""Fetches under way."""

_READ_AT_ONCE = 16 * 1024
"""Bytes of a list that are read on the event loop: some 400 entries, in a few milliseconds."""

_LONGEST_READ = 30.0
"""Seconds, of CPU and by the clock, in which another process reads a list."""

_SWEEP_EVERY = 3600.0

_REFUSED, _NEW, _UNCHANGED, _FAILED = "unusable", "new", "unchanged", "failed"
OUTCOMES = (_NEW, _UNCHANGED, _FAILED, _REFUSED)
"""Of a look, as the counter names them."""


class Fetch(Protocol):
    """Asks a URL for its list; see `probe.revocation.fetch.ListFetcher.fetch`."""

    async def __call__(self, url: str, before: Copy | None, turn: int) -> Copy:
        """Return a copy, or raise `NoCopy`."""


@dataclass(slots=True)
class _Look:
    """What is done about one URL.

    Attributes:
        due: trio time of the next look.
        copy: what is asked next time, once a list could be used.
        failures: looks in a row that gave nothing usable.
        looked_at: trio time of the latest look.
        since: trio time since when it is wanted.
    """

    due: float
    copy: Copy | None = None
    failures: int = 0
    busy: bool = False
    begun: bool = False
    looked_at: float = float("-inf")
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class ListNews:
    """A list that went wrong, went wrong in another way, or is good again (``problem`` empty)."""

    url: str
    reason: str
    problem: str


class ListKeeper:
    """Looks after every list that the judge asks for.

    Args:
        lists: what the judge knows.
        fetch: asks a URL.
        wall: wall time, seconds since the epoch.
        shelf: copies on disk; None keeps none.
        tell: told when something changes.

    Attributes:
        on: whether lists are looked at.
        counts: looks by outcome, one of ``OUTCOMES``.
    """

    def __init__(
        self,
        lists: RevocationLists,
        fetch: Fetch,
        wall: Callable[[], float],
        shelf: Shelf | None = None,
        tell: Callable[[ListNews], object] = lambda _: None,
    ) -> None:
        self.lists = lists
        self.tell = tell
        self.on = True
        self.counts = Counter(dict.fromkeys(OUTCOMES, 0))
        self._fetch = fetch
        self._wall = wall
        self._shelf = shelf
        self._looks: dict[str, _Look] = {}
        self._told: dict[str, str] = {}
        self._woken = trio.Event()
        self._changed = trio.Event()
        self._limit = trio.CapacityLimiter(MOST_AT_ONCE)
        self._reading = trio.CapacityLimiter(1)
        lists.on_wanted = self._wanted

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Fetch until cancelled."""
        for look in self._looks.values():
            look.busy = False  # of a run before this one, which crashed
        swept = trio.current_time()
        async with trio.open_nursery() as nursery:
            task_status.started()
            while True:
                now = trio.current_time()
                if now >= swept + _SWEEP_EVERY:
                    swept = now
                    await self._sweep()
                for url, look in self._looks.items():
                    if look.due <= now and not look.busy:
                        look.busy = True
                        nursery.start_soon(self._look, url, look)
                due = [one.due for one in self._looks.values() if not one.busy]
                with trio.move_on_at(min([*due, swept + _SWEEP_EVERY])):
                    await self._woken.wait()
                self._woken = trio.Event()

    def switch(self, judge: Judge, *, on: bool) -> None:
        """Let a judge look at the lists, or at none. Those that are known are forgotten then."""
        self.on = on
        judge.lists = self.lists if on else None
        if not on:
            self.lists.forget()
            self._looks.clear()
            self._told.clear()

    async def settled(self, verdict: Verdict, patience: float) -> None:
        """Wait until every list of a verdict was looked at.

        A list that has been wanted for so many seconds is waited for no more, by nobody: thousands
        of edges may name one whose server hangs.
        """
        if not verdict.revocable:
            return
        watch = self.lists.watch(verdict.revocable)
        while self.lists.judged(watch, self._wall()).status == "pending":
            since = [self._looks[url].since for url in watch.urls if url in self._looks]
            if trio.current_time() >= (until := max(since, default=0.0) + patience):
                return
            with trio.move_on_at(until):
                await self._changed.wait()

    def _wanted(self, url: str) -> None:
        """Look at a URL as soon as it may be; one that was just looked at waits five minutes."""
        now = trio.current_time()
        look = self._looks.setdefault(url, _Look(now, since=now))
        look.due = min(look.due, max(now, look.looked_at + 5 * MINUTE))
        self._woken.set()

    async def _sweep(self) -> None:
        self.lists.sweep(self._wall())
        for url in self._looks.keys() - self.lists.known.keys():
            if not self._looks[url].busy:
                del self._looks[url]
                self._told.pop(url, None)
        if self._shelf is not None:
            await trio.to_thread.run_sync(self._shelf.sweep)

    async def _look(self, url: str, look: _Look) -> None:
        async with self._limit:
            try:
                outcome, wait = await self._looked(url, look)
            except Exception as error:  # whatever we did wrong costs one look
                words = str(defect(error, Phase.CERTIFICATE))
                outcome, wait = self._failed(url, look, Reason.CRL_UNAVAILABLE, words)
        self.counts[outcome] += 1
        now = trio.current_time()
        look.due, look.looked_at, look.busy = now + wait, now, False
        self._say(url)
        self._woken.set()
        self._changed.set()
        self._changed = trio.Event()

    async def _looked(self, url: str, look: _Look) -> tuple[str, float]:
        """Fetch and read once; return the outcome, and the seconds until the next look."""
        known = self.lists.known.get(url)
        if known is None:
            return _UNCHANGED, _SWEEP_EVERY
        issuers = tuple(known.issuers)
        if self._shelf is not None and not look.begun:
            look.begun = True
            await self._from_shelf(self._shelf, url, look, issuers)
        before = look.copy if known.held is not None else None
        try:
            copy = await self._fetch(url, before, look.failures)
            held = known.held if copy.der is None else await self.read(copy.der, issuers)
        except NoCopy as why:
            return self._failed(url, look, Reason.CRL_UNAVAILABLE, str(why))
        except UnusableList as why:
            look.copy = None
            return self._failed(url, look, Reason.CRL_INVALID, str(why))
        assert held is not None  # noqa: S101 - nothing was asked about a copy without one
        self.lists.take(url, self._wall(), held)
        look.copy = copy if known.trouble is None else None
        look.failures = 0
        wait = after_success(copy.fresh, held.next_update, self._wall())
        if copy.der is None:
            return _UNCHANGED, wait
        look.copy = None if look.copy is None else replace(copy, der=None)
        if self._shelf is not None:
            await self._keep(self._shelf, url, copy.der, copy)
        return _NEW, wait

    def _failed(self, url: str, look: _Look, reason: Reason, why: str) -> tuple[str, float]:
        look.failures += 1
        words = f"the revocation list {clip(url)}: {clip(why)}"
        self.lists.take(url, self._wall(), Finding(reason, words, fatal=False))
        outcome = _REFUSED if reason is Reason.CRL_INVALID else _FAILED
        return outcome, after_failure(look.failures)

    async def _from_shelf(
        self, shelf: Shelf, url: str, look: _Look, issuers: Sequence[bytes]
    ) -> None:
        """Begin with the copy of an agent before this one, while it is not out of date."""
        copy = await trio.to_thread.run_sync(shelf.load, url)
        if copy is None or copy.der is None:
            return
        try:
            held = await self.read(copy.der, issuers)
        except UnusableList:
            return
        if held.next_update is None or held.next_update >= self._wall():
            self.lists.take(url, self._wall(), held)
            look.copy = replace(copy, der=None)

    async def _keep(self, shelf: Shelf, url: str, der: bytes, copy: Copy) -> None:
        try:
            await trio.to_thread.run_sync(shelf.keep, url, der, copy)
        except OSError as error:
            self._note("", "state_dir", error.strerror or type(error).__name__)

    async def read(self, der: bytes, issuers: Sequence[bytes]) -> RevocationList:
        """Read a list; a long one in a process of its own, one at a time.

        Raises:
            UnusableList: it must not be used, or could not be read.
        """
        if len(der) <= _READ_AT_ONCE:
            return crl.read_list(der, issuers)
        async with self._reading:
            try:
                question = crl.asked(der, issuers)
                said = await once(crl.__name__, question, _LONGEST_READ)
            except Unanswered as error:
                raise UnusableList(f"the process that reads {len(der)} bytes {error}") from error
            return crl.answered(said)

    def _say(self, url: str) -> None:
        known = self.lists.known.get(url)
        trouble = known.trouble if known is not None else None
        if trouble is None:
            self._note(url, "", "")
        else:
            self._note(url, trouble.reason.value, trouble.detail)

    def _note(self, url: str, reason: str, problem: str) -> None:
        if self._told.get(url, "") != problem:
            self._told[url] = problem
            self.tell(ListNews(url, reason, problem))
