"""Every topic string is built here.

Data topics go through rings and lose nothing. Telemetry topics go through the broker, may
drop, and count what they drop.
"""

from typing import Final


class Topic:
    """Topics as strings; all methods return one."""

    STORE: Final = "store"
    STATS: Final = "stats"
    STATS_COMBINED: Final = "stats_combined"
    TRACES: Final = "traces"
    LOGS: Final = "logs"
    ALERT: Final = "alert"

    _TELEMETRY: Final = frozenset({STATS, STATS_COMBINED, TRACES, LOGS})

    @staticmethod
    def store(store_type_name: str) -> str:
        """Messages for a store, by the name of its class: ``store.DAQJobStoreCSV``."""
        return f"{Topic.STORE}.{store_type_name}"

    @staticmethod
    def stats(supervisor_id: str, unique_id: str) -> str:
        """Statistics of one job."""
        return f"{Topic.STATS}.{supervisor_id}.{unique_id}"

    @staticmethod
    def stats_combined(supervisor_id: str) -> str:
        """The statistics tables of one node, once a second."""
        return f"{Topic.STATS_COMBINED}.{supervisor_id}"

    @staticmethod
    def logs(supervisor_id: str, unique_id: str) -> str:
        """Log records of one job."""
        return f"{Topic.LOGS}.{supervisor_id}.{unique_id}"

    @staticmethod
    def is_telemetry(topic: str) -> bool:
        """Whether a topic travels through the broker instead of a ring."""
        return topic.split(".", 1)[0] in Topic._TELEMETRY
