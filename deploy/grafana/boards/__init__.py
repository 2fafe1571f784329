"""The dashboards as code: one module each, and what they share."""
