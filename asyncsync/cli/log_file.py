"""The package's log: what warnings say, and `--log-file`, which only this user can read or make."""

import argparse
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from asyncsync.console import YELLOW, print_message
from asyncsync.errors import NO_FOLDER, ConfigError
from asyncsync.others import PlantedError, open_file


@contextmanager
def told_warnings() -> Iterator[None]:
    """Print what the log warns of, such as the settings, in the way of all messages."""
    handler = _Told(logging.WARNING)
    logger = logging.getLogger("asyncsync")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


@contextmanager
def opened_log(arguments: argparse.Namespace) -> Iterator[None]:
    """Write the package's log, with retries and pauses, to the file named by `--log-file`.

    Each run opens it anew, so that it can be rotated between two.
    """
    if arguments.log_file is None:
        yield
        return
    path: str = arguments.log_file
    try:
        handler = _LogFile(path, open_file(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT))
    except PlantedError as error:
        raise ConfigError(f"--log-file: {path}: {error}; name another file") from None
    except FileNotFoundError:
        raise ConfigError(f"--log-file: {path}: {NO_FOLDER}") from None
    except OSError as error:
        raise ConfigError(f"--log-file: {path}: {error.strerror}") from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("asyncsync")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()


class _Told(logging.Handler):
    """Prints each record on standard error, as a message."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the record."""
        print_message(record.getMessage(), YELLOW)


class _LogFile(logging.StreamHandler[TextIO]):
    """A log that reports once that it cannot be written, as on a full disk; the run goes on.

    Only this user can read it, also where others could read what was there before.

    Args:
        path: its name, for messages.
        file: the descriptor, which is closed with the log.
    """

    def __init__(self, path: str, file: int) -> None:
        stream = os.fdopen(file, "a", encoding="utf-8")
        try:
            if hasattr(os, "fchmod"):
                os.fchmod(file, 0o600)
        except OSError:
            stream.close()
            raise
        super().__init__(stream)
        self._path = path
        self._has_failed = False

    def close(self) -> None:
        """Close the file, whose last lines may be lost."""
        super().close()
        with suppress(OSError):
            self.stream.close()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Print that lines are lost; logging calls this while it handles the error."""
        error = sys.exception()
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._has_failed:
            self._has_failed = True
            print_message(f"--log-file: {self._path}: {error.strerror}; lines are lost", YELLOW)
