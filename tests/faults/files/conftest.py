"""Fixtures for tests of disks and folders that do not accept files."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rigs.watch import snapshot


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    """A destination with a file that is out of date; whatever fails, it must stay as it is."""
    (tmp_path / "dest" / "a").mkdir(parents=True)
    (tmp_path / "dest" / "a" / "1.parquet").write_bytes(b"old one")
    return tmp_path / "dest"


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A folder outside the destination, in which nothing may change."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "precious").write_bytes(b"precious")
    before = snapshot(folder)
    yield folder
    assert snapshot(folder) == before
