"""Reads the bodies of a listing's pages, and of large ones only one at a time.

Sixteen listings run side by side, and a page may have 16 MiB. A page that waits for its turn is not
read, so the server waits as well.
"""

from anyio import Lock

from asyncsync.errors import ProtocolError
from asyncsync.http import Response
from asyncsync.s3.pages import PAGE_LIMIT, parse_size

LARGE = 2 * 1024 * 1024
"""Bytes of a page that are read without waiting. Nearly all pages are smaller."""


class PageReader:
    """Reads the pages of one store."""

    def __init__(self) -> None:
        self._turn = Lock()

    async def read(self, response: Response) -> bytes:
        """Return the whole body.

        Raises:
            ConnectionLostError: the body was cut off or stalled.
            ProtocolError: the body is malformed, or longer than a page can be.
        """
        announced = parse_size(response.headers["content-length"])
        body = bytearray()
        _check_size(announced)
        blocks = response.blocks()
        async for block in blocks:
            body += block
            if len(body) > LARGE:
                break
        else:
            return bytes(body)
        async with self._turn:
            async for block in blocks:
                body += block
                _check_size(len(body))
            return bytes(body)


def _check_size(size: int) -> None:
    if size > PAGE_LIMIT:
        raise ProtocolError(f"not an S3 answer: a page of more than {PAGE_LIMIT:,} bytes")
