"""One request for messages of a consumer, and how far it is."""

import asyncio
import contextlib


class Pull:
    """To be used again for the next request."""

    def __init__(self) -> None:
        self.reply = ""
        self.got = 0
        self.has_failed = False
        self._over = asyncio.Event()

    def begin(self, reply: str) -> None:
        """A new request."""
        self.reply, self.got = reply, 0
        self._over.clear()

    def end(self) -> None:
        """All is here, or no more comes."""
        self._over.set()

    async def wait(self, seconds: float) -> None:
        """Until it is over, or should be."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), seconds)
