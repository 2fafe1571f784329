"""Judgement of a presented certificate chain: pure, every finding, one small function each.

``Judge`` is what probers use; ``judge_chain`` is the same without memory.
"""

from probe.certificates.judge import Judge, judge_chain
from probe.certificates.trust import Roots, TrustError, load_roots
from probe.certificates.verdict import Finding, Verdict

__all__ = ["Finding", "Judge", "Roots", "TrustError", "Verdict", "judge_chain", "load_roots"]
