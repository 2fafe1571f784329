"""What runs when (pure), and the runner that sleeps and calls."""

from probe.schedule.jobs import Counts, Defect, DefectKind, Job, Start
from probe.schedule.plan import FIRST, Due, Plan
from probe.schedule.ring import WHOLE, Ring, Shard, ShardError
from probe.schedule.runner import Runner

__all__ = [
    "FIRST",
    "WHOLE",
    "Counts",
    "Defect",
    "DefectKind",
    "Due",
    "Job",
    "Plan",
    "Ring",
    "Runner",
    "Shard",
    "ShardError",
    "Start",
]
