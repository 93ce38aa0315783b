"""The disk of `fuse_disk.py`, for as long as a test needs it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

SECONDS = 10
ATTRIBUTE = "user.power"


@dataclass(frozen=True, slots=True)
class Mounted:
    """A disk that is mounted."""

    path: Path

    def sync(self) -> None:
        """Put all on the disk, as `syncfs` would, of which FUSE does not hear."""
        self._tell("sync")

    def cut(self, changes: int, seed: int) -> None:
        """Let the power fail at the change after so many, and kill who makes that."""
        self._tell(f"cut {changes} {seed}")

    def turn_on(self) -> None:
        """Let changes be made again, and the power not fail."""
        self._tell("on")

    @property
    def is_off(self) -> bool:
        """Whether the power has failed."""
        return os.getxattr(self.path, ATTRIBUTE).startswith(b"off")

    @property
    def changes(self) -> int:
        """How many were made."""
        return int(os.getxattr(self.path, ATTRIBUTE).split()[1])

    def _tell(self, what: str) -> None:
        os.setxattr(self.path, ATTRIBUTE, what.encode())


@contextmanager
def mounted(path: Path, *options: str) -> Iterator[Mounted]:
    """Mount an empty disk at a new folder; afterwards it is gone, and its program has ended."""
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
                said = program.stderr.read()
                assert program.wait() == os.EX_UNAVAILABLE, said
                pytest.skip(f"this machine mounts no disk of a program: {said.strip()}")
            yield Mounted(path)
        finally:
            try:
                _, said = program.communicate(timeout=SECONDS)  # the end of its input is its own
                print(said, end="", file=sys.stderr)
            except subprocess.TimeoutExpired:
                program.kill()
            for command in (["umount", "-l"], ["fusermount3", "-uz"]):  # should it be there still
                with suppress(FileNotFoundError):
                    subprocess.run([*command, str(path)], stderr=subprocess.DEVNULL)
