"""Documents: YAML and JSON with line and column, the one reader of target lists, PEM files."""
