"""Faults of the network with a real server, real host names and a real link (rows 10 to 13).

`test_transport.py` tests the same faults in more detail, without waiting.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from asyncsync.disk import PART, spans
from asyncsync.disk.parts.partfile import PIECE
from tests.rigs.child import SECONDS, ended, started, until
from tests.rigs.mortal import mortal_server
from tests.rigs.network import ADDRESS, DEAD, HOST, NameServer, Network, name_server, network
from tests.rigs.scripted import Authority
from tests.rigs.scripted_s3 import ScriptedS3
from tests.rigs.watch import noted, tree, unfinished
from tests.rigs.wrapped import wrapped

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX ones"),
]

KEY = "fft/large.parquet"
LARGE = os.urandom(1_000_003) * 20
PARTS = len(list(spans(len(LARGE))))
SMALL = {f"1hz/{number:02}.parquet": bytes([number]) * 5000 for number in range(40)}
AUTHORITY = Authority()
TLS = AUTHORITY.server(HOST)


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    """The local folder."""
    return tmp_path / "dest"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The log of the run."""
    return tmp_path / "log"


@pytest.fixture
def arguments(dest: Path, log: Path) -> Sequence[str]:
    """The arguments of the run."""
    return ("--json", "--no-progress", "--log-file", str(log), "--dest", str(dest))


def logged(log: Path, text: str) -> bool:
    """Return whether the log contains a text."""
    return text in log.read_text()


def keep_journal(dest: Path) -> Path:
    """Link the journal of the only unfinished file to a second name, which outlives the run."""
    (journal,) = (path for path in unfinished(dest) if path.name.endswith(".journal"))
    kept = dest.with_name("journal")
    os.link(journal, kept)
    return kept


def assert_written_once(journal: Path) -> None:
    """Assert that the journal has every byte of the large object exactly once."""
    _, *lines = journal.read_bytes().splitlines()
    pieces = sorted(tuple(map(int, line.split()))[:2] for line in lines)
    assert [start for start, _ in pieces] == [0, *(stop for _, stop in pieces[:-1])]
    assert pieces[-1][1] == len(LARGE)


# a killed server ---------------------------------------------------------------------------------


@pytest.mark.row(10)
async def test_server_that_is_killed_and_started_again_costs_no_byte(
    tmp_path: Path, dest: Path, log: Path, arguments: Sequence[str]
) -> None:
    """The run waits for the server and continues: no byte arrives twice."""
    with mortal_server(tmp_path / "server") as mortal:
        mortal.bucket.put_many(SMALL)
        mortal.bucket.multipart(KEY, LARGE, 5 << 20)
        settings = mortal.bucket.server.environment()
        # One part is not requested yet: megabytes in flight still arrive after the kill.
        slow = ("--limit-rate", "12M", "--workers", str(PARTS - 1))
        async with started(settings, *slow, *arguments) as child:
            await until(lambda: noted(dest) > 0)
            mortal.kill()
            # after 3 s
            await until(lambda: logged(log, ": Connection refused; retrying for at most"))
            assert 0 < noted(dest) < len(LARGE)
            journal = keep_journal(dest)
            mortal.start()
            done = await ended(child)
    assert (done.code, done.summary["failed"]) == (0, 0)
    assert tree(dest) == {**SMALL, KEY: LARGE}
    assert unfinished(dest) == []
    assert_written_once(journal)


# names and addresses -----------------------------------------------------------------------------


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Network]:
    """A network of the test's own."""
    with network(tmp_path) as made:
        yield made


@asynccontextmanager
async def endpoint(
    net: Network, tmp_path: Path, objects: Mapping[str, bytes]
) -> AsyncIterator[tuple[NameServer, ScriptedS3, Mapping[str, str]]]:
    """Serve objects in the world; yield also the settings that lead there."""
    authority = tmp_path / "authority.pem"
    AUTHORITY.ca.cert_pem.write_to_path(str(authority))
    async with (
        name_server(net) as names,
        ScriptedS3(objects, listener=net.listener, tls=TLS) as s3,
    ):
        found = {"R2_ENDPOINT_URL": f"https://{HOST}", "AWS_CA_BUNDLE": str(authority)}
        yield names, s3, s3.environment | found


@pytest.mark.row(11)
async def test_name_that_no_server_knows_ends_the_run(
    net: Network, tmp_path: Path, arguments: Sequence[str]
) -> None:
    """The name is resolved once; the run ends within five seconds, and its error has the name."""
    async with endpoint(net, tmp_path, SMALL) as (names, s3, settings):
        done = await wrapped(net.machine, settings, *arguments)
        assert s3.requests == []
    assert done.code == 4
    assert done.summary["error"].startswith(f"cannot resolve the host name of {HOST}:443: ")
    assert done.summary["seconds"] < 5
    assert sorted(names.questions) == ["A", "AAAA"]


