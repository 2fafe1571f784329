"""Injects faults of known causes into edges of a lab, and counts what the agent names.

``python -m tests.causes`` plays 200 cases or more, drawn from a seed, and prints the confusion
matrix and the bars. ``tests/causes/test_causes.py`` plays ten of them in the short suite.
"""
