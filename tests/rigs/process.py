"""Runs in their own processes that are stopped half-way, and what must be true afterwards."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from tests.rigs.child import SECONDS, started
from tests.rigs.scripted_s3 import ScriptedS3, sync
from tests.rigs.watch import tree, unfinished

LARGE = os.urandom(1_000_003) * 18  # no part is a multiple of this, so all parts are different
OBJECTS: Mapping[str, bytes] = {
    **{f"1hz/{number:02}.parquet": bytes([number]) * number * 1000 for number in range(40)},
    "fft/large.parquet": LARGE,
    "fft/larger.parquet": LARGE + b"more",
}
TOTAL = sum(map(len, OBJECTS.values()))


def check_promises(dest: Path, objects: Mapping[str, bytes] = OBJECTS) -> None:
    """Check that each file is complete or unchanged, and that nothing lies beside the folder."""
    for key, data in tree(dest).items():
        assert data == objects[key] or (key, data) == ("1hz/01.parquet", b"old")
    assert {path.name for path in dest.parent.iterdir()} == {dest.name}


async def check_next_run(s3: ScriptedS3, dest: Path, *, processes: int = 0) -> Sequence[str]:
    """Check that the next run syncs everything and leaves nothing over; return its notices."""
    ran = await sync(s3, dest, processes=processes)
    assert (ran.code, ran.error) == (0, None)
    assert tree(dest) == OBJECTS
    assert unfinished(dest) == []
    return ran.seen.notices


@contextlib.asynccontextmanager
async def stopped_half_way(
    s3: ScriptedS3,
    dest: Path,
    allowance: int,
    *arguments: str,
    wrapper: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a run, and wait until the server has sent `allowance` bytes and stops sending."""
    s3.allowance, s3.used_up = allowance, asyncio.Event()
    given = ("--dest", str(dest), *arguments)
    found = s3.environment if settings is None else settings
    async with started(found, *given, wrapper=wrapper) as child:
        over = asyncio.ensure_future(child.wait())
        stopped = asyncio.ensure_future(s3.used_up.wait())
        async with asyncio.timeout(SECONDS):
            await asyncio.wait([over, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        over.cancel()
        yield child
    s3.allowance = None
