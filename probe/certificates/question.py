"""One question to the judge and its answer, which may be worked out in another process."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from probe.certificates.analysis import Analysis, Reader, analyse
from probe.certificates.certificate import Certificate, Unparsable, read
from probe.certificates.ocsp import StapleJudgement, judge_staple
from probe.certificates.renewal import earliest, expires_soon, renewal_of
from probe.certificates.revocation import Place, Revocable
from probe.certificates.trust import Roots
from probe.certificates.verdict import (
    Verdict,
    in_order,
    older_than_expected,
    span,
    unexpected_fingerprint,
    unexpected_issuer,
    wrong_name,
)
from probe.model.failure import Failure, Phase, Reason
from probe.model.result import CertificateFacts, Renewal, Timestamps
from probe.model.tls import ChainExpectations

if TYPE_CHECKING:
    from probe.certificates.transparency import TransparencyJudgement
    from probe.documents.log_list import LogList

_MOST_AT_ONCE = 4
_MOST_BYTES_AT_ONCE = 12 * 1024
_NAME_CONSTRAINTS = bytes.fromhex("0603551d1e")  # their object identifier in DER

Digests = tuple[bytes, ...]
"""SHA-256 of each certificate of a chain."""
_Key = tuple[Digests, frozenset[bytes]]

KINDS = (
    *(Verdict, Failure, Phase, Reason, CertificateFacts, Renewal, Timestamps),
    *(Revocable, Place),
)
"""Of what a verdict is made."""

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

    def made(self, key: K, make: Callable[[K], V]) -> V:
        """Return the entry of a key, made if need be."""
        value = self.get(key)
        if value is None:
            self.put(key, value := make(key))
        return value

    def put(self, key: K, value: V) -> None:
        """Keep an entry."""
        if len(self._young) >= self._capacity:
            self._old, self._young = self._young, {}
        self._young[key] = value


@dataclass(frozen=True, slots=True)
class Question:
    """All that a verdict depends on, but for what the judge remembers.

    Attributes are the arguments of ``Judge.judge``, with the trust ``roots`` themselves; and

    Attributes:
        public: SHA-256 of the roots whose certificates must be logged (RFC 6962).
        logs: whose timestamps are checked; None when there is no list.
    """

    chain: Sequence[bytes]
    name: str
    now: float
    roots: Roots
    expect: ChainExpectations
    staple: bytes | None = None
    own_names: tuple[str, ...] = ()
    public: frozenset[bytes] = frozenset()
    logs: LogList | None = None

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
        stapled, logged = StapleJudgement(), None
        renewal = leaf_renewal = None
        if analysis.facts:
            leaf, path, expect = analysis.facts[0], analysis.path, self.expect
            findings += wrong_name(leaf, self.name, self.own_names)
            findings += unexpected_issuer(leaf, expect)
            findings += unexpected_fingerprint(leaf, expect)
            findings += older_than_expected(leaf, expect)
            renewals = [renewal_of(one, expect) for one in path]
            findings += expires_soon(path, renewals, self.now)
            leaf_renewal, renewal = renewal_of(leaf, expect), earliest(renewals)
            if renewal is not None:
                boundaries.append(renewal.late)
            stapled = self._stapled(analysis)
            logged = self._logged(analysis, stapled)
            findings += stapled.findings
            boundaries += stapled.boundaries
            if logged is not None:
                findings += logged.findings
                boundaries += logged.boundaries
        start, end = span(boundaries, self.now)
        return Verdict(
            failures=in_order(findings, fatal=True),
            warnings=in_order(findings, fatal=False),
            chain=analysis.facts,
            verified_not_after=min((c.not_after for c in analysis.path), default=None),
            renewal=renewal,
            leaf_renewal=leaf_renewal,
            ocsp=stapled.status,
            timestamps=None if logged is None else logged.timestamps,
            revocable=analysis.revocable,
            valid_from=start,
            valid_until=end,
        )

    def _stapled(self, analysis: Analysis) -> StapleJudgement:
        if not (self.staple or analysis.must_staple or self.expect.ocsp == "require"):
            return StapleJudgement()
        return judge_staple(self.staple, self._leaf(), analysis.issuer, self.now, self.expect.ocsp)

    def _logged(self, analysis: Analysis, stapled: StapleJudgement) -> TransparencyJudgement | None:
        """Judge the timestamps of a chain to a public root; None for any other."""
        demand, path = self.expect.ct, analysis.path
        if demand == "ignore" or not path:
            return None
        if bytes.fromhex(path[-1].fingerprint_sha256) not in self.public:
            return None
        from probe.certificates.transparency import judge_timestamps  # noqa: PLC0415 - seldom

        staple = self.staple if stapled.status is not None else None
        return judge_timestamps(
            self._leaf(), analysis.issuer, staple, self.now, demand=demand, logs=self.logs
        )

    def _leaf(self) -> Certificate:
        leaf = read(self.chain[0])
        assert isinstance(leaf, Certificate)  # noqa: S101 - it has facts, so it was read before
        return leaf


class Analyst:
    """Answers questions, and remembers analyses of chains, which thousands of names may share."""

    def __init__(self, capacity: int) -> None:
        """Remember nothing yet, and once or twice so many analyses later."""
        self._analyses: Cache[_Key, tuple[Analysis, _Span, int]] = Cache(capacity)
        self._issuers: Cache[bytes, Certificate | Unparsable] = Cache(256)

    def answer(
        self, question: Question, digests: Digests, known: Sequence[Certificate]
    ) -> tuple[Analysis, Verdict]:
        """Find all there is to find; ``digests`` are those of the question's chain."""
        key, now, analysis = (digests, question.roots.digests), question.now, None
        if (kept := self._analyses.get(key)) is not None:
            found, (start, end), knew = kept
            if start <= now < end and (found.trusted or knew == len(known)):
                analysis = found
        found, verdict = question.answer(known, analysis, self.read_issuer)
        self._analyses.put(key, (found, span(found.boundaries, now), len(known)))
        return found, verdict

    def read_issuer(self, der: bytes) -> Certificate | Unparsable:
        """Read a certificate that many chains may hold, once."""
        return self._issuers.made(der, read)


_ELSEWHERE = Analyst(8)


def answer_plainly(
    question: Question, digests: Digests, known: Sequence[bytes]
) -> tuple[Verdict, bool, tuple[int, ...]]:
    """Do as `Analyst.answer` where a process is kept for this, and from and with plain values.

    Returns:
        the verdict; of the analysis ``trusted``, and the places of ``taught`` in the chain.
    """
    read = map(_ELSEWHERE.read_issuer, known)
    certificates = [one for one in read if isinstance(one, Certificate)]
    analysis, verdict = _ELSEWHERE.answer(question, digests, certificates)
    taught = {one.der for one in analysis.taught}
    places = tuple(at for at, der in enumerate(question.chain) if der in taught)
    return verdict, analysis.trusted, places
