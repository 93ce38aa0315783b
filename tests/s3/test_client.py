"""The client that goes on with listings: loaded when it is needed, and told no secret."""

import logging
import os
import sys
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from asyncsync.s3.store import open_store
from tests.rigs.scripted_s3 import ScriptedS3

pytestmark = pytest.mark.anyio

KEYS = [f"{number}.parquet" for number in range(5)]


async def test_client_goes_on_behind_the_first_page() -> None:
    """With the token, and with all else that the first page was asked for."""
    async with ScriptedS3(dict.fromkeys(KEYS, b"data"), page_size=2) as s3:
        async with open_store(s3.settings) as store:
            first = await store.list_page("", start_after="0.parquet")
            second = await store.list_page("", start_after="0.parquet", token=first.next_token)
        assert [remote.key for remote in (*first.objects, *second.objects)] == KEYS[1:]
    asked = [(r.verb, r.key, r.start_after, r.token) for r in s3.requests]
    assert asked == [
        ("LIST", "", "0.parquet", ""),
        ("LIST", "", "0.parquet", first.next_token),
    ]


async def test_everything_may_be_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Libraries log requests at DEBUG: without secret, session token and signatures."""
    caplog.set_level(logging.DEBUG)
    async with ScriptedS3(dict.fromkeys(KEYS, b"data"), page_size=2) as s3:
        settings = replace(s3.settings, session_token="the-session-token")
        async with open_store(settings) as store:
            page = await store.list_page("")
            await store.list_page("", token=page.next_token)
            async with store.get(page.objects[0]) as body:
                assert await body.read() == b"data"
        signatures = [r.headers["authorization"].rpartition("=")[2] for r in s3.requests]
    assert "ListObjectsV2" in caplog.text  # so requests were logged
    assert len(signatures) == 3
    for secret in (settings.secret_access_key, settings.session_token, *signatures):
        assert secret not in caplog.text


async def test_bucket_of_one_page_needs_no_client(tmp_path: Path) -> None:
    """To load it takes longer than the whole run."""
    code = """
import sys
from asyncsync.cli import main

code = main(["--quiet", "--dest", sys.argv[1]])
assert not {"aioboto3", "botocore", "aiohttp"} & {*sys.modules}
sys.exit(code)
"""
    async with ScriptedS3(dict.fromkeys(KEYS, b"data")) as s3:
        environment = os.environ | s3.environment | {"ASYNCSYNC_PARQUET_CHECK": "no"}
        command = [sys.executable, "-W", "error", "-c", code, str(tmp_path / "dest")]
        done = await anyio.run_process(command, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
