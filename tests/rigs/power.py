"""A machine whose power fails in the middle of runs, again and again, and what must hold then."""

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
from tests.rigs.watch import tree

Run = Callable[..., Awaitable[Done]]
"""Runs asyncsync with these arguments until it ends or is killed."""

SYSTEMS = "/proc/sys/kernel/random/boot_id"
"""Where the system says which boot this is; only a mount can make it say something else."""
OURS = {"lock", "parts", "published", "case", "\u00e9", "doubtful"}
"""What a run leaves in `.asyncsync` when all is done."""
AT_ONCE = 3
"""Most power cuts between two runs that end."""


class Boot:
    """A file that says which boot of the machine this is.

    Args:
        path: where it is made; it is meant to be mounted over SYSTEMS.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._number = 0
        self.next()

    @contextmanager
    def over_the_systems(self) -> Iterator[None]:
        """Mount it there; needs a name space of one's own, such as that of `unshare -Urm`."""
        subprocess.run(["mount", "--bind", self.path, SYSTEMS], check=True)
        try:
            yield
        finally:
            subprocess.run(["umount", SYSTEMS], check=True)

    def next(self) -> None:
        """Be in another boot."""
        self._number += 1
        self.path.write_text(f"00000000-0000-4000-8000-{self._number:012}\n", encoding="ascii")


class Machine:
    """A machine that syncs a bucket to a disk, and what the bucket holds.

    Args:
        disk: which loses what was not synced when the power fails.
        boot: which boot this is.
        s3: the server of the bucket, empty as yet.
        run: runs asyncsync on this machine.
        durable: whether it does so with `--durable`.
    """

    def __init__(
        self, disk: Mounted, boot: Boot, s3: ScriptedS3, run: Run, *, durable: bool
    ) -> None:
        self._disk, self._boot, self._s3, self._run = disk, boot, s3, run
        self._durable = durable
        self._dest = disk.path / "data" / "dest"
        self._older: dict[str, bytes] = {}
        self._changes = 100
        """That a run makes, as far as is known."""

    async def trial(self, rng: random.Random) -> int:
        """Replace objects, let the power fail while they are synced; return how often it did."""
        self._replace(rng, share=1.0 if not self._older else 0.3)
        cuts = 0
        done: set[str] = set()
        for _ in range(rng.randint(1, AT_ONCE)):
            self._disk.cut(rng.randrange(self._changes), rng.randrange(1 << 32))
            ran = await self._synced(done)
            if not self._disk.is_off:
                self._has_ended(ran)
                return cuts
            cuts += 1
            done |= downloaded(ran)
            if self._durable:
                self._check_files(done)
            self._boot.next()
            self._disk.turn_on()
        before = self._disk.changes
        self._has_ended(await self._synced(done))
        self._changes = max(self._changes, self._disk.changes - before)
        return cuts

    async def _synced(self, done: set[str]) -> Done:
        """Run asyncsync, and insist that nothing is fetched again that is known to be here."""
        durable = ["--durable"] if self._durable else []
        ran = await self._run("--json", "--no-progress", "--dest", str(self._dest), *durable)
        if self._durable:
            assert not downloaded(ran) & done, "fetched once more"
        return ran

    def _has_ended(self, ran: Done) -> None:
        assert ran.code == 0, f"exit code {ran.code}: {ran.out[-500:]} {ran.err[-500:]}"
        self._disk.sync()  # as far as the run could tell, it was: it has called `syncfs`
        self._disk.turn_on()
        assert tree(self._dest) == self._s3.objects, "the tree is not the bucket"
        assert os.listdir(self._dest / ".asyncsync" / "parts") == [], "something is left over"
        assert set(os.listdir(self._dest / ".asyncsync")) <= OURS, "something is left over"
        assert os.listdir(self._dest.parent) == ["dest"], "something lies beside the folder"
        self._older = dict(self._s3.objects)

    def _check_files(self, done: set[str]) -> None:
        """Insist that every file is one version of its object, and all are here that were done."""
        found = tree(self._dest)
        for key, data in found.items():
            versions = (self._s3.objects[key], self._older.get(key))
            assert data in versions, f"{key} is no version of its object"
        assert found.keys() >= self._older.keys(), "a file is lost"
        for key in done:
            assert found.get(key) == self._s3.objects[key], f"{key} had been done"

    def _replace(self, rng: random.Random, share: float) -> None:
        """Put new versions of some objects into the bucket, which differ by their size."""
        least = {f"{n % 3}hz/{n % 2}/{n}.parquet": 1 for n in range(24)} | {"root.parquet": 9000}
        least |= {"fft/one-part.parquet": SMALL + 1, "fft/parts.parquet": PART + SMALL}
        for key, size in least.items():
            if rng.random() < share:
                data = rng.randbytes(size + rng.randrange(6000))
                is_as_long = len(parquet(data)) == len(self._s3.objects.get(key, b""))
                self._s3.objects[key] = parquet(data + bytes(is_as_long))


def downloaded(ran: Done) -> set[str]:
    """Return the keys that a run has reported as done."""
    events = Done(ran.code, ran.out[: ran.out.rfind("\n") + 1], ran.err).events
    return {event["key"] for event in events if event["event"] == "downloaded"}
