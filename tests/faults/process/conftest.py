"""Fixtures for tests of whole processes."""

from pathlib import Path

import pytest


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    """A destination with a file that is out of date."""
    (tmp_path / "dest" / "1hz").mkdir(parents=True)
    (tmp_path / "dest" / "1hz" / "01.parquet").write_bytes(b"old")
    return tmp_path / "dest"
