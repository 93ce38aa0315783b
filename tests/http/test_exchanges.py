"""Requests that are sent first and answered later, and two of them at the same time."""

import asyncio
import ssl

import anyio
import pytest

from asyncsync.errors import ConnectionLostError, UnreachableError
from asyncsync.http import send_both
from asyncsync.http.client import HttpClient
from asyncsync.http.connection import Connection
from tests.rigs.http_client import LARGE, answer_first, client_of, end, fetch, until
from tests.rigs.scripted import Peer, ScriptedServer, answers, response, silent

pytestmark = pytest.mark.anyio


def idle(client: HttpClient) -> list[int]:
    """Return how many connections are idle: of those for bodies, and of those for HEAD."""
    return [len(client._pool._idle[no_body]) for no_body in (False, True)]


def busy(client: HttpClient) -> int:
    """Return how many connections are open and not idle."""
    return len(client._pool._open) - sum(idle(client))


async def test_request_that_was_sent_is_answered_later(tls: ssl.SSLContext | None) -> None:
    """It reaches the server before anybody waits for the answer, and is sent only once."""
    script = answers(response(b"data"))
    async with ScriptedServer(script, tls=tls) as server, client_of(server) as client:
        for _ in range(2):  # on a new connection, and on an idle one
            server.heads.clear()
            exchange = client.request("GET", "/", {})
            await exchange.send()
            await exchange.send()
            await until(lambda: server.heads)
            answer = await exchange.receive(4)
            assert (answer.status, await answer.read()) == (200, b"data")
            assert busy(client) == 1
            exchange.close()
            assert (len(server.heads), idle(client), busy(client)) == (1, [1, 0], 0)
        assert len(server.peers) == 1


async def test_request_that_was_not_sent_is_sent_by_receiving() -> None:
    """And one that was sent may be entered."""
    script = answers(response(b"data"))
    async with ScriptedServer(script) as server, client_of(server) as client:
        exchange = client.request("GET", "/", {})
        assert await (await exchange.receive()).read() == b"data"
        exchange.close()
        sent = client.request("GET", "/", {})
        await sent.send()
        async with sent as answer:
            assert await answer.read() == b"data"
        assert (len(server.heads), idle(client)) == (2, [1, 0])


async def test_only_an_open_connection_sends_at_once() -> None:
    """One that serves HEAD sends no GET."""
    script = answers(response())
    async with ScriptedServer(script) as server, client_of(server) as client:
        assert not client.request("GET", "/", {}).send_at_once()
        await fetch(client, method="HEAD")
        assert not client.request("GET", "/", {}).send_at_once()
        head = client.request("HEAD", "/", {})
        assert head.send_at_once()
        await head.receive()
        head.close()
        assert (len(server.peers), idle(client)) == (1, [0, 1])


async def test_closing_may_come_at_any_time(tls: ssl.SSLContext | None) -> None:
    """Before sending, twice, and before the answer; then the connection is closed."""
    async with ScriptedServer(silent, tls=tls) as server, client_of(server) as client:
        exchange = client.request("GET", "/", {})
        exchange.close()
        await exchange.send()
        await until(lambda: server.heads)
        exchange.close()
        exchange.close()
        await until(lambda: not client._pool._open)
        assert idle(client) == [0, 0]


async def test_answer_that_came_unread_is_no_reason_to_close() -> None:
    """The connection can be used again, if the whole answer is there."""
    async with (
        ScriptedServer(answers(response(b"data"))) as server,
        client_of(server) as client,
    ):
        exchange = client.request("GET", "/", {})
        await exchange.receive(4)
        exchange.close()
        assert (idle(client), busy(client)) == ([1, 0], 0)
        assert await fetch(client) == b"data"
        assert len(server.peers) == 1


async def test_receiving_waits_for_the_wanted_bytes() -> None:
    """Or for as many as fit, or as there are: reading them takes no more waiting."""
    rest = asyncio.Event()

    async def halves(peer: Peer) -> None:
        await peer.receive()
        raw = response(b"0123456789")
        await peer.send(raw[:-5])
        await rest.wait()
        await peer.send(raw[-5:])

    async with ScriptedServer(halves) as server, client_of(server) as client:
        exchange = client.request("GET", "/", {})
        receiving = asyncio.ensure_future(exchange.receive(10))
        await until(lambda: [one for one in client._pool._open if one.status == 200])
        await asyncio.sleep(0)
        assert not receiving.done()
        rest.set()
        await receiving
        (connection,) = client._pool._open
        assert connection._end - connection._start == 10
        exchange.close()


@pytest.mark.parametrize("wanted", [0, 3, 10**9])
async def test_more_may_be_wanted_than_there_is(wanted: int) -> None:
    """An empty body, a short one and one that fills the buffer end the waiting as well."""
    for body in (b"", b"12", LARGE):
        async with (
            ScriptedServer(answers(response(body))) as server,
            client_of(server) as client,
        ):
            exchange = client.request("GET", "/", {})
            with anyio.fail_after(25):
                answer = await exchange.receive(wanted)
                assert await answer.read() == body
            exchange.close()


