"""asyncsync as a child process inside another program, which makes the machine a worse one."""

import asyncio
import functools
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.rigs.child import Done, ended, started


async def wrapped(wrapper: Sequence[str], settings: Mapping[str, str], *arguments: str) -> Done:
    """Run asyncsync to its end as the last arguments of another program."""
    path = {"PYTHONPATH": str(Path(__file__).parents[2])}
    async with started({**path, **settings}, *arguments, wrapper=wrapper) as child:
        return await ended(child)


async def on_a_terminal(settings: Mapping[str, str], *arguments: str) -> tuple[int, str]:
    """Run asyncsync to its end in a terminal; return its exit code and all that was written."""
    return await any_on_a_terminal(settings, sys.executable, "-m", "asyncsync", *arguments)


async def any_on_a_terminal(settings: Mapping[str, str], *command: str) -> tuple[int, str]:
    """Run any command so."""
    ours, theirs = pty.openpty()
    try:
        child = await asyncio.create_subprocess_exec(
            *command,
            env={**os.environ, **settings},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
    finally:
        os.close(theirs)
    text = await asyncio.to_thread(_read_all, ours)
    return await child.wait(), text


def _read_all(terminal: int) -> str:
    pieces = []
    with os.fdopen(terminal, "rb", buffering=0) as stream:
        try:
            while piece := stream.read(65536):
                pieces.append(piece)
        except OSError:  # how Linux says that the other side is closed
            pass
    return b"".join(pieces).decode()


def limited(option: str, limit: int) -> list[str]:
    """Return the wrapper that sets one of the shell's limits, such as `-n`."""
    return ["sh", "-c", f'ulimit {option} {limit}; exec "$@"', "sh"]


def on_a_disk(dest: Path, options: str, prepare: str = ":") -> list[str]:
    """Return the wrapper that mounts a disk in memory at `dest`, which ends with the child.

    Its tree is copied to `dest` with the ending `.copy`. `prepare` is a command that sets the scene
    there.
    """
    if not shutil.which("unshare") or subprocess.run(["unshare", "-Urm", "true"]).returncode:
        pytest.skip("this machine makes no disks for tests")
    dest.mkdir(exist_ok=True)
    script = (
        f'mount -t tmpfs -o "{options}" tmpfs "$0"; (cd "$0"; {prepare}); '
        'code=0; "$@" || code=$?; cp -a "$0" "$0.copy"; exit $code'
    )
    return ["unshare", "-Urm", "sh", "-ec", script, str(dest)]


def injected(*faults: str, paths: Sequence[Path] = (), in_threads: bool = True) -> list[str]:
    """Return the wrapper under which system calls meet faults, as in `write:error=EIO:when=1`.

    With paths, only the calls that have to do with them do; and without `in_threads`, only those
    of the thread that the process starts with, in which the event loop runs.
    """
    if not _traces():
        pytest.skip("this machine lets no system call fail for tests")
    wanted = (option for path in paths for option in ("-P", str(path)))
    failing = (option for fault in faults for option in ("-e", f"inject={fault}"))
    threads = ["-f"] if in_threads else []
    return ["strace", *threads, "-qq", "-o", "/dev/null", *wanted, *failing]


@functools.cache
def _traces() -> bool:
    strace = shutil.which("strace")
    return (
        strace is not None
        and subprocess.run([strace, "-qq", "-o", "/dev/null", "true"]).returncode == 0
    )
