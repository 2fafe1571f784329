"""Structured log lines: one JSON object a line for machines, readable lines for a terminal.

Every line is an event with fields. Nothing is formatted from untrusted text: field values are
JSON strings, and in the readable form control characters are escaped, so that a server's banner
cannot forge a line or move a cursor.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal, TextIO

import trio

from probe.agent.outlet import Outlet
from probe.model.failure import Failure, Reason, printable
from probe.model.maintenance import Window
from probe.model.reasons import title_of
from probe.model.state import Transition
from probe.model.target import EdgeKey, FlowKey, ProviderKey

_LOGGER = logging.getLogger("probe")

_DEFECT_EVERY = 60.0
"""Seconds between lines on the same defect: it may be in every one of 10,000 attempts."""

_MOST_DEFECTS = 100
"""Different defects that are remembered for that."""


def configure(stream: TextIO, style: Literal["json", "text"]) -> None:
    """Send the agent's log to ``stream``; libraries speak from WARNING up only.

    Nothing waits for who reads it, where it has a descriptor.
    """
    handler: logging.Handler
    try:
        handler = Outlet(stream)
    except (OSError, ValueError, AttributeError):
        handler = logging.StreamHandler(stream)
    handler.setFormatter(_JsonFormatter() if style == "json" else _TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    _LOGGER.setLevel(logging.INFO)


class EventLog:
    """Writes events with the fields that every line of this agent carries."""

    def __init__(self, **common: str) -> None:
        self._common = common
        self._defects: dict[str, tuple[float, int]] = {}

    def info(self, event: str, **fields: object) -> None:
        """Log what a person may want to know later."""
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Log what a person should look at."""
        self._write(logging.WARNING, event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Log a defect or a fault of the agent itself."""
        self._write(logging.ERROR, event, fields)

    def transition(self, change: Transition, **more: str) -> None:
        """Log a change of state, with evidence and how to reproduce it."""
        good = change.after in ("passing", "healthy", "ok")
        level = logging.INFO if good or change.after == "suspect" else logging.WARNING
        further = {name: value for name, value in more.items() if value}
        self._write(level, "state", transition_fields(change) | further)

    def window(self, window: Window, begins: bool) -> None:
        """Log that a maintenance window begins or is over."""
        names = ("checks", "providers", "targets", "regions")
        covers = {name: ", ".join(getattr(window, name)) for name in names if getattr(window, name)}
        event = "maintenance begins" if begins else "maintenance is over"
        times = {"start": timestamp(window.start), "end": timestamp(window.end)}
        self.info(event, reason=window.reason, **covers, **times)

    def defect(self, kind: str, trace: str, **fields: object) -> None:
        """Log what our own code did wrong: one place once a minute, with how often since.

        Args:
            kind: ``result``, ``loop``, or how a run ended (``crashed``, ``cut``, ``stuck``).
            trace: what was raised and where, as ``probe.model.failure`` writes it.
            fields: where it happened.
        """
        now = trio.current_time()
        until, left_out = self._defects.get(trace, (now, 0))
        if now < until:
            self._defects[trace] = (until, left_out + 1)
            return
        if len(self._defects) >= _MOST_DEFECTS:
            self._defects.clear()
        self._defects[trace] = (now + _DEFECT_EVERY, 0)
        more = {"again": left_out} if left_out else {}
        self.error("defect", kind=kind, **fields, trace=trace, **more)

    def defect_in(self, key: EdgeKey | FlowKey | ProviderKey, failure: Failure) -> None:
        """Say so when it is a defect of ours that made a result inconclusive."""
        if failure.reason is Reason.DEFECT:
            self.defect("result", failure.detail, **key_fields(key), phase=failure.phase.value)

    def _write(self, level: int, event: str, fields: Mapping[str, object]) -> None:
        if _LOGGER.isEnabledFor(level):
            _LOGGER.log(level, event, extra={"fields": {**self._common, **fields}})


def transition_fields(change: Transition) -> dict[str, object]:
    """Collect the fields of a change of state. Empty ones are left out."""
    kept = {"before", "after"}  # a healthy flow has no layer to blame
    fields = {name: value for name, value in change.fields().items() if value or name in kept}
    fields.pop("at", None)
    fields["since"] = timestamp(change.since)
    if change.failure is not None:
        fields["title"] = title_of(change.failure.reason)
    return fields


def planned_because(window: Window | None) -> str:
    """Write the field that says that a change is planned; empty when no window covers it."""
    return "" if window is None else f"{window.reason} (until {timestamp(window.end)})"


def timestamp(seconds: float) -> str:
    """Write seconds since the epoch by RFC 3339, in UTC with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def key_fields(key: EdgeKey | FlowKey | ProviderKey) -> dict[str, str]:
    """Collect the fields that say what a line is about. Empty ones are left out."""
    return {name: value for name, value in key._asdict().items() if value}


def _fields(record: logging.LogRecord) -> Mapping[str, object]:
    fields = getattr(record, "fields", {})
    return fields if isinstance(fields, Mapping) else {}


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "ts": timestamp(record.created),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        if record.name != _LOGGER.name:
            line["logger"] = record.name
        line |= _fields(record)
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True, default=str)


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        parts = [timestamp(record.created), record.levelname, printable(record.getMessage())]
        command = ""
        for name, value in _fields(record).items():
            if name == "command":
                command = f"\n    {printable(str(value))}"
            elif name != "region":
                text = printable(str(value))
                parts.append(f"{name}={json.dumps(text) if ' ' in text or not text else text}")
        trace = ""
        if record.exc_info:
            trace = "\n" + printable(self.formatException(record.exc_info), "\n")
        return " ".join(parts) + command + trace
