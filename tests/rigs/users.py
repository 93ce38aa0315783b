"""asyncsync as run by another user of this machine, which only root can arrange."""

import os
import sys
from collections.abc import Sequence

import pytest

FIRST, SECOND, GROUP = 20_001, 20_002, 20_000
"""Two users who are in one group, and in no other; none of the numbers is anybody's here."""

needs_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0,
    reason="NOT TRIED: only root can run asyncsync as two users",
)

_PROGRAM = """
import os, sys
import asyncsync.progress, asyncsync.s3  # which the other user may not read
import aiofiles, ctypes, encodings.ascii, encodings.idna, encodings.latin_1, resource, uvloop
from asyncsync.cli import main

user, group, mask = map(int, sys.argv[1:4])
os.setgroups([])
os.setgid(group)
os.setuid(user)
os.umask(mask)
os.environ["HOME"] = "/"
os.chdir("/")
sys.exit(main(sys.argv[7:]))  # behind the usual command: python -m asyncsync
"""


def as_user(user: int, *, group: int = GROUP, mask: int = 0o002) -> Sequence[str]:
    """Return the command that runs asyncsync as this user, for `wrapped`."""
    return [sys.executable, "-c", _PROGRAM, str(user), str(group), str(mask)]
