"""What a probe costs and how true its timings are, beside blackbox_exporter in the same run.

``python -m tests.benchmarks`` from the checkout; ``--help`` names the cases.
"""
