"""What a request says of the bucket, and of its sender: host, path, payer, signature."""

from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from asyncsync.errors import AuthError, TransferError
from asyncsync.model import Addressing, RemoteObject, Settings
from asyncsync.s3.store import open_store
from tests.rigs.names import lead_here
from tests.rigs.scripted import Peer, ScriptedServer, response
from tests.rigs.scripted_s3 import Answer, ScriptedS3

pytestmark = pytest.mark.anyio

REMOTE = RemoteObject("1hz/a b.parquet", 10, "", 0)
OBJECT = "/1hz/a%20b.parquet"
PAGE = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All names lead here, and aioboto3's client requests the second page."""
    monkeypatch.setattr("asyncsync.s3.store.SHORT_LISTING", 1)
    return lead_here(monkeypatch)


async def play(peer: Peer) -> None:
    """Answer each request with a page, or an object."""
    while True:
        head = await peer.receive()
        if "list-type=2" in head:
            await peer.send(response(PAGE))
        elif head.startswith("HEAD"):
            await peer.send(response(headers={"Content-Length": "10"}))
        else:
            await peer.send(response(b"0123456789"))


async def sent(endpoint: str, **changed: object) -> list[str]:
    """Return the heads of a first page, one by aioboto3, a HEAD, a GET, and those of a fetch.

    The endpoint's PORT is that of a server here.
    """
    async with ScriptedServer(play) as server, AsyncExitStack() as stack:
        settings = Settings("AKID", "the-secret", endpoint.replace("PORT", str(server.port)), "-")
        settings = replace(settings, **changed)  # type: ignore[arg-type]  # of each field's type
        store = await stack.enter_async_context(open_store(settings))
        await store.list_page("1hz/")
        await store.list_page("1hz/", token="t/=+")
        await store.head(REMOTE.key)
        async with store.get(REMOTE) as body:
            await body.read()
        await store.fetch(REMOTE, asks=True)
        return [head.replace(f":{server.port}", ":PORT") for head in server.heads]


def fields(head: str) -> dict[str, str]:
    """Return the headers of a request by lower-cased name."""
    pairs = (line.partition(": ") for line in head.split("\r\n")[1:] if line)
    return {name.lower(): value for name, _, value in pairs}


def signature(head: str, port: int = 0) -> str:
    """Return the signature that botocore makes for a request."""
    headers = fields(head)
    method, target, _ = head.split("\r\n")[0].split(" ")
    scope, names, _ = headers["authorization"].split(", ")
    region = scope.split("/")[2]
    signed = {name: headers[name] for name in names.partition("=")[2].split(";")}
    request = AWSRequest(method, f"http://{headers['host']}{target}", signed)
    request.context["timestamp"] = headers["x-amz-date"]
    signer = auth.S3SigV4Auth(BotoCredentials("AKID", "the-secret"), "s3", region)
    canonical = signer.canonical_request(request)
    made: str = signer.signature(signer.string_to_sign(request, canonical), request)
    return made


@pytest.mark.row(144)
@pytest.mark.parametrize(
    ("endpoint", "bucket", "addressing", "host", "path"),
    [
        ("http://127.0.0.1:PORT", "sensors", "auto", "127.0.0.1:PORT", "/sensors"),
        ("http://127.0.0.1:PORT", "my_bucket", "auto", "127.0.0.1:PORT", "/my_bucket"),
        ("http://127.0.0.1:PORT", "tenant:b", "auto", "127.0.0.1:PORT", "/tenant%3Ab"),
        ("http://127.0.0.1:PORT", "b\u00fc b", "auto", "127.0.0.1:PORT", "/b%C3%BC%20b"),
        ("http://127.0.0.1:PORT/s/v1/s3", "a", "auto", "127.0.0.1:PORT", "/s/v1/s3/a"),
        ("http://s3.example:PORT", "a", "virtual", "a.s3.example:PORT", ""),
        ("http://s3.example:PORT/v1", "a", "virtual", "a.s3.example:PORT", "/v1"),
        ("http://s3.eu-west-1.amazonaws.com:PORT", "sensors", "auto", "sensors.s3.eu-west-1", ""),
        ("http://s3.eu-west-1.amazonaws.com:PORT", "my.s", "auto", "s3.eu-west-1", "/my.s"),
    ],
)
async def test_every_request_goes_to_the_bucket_and_is_signed_for_it(
    names: list[str], endpoint: str, bucket: str, addressing: str, host: str, path: str
) -> None:
    """Ours and aioboto3's alike: the path of the endpoint, and the bucket's name on its place."""
    wanted = host.replace("s3.eu-west-1", "s3.eu-west-1.amazonaws.com:PORT")
    heads = await sent(endpoint, bucket=bucket, addressing=Addressing(addressing))
    assert {fields(head)["host"] for head in heads} == {wanted}
    targets = [head.split(" ")[1].partition("?")[0] for head in heads]
    assert targets == [*[path or "/"] * 2, *[f"{path}{OBJECT}"] * 4]
    assert "user-agent" in fields(heads[1])  # aioboto3's
    assert set(names) == {wanted.removesuffix(":PORT")}


