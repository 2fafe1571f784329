"""Lists of Certificate Transparency logs, as browsers publish them (JSON, version 3).

Chrome's and Apple's lists have this form: operators, each with its ``logs`` (RFC 6962) and
``tiled_logs`` (static-ct-api), each log with its id, key and state.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from probe.documents.files import decode, read_bytes
from probe.documents.problem import DocumentError, Problem

_MOST_BYTES = 8 * 1024 * 1024
_APPROVED = frozenset({"qualified", "usable", "readonly"})
_STATES = (*sorted(_APPROVED), "retired", "pending", "rejected")


@dataclass(frozen=True, slots=True)
class TransparencyLog:
    """One log.

    Attributes:
        name: its description, for people.
        operator: who runs it.
        key: SubjectPublicKeyInfo, DER.
        tiled: it serves the static API, not that of RFC 6962.
        approved_until: timestamps of before this instant count: for ever, until it was retired,
            or never. Seconds since the epoch.
    """

    name: str
    operator: str
    key: bytes
    tiled: bool
    approved_until: float

    @property
    def current(self) -> bool:
        """Whether it is approved now: qualified, usable or read only."""
        return self.approved_until == math.inf


LogList = dict[bytes, TransparencyLog]
"""Logs by their id: SHA-256 of the key."""


def read_log_list(path: str) -> LogList:
    """Read a list of logs. Blocks for some milliseconds.

    Raises:
        DocumentError: it cannot be read, or something in it is wrong: what, at which line.
    """
    text = decode(read_bytes(Path(path), _MOST_BYTES), path)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        line, column = getattr(error, "lineno", 1), getattr(error, "colno", 1)
        said = getattr(error, "msg", "nested too deeply")
        message = f"not valid JSON: {said}; write the log list as a browser publishes it"
        raise DocumentError(Problem(path, line, column, message)) from None
    return _Reader(path, text).logs(document)


class _Reader:
    def __init__(self, path: str, text: str) -> None:
        self._path = path
        self._text = text

    def logs(self, document: Any) -> LogList:
        operators = document.get("operators") if isinstance(document, dict) else None
        if not isinstance(operators, list):
            raise self._wrong("", "expected a list operators; write a log list of version 3")
        found: LogList = {}
        for at, operator in enumerate(operators):
            where = f"operators[{at}]"
            if not isinstance(operator, dict) or not isinstance(operator.get("name"), str):
                raise self._wrong("", f"{where} has no name; write the name of the log operator")
            for kind in ("logs", "tiled_logs"):
                for place, entry in self._entries(operator, kind, where):
                    log_id, log = self._log(entry, place, operator["name"], kind == "tiled_logs")
                    found[log_id] = log
        if not found:
            raise self._wrong("", "the list contains no log, so no timestamp can be checked")
        return found

    def _entries(
        self, operator: dict[str, Any], kind: str, where: str
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        entries = operator.get(kind, [])
        if not isinstance(entries, list):
            raise self._wrong(operator["name"], f"{where}.{kind} is not a list")
        for at, entry in enumerate(entries):
            place = f"{where}.{kind}[{at}]"
            if not isinstance(entry, dict):
                raise self._wrong(operator["name"], f"{place} is not an object")
            yield place, entry

    def _log(
        self, entry: dict[str, Any], place: str, operator: str, tiled: bool
    ) -> tuple[bytes, TransparencyLog]:
        key, log_id = (self._octets(entry, name, place) for name in ("key", "log_id"))
        if hashlib.sha256(key).digest() != log_id:
            message = f"{place}: log_id is not the SHA-256 of key; one of them is wrong"
            raise self._wrong(entry["log_id"], message)
        name = str(entry.get("description") or entry.get("url") or place)
        return log_id, TransparencyLog(name, operator, key, tiled, self._until(entry, place))

    def _octets(self, entry: dict[str, Any], name: str, place: str) -> bytes:
        try:
            return base64.b64decode(entry[name], validate=True)
        except (KeyError, TypeError, ValueError, binascii.Error):
            near = entry.get("log_id") or entry.get("description") or ""
            raise self._wrong(near, f"{place}.{name} is missing or not base64") from None

    def _until(self, entry: dict[str, Any], place: str) -> float:
        """Until when timestamps of the log count; a log without a state is not approved."""
        state = entry.get("state") or {}
        try:
            (name,) = state or ("pending",)
            if name in _APPROVED:
                return math.inf
            if name != "retired":
                if name not in _STATES:
                    raise ValueError(name)
                return -math.inf
            return _seconds(state[name]["timestamp"])
        except (KeyError, TypeError, ValueError):
            message = f"{place}.state must be one of {', '.join(_STATES)}, with its timestamp"
            raise self._wrong(entry["log_id"], message) from None

    def _wrong(self, near: object, message: str) -> DocumentError:
        """A problem in the line in which a text of the entry stands."""
        at = self._text.find(json.dumps(near)) if isinstance(near, str) and near else 0
        before = self._text[: max(at, 0)]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        return DocumentError(Problem(self._path, line, column, message))


def _seconds(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
