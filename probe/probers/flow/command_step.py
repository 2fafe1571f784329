"""A step that runs a program: `probe.probers.command`, with a run's values and secrets."""

from __future__ import annotations

from probe.model.flow import CommandStep
from probe.probers.flow.context import Context


async def command_step(run: Context, step: CommandStep) -> None:
    """Run a program; its result goes into the run."""
    raise NotImplementedError
