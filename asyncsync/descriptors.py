"""The limit on open files: how many requests it allows, and what happens when it is reached."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from asyncsync.errors import MachineError, ThrottledError

if sys.platform != "win32":
    import resource

EACH = 4
"""Descriptors that one object in flight needs: its GET, its HEAD, the file and its journal."""
OTHERS = 32
"""Descriptors for everything else: 16 listings, folders, the lock, the event loop."""


def needed_descriptors(requests: int) -> int:
    """Return how many descriptors this process needs to have so many requests in flight at once."""
    return _count_open() + OTHERS + EACH * requests


def requests_within(limit: int, requests: int) -> int:
    """Return how many of the wanted `requests` the limit on open files allows; at least 1."""
    return max(1, min(requests, (limit - needed_descriptors(0)) // EACH))


def affordable_requests(requests: int) -> int:
    """Return how many of the wanted `requests` may be in flight at once; at least 1.

    Raises this process's soft limit on open files where it is too low, as far as the hard limit
    allows.
    """
    if sys.platform == "win32":
        return requests
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = needed_descriptors(requests)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(OSError, ValueError):  # macOS has another, lower limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
            soft = raised
        return requests_within(soft, requests)
    return requests


def _count_open() -> int:
    try:
        return len(os.listdir("/dev/fd"))
    except OSError:
        return 16


def too_many_open_files(error: OSError) -> ThrottledError | None:
    """Return the error to raise instead if the limit on open files was reached, None otherwise.

    It is a ThrottledError, because it passes once fewer requests are in flight.
    """
    if error.errno in {errno.EMFILE, errno.ENFILE}:
        return ThrottledError(f"no more files can be opened: {error.strerror}")
    return None


@contextmanager
def suppress_lasting_errors() -> Iterator[None]:
    """Suppress every OSError, except that no more files can be opened.

    That passes, and until then it does not show that nothing is there.

    Raises:
        MachineError: the limit of open files is reached.
    """
    try:
        yield
    except OSError as error:
        if scarce := too_many_open_files(error):
            raise MachineError(str(scarce)) from error