async def test_both_connections_are_opened_at_the_same_time() -> None:
    """The second one does not wait for the first."""
    both = asyncio.Barrier(2)
    async with (
        ScriptedServer(answers(response())) as server,
        client_of(server) as client,
    ):
        really = client._pool.dial

        async def dial() -> Connection:
            async with asyncio.timeout(25):
                await both.wait()
            return await really()

        client._pool.dial = dial  # type: ignore[method-assign]
        get, head = client.request("GET", "/", {}), client.request("HEAD", "/", {})
        await send_both(get, head)
        for exchange in (get, head):
            await exchange.receive()
            exchange.close()
        assert (len(server.peers), idle(client)) == (2, [1, 1])
        again = client.request("GET", "/", {}), client.request("HEAD", "/", {})
        await send_both(*again)  # over the idle ones, so that nothing is dialled
        for exchange in again:
            await exchange.receive()
            exchange.close()
        assert len(server.peers) == 2


@pytest.mark.parametrize("open_one", ["GET", "HEAD"])
async def test_missing_connection_is_opened_after_the_other_request_is_sent(open_one: str) -> None:
    """What can be sent at once is."""
    async with (
        ScriptedServer(answers(response())) as server,
        client_of(server) as client,
    ):
        await fetch(client, method=open_one)
        really = client._pool.dial

        async def dial() -> Connection:
            await until(lambda: len(server.heads) == 2)
            return await really()

        client._pool.dial = dial  # type: ignore[method-assign]
        get, head = client.request("GET", "/", {}), client.request("HEAD", "/", {})
        await send_both(get, head)
        for exchange in (get, head):
            await exchange.receive()
            exchange.close()
        assert server.heads[1].startswith(open_one)
        assert (len(server.peers), idle(client)) == (2, [1, 1])


@pytest.mark.row(17)
@pytest.mark.parametrize("stale", [{"GET"}, {"HEAD"}, {"GET", "HEAD"}])
@pytest.mark.parametrize("how", ["close", "cut", "reset"])
async def test_stale_connection_of_either_is_replaced(
    stale: set[str], how: str, tls: ssl.SSLContext | None
) -> None:
    """The server closes it just as the request is sent; the request is sent again on a new one."""

    async def once(peer: Peer) -> None:
        head = await peer.receive()
        await peer.send(response())
        await peer.receive()
        if head.split(" ")[0] in stale:
            await end(peer, how)
        else:
            await peer.send(response(headers={"X-N": "2"}))

    later = answers(response(headers={"X-N": "2"}))
    async with (
        ScriptedServer(once, once, later, tls=tls) as server,
        client_of(server) as client,
    ):
        for number in (1, 2):
            get, head = client.request("GET", "/", {}), client.request("HEAD", "/", {})
            await send_both(get, head)
            for exchange in (get, head):
                answer = await exchange.receive()
                assert (answer.headers.get("x-n") == "2") == (number == 2)
                exchange.close()
            assert (idle(client), busy(client)) == ([1, 1], 0)
        assert len(server.peers) == 2 + len(stale)
        assert len(server.heads) == 4 + len(stale)


async def test_new_connection_that_closes_is_not_replaced() -> None:
    """Its request may be what the server does not like."""

    async def never(peer: Peer) -> None:
        await peer.receive()
        peer.reset()

    async with ScriptedServer(never) as server, client_of(server) as client:
        get, head = client.request("GET", "/", {}), client.request("HEAD", "/", {})
        await send_both(get, head)
        for exchange in (get, head):
            with pytest.raises(ConnectionLostError, match="without a response"):
                await exchange.receive()
            exchange.close()
        await until(lambda: not client._pool._open)
        assert len(server.heads) == 2


@pytest.mark.parametrize("failing", [0, 1])
async def test_one_that_cannot_be_sent_stops_the_other(failing: int) -> None:
    """The error comes by itself; nothing is left that dials."""
    dialled = 0
    async with (
        ScriptedServer(answer_first) as server,
        client_of(server) as client,
    ):

        async def dial() -> Connection:
            nonlocal dialled
            dialled += 1
            if dialled == failing + 1:
                await asyncio.sleep(0)
                raise UnreachableError("no")
            await asyncio.Event().wait()
            raise AssertionError

        tasks = len(asyncio.all_tasks())
        client._pool.dial = dial  # type: ignore[method-assign]
        get, head = client.request("GET", "/", {}), client.request("HEAD", "/", {})
        with pytest.raises(UnreachableError, match="no"):
            await send_both(get, head)
        get.close()
        head.close()
        assert (dialled, client._pool._open) == (2, set())
        assert len(asyncio.all_tasks()) == tasks
