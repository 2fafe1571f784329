"""The region this process runs in, asked of the cluster or the cloud: only when told to."""

from probe.region.region import RegionError, find_region

__all__ = ["RegionError", "find_region"]
