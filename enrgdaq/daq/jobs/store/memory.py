"""The memory store."""

from collections import deque
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from enrgdaq.daq.store.base import DAQJobStore, DAQJobStoreJobConfig
from enrgdaq.daq.store.models import (
    DAQJobMessageStore,
    DAQJobMessageStorePyArrow,
    DAQJobMessageStoreRaw,
    DAQJobStoreConfigBase,
    DAQJobStoreConfigMemory,
)


class DAQJobStoreMemoryConfig(DAQJobStoreJobConfig, kw_only=True):
    """Keys of the memory store."""

    max_messages: Annotated[
        int, Meta(ge=1, description="messages kept; the oldest goes when there are more")
    ] = 1_000


class DAQJobStoreMemory(DAQJobStore):
    """Keeps the newest messages in its process: for tests and for trying things out."""

    config_type = DAQJobStoreMemoryConfig
    allowed_store_config_types: ClassVar[list[type[DAQJobStoreConfigBase]]] = [
        DAQJobStoreConfigMemory
    ]
    writes_files: ClassVar[bool] = False

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        self.messages: deque[DAQJobMessageStore] = deque(maxlen=config.max_messages)

    def store(self, message: DAQJobMessageStore) -> None:
        """Keep a copy: what lies in the ring is reused after the flush."""
        if isinstance(message, DAQJobMessageStorePyArrow):
            message.table = message.copy_table()
        elif isinstance(message, DAQJobMessageStoreRaw):
            message.data = bytes(message.data)
        self.messages.append(message)

    def flush(self) -> None:
        """Memory is as durable as this store gets."""
