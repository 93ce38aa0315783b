"""What a mover tells its brain goes out together."""

import os

import pytest
from anyio import to_thread
from anyio.lowlevel import checkpoint

from asyncsync import moving

pytestmark = pytest.mark.anyio


async def test_lines_of_several_turns_are_written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """So its brain reads, and takes files, in fewer goes; also those that threads send."""
    monkeypatch.setattr(moving, "GATHERING", 60.0)
    reads, writes = os.pipe()
    os.set_blocking(reads, False)
    try:
        output = moving._Output(writes)
        output.send(b"1\n")
        await checkpoint()
        await to_thread.run_sync(output.send, b"2\n")
        await checkpoint()
        with pytest.raises(BlockingIOError):
            os.read(reads, 100)
        output.flush()
        assert os.read(reads, 100) == b"1\n2\n"
    finally:
        os.close(reads)
        os.close(writes)


async def test_lines_are_written_after_a_moment() -> None:
    """A line that stays alone is told of as well."""
    reads, writes = os.pipe()
    try:
        moving._Output(writes).send(b"1\n")
        assert await to_thread.run_sync(os.read, reads, 100) == b"1\n"
    finally:
        os.close(reads)
        os.close(writes)
