"""Bytes of objects."""


def parquet(data: bytes) -> bytes:
    """Return the bytes framed as a Parquet file; what stands between the ends is no table."""
    footer = b"a footer"
    return b"PAR1" + data + footer + len(footer).to_bytes(4, "little") + b"PAR1"
