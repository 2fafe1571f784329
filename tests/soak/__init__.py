"""A whole agent, 2,000 edges and a bad network between them; every fault is found in the counters.

``python -m tests.soak --minutes 2 --seed 1`` runs it; see docs/reliability.md.
"""
