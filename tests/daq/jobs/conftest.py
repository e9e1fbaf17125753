"""Settings for the tests of jobs."""

from hypothesis import settings

# An example that takes long says something about the machine, and nothing about the code.
settings.register_profile("jobs", deadline=None)
settings.load_profile("jobs")
