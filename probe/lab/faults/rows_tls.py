"""Rows of the fault table: how an edge negotiates, and what it presents."""

from __future__ import annotations

from probe.lab import chains
from probe.lab.faults import wire
from probe.lab.faults.kinds import Chain, Negotiation, Tickets
from probe.lab.faults.row import Given, Row
from probe.lab.terminator import TlsSettings
from probe.model.failure import Phase, Reason


def _chain(
    make: chains.ChainMaker,
    reason: Reason | None,
    given: Given = Given.DEFAULT,
    *,
    warning: bool = False,
) -> Row:
    phase = None if reason is None else Phase.CERTIFICATE
    return Row(make.__name__, Chain(make), phase, reason, given, warning)


_OLD_TLS = Negotiation(TlsSettings(min_version="TLSv1", max_version="TLSv1", ciphers="ALL"))
_NO_OVERLAP = Negotiation(TlsSettings(max_version="TLSv1.2", ciphers="AECDH-AES256-SHA"))
_NO_ALPN = Negotiation(TlsSettings(alpn=()))
_NO_RSA = Negotiation(TlsSettings(), ("ecdsa",))
_OLD_RSA = Negotiation(TlsSettings(), ("ecdsa", "older-rsa"))
_NO_ECDSA = Negotiation(TlsSettings(), ("rsa",))
_NO_POST_QUANTUM = Negotiation(TlsSettings(groups=("X25519", "P-256", "P-384")))
_POST_QUANTUM_ALONE = Negotiation(TlsSettings(groups=("X25519MLKEM768",)))

NEGOTIATION: tuple[Row, ...] = (
    Row("tls10_only", _OLD_TLS, Phase.TLS, Reason.ALERT_PROTOCOL_VERSION),
    Row("no_shared_cipher", _NO_OVERLAP, Phase.TLS, Reason.ALERT_HANDSHAKE_FAILURE),
    Row("no_alpn", _NO_ALPN, None, None),
    Row("no_alpn", _NO_ALPN, Phase.TLS, Reason.ALPN_MISMATCH, Given.ALPN),
    Row("no_alpn", _NO_ALPN, Phase.TLS, Reason.ALPN_NOT_SERVED, Given.RECORDS, warning=True),
    Row("no_rsa_twin", _NO_RSA, None, None),
    Row("no_rsa_twin", _NO_RSA, Phase.TLS, Reason.ALERT_HANDSHAKE_FAILURE, Given.RSA_CLIENT),
    Row("stale_rsa_twin", _OLD_RSA, None, None),
    Row("stale_rsa_twin", _OLD_RSA, None, None, Given.NOT_BEFORE),
    Row(
        "stale_rsa_twin",
        _OLD_RSA,
        Phase.CERTIFICATE,
        Reason.OLDER_THAN_EXPECTED,
        Given.RSA_NOT_BEFORE,
    ),
    Row("no_ecdsa_twin", _NO_ECDSA, None, None),
    Row("no_ecdsa_twin", _NO_ECDSA, Phase.TLS, Reason.ALERT_HANDSHAKE_FAILURE, Given.ECDSA_CLIENT),
    Row("no_post_quantum", _NO_POST_QUANTUM, None, None),
    Row(
        "no_post_quantum",
        _NO_POST_QUANTUM,
        Phase.TLS,
        Reason.ALERT_HANDSHAKE_FAILURE,
        Given.POST_QUANTUM,
    ),
    Row("post_quantum_alone", _POST_QUANTUM_ALONE, None, None),
    Row(
        "post_quantum_alone",
        _POST_QUANTUM_ALONE,
        Phase.TLS,
        Reason.ALERT_HANDSHAKE_FAILURE,
        Given.ANDROID,
    ),
    Row("p521_key", Chain(chains.p521_key), Phase.TLS, Reason.ALERT_HANDSHAKE_FAILURE),
    _chain(chains.p521_key, Reason.WEAK_KEY, Given.JAVA, warning=True),
    Row("wrong_key", Chain(chains.wrong_key), Phase.TLS, Reason.BAD_SIGNATURE),
    Row("absurd_chain", Chain(chains.absurd_chain), Phase.TLS, Reason.HANDSHAKE_TOO_LARGE),
)

