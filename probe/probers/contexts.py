"""TLS contexts: one per distinct setting, shared by all attempts; never one per attempt.

This is the only file where OpenSSL's certificate verification is off. Every presented chain is
judged after the handshake (`probe.probers.chain`), so that a rejected chain still yields its
facts; a caller that sends credentials must have that verdict before its first byte. OpenSSL
still proves that the edge holds the key of the certificate it shows.
"""

from __future__ import annotations

from collections.abc import Callable

from OpenSSL import SSL

from probe.model.secret import Secret, SecretRef
from probe.model.tls import ClientProfile

ReadSecret = Callable[[SecretRef], Secret]


class Contexts:
    """Builds and keeps contexts.

    Args:
        secrets: reads a secret; raises `probe.model.secret.SecretError`.
    """

    def __init__(self, secrets: ReadSecret) -> None:
        self._secrets = secrets
        self._kept: dict[object, SSL.Context] = {}

    def get(self, profile: ClientProfile) -> SSL.Context:
        """The context for a profile.

        Raises:
            AttemptFailed: inconclusive; a client certificate that is missing or unusable.
        """
        raise NotImplementedError(profile)
