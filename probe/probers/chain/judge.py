"""The judge: one call per handshake, microseconds when chain and name were seen before."""

from __future__ import annotations

from collections.abc import Sequence

from probe.model.tls import ChainExpectations, Trust
from probe.probers.chain.verdict import Verdict


class Judge:
    """Judges presented chains and remembers its verdicts as long as they hold.

    Share one between all checks, profiles and flows; it keeps no clock and reads trust
    roots on first use (or earlier, with ``prepare``).
    """

    def prepare(self, trust: Trust) -> None:
        """Read trust roots now, so that the first handshake need not wait for them.

        Raises:
            TrustError: they cannot be read.
        """
        raise NotImplementedError

    def judge(
        self,
        chain: Sequence[bytes],
        name: str,
        now: float,
        *,
        trust: Trust,
        expect: ChainExpectations,
        staple: bytes | None = None,
        own_names: tuple[str, ...] = (),
    ) -> Verdict:
        """Judge what a server presented. Never raises for anything that a server can send.

        Args:
            chain: DER certificates in the order sent; the server's own first.
            name: what the client asked for: a DNS name (A-labels) or an IP address.
            now: wall time, seconds since the epoch.
            trust: which roots verify.
            expect: what the chain must be beyond valid.
            staple: the stapled OCSP answer (RFC 6066); None or empty when there was none.
            own_names: patterns of the provider's own names (``Provider.own_names``).

        Returns:
            all findings. When the trust roots cannot be read, a verdict whose one failure
            is ``LOCAL_RESOURCE``: ours, so the attempt is inconclusive.
        """
        raise NotImplementedError
