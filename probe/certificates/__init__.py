"""Judgement of a presented certificate chain: pure, every finding, one small function each."""

from probe.certificates.judge import Judge
from probe.certificates.trust import Roots, TrustError, load_roots
from probe.certificates.verdict import Verdict

__all__ = ["Judge", "Roots", "TrustError", "Verdict", "load_roots"]
