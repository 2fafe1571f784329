"""A command that shows a person the same failure, ready to paste into a shell."""

from __future__ import annotations

import shlex

from probe.connection.profiles import OFFERS
from probe.connection.transport import sni
from probe.model.target import Edge
from probe.model.tls import ClientProfile, Starttls


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
