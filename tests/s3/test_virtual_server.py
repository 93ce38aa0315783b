"""A real server that knows a bucket by the host's name."""

from dataclasses import replace
from pathlib import Path

import pytest

from asyncsync.demo import seaweed
from asyncsync.errors import AuthError
from asyncsync.model import Addressing, Settings
from asyncsync.s3.store import open_store
from tests.rigs.bucket import Bucket, client_of
from tests.rigs.names import lead_here

pytestmark = pytest.mark.anyio

KEY = "1hz/a b+.parquet"


@pytest.mark.row(144)
async def test_bucket_in_the_name_of_the_host_is_listed_and_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """SeaweedFS accepts the signatures of all requests, those of aioboto3's as well."""
    monkeypatch.setattr(seaweed, "_FLAGS", seaweed._FLAGS | {"s3.domainName": "s3.example"})
    with seaweed.serve(tmp_path / "served", "sensors") as server:
        Bucket(server, client_of(server)).put(KEY, b"data")
        names = lead_here(monkeypatch)
        settings = Settings(
            server.access_key_id,
            server.secret_access_key,
            server.endpoint_url.replace("127.0.0.1", "s3.example"),
            server.bucket,
            addressing=Addressing.VIRTUAL,
        )
        async with open_store(settings) as store:
            [listed] = (await store.list_page("1hz/a b+")).objects
            by_client = await (await store._open_lister()).page("1hz/a b+", "", "", "")
            fetched = await store.fetch(listed, asks=True)
        wrong = replace(settings, secret_access_key="wrong")
        async with open_store(wrong) as store:
            with pytest.raises(AuthError):
                await store.list_page("")
    assert listed.key == KEY
    assert by_client.objects == [listed]
    assert fetched.content == b"data"
    assert set(names) == {"sensors.s3.example"}
