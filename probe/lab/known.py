"""Every secret of the lab: what no log, metric, page or error may ever show."""

from __future__ import annotations

from probe.lab import oauth
from probe.lab.platform import IDENTITIES

SECRETS: tuple[str, ...] = (
    oauth.CLIENT_SECRET,
    oauth.FIRST_REFRESH_TOKEN,
    oauth.PASSWORD,
    oauth.API_KEY,
    oauth.FIXED_TOKEN,
    *(identity.apptoken for identity in IDENTITIES.values()),
)


def shown_in(text: str) -> tuple[str, ...]:
    """Those that a text shows."""
    return tuple(secret for secret in SECRETS if secret in text)
