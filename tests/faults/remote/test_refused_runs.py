"""Refusals that end the run: requests, credentials, buckets and redirects (rows 27 to 37)."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from asyncsync.disk import PART
from asyncsync.errors import AuthError, BucketError, RedirectError, SourceError
from asyncsync.model import Settings
from asyncsync.pace.refused import MOST_ALIKE
from tests.faults.remote.scene import BOTH, KEY, OTHER, PARTS, SMALL, assert_source_error
from tests.rigs.acts import s3_error
from tests.rigs.bucket import Bucket
from tests.rigs.fault_proxy import Act, Rule, Verb
from tests.rigs.fault_run import synced
from tests.rigs.scripted import Authority, ScriptedServer, answers, response
from tests.rigs.watch import unfinished

pytestmark = pytest.mark.anyio


# Requests and buckets.


@pytest.mark.row(27)
@pytest.mark.parametrize(
    ("status", "code"), [("400 Bad Request", "InvalidArgument"), ("501 Not", "NotImplemented")]
)
async def test_refusal_of_the_request_ends_the_run(
    bucket: Bucket, dest: Path, status: str, code: str
) -> None:
    """The run ends at once, with the server's code, after a request by ListObjects."""
    run = await synced(bucket, dest, Rule("LIST", "*", s3_error(status, code)))
    assert_source_error(run, SourceError, code, status[:3])
    assert len(run.proxy.requests) == 2
    assert run.waited == 0


@pytest.mark.row(27)
@pytest.mark.parametrize("verb", ["HEAD", "GET"])
@pytest.mark.parametrize("status", ["400 Bad Request", "501 Not Implemented"])
async def test_refusal_of_every_such_request_ends_the_run(
    bucket: Bucket, dest: Path, verb: Verb, status: str
) -> None:
    """A request that the server does not support is not the fault of ten objects."""
    bucket.put_many({f"1hz/{number}.parquet": SMALL for number in range(8)})
    run = await synced(
        bucket,
        dest,
        Rule("GET", "*", s3_error(status, "NotImplemented")),
        *[Rule("HEAD", "*", Act(instead=response(status=status)))] * (verb == "HEAD"),
    )
    assert_source_error(run, SourceError, status[:3], "10 objects in a row")
    assert len(run.failures) < MOST_ALIKE
    assert run.tree == {}
    assert run.waited == 0


@pytest.mark.row(33)
async def test_missing_bucket_ends_the_run(bucket: Bucket, dest: Path) -> None:
    """The error of the real server names the settings to check."""
    run = await synced(bucket, dest, settings={"bucket": "no-such-bucket"})
    assert_source_error(run, BucketError, "no such bucket", "R2_BUCKET", "R2_ENDPOINT_URL")
    assert len(run.proxy.requests) == 1


# Credentials.


@pytest.mark.row(28)
@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("401 Unauthorized", "Unauthorized"),
        ("403 Forbidden", "InvalidAccessKeyId"),
        ("403 Forbidden", "SignatureDoesNotMatch"),
    ],
)
async def test_bad_credentials_end_the_run(
    bucket: Bucket, dest: Path, status: str, code: str
) -> None:
    """The run ends after one request, and the error says what to check."""
    run = await synced(bucket, dest, Rule("LIST", "*", s3_error(status, code)))
    assert_source_error(
        run, AuthError, code, "R2_SECRET_ACCESS_KEY", "a new token may need up to a minute"
    )
    assert len(run.proxy.requests) == 1
    assert run.waited == 0


@pytest.mark.row(28)
@pytest.mark.parametrize(
    "wrong", [{"secret_access_key": "wrong"}, {"access_key_id": "nobody"}], ids=["secret", "key"]
)
async def test_real_server_refuses_wrong_credentials(
    bucket: Bucket, dest: Path, wrong: dict[str, str]
) -> None:
    """The run ends after one request, and the error does not contain the secret."""
    run = await synced(bucket, dest, settings=wrong)
    assert_source_error(run, AuthError, "the credentials are not accepted")
    assert "wrong" not in run.message
    assert len(run.proxy.requests) == 1


