"""What runs when (pure), and the runner that sleeps and calls."""

from probe.schedule.jobs import Counts, Defect, DefectKind, Job, Start
from probe.schedule.plan import Due, Plan
from probe.schedule.runner import Runner

__all__ = ["Counts", "Defect", "DefectKind", "Due", "Job", "Plan", "Runner", "Start"]
