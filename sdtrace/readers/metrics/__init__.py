"""Metrics: scrapes in Prometheus' text format, and a Prometheus server's API."""
