"""The log ring: one writer, any number of named readers, nothing lost.

A ring is a byte log in a memory-mapped file. One process (the producer) appends records;
each consumer has a *row* in the ring's table and reads on from its own cursor. Every shared
word has exactly one writer, so no lock and no compare-and-swap is needed between processes:

========== ============ ============================================================
word       written by   meaning
========== ============ ============================================================
``HEAD``   producer     bytes ever written; moved after the record's bytes
``TAIL``   producer     start of the oldest record still intact; moved before reuse
``FROM``   producer     per row: where what this consumer is owed begins
``DUE``    producer     per row: end of the last record that this consumer is owed
``READ``   consumer     per row: how far it has looked, so whom to ring
``CURSOR`` consumer     per row: everything before is durable and may be reused
``STATE``  supervisor   per row: free, joining, attached, detached
========== ============ ============================================================

A row is *owed* something while ``max(CURSOR, FROM) < DUE``. Only such rows hold the producer
up. Positions are bytes since the ring was made and never wrap; they are also the replay
position that stores write beside their rows.

Read in this order: :mod:`.layout` (what lies where), :mod:`.file` (make and open),
:mod:`.writer`, :mod:`.reader`.
"""

from enrgdaq.transport.ring.file import ConsumerState, RingFile, RingIdentity, full_fence
from enrgdaq.transport.ring.layout import Policy, RecordKind, RowState
from enrgdaq.transport.ring.reader import Record, RingReader
from enrgdaq.transport.ring.writer import RingWriter

__all__ = [
    "ConsumerState",
    "Policy",
    "Record",
    "RecordKind",
    "RingFile",
    "RingIdentity",
    "RingReader",
    "RingWriter",
    "RowState",
    "full_fence",
]
