"""Results of a single round as a person or a pipeline reads them: table, matrix, JSON, JUnit."""

from probe.report.rows import ReportRow, RowVerdict, exit_code, rows_of

__all__ = ["ReportRow", "RowVerdict", "exit_code", "rows_of"]
