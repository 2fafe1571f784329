"""The stapled OCSP answer (RFC 6066 section 8, RFC 6960), against the certificate it is for."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from cryptography.hazmat.primitives import serialization
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from probe.certificates.certificate import Certificate, read
from probe.certificates.der import UNREADABLE, subject_public_key, tbs_fields
from probe.certificates.opinions import signed_by, staple_signed_by
from probe.certificates.verdict import Finding, instant
from probe.model.failure import Reason

Demand = Literal["ignore", "if_must_staple", "require"]

SKEW = 300.0
"""Seconds by which thisUpdate may lie ahead: responders' clocks differ a little from ours."""

_OCSP_SIGNING = ExtendedKeyUsageOID.OCSP_SIGNING.dotted_string
_STATUS = {
    ocsp.OCSPCertStatus.GOOD: "good",
    ocsp.OCSPCertStatus.REVOKED: "revoked",
    ocsp.OCSPCertStatus.UNKNOWN: "unknown",
}
_MOST_ANSWERS = 64
_MOST_SIGNERS = 4  # responders enclose one, and each costs a signature to check
_DER = serialization.Encoding.DER


@dataclass(frozen=True, slots=True)
class StapleJudgement:
    """What the stapled answer amounts to.

    Attributes:
        status: ``good``, ``revoked`` or ``unknown`` when it speaks of this certificate and
            its signature holds.
        boundaries: instants at which this judgement may change.
    """

    findings: tuple[Finding, ...] = ()
    status: str | None = None
    boundaries: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class _Answer:
    """A response, read: the single answer about the leaf (None: about others only)."""

    response: ocsp.OCSPResponse
    status: str | None
    this_update: float
    next_update: float
    revoked_at: float | None
    signers: tuple[Certificate, ...]


class _Unusable(Exception):
    """The response is malformed, or the responder answered with an error."""


def judge_staple(
    staple: bytes | None,
    leaf: Certificate,
    issuer: Certificate | None,
    now: float,
    demand: Demand,
) -> StapleJudgement:
    """Judge a stapled answer. Never raises, whatever the bytes are.

    Findings break the handshake of clients that insist on a staple, so they are fatal when
    the certificate must be stapled (RFC 7633) or the check requires it; most other clients
    ignore a bad staple, so they warn. A valid answer "revoked" is always fatal.

    Args:
        staple: DER; None or empty when nothing was stapled.
        leaf: the server's certificate.
        issuer: its issuer; None when unknown, and then the signature is not looked at.
        now: wall time, seconds since the epoch.
        demand: ``ignore`` reports the status and finds nothing.
    """
    insists = demand == "require" or (demand == "if_must_staple" and leaf.extensions.must_staple)
    if not staple:
        missing = Finding(Reason.OCSP_MISSING, _why_due(leaf)) if insists else None
        return StapleJudgement((missing,) if missing else ())
    try:
        answer = _read(staple, leaf, issuer)
    except _Unusable as error:
        findings: Sequence[Finding] = [Finding(Reason.OCSP_INVALID, str(error), fatal=insists)]
        return StapleJudgement(tuple(findings) if demand != "ignore" else ())
    # Without an issuer there is nothing to hold the signature against.
    signed = True if issuer is None else _signed(answer, issuer, now)
    findings = list(_findings(answer, signed, now, insists))
    return StapleJudgement(
        findings=tuple(findings) if demand != "ignore" else (),
        status=answer.status if signed else None,
        boundaries=_boundaries(answer),
    )


def _why_due(leaf: Certificate) -> str:
    if leaf.extensions.must_staple:
        return "the certificate demands a stapled OCSP answer (must-staple) and none was sent"
    return "a stapled OCSP answer is expected and none was sent"


