"""aioboto3's client: it lists the pages behind the first ones, and is loaded only for those."""

import logging
import os
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import anyio
import pytest
from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES, DEFAULT_S3_CONFIG_VARS
from botocore.loaders import JSONFileLoader, Loader

from asyncsync.errors import (
    AsyncSyncError,
    AuthError,
    BucketError,
    ClockCorrectedError,
    ConnectionLostError,
    CredentialsRenewedError,
    ProtocolError,
    RedirectError,
    ServerError,
    ThrottledError,
)
from asyncsync.s3.store import open_store
from tests.rigs.scripted_s3 import Answer, Request, ScriptedS3

pytestmark = pytest.mark.anyio

KEYS = [f"{number}.parquet" for number in range(5)]


@pytest.fixture(autouse=True)
def shortest_listing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client list every page behind the first."""
    monkeypatch.setattr("asyncsync.s3.store.SHORT_LISTING", 1)


async def test_client_lists_the_pages_behind_the_first() -> None:
    """With the token, and with everything else that the first page was requested with."""
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
    assert ["user-agent" in request.headers for request in s3.requests] == [False, True]
    assert "botocore/" in s3.requests[1].headers["user-agent"]
    for request in s3.requests:
        assert request.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKID/")


@pytest.mark.row(29)
async def test_client_signs_with_renewed_credentials() -> None:
    """Once the server has refused the old ones, and the settings hold others."""
    objects = dict.fromkeys(KEYS, b"data")
    async with ScriptedS3(objects, page_size=2) as s3:
        renewed = replace(s3.settings, access_key_id="NEW", session_token="new-token")
        settings = replace(s3.settings, session_token="old-token", reload=lambda: renewed)

        def expire(request: Request) -> Answer | None:
            if not request.token or "Credential=NEW/" in request.headers["authorization"]:
                return None
            return Answer(b"<Error><Code>ExpiredToken</Code></Error>", 400)

        s3.on_list = expire
        async with open_store(settings) as store:
            first = await store.list_page("")
            with pytest.raises(CredentialsRenewedError):
                await store.list_page("", token=first.next_token)
            page = await store.list_page("", token=first.next_token)
        assert [remote.key for remote in page.objects] == KEYS[2:4]
    assert [r.headers["x-amz-security-token"] for r in s3.requests] == [
        *("old-token", "old-token", "new-token")
    ]


@pytest.mark.row(31)
async def test_pages_behind_the_first_are_listed_with_the_servers_time() -> None:
    """The client signs with this machine's clock, so it is passed over where that is wrong."""
    objects = dict.fromkeys(KEYS, b"data")
    notices: list[str] = []
    async with ScriptedS3(objects, page_size=2) as s3:
        now = datetime.now(UTC) + timedelta(hours=2)

        def skewed(request: Request) -> Answer | None:
            if not request.token or request.headers["x-amz-date"][:11] == f"{now:%Y%m%dT%H}":
                return None
            refusal = b"<Error><Code>RequestTimeTooSkewed</Code></Error>"
            return Answer(refusal, 403, {"Date": format_datetime(now, usegmt=True)})

        s3.on_list = skewed
        async with open_store(s3.settings, notices.append) as store:
            first = await store.list_page("")
            with pytest.raises(ClockCorrectedError):
                await store.list_page("", token=first.next_token)
            page = await store.list_page("", token=first.next_token)
        assert [remote.key for remote in page.objects] == KEYS[2:4]
    assert len(notices) == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(b"<Error><Code>NoSuchBucket</Code></Error>", 404), BucketError),
        (Answer(b"<Error><Code>AccessDenied</Code></Error>", 403), AuthError),
        (Answer(b"", 307, {"Location": "https://elsewhere.example/"}), RedirectError),
        (Answer(b"<Error><Code>SlowDown</Code></Error>", 503), ThrottledError),
        (Answer(b"<Error><Code>InternalError</Code></Error>", 500), ServerError),
        (Answer(b"<Error><Code>InternalError</Code></Error>", 200), ProtocolError),
        (Answer(b"<html>Sign in", 200), ProtocolError),
        (Answer(b"", 200), ProtocolError),
        (Answer(b"<ListBucketResult>", cut=9), ConnectionLostError),
    ],
)
async def test_answer_to_the_client_fails_like_any_other(
    answer: Answer, error: type[AsyncSyncError]
) -> None:
    """An error of ours, after one request: the client neither retries nor raises its own."""
    async with ScriptedS3(dict.fromkeys(KEYS, b"data"), page_size=2) as s3:
        s3.on_list = lambda request: answer if request.token else None
        async with open_store(s3.settings) as store:
            first = await store.list_page("")
            with pytest.raises(error):
                await store.list_page("", token=first.next_token)
    assert s3.count("LIST") == 2