@pytest.mark.row(29)
@pytest.mark.parametrize(
    ("status", "code"), [("403 Forbidden", "ExpiredToken"), ("400 Bad Request", "ExpiredRequest")]
)
async def test_credentials_that_expire_end_the_run(
    bucket: Bucket, dest: Path, status: str, code: str
) -> None:
    """Files that were finished before stay."""
    first = await synced(bucket, dest, prefixes=[OTHER])
    assert first.tree == {OTHER: SMALL}
    run = await synced(bucket, dest, Rule("GET", "*", s3_error(status, code)))
    assert_source_error(run, AuthError, code)
    assert run.tree == {OTHER: SMALL}
    assert run.proxy.count("GET") == 1


@pytest.mark.row(29)
async def test_parts_are_kept_when_credentials_expire(bucket: Bucket, dest: Path) -> None:
    """The next run, with new credentials, requests only the missing bytes."""
    bucket.put(KEY, PARTS)
    came = asyncio.Event()
    expired = s3_error("403 Forbidden", "ExpiredToken")
    run = await synced(
        bucket,
        dest,
        Rule("GET", KEY, replace(expired, until=came), span=f"bytes={PART}-*"),
        Rule("GET", KEY, Act(then=came.set), span="bytes=0-*"),
        prefixes=[KEY],
    )
    assert_source_error(run, AuthError, "ExpiredToken")
    assert run.tree == {}
    assert unfinished(dest)
    run = await synced(bucket, dest, prefixes=[KEY])
    assert (run.tree, run.ended_by) == ({KEY: PARTS}, (None, 0))
    assert run.report.kept_bytes > 0
    assert sum(run.watcher.bytes[KEY]) == len(PARTS)


@pytest.mark.row(29)
async def test_new_credentials_are_taken_in_a_run(bucket: Bucket, dest: Path) -> None:
    """After the real server refuses the old credentials, the new ones in the settings are used."""
    server = bucket.server
    found = Settings(
        server.access_key_id, server.secret_access_key, server.endpoint_url, server.bucket
    )
    old = {"access_key_id": "nobody", "reload": lambda: found, "endpoint_url": found.endpoint_url}
    run = await synced(bucket, dest, settings=old)
    assert run.tree == BOTH
    assert run.ended_by == (None, 0)


# Redirects.


@pytest.mark.row(36)
@pytest.mark.parametrize(
    ("verb", "status"),
    [
        ("LIST", "301 Moved Permanently"),
        ("LIST", "307 Temporary Redirect"),
    ],
)
async def test_redirect_ends_the_run(bucket: Bucket, dest: Path, verb: Verb, status: str) -> None:
    """A redirect is never followed, and the error has its target."""
    async with ScriptedServer(answers(response())) as elsewhere:
        away = s3_error(status, location=f"{elsewhere.endpoint}/b/k", x_amz_bucket_region="weur")
        run = await synced(bucket, dest, Rule(verb, "*", away))
        assert_source_error(run, RedirectError, f"127.0.0.1:{elsewhere.port}", "region weur")
        assert elsewhere.peers == []
    assert run.tree == {}


@pytest.mark.row(37)
async def test_redirect_out_of_tls_ends_the_run(bucket: Bucket, dest: Path) -> None:
    """A redirect from https to http is not followed either."""
    authority = Authority()
    async with ScriptedServer(answers(response())) as elsewhere:
        run = await synced(
            bucket,
            dest,
            Rule("*", "*", s3_error("302 Found", location=f"{elsewhere.endpoint}/")),
            tls=authority.server(),
            transport={"ssl_context": authority.client()},
        )
        assert_source_error(run, RedirectError, f"127.0.0.1:{elsewhere.port}")
        assert elsewhere.peers == []
