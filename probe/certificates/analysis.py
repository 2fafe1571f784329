"""What can be said of a presented chain whatever name is asked for: paths, trust, order.

The rule where verifiers differ (see ``opinions``): a chain is accepted when a path stands on
which no finding of ours is fatal, and when OpenSSL accepts the chain by a path that has no
fatal finding either. Refused by OpenSSL alone is fatal, as curl, Python, Node, PHP and most API
clients then fail. Refused by the stricter web PKI rules alone, or by the strict rules of Python
3.13, is a warning: most others tolerate it. Refused by both verifiers is always fatal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from probe.certificates.certificate import Certificate, Unparsable, read
from probe.certificates.findings import (
    PresentedChain,
    chain_too_long,
    costly_key,
    not_after,
    odd_names,
    on_path,
    superfluous,
    unparsable,
    wrong_order,
)
from probe.certificates.opinions import Opinion, ask_openssl, ask_webpki
from probe.certificates.paths import Path, Search, find_paths, why_untrusted
from probe.certificates.revocation import Revocable, revocable
from probe.certificates.trust import Roots
from probe.certificates.verdict import Finding, clip
from probe.model.failure import Reason
from probe.model.result import CertificateFacts

READ_AT_MOST = 100
"""Certificates of one chain that are looked at; far more than any client accepts."""

# X509_V_ERR_PERMITTED_VIOLATION … X509_V_ERR_UNSUPPORTED_NAME_SYNTAX of x509_vfy.h
_NAME_CONSTRAINT_CODES = range(47, 55)


Reader = Callable[[bytes], Certificate | Unparsable]


@dataclass(frozen=True, slots=True)
class Analysis:
    """The part of a verdict that every name, expectation and staple shares.

    Attributes:
        facts: of the presented certificates that can be parsed, the server's own first; empty
            when that one cannot be parsed, and then nothing more is found about it.
        findings: all findings that do not depend on the name.
        path: the verified path that lasts longest, leaf to root; empty when none verifies.
        issuer: of the server's certificate, when it is known from the chain or the roots.
        must_staple: the server's certificate demands a stapled answer (RFC 7633).
        boundaries: instants at which a certificate's validity begins or is over.
        trusted: whether some path ends in a trust root; if not, knowing more
            intermediates may tell more.
        taught: intermediates of verified paths.
        revocable: certificates of ``path`` that name a revocation list.
    """

    facts: tuple[CertificateFacts, ...]
    findings: tuple[Finding, ...]
    path: tuple[CertificateFacts, ...] = ()
    issuer: Certificate | None = None
    must_staple: bool = False
    boundaries: tuple[float, ...] = ()
    trusted: bool = True
    taught: tuple[Certificate, ...] = ()
    revocable: tuple[Revocable, ...] = ()


def analyse(
    chain: Sequence[bytes],
    roots: Roots,
    now: float,
    *,
    known: Sequence[Certificate] = (),
    read_issuer: Reader = read,
) -> Analysis:
    """Judge everything about a presented chain that does not depend on a name.

    Args:
        chain: DER, as sent.
        roots: trust anchors.
        now: wall time, seconds since the epoch.
        known: intermediates that verified elsewhere.
        read_issuer: reads certificates other than the first; may remember them.
    """
    presented = PresentedChain(
        chain,
        tuple((read_issuer if at else read)(der) for at, der in enumerate(chain[:READ_AT_MOST])),
    )
    costly = tuple(costly_key(presented))
    findings = [
        *unparsable(presented),
        *chain_too_long(presented),
        *odd_names(presented),
        *costly,
    ]
    if not presented.read or isinstance(presented.read[0], Unparsable):
        return Analysis((), tuple(findings))
    if costly:  # refused for that alone: no signature is looked at
        leaf = presented.certificates[0]
        return Analysis(
            tuple(c.facts for c in presented.certificates),
            (*findings, *on_path((leaf,), now, anchored=False)),
            must_staple=leaf.extensions.must_staple,
            boundaries=tuple(_boundaries([leaf])),
        )
    case = _Case(presented, roots, now, known)
    verified = case.verified()
    findings += case.about_trust(verified)
    findings += wrong_order(presented, case.search.ancestors)
    findings += superfluous(presented, case.search.ancestors, verified, now)
    best = max(verified, key=not_after, default=())
    return Analysis(
        facts=tuple(c.facts for c in presented.certificates),
        findings=tuple(findings),
        path=tuple(c.facts for c in best),
        issuer=case.issuer(verified),
        must_staple=case.leaf.extensions.must_staple,
        boundaries=tuple(_boundaries(case.everything)),
        trusted=bool(case.paths),
        taught=tuple(dict.fromkeys(c for path in verified for c in path[1:-1])),
        revocable=tuple(revocable(best, verified)),
    )


def _boundaries(certificates: Iterable[Certificate]) -> Iterator[float]:
    for certificate in certificates:
        yield certificate.facts.not_before
        yield certificate.facts.not_after + 1  # its last second still counts


class _Case:
    """One chain before the judge: what was sent, what is trusted, and both opinions."""

    def __init__(
        self, presented: PresentedChain, roots: Roots, now: float, known: Sequence[Certificate]
    ) -> None:
        self.presented = presented
        self.leaf, *self.others = presented.certificates
        self.roots = roots
        self.now = now
        self.known = known
        self.anchors = roots.concerning(presented.certificates)
        self.everything = (*presented.certificates, *self.anchors)
        self.search: Search = find_paths(self.leaf, self.others, self.anchors)
        # All that was sent, even what only OpenSSL can read, because its clients see that.
        ders = presented.ders[0], presented.ders[1:READ_AT_MOST], [r.der for r in self.anchors]
        self.strict = ask_openssl(*ders, now, strict=True)
        # What the strict rules accept, the others do: they are the same and some more.
        self.openssl = self.strict if self.strict.accepts else ask_openssl(*ders, now)
        self.taken = self._path_of(self.openssl)
        self.paths = self._paths()
        self.webpki = self._ask_webpki()

    def verified(self) -> list[Path]:
        """Return the paths that hold: no fatal finding of ours, and one verifier agrees."""
        return [
            path for path in self.paths if not _fatal(on_path(path, self.now)) and self._holds(path)
        ]

    def issuer(self, verified: Sequence[Path]) -> Certificate | None:
        """Name the issuer of the leaf, from the best path there is."""
        for path in (*verified, *self.paths, self.search.partial):
            if len(path) > 1:
                return path[1]
        return self.leaf if self.leaf.facts.self_signed else None

    def about_trust(self, verified: Sequence[Path]) -> list[Finding]:
        """Find what is wrong with the best path, or why there is none."""
        if verified:
            best = max(verified, key=not_after)
            return [*on_path(best, self.now), *self._dissent()]
        if not self.paths:
            partial = self.search.partial
            return [*on_path(partial, self.now, anchored=False), *self._why_untrusted()]
        best = min(self.paths, key=lambda path: len(_fatal(on_path(path, self.now))))
        found = list(on_path(best, self.now))
        return [*found, *self._refused(best, explained=bool(_fatal(found)))]

    def _path_of(self, opinion: Opinion) -> Path | None:
        """Return the path that a verifier took; None for a refusal or an unreadable one."""
        by_digest = {c.digest: c for c in self.everything}
        if opinion.path is None or not all(d in by_digest for d in opinion.path):
            return None
        return tuple(by_digest[d] for d in opinion.path)

    def _paths(self) -> list[Path]:
        """Return our paths, and one that only OpenSSL found (names equal to it alone)."""
        paths = {_digests(path): path for path in self.search.complete}
        if self.taken is not None:
            paths.setdefault(_digests(self.taken), self.taken)
        return list(paths.values())

    def _ask_webpki(self) -> Opinion:
        """Ask about each path alone: a server could make the verifier's own search long."""
        opinion = Opinion(None, "no path ends in a trust root")
        for path in self.paths:
            opinion = _webpki_on(path, self.now)
            if opinion.accepts or not opinion.asked:
                break
        return opinion

    def _holds(self, path: Path) -> bool:
        """Tell whether a verifier accepts this very path; each names only the first it finds."""
        if _digests(path) in (self.openssl.path, self.webpki.path):
            return True
        return _openssl_on(path, self.now).accepts or _webpki_on(path, self.now).accepts

    def _dissent(self) -> Iterator[Finding]:
        """Report that one of the verifiers refuses the chain as sent, although a path holds."""
        if not self.openssl.accepts:
            yield Finding(
                Reason.CHAIN_INVALID,
                "clients that use OpenSSL refuse the chain as sent: "
                f"{self.openssl.why} (at depth {self.openssl.depth})",
            )
        elif self.taken is None:
            yield Finding(
                Reason.CHAIN_INVALID,
                "clients that use OpenSSL go by a certificate that cannot be read here",
            )
        else:
            yield from self._unfit_for_openssl(self.taken)
            if not self.strict.accepts:
                yield Finding(
                    Reason.CHAIN_INVALID,
                    "Python 3.13 and later refuse the chain by default (VERIFY_X509_STRICT): "
                    f"{self.strict.why} (at depth {self.strict.depth})",
                    fatal=False,
                )
        if not self.webpki.accepts and self.webpki.asked:
            yield Finding(
                Reason.CHAIN_INVALID,
                f"strict web PKI rules refuse the chain: {clip(self.webpki.why)}",
                fatal=False,
            )

    def _unfit_for_openssl(self, path: Path) -> Iterator[Finding]:
        """Report an unfit path of OpenSSL's, which goes by names and never turns back."""
        for finding in _fatal(on_path(path, self.now)):
            yield Finding(
                finding.reason, f"{finding.detail}; clients that use OpenSSL do not look further"
            )

    def _refused(self, path: Path, *, explained: bool) -> Iterator[Finding]:
        """Say why a complete path does not hold, beyond what our own findings say.

        Dates are ours to report: OpenSSL is asked at an instant when all of the path is valid,
        so that it tells what would still be wrong then.
        """
        begins = max(c.facts.not_before for c in path)
        at = self.now if begins <= self.now <= not_after(path) else begins
        if at > not_after(path):
            return  # no such instant; the dates' own findings stand
        opinion = _openssl_on(path, at)
        if opinion.code in _NAME_CONSTRAINT_CODES:
            yield Finding(
                Reason.NAME_CONSTRAINTS,
                f"an issuing authority may not issue for these names: {opinion.why}",
            )
        elif not explained:
            yield Finding(Reason.CHAIN_INVALID, self._both(opinion, _webpki_on(path, at)))

    def _both(self, openssl: Opinion, webpki: Opinion) -> str:
        first = openssl if not openssl.accepts else self.openssl
        second = webpki if not webpki.accepts else self.webpki
        return f"{first.why or 'refused'} (at depth {first.depth}); {clip(second.why)}"

    def _why_untrusted(self) -> Iterator[Finding]:
        anchors = self.roots.concerning([*self.presented.certificates, *self.known])
        return why_untrusted(
            self.search.partial,
            self.presented.certificates,
            anchors,
            self.known,
            self.roots.organizations,
        )


def _openssl_on(path: Path, at: float) -> Opinion:
    """Ask OpenSSL about one path alone."""
    leaf, *others = [certificate.der for certificate in path]
    return ask_openssl(leaf, others[:-1], [path[-1].der], at)


def _webpki_on(path: Path, at: float) -> Opinion:
    """Ask the strict rules about one path alone."""
    return ask_webpki(path[0], path[1:-1], path[-1:], at)


def _digests(path: Path) -> tuple[bytes, ...]:
    return tuple(certificate.digest for certificate in path)


def _fatal(findings: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.fatal]
