"""The power fails at some change that a run makes, on a disk that keeps only what was synced."""

import random
import shutil
import subprocess
from functools import partial
from pathlib import Path

import pytest

from tests.rigs.mounted import mounted
from tests.rigs.power import Boot, Machine
from tests.rigs.scripted_s3 import ScriptedS3
from tests.rigs.wrapped import wrapped

pytestmark = [pytest.mark.anyio, pytest.mark.row(120)]

OVER_THE_SYSTEMS = 'mount --bind "$0" /proc/sys/kernel/random/boot_id; exec "$@"'


async def cuts(tmp_path: Path, seed: int, *, durable: bool, least: int) -> None:
    """Let the power fail so often, as the dice say."""
    if not shutil.which("unshare") or subprocess.run(["unshare", "-Urm", "true"]).returncode:
        pytest.skip("this machine makes no mounts for one process")
    boot = Boot(tmp_path / "boot_id")
    wrapper = ["unshare", "-Urm", "sh", "-ec", OVER_THE_SYSTEMS, str(boot.path)]
    with mounted(tmp_path / "disk") as disk:
        async with ScriptedS3() as s3:
            run = partial(wrapped, wrapper, s3.environment)
            machine = Machine(disk, boot, s3, run, durable=durable)
            rng = random.Random(seed)
            happened = 0
            while happened < least:
                happened += await machine.trial(rng)


@pytest.mark.parametrize("seed", range(2))
async def test_file_that_was_synced_survives(tmp_path: Path, seed: int) -> None:
    """With --durable: no file is torn, none is lost that was reported, none is fetched again."""
    await cuts(tmp_path, seed, durable=True, least=1)


@pytest.mark.parametrize("seed", range(2))
async def test_next_run_mends_what_was_not_synced(tmp_path: Path, seed: int) -> None:
    """Without --durable: files may be torn, and the next run that ends has fetched them again."""
    await cuts(tmp_path, seed, durable=False, least=1)


@pytest.mark.long
@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("seed", range(100, 104))
async def test_power_may_fail_at_any_time(tmp_path: Path, seed: int, durable: bool) -> None:
    """A hundred times, at whatever change and between runs that replace files."""
    await cuts(tmp_path, seed, durable=durable, least=100)
