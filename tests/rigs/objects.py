"""Bytes of objects."""

from io import BytesIO


def parquet(data: bytes) -> bytes:
    """Return the bytes framed as a Parquet file; what stands between the ends is no table."""
    footer = b"a footer"
    return b"PAR1" + data + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def readable_parquet() -> bytes:
    """Return a Parquet file with a table of two rows."""
    import pyarrow.parquet  # few tests wait for it

    file = BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"second": [0, 1], "value": [0.5, 0.25]}), file)
    return file.getvalue()
