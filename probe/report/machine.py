"""Rows as programs read them: JSON, JUnit XML, and annotations of GitHub's workflows. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree as ET

from probe.report.findings import Alike, details, headline, totals
from probe.report.rows import ReportRow, RowVerdict

# XML 1.0 has no way to write most control characters, not even escaped (section 2.2).
_NOT_XML = dict.fromkeys([*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), 0xFFFE, 0xFFFF], "�")


def to_json(rows: Sequence[ReportRow], *, region: str) -> str:
    """Write one document: ``{region, summary, results}``. Empty fields are left out."""
    counts = {verdict.value: 0 for verdict in RowVerdict}
    for row in rows:
        counts[row.verdict] += 1
    document = {"region": region, "summary": counts, "results": [_plain(row) for row in rows]}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


_UNWRITTEN = frozenset({"chain", "flow"})


def _plain(row: ReportRow) -> dict[str, Any]:
    values = {
        one.name: value
        for one in fields(row)
        if one.name not in _UNWRITTEN and (value := getattr(row, one.name)) not in ("", None, ())
    }
    if row.expires is not None:
        values["expires"] = datetime.fromtimestamp(row.expires, UTC).isoformat()
    return values


def to_junit(rows: Sequence[ReportRow], *, region: str) -> str:
    """Write JUnit XML: a suite per check and provider, a case per edge and profile or per step."""
    root = ET.Element("testsuites", name=f"probe {region}".rstrip())
    suites: dict[str, ET.Element] = {}
    for row in rows:
        name = f"{row.check}/{row.provider}" if row.provider else row.check
        suite = suites.get(name)
        if suite is None:
            suite = suites[name] = ET.SubElement(root, "testsuite", name=_text(name))
        case = ET.SubElement(
            suite,
            "testcase",
            classname=_text(name),
            name=_text(" ".join(part for part in (row.target, row.edge, row.what) if part)),
            time=f"{row.seconds or 0.0:.3f}",
        )
        _add_verdict(case, row)
    for name, suite in suites.items():
        mine = [
            row
            for row in rows
            if (f"{row.check}/{row.provider}" if row.provider else row.check) == name
        ]
        suite.set("tests", str(len(mine)))
        suite.set("failures", str(sum(row.verdict is RowVerdict.FAIL for row in mine)))
        suite.set("errors", str(sum(row.verdict is RowVerdict.INCONCLUSIVE for row in mine)))
        suite.set("skipped", str(sum(row.verdict is RowVerdict.SKIPPED for row in mine)))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add_verdict(case: ET.Element, row: ReportRow) -> None:
    message = _text(f"{row.phase}/{row.reason}: {row.detail}" if row.reason else "")
    because = [f"Because: {row.because}"] if row.because else []
    body = _text("\n".join([*because, *([row.command] if row.command else []), *row.notes]))
    match row.verdict:
        case RowVerdict.FAIL:
            ET.SubElement(case, "failure", message=message, type=row.reason).text = body
        case RowVerdict.INCONCLUSIVE:
            ET.SubElement(case, "error", message=message, type=row.reason).text = body
        case RowVerdict.SKIPPED:
            ET.SubElement(case, "skipped", message=body)
        case RowVerdict.PASS:
            if body:
                ET.SubElement(case, "system-out").text = body


def _text(value: str) -> str:
    return value.translate(_NOT_XML).encode("utf-8", "replace").decode("utf-8")


_LEVELS = {
    RowVerdict.FAIL: "error",
    RowVerdict.INCONCLUSIVE: "warning",
    RowVerdict.SKIPPED: "notice",
    RowVerdict.PASS: "warning",  # it passes, with a note that somebody should read
}


def to_github(found: Sequence[Alike], rows: Sequence[ReportRow]) -> str:
    """Write a workflow command for each finding, and the counts as a line of the log.

    GitHub shows the commands beside the run, ten of each level for a step.
    """
    lines = []
    for finding in found:
        level = _LEVELS[finding.verdict]
        title = _escaped(headline(finding)).replace(":", "%3A").replace(",", "%2C")
        said = _escaped("\n".join(text for _, text in details(finding)))
        lines.append(f"::{level} title={title}::{said}")
    return "\n".join([*lines, totals(rows)]) + "\n"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
