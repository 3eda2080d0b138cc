"""Boards and alerts over the engines' own metrics: PromQL of each figure, a Grafana dashboard, Prometheus alert rules."""
