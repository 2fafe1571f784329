"""Judgement of a presented certificate chain: pure, every finding, one small function each."""

from probe.probers.chain.judge import Judge
from probe.probers.chain.verdict import Finding, Verdict

__all__ = ["Finding", "Judge", "Verdict"]