async def test_pages_are_parsed_once() -> None:
    """Ours comes before what botocore does about S3's answers: that finds an empty body."""
    found: list[bytes] = []
    async with (
        ScriptedS3(dict.fromkeys(KEYS, b"data"), page_size=2) as s3,
        open_store(s3.settings) as store,
    ):
        lister = await store._open_lister()
        lister._client.meta.events.register_first(
            "before-parse.s3.*", lambda response_dict, **_: found.append(response_dict["body"])
        )
        first = await store.list_page("")
        page = await store.list_page("", token=first.next_token)
    assert [remote.key for remote in page.objects] == KEYS[2:4]
    assert found == [b""]


@pytest.mark.parametrize("region", ["auto", "us-east-1", "eu-central-1", "cn-north-1", "x"])
async def test_client_signs_for_the_given_region(region: str) -> None:
    """As the first page is signed, whatever AWS has under that name, or whether it has any."""
    async with ScriptedS3(dict.fromkeys(KEYS, b"data"), page_size=2) as s3:
        async with open_store(replace(s3.settings, region=region)) as store:
            first = await store.list_page("")
            await store.list_page("", token=first.next_token)
        scopes = [r.headers["authorization"].split("/", 2)[2] for r in s3.requests]
    assert [scope.partition(",")[0] for scope in scopes] == [f"{region}/s3/aws4_request"] * 2


async def test_client_reads_only_what_it_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the megabytes of botocore's files about AWS's services and endpoints, those on S3."""
    read: list[str] = []
    load = JSONFileLoader.load_file

    def noting(self: JSONFileLoader, path: str) -> object:
        read.append(path)
        return load(self, path)

    monkeypatch.setattr(JSONFileLoader, "load_file", noting)
    async with ScriptedS3({}) as s3, open_store(s3.settings) as store:
        await store._open_lister()
    assert read[0].endswith(os.path.join("s3", "2006-03-01", "service-2"))
    assert not {"endpoints", "endpoint-rule-set-1"} & {Path(path).name for path in read}


async def test_client_reads_no_aws_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a profile, nor an endpoint or credentials of AWS's, which are for other programs."""
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "another")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    async with (
        ScriptedS3(dict.fromkeys(KEYS, b"data"), page_size=2) as s3,
        open_store(s3.settings) as store,
    ):
        first = await store.list_page("")
        await store.list_page("", token=first.next_token)
    assert "Credential=AKID/" in s3.requests[1].headers["authorization"]
    assert "x-amz-security-token" not in s3.requests[1].headers


def variables_of_aws() -> list[str]:
    """Return the names of all variables of the environment that botocore reads settings from."""
    known = {**BOTOCORE_DEFAUT_SESSION_VARIABLES, **DEFAULT_S3_CONFIG_VARS}
    named = [names for _, names, _, _ in known.values() if names]
    flat = {name for names in named for name in ([names] if isinstance(names, str) else names)}
    return sorted({*flat, "AWS_ENDPOINT_URL_S3", "AWS_EXECUTION_ENV", "AWS_REGION"})


@pytest.mark.row(163)
async def test_nonsense_in_the_settings_of_aws_has_no_effect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The request is the one that is sent without it, and nothing is raised."""
    sent: list[dict[str, str]] = []
    for environment in ({}, dict.fromkeys(variables_of_aws(), "nonsense \u00e9")):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        async with (
            ScriptedS3(dict.fromkeys(KEYS, b"data"), page_size=2) as s3,
            open_store(s3.settings) as store,
        ):
            first = await store.list_page("")
            second = await store.list_page("", token=first.next_token)
        assert [remote.key for remote in second.objects] == KEYS[2:4]
        changing = {"host", "x-amz-date", "authorization", "amz-sdk-invocation-id"}
        headers = s3.requests[1].headers
        sent.append({name: headers[name] for name in headers.keys() - changing})
    assert sent[0] == sent[1]


@pytest.mark.row(163)
async def test_trace_of_a_lambda_function_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is for services of AWS."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "mine")
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1")
    async with (
        ScriptedS3(dict.fromkeys(KEYS, b"data"), page_size=2) as s3,
        open_store(s3.settings) as store,
    ):
        first = await store.list_page("")
        await store.list_page("", token=first.next_token)
    assert "x-amzn-trace-id" not in s3.requests[1].headers


@pytest.mark.row(163)
@pytest.mark.parametrize("name", ["endpoints.json", "s3/2006-03-01/service-2.json"])
async def test_models_of_aws_are_those_that_came_with_the_client(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Others, in AWS_DATA_PATH or below `~/.aws`, are for other programs, and may be nonsense."""
    planted = tmp_path / "models" / name
    planted.parent.mkdir(parents=True)
    planted.write_text("nonsense")
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path / "models"))
    monkeypatch.setattr(Loader, "CUSTOMER_DATA_PATH", str(tmp_path / "models"))
    async with (
        ScriptedS3(dict.fromkeys(KEYS, b"data"), page_size=2) as s3,
        open_store(s3.settings) as store,
    ):
        first = await store.list_page("")
        second = await store.list_page("", token=first.next_token)
    assert [remote.key for remote in second.objects] == KEYS[2:4]


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
    own = settings.credentials
    for secret in (own.secret_access_key.reveal(), own.session_token.reveal(), *signatures):
        assert secret not in caplog.text


async def test_short_listing_needs_no_client(tmp_path: Path) -> None:
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
