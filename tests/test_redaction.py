"""No log holds a secret, whatever a program lets be logged."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from asyncsync.s3 import open_store
from tests.rigs.scripted_s3 import ScriptedS3

pytestmark = pytest.mark.anyio


async def test_everything_may_be_logged(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """Libraries log requests at DEBUG: without secret, session token and signatures."""
    caplog.set_level(logging.DEBUG)
    async with ScriptedS3({"a.parquet": b"data"}) as s3:
        settings = replace(s3.settings, session_token="the-session-token")
        async with open_store(settings) as store:
            (remote,) = (await store.list_page("")).objects
            async with store.get(remote) as body:
                assert await body.read() == b"data"
        signatures = [r.headers["authorization"].rpartition("=")[2] for r in s3.requests]
    assert "StringToSign" in caplog.text  # so there was something to redact
    assert len(signatures) == 2
    for secret in (settings.secret_access_key, settings.session_token, *signatures):
        assert secret not in caplog.text
