"""The HTTP port: which path answers what."""
