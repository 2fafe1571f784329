"""Where this process runs, asked of the cluster or the cloud it runs in: only when told to."""

from probe.place.region import PlaceError, find_region

__all__ = ["PlaceError", "find_region"]
