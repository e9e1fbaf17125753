"""The error tree. A message names the thing, the value, and what to do.

Boundaries translate the errors of libraries (msgspec, zmq, ``OSError``) into these and
keep the cause with ``raise ... from``.
"""


class EnrgdaqError(Exception):
    """Base of every error that ENRGDAQ raises on purpose."""


class ConfigurationError(EnrgdaqError):
    """A configuration cannot be used; nothing was started."""


class NoKeyError(ConfigurationError):
    """A TCP endpoint has no key to prove who it is."""


class TransportError(EnrgdaqError):
    """A ring, a bell, the broker or a message cannot do what was asked."""


class RingFormatError(TransportError):
    """A ring file is of another version, cut short, or not a ring at all."""


class RingCorruptError(TransportError):
    """A record in a ring does not check out; reading on would guess."""


class RecordTooLargeError(TransportError):
    """A message can never fit its producer's ring; names ``ring_size_mb``."""


class MemoryBudgetError(TransportError):
    """The memory file system cannot hold the rings; shows the arithmetic."""


class NameInUseError(TransportError):
    """Another live process holds the lock of this name."""


class CodecError(TransportError):
    """Bytes cannot be turned into a message, or a message into bytes."""


class ControlError(EnrgdaqError):
    """A command was refused; the text is the supervisor's reason."""


class NotRunningError(ControlError):
    """No supervisor answers on the control socket of this configuration."""


class ControlTimeoutError(ControlError):
    """The supervisor did not answer within the limit."""


class StoreError(EnrgdaqError):
    """A store cannot write, or what it finds on disk cannot be continued."""


class ServerAwayError(StoreError):
    """A store's server does not answer, or cannot take rows now; begins with its address."""
