"""Faults of the network between a sync and a real server (rows 1 to 18)."""

import asyncio
import socket
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import anyio.lowlevel
import pytest

from asyncsync.disk import PART
from asyncsync.errors import NetworkError, RetriesExhaustedError, TLSError
from asyncsync.http.client import _Pool
from asyncsync.pace.outage import LONGEST_OUTAGE
from tests.faults.remote.scene import FIRST, KEY, PARTS, SMALL, WHOLE
from tests.rigs.bucket import Bucket
from tests.rigs.fault_proxy import Act, Ending, Rule, Verb
from tests.rigs.fault_run import Run, synced
from tests.rigs.scripted import Authority, ScriptedServer, answers, response
from tests.rigs.watch import unfinished

pytestmark = pytest.mark.anyio


@pytest.fixture
def bucket(empty_bucket: Bucket) -> Bucket:
    """A bucket on a real server, empty."""
    return empty_bucket


def assert_done(run: Run, tree: dict[str, bytes], retried: int) -> None:
    """Assert the files, exit code 0, and the number of retried objects in the summary."""
    assert run.tree == tree
    assert run.ended_by == (None, 0)
    assert run.report.retried == retried


# interrupted bodies ------------------------------------------------------------------------------

RESET = Act(stop=300_001, ending="reset")
FIN = Act(stop=300_001, ending="fin")
NO_FINAL_CHUNK = Act(stop=300_001, ending="fin", chunked=True)


@pytest.mark.parametrize(
    "cut",
    [
        pytest.param(RESET, id="reset", marks=pytest.mark.row(1)),
        pytest.param(FIN, id="fin", marks=pytest.mark.row(2)),
        pytest.param(NO_FINAL_CHUNK, id="no-final-chunk", marks=pytest.mark.row(3)),
    ],
)
async def test_broken_part_goes_on_where_it_broke(bucket: Bucket, dest: Path, cut: Act) -> None:
    """Only the missing bytes of that part are requested, of the same version."""
    etag = bucket.put(KEY, PARTS)
    run = await synced(bucket, dest, Rule("GET", KEY, cut, span=f"bytes={PART}-*"))
    assert_done(run, {KEY: PARTS}, retried=1)
    end = len(PARTS) - 1
    assert sorted(run.proxy.spans(KEY)) == sorted(
        [f"bytes=0-{PART - 1}", f"bytes={PART}-{end}", f"bytes={PART + 300_001}-{end}"]
    )
    gets = [request for request in run.proxy.requests if request.verb == "GET"]
    assert {get.headers["if-match"] for get in gets} == {f'"{etag}"'}
    assert sum(run.watcher.bytes[KEY]) == len(PARTS)


@pytest.mark.row(3, 4)
@pytest.mark.parametrize(
    "act",
    [
        pytest.param(Act(stop=400_001, ending="fin", chunked=True), id="no-final-chunk"),
        pytest.param(Act(body=lambda body: body + b"more"), id="more"),
    ],
)
async def test_part_that_goes_wrong_behind_its_last_byte_is_fetched_again(
    bucket: Bucket, dest: Path, act: Act
) -> None:
    """Only that part is requested again, and completely: no byte of it is missing."""
    bucket.put(KEY, PARTS)
    second = f"bytes={PART}-{len(PARTS) - 1}"
    run = await synced(bucket, dest, Rule("GET", KEY, act, span=second, nth={1, 2}))
    assert_done(run, {KEY: PARTS}, retried=1)
    assert sorted(run.proxy.spans(KEY)) == [f"bytes=0-{PART - 1}", second, second]
    assert sum(run.watcher.bytes[KEY]) == len(PARTS)


@pytest.mark.row(1, 2)
@pytest.mark.parametrize("cut", [RESET, FIN], ids=["reset", "fin"])
async def test_body_that_breaks_again_and_again_arrives(
    bucket: Bucket, dest: Path, cut: Act
) -> None:
    """Each answer continues where the one before it broke."""
    bucket.put(KEY, WHOLE)
    run = await synced(bucket, dest, Rule("GET", KEY, cut, nth={1, 2}))
    assert_done(run, {KEY: WHOLE}, retried=1)
    assert run.proxy.spans(KEY) == ["", "bytes=300001-700000", "bytes=600002-700000"]


