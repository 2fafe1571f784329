"""Reads configurations of blackbox_exporter and Prometheus, and says ours. Writes nothing."""
