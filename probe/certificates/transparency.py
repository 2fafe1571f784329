"""Signed certificate timestamps (RFC 6962): how many there are, and whether they are enough.

Browsers demand them of certificates that public authorities issue, in the certificate, in the
stapled OCSP answer or in an extension of the handshake. The last is not looked at: OpenSSL asks
for it only when it judges the timestamps itself, which the bindings do not offer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key
from cryptography.x509 import ocsp
from cryptography.x509.certificate_transparency import LogEntryType, SignedCertificateTimestamp

from probe.certificates.certificate import Certificate
from probe.certificates.der import TIMESTAMPS, UNREADABLE
from probe.certificates.verdict import Finding, clip, instant
from probe.documents.log_list import LogList, TransparencyLog
from probe.model.failure import Reason
from probe.model.result import CertificateFacts, Timestamps

_SHORT_LIFETIME = 180 * 86_400
_MOST = 32
"""Timestamps that are looked at: authorities embed two to four, and each may cost a signature."""

_LEAST_OPERATORS = 2


@dataclass(frozen=True, slots=True)
class TransparencyJudgement:
    """What the timestamps amount to.

    Attributes:
        boundaries: instants at which this may change.
    """

    timestamps: Timestamps
    findings: tuple[Finding, ...] = ()
    boundaries: tuple[float, ...] = ()


@dataclass(slots=True)
class _Counted:
    """Timestamps that count, by the id of their log."""

    logs: dict[bytes, TransparencyLog | None] = field(default_factory=dict)
    bad: list[str] = field(default_factory=list)
    ahead: list[float] = field(default_factory=list)
    unknown: int = 0


def needed(facts: CertificateFacts, *, stapled: bool) -> int:
    """Return from how many distinct logs timestamps must come.

    By the policies of Chrome and Apple (both as of 2026): two for a lifetime of up to 180 days,
    notAfter included, else three; two when any of them came with the staple.
    """
    lifetime = facts.not_after - facts.not_before + 1
    return 2 if stapled or lifetime <= _SHORT_LIFETIME else 3


def judge_timestamps(
    leaf: Certificate,
    issuer: Certificate | None,
    staple: bytes | None,
    now: float,
    *,
    demand: Literal["warn", "require"],
    logs: LogList | None,
) -> TransparencyJudgement:
    """Count timestamps, check those of known logs, and hold them against browsers' policies.

    Too few is a failure only where the check requires it, and only when the authority does
    deliver timestamps in the certificate or staple: one that delivers none may leave it to the
    extension of the handshake, which is not looked at.

    Args:
        leaf: the server's certificate, which verifies to a public root.
        issuer: its issuer.
        staple: a stapled OCSP answer that is about this leaf and holds, or None.
        now: wall time, seconds since the epoch.
        demand: whether too few fail or warn.
        logs: of the user's list; None counts timestamps of any log, without checking them.
    """
    embedded, stapled, counted = _embedded(leaf), _stapled(staple), _Counted()
    for one in (*embedded, *stapled):
        if logs is None:
            counted.logs[one.log_id] = None
        elif one.log_id not in counted.logs:
            _check(one, counted, logs, now, _entry(one, leaf, issuer))
    wanted = needed(leaf.facts, stapled=bool(stapled))
    seen = Timestamps(len(embedded), len(stapled), len(counted.logs), wanted, logs is not None)
    findings = [
        *_invalid(counted, lost=TIMESTAMPS in leaf.extensions.unreadable),
        *_too_few(seen, counted, logs, fatal=demand == "require" and bool(embedded or stapled)),
    ]
    return TransparencyJudgement(_shared(seen), tuple(findings), tuple(counted.ahead))


@lru_cache(maxsize=256)
def _shared(timestamps: Timestamps) -> Timestamps:
    """One object for all equal ones: thousands of verdicts say the same."""
    return timestamps


def _embedded(leaf: Certificate) -> Sequence[SignedCertificateTimestamp]:
    """Return the timestamps in the certificate (RFC 6962 section 3.3)."""
    found = leaf.extensions.get(x509.PrecertificateSignedCertificateTimestamps)
    return () if found is None else list(found)[:_MOST]


def _stapled(staple: bytes | None) -> Sequence[SignedCertificateTimestamp]:
    """Return the timestamps in a stapled answer (RFC 6962 section 3.3)."""
    if not staple:
        return ()
    try:
        extensions = ocsp.load_der_ocsp_response(staple).single_extensions
        found = extensions.get_extension_for_class(x509.SignedCertificateTimestamps).value
        return list(found)[:_MOST]
    except (x509.ExtensionNotFound, *UNREADABLE):
        return ()


def _check(
    one: SignedCertificateTimestamp, counted: _Counted, logs: LogList, now: float, entry: bytes
) -> None:
    """Count a timestamp that is of an approved log and holds, or note why not."""
    log, at = logs.get(one.log_id), _milliseconds(one) / 1000
    if log is None or at >= log.approved_until:
        counted.unknown += 1
    elif at > now:
        counted.ahead.append(at)
        counted.bad.append(f"that of {clip(log.name)} is of {instant(at)}, in the future")
    elif not entry or not _holds(one, log, entry):
        counted.bad.append(f"the signature of {clip(log.name)} does not hold")
    else:
        counted.logs[one.log_id] = log


_EPOCH = datetime(1970, 1, 1)


def _milliseconds(one: SignedCertificateTimestamp) -> int:
    """Return its time since the epoch, as it is signed."""
    since = one.timestamp - _EPOCH
    return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000


def _entry(one: SignedCertificateTimestamp, leaf: Certificate, issuer: Certificate | None) -> bytes:
    """Return what the log signed of the certificate; empty when that cannot be made up.

    As RFC 6962 section 3.2 has it: the certificate, or what the authority sent before it was
    issued, without the timestamps, and with the issuer's key.
    """
    if one.entry_type is LogEntryType.X509_CERTIFICATE:
        return _sized(leaf.der, 3)
    if issuer is None:
        return b""
    try:
        tbs = leaf.parsed.tbs_precertificate_bytes
    except UNREADABLE:
        return b""
    return bytes.fromhex(issuer.facts.spki_sha256) + _sized(tbs, 3)


def _sized(data: bytes, octets: int) -> bytes:
    return len(data).to_bytes(octets, "big") + data


def _holds(one: SignedCertificateTimestamp, log: TransparencyLog, entry: bytes) -> bool:
    """Tell whether the log's key made the signature: ECDSA or RSA, with SHA-256 (section 2.1.4)."""
    signed = b"".join(
        (
            b"\0\0",  # version 1, certificate_timestamp
            _milliseconds(one).to_bytes(8, "big"),
            one.entry_type.value.to_bytes(2, "big"),
            entry,
            _sized(one.extension_bytes, 2),
        )
    )
    try:
        match load_der_public_key(log.key):
            case ec.EllipticCurvePublicKey() as key:
                key.verify(one.signature, signed, ec.ECDSA(hashes.SHA256()))
            case rsa.RSAPublicKey() as key:
                key.verify(one.signature, signed, padding.PKCS1v15(), hashes.SHA256())
            case _:
                return False
    except (InvalidSignature, *UNREADABLE):
        return False
    return True


