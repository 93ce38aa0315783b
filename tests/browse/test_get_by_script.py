"""`get` as a program, from a server that sends what a real one will not: nothing unproven comes."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from asyncsync.disk import PART
from tests.rigs.child import Done, asyncsync, ended, started, until
from tests.rigs.scripted_s3 import Answer, Request, ScriptedS3, etag_of

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX ones"),
]

LARGE = os.urandom(2 * PART + 1000)
OBJECTS = {"1hz/small.bin": b"small", "1hz/large.bin": LARGE}
QUICK = ("--attempts", "2", "--no-progress")


def damaged(request: Request) -> Answer | None:
    """Answer each GET with as many bytes as were asked for, and the wrong ones."""
    if request.verb != "GET":
        return None
    size = len(OBJECTS[request.key])
    told = {"ETag": f'"{etag_of(OBJECTS[request.key])}"'}
    if span := request.headers.get("range"):
        first, last = map(int, span.removeprefix("bytes=").split("-"))
        told["Content-Range"] = f"bytes {first}-{last}/{size}"
        return Answer(bytes(last + 1 - first), 206, told)
    return Answer(bytes(size), 200, told)


async def got(s3: ScriptedS3, *words: str) -> Done:
    """Fetch an object with few attempts."""
    return await asyncsync(s3.environment, "get", *words, *QUICK)


@pytest.mark.parametrize("key", OBJECTS)
async def test_damaged_bytes_reach_nobody(key: str, tmp_path: Path) -> None:
    """Neither standard output nor the file, which stays as it was."""
    (tmp_path / "file").write_bytes(b"old")
    async with ScriptedS3(OBJECTS) as s3:
        s3.on_object = damaged
        for place in ("-", "file"):
            done = await got(s3, key, place)
            assert (done.code, done.out) == (1, "")
            assert done.err.startswith(f"asyncsync: {key}: the MD5 of its bytes is ")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("key", OBJECTS)
async def test_answer_that_is_cut_off_each_time_reaches_nobody(key: str, tmp_path: Path) -> None:
    """What has come is not the object."""
    async with ScriptedS3(OBJECTS) as s3:
        s3.on_object = lambda r: Answer(OBJECTS[key], cut=3) if r.verb == "GET" else None
        done = await got(s3, key, "-")
    assert (done.code, done.out) == (1, "")
    assert os.listdir(tmp_path) == []


async def test_bucket_that_may_not_be_listed_gives_its_objects(tmp_path: Path) -> None:
    """As a public bucket, or one whose credentials may only read."""
    denied = Answer(b"<Error><Code>AccessDenied</Code></Error>", 403)
    async with ScriptedS3(OBJECTS) as s3:
        s3.on_list = lambda _: denied
        done = await got(s3, "1hz/small.bin", "-")
        assert (done.code, done.out, done.err) == (0, "small", "")
        assert (await got(s3, "1hz/large.bin")).code == 0
        assert (tmp_path / "large.bin").read_bytes() == LARGE
        missing = await got(s3, "1hz/none.bin", "-")
    assert (missing.code, missing.out) == (3, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_interrupt_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    """Neither half a file nor the folder of one; to go on is what a sync does."""
    async with ScriptedS3(OBJECTS) as s3:
        s3.allowance = PART
        async with started(s3.environment, "get", "1hz/large.bin", "--no-progress") as child:
            await s3.used_up.wait()
            await until(lambda: os.listdir(tmp_path))
            child.send_signal(number)
            done = await ended(child)
    assert done.code == 128 + number
    assert done.err == f"asyncsync: stopped by {number.name} (exit code {128 + number})\n"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("command", ["ls", "du", "get x"])
async def test_signal_ends_what_waits_for_the_listing(command: str) -> None:
    """With 128 and its number."""
    asked = asyncio.Event()

    def wait(_: Request) -> Answer:
        asked.set()
        return Answer(until=asyncio.Event())

    async with ScriptedS3(OBJECTS) as s3:
        s3.on_list = wait
        async with started(s3.environment, *command.split()) as child:
            await asked.wait()
            child.send_signal(signal.SIGTERM)
            done = await ended(child)
    assert (done.code, done.out) == (143, "")
    assert done.err == "asyncsync: stopped by SIGTERM (exit code 143)\n"
