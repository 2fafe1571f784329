"""Why no path leads from the server's certificate to a trust root."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from probe.certificates.certificate import Certificate
from probe.certificates.paths import Path, find_paths
from probe.certificates.verdict import Finding
from probe.certificates.wording import called, from_url
from probe.model.failure import Reason


def why_untrusted(
    partial: Path,
    presented: Sequence[Certificate],
    roots: Sequence[Certificate],
    known: Sequence[Certificate],
    organizations: frozenset[str],
) -> Iterator[Finding]:
    """The one reason why ``partial``, the longest path that can be built, ends nowhere.

    Args:
        partial: leaf first.
        presented: everything that was sent.
        roots: trust roots whose names the chain (or ``known``) mentions.
        known: intermediates that verified elsewhere; they tell with certainty that one is
            missing here.
        organizations: of all trust roots, to guess with when nothing is certain.
    """
    leaf, top = partial[0], partial[-1]
    if leaf.facts.self_signed:
        yield Finding(
            Reason.SELF_SIGNED,
            f"{called(leaf.facts.subject)} is signed by itself and no trust root",
        )
        return
    if missing := _missing(leaf, presented, roots, known):
        yield Finding(Reason.MISSING_INTERMEDIATE, _names_missing(partial, missing))
        return
    if top.facts.self_signed:
        yield Finding(
            Reason.UNKNOWN_ISSUER,
            f"the chain ends in {called(top.facts.subject)}, which is no trust root",
        )
        return
    namesakes = [c for c in (*presented, *roots) if c.subject_key == top.issuer_key]
    if namesakes:
        yield _wrong_namesake(top, namesakes, roots)
    else:
        yield _absent(partial, organizations)


def _missing(
    leaf: Certificate,
    presented: Sequence[Certificate],
    roots: Sequence[Certificate],
    known: Sequence[Certificate],
) -> list[Certificate]:
    """The known intermediates that would make the chain whole; empty if none do."""
    if not known:
        return []
    search = find_paths(leaf, [*presented, *known], roots)
    if not search.complete:
        return []
    sent = {c.digest for c in presented}
    path = min(search.complete, key=lambda p: sum(c.digest not in sent for c in p[:-1]))
    return [c for c in path[:-1] if c.digest not in sent]


def _names_missing(partial: Path, missing: Iterable[Certificate]) -> str:
    names = ", ".join(called(c.facts.subject) for c in missing)
    return f"the edge does not send {names}, which other edges send{from_url(partial[-1].facts)}"


def _wrong_namesake(
    top: Certificate, namesakes: Sequence[Certificate], roots: Sequence[Certificate]
) -> Finding:
    """A certificate of the issuer's name is at hand, and its key did not sign."""
    name = called(top.facts.issuer)
    same_key = [c for c in namesakes if top.issuer_key_id and c.key_id == top.issuer_key_id]
    if same_key:
        return Finding(
            Reason.CHAIN_INVALID,
            f"the signature of {called(top.facts.subject)} does not verify with the key of {name}",
        )
    root_digests = {c.digest for c in roots}
    if all(c.digest in root_digests for c in namesakes):
        return Finding(
            Reason.UNKNOWN_ISSUER,
            f"the issuer calls itself {name} like a trust root, and has another key",
        )
    return Finding(
        Reason.MISSING_INTERMEDIATE,
        f"a certificate of {name} was sent, and it has another key than the one that signed "
        f"{called(top.facts.subject)}{from_url(top.facts)}",
    )


def _absent(partial: Path, organizations: frozenset[str]) -> Finding:
    """The issuer was not sent and is no root: is an intermediate missing, or trust?

    From the chain alone this cannot be told for certain. An edge that sends nothing but the
    leaf has most likely lost its intermediates when the leaf says where its issuer is
    published, as public authorities do (CA/B BR 7.1.2.7.7), or when the issuer belongs to the
    organization of a trust root. When intermediates were sent, the root is what is unknown.
    """
    leaf, top = partial[0], partial[-1]
    issuer = called(top.facts.issuer)
    if len(partial) == 1 and (leaf.facts.issuer_url or leaf.issuer_organizations() & organizations):
        return Finding(
            Reason.MISSING_INTERMEDIATE,
            f"the issuer {issuer} was not sent and is no trust root{from_url(top.facts)}",
        )
    sent = "nothing but the server's certificate was sent, and" if len(partial) == 1 else ""
    return Finding(
        Reason.UNKNOWN_ISSUER,
        f"{sent} the issuer {issuer} is no trust root{from_url(top.facts)}".strip(),
    )
