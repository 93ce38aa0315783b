"""What a connection is built on: a transport for its bytes, and memory for large responses."""

from mmap import mmap
from typing import Final, Protocol

BUFFER_SIZE: Final = 384 * 1024
"""Bytes that a connection buffers at most."""
MAX_SPARE: Final = 64
"""Unused buffers that the pool keeps."""


class BufferPool:
    """Lends each connection a buffer while it receives a large response.

    Reuse saves time: the system hands out new memory page by page and zeroed, which costs as much
    as filling it. The buffer returned last is lent first, while it is still in the CPU's cache.
    """

    def __init__(self) -> None:
        self._spare: list[memoryview] = []

    def acquire(self) -> memoryview:
        """Return a buffer of `BUFFER_SIZE` bytes, of which only what is used takes memory."""
        return self._spare.pop() if self._spare else memoryview(mmap(-1, BUFFER_SIZE))

    def release(self, buffer: memoryview) -> None:
        """Take back a buffer that nobody reads any more."""
        if len(self._spare) < MAX_SPARE:
            self._spare.append(buffer)


class Transport(Protocol):
    """What a connection needs below it: an event loop's transport, or a `TlsLayer`."""

    def write(self, data: bytes | memoryview) -> None:
        """Send the bytes, now or soon."""

    def pause_reading(self) -> None:
        """Stop calling `buffer_updated` for now."""

    def resume_reading(self) -> None:
        """Call `buffer_updated` again, possibly before this returns."""

    def abort(self) -> None:
        """Close the socket at once, without a TLS close_notify."""

    def get_extra_info(self, name: str) -> object:
        """Return the information with this name, such as `ssl_object`."""
