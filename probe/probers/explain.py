"""What makes a failure of a TLS check findable: the error a browser shows, a command to paste.

The browser's errors are those of Chromium and its kin. In the phases connect and tls they were
compared with Chromium itself, alert by alert.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from types import MappingProxyType

from probe.connection.contexts import OFFERS
from probe.connection.tls import sni
from probe.model.failure import Failure, Phase, Reason
from probe.model.target import Edge
from probe.model.tls import ClientProfile, Starttls

_R = Reason
_VERSION_OR_CIPHER = "ERR_SSL_VERSION_OR_CIPHER_MISMATCH"
_CLIENT_CERTIFICATE = "ERR_BAD_SSL_CLIENT_AUTH_CERT"
_AUTHORITY = "ERR_CERT_AUTHORITY_INVALID"

_CONNECT: Mapping[Reason, str] = MappingProxyType(
    {
        _R.REFUSED: "ERR_CONNECTION_REFUSED",
        _R.TIMEOUT: "ERR_CONNECTION_TIMED_OUT",
        _R.RESET: "ERR_CONNECTION_RESET",
        _R.UNREACHABLE: "ERR_ADDRESS_UNREACHABLE",
    }
)
# Everything else that goes wrong in a handshake is ERR_SSL_PROTOCOL_ERROR.
_TLS: Mapping[Reason, str] = MappingProxyType(
    {
        _R.TIMEOUT: "ERR_TIMED_OUT",
        _R.RESET: "ERR_CONNECTION_RESET",
        _R.CLOSED: "ERR_CONNECTION_CLOSED",
        _R.UNREACHABLE: "ERR_ADDRESS_UNREACHABLE",
        _R.ALERT_HANDSHAKE_FAILURE: _VERSION_OR_CIPHER,
        _R.ALERT_PROTOCOL_VERSION: _VERSION_OR_CIPHER,
        _R.ALERT_INSUFFICIENT_SECURITY: _VERSION_OR_CIPHER,
        _R.PROTOCOL_REFUSED: _VERSION_OR_CIPHER,
        _R.ALERT_UNRECOGNIZED_NAME: "ERR_SSL_UNRECOGNIZED_NAME_ALERT",
        _R.ALERT_BAD_RECORD_MAC: "ERR_SSL_BAD_RECORD_MAC_ALERT",
        _R.ALERT_DECRYPT_ERROR: "ERR_SSL_DECRYPT_ERROR_ALERT",
        _R.ALERT_BAD_CERTIFICATE: _CLIENT_CERTIFICATE,
        _R.ALERT_UNSUPPORTED_CERTIFICATE: _CLIENT_CERTIFICATE,
        _R.ALERT_CERTIFICATE_REVOKED: _CLIENT_CERTIFICATE,
        _R.ALERT_CERTIFICATE_EXPIRED: _CLIENT_CERTIFICATE,
        _R.ALERT_CERTIFICATE_UNKNOWN: _CLIENT_CERTIFICATE,
        _R.ALERT_UNKNOWN_CA: _CLIENT_CERTIFICATE,
        _R.ALERT_CERTIFICATE_REQUIRED: _CLIENT_CERTIFICATE,
        _R.ALPN_MISMATCH: "",
    }
)
# What is missing here is our own expectation, and browsers show the page.
_CERTIFICATE: Mapping[Reason, str] = MappingProxyType(
    {
        _R.UNPARSABLE: "ERR_SSL_SERVER_CERT_BAD_FORMAT",
        _R.NAME_MISMATCH: "ERR_CERT_COMMON_NAME_INVALID",
        _R.DEFAULT_CERTIFICATE: "ERR_CERT_COMMON_NAME_INVALID",
        _R.EXPIRED: "ERR_CERT_DATE_INVALID",
        _R.NOT_YET_VALID: "ERR_CERT_DATE_INVALID",
        _R.SELF_SIGNED: _AUTHORITY,
        _R.UNKNOWN_ISSUER: _AUTHORITY,
        _R.MISSING_INTERMEDIATE: _AUTHORITY,
        _R.WEAK_KEY: "ERR_CERT_WEAK_KEY",
        _R.WEAK_SIGNATURE: "ERR_CERT_WEAK_SIGNATURE_ALGORITHM",
        _R.WRONG_KEY_USAGE: "ERR_SSL_KEY_USAGE_INCOMPATIBLE",
        _R.NOT_SERVER_CERTIFICATE: "ERR_CERT_INVALID",
        _R.NAME_CONSTRAINTS: "ERR_CERT_INVALID",
        _R.CHAIN_INVALID: "ERR_CERT_INVALID",
        _R.OCSP_REVOKED: "ERR_CERT_REVOKED",
    }
)


def browser_error(failure: Failure, *, issuer_url: bool = False) -> str:
    """The error a browser's page names; empty where it shows none.

    Args:
        failure: the finding that stands first.
        issuer_url: the leaf names where its issuer can be fetched. Browsers then fetch a
            missing intermediate and show the page, while most other clients fail.
    """
    if failure.ours:
        return ""
    match failure.phase:
        case Phase.RESOLVE:
            return "ERR_NAME_NOT_RESOLVED"
        case Phase.CONNECT:
            return _CONNECT.get(failure.reason, "ERR_CONNECTION_FAILED")
        case Phase.TLS:
            return _TLS.get(failure.reason, "ERR_SSL_PROTOCOL_ERROR")
        case Phase.CERTIFICATE:
            if failure.reason is Reason.MISSING_INTERMEDIATE and issuer_url:
                return ""
            return _CERTIFICATE.get(failure.reason, "")
        case _:
            return ""


def s_client(
    edge: Edge, name: str, profile: ClientProfile, starttls: Starttls | None = None
) -> str:
    """``openssl s_client …`` as the attempt did it.

    Args:
        edge: the address, so that DNS has no say.
        name: server name; an IP address sends none.
        profile: versions, ciphers, protocols; a client certificate stands as a placeholder,
            because its files are not necessarily readable where the command is pasted.
        starttls: dialogue before TLS.
    """
    words = ["openssl", "s_client", "-connect", edge.label]
    words += ["-servername", name] if sni(name) is not None else ["-noservername"]
    if starttls is not None:
        words += ["-starttls", starttls]
    words += _versions(profile)
    ciphers = profile.ciphers
    if ciphers is None and profile.kind in ("tls12-ecdsa", "tls12-rsa"):
        ciphers = OFFERS[profile.kind].ciphers
    if ciphers is not None:
        words += ["-cipher", ciphers]
    if profile.groups:
        words += ["-groups", ":".join(profile.groups)]
    if profile.alpn:
        words += ["-alpn", ",".join(profile.alpn)]
    words += ["-status", "-showcerts"]
    command = shlex.join(words)
    if profile.client_certificate is not None:
        command += ' -cert "$CLIENT_CERTIFICATE" -key "$CLIENT_KEY"'
    return f"{command} </dev/null"


def _versions(profile: ClientProfile) -> list[str]:
    if profile.kind.startswith("tls12"):
        return ["-tls1_2"]
    if profile.kind == "tls13" or profile.min_version == "TLSv1.3":
        return ["-tls1_3"]
    return []
