"""The replays need Prometheus and Alertmanager; without them they fail and say what to install."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
