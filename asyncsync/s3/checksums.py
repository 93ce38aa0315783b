"""The checksum that an answer to HEAD tells of an object's bytes."""

import base64

from asyncsync.http import Headers
from asyncsync.model import Checksum

_LENGTHS = {"crc64nvme": 8, "crc32": 4, "crc32c": 4, "sha256": 32}
"""Bytes of each, the cheapest first."""


def parse_checksum(headers: Headers) -> Checksum | None:
    """Return the cheapest checksum of the whole object in these headers; None if there is none.

    One that is composed of the checksums of an upload's parts says so, or does not say of what it
    is. It is of no use: nothing tells where the parts were.
    """
    if headers["x-amz-checksum-type"] != "FULL_OBJECT":
        return None
    for algorithm, length in _LENGTHS.items():
        if text := headers[f"x-amz-checksum-{algorithm}"]:
            try:
                value = base64.b64decode(text, validate=True)
            except ValueError:
                continue
            if len(value) == length:
                return Checksum(algorithm, value)
    return None
