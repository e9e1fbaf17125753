"""Fakes for the tests of one's own jobs. Nothing in ENRGDAQ imports this."""

from enrgdaq.testing.host import RecordingHost

__all__ = ["RecordingHost"]
