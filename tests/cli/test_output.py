"""Where the rows of a check go."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from probe.cli.output import FORMS, print_rows
from probe.model.result import Failed
from probe.report import rows_of
from tests.report.test_rows import NAME_MISMATCH, tls

ROWS = rows_of([tls("192.0.2.2", Failed(NAME_MISMATCH))])


def printed(form: str, file: Path | None) -> None:
    print_rows(ROWS, form, file, region="lab", all_rows=False, chains=False)


@pytest.mark.parametrize("form", FORMS)
def test_a_file_holds_the_form_and_the_table_is_printed(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed("table", None)
    table = capsys.readouterr().out
    assert table.startswith("✗ FAIL cdn-b")
    file = tmp_path / "out"
    file.write_text("before")
    printed(form, file)
    assert capsys.readouterr().out == table
    assert file.stat().st_mode & 0o777 == 0o644  # node_exporter is another user
    assert list(tmp_path.iterdir()) == [file]
    if form != "prom":  # it holds the time
        printed(form, None)
        assert capsys.readouterr().out == file.read_text()
    if form == "json":
        assert json.loads(file.read_text())["summary"]["fail"] == 1


def test_a_folder_that_is_not_there_is_said_after_the_table_and_not_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        printed("json", tmp_path / "none" / "out.json")
    assert ended.value.code == 1
    said = capsys.readouterr()
    assert said.out.startswith("✗ FAIL cdn-b")
    assert "there is no folder" in said.err
    assert list(tmp_path.iterdir()) == []
