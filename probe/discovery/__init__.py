"""From target lists to targets: static, files, URLs; looked at again while running."""

from probe.discovery.status import SourceStatus
from probe.discovery.watch import TargetWatcher

__all__ = ["SourceStatus", "TargetWatcher"]
