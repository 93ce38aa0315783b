"""What memory the processes of a run take has bounds."""

import sys
from pathlib import Path

import pytest

from asyncsync.disk import PART
from tests.rigs.child import ended, until
from tests.rigs.movers import movers_of
from tests.rigs.process import stopped_half_way
from tests.rigs.scripted_s3 import ScriptedS3
from tests.rigs.watch import tree

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="Linux tells the memory of a process"),
]

MOST_OF_BRAIN = 150
MOST_OF_MOVER = 60
"""Million bytes that docs/tuning.md promises."""
SMALL = {f"1hz/{number:04}.parquet": bytes(10_000) for number in range(3_000)}
LARGE = {f"fft/{number}.parquet": bytes([number]) * 12 * PART for number in range(4)}


def peak(process: int) -> float:
    """Return the most memory that a process has had resident, in million bytes."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024 / 1e6


@pytest.mark.parametrize("objects", [SMALL, LARGE], ids=["small", "large"])
async def test_memory_of_brain_and_movers_is_bounded(
    objects: dict[str, bytes], tmp_path: Path
) -> None:
    """When nearly all has come, whatever it was."""
    dest = tmp_path / "dest"
    async with ScriptedS3(objects) as s3:
        came = sum(map(len, objects.values())) * 9 // 10
        given = ("--quiet", "--processes", "2")
        async with stopped_half_way(s3, dest, came, *given) as child:
            await until(lambda: len(movers_of(child.pid)) == 2)
            peaks = [peak(mover) for mover in movers_of(child.pid)]
            assert peak(child.pid) < MOST_OF_BRAIN
            assert max(peaks) < MOST_OF_MOVER
            s3.allowance = None
            s3.hang_up()
            done = await ended(child)
    assert (done.code, tree(dest)) == (0, objects)