@pytest.mark.row(144)
@pytest.mark.parametrize("region", ["auto", "eu-west-1"])
@pytest.mark.parametrize("pays", [False, True])
@pytest.mark.parametrize(
    ("bucket", "path", "addressing"),
    [("sensors", "", "path"), ("tenant:b", "/s/v1", "path"), ("sensors", "/v1", "virtual")],
)
async def test_signature_is_that_of_botocore(
    names: list[str], bucket: str, path: str, addressing: str, pays: bool, region: str
) -> None:
    """For every place of the bucket, and with the word that the sender pays."""
    async with ScriptedServer(play) as server:
        endpoint = f"http://s3.example:{server.port}{path}"
        settings = Settings("AKID", "the-secret", endpoint, bucket, region=region)
        asks = replace(settings, addressing=Addressing(addressing), request_payer=pays)
        async with open_store(asks) as store:
            await store.list_page("1hz/")
            await store.list_page("1hz/", token="t/=+")
            await store.fetch(REMOTE, asks=True)
        assert len(server.heads) == 4
        for head in server.heads:
            told = fields(head)
            assert told["authorization"].endswith(f"Signature={signature(head)}")
            assert told.get("x-amz-request-payer") == ("requester" if pays else None)
            assert ("x-amz-request-payer" in told["authorization"]) == pays


@pytest.fixture
def _credentials_of_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks for credentials of AWS finds some that must not be used."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")


@pytest.mark.usefixtures("_credentials_of_aws")
async def test_unsigned_requests_hold_nothing_of_their_sender() -> None:
    """No signature, no key, no token, and no credentials that lie about."""
    heads = await sent("http://127.0.0.1:PORT", access_key_id="", bucket="sensors")
    assert len(heads) == 6
    for head in heads:
        told = fields(head)
        assert "authorization" not in told
        assert "x-amz-date" not in told
        assert "x-amz-security-token" not in told
        assert "another" not in head


async def test_unsigned_head_that_is_refused_where_get_is_not_says_so() -> None:
    """There are no credentials that another request could have renewed."""
    async with ScriptedS3({"a": b"data"}) as s3:
        s3.on_object = lambda request: Answer(b"", 403) if request.verb == "HEAD" else None
        async with open_store(replace(s3.settings, access_key_id="")) as store:
            with pytest.raises(TransferError, match="HEAD is refused, though GET is allowed"):
                await store.head("a")


@pytest.mark.parametrize(
    "answer",
    [
        Answer(b"<Error><Code>AccessDenied</Code></Error>", 403),
        Answer(b"<Error><Code>MissingSecurityHeader</Code></Error>", 401),
        Answer(b"<Error><Code>RequestTimeTooSkewed</Code></Error>", 403),
    ],
)
async def test_refused_unsigned_request_names_the_option(answer: Answer) -> None:
    """A bucket that is not public ends the run, and such an object fails alone."""
    async with ScriptedS3({"a": b"data"}) as s3:
        s3.on_list = s3.on_object = lambda _: answer
        settings = replace(s3.settings, access_key_id="", reload=lambda: s3.settings)
        async with open_store(settings) as store:
            with pytest.raises(AuthError, match="leave out --no-sign-request"):
                await store.list_page("")
            for call in (lambda: store.head("a"), lambda: store.fetch(REMOTE, asks=False)):
                with pytest.raises(TransferError, match="leave out --no-sign-request"):
                    await call()
    assert all("authorization" not in request.headers for request in s3.requests)
