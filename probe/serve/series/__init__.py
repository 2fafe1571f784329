"""What Prometheus reads: metric families, samples, and the exposition of `/metrics`."""
