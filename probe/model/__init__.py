"""Plain values that every other part speaks in; imports nothing else of the project."""
