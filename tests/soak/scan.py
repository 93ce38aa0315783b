"""A plugin of pytest that searches all that is told while a suite runs for secrets.

That is the log at DEBUG, third-party loggers included; what tests print and capture; what the
processes print that they start; and the local variables in the frames of asyncsync's errors, which
reporters of crashes show. What the rigs' own requests log is left out: it is not asyncsync's.
"""

import asyncio
import inspect
import logging
import os
import re
import subprocess
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

import pytest

from asyncsync.errors import AsyncSyncError
from asyncsync.model import Settings
from tests.rigs import wrapped
from tests.rigs.frames import locals_of

SIGNATURE = re.compile(r"signature[=:]\s*[0-9a-f]{64}", re.IGNORECASE)
SHORTEST = 8
"""Characters of a secret; shorter ones stand in sentences as well."""
RIGS = ("rigs/bucket.py", "asyncsync/demo/seaweed.py", "aiobotocore/tests")
PROVIDER = "botocore/credentials.py"
"""What starts a program that provides credentials: what that tells is for asyncsync alone."""

MOST_ERRORS = 20
"""Errors of one test that are searched: their frames stay in memory until it ends."""

_errors: list[AsyncSyncError] = []
_secrets: set[str] = set()
_counts = {"characters": 0, "found": 0, "tests": 0}
_found: list[str] = []


def search(text: str, where: str) -> None:
    """Look for secrets in something that was told."""
    _counts["characters"] += len(text)
    for secret in [s for s in _secrets if s in text] + SIGNATURE.findall(text):
        if not _is_in(RIGS):
            _counts["found"] += 1
            place = text.find(secret)
            test = os.environ.get("PYTEST_CURRENT_TEST", "")
            _found.append(f"{where}, {test}: {text[max(place - 80, 0) : place + 20]!a}")


def _is_in(files: str | tuple[str, ...]) -> bool:
    """Return whether a function of one of these files waits for this one."""
    frame = inspect.currentframe()
    while frame:
        if frame.f_code.co_filename.endswith(files):
            return True
        frame = frame.f_back
    return False


class _Everything(logging.Handler):
    """Searches all records."""

    def emit(self, record: logging.LogRecord) -> None:
        """Search one, with its traceback."""
        search(self.format(record), f"logger {record.name}")


def pytest_configure(config: pytest.Config) -> None:
    """Listen to everything."""
    logging.getLogger().addHandler(_Everything(1))
    logging.getLogger().setLevel(1)

    def remember(self: Settings, *arguments: Any, **named: Any) -> None:
        initialise(self, *arguments, **named)
        own = self.credentials
        _secrets.update(
            secret.reveal()
            for secret in (own.secret_access_key, own.session_token)
            if len(secret.reveal()) >= SHORTEST
        )

    initialise = Settings.__init__
    setattr(Settings, "__init__", remember)  # noqa: B010 - a type checker minds the other way

    def keep(self: AsyncSyncError, *arguments: Any) -> None:
        make(self, *arguments)
        if len(_errors) < MOST_ERRORS:
            _errors.append(self)

    make = AsyncSyncError.__init__
    setattr(AsyncSyncError, "__init__", keep)  # noqa: B010

    communicate_async = asyncio.subprocess.Process.communicate
    communicate = subprocess.Popen.communicate
    read_all = wrapped._read_all

    async def heard_async(self: Any, *arguments: Any) -> Any:
        told = await communicate_async(self, *arguments)
        _search_all(told)
        return told

    def heard(self: Any, *arguments: Any, **named: Any) -> Any:
        told = communicate(self, *arguments, **named)
        if not _is_in(PROVIDER):
            _search_all(told)
        return told

    def read(terminal: int) -> str:
        text = read_all(terminal)
        search(text, "terminal")
        return text

    setattr(asyncio.subprocess.Process, "communicate", heard_async)  # noqa: B010
    setattr(subprocess.Popen, "communicate", heard)  # noqa: B010
    setattr(wrapped, "_read_all", read)  # noqa: B010
    told = pytest.CaptureFixture.readouterr

    def readouterr(self: pytest.CaptureFixture[str]) -> Any:
        captured = told(self)
        _search_all(captured)
        return captured

    setattr(pytest.CaptureFixture, "readouterr", readouterr)  # noqa: B010


def _search_all(streams: Iterable[str | bytes | None]) -> None:
    for stream in streams:
        text = stream.decode(errors="replace") if isinstance(stream, bytes) else stream
        search(text or "", "output")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Search what pytest has captured of a test, and the errors that asyncsync has raised."""
    report = yield
    while _errors:
        for where, text in locals_of(_errors.pop()):
            search(text, where)
    for name, text in report.sections:
        if name.endswith((f"stdout {report.when}", f"stderr {report.when}")):
            search(text, name)
    _counts["tests"] += report.when == "call"
    return report


def pytest_unconfigure() -> None:
    """Leave the counts where they are looked for; every process of a suite has its own."""
    lines = [" ".join(map(str, _counts.values())), *_found[:20]]
    path = Path(os.environ["SOAK_SCAN"]) / f"{os.getpid()}.scan"
    path.write_text("\n".join(lines), encoding="utf-8")
