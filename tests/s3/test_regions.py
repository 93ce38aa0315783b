"""A wrong region is put right by what the server says, once, and never elsewhere than it may."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

import asyncsync
from asyncsync.errors import AsyncSyncError, RedirectError, RegionCorrectedError, SourceError
from asyncsync.model import Names, RemoteObject, Settings
from asyncsync.s3.regions import told_of
from asyncsync.s3.store import S3Store, open_store
from tests.rigs.names import lead_here
from tests.rigs.scripted import Authority
from tests.rigs.scripted_s3 import Answer, Hook, Request, ScriptedS3, etag_of

pytestmark = pytest.mark.anyio

KEYS = [f"{number}.parquet" for number in range(5)]
DATA = b"data"
REMOTE = RemoteObject(KEYS[0], len(DATA), etag_of(DATA), 0)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All names lead here."""
    return lead_here(monkeypatch)


@pytest.fixture(autouse=True)
def second_page_is_the_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a run, the client of aioboto3 requests what lies behind many pages."""
    monkeypatch.setattr("asyncsync.s3.store.SHORT_LISTING", 1)


def aws(s3: ScriptedS3, region: str = "us-east-1", host: str = "s3.us-east-1") -> Settings:
    """Return settings for AWS, whose names lead to the server."""
    endpoint = s3.endpoint.replace("127.0.0.1", f"{host}.amazonaws.com")
    return replace(s3.settings, endpoint_url=endpoint, region=region)


def refused(status: int, code: str, inside: str = "", **headers: str) -> Answer:
    """Return an error, with more elements, and headers whose names have a dash for a `_`."""
    body = f"<Error><Code>{code}</Code><Message>said</Message>{inside}</Error>".encode()
    return Answer(body, status, {name.replace("_", "-"): text for name, text in headers.items()})


def unless(is_right: Callable[[Request], bool], answer: Answer) -> Hook:
    """Return what answers all requests so that are not right."""
    return lambda request: None if is_right(request) else answer


def in_ireland(request: Request) -> bool:
    """Whether a request goes to the bucket's own region, and is signed for it."""
    signed = request.headers.get("authorization", "/eu-west-1/s3/")
    return "s3.eu-west-1.amazonaws.com" in request.headers["host"] and "/eu-west-1/s3/" in signed


ENDPOINT = "<Endpoint>sensors.s3-eu-west-1.amazonaws.com</Endpoint>"
# As AWS sends them: 301 for another region's host, 400 where the name led to the right one, 307 for
# a bucket that is new.
WRONG_REGION = [
    refused(301, "PermanentRedirect", ENDPOINT, x_amz_bucket_region="eu-west-1"),
    refused(301, "PermanentRedirect", ENDPOINT),
    refused(307, "TemporaryRedirect", ENDPOINT, Location="http://sensors.s3-eu-west-1.example/"),
    refused(400, "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>"),
]


@pytest.mark.row(137)
@pytest.mark.parametrize("answer", WRONG_REGION)
@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("s3.us-east-1", "AKID"),
        ("s3.us-east-1", ""),
        ("s3", "AKID"),
        ("s3", ""),
        ("s3.eu-west-1", "AKID"),
    ],
)
async def test_region_is_put_right_once(
    names: list[str], answer: Answer, host: str, key: str
) -> None:
    """The next attempt goes there, as does all that follows; a line says so and what to set."""
    notices: list[str] = []
    async with ScriptedS3(dict.fromkeys(KEYS, DATA), page_size=2) as s3:
        s3.on_list = s3.on_object = unless(in_ireland, answer)
        settings = replace(aws(s3, host=host), access_key_id=key)
        async with open_store(settings, notices.append) as store:
            with pytest.raises(RegionCorrectedError):
                await store.list_page("")
            first = await store.list_page("")
            second = await store.list_page("", token=first.next_token)
            assert (await store.head(KEYS[0])).size == len(DATA)
            fetched = await store.fetch(REMOTE, asks=True)
        assert [remote.key for remote in (*first.objects, *second.objects)] == KEYS[:4]
        assert fetched.content == DATA
        assert len(s3.requests) == 6
        assert {request.headers["host"].rpartition(":")[0] for request in s3.requests[1:]} == {
            "sensors.s3.eu-west-1.amazonaws.com"
        }
    [notice] = notices
    assert "the bucket is in the region eu-west-1" in notice
    assert ("R2_REGION=eu-west-1" in notice) == (settings.region != "eu-west-1")
    assert ("R2_ENDPOINT_URL=http://s3.eu-west-1." in notice) == (host != "s3.eu-west-1")


