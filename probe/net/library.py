"""The one door through which httpx and what it stands on are imported.

``import httpx`` also imports its command line client when click and rich happen to be
installed, which costs an agent about 10 MiB for nothing. httpx treats that module as optional
(it falls back on ``ImportError``), and a ``None`` in ``sys.modules`` is Python's documented way
to make an import fail (https://docs.python.org/3/reference/import.html#the-module-cache).
"""

from __future__ import annotations

import logging
import sys

sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # None blocks the import

import httpx  # noqa: E402 - the line above must run first

for _chatty in ("httpcore", "httpx", "hpack"):
    # At DEBUG they log whole headers, cookies and tokens included: never, whatever the level
    # of the agent's own log.
    logging.getLogger(_chatty).setLevel(logging.WARNING)

__all__ = ["httpx"]
