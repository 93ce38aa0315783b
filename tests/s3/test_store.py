"""The real store against servers that answer as no good server would."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from asyncsync.errors import (
    AccessDeniedError,
    AuthError,
    BucketError,
    ConfigError,
    ConnectionLostError,
    CredentialsRenewedError,
    ListingError,
    ProtocolError,
    RangeIgnoredError,
    RedirectError,
    RefusedError,
    RemoteChangedError,
    ServerError,
    SourceError,
    ThrottledError,
    TransferError,
    TransientError,
    VanishedError,
)
from asyncsync.model import Credentials, Head, Page, RemoteObject, Settings
from asyncsync.s3.store import S3Store, open_store
from asyncsync.secret import Secret
from asyncsync.times import format_http_date
from tests.rigs.scripted import Peer, Script, ScriptedServer, answers, response

pytestmark = pytest.mark.anyio

ETAG = "0123456789abcdef0123456789abcdef"
REMOTE = RemoteObject("1hz/a b.parquet", 10, ETAG, 0)
PAGE = (
    '<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    "<EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>"
    "<Contents><Key>1hz/a%20b.parquet</Key><Size>10</Size>"
    f"<LastModified>1970-01-01T00:00:00.000Z</LastModified><ETag>&quot;{ETAG}&quot;</ETag>"
    "</Contents></ListBucketResult>"
).encode()
QUOTED = {"ETag": f'"{ETAG}"'}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One event loop for all tests here, since they share a store."""
    return "asyncio"


@asynccontextmanager
async def served(
    script: Script,
    *,
    session_token: str = "",
    region: str = "auto",
    reload: Callable[[], Settings] | None = None,
) -> AsyncIterator[tuple[S3Store, ScriptedServer]]:
    """Open a store on a server that plays the script on every connection."""
    async with ScriptedServer(script) as server:
        settings = Settings(
            access_key_id="AKID",
            secret_access_key="the-secret",
            endpoint_url=server.endpoint,
            bucket="sensors",
            session_token=session_token,
            region=region,
            reload=reload,
        )
        async with open_store(settings) as store:
            yield store, server


class Stage:
    """A store, and the server behind it, which says what a test wants it to say."""

    def __init__(self) -> None:
        self.answer: Callable[[str], bytes] = lambda head: b""
        self.store: S3Store
        self.server: ScriptedServer

    async def play(self, peer: Peer) -> None:
        """Answer each request by its head."""
        while True:
            head = await peer.receive()
            await peer.send(self.answer(head))

    def says(self, answer: bytes) -> None:
        """Answer every request like this."""
        self.answer = lambda head: answer

    @property
    def requests(self) -> list[str]:
        """The heads of the requests of this test."""
        return self.server.heads


@pytest.fixture(scope="module")
async def opened_stage() -> AsyncIterator[Stage]:
    stage = Stage()
    async with served(stage.play) as (stage.store, stage.server):
        yield stage


@pytest.fixture
def stage(opened_stage: Stage) -> Stage:
    """One store for all tests here: to make one takes longer than the tests do."""
    opened_stage.server.heads.clear()
    return opened_stage


def error(code: str, status: str, **headers: str) -> bytes:
    """Return an error as S3 sends it."""
    body = f"<Error><Code>{code}</Code><Message>said the server</Message></Error>".encode()
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return response(body, status=status, headers=fields)


def fields(head: str) -> dict[str, str]:
    """Return the headers of a request by lower-cased name."""
    lines = head.split("\r\n")[1:]
    pairs = (line.partition(": ") for line in lines if line)
    return {name.lower(): value for name, _, value in pairs}


async def fetched(store: S3Store, span: range | None = None) -> bytes:
    async with store.get(REMOTE, span) as body:
        return b"".join([block async for block in body.blocks()])


# what is sent -----------------------------------------------------------------------------------


async def test_nothing_is_sent_before_it_is_asked_for() -> None:
    """Opening a store costs no request, not even for the bucket's region."""
    async with served(answers(response(PAGE))) as (_, server):
        pass
    assert server.peers == []


