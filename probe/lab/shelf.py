"""Server contexts, made on first use and kept: one per name and way of presenting it."""

from __future__ import annotations

from dataclasses import dataclass, field

from OpenSSL import SSL

from probe.lab.ca import Pki
from probe.lab.chains import default_certificate
from probe.lab.faults.kinds import Chain, Negotiation, Tickets
from probe.lab.terminator import HEALTHY, TlsSettings, make_context

_MOST_CONTEXTS = 4000


@dataclass(slots=True)
class Shelf:
    """All contexts of a lab.

    Attributes:
        with_rsa: whether healthy edges hold an RSA certificate beside the ECDSA one.
    """

    pki: Pki
    with_rsa: bool = True
    _contexts: dict[tuple[str, str, object], SSL.Context] = field(default_factory=dict)

    def context(
        self, name: str, fault: Chain | Negotiation | Tickets | None = None, edge: str = ""
    ) -> SSL.Context:
        """The context for a name as a fault, or nothing, wants it. It holds the ticket keys."""
        own = isinstance(fault, Tickets) and fault.own_keys
        key = (name, edge if own else "", fault)
        found = self._contexts.get(key)
        if found is None:
            if len(self._contexts) >= _MOST_CONTEXTS:
                self._contexts.clear()
            found = self._contexts[key] = self._make(name, fault)
        return found

    def _make(self, name: str, fault: Chain | Negotiation | Tickets | None) -> SSL.Context:
        settings = fault.settings if isinstance(fault, Negotiation) else HEALTHY
        if isinstance(fault, Tickets):
            settings = TlsSettings(tickets=True)
        if isinstance(fault, Chain):
            return make_context([fault.make(self.pki, name)], settings)
        if not name:
            return make_context([default_certificate(self.pki, name)], settings)
        kinds = fault.kinds if isinstance(fault, Negotiation) else self._healthy_kinds()
        return make_context([self.pki.credential(name, kind) for kind in kinds], settings)

    def _healthy_kinds(self) -> tuple[str, ...]:
        return ("ecdsa", "rsa") if self.with_rsa else ("ecdsa",)
