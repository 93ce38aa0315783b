"""Bytes of objects."""

from datetime import UTC, datetime
from io import BytesIO


def parquet(data: bytes) -> bytes:
    """Return the bytes framed as a Parquet file; what stands between the ends is no table."""
    footer = b"a footer"
    return b"PAR1" + data + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def readable_parquet() -> bytes:
    """Return a Parquet file with two rows of the columns that the documents ask about."""
    import pyarrow.parquet  # few tests wait for it

    file = BytesIO()
    seconds = [datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC) for second in range(2)]
    table = pyarrow.table({"time": seconds, "temperature": [0.5, 0.995]})
    pyarrow.parquet.write_table(table, file)
    return file.getvalue()
