"""Writes everything in the source tree that is generated, in the order in which it depends.

``python -m tests.regenerate`` writes and names what it changed. With ``--check`` it writes nothing,
names what is stale, and ends with 1 if anything is.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from probe.config.schema import PLACE, schema_text
from tests import dependencies
from tests.cli import pages
from tests.config import configuration_page
from tests.model import causes_page, reasons_page
from tests.serve import metrics_page, openapi
from tests.support.programs import DEPLOY, ROOT

COMMAND = "python -m tests.regenerate"

RUNBOOKS = ROOT / "docs" / "runbooks"


def runbooks() -> str:
    """What ``probe explain`` says of alerts: the runbooks, by name."""
    texts = {path.stem: path.read_text() for path in sorted(RUNBOOKS.glob("*.md"))}
    return json.dumps(texts, indent=1, ensure_ascii=False) + "\n"


TEXTS: dict[Path, Callable[[], str]] = {
    ROOT / PLACE: schema_text,
    configuration_page.PAGE: configuration_page.page,
    metrics_page.DOCS: metrics_page.page,
    openapi.PLACE: openapi.page,
    dependencies.PAGE: dependencies.page,
    reasons_page.PAGE: reasons_page.page,
    reasons_page.TEMPLATE: reasons_page.alert_template,
    ROOT / "probe" / "cli" / "runbooks.json": runbooks,
    causes_page.TEMPLATE: causes_page.alert_template,
    pages.PAGE: pages.page,
    pages.MAN: pages.man,
}
"""Files of one source each."""

SCRIPTS = (
    DEPLOY / "prometheus" / "render.py",  # the rules
    DEPLOY / "kubernetes" / "render.py",  # their copy for the operator
    DEPLOY / "grafana" / "build.py",  # dashboards, and the rules' copy for Grafana
)
"""Programs that write several files, or one from another's."""


def regenerated(*, check: bool = False) -> Iterator[str]:
    """Names of files that were stale, from the top of the source tree. ``check`` leaves them so."""
    for path, text in TEXTS.items():
        if not path.exists() or path.read_text() != text():
            if not check:
                path.write_text(text())
            yield str(path.relative_to(ROOT))
    for script in SCRIPTS:
        done = subprocess.run(
            [sys.executable, str(script), *["--check"] * check],
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode and not done.stdout:
            raise RuntimeError(f"{script.relative_to(ROOT)} fails")
        for name in done.stdout.splitlines():
            yield str((script.parent / name).relative_to(ROOT))


def main(arguments: list[str]) -> int:
    """Write, or only look. 1: something is stale."""
    check = arguments == ["--check"]
    stale = False
    for name in regenerated(check=check):
        stale = True
        sys.stdout.write(f"{name} is stale: run {COMMAND}\n" if check else f"{name}\n")
    return 1 if stale and check else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
