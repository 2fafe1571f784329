"""The revocation lists that served chains name: what is known of each, and who must hear of it.

Judging costs nothing where nothing changed: each path has a `Watch` with what was found last, and
a list that changes clears it in the watches that asked for the list, and in no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple, get_args

from probe.certificates.crl import RevocationList
from probe.certificates.revocation import Known, Revocable, Revocation, Watch, judge_path
from probe.certificates.verdict import Finding, span
from probe.model.failure import Reason

MOST_LISTS = 1000
"""URLs that are asked. Those of further ones are named in findings."""

MOST_HELD = 2_000_000
"""Entries of all lists together: some 50 MiB."""

SKEW = 300.0
"""Seconds by which thisUpdate may lie ahead: clocks differ a little."""

FORGOTTEN = 86_400.0
"""Seconds after which a path that no edge serves any more needs no list."""

_FULL = Finding(
    Reason.CRL_UNAVAILABLE,
    f"the served chains name more than {MOST_LISTS} revocation lists: this one is not fetched",
    fatal=False,
)

ListState = Literal["usable", "expired", "unusable", "pending"]
STATES: tuple[ListState, ...] = get_args(ListState)


class Standing(NamedTuple):
    """How one list is.

    Attributes:
        state: ``unusable`` when there is none at all.
        trouble: why the latest look gave none, or that it is past its end; None when all is well.
    """

    url: str
    state: ListState
    trouble: Reason | None


class RevocationLists:
    """What is known of every list. Pure: who fetches them calls `take`.

    Attributes:
        known: by URL.
        on_wanted: told the URL of a list that nobody knew, or that another authority names.
    """

    def __init__(self) -> None:
        self.known: dict[str, Known] = {}
        self.on_wanted: Callable[[str], object] = lambda _: None
        self._watches: dict[tuple[Revocable, ...], Watch] = {}

    def watch(self, path: tuple[Revocable, ...]) -> Watch:
        """Return the watch of a path, the same for every chain that verifies by it."""
        return self._watches.setdefault(path, Watch(path))

    def judged(self, watch: Watch, now: float) -> Revocation:
        """Judge a path anew, at this wall time."""
        if not watch.known:  # nobody had served it for long
            watch.known = True
            self._watches[watch.path] = watch
        found, urls = judge_path(watch.path, self._want, now)
        watch.at, watch.found, watch.urls = now, found, tuple(urls)
        watch.valid_from, watch.valid_until = span(found.boundaries, now)
        for url in urls:
            if (known := self.known.get(url)) is not None:
                known.watches.add(watch)
        return found

    def take(self, url: str, now: float, held: RevocationList | Finding) -> None:
        """Keep what a look at a URL gave.

        Args:
            url: that is known.
            now: wall time, seconds since the epoch.
            held: the list; or why there is none. One that was there before is kept then.
        """
        known = self.known.get(url)
        if known is None:
            return  # nobody needs it any more
        trouble = held if isinstance(held, Finding) else self._refused(known, url, held, now)
        if isinstance(held, Finding) or trouble is not None:
            if known.trouble == trouble:
                return
            known.trouble = trouble
        elif held is known.held and known.trouble is None:
            return
        else:
            # Servers behind one name differ: an older list than the one that is here says less.
            if known.held is None or held.this_update >= known.held.this_update:
                known.held = held
            known.trouble = None
        for watch in known.watches:
            watch.found = None
        known.watches.clear()

    def sweep(self, now: float) -> None:
        """Forget paths that nobody has served for a day, and lists that no other path needs."""
        needed: set[str] = set()
        for path, watch in list(self._watches.items()):
            if watch.at > now - FORGOTTEN:
                needed.update(watch.urls)
            else:
                watch.known, watch.found = False, None
                del self._watches[path]
        for url in self.known.keys() - needed:
            self._drop(url)

    def forget(self) -> None:
        """Forget everything, as when nothing was ever looked at."""
        for watch in self._watches.values():
            watch.known, watch.found = False, None
        self._watches.clear()
        for url in list(self.known):
            self._drop(url)

    def _drop(self, url: str) -> None:
        for watch in self.known.pop(url).watches:
            watch.found = None  # whoever serves it still must not call it good by this list

    def revoked(self) -> int:
        """Count the paths with a revoked certificate, of those that were served within a day."""
        found = (watch.found for watch in self._watches.values())
        return sum(one is not None and one.status == "revoked" for one in found)

    def standings(self, now: float) -> Iterator[Standing]:
        """Yield how each list is, at this wall time."""
        for url, known in self.known.items():
            held, trouble = known.held, known.trouble
            late = held is not None and held.next_update is not None and held.next_update < now
            if late:
                yield Standing(url, "expired", Reason.CRL_EXPIRED)
            elif held is not None:
                yield Standing(url, "usable", None if trouble is None else trouble.reason)
            elif trouble is not None:
                yield Standing(url, "unusable", trouble.reason)
            else:
                yield Standing(url, "pending", None)

    def _want(self, url: str, issuer: bytes) -> Known:
        known = self.known.get(url)
        if known is None:
            if len(self.known) >= MOST_LISTS:
                return Known(_FULL)
            known = self.known[url] = Known()
        if issuer not in known.issuers:
            known.issuers[issuer] = None
            self.on_wanted(url)
        return known

    def _refused(self, known: Known, url: str, held: RevocationList, now: float) -> Finding | None:
        if held.this_update > now + SKEW:
            words = f"the revocation list {url} begins in the future"
            return Finding(Reason.CRL_INVALID, words, fatal=False)
        others = (one.held for one in self.known.values() if one is not known)
        if held.count + sum(one.count for one in others if one is not None) > MOST_HELD:
            words = f"the revocation list {url} is left out: {MOST_HELD} entries are held at most"
            return Finding(Reason.CRL_UNAVAILABLE, words, fatal=False)
        return None
