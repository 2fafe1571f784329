"""Shapes to specs: names looked up, defaults applied, contradictions found."""
