"""Tests of the store, the metrics, the HTTP server and the status page."""
