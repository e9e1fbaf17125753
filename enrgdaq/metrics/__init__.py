"""Figures of a running supervisor for Prometheus."""
