"""What a connection stands on: a way for its bytes, and memory for the bodies."""

from typing import Final, Protocol

CAPACITY: Final = 192 * 1024
"""Bytes that a connection buffers at most."""
SPARE: Final = 64
"""Buffers for bodies that are kept for the next ones."""


class Buffers:
    """The memory for bodies: lent while one arrives, the last one back first, as it is still warm.

    A buffer of this size comes fresh from the system otherwise, page by page and set to zero, which
    costs as much as filling it.
    """

    def __init__(self) -> None:
        self._spare: list[memoryview] = []

    def lend(self) -> memoryview:
        """Return a buffer of `CAPACITY` bytes."""
        return self._spare.pop() if self._spare else memoryview(bytearray(CAPACITY))

    def give_back(self, buffer: memoryview) -> None:
        """Take back a buffer that nobody reads any more."""
        if len(self._spare) < SPARE:
            self._spare.append(buffer)


class Transport(Protocol):
    """What a connection needs of what lies below it: an event loop's transport, or a TLS layer."""

    def write(self, data: bytes) -> None:
        """Send, now or soon."""

    def pause_reading(self) -> None:
        """Call `buffer_updated` no more for now."""

    def resume_reading(self) -> None:
        """Go on with that; it may be called at once."""

    def abort(self) -> None:
        """Close the socket without a farewell."""

    def get_extra_info(self, name: str) -> object:
        """Return what is known under the name, such as `ssl_object`."""
