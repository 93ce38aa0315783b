"""Fixtures for tests of the destination."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from asyncsync.disk import Folder
from tests.rigs.publishing import Publish, publish_large, publish_small
from tests.rigs.state import PARTS


@pytest.fixture(params=[publish_small, publish_large])
def publish(request: pytest.FixtureRequest) -> Publish:
    """Each of the two ways to publish a file."""
    publish: Publish = request.param
    return publish


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The path of the destination; beside it lies `outside`, which no run may touch."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "precious").write_bytes(b"precious")
    return tmp_path / "root"


@pytest.fixture
def folder(root: Path) -> Iterator[Folder]:
    """A destination that is being written; in the end it must hold no unfinished file."""
    folder = Folder(root)
    with folder.writing():
        yield folder
        parts = root / PARTS
        assert not parts.exists() or list(parts.iterdir()) == []
    outside = root.parent / "outside"
    assert [path.name for path in outside.iterdir()] == ["precious"]
    assert (outside / "precious").read_bytes() == b"precious"
