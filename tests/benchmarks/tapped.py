"""The agent, with a tap where results are filed: writes down each result's timings.

For the case ``timings``, which compares single results with what the server noted; metrics hold
only the latest one of each edge.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from probe.agent.filing import Filing
from probe.cli.main import main
from probe.model.result import TlsResult
from probe.model.spec import Limits

_edge = Filing.edge


def tap(output: Path) -> None:
    """Write every result of an edge to a file, one JSON document a line."""
    lines = output.open("w", buffering=1)

    def edge(self: Filing, result: TlsResult) -> None:
        timings = result.timings
        line = {
            "target": result.key.target,
            "tls": timings.tls,
            "lag": timings.lag,
            "bound": Limits().lag_bound,
            "clock": timings.clock.value,
        }
        lines.write(json.dumps(line) + "\n")
        _edge(self, result)

    Filing.edge = edge  # type: ignore[method-assign]  # the tap


if __name__ == "__main__":
    tap(Path(os.environ["BENCH_TAP"]))
    main(prog_name="probe")
