"""Results of a single round: for a terminal, a pipe, and programs (JSON, JUnit, Prometheus)."""

from probe.report.rows import ReportRow, RowVerdict, exit_code, rows_of

__all__ = ["ReportRow", "RowVerdict", "exit_code", "rows_of"]
