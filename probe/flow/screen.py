"""Keeps the agent's secrets out of what servers present in handshakes. Pure.

A certificate is a text of its server's making, and a server that got a token can write it there.
Names of certificates become labels of metrics, so that is looked at before anybody keeps a result.
"""

from __future__ import annotations

from dataclasses import replace

from probe.flow.known import KnownSecrets
from probe.flow.redact import withheld
from probe.model.failure import Failure
from probe.model.result import CertificateFacts, Handshake, Outcome, changed


class Screen:
    """Withholds what shows a secret of any check of the agent.

    Names are looked at as they stand, in any case and with anything between their letters, which
    costs some microseconds a handshake. Encodings are not undone there.

    Args:
        known: what all checks know.
    """

    def __init__(self, known: KnownSecrets) -> None:
        self._known = known

    def handshake(self, shaken: Handshake | None, public: tuple[bytes, ...]) -> Handshake | None:
        """Withhold the names of each certificate that shows a secret.

        Args:
            shaken: what was presented, if anything.
            public: what is no secret though one may hold it, as `probe.flow.known.public_of` gives.
        """
        if shaken is None or not len(self._known):
            return shaken
        names = tuple(map(_names, shaken.chain))
        if not self._known.stands("\n".join(names), public):
            return shaken
        chain = tuple(
            _nameless(one) if self._known.stands(text, public) else one
            for one, text in zip(shaken.chain, names, strict=True)
        )
        return replace(shaken, chain=chain)

    def outcome(self, outcome: Outcome, public: tuple[bytes, ...]) -> Outcome:
        """Withhold each detail of an outcome that shows a secret."""

        def hidden(failure: Failure) -> Failure:
            detail = failure.detail
            near = self._known.near(detail, public)
            return replace(failure, detail=withheld(detail)) if near else failure

        return changed(outcome, hidden) if len(self._known) else outcome


def _names(one: CertificateFacts) -> str:
    return "\n".join((one.subject, one.issuer, one.issuer_url or "", *one.dns_names))


def _nameless(one: CertificateFacts) -> CertificateFacts:
    said = withheld("\n".join(one.dns_names))
    return replace(
        one,
        subject=withheld(one.subject),
        issuer=withheld(one.issuer),
        issuer_url=None,
        dns_names=(said,) if one.dns_names else (),
    )
