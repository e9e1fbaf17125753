"""What a node publishes of each of its rings: batches as messages, each behind the one before."""

import itertools
import logging
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from enrgdaq.errors import TransportError
from enrgdaq.federation.batching import Held, batches
from enrgdaq.federation.jetstream import api, names
from enrgdaq.federation.jetstream.connection import Connection
from enrgdaq.federation.jetstream.messages import (
    HEADER_ROOM,
    PLACE_HEADER,
    parts,
    read_place,
    whole,
    write_place,
)
from enrgdaq.federation.jetstream.publishing import Published, Publisher
from enrgdaq.federation.jetstream.streams import keeps_unread
from enrgdaq.federation.jetstream.unread import Batch, Unread
from enrgdaq.models import FederationNatsConfig

_BATCH_OVERHEAD: Final = 256 << 10  # a batch's first frame, for many small records
_BATCH_BYTES: Final = 760 << 10
"""Servers that replicate agree on each message: there 320 kB were slower than 640 kB."""
_SESSION_LETTERS: Final = 8


class Writing:
    """Raises :class:`OutOfStepError` when the stream is not where the publisher thinks it is."""

    def __init__(
        self,
        connection: Connection,
        settings: FederationNatsConfig,
        node: str,
        publisher: Publisher,
        unread: Unread,
        log: logging.Logger,
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._node = node
        self._publisher = publisher
        self._unread = unread
        self._keeps_unread = keeps_unread(settings)
        self._log = log
        self._largest = connection.largest_message - HEADER_ROOM
        self._session = uuid.uuid4().hex
        self._numbers = itertools.count()
        self._before: dict[str, int] = {}
        self._is_again = False

    def send(self, by_ring: dict[str, list[Held]], give_up: Callable[[], bool]) -> None:
        """Publish records of some rings; when this returns they are stored."""
        for ring_uuid, records in by_ring.items():
            if ring_uuid not in self._before:
                self._before[ring_uuid] = self._end_before(ring_uuid, records)
            before = self._before[ring_uuid]
            self._send_ring(ring_uuid, [r for r in records if r.record.end > before], give_up)
        self._publisher.finish(give_up)
        self._is_again = False

    def send_again(self, found: Iterable[Batch], place: int, give_up: Callable[[], bool]) -> None:
        """Publish batches of one ring anew; ``place``: up to where its readers have it."""
        for batch in found:
            try:
                data = self._unread.read(batch)
            except TransportError as error:
                self._log.error("ring %s: not sent again: %s", batch.ring_uuid, error)
                continue
            if place < batch.before:
                self._log.error(
                    "ring %s: what it had from %d to %d is not kept any more, and cannot be sent"
                    " again: these records are lost",
                    *(batch.ring_uuid, place, batch.before),
                )
            # Readers take what begins where they are: there is nothing earlier to wait for.
            before = min(batch.before, place)
            self._publish(batch.ring_uuid, data, before, batch.end, give_up, is_again=True)
            place = batch.end
        self._publisher.finish(give_up)

    def go_on_from(self, ring_uuid: str, place: int) -> None:
        """Say of a ring that it goes on where a reader is: there is nothing to be sent again."""
        self._before[ring_uuid] = place

    def start_over(self, last_sequence: int) -> None:
        """Go on from what the stream has come to, after :class:`OutOfStepError`."""
        self._before.clear()
        # Parts that are stored already are to be stored again, with the rest behind them.
        self._session = uuid.uuid4().hex
        self._is_again = True
        self._publisher.step_to(last_sequence)

    def _send_ring(
        self, ring_uuid: str, records: Sequence[Held], give_up: Callable[[], bool]
    ) -> None:
        most = min(max(self._largest - _BATCH_OVERHEAD, self._largest // 2), _BATCH_BYTES)
        numbers = itertools.count()
        for batch in batches(self._session, records, lambda: next(numbers), most_bytes=most):
            data, before = whole(batch), self._before[ring_uuid]
            end = batch.head.records[-1].end
            if self._keeps_unread:
                self._unread.add(ring_uuid, before, end, data)
            else:
                # What a reader misses nobody could send it again.
                before = 0
            self._publish(ring_uuid, data, before, end, give_up, is_again=self._is_again)
            self._before[ring_uuid] = end

    def _publish(
        self,
        ring_uuid: str,
        data: bytes,
        before: int,
        end: int,
        give_up: Callable[[], bool],
        *,
        is_again: bool,
    ) -> None:
        subject = names.data_subject(self._settings.prefix, self._node, ring_uuid)
        for place, piece in parts(data, before, end, self._largest):
            message_id = f"{ring_uuid}:{before}-{end}"
            if place.parts > 1 or is_again:
                # A batch that was left half sent is sent again from its first part on. And a
                # leader that has lost a message before it was stored still knows its id, for the
                # duplicate window: under the same one it would be refused for so long.
                message_id += f":{self._session[:_SESSION_LETTERS]}:{next(self._numbers)}"
            self._publisher.publish(
                Published(subject, piece, message_id, write_place(place)), give_up
            )

    def _end_before(self, ring_uuid: str, records: Sequence[Held]) -> int:
        """Where what was sent of a ring ended, before the first of these that is not stored."""
        stored = self._connection.call(self._stored_end(ring_uuid))
        starts = (one.record.start for one in records if one.record.end > stored)
        # A stream that has lost its end says less than was sent: readers must see the gap.
        return max(stored, self._unread.end_before(ring_uuid, next(starts, 0)))

    async def _stored_end(self, ring_uuid: str) -> int:
        """How far a ring is stored, by the last message of its subject."""
        subject = names.data_subject(self._settings.prefix, self._node, ring_uuid)
        stream = names.data_stream(self._settings.prefix, self._node)
        try:
            answer = await self._connection.ask(
                api.MessageAnswer, f"STREAM.MSG.GET.{stream}", {"last_by_subj": subject}
            )
        except api.RefusedError as error:
            if error.is_not_found:
                return 0
            raise
        found = api.headers_of(answer.message.hdrs) if answer.message is not None else {}
        return read_place(found.get(PLACE_HEADER, "")).stored_end
