"""`probe check`: probe once, report, and exit by the verdict."""
