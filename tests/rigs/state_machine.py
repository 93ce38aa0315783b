"""A state machine: a bucket and a folder change at random, and a dict says what must be there.

The store is in memory, and parts are tiny, so that every object can have several of them.
"""

import asyncio
import os
import random
import shutil
import sys
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Self

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import asyncsync
from asyncsync import api
from asyncsync.api import GivenToSync
from asyncsync.disk.parts import partfile
from asyncsync.download import download
from asyncsync.errors import AsyncSyncError, ConnectionLostError, ServerError, ThrottledError
from asyncsync.pace import Pace
from tests.rigs.memory_store import Act, MemoryStore, Verb, use_memory
from tests.rigs.watch import Clock, tree, unfinished

SMALL, PART = 40, 100
"""Bytes, in place of 256 KiB and 8 MiB."""
KEYS = ["a.dat", "p/b.dat", "p/c.dat", "p/q/d.dat", "r/e.dat"]
KEY = st.sampled_from(KEYS)
SIZES = st.sampled_from([0, 1, SMALL, SMALL + 1, PART, PART + 1, 3 * PART - 1, 5 * PART])
CHANGES = st.sampled_from(["cut", "grown", "gone", "old", "link"])
VERBS: st.SearchStrategy[Verb] = st.sampled_from(["list", "head", "get"])


class Killed(BaseException):
    """The process was killed: no later change reaches the disk."""