@pytest.mark.row(1, 2, 3)
@pytest.mark.parametrize(
    "cut",
    [replace(cut, stop=99) for cut in (RESET, FIN, NO_FINAL_CHUNK)],
    ids=["reset", "fin", "no-final-chunk"],
)
async def test_broken_small_body_is_fetched_again(bucket: Bucket, dest: Path, cut: Act) -> None:
    """A small object is requested again from its start."""
    bucket.put(KEY, SMALL)
    run = await synced(bucket, dest, Rule("GET", KEY, cut, nth=FIRST))
    assert_done(run, {KEY: SMALL}, retried=1)
    assert run.proxy.spans(KEY) == ["", ""]


@pytest.mark.row(1, 2)
async def test_body_that_always_breaks_fails_alone(bucket: Bucket, dest: Path) -> None:
    """An object that never arrives has no file, and all others are downloaded."""
    bucket.put_many({KEY: WHOLE, "1hz/b.parquet": SMALL})
    never = Rule("GET", KEY, Act(stop=0, ending="fin"))
    run = await synced(bucket, dest, never, attempts=3)
    assert run.tree == {"1hz/b.parquet": SMALL}
    assert (run.exit_code, run.failures) == (1, {KEY: RetriesExhaustedError})
    assert run.proxy.count("GET", KEY) == 3


@pytest.mark.row(4)
@pytest.mark.parametrize("data", [SMALL, WHOLE], ids=["small", "large"])
async def test_bytes_behind_the_body_are_not_written(
    bucket: Bucket, dest: Path, data: bytes
) -> None:
    """The connection is closed, and an object that was not complete is requested on another one."""
    bucket.put(KEY, data)
    more = Rule("GET", KEY, Act(body=lambda body: body + b"more"), nth=FIRST)
    run = await synced(bucket, dest, more)
    assert run.tree == {KEY: data}
    assert run.exit_code == 0


def resized(by: int) -> Act:
    """Return a second part with the right Content-Range and another length."""
    length = len(PARTS) - PART + by
    return Act(
        headers={"content-length": str(length)}, body=lambda body: (body + b"x" * 9)[:length]
    )


@pytest.mark.row(4)
@pytest.mark.parametrize("by", [7, -7], ids=["longer", "shorter"])
async def test_part_of_another_length_is_not_taken(bucket: Bucket, dest: Path, by: int) -> None:
    """Nothing is written beyond its end; it is requested again, and the other part is kept."""
    bucket.put(KEY, PARTS)
    span = f"bytes={PART}-*"
    run = await synced(bucket, dest, Rule("GET", KEY, resized(by), span=span, nth={1, 2}))
    assert_done(run, {KEY: PARTS}, retried=1)
    assert sum(span.startswith("bytes=0-") for span in run.proxy.spans(KEY)) == 1
    assert run.proxy.count("HEAD", KEY) == 1


@pytest.mark.row(4)
async def test_parts_whose_lengths_make_up_for_each_other_are_not_taken(
    bucket: Bucket, dest: Path
) -> None:
    """One part is as much too long as the other is too short, so the sum is right."""
    bucket.put(KEY, PARTS)
    shorter = Act(headers={"content-length": str(PART - 7)}, body=lambda body: body[:-7])
    run = await synced(
        bucket,
        dest,
        Rule("GET", KEY, resized(7), span=f"bytes={PART}-*"),
        Rule("GET", KEY, shorter, span="bytes=0-*"),
        attempts=2,
    )
    assert run.exit_code == 1
    assert run.tree == {}


# slow answers ------------------------------------------------------------------------------------

IMPATIENT = {"read_timeout": 0.5, "slow_time": 1.0, "slow_rate": 10_000}
"""Long enough for a real server on a busy machine, and for a trickle of 500 bytes a second."""


