"""A small world with faults, for the demo and the tests only."""
