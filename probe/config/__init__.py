"""YAML with line and column to specs, or all problems; secrets."""
