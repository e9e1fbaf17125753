"""What all have in common that take the records of other nodes, whatever carries them."""

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from enrgdaq.daq.base import DAQJob
from enrgdaq.daq.host import ProcessHost
from enrgdaq.daq.models import DAQJobConfig
from enrgdaq.daq.places import routes_path
from enrgdaq.daq.topics import Topic
from enrgdaq.errors import TransportError
from enrgdaq.federation.positions import Positions
from enrgdaq.federation.unpacking import HEADER_ROOM
from enrgdaq.transport.ring import RingFile
from enrgdaq.transport.routes import load_routes


class TakingConfig(DAQJobConfig, kw_only=True):
    """Made from ``[federation]`` of ``supervisor.toml``."""

    positions_dir: Annotated[str, Meta(description="folder for how far each ring was taken")]


class TakingJob(DAQJob):
    """Writes records of other nodes into its ring, each once."""

    is_mirror = True
    config: TakingConfig

    @property
    def process(self) -> ProcessHost:
        """The process around this job."""
        if not isinstance(self._host, ProcessHost):
            raise TransportError("a link runs in a supervisor's process only")
        return self._host

    @property
    def largest_bytes(self) -> int:
        """The largest record, with its header, that the mirror ring has room for."""
        return self.process.ring.capacity // 2 - HEADER_ROOM

    def wanted(self, *, without: str) -> list[str]:
        """The topics that jobs of this node take and that travel by links."""
        routes = load_routes(routes_path(self.process.runtime))
        topics = {
            topic
            for consumer in routes.consumers
            if consumer.name != without
            for topic in consumer.topics
        }
        return sorted(topic for topic in topics if not Topic.is_telemetry(topic))

    def load_positions(self) -> Positions:
        """How far each ring was taken, by files and by what the mirror ring holds."""
        positions = Positions(Path(self.config.positions_dir))
        own = self.process.ring.path
        for path in own.parent.glob(f"{self.unique_id}.*{own.suffix}"):
            ring = RingFile.open(path)
            if ring.identity.is_mirror and ring.identity.producer == self.unique_id:
                positions.note_all_in(ring)
            ring.close()
        return positions