class Death:
    """Simulates that the process is killed at one of its changes of the disk.

    From then on every change is prevented, also those of clean-up, as after a kill.
    """

    _CHANGES = frozenset(
        {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.utime", "os.truncate", "os.link"}
    )
    current: "Death | None" = None
    _hooked = False

    def __init__(self, changes: int) -> None:
        self._left = changes
        self.came = False

    def __enter__(self) -> Self:
        if not Death._hooked:  # a hook cannot be removed
            sys.addaudithook(Death._hook)
            Death._hooked = True
        Death.current = self
        return self

    def __exit__(self, *_: object) -> None:
        Death.current = None

    @staticmethod
    def _hook(event: str, arguments: tuple[object, ...]) -> None:
        death = Death.current
        if death is None:
            return
        if event == "open":
            flags = arguments[2]
            if not isinstance(flags, int) or not flags & (os.O_WRONLY | os.O_RDWR):
                return
        elif event not in Death._CHANGES:
            return
        death.step()

    def step(self) -> None:
        """Count a change of the disk, and die at the chosen one."""
        self._left -= 1
        if self._left < 0:
            self.came = True
            raise Killed


class Sync(RuleBasedStateMachine):
    """What may happen to a bucket and to a folder."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="machine-"))
        self.dest = self.home / "dest"
        self.store = MemoryStore(page_size=3, block_size=30)
        self.bucket: dict[str, bytes] = {}
        self.versions: set[tuple[str, bytes]] = set()
        """What a file may hold: any version of its object, or what `tamper` wrote."""
        self.tampered: dict[str, tuple[int, ...]] = {}
        """What a file was like after `tamper`: as long as it is so, no run may delete it."""
        self.faulty = False
        self.patch = pytest.MonkeyPatch()
        use_memory(self.patch, self.store)
        clock = Clock()
        self.patch.setattr(api, "Pace", partial(Pace, sleep=clock.sleep, clock=clock))
        self.patch.setattr(download, "SMALL", SMALL)
        self.patch.setattr(partfile, "PART", PART)
        self.puts = 0

    def teardown(self) -> None:
        """Remove the folder."""
        self.patch.undo()
        shutil.rmtree(self.home)

    # the bucket

    @initialize(sizes=st.lists(SIZES, min_size=len(KEYS), max_size=len(KEYS)))
    def fill(self, sizes: list[int]) -> None:
        """Store the first objects."""
        for key, size in zip(KEYS, sizes, strict=True):
            self.put(key, size)

    @rule(key=KEY, size=SIZES)
    def put(self, key: str, size: int) -> None:
        """Store an object, or replace it by another version."""
        self.puts += 1
        data = random.Random(self.puts).randbytes(size)
        self.store.put(key, data)
        self.bucket[key] = data
        self.versions.add((key, data))

    @rule(key=KEY, change=st.just("") | CHANGES)
    def delete(self, key: str, change: str) -> None:
        """Delete an object, perhaps one whose file is somebody's by now; `mirror` keeps that."""
        self.tamper(key, change)
        self.store.delete(key)
        self.bucket.pop(key, None)

    # what goes wrong

    @rule(verb=VERBS, key=KEY, cut=st.integers(0, 300), often=st.sampled_from([1, 2, 99]))
    def break_off(self, verb: Verb, key: str, cut: int, often: int) -> None:
        """Let the next answers break off, or be lost."""
        act = Act(cut=cut) if verb == "get" else Act(error=ConnectionLostError("cut"))
        self._meets(verb, key, [act] * often)

    @rule(verb=VERBS, key=KEY, busy=st.booleans(), often=st.sampled_from([1, 2, 99]))
    def refuse(self, verb: Verb, key: str, busy: bool, often: int) -> None:
        """Let the next requests be refused."""
        error = ThrottledError("busy", 5.0) if busy else ServerError("failed")
        self._meets(verb, key, [Act(error=error)] * often)

    @rule(verb=st.sampled_from(["head", "get"]), key=KEY, size=SIZES, first=st.integers(0, 3))
    def replace_meanwhile(self, verb: Verb, key: str, size: int, first: int) -> None:
        """Replace the object while one of the next requests is answered."""
        acts = [Act()] * first + [Act(before=partial(self.put, key, size))]
        self._meets(verb, key, acts)

    def _meets(self, verb: Verb, key: str, acts: list[Act]) -> None:
        self.store.on(verb, "" if verb == "list" else key, *acts)
        self.faulty = True

    # the folder

    @rule(key=KEY, change=CHANGES)
    def tamper(self, key: str, change: str) -> None:
        """Change a file in a way that a comparison can see."""
        path = self.dest / key
        if not change or not path.is_file():
            return
        data = path.read_bytes()
        match change:
            case "cut":
                path.write_bytes(data[:-1])
            case "grown":
                path.write_bytes(data + b"x")
            case "gone":
                path.unlink()
            case "old":
                os.utime(path, (1, 1))
            case "link":
                path.unlink()
                path.symlink_to("elsewhere")
        self.versions |= {(key, data[:-1]), (key, data + b"x")}
        self.tampered[key] = _identity(path)

    @rule(number=st.integers(0, 5), where=st.integers(0, 400))
    def tamper_with_parts(self, number: int, where: int) -> None:
        """Change a byte of an unfinished file or of its journal."""
        left = unfinished(self.dest)
        if left and (data := bytearray(left[number % len(left)].read_bytes())):
            data[where % len(data)] ^= 0xFF
            left[number % len(left)].write_bytes(data)

    # runs

    @rule()
    def sync(self) -> None:
        """Sync; without faults everything is in sync afterwards."""
        others = {k: data for k, data in tree(self.dest).items() if k not in self.bucket}
        code = self._run()
        if code == 0:
            assert tree(self.dest).keys() >= self.bucket.keys()
        if not self.faulty:
            assert code == 0
            assert tree(self.dest) == others | self.bucket
            assert unfinished(self.dest) == []
        self._behave()

    @rule()
    def mirror(self) -> None:
        """Sync and delete; what is gone is an unchanged file of an object that is gone as well."""
        before, bucket = tree(self.dest), self.bucket.copy()
        kept = {key for key, known in self.tampered.items() if known == _identity(self.dest / key)}
        code = self._run(delete=True)
        after = tree(self.dest)
        assert not (before.keys() - after.keys()) & (kept | (bucket.keys() & self.bucket.keys()))
        if not self.faulty:
            assert code == 0
            assert after == self.bucket | {
                k: before[k] for k in kept & before.keys() - bucket.keys()
            }
        self._behave()

    @rule(changes=st.integers(0, 30), deletes=st.booleans())
    def kill(self, changes: int, deletes: bool) -> None:
        """Start a sync and kill it at one of its changes of the disk."""
        with Death(changes), suppress(Killed):
            self._run(delete=deletes)
        self._behave()

    def _run(self, *, delete: bool = False) -> int:
        given = GivenToSync(dest=self.dest, include=["*"], workers=4, attempts=3)
        if delete:
            given |= {"delete": True, "max_delete": "100%", "allow_empty": True}

        async def run() -> int:
            try:
                report = await asyncsync.sync(**given)
            except AsyncSyncError as error:
                return error.exit_code
            return report.exit_code

        try:
            return asyncio.run(asyncio.wait_for(run(), 20))
        except BaseExceptionGroup as group:
            raise Killed from group

    def _behave(self) -> None:
        self.store.behave()
        self.faulty = False

    @invariant()
    def every_file_is_one_version(self) -> None:
        """Each file is one version of its own object, and nothing lies beside the folder."""
        for key, data in tree(self.dest).items():
            assert (key, data) in self.versions
        assert {path.name for path in self.home.iterdir()} <= {"dest"}


def _identity(path: Path) -> tuple[int, ...]:
    """Return what tells a file from others, and from itself once it was changed."""
    with suppress(OSError):
        found = path.lstat()
        return found.st_ino, found.st_size, found.st_mtime_ns
    return ()
