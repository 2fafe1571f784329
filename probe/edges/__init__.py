"""From a provider and a target to edges: fixed addresses or DNS, cached and remembered."""

from probe.edges.asker import Pace
from probe.edges.finder import EdgeFinder, FinderStats
from probe.edges.records import RecordFinder

__all__ = ["EdgeFinder", "FinderStats", "Pace", "RecordFinder"]
