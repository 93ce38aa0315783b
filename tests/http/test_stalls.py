"""Stalled responses: silence, slow bodies, and when time counts."""

import asyncio
import inspect
import ssl

import pytest

from asyncsync.errors import ConnectionLostError
from asyncsync.http.client import HttpClient
from asyncsync.http.patience import LONGEST_START, Patience, StallDetector
from tests.rigs.http_client import LARGE, answer_first, client_of, fetch, only_connection, until
from tests.rigs.scripted import Peer, ScriptedServer, answers, response

pytestmark = pytest.mark.anyio


@pytest.mark.row(5, 6, 7)
def test_limits_of_patience_are_those_that_are_promised() -> None:
    """10 s to connect, 30 s without a byte, less than 1 KiB per second for a minute."""
    parameters = inspect.signature(HttpClient).parameters
    names = ("connect_timeout", "read_timeout", "slow_rate", "slow_time")
    assert [parameters[name].default for name in names] == [10, 30, 1024, 60]


@pytest.mark.row(5, 6)
@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\n", response(b"hello")[:-1]])
async def test_silence_is_a_lost_connection(sent: bytes, tls: ssl.SSLContext | None) -> None:
    """A response that is silent for the read timeout is given up, and the error says so."""

    async def script(peer: Peer) -> None:
        await peer.receive()
        await peer.send(sent)

    async with (
        ScriptedServer(script, tls=tls) as server,
        client_of(server, read_timeout=0.05) as client,
    ):
        with pytest.raises(ConnectionLostError, match=r"sent nothing for 0\.05 s"):
            await fetch(client)
        await until(lambda: not client._pool._open)


@pytest.mark.row(6)
async def test_silence_on_a_kept_connection_is_not_retried() -> None:
    """Only a closed connection is stale; a silent one has used up its time."""

    async def script(peer: Peer) -> None:
        await answer_first(peer)
        await peer.receive()

    async with (
        ScriptedServer(script) as server,
        client_of(server, read_timeout=0.05) as client,
    ):
        await fetch(client)
        with pytest.raises(ConnectionLostError, match="sent nothing"):
            await fetch(client)
        assert len(server.peers) == 1


@pytest.mark.row(7)
async def test_trickle_is_a_lost_connection() -> None:
    """A body that arrives more slowly than the minimum rate has stalled."""

    async def script(peer: Peer) -> None:
        await peer.receive()
        await peer.send(response(LARGE)[:200])
        while True:
            await peer.send(b"x")
            await asyncio.sleep(0.002)

    async with (
        ScriptedServer(script) as server,
        client_of(server, slow_rate=100_000, slow_time=0.1) as client,
    ):
        with pytest.raises(ConnectionLostError, match="less than 100000 bytes/s"):
            await fetch(client)


@pytest.mark.row(6)
async def test_each_attempt_has_twice_the_time_to_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to a longest; for that request and no other, and for the first byte and no other."""
    assert LONGEST_START == 120
    monkeypatch.setattr("asyncsync.http.client.LONGEST_START", 0.15)
    silent = 3

    async def script(peer: Peer) -> None:
        nonlocal silent
        while "/late" not in await peer.receive():
            await peer.send(response(b"here"))
        silent -= 1
        if silent < 0:
            await peer.send(response(b"here")[:-1])
        await peer.receive()

    async with (
        ScriptedServer(script) as server,
        client_of(server, read_timeout=0.05) as client,
    ):
        for seconds in (0.05, 0.1, 0.15, 0.05):
            with pytest.raises(ConnectionLostError, match=f"sent nothing for {seconds:g} s") as got:
                await fetch(client, "/late")
            assert got.value.silence == pytest.approx(seconds)
            assert await fetch(client, "/other") == b"here"
        assert not client._pool._starts


def test_silence_is_noticed_within_a_tick_of_the_limit() -> None:
    """Silence is reported at the limit, or at most one tick later, however it began."""
    patience, detector = Patience(read_timeout=5, slow_rate=0, slow_time=10), StallDetector()
    for progress in (0, 100):  # before the first byte, and after some
        wait, ticks = object(), 1
        while not detector.tick(patience, progress, wait):
            ticks += 1
        # The first tick comes between at once and a whole tick later.
        assert (ticks - 1) * patience.tick == patience.read_timeout


def test_answer_that_has_not_begun_is_late_and_not_slow() -> None:
    """It has the time to begin that it is given, whatever the minimum rate is."""
    patience, detector = Patience(read_timeout=5, slow_rate=10, slow_time=10), StallDetector()
    ticks = 1
    while not (told := detector.tick(patience, 0, "a wait", 40.0)):
        ticks += 1
    assert (told, (ticks - 1) * patience.tick) == ("sent nothing for 40 s", 40.0)


def test_answer_that_keeps_moving_is_given_all_the_time() -> None:
    """Each window is measured separately; silence counts from the last byte or from the wait."""
    patience, detector = Patience(read_timeout=5, slow_rate=10, slow_time=10), StallDetector()
    assert patience.tick == 0.5
    arrived = [100 * (ticks // 10) for ticks in range(1000)]  # 100 bytes each 5 s
    assert not any(detector.tick(patience, progress, "a wait") for progress in arrived)
    silence = [detector.tick(patience, arrived[-1], "the next wait") for _ in range(11)]
    assert silence[:-1] == [""] * 10
    assert silence[-1] == "sent nothing for 5 s"


async def test_slow_reader_is_not_a_stalled_server() -> None:
    """Time counts only while a reader waits for bytes."""
    async with (
        ScriptedServer(answers(response(LARGE))) as server,
        client_of(server) as client,
        client.request("GET", "/", {}) as answer,
    ):
        await until(lambda: only_connection(client)._paused)
        for _ in range(1000):
            client._pool._ticker.cancel()  # type: ignore[union-attr]  # it is set while connected
            client._pool._tick()
        assert await answer.read() == LARGE
