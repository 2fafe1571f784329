"""The judge: one call per handshake, microseconds when chain and name were seen before."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import trio

from probe.certificates.analysis import Analysis
from probe.certificates.certificate import Certificate
from probe.certificates.lists import RevocationLists
from probe.certificates.question import KINDS, Analyst, Cache, Digests, Question, answer_plainly
from probe.certificates.revocation import Revocation, Watch, with_lists
from probe.certificates.trust import Roots, TrustError, load_roots, public_roots
from probe.certificates.verdict import Verdict
from probe.documents.problem import DocumentError
from probe.model.failure import Failure, Phase, Reason
from probe.model.tls import ChainExpectations, Trust
from probe.net.apart import kept as work_elsewhere
from probe.net.child import Unanswered

if TYPE_CHECKING:
    from probe.documents.log_list import LogList

_MOST_KNOWN = 512
_DIGESTS = 1024
"""Presented certificates whose digest is kept, once or twice this many: a few MiB at most."""

_Key = tuple[Digests, str, Trust, ChainExpectations, bytes, tuple[str, ...]]


class _Kept:
    """A verdict that is remembered, and the same with what revocation lists last said.

    Attributes:
        verdict: without them.
        knew: how many intermediates were known, where knowing more may tell more.
        watch: of its path; None before it was looked up.
        found: what ``whole`` holds of the lists.
    """

    __slots__ = ("found", "knew", "verdict", "watch", "whole")

    def __init__(self, verdict: Verdict, knew: int | None) -> None:
        self.verdict, self.knew, self.whole = verdict, knew, verdict
        self.watch: Watch | None = None
        self.found: Revocation | None = None


class Judge:
    """Judges presented chains and remembers its verdicts as long as they hold.

    Share one between all checks, profiles and flows, in one event loop. It keeps no clock.
    Trust roots are read once, on first use or with ``prepare``; a new judge reads them anew.
    Intermediates of chains that verify are remembered, so that an edge that lacks one is told
    from an edge whose root is unknown.

    Attributes:
        lists: what is known of revocation lists; None looks at none.
    """

    def __init__(
        self,
        load: Callable[[Trust], Roots] = load_roots,
        *,
        public: Callable[[], frozenset[bytes]] = public_roots,
        capacity: int = 20_000,
        elsewhere: bool = False,
        lists: RevocationLists | None = None,
    ) -> None:
        """Nothing is read yet.

        Args:
            load: reads trust roots; raises ``TrustError``.
            public: gives SHA-256 of the roots whose certificates must be logged (RFC 6962).
            capacity: verdicts to keep, once or twice this many.
            elsewhere: judge large chains in a process of its own. A thread, in which it is done
                else, holds the interpreter's lock.
            lists: what is known of revocation lists; None looks at none.
        """
        self._load = load
        self._load_public = public
        self._public: frozenset[bytes] | None = None
        self._logs: dict[str, LogList] = {}
        self._roots: dict[Trust, Roots] = {}
        self._capacity = capacity
        self.lists = lists
        self._verdicts: Cache[_Key, _Kept] = Cache(capacity)
        self._analyst = Analyst(capacity)
        self._elsewhere = elsewhere
        self._digests: Cache[bytes, bytes] = Cache(_DIGESTS)
        self._known: dict[bytes, Certificate] = {}
        self._large = trio.Lock()

    def prepare(self, trust: Trust) -> None:
        """Read trust roots now, so that the first handshake need not wait for them.

        Raises:
            TrustError: they cannot be read.
        """
        self._roots_of(trust)

    def read_logs(self, path: str) -> None:
        """Read a list of logs of Certificate Transparency, again if need be.

        Raises:
            DocumentError: it cannot be used; the one read before stays in use.
        """
        logs = _read_logs(path)
        if self._logs.get(path) not in (None, logs):
            self._verdicts = Cache(self._capacity)
        self._logs[path] = logs

    async def judge(
        self,
        chain: Sequence[bytes],
        name: str,
        now: float,
        *,
        trust: Trust,
        expect: ChainExpectations,
        staple: bytes | None = None,
        own_names: tuple[str, ...] = (),
        revocation: bool = True,
    ) -> Verdict:
        """Judge what a server presented. Never raises for anything that a server can send.

        Nothing is waited for when the verdict is remembered or the chain is of ordinary size.
        A large chain is judged elsewhere, one at a time: it must not hold up the event loop.

        Args:
            chain: DER certificates in the order sent; the server's own first.
            name: what the client asked for: a DNS name (A-labels) or an IP address.
            now: wall time, seconds since the epoch.
            trust: which roots verify.
            expect: what the chain must be beyond valid.
            staple: the stapled OCSP answer (RFC 6066); None or empty when there was none.
            own_names: patterns of the provider's own names (``Provider.own_names``).
            revocation: look at the revocation lists that the verified path names.

        Returns:
            all findings. When the trust roots cannot be read, or another process gives no answer,
            a verdict whose one failure is ours, so the attempt is inconclusive.
        """
        digests = tuple([self._digests.made(der, _digest) for der in chain])
        answer = _digest(staple) if staple else b""
        key = (digests, name, trust, expect, answer, own_names)
        kept = self._kept(key, now)
        if kept is None:
            try:
                roots = self._roots_of(trust)
                public, logs = self._transparency(expect)
            except TrustError as error:
                return _ours(Reason.LOCAL_RESOURCE, f"trust roots: {error}", now)
            except DocumentError as error:
                return _ours(Reason.LOCAL_RESOURCE, f"list of logs: {error.problems[0]}", now)
            question = Question(chain, name, now, roots, expect, staple, own_names, public, logs)
            kept = await self._answered(key, question, digests)
        if self.lists is None or not (revocation and kept.verdict.revocable):
            return kept.verdict
        return _with_lists(kept, self.lists, now)

    async def _answered(self, key: _Key, question: Question, digests: Digests) -> _Kept:
        """Judge what is not remembered."""
        known = tuple(self._known.values())
        if not question.large:
            return self._keep(key, len(known), *self._analyst.answer(question, digests, known))
        async with self._large:
            if (kept := self._kept(key, question.now)) is not None:  # others asked the same
                return kept
            if self._elsewhere:
                done = await self._answered_elsewhere(question, digests, known)
            else:
                done = await trio.to_thread.run_sync(self._analyst.answer, question, digests, known)
        return self._keep(key, len(known), *done)

    async def _answered_elsewhere(
        self, question: Question, digests: Digests, known: Sequence[Certificate]
    ) -> tuple[Analysis, Verdict]:
        """Return what another process found, and as much of its analysis as is kept here."""
        work = partial(answer_plainly, question, digests, [one.der for one in known])
        try:
            verdict, trusted, places = await work_elsewhere(work, *KINDS)
        except Unanswered as error:
            why = f"the process that judges {len(question.chain)} certificates {error}"
            return Analysis((), ()), _ours(error.reason, why, question.now)
        read = [self._analyst.read_issuer(question.chain[at]) for at in places]
        taught = tuple(one for one in read if isinstance(one, Certificate))
        return Analysis((), (), trusted=trusted, taught=taught), verdict

    def _kept(self, key: _Key, now: float) -> _Kept | None:
        kept = self._verdicts.get(key)
        if kept is None:
            return None
        holds = kept.verdict.valid_from <= now < kept.verdict.valid_until
        return kept if holds and (kept.knew is None or kept.knew == len(self._known)) else None

    def _keep(self, key: _Key, knew: int, analysis: Analysis, verdict: Verdict) -> _Kept:
        for certificate in analysis.taught:
            if len(self._known) < _MOST_KNOWN:
                self._known.setdefault(certificate.digest, certificate)
        kept = _Kept(verdict, None if analysis.trusted else knew)
        self._verdicts.put(key, kept)
        return kept

    def _transparency(self, expect: ChainExpectations) -> tuple[frozenset[bytes], LogList | None]:
        """Return the roots whose certificates must be logged, and the logs that are known."""
        if expect.ct == "ignore":
            return frozenset(), None
        if self._public is None:
            self._public = self._load_public()
        if expect.ct_log_list is None:
            return self._public, None
        if expect.ct_log_list not in self._logs:
            self.read_logs(expect.ct_log_list)
        return self._public, self._logs[expect.ct_log_list]

    def _roots_of(self, trust: Trust) -> Roots:
        if trust not in self._roots:
            self._roots[trust] = self._load(trust)
        return self._roots[trust]


def _read_logs(path: str) -> LogList:
    from probe.documents.log_list import read_log_list  # noqa: PLC0415 - few checks have one

    return read_log_list(path)


def _with_lists(kept: _Kept, lists: RevocationLists, now: float) -> Verdict:
    """Return a verdict with what the lists say now; what did not change is not judged again."""
    watch = kept.watch
    if watch is None:
        watch = kept.watch = lists.watch(kept.verdict.revocable)
    watch.at = now
    found = watch.found
    if found is None or not watch.valid_from <= now < watch.valid_until:
        found = lists.judged(watch, now)
    if found is not kept.found:
        kept.found, kept.whole = found, with_lists(kept.verdict, found, now)
    return kept.whole


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _ours(reason: Reason, why: str, now: float) -> Verdict:
    """A verdict on nothing, which is never remembered."""
    failure = Failure(Phase.CERTIFICATE, reason, why)
    return Verdict(failures=(failure,), valid_from=now, valid_until=now)
