"""Measure and break the real system: commands that ship."""
