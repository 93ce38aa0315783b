"""How many requests the limit of open files allows."""

import errno
import os
import sys
from contextlib import suppress

from asyncsync.errors import ThrottledError

EACH = 4
"""Descriptors of a request for an object: its GET and its HEAD, the file and the journal."""
OTHERS = 32
"""Descriptors of everything else: 16 listings, folders, the lock, the event loop."""


def affordable_requests(requests: int) -> int:
    """Return how many requests may be in flight, of those that are wanted.

    Raises the process's own limit of open files if that is too low, as far as the system lets it.
    """
    if sys.platform == "win32":
        return requests
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = _open_now() + OTHERS
    wanted = used + EACH * requests
    if soft != resource.RLIM_INFINITY and soft < wanted:
        raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(OSError, ValueError):  # macOS has another limit below this one
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
            soft = raised
        return max(1, min(requests, (soft - used) // EACH))
    return requests


def _open_now() -> int:
    try:
        return len(os.listdir("/dev/fd"))
    except OSError:
        return 16


def refused(error: OSError) -> ThrottledError | None:
    """Return what to raise when no more files can be opened: it passes, with fewer requests."""
    if error.errno in {errno.EMFILE, errno.ENFILE}:
        return ThrottledError(f"no more files can be opened: {error.strerror}")
    return None
