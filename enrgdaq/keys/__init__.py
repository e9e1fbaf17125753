"""Who may come in over TCP: keys, roles, and sockets that ask for them.

Every TCP endpoint speaks CURVE: both sides prove a key, all bytes are encrypted. A node, an
operator or an observer is a key pair; a server has a list of the public keys that may come in,
each with its role.

A server::

    folder = KeyFolder(path)                # checks modes and owners
    own = folder.secret("hub")
    gate = Gate(context, folder)            # one for a context, before its first door
    door = Door(context, gate, zmq.ROUTER, host="0.0.0.0", port=1639, own=own,
                domain="link", roles=("node",), largest_bytes=1 << 24)
    # The owner's loop polls gate.socket, door.monitor and door.socket for reading, and calls
    # gate.look() and door.look() when the first two are ready, and at least twice a second.
    frames = door.socket.recv_multipart(zmq.NOBLOCK, copy=False)
    peer = door.peer(frames[-1])    # Peer(name, role, address); None: drop the message

A peer that is turned out is out of both directions within a second: :meth:`Door.peer` says
``None`` from then on, and the door ends all its connections once; the others come back, and
frames that were under way are gone, as with any cut.

A client::

    socket = context.socket(zmq.DEALER)
    secure_client(socket, own=folder.secret("spoke"), server=folder.server(None),
                  largest_bytes=1 << 24)
    socket.connect("tcp://hub:1639")

One that stays is a :class:`LastingClient`, which also comes back when its key is allowed later.

All files are read again when they change, so `enrgdaq keys allow` and `revoke` act on a running
server within a second.
"""

from enrgdaq.keys.client import LastingClient
from enrgdaq.keys.door import Door, secure_client
from enrgdaq.keys.files import AllowedKey, PublicKey, Role, SecretKey
from enrgdaq.keys.folder import KeyFolder, keys_folder
from enrgdaq.keys.gate import Gate, Peer

__all__ = [
    "AllowedKey",
    "Door",
    "Gate",
    "KeyFolder",
    "LastingClient",
    "Peer",
    "PublicKey",
    "Role",
    "SecretKey",
    "keys_folder",
    "secure_client",
]
