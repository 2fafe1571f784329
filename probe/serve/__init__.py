"""Result store, metrics, HTTP server, status page."""
