"""Mounts the disk of `fuse_disk.py` for a test."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

SECONDS = 60
ATTRIBUTE = "user.power"


@dataclass(frozen=True, slots=True)
class Mounted:
    """A disk that is mounted."""

    path: Path

    def sync(self) -> None:
        """Put everything on the disk, as `syncfs` would, which FUSE does not pass on."""
        self._send("sync")

    def cut(self, changes: int, seed: int) -> None:
        """Let the power fail at the change after this many, and kill the process that makes it."""
        self._send(f"cut {changes} {seed}")

    def turn_on(self) -> None:
        """Turn the power on: changes succeed again."""
        self._send("on")

    @property
    def is_off(self) -> bool:
        """Whether the power has failed."""
        return os.getxattr(self.path, ATTRIBUTE).startswith(b"off")

    @property
    def changes(self) -> int:
        """How many changes were made."""
        return int(os.getxattr(self.path, ATTRIBUTE).split()[1])

    def _send(self, command: str) -> None:
        os.setxattr(self.path, ATTRIBUTE, command.encode())


@contextmanager
def mounted(path: Path, *options: str) -> Iterator[Mounted]:
    """Mount an empty disk at a new folder; in the end unmount it and end its program."""
    path.mkdir()
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.rigs.fuse_disk", str(path), *options],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with program:
        try:
            assert program.stdout
            assert program.stderr
            if not program.stdout.readline():
                message = program.stderr.read()
                assert program.wait() == os.EX_UNAVAILABLE, message
                pytest.skip(f"this machine cannot mount FUSE disks: {message.strip()}")
            yield Mounted(path)
        finally:
            try:
                _, message = program.communicate(timeout=SECONDS)  # it ends with its input
                print(message, end="", file=sys.stderr)
            except subprocess.TimeoutExpired:
                program.kill()
            for command in (["umount", "-l"], ["fusermount3", "-uz"]):  # if it is still mounted
                with suppress(FileNotFoundError):
                    subprocess.run([*command, str(path)], stderr=subprocess.DEVNULL)