TICKETS: tuple[Row, ...] = (
    Row("tickets", Tickets(), None, None, Given.RESUMPTION),
    Row("tickets_of_own_keys", Tickets(own_keys=True), None, None, Given.RESUMPTION),
    *(
        Row(f"tickets_{name}", Tickets(act), phase, reason, given)
        for name, act in (
            ("refused_with_alert", wire.alert(wire.ALERTS[Reason.ALERT_DECRYPT_ERROR])),
            ("met_with_silence", wire.silence),
            ("met_with_close", wire.close),
            ("met_with_reset", wire.reset),
        )
        for phase, reason, given in (
            (None, None, Given.DEFAULT),
            (Phase.TLS, Reason.RESUMPTION_FAILED, Given.RESUMPTION),
        )
    ),
)

CHAINS: tuple[Row, ...] = (
    _chain(chains.expired, Reason.EXPIRED),
    _chain(chains.expired_issuer, Reason.EXPIRED),
    _chain(chains.not_yet_valid, Reason.NOT_YET_VALID),
    _chain(chains.expires_soon, Reason.EXPIRES_SOON, warning=True),
    _chain(chains.stale, None),
    _chain(chains.stale, Reason.OLDER_THAN_EXPECTED, Given.NOT_BEFORE),
    _chain(chains.stale, Reason.UNEXPECTED_FINGERPRINT, Given.FINGERPRINTS),
    _chain(chains.wrong_name, Reason.NAME_MISMATCH),
    _chain(chains.default_certificate, Reason.NAME_MISMATCH),
    _chain(chains.default_certificate, Reason.DEFAULT_CERTIFICATE, Given.OWN_NAMES),
    _chain(chains.self_signed, Reason.SELF_SIGNED),
    _chain(chains.unknown_issuer, Reason.UNKNOWN_ISSUER),
    _chain(chains.missing_intermediate, Reason.MISSING_INTERMEDIATE),
    _chain(chains.wrong_order, Reason.WRONG_ORDER, warning=True),
    _chain(chains.superfluous, Reason.SUPERFLUOUS, warning=True),
    _chain(chains.long_chain, Reason.CHAIN_TOO_LONG),
    _chain(chains.other_issuer, None),
    _chain(chains.other_issuer, Reason.UNEXPECTED_ISSUER, Given.ISSUERS),
    _chain(chains.outside_constraints, Reason.NAME_CONSTRAINTS),
    _chain(chains.forged_leaf, Reason.CHAIN_INVALID),
    _chain(chains.weak_key, Reason.WEAK_KEY),
    _chain(chains.weak_signature, Reason.WEAK_SIGNATURE),
    _chain(chains.wrong_key_usage, Reason.WRONG_KEY_USAGE),
    _chain(chains.client_certificate, Reason.NOT_SERVER_CERTIFICATE),
    _chain(chains.unparsable, Reason.UNPARSABLE),
    _chain(chains.ocsp_good, None),
    _chain(chains.ocsp_missing, Reason.OCSP_MISSING),
    _chain(chains.ocsp_expired, Reason.OCSP_EXPIRED, Given.OCSP),
    _chain(chains.ocsp_revoked, Reason.OCSP_REVOKED),
    _chain(chains.ocsp_mismatch, Reason.OCSP_MISMATCH, Given.OCSP),
    _chain(chains.ocsp_forged, Reason.OCSP_INVALID, Given.OCSP),
    _chain(chains.ocsp_try_later, Reason.OCSP_INVALID, Given.OCSP),
    _chain(chains.logged, None, Given.LOGS),
    _chain(chains.logged_once, None),
    _chain(chains.logged_once, Reason.TOO_FEW_SCTS, Given.PUBLIC, warning=True),
    _chain(chains.logged_once, Reason.TOO_FEW_SCTS, Given.LOGGED),
    _chain(chains.forged_timestamp, None, Given.PUBLIC),
    _chain(chains.forged_timestamp, Reason.SCT_INVALID, Given.LOGS, warning=True),
    _chain(chains.crl_good, None),
    _chain(chains.crl_revoked, Reason.CRL_REVOKED),
    _chain(chains.crl_expired, Reason.CRL_EXPIRED, warning=True),
    _chain(chains.crl_unavailable, Reason.CRL_UNAVAILABLE, warning=True),
    _chain(chains.crl_forged, Reason.CRL_INVALID, warning=True),
)
