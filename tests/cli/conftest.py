"""Fixtures for tests that call the command line as a function."""

import logging
from collections.abc import Iterator

import pytest

from asyncsync.cli import main
from tests.rigs.called import OBJECTS, Ran, Run
from tests.rigs.memory_store import MemoryStore, use_memory


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    """The bucket that the settings lead to."""
    store = MemoryStore(OBJECTS)
    use_memory(monkeypatch, store)
    return store


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Call the command line and return what it printed; the destination is `downloads`."""

    def run(*arguments: str) -> Ran:
        try:
            code = main(arguments)
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else 1
        ran = Ran(code, *capfd.readouterr())
        assert "Traceback" not in ran.err
        assert "the-secret" not in ran.out + ran.err
        assert "\x1b" not in ran.out + ran.err
        return ran

    yield run
    logger = logging.getLogger("asyncsync")
    for handler in logger.handlers[:]:
        logger.removeHandler(handler)
        handler.close()