@pytest.mark.row(5)
@pytest.mark.parametrize("data", [SMALL, WHOLE], ids=["small", "large"])
async def test_stalled_body_is_cut_and_fetched_again(
    bucket: Bucket, dest: Path, data: bytes
) -> None:
    """The silent connection is closed, and the object continues where it stopped."""
    bucket.put(KEY, data)
    stall = Rule("GET", KEY, Act(stop=1000, ending="stall"), nth=FIRST)
    run = await synced(bucket, dest, stall, transport=IMPATIENT)
    assert_done(run, {KEY: data}, retried=1)
    assert run.proxy.spans(KEY) == ["", "" if data is SMALL else "bytes=1000-700000"]


@pytest.mark.row(6)
@pytest.mark.parametrize("verb", ["LIST", "HEAD", "GET"])
async def test_answer_that_never_begins_is_asked_for_again(
    bucket: Bucket, dest: Path, verb: Verb
) -> None:
    """The request is sent again, whatever it asks for."""
    bucket.put(KEY, SMALL)
    silence = Rule(verb, "*", Act(instead=b"", ending="stall"), nth=FIRST)
    run = await synced(bucket, dest, silence, transport=IMPATIENT)
    assert run.tree == {KEY: SMALL}
    assert run.exit_code == 0


@pytest.mark.row(6)
async def test_answer_that_begins_late_arrives_at_last(
    bucket: Bucket, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that takes longer than the limit for the first byte gets more time each attempt."""
    bucket.put(KEY, SMALL)
    limits: list[float] = []
    late = asyncio.Event()
    real = _Pool.note_silence

    def note(pool: _Pool, line: str, seconds: float) -> None:
        if line.startswith("GET") and KEY in line:
            limits.append(seconds)
        if len(limits) == 3:  # the fourth attempt is long enough
            late.set()
        real(pool, line, seconds)

    monkeypatch.setattr(_Pool, "note_silence", note)
    run = await synced(
        bucket, dest, Rule("GET", KEY, Act(until=late)), transport={"read_timeout": 0.05}
    )
    assert run.tree == {KEY: SMALL}
    assert run.ended_by == (None, 0)
    assert limits == [pytest.approx(seconds) for seconds in (0.05, 0.1, 0.2)]


def black_hole(held: ExitStack, family: socket.AddressFamily, host: str, port: int = 0) -> int:
    """Return a port where nobody answers: its listener has a full queue and never accepts."""
    listener = held.enter_context(socket.socket(family))
    listener.bind((host, port))
    listener.listen(0)
    address = listener.getsockname()
    for _ in range(4):
        filler = held.enter_context(socket.socket(family))
        filler.setblocking(False)
        filler.connect_ex(address)
    return int(address[1])


@pytest.mark.row(6, 13)
async def test_black_hole_ends_the_run(bucket: Bucket, dest: Path) -> None:
    """Each attempt to connect has a time limit, and the error has host and port."""
    with ExitStack() as held:
        port = black_hole(held, socket.AF_INET, "127.0.0.1")
        run = await synced(
            bucket,
            dest,
            settings={"endpoint_url": f"http://127.0.0.1:{port}"},
            transport={"connect_timeout": 0.05},
        )
    assert run.ended_by == (NetworkError, 4)
    assert f"cannot connect to 127.0.0.1:{port} within 0.05 s" in run.message
    assert "tried for 20 s" in run.message
    assert len(run.watcher.notices) == 1


@pytest.mark.row(7)
async def test_trickling_body_counts_as_stalled(bucket: Bucket, dest: Path) -> None:
    """Bytes that arrive too slowly count as silence; those that have arrived are kept."""
    bucket.put(KEY, WHOLE)
    trickle = Rule("GET", KEY, Act(stop=1000, ending="trickle"), nth=FIRST)
    run = await synced(bucket, dest, trickle, transport=IMPATIENT)
    assert_done(run, {KEY: WHOLE}, retried=1)
    assert len(run.proxy.spans(KEY)) == 2


# answers that are not HTTP -----------------------------------------------------------------------

GIANT = response(headers={"X-Giant": "x" * 70_000})
ENDLESS = b"HTTP/1.1 200 OK\r\n" + b"X-More: of it\r\n" * 6000


@pytest.mark.row(8)
@pytest.mark.parametrize("head", [GIANT, ENDLESS], ids=["giant", "endless"])
async def test_head_without_bounds_is_given_up(bucket: Bucket, dest: Path, head: bytes) -> None:
    """It is retried; if the next answer is the same, only this object fails."""
    bucket.put_many({KEY: SMALL, "1hz/b.parquet": WHOLE})
    act = Act(instead=head, ending="stall")
    run = await synced(bucket, dest, Rule("GET", KEY, act, nth=FIRST))
    assert_done(run, {KEY: SMALL, "1hz/b.parquet": WHOLE}, retried=1)

    bucket.put(KEY, WHOLE)
    run = await synced(bucket, dest, Rule("GET", KEY, act), attempts=2)
    assert (run.exit_code, run.failures) == (1, {KEY: RetriesExhaustedError})
    assert "the head is longer than 65536 bytes" in run.message


# servers that cannot be reached ------------------------------------------------------------------


@pytest.mark.row(9)
async def test_refused_connection_ends_the_run(bucket: Bucket, dest: Path) -> None:
    """The run ends within 30 seconds, and the error has host and port."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        run = await synced(bucket, dest, settings={"endpoint_url": f"http://{address}"})
    assert run.ended_by == (NetworkError, 4)
    assert f"cannot connect to {address}" in run.message
    assert 15 < run.waited < 30
    (notice,) = run.watcher.notices
    assert f"cannot connect to {address}" in notice
    assert "retrying" in notice


@pytest.mark.row(1)
async def test_request_that_is_always_reset_fails_alone(bucket: Bucket, dest: Path) -> None:
    """Its connections are opened, so the network is up, and the run does not wait for minutes."""
    bucket.put_many({KEY: SMALL, "1hz/b.parquet": SMALL})
    reset = Rule("GET", KEY, Act(instead=b"", ending="reset"))
    run = await synced(bucket, dest, reset, attempts=3)
    assert run.tree == {"1hz/b.parquet": SMALL}
    assert (run.ended_by, run.failures) == ((None, 1), {KEY: RetriesExhaustedError})
    assert run.waited < 3
    assert run.watcher.notices == []


@pytest.mark.row(10)
@pytest.mark.parametrize("data", [SMALL, WHOLE, PARTS], ids=["small", "large", "parts"])
async def test_server_comes_back_after_five_seconds(
    bucket: Bucket, dest: Path, data: bytes
) -> None:
    """All connections break at once, and bytes that have arrived are not requested again."""
    bucket.put(KEY, data)

    async def after_five_seconds(run: Run) -> None:
        if run.waited > 5:
            await run.proxy.up()

    gone = Rule("GET", KEY, Act(stop=3000, ending="down"), nth=FIRST)
    run = await synced(bucket, dest, gone, paused=after_five_seconds)
    assert_done(run, {KEY: data}, retried=1)
    assert run.waited > 5
    assert all("bytes=3000-" in span for span in run.proxy.spans(KEY)[1:] if data is WHOLE)


@pytest.mark.row(13)
async def test_network_that_is_gone_for_20_seconds_is_survived(bucket: Bucket, dest: Path) -> None:
    """An outage is nobody's fault: no attempt is counted, and the observer is notified."""
    bucket.put_many({KEY: WHOLE, "1hz/b.parquet": SMALL})

    async def back(run: Run) -> None:
        if run.waited > 20:
            await run.proxy.up()

    gone = Rule("GET", KEY, Act(stop=3000, ending="down"), nth=FIRST)
    run = await synced(bucket, dest, gone, paused=back, attempts=2)
    assert run.tree == {KEY: WHOLE, "1hz/b.parquet": SMALL}
    assert run.ended_by == (None, 0)
    assert run.waited > 20
    away, again = run.watcher.notices
    assert "cannot connect to 127.0.0.1" in away
    assert "connected again after " in again


@pytest.mark.row(13)
async def test_network_that_stays_away_ends_the_run(bucket: Bucket, dest: Path) -> None:
    """The run ends after five minutes; complete parts are kept for the next run."""
    bucket.put_many({KEY: PARTS, "1hz/b.parquet": SMALL})
    cut = Rule("GET", KEY, Act(stop=0, ending="reset"), span=f"bytes={PART}-*")

    async def after_the_first_part(run: Run) -> None:
        while sum(run.watcher.bytes[KEY]) < PART:
            await anyio.lowlevel.checkpoint()
        run.proxy.down()

    run = await synced(bucket, dest, cut, paused=after_the_first_part)
    assert run.ended_by == (NetworkError, 4)
    assert "cannot connect to 127.0.0.1" in run.message
    assert run.waited >= LONGEST_OUTAGE
    assert unfinished(dest)
    again = await synced(bucket, dest)
    assert again.tree == {KEY: PARTS, "1hz/b.parquet": SMALL}
    assert again.proxy.spans(KEY) == [f"bytes={PART}-{len(PARTS) - 1}"]


@pytest.mark.row(13)
async def test_next_run_goes_on_where_the_network_went_away(bucket: Bucket, dest: Path) -> None:
    """Complete parts are kept, and not requested again."""
    bucket.put(KEY, PARTS)
    gone = Rule("GET", KEY, Act(stop=0, ending="reset"), span=f"bytes={PART}-*")

    async def until_the_first_part_has_come(run: Run) -> None:
        while sum(run.watcher.bytes[KEY]) < PART:
            await anyio.lowlevel.checkpoint()

    run = await synced(bucket, dest, gone, paused=until_the_first_part_has_come)
    assert run.failures == {KEY: RetriesExhaustedError}
    assert run.tree == {}
    assert unfinished(dest)
    run = await synced(bucket, dest)
    assert_done(run, {KEY: PARTS}, retried=0)
    assert run.proxy.spans(KEY) == [f"bytes={PART}-{len(PARTS) - 1}"]


@pytest.mark.row(11)
async def test_unknown_name_ends_the_run_at_once(
    bucket: Bucket, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that does not exist is not retried."""

    def unknown(*_: object, **__: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    run = await synced(bucket, dest, settings={"endpoint_url": "http://bucket.example"})
    assert run.ended_by == (NetworkError, 4)
    assert "cannot resolve the host name of bucket.example:80" in run.message
    assert run.waited == 0


@pytest.mark.row(11)
async def test_busy_resolver_is_asked_again(
    bucket: Bucket, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resolver that fails now may answer later."""
    bucket.put(KEY, SMALL)
    real = socket.getaddrinfo
    failures = [socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")] * 3

    def busy(host: str, port: int, **options: int) -> object:
        if failures:
            raise failures.pop()
        return real(host, port, **options)

    monkeypatch.setattr(socket, "getaddrinfo", busy)
    run = await synced(bucket, dest)
    assert run.tree == {KEY: SMALL}
    assert run.ended_by == (None, 0)
    assert failures == []


@pytest.mark.row(11)
@pytest.mark.parametrize("code", [socket.EAI_NONAME, socket.EAI_AGAIN])
async def test_resolver_that_forgets_the_name_is_an_outage(
    bucket: Bucket, dest: Path, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the endpoint has answered, its name exists, whatever a resolver says later."""
    objects = {f"1hz/{number}.parquet": SMALL for number in range(8)}
    bucket.put_many(objects)
    real = socket.getaddrinfo
    failures = [socket.gaierror(code, "Name or service not known")] * 3
    calls = 0

    def forgetful(host: str, port: int, **options: int) -> object:
        nonlocal calls
        calls += 1
        if calls > 1 and failures:
            raise failures.pop()
        return real(host, port, **options)

    monkeypatch.setattr(socket, "getaddrinfo", forgetful)
    monkeypatch.setattr("asyncsync.http.dial._ADDRESSES_VALID", 0.0)
    run = await synced(bucket, dest)
    assert run.tree == objects
    assert run.ended_by == (None, 0)
    assert failures == []


@pytest.mark.row(12)
async def test_dead_ipv6_is_not_waited_for(
    bucket: Bucket, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """IPv4 is tried while the IPv6 address does not answer, so no attempt fails."""
    bucket.put(KEY, SMALL)
    live = urlsplit(bucket.server.endpoint_url)
    with ExitStack() as held:
        try:
            dead = black_hole(held, socket.AF_INET6, "::1")
        except OSError:
            pytest.skip("this machine has no IPv6")
        kind = (socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        addresses = [
            (socket.AF_INET6, *kind, ("::1", dead, 0, 0)),
            (socket.AF_INET, *kind, (live.hostname, live.port)),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
        run = await synced(bucket, dest, settings={"endpoint_url": "http://bucket.example"})
    assert_done(run, {KEY: SMALL}, retried=0)
    assert run.waited == 0


# TLS and proxies ---------------------------------------------------------------------------------


@pytest.mark.row(14)
async def test_unknown_authority_ends_the_run_at_once(bucket: Bucket, dest: Path) -> None:
    """There is no retry and no request, and the error has the reason."""
    run = await synced(bucket, dest, tls=Authority().server())
    assert run.ended_by == (TLSError, 4)
    assert "certificate" in run.message
    assert run.waited == 0
    assert run.proxy.requests == []


@pytest.mark.row(15)
async def test_tls_cut_without_a_farewell_is_a_break(bucket: Bucket, dest: Path) -> None:
    """As without TLS, bytes that have arrived are kept."""
    bucket.put(KEY, WHOLE)
    authority = Authority()
    run = await synced(
        bucket,
        dest,
        Rule("GET", KEY, FIN, nth=FIRST),
        tls=authority.server(),
        transport={"ssl_context": authority.client()},
    )
    assert_done(run, {KEY: WHOLE}, retried=1)
    assert run.proxy.spans(KEY) == ["", "bytes=300001-700000"]


@pytest.mark.row(16)
@pytest.mark.parametrize(
    "status", ["407 Proxy Authentication Required", "502 Bad Gateway", "403 Forbidden"]
)
async def test_refusing_proxy_ends_the_run(
    bucket: Bucket, dest: Path, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    """The error has the proxy and the status, but not the password."""
    async with ScriptedServer(answers(response(status=status))) as proxy:
        peer = f"127.0.0.1:{proxy.port}"
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:hidden@{peer}")
        run = await synced(bucket, dest, settings={"endpoint_url": "https://bucket.example"})
    assert run.ended_by == (NetworkError, 4)
    assert f"the proxy {peer} refused to connect" in run.message
    assert status[:3] in run.message
    assert "hidden" not in run.message


# everyday faults ---------------------------------------------------------------------------------


@pytest.mark.row(17)
@pytest.mark.parametrize("ending", ["fin", "reset"])
async def test_kept_connection_that_closes_costs_no_attempt(
    bucket: Bucket, dest: Path, ending: Ending
) -> None:
    """The request is sent again at once, and nothing is reported."""
    objects = {f"1hz/{number:02}.parquet": SMALL for number in range(20)}
    bucket.put_many(objects)
    closed = Act(instead=b"", ending=ending)
    run = await synced(bucket, dest, Rule("*", "1hz/19.parquet", closed, nth=FIRST))
    assert_done(run, objects, retried=0)
    assert run.waited == 0
    assert run.proxy.count("GET", "1hz/19.parquet") == 2
    assert run.proxy.count("HEAD", "1hz/19.parquet") == 2


@pytest.mark.row(18)
async def test_slow_network_with_resets_costs_few_requests(bucket: Bucket, dest: Path) -> None:
    """With 1 % of the answers reset, at most 10 % more requests are sent than necessary."""
    objects = {f"1hz/{number:03}.parquet": SMALL for number in range(150)}
    bucket.put_many(objects)
    slow = 0.1
    reset = Rule("*", "*", Act(delay=slow, stop=0, ending="reset"), chance=0.01)
    run = await synced(bucket, dest, reset, Rule("*", "*", Act(delay=slow)), seed=4)
    assert run.tree == objects
    assert run.ended_by == (None, 0)
    assert run.report.retried > 0
    assert len(run.proxy.requests) <= 1.1 * (2 * len(objects) + 2)