@pytest.mark.row(137)
@pytest.mark.parametrize("verb", ["LIST", "HEAD", "GET", "client"])
async def test_region_is_put_right_for_every_kind_of_request(names: list[str], verb: str) -> None:
    """An answer to HEAD has no body, so that the header tells."""
    answer = WRONG_REGION[0]
    async with ScriptedS3(dict.fromkeys(KEYS, DATA), page_size=2) as s3:
        token = (await first_page(s3)) if verb == "client" else ""
        s3.on_list = s3.on_object = unless(in_ireland, answer)
        async with open_store(aws(s3)) as store:
            calls: dict[str, Callable[[], Awaitable[object]]] = {
                "LIST": lambda: store.list_page(""),
                "client": lambda: store.list_page("", token=token),
                "HEAD": lambda: store.head(KEYS[0]),
                "GET": lambda: store.fetch(REMOTE, asks=False),
            }
            with pytest.raises(RegionCorrectedError):
                await calls[verb]()
            await calls[verb]()


@pytest.mark.row(137)
async def test_sync_goes_on_in_the_right_region(
    names: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Over TLS, with the certificates that AWS's hosts have, and with nothing lost on the way."""
    authority = Authority()
    hosts = [f"*.s3.{region}.amazonaws.com" for region in ("us-east-1", "eu-west-1")]
    authority.ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    async with ScriptedS3(
        dict.fromkeys(KEYS, DATA), page_size=2, tls=authority.server(*hosts)
    ) as s3:
        s3.on_list = s3.on_object = unless(in_ireland, WRONG_REGION[0])
        endpoint = s3.endpoint.replace("http://127.0.0.1", "https://s3.us-east-1.amazonaws.com")
        for name, value in (s3.environment | {"R2_ENDPOINT_URL": endpoint}).items():
            monkeypatch.setenv(name, value)
        dest = tmp_path / "dest"
        report = await asyncsync.sync(dest=dest, prefixes=KEYS, parquet_check=False)
    assert (report.exit_code, report.downloaded) == (0, len(KEYS))
    assert {(dest / key).read_bytes() for key in KEYS} == {DATA}
    assert set(names) == {host.replace("*", "sensors") for host in hosts}


async def first_page(s3: ScriptedS3) -> str:
    async with open_store(s3.settings) as store:
        return (await store.list_page("")).next_token


@pytest.mark.row(137)
async def test_requests_under_way_are_sent_again(names: list[str]) -> None:
    """Another one has put the region right meanwhile; that is said once."""
    notices: list[str] = []
    async with ScriptedS3(dict.fromkeys(KEYS, DATA)) as s3:
        s3.on_list = s3.on_object = unless(in_ireland, WRONG_REGION[0])
        async with open_store(aws(s3), notices.append) as store:
            get = store._http.request
            exchange = get("GET", "/0.parquet", headers := store._signed("GET", "/0.parquet"))
            async with exchange as late:
                with pytest.raises(RegionCorrectedError):
                    await store.list_page("")
                error = await store._refused(late, KEYS[0], headers)
    assert isinstance(error, RegionCorrectedError)
    assert len(notices) == 1


@pytest.mark.row(137)
async def test_other_servers_get_another_signature_at_the_same_host() -> None:
    """As MinIO and Garage ask for it, by the region's name in the answer."""
    notices: list[str] = []
    answer = refused(400, "AuthorizationHeaderMalformed", "<Region>garage</Region>")
    async with ScriptedS3(dict.fromkeys(KEYS, DATA), page_size=2) as s3:
        s3.on_list = unless(lambda r: "/garage/s3/" in r.headers["authorization"], answer)
        async with open_store(s3.settings, notices.append) as store:
            with pytest.raises(RegionCorrectedError):
                await store.list_page("")
            first = await store.list_page("")
            await store.list_page("", token=first.next_token)
        assert s3.count("LIST") == 3
        assert notices[0].endswith("; set R2_REGION=garage")


@pytest.mark.row(137)
async def test_wrong_region_says_nothing_of_checksums() -> None:
    """A HEAD that was refused for it is sent again with the wish for one, like all that follow."""
    answer = refused(400, "AuthorizationHeaderMalformed", "<Region>garage</Region>")
    async with ScriptedS3({KEYS[0]: DATA}) as s3:
        s3.on_object = unless(lambda r: "/garage/s3/" in r.headers["authorization"], answer)
        async with open_store(s3.settings) as store:
            fetched = await store.fetch(REMOTE, asks=True)
            assert isinstance(fetched.got, RegionCorrectedError)
            assert isinstance(fetched.asked, RegionCorrectedError)
            assert (await store.head(KEYS[0])).size == len(DATA)
        wishes = ["x-amz-checksum-mode" in r.headers for r in s3.requests if r.verb == "HEAD"]
    assert wishes == [True, True]


async def fails(store: S3Store) -> AsyncSyncError:
    with pytest.raises(AsyncSyncError) as caught:
        await store.list_page("")
    return caught.value


@pytest.mark.row(36, 137)
@pytest.mark.parametrize(
    "answer",
    [
        refused(301, "PermanentRedirect", "<Endpoint>sensors.s3.evil.example</Endpoint>"),
        refused(301, "PermanentRedirect", "<Endpoint>s3.x.compute.amazonaws.com</Endpoint>"),
        refused(301, "PermanentRedirect", "<Region>evil.example/</Region>"),
        refused(301, "PermanentRedirect", "<Region>compute-1</Region>"),
        refused(301, "PermanentRedirect", x_amz_bucket_region="eu-west-1.evil.example"),
        refused(301, "PermanentRedirect", x_amz_bucket_region="evil.example#"),
        refused(307, "TemporaryRedirect", Location="http://evil.example/"),
        refused(400, "AccountProblem", x_amz_bucket_region="eu-west-1"),
        refused(400, "AuthorizationHeaderMalformed", "<Region>@evil.example</Region>"),
        refused(400, "AuthorizationHeaderMalformed", "<Region>us-east-1</Region>"),
    ],
)
async def test_nothing_is_sent_to_a_host_that_an_answer_names(
    names: list[str], answer: Answer
) -> None:
    """What names no region of AWS's ends the run, and no other name is even looked up."""
    async with ScriptedS3({}) as s3:
        s3.on_list = lambda _: answer
        async with open_store(aws(s3)) as store:
            assert isinstance(await fails(store), SourceError)
    assert len(s3.requests) == 1
    assert set(names) == {"sensors.s3.us-east-1.amazonaws.com"}


@pytest.mark.row(36, 137)
@pytest.mark.parametrize("status", [301, 307])
async def test_other_servers_lead_to_no_other_host(names: list[str], status: int) -> None:
    """Not even below their own domain: nobody knows whose that is."""
    answer = refused(
        status, "Redirect", x_amz_bucket_region="eu-1", Location="http://s3.eu-1.s.example/"
    )
    async with ScriptedS3({}) as s3:
        s3.on_list = lambda _: answer
        endpoint = s3.endpoint.replace("127.0.0.1", "s3.s.example")
        async with open_store(replace(s3.settings, endpoint_url=endpoint)) as store:
            assert type(await fails(store)) is RedirectError
    assert len(s3.requests) == 1
    assert set(names) == {"s3.s.example"}


@pytest.mark.row(137)
async def test_region_is_changed_once_for_a_run(names: list[str]) -> None:
    """A server that says another one each time is not followed in circles."""
    regions = iter(["eu-west-1", "eu-west-2", "eu-west-1"])
    async with ScriptedS3({}) as s3:
        s3.on_list = lambda _: refused(301, "PermanentRedirect", x_amz_bucket_region=next(regions))
        async with open_store(aws(s3)) as store:
            assert type(await fails(store)) is RegionCorrectedError
            assert type(await fails(store)) is RedirectError
            assert type(await fails(store)) is RedirectError
    assert len(s3.requests) == 3


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("R2_REGION", "set R2_REGION=eu"),
        ("--region", "set --region=eu"),
        ("region of profile data", "set region of profile data to eu"),
    ],
)
def test_what_is_to_be_set_is_called_by_its_name(name: str, said: str) -> None:
    """The variable, the option, or the setting of AWS's."""
    found = Settings("AKID", "secret", "https://h", "b", names=Names(region=name))
    assert told_of(found, replace(found, region="eu")).endswith(said)