async def test_listing_request_is_a_list_objects_v2(stage: Stage) -> None:
    """What was asked for is in the query, and only that."""
    stage.says(response(PAGE))
    assert await stage.store.list_page("") == Page([REMOTE], [], "")
    await stage.store.list_page("1hz/ü+&", delimiter="/", start_after="1hz/a b", token="t/=+")
    first, second = (urlsplit(head.split(" ")[1]) for head in stage.requests)
    assert first.path == second.path == "/sensors"
    assert parse_qs(first.query) == {"list-type": ["2"], "encoding-type": ["url"]}
    assert parse_qs(second.query) == {
        "list-type": ["2"],
        "encoding-type": ["url"],
        "prefix": ["1hz/ü+&"],
        "delimiter": ["/"],
        "start-after": ["1hz/a b"],
        "continuation-token": ["t/=+"],
    }


async def test_every_request_is_signed_and_asks_for_plain_bytes() -> None:
    """LIST, HEAD and GET alike; the secret itself is never sent."""
    stage = Stage()
    stage.answer = lambda head: response(
        PAGE if "list-type" in head else b"" if head[:4] == "HEAD" else b"0123456789",
        headers=QUOTED | ({"Content-Length": "10"} if head[:4] == "HEAD" else {}),
    )
    async with served(stage.play, session_token="the-token", region="eu") as (store, server):
        await store.list_page("")
        await fetched(store)
        assert await store.head(REMOTE.key) == Head(10, ETAG)
    assert len(server.heads) == 3
    for head in server.heads:
        sent = fields(head)
        assert sent["accept-encoding"] == "identity"
        assert sent["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKID/")
        assert "/eu/s3/aws4_request" in sent["authorization"]
        assert sent["x-amz-security-token"] == "the-token"
        assert "the-secret" not in head


async def test_get_names_the_version_and_the_span(stage: Stage) -> None:
    """The key is percent-encoded once; a span that is all of the object is none."""
    part = response(
        b"234", status="206 Partial Content", headers={"Content-Range": "bytes 2-4/10"} | QUOTED
    )
    whole = response(b"0123456789", headers=QUOTED)
    stage.answer = lambda head: part if "range: " in head else whole
    assert await fetched(stage.store, range(2, 5)) == b"234"
    assert await fetched(stage.store, range(10)) == b"0123456789"
    assert await fetched(stage.store) == b"0123456789"
    target = ["GET", "/sensors/1hz/a%20b.parquet"]
    assert [head.split(" ")[:2] for head in stage.requests] == [target] * 3
    assert [fields(head).get("range") for head in stage.requests] == ["bytes=2-4", None, None]
    assert [fields(head)["if-match"] for head in stage.requests] == [f'"{ETAG}"'] * 3


@pytest.mark.row(49, 50)
@pytest.mark.parametrize("etag", ["", 'W/"abc', 'a"b', "a\r\nX-Evil: 1", "a\n", "é", "\x7f"])
async def test_get_without_a_strong_version_names_none(stage: Stage, etag: str) -> None:
    """If-Match needs a strong tag, and one that fits into a header."""
    stage.says(response(b"0123456789"))
    modified_ns = 1_769_903_999_000_000_000
    async with stage.store.get(replace(REMOTE, etag=etag, modified_ns=modified_ns)) as body:
        assert await body.read() == b"0123456789"
    assert "if-match" not in fields(stage.requests[0])
    assert "x-evil" not in fields(stage.requests[0])
    assert fields(stage.requests[0])["if-unmodified-since"] == format_http_date(modified_ns)


# listings that are none -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "kind", "match"),
    [
        (error("SlowDown", "503 Busy", Retry_After="7"), ThrottledError, "busy"),
        (error("TooManyRequests", "429 Too Many"), ThrottledError, "busy"),
        (error("InternalError", "500 Oops"), ServerError, "said the server"),
        (error("RequestTimeout", "400 Bad Request"), ServerError, "RequestTimeout"),
        (response(b"<html>Bad</html>", status="522 Origin"), ServerError, "522"),
        (error("InvalidAccessKeyId", "403 Forbidden"), AuthError, "R2_ACCESS_KEY_ID"),
        (error("SignatureDoesNotMatch", "403 Forbidden"), AuthError, "R2_SECRET_ACCESS_KEY"),
        (error("Unauthorized", "401 Unauthorized"), AuthError, "up to a minute"),
        (error("AccessDenied", "403 Forbidden"), AuthError, "do not allow listing"),
        (error("ExpiredRequest", "400 Bad Request"), AuthError, "ExpiredRequest"),
        (error("RequestTimeTooSkewed", "403 Forbidden"), AuthError, "clock"),
        (error("NoSuchBucket", "404 Not Found"), BucketError, "R2_BUCKET"),
        (error("NotImplemented", "501 No"), SourceError, "NotImplemented"),
        (response(b"<html>Log in</html>"), ProtocolError, "not an S3 listing"),
        (response(b"hello"), ProtocolError, "not an S3 answer"),
        (response(b""), ProtocolError, "not an S3 answer"),
        (response(PAGE[:-30]), ProtocolError, "not an S3 answer"),
        (response(b"<Error><Code>InternalError</Code></Error>"), ProtocolError, "Error"),
        (response(b"<!DOCTYPE x><ListBucketResult/>"), ProtocolError, "document type"),
        (response(PAGE.replace(b"false", b"true")), ListingError, "no token"),
    ],
)
async def test_bad_answer_to_a_listing_says_what_it_means(
    stage: Stage, answer: bytes, kind: type[Exception], match: str
) -> None:
    """The class decides whether the page is asked for again; the text says what to check."""
    stage.says(answer)
    with pytest.raises(kind, match=match) as caught:
        await stage.store.list_page("")
    assert "the-secret" not in str(caught.value)
    if isinstance(caught.value, ThrottledError):
        assert caught.value.retry_after in {7.0, None}


