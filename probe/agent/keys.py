"""What the agent's jobs are keyed by."""

from __future__ import annotations

from probe.model.target import EdgeKey, FlowKey, ProviderKey

JobKey = EdgeKey | ProviderKey | FlowKey
"""An attempt on an edge, a question to a provider's DNS, or a run of a flow."""
