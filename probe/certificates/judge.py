"""The judge: one call per handshake, microseconds when chain and name were seen before."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import trio

from probe.certificates.analysis import Analysis, Reader, analyse
from probe.certificates.certificate import Certificate, Unparsable, read
from probe.certificates.ocsp import StapleJudgement, judge_staple
from probe.certificates.renewal import earliest, expires_soon, renewal_of
from probe.certificates.trust import Roots, TrustError, load_roots
from probe.certificates.verdict import (
    Finding,
    Verdict,
    in_order,
    older_than_expected,
    unexpected_fingerprint,
    unexpected_issuer,
    wrong_name,
)
from probe.model.failure import Reason
from probe.model.tls import ChainExpectations, Trust

_MOST_KNOWN = 512
_MOST_AT_ONCE = 4
_MOST_BYTES_AT_ONCE = 12 * 1024
_NAME_CONSTRAINTS = bytes.fromhex("0603551d1e")  # their object identifier in DER
_DIGESTS = 1024
"""Presented certificates whose digest is kept, once or twice this many: a few MiB at most."""

_Digests = tuple[bytes, ...]
_Key = tuple[_Digests, str, Trust, ChainExpectations, bytes, tuple[str, ...]]
_Span = tuple[float, float]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Cache(Generic[K, V]):
    """Two generations of entries: what was not asked for during a whole generation is dropped.

    A hit costs one dictionary look-up, and never more than twice ``capacity`` is held.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """Return the entry of a key, or None."""
        value = self._young.get(key)
        if value is None:
            value = self._old.pop(key, None)
            if value is not None:
                self.put(key, value)
        return value

    def put(self, key: K, value: V) -> None:
        """Keep an entry."""
        if len(self._young) >= self._capacity:
            self._old, self._young = self._young, {}
        self._young[key] = value


class Judge:
    """Judges presented chains and remembers its verdicts as long as they hold.

    Share one between all checks, profiles and flows, in one event loop. It keeps no clock.
    Trust roots are read once, on first use or with ``prepare``; a new judge reads them anew.
    Intermediates of chains that verify are remembered, so that an edge that lacks one is told
    from an edge whose root is unknown.
    """

    def __init__(
        self, load: Callable[[Trust], Roots] = load_roots, *, capacity: int = 20_000
    ) -> None:
        """Nothing is read yet.

        Args:
            load: reads trust roots; raises ``TrustError``.
            capacity: verdicts to keep, once or twice this many.
        """
        self._load = load
        self._roots: dict[Trust, Roots] = {}
        self._verdicts: Cache[_Key, tuple[Verdict, int | None]] = Cache(capacity)
        self._analyses: Cache[tuple[_Digests, Trust], tuple[Analysis, _Span, int]] = Cache(capacity)
        self._digests: Cache[bytes, bytes] = Cache(_DIGESTS)
        self._issuers: Cache[bytes, Certificate | Unparsable] = Cache(256)
        self._known: dict[bytes, Certificate] = {}
        self._large = trio.Lock()

    def prepare(self, trust: Trust) -> None:
        """Read trust roots now, so that the first handshake need not wait for them.

        Raises:
            TrustError: they cannot be read.
        """
        self._roots_of(trust)

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
    ) -> Verdict:
        """Judge what a server presented. Never raises for anything that a server can send.

        Nothing is waited for when the verdict is remembered or the chain is of ordinary size.
        A large chain is judged in a thread, one at a time: it must not hold up the event loop.
        That work is bounded, so a cancellation waits for its end.

        Args:
            chain: DER certificates in the order sent; the server's own first.
            name: what the client asked for: a DNS name (A-labels) or an IP address.
            now: wall time, seconds since the epoch.
            trust: which roots verify.
            expect: what the chain must be beyond valid.
            staple: the stapled OCSP answer (RFC 6066); None or empty when there was none.
            own_names: patterns of the provider's own names (``Provider.own_names``).

        Returns:
            all findings. When the trust roots cannot be read, a verdict whose one failure
            is ``LOCAL_RESOURCE``: ours, so the attempt is inconclusive.
        """
        digests = tuple([self._digest(der) for der in chain])
        answer = hashlib.sha256(staple).digest() if staple else b""
        key = (digests, name, trust, expect, answer, own_names)
        if (kept := self._kept(key, now)) is not None:
            return kept
        try:
            roots = self._roots_of(trust)
        except TrustError as error:
            finding = Finding(Reason.LOCAL_RESOURCE, f"trust roots: {error}")
            return Verdict(failures=(finding.failure,), valid_from=now, valid_until=now)
        question = Question(chain, name, now, roots, expect, staple, own_names)
        analysis, known = self._analysis(key, now), tuple(self._known.values())
        if not question.large:
            done = question.answer(known, analysis, self._read_issuer)
            return self._keep(key, now, len(known), *done)
        async with self._large:
            if (kept := self._kept(key, now)) is not None:  # others asked the same meanwhile
                return kept
            done = await trio.to_thread.run_sync(question.answer, known, analysis)
        return self._keep(key, now, len(known), *done)

    def _digest(self, der: bytes) -> bytes:
        digest = self._digests.get(der)
        if digest is None:
            digest = hashlib.sha256(der).digest()
            self._digests.put(der, digest)
        return digest

    def _kept(self, key: _Key, now: float) -> Verdict | None:
        kept = self._verdicts.get(key)
        if kept is None:
            return None
        verdict, knew = kept
        holds = verdict.valid_from <= now < verdict.valid_until
        return verdict if holds and (knew is None or knew == len(self._known)) else None

    def _analysis(self, key: _Key, now: float) -> Analysis | None:
        """Return what is remembered of a chain, which thousands of names may share."""
        kept = self._analyses.get((key[0], key[2]))
        if kept is None:
            return None
        analysis, (start, end), knew = kept
        if start <= now < end and (analysis.trusted or knew == len(self._known)):
            return analysis
        return None

    def _keep(
        self, key: _Key, now: float, knew: int, analysis: Analysis, verdict: Verdict
    ) -> Verdict:
        for certificate in analysis.taught:
            if len(self._known) < _MOST_KNOWN:
                self._known.setdefault(certificate.digest, certificate)
        self._analyses.put((key[0], key[2]), (analysis, _span(analysis.boundaries, now), knew))
        self._verdicts.put(key, (verdict, None if analysis.trusted else knew))
        return verdict

    def _roots_of(self, trust: Trust) -> Roots:
        if trust not in self._roots:
            self._roots[trust] = self._load(trust)
        return self._roots[trust]

    def _read_issuer(self, der: bytes) -> Certificate | Unparsable:
        certificate = self._issuers.get(der)
        if certificate is None:
            certificate = read(der)
            self._issuers.put(der, certificate)
        return certificate


