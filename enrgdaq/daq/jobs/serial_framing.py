"""Bytes from a serial line in, whole frames out. No input or output happens here."""

from typing import NamedTuple, Protocol


class Frame(NamedTuple):
    """One frame without its delimiter; ``problem`` says why it cannot be used, if so.

    Of an unusable frame ``data`` holds at most the framer's limit of bytes.
    """

    data: bytes
    problem: str = ""


class Framer(Protocol):
    """Cuts a stream of bytes into frames; holds a bounded number of bytes."""

    def feed(self, data: bytes) -> list[Frame]:
        """Take the next bytes, cut anywhere; returns the frames that they complete."""

    def reset(self, *, is_cut: bool) -> list[Frame]:
        """The line was closed or opened: forget what is incomplete, and return it.

        ``is_cut`` says that the stream may begin in the middle of a frame.
        """


class DelimitedFramer:
    """Frames that end with a delimiter: lines, for one.

    A frame longer than ``max_bytes`` is dropped up to its delimiter, with its beginning kept
    to be shown. Empty frames are skipped, for ``\\r\\n`` and keep-alives make them.
    ``strip`` holds byte values that are taken off both ends.
    """

    def __init__(self, delimiter: bytes, max_bytes: int, strip: bytes = b"") -> None:
        if not delimiter:
            raise ValueError("the delimiter is empty")
        self._delimiter = delimiter
        self._max_bytes = max_bytes
        self._strip = strip
        self._held = bytearray()
        self._searched = 0
        self._dropped = 0
        self._is_cut = False

    def feed(self, data: bytes) -> list[Frame]:
        """See :meth:`Framer.feed`."""
        self._held += data
        frames: list[Frame] = []
        begin = 0
        # A delimiter can have begun in the bytes before.
        at = max(0, self._searched - len(self._delimiter) + 1)
        while (end := self._held.find(self._delimiter, at)) >= 0:
            frame = self._finish(bytes(self._held[begin:end]))
            if frame.problem or frame.data:
                frames.append(frame)
            begin = at = end + len(self._delimiter)
        del self._held[:begin]
        self._bound()
        self._searched = len(self._held)
        return frames

    def reset(self, *, is_cut: bool) -> list[Frame]:
        """See :meth:`Framer.reset`."""
        left = bytes(self._held[: self._max_bytes])
        self._held.clear()
        self._searched = 0
        self._dropped = 0
        self._is_cut = is_cut
        return [Frame(left, "line closed before the frame ended")] if left else []

    def _finish(self, data: bytes) -> Frame:
        dropped, self._dropped = self._dropped, 0
        is_cut, self._is_cut = self._is_cut, False
        length = len(data) + dropped
        if length > self._max_bytes:
            return Frame(
                data[: self._max_bytes], f"frame of {length} bytes, {self._max_bytes} allowed"
            )
        data = data.strip(self._strip) if self._strip else data
        if is_cut and data:
            return Frame(data, "first frame after opening, its beginning may be missing")
        return Frame(data)

    def _bound(self) -> None:
        # Keep the beginning, to be shown, and the end, where a delimiter may have begun.
        tail = len(self._delimiter) - 1
        excess = len(self._held) - self._max_bytes - tail
        if excess > 0:
            self._dropped += excess
            del self._held[self._max_bytes : self._max_bytes + excess]


class FixedFramer:
    """Frames of one length, optionally behind a sync word.

    With ``sync`` each frame is ``sync`` and what follows, ``length`` bytes in all; bytes in
    front of a sync word are reported as a frame with a problem. Without it a single lost
    byte shifts every later frame, so devices that have a sync word should get it.
    """

    def __init__(self, length: int, sync: bytes = b"") -> None:
        if length <= len(sync):
            raise ValueError(f"a frame of {length} bytes does not hold a sync word of {len(sync)}")
        self._length = length
        self._sync = sync
        self._held = bytearray()
        self._skipped = bytearray()
        self._n_skipped = 0

    def feed(self, data: bytes) -> list[Frame]:
        """See :meth:`Framer.feed`."""
        self._held += data
        frames: list[Frame] = []
        while True:
            if self._sync and not self._align():
                break
            if len(self._held) < self._length:
                break
            if self._n_skipped:
                frames.append(self._take_skipped())
            frames.append(Frame(bytes(self._held[: self._length])))
            del self._held[: self._length]
        if self._n_skipped >= self._length:
            frames.append(self._take_skipped())
        return frames

    def reset(self, *, is_cut: bool) -> list[Frame]:
        """See :meth:`Framer.reset`. ``is_cut`` has no meaning: nothing marks a beginning."""
        frames = [self._take_skipped()] if self._n_skipped else []
        left = bytes(self._held)
        self._held.clear()
        return [*frames, Frame(left, "line closed before the frame ended")] if left else frames

    def _align(self) -> bool:
        """Drop what stands before the sync word; whether one begins at the front now."""
        at = self._held.find(self._sync)
        is_found = at >= 0
        if not is_found:
            at = len(self._held) - self._longest_beginning()
        self._n_skipped += at
        room = self._length - len(self._skipped)
        self._skipped += self._held[: min(at, room)]
        del self._held[:at]
        return is_found

    def _longest_beginning(self) -> int:
        """How many of the last bytes may be the beginning of a sync word."""
        longest = min(len(self._sync) - 1, len(self._held))
        return next((n for n in range(longest, 0, -1) if self._held.endswith(self._sync[:n])), 0)

    def _take_skipped(self) -> Frame:
        frame = Frame(bytes(self._skipped), f"{self._n_skipped} bytes before a sync word")
        self._skipped.clear()
        self._n_skipped = 0
        return frame