async def test_lost_connection_is_a_passing_error() -> None:
    """For LIST, HEAD and GET, whatever botocore would make of it."""

    async def cut(peer: Peer) -> None:
        await peer.receive()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n<List")
        peer.cut()

    async with served(cut) as (store, _):
        with pytest.raises(ConnectionLostError):
            await store.list_page("")
        with pytest.raises(TransientError):
            await fetched(store)


@pytest.mark.row(36, 37)
@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
async def test_redirect_is_not_followed(stage: Stage, status: str) -> None:
    """The error names the host and the region; the other host sees nothing."""
    async with ScriptedServer(answers(response(PAGE))) as other:
        location = {"Location": f"{other.endpoint}/x", "x-amz-bucket-region": "eu-1"}
        stage.says(response(b"", status=status, headers=location))
        for call in (
            lambda: stage.store.list_page(""),
            lambda: stage.store.head("a"),
            lambda: fetched(stage.store),
        ):
            with pytest.raises(
                (RedirectError, RefusedError), match=rf"127.0.0.1:{other.port}, region eu-1"
            ):
                await call()
    assert len(stage.requests) == 3
    assert other.peers == []


# objects ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (error("AccessDenied", "403 Forbidden"), AccessDeniedError),
        (error("NoSuchKey", "404 Not Found"), VanishedError),
        (error("NoSuchBucket", "404 Not Found"), RefusedError),
        (error("PreconditionFailed", "412 No"), RemoteChangedError),
        (error("InvalidRange", "416 No"), RemoteChangedError),
        (error("ExpiredToken", "403 Forbidden"), AuthError),
        (error("InvalidRequest", "400 Bad Request"), TransferError),
        (error("SlowDown", "503 Busy"), ThrottledError),
        (error("InternalError", "500 Oops"), ServerError),
        (error("NotImplemented", "501 No"), RefusedError),
        (response(bytes(200_000), status="400 Bad Request"), ServerError),
    ],
)
async def test_bad_answer_to_a_get_says_what_it_means(
    stage: Stage, answer: bytes, kind: type[Exception]
) -> None:
    """An error about the object carries its key."""
    stage.says(answer)
    with pytest.raises(kind) as caught:
        await fetched(stage.store)
    if isinstance(caught.value, TransferError):
        assert caught.value.key == REMOTE.key


@pytest.mark.row(40)
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("403 Forbidden", AccessDeniedError),
        ("404 Not Found", VanishedError),
        ("401 Unauthorized", RefusedError),
        ("400 Bad Request", ServerError),
        ("429 Too Many", ThrottledError),
        ("500 Oops", ServerError),
    ],
)
async def test_head_without_a_body_is_judged_by_its_status(
    stage: Stage, status: str, kind: type[Exception]
) -> None:
    """There is no error document to read; where a GET is asked instead, it has none either."""
    head = response(status=status, headers={"Content-Length": "300"})
    stage.answer = lambda asked: head if asked.startswith("HEAD") else response(status=status)
    with pytest.raises(kind):
        await stage.store.head(REMOTE.key)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        ("403 Forbidden", "ExpiredToken", AuthError),
        ("400 Bad Request", "ExpiredRequest", AuthError),
        ("400 Bad Request", "ClientDisconnect", ServerError),
        ("403 Forbidden", "AccessDenied", AccessDeniedError),
    ],
)
async def test_refused_head_learns_the_reason_from_a_get(
    stage: Stage, status: str, code: str, kind: type[Exception]
) -> None:
    """An expired token is no fault of the object's, and HEAD has no body to say so."""
    told = error(code, status)
    stage.answer = lambda head: told.partition(b"<")[0] if head.startswith("HEAD") else told
    with pytest.raises(kind):
        await stage.store.head(REMOTE.key)
    assert fields(stage.requests[-1])["range"] == "bytes=0-0"


