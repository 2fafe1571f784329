"""What makes a failure of a TLS check findable: the error a browser shows, a command to paste.

The browser's errors are those of Chromium and its kin, from ``model/reasons.toml``. In the phases
connect and tls they were compared with Chromium itself, alert by alert.
"""

from __future__ import annotations

import shlex

from probe.connection.contexts import offer
from probe.connection.tls import sni
from probe.model.failure import Failure, Phase, Reason
from probe.model.reasons import error_in_browser
from probe.model.target import Edge
from probe.model.tls import ClientProfile, Starttls

_PLAIN = {
    Reason.ALERT_CERTIFICATE_REQUIRED,
    Reason.ALERT_NO_APPLICATION_PROTOCOL,
    Reason.ALERT_PROTOCOL_VERSION,
    Reason.ALERT_UNRECOGNIZED_NAME,
}
"""Alerts with a cause of their own: other signature algorithms meet them too."""


def browser_error(failure: Failure, *, issuer_url: bool = False) -> str:
    """Name the error on a browser's page; empty where it shows none.

    Args:
        failure: the finding that stands first.
        issuer_url: the leaf names where its issuer can be fetched. Browsers then fetch a
            missing intermediate and show the page, while most other clients fail.
    """
    if failure.ours or (issuer_url and failure.reason is Reason.MISSING_INTERMEDIATE):
        return ""
    return error_in_browser(failure.phase, failure.reason)


def s_client(
    edge: Edge,
    name: str,
    profile: ClientProfile,
    starttls: Starttls | None = None,
    *,
    failure: Failure | None = None,
) -> str:
    """Write ``openssl s_client …`` as the attempt did it.

    Args:
        edge: the address, so that DNS is not asked.
        name: server name; an IP address sends none.
        profile: versions, ciphers, protocols; a client certificate stands as a placeholder,
            because its files are not necessarily readable where the command is pasted.
        starttls: dialogue before TLS.
        failure: what it is to show; the signature algorithms are left out where they do not matter.
    """
    offered = offer(profile)
    plain = failure is not None and (failure.phase is not Phase.TLS or failure.reason in _PLAIN)
    words = ["openssl", "s_client", "-connect", edge.label]
    words += ["-servername", name] if sni(name) is not None else ["-noservername"]
    if starttls is not None:
        words += ["-starttls", starttls]
    words += _versions(profile)
    if profile.ciphers is not None or profile.kind in ("tls12-ecdsa", "tls12-rsa"):
        words += ["-cipher", offered.ciphers]
    if profile.groups:
        words += ["-groups", ":".join(profile.groups)]
    if offered.signatures and not plain:
        words += ["-sigalgs", ":".join(offered.signatures)]
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
