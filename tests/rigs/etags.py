"""ETags as S3 makes them."""

import hashlib


def md5(data: bytes) -> bytes:
    """Return the digest."""
    return hashlib.md5(data, usedforsecurity=False).digest()


def etag_of_parts(data: bytes, part_size: int) -> str:
    """Return the ETag of an upload in parts of this size."""
    parts = [data[start : start + part_size] for start in range(0, len(data), part_size)]
    return f"{md5(b''.join(md5(part) for part in parts)).hex()}-{len(parts)}"
