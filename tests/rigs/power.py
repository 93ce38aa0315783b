"""A machine whose power fails during runs, repeatedly, and what must be true afterwards."""

import os
import random
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from asyncsync.disk import PART
from asyncsync.download.download import SMALL
from tests.rigs.child import Done
from tests.rigs.mounted import Mounted
from tests.rigs.objects import parquet
from tests.rigs.scripted_s3 import ScriptedS3
from tests.rigs.state import PARTS, STATE
from tests.rigs.watch import tree

Run = Callable[..., Awaitable[Done]]
"""Runs asyncsync with these arguments until it ends or is killed."""

SYSTEMS = "/proc/sys/kernel/random/boot_id"
"""The system's boot id; only a mount over it can change it."""
OURS = {"lock", "parts", "published", "made", "sources", "case", "\u00e9", "doubtful"}
"""What a complete run leaves in the state folder."""
MAX_CUTS = 3
"""Most power cuts between two complete runs."""


class Boot:
    """A file that contains the id of this boot of the machine.

    Args:
        path: where it is created; it is meant to be mounted over SYSTEMS.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._number = 0
        self.next()

    @contextmanager
    def over_the_systems(self) -> Iterator[None]:
        """Mount it there; needs its own mount namespace, such as that of `unshare -Urm`."""
        subprocess.run(["mount", "--bind", self.path, SYSTEMS], check=True)
        try:
            yield
        finally:
            subprocess.run(["umount", SYSTEMS], check=True)

    def next(self) -> None:
        """Start another boot."""
        self._number += 1
        self.path.write_text(f"00000000-0000-4000-8000-{self._number:012}\n", encoding="ascii")


class Machine:
    """A machine that syncs a bucket to a disk, and what the bucket contains.

    Args:
        disk: loses what was not synced when the power fails.
        boot: the id of the current boot.
        s3: the server of the bucket, which is empty.
        run: runs asyncsync on this machine.
        durable: whether it runs with `--durable`.
    """

    def __init__(
        self, disk: Mounted, boot: Boot, s3: ScriptedS3, run: Run, *, durable: bool
    ) -> None:
        self._disk, self._boot, self._s3, self._run = disk, boot, s3, run
        self._durable = durable
        self._dest = disk.path / "data" / "dest"
        self._older: dict[str, bytes] = {}
        self._changes = 100
        """How many changes a run makes, as far as is known."""

    async def trial(self, rng: random.Random) -> int:
        """Replace objects, cut the power while they are synced; return how often that happened."""
        self._replace(rng, share=1.0 if not self._older else 0.3)
        cuts = 0
        done: set[str] = set()
        for _ in range(rng.randint(1, MAX_CUTS)):
            self._disk.cut(rng.randrange(self._changes), rng.randrange(1 << 32))
            ran = await self._sync(done)
            if not self._disk.is_off:
                self._check_complete(ran)
                return cuts
            cuts += 1
            done |= downloaded(ran)
            if self._durable:
                self._check_files(done)
            self._boot.next()
            self._disk.turn_on()
        before = self._disk.changes
        self._check_complete(await self._sync(done))
        self._changes = max(self._changes, self._disk.changes - before)
        return cuts

    async def _sync(self, done: set[str]) -> Done:
        """Run asyncsync, and check that no object is fetched again that was reported as durable."""
        durable = ["--durable"] if self._durable else []
        ran = await self._run("--json", "--no-progress", "--dest", str(self._dest), *durable)
        if self._durable:
            assert not downloaded(ran) & done, "fetched again"
        return ran

    def _check_complete(self, ran: Done) -> None:
        assert ran.code == 0, f"exit code {ran.code}: {ran.out[-500:]} {ran.err[-500:]}"
        self._disk.sync()  # the run called `syncfs`, which FUSE does not pass on
        self._disk.turn_on()
        assert tree(self._dest) == self._s3.objects, "files differ from the bucket"
        assert os.listdir(self._dest / PARTS) == [], "something is left over"
        assert set(os.listdir(self._dest / STATE)) <= OURS, "something is left over"
        assert os.listdir(self._dest.parent) == ["dest"], "something lies outside the destination"
        self._older = dict(self._s3.objects)

    def _check_files(self, done: set[str]) -> None:
        """Check that each file is one version of its object, and that all in `done` are current."""
        found = tree(self._dest)
        for key, data in found.items():
            versions = (self._s3.objects[key], self._older.get(key))
            assert data in versions, f"{key} is no version of its object"
        assert found.keys() >= self._older.keys(), "a file is lost"
        for key in done:
            assert found.get(key) == self._s3.objects[key], f"{key} was reported as downloaded"

    def _replace(self, rng: random.Random, share: float) -> None:
        """Put new versions of some objects into the bucket, which differ in size."""
        least = {f"{n % 3}hz/{n % 2}/{n}.parquet": 1 for n in range(24)} | {"root.parquet": 9000}
        least |= {"fft/one-part.parquet": SMALL + 1, "fft/parts.parquet": PART + SMALL}
        for key, size in least.items():
            if rng.random() < share:
                data = rng.randbytes(size + rng.randrange(6000))
                is_as_long = len(parquet(data)) == len(self._s3.objects.get(key, b""))
                self._s3.objects[key] = parquet(data + bytes(is_as_long))


def downloaded(ran: Done) -> set[str]:
    """Return the keys that a run has reported as downloaded."""
    events = Done(ran.code, ran.out[: ran.out.rfind("\n") + 1], ran.err).events
    return {event["key"] for event in events if event["event"] == "downloaded"}
