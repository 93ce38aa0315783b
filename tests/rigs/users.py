"""Several users of one machine. Only root can act as another user, or give a file to one."""

import codecs
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

codecs.lookup("utf-8-sig")  # another user may not be able to read where it is imported from

FIRST, SECOND, GROUP = 20_001, 20_002, 20_000
"""Two users who share a group, and are in no other; none of the numbers is anybody's here."""
OTHER, VICTIM = 54_321, 54_322
"""Two users, each in a group of the same number."""

needs_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0,
    reason="NOT TESTED: what other users can do. Only root can act as two users: run it as root",
)

_PROGRAM = """
import os, sys
# What the other user may not be able to read is imported before, also what is imported when needed.
import aiofiles, anyio, ctypes, encodings.ascii, encodings.idna, encodings.latin_1, resource
import asyncsync.cli.running, asyncsync.progress.bars, asyncsync.s3, html, json
from asyncsync.cli import main

anyio.run(anyio.to_thread.run_sync, int)

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


@contextmanager
def acting_as(user: int) -> Iterator[None]:
    """Be another user, in a group of the same number, for everything on the disk."""
    before = os.geteuid(), os.getegid(), os.getgroups()
    _become(user, user, [])
    try:
        yield
    finally:
        _become(*before)


def _become(user: int, group: int, groups: list[int]) -> None:
    os.seteuid(0)
    os.setgroups(groups)
    os.setegid(group)
    os.seteuid(user)
