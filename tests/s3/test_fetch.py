"""Whole objects with one GET and one HEAD, and the checksums that HEAD asks for."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import pytest

from asyncsync.errors import (
    AccessDeniedError,
    AsyncSyncError,
    ConnectionLostError,
    RefusedError,
    RemoteChangedError,
    ServerError,
    ThrottledError,
    TransferError,
    TransientError,
    VanishedError,
)
from asyncsync.model import Checksum, Fetched, Head, RemoteObject, Settings
from asyncsync.s3.store import S3Store, open_store
from tests.rigs.http_client import cancel_when, until
from tests.rigs.scripted import Peer, ScriptedServer, response

pytestmark = pytest.mark.anyio

ETAG = "0123456789abcdef0123456789abcdef"
BODY = b"0123456789"
REMOTE = RemoteObject("1hz/a.parquet", len(BODY), ETAG, 0)
QUOTED = {"ETag": f'"{ETAG}"'}
CRC = bytes(range(8))
TOLD = {
    "x-amz-checksum-crc64nvme": base64.b64encode(CRC).decode(),
    "x-amz-checksum-type": "FULL_OBJECT",
}
WHOLE = response(BODY, headers=QUOTED)
ASKED = response(headers=QUOTED | TOLD | {"Content-Length": str(len(BODY))})
FETCHED = Fetched(BODY, Head(10, ETAG), Head(10, ETAG, checksum=Checksum("crc64nvme", CRC)))

Answer = Callable[[str], Awaitable[bytes | None]]
"""The answer to a request by its head; nothing for a reset."""


@asynccontextmanager
async def served(answer: Answer) -> AsyncIterator[tuple[S3Store, ScriptedServer]]:
    """Open a store on a server with these answers."""

    async def play(peer: Peer) -> None:
        while (raw := await answer(await peer.receive())) is not None:
            await peer.send(raw)
        peer.reset()

    async with ScriptedServer(play) as server:
        settings = Settings("AKID", "the-secret", server.endpoint, "sensors")
        async with open_store(settings) as store:
            yield store, server


def is_head(request: str) -> bool:
    """Return whether it is a HEAD."""
    return request.startswith("HEAD ")


def wishes(server: ScriptedServer) -> list[bool]:
    """Return for each HEAD whether it asked for a checksum."""
    return ["x-amz-checksum-mode: ENABLED" in head for head in server.heads if is_head(head)]


def busy(store: S3Store) -> int:
    """Return how many connections are open and not idle."""
    pool = store._http._pool
    return len(pool._open - {*pool._idle[False], *pool._idle[True]})


def idle(store: S3Store) -> int:
    """Return how many connections are idle."""
    return sum(map(len, store._http._pool._idle.values()))


async def fetch_both(store: S3Store, remote: RemoteObject = REMOTE) -> Fetched:
    """Fetch with a HEAD, and raise what either met."""
    fetched = await store.fetch(remote, asks=True)
    for half in (fetched.got, fetched.asked):
        if isinstance(half, TransientError):
            raise half
    return fetched


async def usual(request: str) -> bytes:
    """Answer as a good server."""
    return ASKED if is_head(request) else WHOLE


# GET and HEAD -----------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["GET", "HEAD"])
async def test_both_requests_are_on_their_way_before_either_is_answered(first: str) -> None:
    """On new connections and on idle ones; the answers may come in any order."""
    seen = {"GET": asyncio.Event(), "HEAD": asyncio.Event()}
    answered = asyncio.Event()

    async def answer(request: str) -> bytes:
        verb = request.split(" ")[0]
        seen[verb].set()
        for event in seen.values():
            await event.wait()
        if verb == first:
            answered.set()
        await answered.wait()
        return await usual(request)

    async with served(answer) as (store, server):
        for _ in range(3):
            with anyio.fail_after(25):
                assert await fetch_both(store) == FETCHED
            assert (busy(store), idle(store)) == (0, 2)
            for event in (*seen.values(), answered):
                event.clear()
        assert len(server.peers) == 2
        assert sorted(head[:3] for head in server.heads) == ["GET"] * 3 + ["HEA"] * 3


async def test_without_asking_only_get_is_sent() -> None:
    """Its answer is all that is known."""
    async with served(usual) as (store, server):
        assert await store.fetch(REMOTE, asks=False) == replace(FETCHED, asked=None)
        assert [head.split(" ")[0] for head in server.heads] == ["GET"]
        assert (busy(store), idle(store)) == (0, 1)


async def test_get_of_a_pair_names_the_version() -> None:
    """As that of a part does."""
    async with served(usual) as (store, server):
        await fetch_both(store)
        unpinned = replace(REMOTE, etag="", modified_ns=1_769_903_999_000_000_000)
        await fetch_both(store, unpinned)
    gets = [head.lower() for head in server.heads if not is_head(head)]
    assert f'if-match: "{ETAG}"' in gets[0]
    assert "if-unmodified-since: sat, 31 jan 2026" in gets[1]
    assert not any("if-" in head.lower() for head in server.heads if is_head(head))


async def test_refusal_of_one_leaves_the_answer_to_the_other() -> None:
    """A server that is busy refuses each request on its own: only what it refused is sent again."""
    refused = response(status="503 Slow Down")
    for verb in ("GET", "HEAD"):

        async def answer(request: str, verb: str = verb) -> bytes:
            return refused if request.startswith(verb) else await usual(request)

        async with served(answer) as (store, _):
            fetched = await store.fetch(REMOTE, asks=True)
            got, asked = (
                (fetched.asked, fetched.got) if verb == "GET" else (fetched.got, fetched.asked)
            )
            assert isinstance(got, Head)
            assert isinstance(asked, ThrottledError)
            assert (busy(store), idle(store)) == (0, 2)


@pytest.mark.parametrize(
    ("get", "kind"),
    [
        (response(status="404 Not Found"), VanishedError),
        (response(status="412 Precondition Failed"), RemoteChangedError),
        (WHOLE[:-1], ConnectionLostError),
        (None, ConnectionLostError),
    ],
    ids=["404", "412", "cut body", "reset"],
)
async def test_error_of_get_does_not_wait_for_head(
    get: bytes | None, kind: type[AsyncSyncError]
) -> None:
    """The connection of a HEAD that is not answered is closed."""
    asked = asyncio.Event()

    async def play(peer: Peer) -> None:
        if is_head(await peer.receive()):
            asked.set()
            await peer.gone()
            return
        await asked.wait()
        if get is None:
            peer.reset()
            return
        await peer.send(get)
        if get == WHOLE[:-1]:
            peer.reset()

    async with ScriptedServer(play) as server:
        settings = Settings("AKID", "the-secret", server.endpoint, "sensors")
        async with open_store(settings) as store:
            with anyio.fail_after(25), pytest.raises(kind):
                await fetch_both(store)
            await until(lambda: not busy(store))
            assert idle(store) == (0 if kind is ConnectionLostError else 1)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (response(status="500 Error"), ServerError),
        (None, ConnectionLostError),
    ],
    ids=["500", "reset"],
)
async def test_error_of_head_is_raised_although_the_bytes_came(
    head: bytes | None, kind: type[AsyncSyncError]
) -> None:
    """Whatever it is; both connections are at rest afterwards, or closed."""

    async def answer(request: str) -> bytes | None:
        return head if is_head(request) else WHOLE

    async with served(answer) as (store, _):
        with pytest.raises(kind):
            await fetch_both(store)
        await until(lambda: not busy(store))
        assert idle(store) == (2 if head else 1)


@pytest.mark.parametrize("verb", ["GET", "HEAD"])
async def test_cancelled_fetch_leaves_no_connection_busy(verb: str) -> None:
    """Whichever answer it waits for."""

    async def answer(request: str) -> bytes:
        if request.startswith(verb):
            await asyncio.Event().wait()
        return await usual(request)

    async with served(answer) as (store, server):
        fetch = fetch_both(store)
        await cancel_when(fetch, lambda: len(server.heads) == 2)
        await until(lambda: not busy(store))


async def test_server_that_cannot_be_reached_is_one_plain_error() -> None:
    """Although two connections were tried."""
    async with ScriptedServer(lambda peer: peer.close()) as server:
        settings = Settings("AKID", "the-secret", server.endpoint, "sensors")
    async with open_store(settings) as store:
        with pytest.raises(AsyncSyncError, match="cannot connect"):
            await fetch_both(store)
        assert busy(store) == 0


async def test_body_of_another_size_is_not_read() -> None:
    """Its head is enough to refuse it; small objects are read into memory, many at a time."""

    async def play(peer: Peer) -> None:
        await peer.receive()
        await peer.send(response(headers=QUOTED | {"Content-Length": "9000000"}) + bytes(100_000))
        await peer.gone()

    async with ScriptedServer(play) as server:
        settings = Settings("AKID", "the-secret", server.endpoint, "sensors")
        async with open_store(settings) as store:
            with anyio.fail_after(25):
                fetched = await store.fetch(REMOTE, asks=False)
            assert fetched == Fetched(b"", Head(9_000_000, ETAG), None)
            await until(lambda: not busy(store))
            assert idle(store) == 0


# checksums --------------------------------------------------------------------------------------


async def test_head_asks_for_the_checksum() -> None:
    """GET and listing do not: a checksum of a part of the object is of no use."""
    async with served(usual) as (store, server):
        assert await store.head(REMOTE.key) == FETCHED.asked
        async with store.get(REMOTE) as body:
            assert body.head == Head(10, ETAG)
            assert await body.read() == BODY
        assert wishes(server) == [True]
        assert not any("checksum-mode" in head for head in server.heads if not is_head(head))


async def test_head_without_a_checksum_is_good() -> None:
    """Most servers tell none, and are asked again for the next object."""

    async def answer(request: str) -> bytes:
        return response(headers=QUOTED | {"Content-Length": "10"})

    async with served(answer) as (store, server):
        for _ in range(2):
            assert await store.head(REMOTE.key) == Head(10, ETAG)
        assert wishes(server) == [True, True]


@pytest.mark.parametrize("status", ["400 Bad Request", "501 Not Implemented"])
@pytest.mark.parametrize("pair", [True, False])
async def test_server_that_does_not_know_checksums_is_asked_without(
    status: str, pair: bool
) -> None:
    """HEAD is sent again at once; once two were refused, no later one asks."""

    async def answer(request: str) -> bytes:
        if is_head(request):
            told = {"Content-Length": "10"} | QUOTED
            refused = "x-amz-checksum-mode" in request
            return response(status=status) if refused else response(headers=told)
        return WHOLE

    async def asked(store: S3Store) -> Head | None:
        if pair:
            told = (await fetch_both(store)).asked
            assert not isinstance(told, TransientError)
            return told
        return await store.head(REMOTE.key)

    async with served(answer) as (store, server):
        for _ in range(4):
            assert await asked(store) == Head(10, ETAG)
        assert wishes(server) == [True, False, True, False, False, False]
        assert busy(store) == 0


async def test_refusal_that_passes_takes_no_checksum_from_the_others() -> None:
    """R2 answers 400 when it gave up waiting, and an answer to HEAD does not say why."""
    statuses = iter(["400 Bad Request"])

    async def answer(request: str) -> bytes:
        status = next(statuses, "") if is_head(request) else ""
        return response(status=status) if status else await usual(request)

    async with served(answer) as (store, server):
        await store.head(REMOTE.key)
        assert await store.head(REMOTE.key) == FETCHED.asked
        assert wishes(server) == [True, False, True]


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        ("400 Bad Request", "InvalidBucketName", RefusedError),
        ("400 Bad Request", "InvalidRequest", TransferError),
        ("501 Not Implemented", "NotImplemented", RefusedError),
    ],
)
async def test_server_that_refuses_both_heads_goes_on_being_asked(
    status: str, code: str, kind: type[AsyncSyncError]
) -> None:
    """The refusal was about something else, and is what it would be without the wish."""
    refuses = True

    async def answer(request: str) -> bytes:
        if not refuses:
            return await usual(request)
        body = b"" if is_head(request) else f"<Error><Code>{code}</Code></Error>".encode()
        return response(body, status=status)

    async with served(answer) as (store, server):
        with pytest.raises(kind) as caught:
            await store.head(REMOTE.key)
        assert wishes(server) == [True, False]
        store._server.wants_checksums = False
        with pytest.raises(kind) as plain:
            await store.head(REMOTE.key)
        assert (type(caught.value), str(caught.value)) == (type(plain.value), str(plain.value))
        store._server.wants_checksums = True
        refuses = False
        assert await store.head(REMOTE.key) == FETCHED.asked
        assert wishes(server) == [True, False, False, True]


async def test_vanished_object_is_told_by_the_second_head() -> None:
    """It says nothing of checksums, so the next HEAD asks for them."""

    async def answer(request: str) -> bytes:
        wish = "x-amz-checksum-mode" in request
        return response(status="400 Bad Request" if wish else "404 Not Found")

    async with served(answer) as (store, server):
        for _ in range(2):
            with pytest.raises(VanishedError):
                await store.head(REMOTE.key)
        assert wishes(server) == [True, False] * 2


@pytest.mark.parametrize("status", ["403 Forbidden", "404 Not Found", "500 Error", "503 Slow"])
async def test_other_refusals_are_not_about_checksums(status: str) -> None:
    """HEAD is not sent a second time."""

    async def answer(request: str) -> bytes:
        body = b"" if is_head(request) else b"<Error><Code>AccessDenied</Code></Error>"
        return response(body, status=status)

    async with served(answer) as (store, server):
        with pytest.raises((AccessDeniedError, VanishedError, TransientError)):
            await store.head(REMOTE.key)
        assert wishes(server) == [True]


async def test_length_is_asked_for_after_the_second_head() -> None:
    """R2 may leave it out of HEAD."""

    async def answer(request: str) -> bytes:
        if not is_head(request):
            part = {"Content-Range": "bytes 0-0/10"} | QUOTED
            return response(b"0", status="206 Partial Content", headers=part)
        if "x-amz-checksum-mode" in request:
            return response(status="501 Not Implemented")
        return f'HTTP/1.1 200 OK\r\nETag: "{ETAG}"\r\n\r\n'.encode()

    async with served(answer) as (store, _):
        assert await store.head(REMOTE.key) == Head(10, ETAG)
        assert busy(store) == 0


# the first part ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "headers", "told"),
    [
        ("206 Partial Content", QUOTED | {"Content-Length": "7"}, 7),
        ("200 OK", QUOTED | {"Content-Length": "10"}, 10),
        ("206 Partial Content", {"ETag": '"another"', "Content-Length": "7"}, 0),
        ("206 Partial Content", {"Content-Length": "7"}, 0),
        ("400 Bad Request", {}, 0),
        ("403 Forbidden", {}, 0),
        ("416 Range Not Satisfiable", {}, 0),
        ("501 Not Implemented", {}, 0),
    ],
)
async def test_size_of_the_first_part_is_that_of_the_listed_version(
    status: str, headers: dict[str, str], told: int
) -> None:
    """A server that refuses the question refuses nothing else by it."""

    async def answer(request: str) -> bytes:
        assert request.startswith("HEAD /sensors/1hz/a.parquet?partNumber=1 ")
        return response(status=status, headers=headers)

    async with served(answer) as (store, server):
        assert await store.first_part(REMOTE) == told
        assert len(server.heads) == 1
        assert busy(store) == 0


@pytest.mark.parametrize(
    "status", ["429 Too Many Requests", "500 Internal Server Error", "503 Slow Down"]
)
async def test_question_for_the_first_part_may_be_answered_later(status: str) -> None:
    """An error of the moment says nothing of what the server knows."""

    async def answer(_: str) -> bytes:
        return response(status=status)

    async with served(answer) as (store, _):
        with pytest.raises(TransientError):
            await store.first_part(REMOTE)
        assert busy(store) == 0
