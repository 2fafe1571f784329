"""What goes with every page: its policy, its style, its script."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""Only the page's own style and script; nothing inline, nothing from elsewhere."""

TYPES = {"style.css": "text/css", "refresh.js": "text/javascript"}
"""The files that are served, and what they are."""


@cache
def static(name: str) -> bytes:
    """A file that comes with the page."""
    return files("probe.serve.http").joinpath("static", name).read_bytes()