@pytest.mark.row(47)
@pytest.mark.parametrize("size", [10, 0])
async def test_head_without_a_length_asks_for_the_first_byte(stage: Stage, size: int) -> None:
    """The range that comes back tells the whole size, also of an empty object."""

    def answer(head: str) -> bytes:
        if head.startswith("HEAD"):
            return f'HTTP/1.1 200 OK\r\nETag: "{ETAG}"\r\n\r\n'.encode()
        if not size:
            return error("InvalidRange", "416 No", Content_Range="bytes */0")
        return response(
            b"0", status="206 Part", headers={"Content-Range": f"bytes 0-0/{size}"} | QUOTED
        )

    stage.answer = answer
    assert await stage.store.head(REMOTE.key) == Head(size, ETAG)
    assert fields(stage.requests[-1])["range"] == "bytes=0-0"


@pytest.mark.row(38)
@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"234", {}),
        (b"234", {"Content-Range": "bytes 3-5/10"}),
        (b"234", {"Content-Range": "bytes 2-4"}),
        (b"234", {"Content-Range": "bytes 2-4/*"}),
        (b"2", {"Content-Range": "bytes 2-4/10"}),
        (b"23456789", {"Content-Range": "bytes 2-4/10"}),
    ],
    ids=["no range", "other range", "no total", "unknown total", "short", "long"],
)
async def test_part_that_was_not_asked_for_is_not_taken(
    stage: Stage, body: bytes, headers: dict[str, str]
) -> None:
    """Neither another range, nor one whose length is not that of the span."""
    stage.says(response(body, status="206 Partial Content", headers=headers | QUOTED))
    with pytest.raises(ProtocolError):
        await fetched(stage.store, range(2, 5))


@pytest.mark.row(39)
@pytest.mark.parametrize("shown", [None, "bytes 0-9/10", "bytes 2-4/10"])
async def test_whole_object_in_place_of_a_part_is_not_taken(
    stage: Stage, shown: str | None
) -> None:
    """The server has ignored the range, whatever it says of it."""
    told = {"Content-Range": shown} if shown else {}
    stage.says(response(b"0123456789", headers=QUOTED | told))
    with pytest.raises(RangeIgnoredError, match="whole object"):
        await fetched(stage.store, range(2, 5))


@pytest.mark.row(147)
async def test_part_that_is_called_whole_is_taken(stage: Stage) -> None:
    """Its range and its length are those of the span, and only the status is another."""
    part = response(b"234", headers=QUOTED | {"Content-Range": "bytes 2-4/10"})
    stage.says(part)
    async with stage.store.get(REMOTE, range(2, 5)) as body:
        assert body.head == Head(10, ETAG)
        assert await body.read() == b"234"


@pytest.mark.row(47, 147)
async def test_first_byte_that_is_called_whole_tells_the_size(stage: Stage) -> None:
    """And not its own length."""
    unsized = f'HTTP/1.1 200 OK\r\nETag: "{ETAG}"\r\n\r\n'.encode()
    first = response(b"0", headers=QUOTED | {"Content-Range": "bytes 0-0/10"})
    stage.answer = lambda head: unsized if head.startswith("HEAD") else first
    assert await stage.store.head(REMOTE.key) == Head(10, ETAG)


