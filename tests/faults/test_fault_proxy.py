"""The fault proxy follows its rules, and passes all other requests on unchanged."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from asyncsync.errors import (
    AccessDeniedError,
    ConnectionLostError,
    EncodedObjectError,
    ProtocolError,
)
from asyncsync.http import HttpClient
from asyncsync.model import Head, RemoteObject, Settings
from asyncsync.s3 import open_store
from asyncsync.s3.store import S3Store
from asyncsync.times import format_http_date
from tests.rigs.bucket import Bucket
from tests.rigs.fault_proxy import Act, Ending, FaultProxy, Rule, flipped, padded
from tests.rigs.scripted import Authority, response

pytestmark = pytest.mark.anyio

DATA = b"0123456789" * 100
KEY = "1hz/a b.parquet"


class Rig:
    """A bucket with one object, and a store whose requests pass through the proxy."""

    def __init__(self, bucket: Bucket) -> None:
        self._server = bucket.server
        self.remote = RemoteObject(KEY, len(DATA), bucket.put(KEY, DATA), 0)

    async def read(self, store: S3Store, span: range | None = None) -> bytes:
        """Return the object, or a span of it."""
        async with store.get(self.remote, span) as body:
            return b"".join([bytes(block) async for block in body.blocks()])

    def settings(self, proxy: FaultProxy) -> Settings:
        """Return settings that lead to the bucket through the proxy."""
        server = self._server
        return Settings(
            server.access_key_id, server.secret_access_key, proxy.endpoint, server.bucket
        )

    def proxy(self, *rules: Rule, seed: int = 0) -> FaultProxy:
        """Return a proxy with these rules."""
        return FaultProxy(self._server.endpoint_url, rules, seed=seed)


@pytest.fixture
def rig(empty_bucket: Bucket) -> Rig:
    """A bucket with one object."""
    return Rig(empty_bucket)


async def read_by(rig: Rig, *rules: Rule, span: range | None = None) -> bytes:
    """Read the object through a proxy with the rules."""
    async with rig.proxy(*rules) as proxy, open_store(rig.settings(proxy)) as store:
        return await rig.read(store, span)


async def test_without_rules_it_is_invisible(rig: Rig) -> None:
    """Listing, HEAD and GET are signed and answered as without the proxy, on one connection."""
    async with rig.proxy() as proxy, open_store(rig.settings(proxy)) as store:
        (listed,) = (await store.list_page("1hz/")).objects
        assert (listed.key, listed.size, listed.etag) == (KEY, len(DATA), rig.remote.etag)
        head = await store.head(KEY)
        assert replace(head, modified="") == Head(len(DATA), rig.remote.etag)
        assert head.modified == format_http_date(listed.modified_ns)
        assert await rig.read(store) == DATA
        assert await rig.read(store, range(5, 25)) == DATA[5:25]
        assert [(r.verb, r.key) for r in proxy.requests] == [
            ("LIST", "1hz/"),
            ("HEAD", KEY),
            ("GET", KEY),
            ("GET", KEY),
        ]
        assert proxy.spans(KEY) == ["", "bytes=5-24"]
        assert (proxy.count("GET", "*.parquet"), proxy.count("GET", "x")) == (2, 0)


@pytest.mark.parametrize("ending", ["fin", "reset"])
async def test_answer_is_cut_at_the_byte(rig: Rig, ending: Ending) -> None:
    """The client gets all bytes before the cut, even before a reset."""
    cut = Rule("GET", KEY, Act(stop=300, ending=ending))
    got = bytearray()
    async with rig.proxy(cut) as proxy, open_store(rig.settings(proxy)) as store:
        with pytest.raises(ConnectionLostError):
            await collect(rig, store, got)
    assert got == DATA[:300]


async def collect(rig: Rig, store: S3Store, into: bytearray) -> None:
    """Read the object block by block, so that a test sees what was received before an error."""
    async with store.get(rig.remote) as body:
        async for block in body.blocks():
            into += block


async def test_chunked_body_ends_with_its_final_chunk_or_without(rig: Rig) -> None:
    """With it the answer is complete, without it the connection is lost."""
    chunks = Rule("GET", KEY, Act(chunked=True))
    assert await read_by(rig, chunks, span=range(5, 25)) == DATA[5:25]
    torn = Rule("GET", KEY, Act(chunked=True, ending="fin"))
    with pytest.raises(ConnectionLostError):
        await read_by(rig, torn, span=range(5, 25))


@pytest.mark.parametrize("ending", ["stall", "trickle"])
async def test_answer_that_stops_stays_open(rig: Rig, ending: Ending) -> None:
    """The client closes the connection, and the proxy notices."""
    slow = Act(stop=10, ending=ending)
    async with (
        rig.proxy(Rule("*", "*", slow)) as proxy,
        HttpClient(proxy.endpoint, read_timeout=0.05, slow_time=0.05, slow_rate=10**6) as http,
    ):
        with pytest.raises(ConnectionLostError, match="sent"):
            async with http.request("GET", "/b/k", {}) as answer:
                await answer.read()


async def test_bodies_and_headers_are_changed(rig: Rig) -> None:
    """Bytes flip, a text replaces a body, bytes are added, and headers change or disappear."""
    assert await read_by(rig, Rule("GET", KEY, Act(body=flipped(1)))) == b"0\xce" + DATA[2:]
    assert await read_by(rig, Rule("GET", KEY, Act(body=padded(b"no")))) == b"no".ljust(len(DATA))
    with pytest.raises(ProtocolError, match="more bytes"):
        await read_by(rig, Rule("GET", KEY, Act(body=lambda body: body + b"more")))
    no_length = Rule("GET", KEY, Act(headers={"content-length": None}, ending="fin"))
    assert await read_by(rig, no_length) == DATA
    other_length = Rule("GET", KEY, Act(body=lambda body: body + b"more", chunked=True))
    with pytest.raises(EncodedObjectError, match="without a length"):
        await read_by(rig, other_length)
    tagged = Rule("HEAD", KEY, Act(headers={"etag": '"other"', "content-length": "3"}))
    async with rig.proxy(tagged) as proxy, open_store(rig.settings(proxy)) as store:
        assert (await store.head(KEY)).etag == "other"
        assert (await store.head(KEY)).size == 3


async def test_answers_are_replaced_and_the_server_is_not_asked(rig: Rig) -> None:
    """The answer to HEAD, which has no body, is replaced as well."""
    no = Rule("*", "*", Act(instead=response(b"no", status="403 Forbidden")))
    nobody = "http://127.0.0.1:1"
    async with FaultProxy(nobody, [no]) as proxy, open_store(rig.settings(proxy)) as store:
        for _ in range(2):
            with pytest.raises(AccessDeniedError):
                await store.head(KEY)
            with pytest.raises(AccessDeniedError):
                await rig.read(store)
        assert proxy.connections == 2


async def test_the_scene_changes_between_two_requests(empty_bucket: Bucket, rig: Rig) -> None:
    """An object is replaced before one request is passed on, while another request waits for it."""
    sent = asyncio.Event()
    async with (
        rig.proxy(
            Rule("HEAD", KEY, Act(until=sent)),
            Rule("GET", KEY, Act(do=lambda: empty_bucket.put(KEY, b"new"), then=sent.set), nth={2}),
            Rule("GET", KEY, Act(request={"if-match": None}), nth={3}),
        ) as proxy,
        open_store(rig.settings(proxy)) as store,
    ):
        head = asyncio.ensure_future(store.head(KEY))
        assert await rig.read(store) == DATA
        with pytest.raises(Exception, match="replaced"):
            await rig.read(store)
        assert (await head).size == 3
        assert await rig.read(store) == b"new"


@pytest.fixture
async def store_and_proxy(rig: Rig) -> AsyncIterator[tuple[S3Store, FaultProxy]]:
    """A store behind a proxy that can be taken down."""
    async with rig.proxy() as proxy, open_store(rig.settings(proxy)) as store:
        yield store, proxy


async def test_proxy_goes_down_and_comes_back(
    rig: Rig, store_and_proxy: tuple[S3Store, FaultProxy]
) -> None:
    """Open connections are reset and new ones refused, then all works as before."""
    store, proxy = store_and_proxy
    assert await rig.read(store) == DATA
    proxy.down()
    with pytest.raises(ConnectionLostError, match="cannot connect"):
        await rig.read(store)
    for _ in range(2):
        await proxy.up()
    assert await rig.read(store) == DATA


async def picked(rig: Rig, seed: int, rounds: Sequence[int]) -> list[int]:
    """Return the rounds in which a rule with a chance of one half applied."""
    coin = Rule("HEAD", "*", Act(headers={"content-length": "1"}), chance=0.5)
    async with rig.proxy(coin, seed=seed) as proxy, open_store(rig.settings(proxy)) as store:
        return [number for number in rounds if (await store.head(KEY)).size == 1]


async def test_chance_depends_on_the_seed_alone(rig: Rig) -> None:
    """The same seed picks the same requests, another seed picks others."""
    rounds = range(30)
    first = await picked(rig, 1, rounds)
    assert 5 < len(first) < 25
    assert await picked(rig, 1, rounds) == first
    assert await picked(rig, 2, rounds) != first


async def test_it_speaks_tls(rig: Rig, empty_bucket: Bucket) -> None:
    """The proxy serves TLS, and cuts a stream without a close_notify."""
    authority = Authority()
    cut = Rule("GET", "*", Act(stop=1, ending="fin"))
    async with (
        FaultProxy(empty_bucket.server.endpoint_url, [cut], tls=authority.server()) as proxy,
        HttpClient(proxy.endpoint, ssl_context=authority.client()) as http,
    ):
        async with http.request("HEAD", "/", {}) as answer:
            assert answer.status == 405
        with pytest.raises(ConnectionLostError, match="after 1 of"):
            async with http.request("GET", "/", {}) as answer:
                await answer.read()
