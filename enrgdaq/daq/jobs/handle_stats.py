"""Statistics tables to wherever one wants them."""

from typing import Any, ClassVar

from enrgdaq.daq.base import DAQJob
from enrgdaq.daq.models import DAQJobMessage
from enrgdaq.daq.stats_tables import DAQJobMessageCombinedStats
from enrgdaq.daq.store.models import (
    DAQJobMessageStoreTabular,
    DAQJobStoreConfig,
    StorableDAQJobConfig,
)
from enrgdaq.daq.topics import Topic


class DAQJobHandleStatsConfig(StorableDAQJobConfig, kw_only=True):
    """Keys of :class:`DAQJobHandleStats`."""

    timeseries_store_config: DAQJobStoreConfig | None = None


class DAQJobHandleStats(DAQJob):
    """Stores the statistics of all jobs once a second, as a table and as time series.

    The supervisor writes ``stats.csv`` and ``stats_remote.csv`` by itself; this job is for
    another place, such as a database. ``store_config`` gets one row per job,
    ``timeseries_store_config`` the numbers of each job with a ``timestamp`` column in ms
    and the job's id as tag.
    """

    config_type = DAQJobHandleStatsConfig
    config: DAQJobHandleStatsConfig
    allowed_message_in_types: ClassVar[list[type[DAQJobMessage]]] = [DAQJobMessageCombinedStats]
    topics_to_subscribe: ClassVar[list[str]] = [Topic.STATS_COMBINED]  # type: ignore[misc]

    def handle_message(self, message: DAQJobMessage) -> bool:
        """Pass one set of tables on."""
        if not super().handle_message(message):
            return False
        if not isinstance(message, DAQJobMessageCombinedStats):
            return False
        self.publish(
            DAQJobMessageStoreTabular(
                store_config=self.config.store_config, keys=message.keys, data=message.rows
            )
        )
        if self.config.timeseries_store_config is not None:
            for row in message.rows:
                self._publish_series(self.config.timeseries_store_config, message, row)
        return True

    def _publish_series(
        self, settings: DAQJobStoreConfig, message: DAQJobMessageCombinedStats, row: list[Any]
    ) -> None:
        numbers = {
            key: float(value)
            for key, value in zip(message.keys, row, strict=True)
            if isinstance(value, (int, float))
        }
        job = row[message.keys.index("unique_id")]
        self.publish(
            DAQJobMessageStoreTabular(
                store_config=settings,
                keys=["timestamp", *numbers],
                data=[[message.time_ms, *numbers.values()]],
                tag=str(job),
            )
        )
