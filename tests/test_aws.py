"""Runs with AWS's settings, from the command line and in Python."""

import asyncio
from pathlib import Path

import pytest

import asyncsync as api
from asyncsync.errors import AuthError
from tests.rigs.child import asyncsync
from tests.rigs.provider import TOKEN, of_container, provides
from tests.rigs.scripted_s3 import Answer, Request, ScriptedS3
from tests.rigs.watch import tree

pytestmark = pytest.mark.anyio

OBJECTS = {f"{number}.parquet": b"data" * number for number in range(5)}
SECRET = "the-secret-key"


@pytest.fixture
def profile() -> Path:
    """A profile in `~/.aws/credentials`, whose endpoint is set in the tests."""
    file = Path.home() / ".aws" / "credentials"
    file.parent.mkdir()
    file.touch(mode=0o600)
    file.write_text(f"[data]\naws_access_key_id = OFDATA\naws_secret_access_key = {SECRET}\n")
    return file


def signers(s3: ScriptedS3) -> set[str]:
    """Return the names of all credentials that signed a request."""
    found = [request.headers["authorization"] for request in s3.requests]
    return {text.partition("Credential=")[2].partition("/")[0] for text in found}


async def test_command_line_takes_bucket_and_profile(profile: Path, tmp_path: Path) -> None:
    """All pages and objects are requested with the profile's credentials, in its region."""
    async with ScriptedS3(OBJECTS, page_size=2) as s3:
        with profile.open("a") as file:
            file.write(f"endpoint_url = {s3.endpoint}\nregion = eu-west-1\n")
        arguments = ("--bucket", "sensors", "--profile", "data", "--dest", str(tmp_path / "dest"))
        done = await asyncsync({}, *arguments, "--validate=response")
    assert (done.code, done.err) == (0, "")
    assert tree(tmp_path / "dest") == OBJECTS
    assert signers(s3) == {"OFDATA"}
    assert all("/eu-west-1/s3/" in r.headers["authorization"] for r in s3.requests)


async def test_public_bucket_is_read_without_credentials(profile: Path, tmp_path: Path) -> None:
    """The endpoint is the profile's, nothing is signed with its key, and messages name no R2."""
    async with ScriptedS3(OBJECTS) as s3:
        with profile.open("a") as file:
            file.write(f"endpoint_url = {s3.endpoint}\n")
        arguments = ("--bucket=sensors", "--profile=data", "--no-sign-request", "--dest=dest")
        done = await asyncsync({}, *arguments)
        assert (done.code, done.err) == (0, "")
        s3.on_list = lambda _: Answer(b"<Error><Code>NoSuchBucket</Code></Error>", 404)
        lost = await asyncsync({}, "plan", *arguments)
    assert (lost.code, "R2_" in lost.err) == (4, False)
    assert "check --bucket and endpoint_url of profile data" in lost.err
    assert [request for request in s3.requests if "authorization" in request.headers] == []


async def test_arguments_win_over_variables_of_r2s(tmp_path: Path) -> None:
    """The credentials are R2's, and bucket and endpoint those of the arguments."""
    async with ScriptedS3(OBJECTS) as s3:
        settings = {**s3.environment, "R2_BUCKET": "other", "R2_ENDPOINT_URL": "https://other"}
        arguments = ("--bucket=sensors", f"--endpoint-url={s3.endpoint}", "--region=eu")
        done = await asyncsync(settings, "plan", *arguments)
        assert f"sensors at {s3.endpoint}" in done.out
    assert (done.code, signers(s3)) == (0, {"AKID"})
    assert "/eu/s3/" in s3.requests[0].headers["authorization"]


async def test_functions_take_them_too(profile: Path, tmp_path: Path) -> None:
    """As keyword arguments."""
    async with ScriptedS3(OBJECTS) as s3:
        report = await api.sync(
            bucket="sensors", endpoint_url=s3.endpoint, profile="data", region="eu", dest="dest"
        )
    assert (report.downloaded, signers(s3)) == (len(OBJECTS), {"OFDATA"})


@pytest.mark.row(29)
@pytest.mark.parametrize("processes", [0, 2])
@pytest.mark.parametrize("is_renewed", [True, False])
async def test_role_that_expires_in_a_run_is_asked_for_again(
    is_renewed: bool, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, for all processes, when the server refuses it; without another one the run ends."""
    names = iter(["FIRST", "SECOND"] if is_renewed else ["FIRST"])

    def expire(request: Request) -> Answer | None:
        if "Credential=FIRST/" in request.headers["authorization"]:
            return Answer(b"<Error><Code>ExpiredToken</Code></Error>", 403)
        return None

    def answer(_: object) -> bytes:
        name = next(names, "")
        return of_container(name) if name else b"gone"

    async with ScriptedS3(OBJECTS) as s3:
        s3.on_object = expire
        with provides(answer) as provider:
            monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", provider.endpoint)
            monkeypatch.setattr("botocore.utils.ContainerMetadataFetcher.SLEEP_TIME", 0)
            run = api.sync("s3://sensors/", "dest", endpoint_url=s3.endpoint, processes=processes)
            if is_renewed:
                assert (await run).exit_code == 0
                assert tree(Path("dest")) == OBJECTS
            else:
                with pytest.raises(AuthError, match=r"ExpiredToken.*cannot be read again: AWS's"):
                    await run
    assert signers(s3) == ({"FIRST", "SECOND"} if is_renewed else {"FIRST"})
    assert all(request.headers["x-amz-security-token"] == TOKEN for request in s3.requests)


async def test_provider_that_is_slow_does_not_hold_up_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A notebook's other work goes on while it is asked."""
    ticks: list[float] = []
    loop = asyncio.get_running_loop()
    ticked = asyncio.Event()

    def answer(_: object) -> bytes:
        asyncio.run_coroutine_threadsafe(ticked.wait(), loop).result(20)
        return of_container()

    async def tick() -> None:
        while len(ticks) < 3:
            ticks.append(loop.time())
            await asyncio.sleep(0)
        ticked.set()

    async with ScriptedS3(OBJECTS) as s3:
        with provides(answer) as provider:
            monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", provider.endpoint)
            ticking = asyncio.create_task(tick())
            plan = await api.plan(bucket="sensors", endpoint_url=s3.endpoint)
            await ticking
    assert len(plan) == len(OBJECTS)


async def test_doctor_says_where_each_setting_came_from(profile: Path) -> None:
    """By their names in AWS's world, and by where the credentials were found."""
    async with ScriptedS3({"a.parquet": b"data"}) as s3:
        settings = {"AWS_ENDPOINT_URL_S3": s3.endpoint, "AWS_REGION": "eu-west-1"}
        done = await asyncsync(settings, "doctor", "--bucket=sensors", "--profile=data", "--json")
    (told,) = [event for event in done.events if event["check"] == "settings"]
    assert told["message"].split("; ") == [
        "credentials from profile data (shared-credentials-file)",
        "bucket from --bucket",
        "profile from --profile",
        "AWS_ENDPOINT_URL_S3, AWS_REGION, ASYNCSYNC_PARQUET_CHECK from the environment",
    ]
    assert SECRET not in f"{done.out}{done.err}"
