"""Fixtures for the tests of the pipeline."""

from pathlib import Path

import pytest

from asyncsync.disk.folders.folding import Folding


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    """A destination that does not exist yet."""
    return tmp_path / "new" / "dest"


@pytest.fixture
def folds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that ignores case and Unicode normalization in names."""
    monkeypatch.setattr("asyncsync.disk.folder.probe", lambda _: Folding(cases=True, forms=True))
