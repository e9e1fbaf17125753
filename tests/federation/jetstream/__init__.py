"""Tests of links over NATS."""
