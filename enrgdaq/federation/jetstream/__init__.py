"""Links over NATS JetStream: an existing distributed engine carries what our own sockets would.

Each node that sends has a stream of its own on the servers; its uplink is the only one that
writes there. A record counts as sent when the stream has stored and replicated it; until all who
take have it, its node keeps a copy, since servers were seen to lose what they had acknowledged.
Each node that takes has a durable consumer on each of these streams, reads in order, writes its
mirror ring as any receiver does, and then acknowledges.

Read in this order: :mod:`.names` and :mod:`.messages` (what lies where), :mod:`.connection` and
:mod:`.api` (how the servers are asked), :mod:`.streams` (what must hold for streams), :mod:`.wants`
(who takes what), :mod:`.publishing`, :mod:`.unread`, :mod:`.writing`, :mod:`.missing`,
:mod:`.readers`, :mod:`.nats_line` and :mod:`.uplink` (who sends), :mod:`.ring_ends`,
:mod:`.reading`, :mod:`.reader_line` and :mod:`.receiver` (who takes).
"""