@pytest.mark.row(129)
async def test_stored_bytes_are_asked_for_by_get_only(stage: Stage) -> None:
    """A HEAD that accepts an encoding has no length; the GET that finds it out accepts some."""
    unsized = f'HTTP/1.1 200 OK\r\nETag: W/"{ETAG}"\r\n\r\n'.encode()
    first = response(b"0", status="206 Part", headers=QUOTED | {"Content-Range": "bytes 0-0/10"})
    whole = response(b"0123456789", headers=QUOTED)
    answers = {"HEAD": unsized, "bytes=0-0": first}
    stage.answer = lambda head: next((a for has, a in answers.items() if has in head), whole)
    fetched = await stage.store.fetch(REMOTE, asks=True, as_stored=True)
    assert (fetched.content, fetched.asked) == (b"0123456789", Head(10, f'W/"{ETAG}'))
    accepted = {(head.split(" ")[0], fields(head)["accept-encoding"]) for head in stage.requests}
    assert accepted == {("HEAD", "identity"), ("GET", "gzip, br")}
    assert all("accept-encoding" not in fields(h)["authorization"] for h in stage.requests)


@pytest.mark.row(48, 128)
async def test_encoding_is_not_undone(stage: Stage) -> None:
    """The bytes come as they are stored, and agree with the listing."""
    stage.says(response(b"\x1f\x8b12345678", headers={"Content-Encoding": "gzip"} | QUOTED))
    async with stage.store.get(REMOTE) as body:
        assert body.head == Head(10, ETAG)
        assert await body.read() == b"\x1f\x8b12345678"


# credentials that expire ------------------------------------------------------------------------


async def test_expired_credentials_are_read_again() -> None:
    """A refused request is to be tried again, and all later ones are signed with the new ones."""
    first = Settings("AKID", "the-secret", "https://b.example", "sensors", "old-token")
    current = first
    reads: list[Settings] = []

    def reload() -> Settings:
        reads.append(current)
        return replace(current, endpoint_url=server.endpoint)

    async def play(peer: Peer) -> None:
        while True:
            head = await peer.receive()
            if "old-token" in head:
                await peer.send(error("ExpiredToken", "403 Forbidden"))
            else:
                await peer.send(response(PAGE))

    async with served(play, session_token="old-token", reload=reload) as (store, server):
        with pytest.raises(AuthError, match="ExpiredToken"):
            await store.list_page("")
        assert len(reads) == 1
        current = replace(first, access_key_id="NEWID", session_token="new-token")
        for refused in (store.list_page(""), store.head(REMOTE.key)):
            with pytest.raises(CredentialsRenewedError):
                await refused
            store._held.current = Credentials("AKID", Secret("the-secret"), Secret("old-token"))
        with pytest.raises(CredentialsRenewedError):
            await fetched(store)
        assert (await store.list_page("")).objects == [REMOTE]
        assert "Credential=NEWID/" in fields(server.heads[-1])["authorization"]
        assert fields(server.heads[-1])["x-amz-security-token"] == "new-token"


async def test_head_is_asked_again_when_others_brought_new_credentials() -> None:
    """Its refusal has no word, and the GET that would say why is signed with the new ones."""

    async def play(peer: Peer) -> None:
        while True:
            head = await peer.receive()
            if "Credential=AKID/" in head:
                store._held.current = replace(store._held.current, access_key_id="NEWID")
                await peer.send(response(status="403 Forbidden"))
            else:
                await peer.send(response(b"0", headers=QUOTED, status="206 Partial Content"))

    async with served(play) as (store, server):
        with pytest.raises(CredentialsRenewedError):
            await store.head(REMOTE.key)
        assert len(server.heads) == 2


async def test_credentials_that_cannot_be_read_again_stay_refused() -> None:
    """A file that is gone, half written or another user's is no better than the old one."""

    def reload() -> Settings:
        raise ConfigError("R2_BUCKET: not set")

    expired = answers(error("ExpiredToken", "403 Forbidden"))
    async with served(expired, reload=reload) as (store, _):
        with pytest.raises(AuthError, match=r"ExpiredToken.*cannot be read again: R2_BUCKET: not"):
            await store.list_page("")


async def test_token_of_the_second_version_is_never_a_marker() -> None:
    """As one, it would leave out all keys before it, if a server answered by both versions."""
    second = PAGE.replace(b"false", b"true").replace(
        b"<Contents>", b"<NextContinuationToken>zzz</NextContinuationToken><Contents>"
    )
    first = PAGE.replace(b"<Contents>", b"<Marker></Marker><Contents>")
    pages = iter([second, first, PAGE])

    async def play(peer: Peer) -> None:
        while True:
            await peer.receive()
            await peer.send(response(next(pages)))

    async with served(play) as (store, server):
        token = (await store.list_page("")).next_token
        assert (await store.list_page("1hz/")).is_by_marker
        await store.list_page("", token=token)
    assert "continuation-token=zzz" in server.heads[-1]