@dataclass(frozen=True, slots=True)
class Question:
    """All that a verdict depends on, but for what the judge remembers.

    Attributes are the arguments of ``Judge.judge``, with the trust ``roots`` themselves.
    """

    chain: Sequence[bytes]
    name: str
    now: float
    roots: Roots
    expect: ChainExpectations
    staple: bytes | None = None
    own_names: tuple[str, ...] = ()

    @property
    def large(self) -> bool:
        """Tell whether judging may take tens of milliseconds: more than public authorities send."""
        size = sum(map(len, self.chain)) + len(self.staple or b"")
        return (
            len(self.chain) > _MOST_AT_ONCE
            or size > _MOST_BYTES_AT_ONCE
            # every name is compared with every constraint
            or any(_NAME_CONSTRAINTS in der for der in self.chain)
        )

    def answer(
        self,
        known: Sequence[Certificate],
        analysis: Analysis | None = None,
        read_issuer: Reader = read,
    ) -> tuple[Analysis, Verdict]:
        """Find all there is to find: pure, without memory.

        Args:
            known: intermediates that verified elsewhere.
            analysis: of the same chain, if it was judged for another name before.
            read_issuer: reads certificates other than the first; may remember them.
        """
        if analysis is None:
            analysis = analyse(
                self.chain, self.roots, self.now, known=known, read_issuer=read_issuer
            )
        return analysis, self._verdict(analysis)

    def _verdict(self, analysis: Analysis) -> Verdict:
        """Add to an analysis what depends on the name, the expectations and the staple."""
        findings, boundaries = list(analysis.findings), list(analysis.boundaries)
        stapled = StapleJudgement()
        renewal = leaf_renewal = None
        if analysis.facts:
            leaf, path, expect = analysis.facts[0], analysis.path, self.expect
            findings += wrong_name(leaf, self.name, self.own_names)
            findings += unexpected_issuer(leaf, expect)
            findings += unexpected_fingerprint(leaf, expect)
            findings += older_than_expected(leaf, expect)
            findings += expires_soon(path, self.now, expect)
            leaf_renewal = renewal_of(leaf, expect)
            renewal = earliest(renewal_of(one, expect) for one in path)
            if renewal is not None:
                boundaries.append(renewal.late)
            stapled = self._stapled(analysis)
            findings += stapled.findings
            boundaries += stapled.boundaries
        start, end = _span(boundaries, self.now)
        return Verdict(
            failures=in_order(findings, fatal=True),
            warnings=in_order(findings, fatal=False),
            chain=analysis.facts,
            verified_not_after=min((c.not_after for c in analysis.path), default=None),
            renewal=renewal,
            leaf_renewal=leaf_renewal,
            ocsp=stapled.status,
            valid_from=start,
            valid_until=end,
        )

    def _stapled(self, analysis: Analysis) -> StapleJudgement:
        if not (self.staple or analysis.must_staple or self.expect.ocsp == "require"):
            return StapleJudgement()
        leaf = read(self.chain[0])
        assert isinstance(leaf, Certificate)  # noqa: S101 - it has facts, so it was read before
        return judge_staple(self.staple, leaf, analysis.issuer, self.now, self.expect.ocsp)


def _span(boundaries: Iterable[float], now: float) -> _Span:
    """Return the stretch around ``now`` in which no boundary lies."""
    start, end = -math.inf, math.inf
    for instant in boundaries:
        if instant <= now:
            start = max(start, instant)
        else:
            end = min(end, instant)
    return start, end
