"""API flows: steps in order, with logins, expectations, captures and evidence."""

from probe.probers.flow.prober import FlowProber

__all__ = ["FlowProber"]
