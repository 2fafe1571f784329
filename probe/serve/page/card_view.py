"""The shape of a card: what fails now for one reason, as the page and the API show it."""

from __future__ import annotations

from dataclasses import dataclass

from probe.serve.page.cause_view import CauseView


@dataclass(frozen=True, slots=True)
class CardView:
    """What fails now for one reason.

    Attributes:
        providers: through which it is seen; of ``of_providers`` that the check uses.
        everywhere: every edge of these targets fails so, through each provider that serves them.
        state: ``failing``, ``flapping``, or ``suspect`` where nothing is confirmed.
        addresses: distinct ones that fail; ``of_addresses`` is how many there are: of the targets
            when these fail everywhere, else of the provider.
        targets: names, the first ones; ``of_targets`` is how many the check's providers serve.
        suspects: targets that failed alike and are being confirmed, beyond the confirmed ones.
        example: a target that it is seen on.
        detail: what the latest attempt on it saw; ``browser`` and ``command`` likewise.
        unseen: members that failed when they were last seen, and are no longer looked at.
        unnamed: addresses that DNS no longer names.
        planned: how many of the targets a maintenance window covers now.
        clients: for which clients it fails and for which it passes; empty where one looks.
    """

    check: str
    providers: tuple[str, ...]
    of_providers: int
    everywhere: bool
    phase: str
    reason: str
    state: str
    since: float
    addresses: tuple[str, ...]
    addresses_total: int
    of_addresses: int
    targets: tuple[str, ...]
    targets_total: int
    of_targets: int
    suspects: tuple[str, ...]
    suspects_total: int
    example: str
    detail: str
    browser: str
    command: str
    unseen: int
    unseen_since: float | None
    unnamed: tuple[str, ...]
    planned: int
    clients: str
    causes: tuple[CauseView, ...]
    investigating: bool

    @property
    def confirmed(self) -> bool:
        """Failing or flapping, not merely suspect."""
        return self.state != "suspect"

    @property
    def place(self) -> str:
        """What names this card while it is there."""
        scope = "*" if self.everywhere else "/".join(self.providers)
        return "/".join(("card", self.check, scope, self.phase, self.reason))
