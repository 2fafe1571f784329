"""Asks each edge for its RSA certificate too, so that a gate sees every key type. Pure.

An edge can hold two certificates of a domain, and shows a client one of them. Most clients are
shown ECDSA; others find that the RSA one is old, or missing. So a gate asks each edge once with
``tls12-rsa`` besides the check's own profiles. A provider without RSA refuses that on all its
edges, and nothing is wrong. Once one edge answers, all must.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from probe.model.failure import Failure, Phase, Reason
from probe.model.result import Failed, Result, TlsResult
from probe.model.spec import Check, TlsCheck
from probe.model.target import ProviderKey
from probe.model.tls import ClientProfile
from probe.report import ReportRow, RowVerdict

_KIND: Final = "tls12-rsa"
_REFUSALS = frozenset(
    {
        Reason.ALERT_HANDSHAKE_FAILURE,
        Reason.ALERT_INSUFFICIENT_SECURITY,
        Reason.ALERT_PROTOCOL_VERSION,
        Reason.PROTOCOL_REFUSED,
        Reason.CIPHER_REFUSED,
        Reason.CLOSED,  # some servers have no alert for "no cipher in common"
        Reason.RESET,
    }
)
_NO_TLS12 = frozenset({Reason.ALERT_PROTOCOL_VERSION, Reason.PROTOCOL_REFUSED})
_SHOWN = 4


def rsa_profile(check: Check) -> ClientProfile | None:
    """Return the profile that asks for RSA alone; None where the check has one, or is a flow."""
    if not isinstance(check, TlsCheck) or any(one.kind == _KIND for one in check.profiles):
        return None
    names = {one.name for one in check.profiles}
    name = _KIND if _KIND not in names else f"{_KIND}-asked"
    first = check.profiles[0]
    certificate = first.client_certificate
    return ClientProfile(name, _KIND, first.alpn, client_certificate=certificate)


@dataclass(frozen=True, slots=True)
class KeyTypes:
    """The profiles that are asked besides, and what their answers mean.

    Attributes:
        asked: by check; empty outside a gate.
        pinned: checks with a profile that asks for ECDSA alone.
    """

    asked: Mapping[str, ClientProfile]
    pinned: frozenset[str] = frozenset()

    @classmethod
    def of(cls, checks: Iterable[Check]) -> KeyTypes:
        """Ask for RSA what the checks do not ask for it themselves."""
        tls = [check for check in checks if isinstance(check, TlsCheck)]
        found = {check.name: profile for check in tls if (profile := rsa_profile(check))}
        ecdsa = {one.name for one in tls if any(p.kind == "tls12-ecdsa" for p in one.profiles)}
        return cls(found, frozenset(ecdsa))

    def besides(self, result: Result) -> bool:
        """Whether a result is of a profile that the check does not have itself."""
        if not isinstance(result, TlsResult):
            return False
        profile = self.asked.get(result.key.check)
        return profile is not None and result.key.client == profile.name

    def refused(self, result: Result) -> bool:
        """Whether an edge declined RSA as a server without such a certificate does."""
        match result:
            case TlsResult(outcome=Failed(failure)) if self.besides(result):
                return failure.phase is Phase.TLS and failure.reason in _REFUSALS
        return False

    def judged(self, results: Sequence[Result]) -> list[Result]:
        """Leave out refusals of RSA where no edge of the provider has it; explain the others."""
        answered: dict[ProviderKey, list[str]] = defaultdict(list)
        for one in results:
            if isinstance(one, TlsResult) and self.besides(one) and one.handshake is not None:
                answered[one.key.through].append(one.key.edge)
        kept: list[Result] = []
        for result in results:
            if isinstance(result, TlsResult) and self.besides(result):
                others = answered.get(result.key.through, [])
                if self.refused(result) and not others:
                    continue
                kept.append(_explained(result, others))
            else:
                kept.append(result)
        return kept

    def unchecked(self, results: Sequence[Result]) -> list[ReportRow]:
        """Say which certificates were not looked at, a row for each target and provider."""
        tls = [one for one in results if isinstance(one, TlsResult)]
        rows = [*self._without_rsa(tls), *self._without_ecdsa(tls)]
        return sorted(rows, key=lambda row: (row.check, row.target, row.provider, row.what))

    def _without_rsa(self, results: Sequence[TlsResult]) -> Iterator[ReportRow]:
        groups: dict[ProviderKey, list[TlsResult]] = defaultdict(list)
        for result in results:
            if self.besides(result):
                groups[result.key.through].append(result)
        for through, group in groups.items():
            reasons = Counter(
                one.outcome.failure.reason
                for one in group
                if isinstance(one.outcome, Failed) and self.refused(one)
            )
            if not reasons or any(one.handshake is not None for one in group):
                continue
            count = reasons.total()
            edges = f"all {count} edges" if count == len(group) > 1 else _edges(count, len(group))
            said = f"RSA is refused by {edges}: no RSA certificate was there to check"
            if reasons.keys() & _NO_TLS12:
                said += "; they refuse TLS 1.2, and RSA over TLS 1.3 was not asked for"
            what = self.asked[through.check].name
            (reason, _), *_ = reasons.most_common(1)
            yield _row(through, what, said, Phase.TLS.value, reason.value)

    def _without_ecdsa(self, results: Sequence[TlsResult]) -> Iterator[ReportRow]:
        shown: dict[ProviderKey, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for result in results:
            leaf = None if result.handshake is None else result.handshake.leaf
            if leaf is not None and result.key.check in self.asked.keys() - self.pinned:
                shown[result.key.through][result.key.edge].add(leaf.key_type)
        for through, edges in shown.items():
            without = sorted(edge for edge, types in edges.items() if "ecdsa" not in types)
            if without:
                named = ", ".join(without[:_SHOWN]) + (" …" if len(without) > _SHOWN else "")
                said = (
                    f"ECDSA was not asked for, and {_edges(len(without), len(edges))} showed none "
                    f"({named}): the profile tls12-ecdsa asks for it"
                )
                yield _row(through, "tls12-ecdsa", said)


def _edges(count: int, total: int) -> str:
    return f"{count} of {total} edge{'s' if total != 1 else ''}"


def _explained(result: TlsResult, answering: Sequence[str]) -> TlsResult:
    """Add to a failure under RSA why it matters, and what to do if nothing is wrong."""
    if not isinstance(result.outcome, Failed):
        return result
    failure, edge = result.outcome.failure, result.key.edge
    others = [one for one in answering if one != edge]
    if result.handshake is None and others:
        said = f"{len(others)} other edges answer RSA, for example {others[0]}"
        if len(others) == 1:
            said = f"another edge answers RSA: {others[0]}"
    elif failure.reason is Reason.UNEXPECTED_FINGERPRINT:
        said = (
            "this is the RSA certificate; if it is right too, name it with one more "
            "--expect-fingerprint"
        )
    else:
        return result
    detail = f"{failure.detail}; {said}" if failure.detail else said
    explained = Failure(failure.phase, failure.reason, detail)
    return replace(result, outcome=replace(result.outcome, failure=explained))


def _row(
    through: ProviderKey, what: str, said: str, phase: str = "", reason: str = ""
) -> ReportRow:
    return ReportRow(
        *through,
        edge="",
        what=what,
        verdict=RowVerdict.SKIPPED,
        phase=phase,
        reason=reason,
        notes=(said,),
    )
