"""What the agent's jobs are keyed by."""

from __future__ import annotations

from typing import Final

from probe.model.target import EdgeKey, FlowKey, ProviderKey

JobKey = EdgeKey | ProviderKey | FlowKey
"""An attempt on an edge, a question to a provider's DNS, or a run of a flow."""

_RESOLVING = ":resolve"


def resolving(check: str) -> str:
    """The runner's group for the DNS questions of a check: they have lanes of their own."""
    return check + _RESOLVING


def check_of(group: str) -> str:
    """The check that a group of the runner works for."""
    return group.removesuffix(_RESOLVING)


UNLISTED: Final = ""
"""The list of flows that have no target list: each is a target of its check's name."""
