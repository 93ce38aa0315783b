"""Power cuts at any change that a run makes, on a disk that keeps only what was synced."""

import random
import shutil
import signal
import subprocess
import sys
from collections import defaultdict
from functools import partial
from pathlib import Path

import anyio
import pytest

from tests.rigs.mounted import mounted
from tests.rigs.power import SYSTEMS, Boot, Machine
from tests.rigs.scripted_s3 import ScriptedS3
from tests.rigs.watch import tree
from tests.rigs.wrapped import wrapped

pytestmark = [pytest.mark.anyio, pytest.mark.row(120)]

WHOLE = b"x" * 9000
MOUNT_BOOT_ID = f'mount --bind "$0" {SYSTEMS}; exec "$@"'


@pytest.fixture(scope="module", autouse=True)
def _mounts() -> None:
    if not shutil.which("unshare") or subprocess.run(["unshare", "-Urm", "true"]).returncode:
        pytest.skip("this machine makes no mounts for one process")


async def cut_power(tmp_path: Path, seed: int, *, durable: bool, least: int) -> None:
    """Let the power fail at random, at least `least` times."""
    boot = Boot(tmp_path / "boot_id")
    wrapper = ["unshare", "-Urm", "sh", "-ec", MOUNT_BOOT_ID, str(boot.path)]
    with mounted(tmp_path / "disk", *(["--forget-times"] if durable else [])) as disk:
        async with ScriptedS3() as s3:
            run = partial(wrapped, wrapper, s3.environment)
            machine = Machine(disk, boot, s3, run, durable=durable)
            rng = random.Random(seed)
            count = 0
            while count < least:
                count += await machine.trial(rng)


WRITE_FILES = """
import os, sys
os.chdir(sys.argv[1])
for name in ("synced", "data", "name", "neither"):
    os.mkdir(name)
    with open(f"{name}/file", "wb", buffering=0) as file:
        file.write(b"x" * 9000)
        if name in ("synced", "data"):
            os.fsync(file)
    if name in ("synced", "name"):
        for folder in (name, "."):
            os.fsync(os.open(folder, os.O_RDONLY))
os.mkdir("too-late")
"""


async def test_disk_keeps_what_was_synced_and_may_lose_the_rest(tmp_path: Path) -> None:
    """Names and data independently; what may be lost is sometimes there."""
    seen: dict[str, set[bytes | None]] = defaultdict(set)
    with mounted(tmp_path / "disk") as disk:
        needed = 0
        for seed in range(16):
            place = disk.path / str(seed)
            place.mkdir()
            disk.sync()
            if needed:
                disk.cut(needed - 1, seed)
            changes = disk.changes
            command = [sys.executable, "-c", WRITE_FILES, str(place)]
            done = await anyio.run_process(command, check=False)
            needed = disk.changes - changes
            assert (done.returncode == -signal.SIGKILL, disk.is_off) == (seed > 0, seed > 0)
            for name in ("synced", "data", "name", "neither") if seed else ():
                found = tree(place).get(f"{name}/file")
                seen[name].add(found and found.rstrip(b"\0"))
            disk.turn_on()
    assert seen["synced"] == {WHOLE}
    assert seen["data"] == {WHOLE, None}
    assert None not in seen["name"]
    assert {WHOLE, b""} < seen["name"]
    assert {WHOLE, b"", None} < seen["neither"]


@pytest.mark.parametrize("seed", range(3))
async def test_file_that_was_synced_survives(tmp_path: Path, seed: int) -> None:
    """With --durable: no reported file is torn, lost or fetched again, and each keeps its time."""
    await cut_power(tmp_path, seed, durable=True, least=1)


@pytest.mark.parametrize("seed", range(3))
async def test_next_run_mends_what_was_not_synced(tmp_path: Path, seed: int) -> None:
    """Without --durable: files may be torn, and the next complete run has fetched them again."""
    await cut_power(tmp_path, seed, durable=False, least=1)


@pytest.mark.long
@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("seed", range(100, 108))
async def test_power_may_fail_at_any_time(tmp_path: Path, seed: int, durable: bool) -> None:
    """Repeatedly on one disk, at any change, in runs that replace files too."""
    await cut_power(tmp_path, seed, durable=durable, least=15)