def _findings(answer: _Answer, signed: bool | None, now: float, insists: bool) -> Iterator[Finding]:
    if answer.status is None:
        yield Finding(
            Reason.OCSP_MISMATCH, "the stapled answer is for another certificate", fatal=insists
        )
        return
    if signed is None:
        algorithm = answer.response.signature_algorithm_oid.dotted_string
        yield Finding(
            Reason.OCSP_INVALID,
            "the stapled answer is signed in a way that cannot be checked here "
            f"(algorithm {algorithm}): nothing is known for or against it",
            fatal=False,
        )
        return
    if not signed:
        yield Finding(
            Reason.OCSP_INVALID,
            "the stapled answer is signed neither by the issuer nor by a responder it appointed",
            fatal=insists,
        )
        return
    if answer.this_update > now + SKEW:
        yield Finding(
            Reason.OCSP_INVALID,
            f"the stapled answer begins at {instant(answer.this_update)}",
            fatal=insists,
        )
    if math.floor(now) > answer.next_update:
        yield Finding(
            Reason.OCSP_EXPIRED,
            f"the stapled answer ended at {instant(answer.next_update)}",
            fatal=insists,
        )
    if answer.status == "revoked":
        when = f" at {instant(answer.revoked_at)}" if answer.revoked_at is not None else ""
        yield Finding(Reason.OCSP_REVOKED, f"the issuer revoked the certificate{when}")
    elif answer.status == "unknown":
        yield Finding(
            Reason.OCSP_INVALID, "the responder does not know the certificate", fatal=insists
        )


def _boundaries(answer: _Answer) -> tuple[float, ...]:
    dates = [answer.this_update - SKEW, answer.next_update + 1]
    for signer in answer.signers:
        dates += [signer.facts.not_before, signer.facts.not_after + 1]
    return tuple(date for date in dates if math.isfinite(date))


def _read(staple: bytes, leaf: Certificate, issuer: Certificate | None) -> _Answer:
    try:
        response = ocsp.load_der_ocsp_response(staple)
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            status = response.response_status.name.lower()
            raise _Unusable(f"the responder answered {status}")
        signers = tuple(
            signer
            for signer in (
                read(c.public_bytes(_DER)) for c in response.certificates[:_MOST_SIGNERS]
            )
            if isinstance(signer, Certificate)
        )
        for _, single in zip(range(_MOST_ANSWERS), response.responses, strict=False):
            if _concerns(single, leaf, issuer):
                return _Answer(
                    response=response,
                    status=_STATUS[single.certificate_status],
                    this_update=single.this_update_utc.timestamp(),
                    next_update=single.next_update_utc.timestamp()
                    if single.next_update_utc
                    else math.inf,
                    revoked_at=single.revocation_time_utc.timestamp()
                    if single.revocation_time_utc
                    else None,
                    signers=signers,
                )
        return _Answer(response, None, -math.inf, math.inf, None, signers)
    except UNREADABLE as error:
        raise _Unusable(f"the stapled answer cannot be read: {error}"[:200]) from error


def _concerns(
    single: ocsp.OCSPSingleResponse, leaf: Certificate, issuer: Certificate | None
) -> bool:
    """Tell whether a single answer's CertID names the leaf (RFC 6960 section 4.1.1)."""
    if single.serial_number != leaf.serial:
        return False
    algorithm = single.hash_algorithm.name
    name = tbs_fields(leaf.parsed.tbs_certificate_bytes)[2]
    if single.issuer_name_hash != hashlib.new(algorithm, name).digest():
        return False
    if issuer is None:
        return True
    key = subject_public_key(issuer.parsed.tbs_certificate_bytes)
    return single.issuer_key_hash == hashlib.new(algorithm, key).digest()


def _signed(answer: _Answer, issuer: Certificate, now: float) -> bool | None:
    """Tell whether the issuer or a responder it appointed signed (RFC 6960 section 4.2.2.2).

    None when no signature holds and that of one of them cannot be computed here.
    """
    appointed = (
        signer
        for signer in answer.signers
        if signer.purposes is not None
        and _OCSP_SIGNING in signer.purposes
        and signer.facts.not_before <= math.floor(now) <= signer.facts.not_after
        and signed_by(signer, issuer)
    )
    unknown = False
    for signer in (issuer, *appointed):
        by_this = staple_signed_by(answer.response, signer)
        if by_this:
            return True
        unknown = unknown or by_this is None
    return None if unknown else False
