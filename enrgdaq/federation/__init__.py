"""Links between nodes: several supervisors as one system.

A link is a consumer with a cursor. On a spoke :class:`~.uplink.DAQJobUplink` reads the rings of its
node like a store, sends records over TCP and lets go of them when the hub has them in a mirror
ring of its own. On the hub :class:`~.mirror.DAQJobMirror` writes that ring, and the hub's stores
read it like any other. Each record carries the place that it has at home (ring, position): by it
the hub drops what it has already, and stores keep their watermarks.

The same two jobs carry data the other way: a downlink on the hub for each spoke that is sent
something, and :class:`~.receiver.DAQJobReceiver` there. That connection too is made by the spoke,
and the hub's mirror relays what goes over it.

Read in this order: :mod:`.wire` (what is said), :mod:`.hub_line` and :mod:`.uplink` (who sends),
:mod:`.receiving`, :mod:`.positions` and :mod:`.mirroring` (who takes), :mod:`.mirror` and
:mod:`.relay` (the hub), :mod:`.receiver` (a spoke that takes).
"""
