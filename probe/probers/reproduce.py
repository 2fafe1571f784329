"""The command to paste that shows what an attempt saw, as its client.

It is ``openssl s_client``, or ``nc`` where the check asks for no TLS.
"""

from __future__ import annotations

import shlex

from OpenSSL import SSL

from probe.connection.choices import left_out, matter_for, named, told
from probe.connection.contexts import OFFERS, Offer, offer
from probe.connection.tls import sni
from probe.model.failure import Failure, Phase, Reason
from probe.model.target import Edge
from probe.model.tls import NO_STAPLE, ClientProfile, Starttls, Trust

_WORTH_READING = (
    "err|alert|depth=|verif|Verif| s:| i:| v:|OCSP|Cert Status|New, |ALPN|Temp Key|CONNECTED"
)
"""Lines of ``openssl s_client`` that say how it ended and what was presented."""

_STAPLED = frozenset(reason for reason in Reason if reason.value.startswith("ocsp"))
"""Seen only by whoever goes on after the chain was refused."""

_NAMES = {SSL.TLS1_2_VERSION: "1_2", SSL.TLS1_3_VERSION: "1_3"}


def s_client(
    edge: Edge,
    name: str,
    profile: ClientProfile,
    starttls: Starttls | None = None,
    *,
    failure: Failure | None = None,
    trust: Trust | None = None,
) -> str:
    """Write ``openssl s_client …`` as the attempt did it.

    Args:
        edge: the address, so that DNS is not asked.
        name: server name; an IP address sends none.
        profile: its choices; a client certificate stands as a placeholder, because its files are
            not necessarily readable where the command is pasted.
        starttls: dialogue before TLS.
        failure: what it is to show; choices that do not matter for it are left out, and a chain or
            a name that is refused ends the handshake.
        trust: of the check; the roots of a file are passed on, others are the system's.
    """
    offered = offer(profile)
    matter = failure is None or matter_for(failure)
    words = ["openssl", "s_client", "-connect", edge.label]
    words += ["-servername", name] if sni(name) is not None else ["-noservername"]
    if starttls is not None:
        words += ["-starttls", starttls]
    words += _versions(offered)
    words += _choices(profile, offered, matter=matter or profile.kind not in OFFERS)
    if profile.alpn:
        words += ["-alpn", ",".join(profile.alpn)]
    words += [] if profile.kind in NO_STAPLE else ["-status"]
    words += ["-showcerts"] if failure is None else _verification(name, failure, trust)
    if failure is not None and failure.reason is Reason.CRL_REVOKED:
        words += ["-crl_check_all", "-crl_download"]
    command = shlex.join(words)
    if profile.client_certificate is not None:
        command += ' -cert "$CLIENT_CERTIFICATE" -key "$CLIENT_KEY"'
    note = told(left_out(offered)) if matter and failure is not None else ""
    return f"{note}{command} </dev/null"


def nc(edge: Edge) -> str:
    """Write ``nc -vz …``: connects to the address, and hangs up."""
    return shlex.join(["nc", "-vz", "-w", "10", edge.ip, str(edge.port)])


def worth_reading(command: str) -> str:
    """Leave out the lines of its output that tell nothing of a failure."""
    return f"{command} 2>&1 | grep -E '{_WORTH_READING}'"


def _verification(name: str, failure: Failure, trust: Trust | None) -> list[str]:
    """Judge chain and name as the attempt did, where that is what failed."""
    if failure.phase is not Phase.CERTIFICATE:
        return []
    words = ["-verify_ip" if sni(name) is None else "-verify_hostname", name]
    words += [] if failure.reason in _STAPLED else ["-verify_return_error"]
    if trust is not None and trust.file is not None:
        words += ["-no-CAstore", "-no-CApath", "-CAfile", trust.file]
    return words


def _versions(offered: Offer) -> list[str]:
    if offered.min_version == offered.max_version:
        return [f"-tls{_NAMES[offered.min_version]}"]
    return ["-min_protocol", "TLSv1.2"]


def _choices(profile: ClientProfile, offered: Offer, *, matter: bool) -> list[str]:
    """Ciphers decide for a certificate in TLS 1.2, so profiles that choose by them always do."""
    words = []
    chosen = profile.ciphers is not None or profile.kind in ("tls12-ecdsa", "tls12-rsa")
    if offered.min_version == SSL.TLS1_2_VERSION and (matter or chosen):
        words += ["-cipher", offered.ciphers]
    if offered.max_version == SSL.TLS1_3_VERSION and matter:
        words += ["-ciphersuites", offered.suites]
    if offered.groups and (matter or profile.groups):
        words += ["-groups", ":".join(named(offered.groups))]
    if offered.signatures and matter:
        words += ["-sigalgs", ":".join(named(offered.signatures))]
    return words