def _invalid(counted: _Counted, *, lost: bool) -> Iterator[Finding]:
    if lost:
        detail = "the Certificate Transparency timestamps in the certificate cannot be read"
        yield Finding(Reason.SCT_INVALID, detail, fatal=False)
    if counted.bad:
        more = f" and {len(counted.bad) - 1} more" if len(counted.bad) > 1 else ""
        yield Finding(
            Reason.SCT_INVALID,
            f"a Certificate Transparency timestamp is not valid: {counted.bad[0]}{more}",
            fatal=False,
        )


def _too_few(
    seen: Timestamps, counted: _Counted, logs: LogList | None, *, fatal: bool
) -> Iterator[Finding]:
    why = f"{seen.logs} of distinct logs count, and browsers need {seen.needed}"
    if seen.logs >= seen.needed:
        why = "" if logs is None else _one_sided(counted, logs)
    if not why:
        return
    unknown = f" ({counted.unknown} of logs that the list does not approve)"
    yield Finding(
        Reason.TOO_FEW_SCTS,
        f"timestamps of Certificate Transparency: {seen.embedded} in the certificate, "
        f"{seen.stapled} in the staple; {why}{unknown if counted.unknown else ''}; "
        "the extension of the handshake, which may carry more, is not looked at",
        fatal=fatal,
    )


def _one_sided(counted: _Counted, logs: LogList) -> str:
    """Return what the policies miss in enough timestamps of known logs; empty for nothing."""
    known = [log for log in counted.logs.values() if log is not None]
    if not any(log.current for log in known):
        return "all that count are of retired logs, and browsers need one of a log in use"
    if len({log.operator for log in known}) < _LEAST_OPERATORS:
        return "all that count are of one operator, and browsers need two"
    old_kind = any(not log.tiled and log.current for log in logs.values())
    if old_kind and all(log.tiled for log in known):
        return "all that count are of tiled logs, and browsers need one of RFC 6962"
    return ""
