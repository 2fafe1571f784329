"""``python -m probe.config [FILE]`` writes the JSON Schema of the configuration."""

from __future__ import annotations

import sys
from pathlib import Path

from probe.config.schema import schema_text

PLACE = Path("config", "probe.schema.json")
"""Beside the example configuration, seen from the top of the source tree."""


def main(arguments: list[str]) -> int:
    """Write the schema to the file named, or to its place in the source tree."""
    path = Path(arguments[0]) if arguments else PLACE
    path.write_text(schema_text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