@pytest.mark.row(11)
async def test_name_server_that_fails_is_asked_again(
    net: Network, tmp_path: Path, dest: Path, log: Path, arguments: Sequence[str]
) -> None:
    """Name resolution that fails is retried, and is not counted as an object's attempt."""
    async with endpoint(net, tmp_path, SMALL) as (names, _, settings):
        names.addresses, names.failures = [ADDRESS], 6
        done = await wrapped(net.machine, settings, *arguments)
    assert (done.code, done.summary["retried"]) == (0, 0)
    assert tree(dest) == SMALL
    assert names.questions == ["A", "AAAA"] * 4
    assert logged(log, f"cannot connect to {HOST}:443: Temporary failure in name resolution")


@pytest.mark.row(12)
async def test_address_that_does_not_answer_is_not_waited_for(
    net: Network, tmp_path: Path, dest: Path, log: Path, arguments: Sequence[str]
) -> None:
    """The dead address is tried, and soon also the other one; no attempt fails."""
    async with endpoint(net, tmp_path, SMALL) as (names, _, settings):
        names.addresses = [DEAD, ADDRESS]
        done = await wrapped(net.machine, settings, *arguments)
    assert net.knocks() > 0
    assert (done.code, done.summary["retried"]) == (0, 0)
    assert tree(dest) == SMALL
    assert not logged(log, "cannot connect")
    assert done.summary["seconds"] < 5  # an attempt to connect may take ten


# a link that goes down ---------------------------------------------------------------------------


def connections(pid: int) -> int:
    """Return how many TCP connections are open in the network namespace of a process."""
    lines = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    return sum(line.split()[3] == "01" for line in lines)


@pytest.mark.row(13)
@pytest.mark.parametrize("seconds", [0, pytest.param(20, marks=pytest.mark.long)])
async def test_run_goes_on_when_the_network_is_back(
    net: Network, tmp_path: Path, dest: Path, log: Path, arguments: Sequence[str], seconds: int
) -> None:
    """Connections break and no new one opens; bytes that have arrived do not arrive again."""
    async with endpoint(net, tmp_path, {**SMALL, KEY: LARGE}) as (names, s3, settings):
        names.addresses = [ADDRESS]
        s3.allowance = came = len(LARGE) // 2
        async with started(settings, *arguments, wrapper=net.machine) as child:
            await asyncio.wait_for(s3.used_up.wait(), SECONDS)
            await until(lambda: noted(dest) > came - len(SMALL) * 5000 - PARTS * 2 * PIECE)
            child.send_signal(signal.SIGSTOP)  # it must not connect again before the link is down
            s3.allowance = None
            s3.hang_up()
            await until(lambda: not connections(child.pid))
            net.link("down")
            child.send_signal(signal.SIGCONT)
            await until(lambda: logged(log, ": Network is unreachable; the next attempt in"))
            journal = keep_journal(dest)
            asked = len(s3.requests)
            await asyncio.sleep(seconds)
            assert len(s3.requests) == asked
            net.link("up")
            done = await ended(child)
    assert (done.code, done.summary["failed"]) == (0, 0)
    assert tree(dest) == {**SMALL, KEY: LARGE}
    assert_written_once(journal)
    if seconds:
        away, again = done.err.splitlines()
        assert away.startswith(f"asyncsync: cannot connect to {HOST}:443: ")
        assert again.startswith("asyncsync: connected again after 2")


@pytest.mark.row(13)
@pytest.mark.long
async def test_run_whose_connections_outlive_an_outage_goes_on_with_them(
    net: Network, tmp_path: Path, dest: Path, arguments: Sequence[str]
) -> None:
    """The run does not notice that the link is down for 20 seconds, and repeats no request."""
    async with endpoint(net, tmp_path, {KEY: LARGE}) as (names, s3, settings):
        names.addresses = [ADDRESS]
        limit = ("--limit-rate", "8M")
        async with started(settings, *limit, *arguments, wrapper=net.machine) as child:
            await until(lambda: noted(dest) > PART)
            net.link("down")
            assert not net.reaches()
            journal = keep_journal(dest)
            await asyncio.sleep(20)
            assert noted(dest) < len(LARGE)
            net.link("up")
            done = await ended(child)
        assert s3.count("GET") == PARTS
    assert (done.code, done.summary["failed"]) == (0, 0)
    assert tree(dest) == {KEY: LARGE}
    assert_written_once(journal)
