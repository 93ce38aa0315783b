"""The command line as a child process, against a real server: what a user gets in the end."""

import asyncio
import fcntl
import json
import os
import pty
import re
import shutil
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from asyncsync.demo.seaweed import SeaweedServer
from asyncsync.disk import Folder
from asyncsync.download.download import SMALL
from asyncsync.times import parse_time
from tests.rigs.bucket import Bucket, new_bucket
from tests.rigs.child import SOON, asyncsync, ended, started, until
from tests.rigs.movers import state_of
from tests.rigs.relay import Relay
from tests.rigs.state import STATE
from tests.rigs.terminal import Terminal
from tests.rigs.watch import snapshot, tree, unfinished
from tests.s3.test_store_contract import ODD_KEYS

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="signals and terminals are POSIX ones"),
]

LARGE = os.urandom(1_000_003) * 20  # its period does not divide a part's size, so all parts differ
GOOD: Mapping[str, bytes] = {
    **{f"good/{number:02}.parquet": bytes([number]) * number for number in range(20)},
    "good/large.parquet": LARGE,
}
XTERM = {"TERM": "xterm"}  # supports colours, although the output is a pipe


@pytest.fixture(scope="module")
def stock(server: SeaweedServer) -> Iterator[Bucket]:
    """A bucket for tests that only read: good objects, one that fails, one with an unsafe key."""
    with new_bucket(server) as bucket:
        bucket.put_many(GOOD)
        bucket.put("bad/blocked.parquet", b"data")
        bucket.put(".asyncsync/x.parquet", b"data")
        yield bucket


@pytest.fixture
def settings(stock: Bucket) -> dict[str, str]:
    """The environment variables for that bucket."""
    return stock.server.environment()


def below(dest: Path) -> dict[str, bytes]:
    return tree(dest) if dest.exists() else {}


# s3://bucket/prefix -----------------------------------------------------------------------------


async def test_other_tools_way_to_name_a_bucket_works(
    stock: Bucket, settings: dict[str, str], tmp_path: Path
) -> None:
    """Bucket and prefix stand in an argument, and the prefix is stripped from what arrives."""
    here = {**settings, "R2_BUCKET": "another-bucket"}
    source = f"s3://{stock.server.bucket}/good/"
    given = (
        source,
        str(tmp_path / "dest"),
        "--strip-prefix",
        "--no-progress",
        "--no-parquet-check",
    )
    done = await asyncsync(here, *given)
    assert (done.code, done.err) == (0, "")
    assert below(tmp_path / "dest") == {k.removeprefix("good/"): v for k, v in GOOD.items()}
    again = await asyncsync(here, "--json", *given)
    assert (again.code, again.summary["up_to_date"]) == (0, len(GOOD))
    deep = await asyncsync(here, "verify", "--deep", *given)
    assert (deep.code, f"content proven of {len(GOOD)}" in deep.out) == (0, True)
    hint = await asyncsync(settings, "plan", source.removeprefix("s3://"))
    assert (hint.code, f"did you mean {source}?" in hint.err) == (3, True)


# everything arrives -----------------------------------------------------------------------------


async def test_large_bucket_arrives_and_a_second_run_only_lists(
    server: SeaweedServer, tmp_path: Path
) -> None:
    """1,001 prefixes, one with 2,001 objects, root objects, odd keys, empty and huge objects."""
    small = {f"prefix {number:04}/a.parquet": b"%d" % number for number in range(1001)}
    small |= {f"1hz/2026/{number:04}.parquet": b"%d" % -number for number in range(2001)}
    small |= {key: key.encode() for key in ODD_KEYS}
    small |= {f"odd/{key}": key.encode() for key in ODD_KEYS}
    small |= {"empty.parquet": b"", "1hz/empty.parquet": b""}
    huge = os.urandom(1_000_003) * 130
    dest = tmp_path / "dest"
    with new_bucket(server) as bucket:
        with ThreadPoolExecutor() as threads:
            uploaded = threads.submit(bucket.multipart, "fft_hub1/huge.parquet", huge, 100_000_000)
            bucket.put_many(small)
            uploaded.result()
        environment = bucket.server.environment()
        arguments = ["--json", "--no-progress", "--dest", str(dest)]
        first = await asyncsync(environment, *arguments)
        assert (first.code, first.err) == (0, "")
        assert first.summary["downloaded"] == len(small) + 1

        assert (dest / "fft_hub1/huge.parquet").read_bytes() == huge
        (dest / "fft_hub1/huge.parquet").rename(tmp_path / "huge.parquet")
        assert tree(dest) == small
        (tmp_path / "huge.parquet").rename(dest / "fft_hub1/huge.parquet")
        assert unfinished(dest) == []

        (dest / STATE / "sources").unlink()  # the relay is another endpoint, of the same bucket
        async with Relay(server.endpoint_url) as relay:
            environment["R2_ENDPOINT_URL"] = relay.endpoint
            second = await asyncsync(environment, *arguments)
        assert (second.code, second.err) == (0, "")
        assert (second.summary["up_to_date"], second.summary["downloaded"]) == (len(small) + 1, 0)
        assert relay.verbs() == {"LIST"}
    shutil.rmtree(dest)


# runs that are cut short ------------------------------------------------------------------------


async def test_run_after_a_kill_completes_the_sync(
    settings: dict[str, str], tmp_path: Path
) -> None:
    """After SIGKILL, the next run makes the tree equal to the bucket and leaves nothing over."""
    dest = tmp_path / "dest"
    async with Relay(settings["R2_ENDPOINT_URL"]) as relay:
        hold = relay.hold("GET", after=1_000_000)
        async with started(
            settings | {"R2_ENDPOINT_URL": relay.endpoint}, "good/", "--dest", str(dest)
        ) as child:
            await hold.stopped.wait()
            await until(lambda: unfinished(dest) and below(dest))
            child.kill()
            await child.wait()
    assert unfinished(dest)
    assert all(GOOD[key] == data for key, data in tree(dest).items())
    assert "good/large.parquet" not in tree(dest)

    again = await asyncsync(settings, "good/", "--json", "--dest", str(dest))
    assert again.code == 0
    assert tree(dest) == GOOD
    assert unfinished(dest) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signal_stops_the_run_within_two_seconds(
    settings: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    """No traceback, no incomplete file with a final name, and the exit code that shells expect."""
    dest = tmp_path / "dest"
    async with Relay(settings["R2_ENDPOINT_URL"]) as relay:
        hold = relay.hold("GET", after=1_000_000)
        async with started(
            settings | {"R2_ENDPOINT_URL": relay.endpoint}, "good/", "--dest", str(dest)
        ) as child:
            await hold.stopped.wait()
            await until(lambda: unfinished(dest))
            sent = time.monotonic()
            child.send_signal(number)
            done = await ended(child)
            assert time.monotonic() - sent < SOON
    assert done.code == 128 + number
    last = done.err.splitlines()[-1]
    assert re.fullmatch(
        rf"asyncsync: stopped: .* kept; run again to go on \(exit code {128 + number}\)", last
    )
    assert all(GOOD[key] == data for key, data in tree(dest).items())
    assert "good/large.parquet" not in tree(dest)
    assert (await asyncsync(settings, "good/", "--dest", str(dest))).code == 0
    assert tree(dest) == GOOD
    assert unfinished(dest) == []


async def test_several_signals_at_once_stop_the_run_once(
    settings: dict[str, str], tmp_path: Path
) -> None:
    """As from `timeout`, or from a terminal that is closed: the run ends cleanly."""
    async with Relay(settings["R2_ENDPOINT_URL"]) as relay:
        hold = relay.hold("GET", after=1_000_000)
        async with started(
            settings | {"R2_ENDPOINT_URL": relay.endpoint}, "--dest", str(tmp_path / "dest")
        ) as child:
            await hold.stopped.wait()
            child.send_signal(signal.SIGSTOP)  # or the first might end it before the others come
            await until(lambda: state_of(child.pid) in {"T", ""})
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCONT):
                child.send_signal(number)
            done = await ended(child)
    assert done.code in {128 + signal.SIGTERM, 128 + signal.SIGHUP}  # whichever is taken first
    assert done.err.endswith(f"kept; run again to go on (exit code {done.code})\n")


# output -----------------------------------------------------------------------------------------


async def test_output_to_pipes_is_plain(settings: dict[str, str], tmp_path: Path) -> None:
    """No escape codes without a terminal, nothing at all with --quiet, and valid JSON lines."""
    plain, quiet, as_json = await asyncio.gather(
        asyncsync(settings | XTERM, "sync", "good/", "--verbose", "--dest", str(tmp_path / "1")),
        asyncsync(settings | XTERM, "sync", "good/", "--quiet", "--dest", str(tmp_path / "2")),
        asyncsync(settings | XTERM, "sync", "good/", "--json", "--dest", str(tmp_path / "3")),
    )
    assert (plain.code, quiet.code, as_json.code) == (0, 0, 0)
    assert (quiet.out, quiet.err) == ("", "")
    assert all(line.isprintable() for line in (plain.out + plain.err + as_json.err).splitlines())
    kinds = [event["event"] for event in as_json.events]
    assert kinds == ["start", *["downloaded"] * len(GOOD), "summary"]
    assert as_json.summary["downloaded_bytes"] == sum(map(len, GOOD.values()))


@pytest.mark.parametrize(("option", "code"), [("--verbose", 0), ("--json", 1)])
async def test_sync_goes_on_when_its_output_is_cut_off(
    settings: dict[str, str], tmp_path: Path, option: str, code: int
) -> None:
    """As by `| head -1`: all files arrive, and only incomplete JSON is a failure."""
    reading, writing = os.pipe()
    async with Relay(settings["R2_ENDPOINT_URL"]) as relay:
        hold = relay.hold("GET", after=0)
        async with started(
            settings | {"R2_ENDPOINT_URL": relay.endpoint},
            *("good/", option, "--dest", str(tmp_path / "dest")),
            stdout=writing,
        ) as child:
            os.close(writing)
            os.close(reading)
            await until(hold.stopped.is_set)
            hold.released.set()
            done = await ended(child)
    assert tree(tmp_path / "dest") == GOOD
    assert done.code == code


async def test_terminal_shows_bars_and_no_torn_line(
    settings: dict[str, str], tmp_path: Path
) -> None:
    """There are bars during the run; in the end, the screen has complete lines and no bar."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    arguments = ["good/", "bad/", "--verbose", "--dest", str(tmp_path / "dest")]
    arguments += ["--limit-rate", "20M"]  # or the large object might be here before a draw
    (tmp_path / "dest" / "bad" / "blocked.parquet").mkdir(parents=True)
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "asyncsync", *arguments),
        env={**os.environ, **settings, "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = await asyncio.to_thread(read_all, ours)
    assert await child.wait() == 1
    assert "% " in shown
    assert "\rgood/large.parquet " in shown or "\ngood/large.parquet " in shown
    assert "\x1b[31mfailed: " in shown
    terminal = Terminal(width=1000)
    terminal.write(shown)
    lines = terminal.lines
    kinds = ("sync:", "missing:", "downloaded:", "failed:", "prefix", "bad/", "good/", "total")
    assert [line for line in lines if not line.startswith(kinds)] == lines[-1:]
    assert lines[-1].startswith("21 downloaded (20 MB at ")
    for begin in ("missing: ", "downloaded: "):
        named = [line for line in lines if line.startswith(begin + "good/")]
        assert sorted(line.split()[1] for line in named) == sorted(GOOD)
    assert "%" not in "".join(lines)


def read_all(terminal: int) -> str:
    """Return everything that is written to the other side of a pseudo-terminal."""
    pieces = []
    with os.fdopen(terminal, "rb", buffering=0) as stream:
        try:
            while piece := stream.read(65536):
                pieces.append(piece)
        except OSError:  # Linux: the other side is closed
            pass
    return b"".join(pieces).decode()


# commands and exit codes ------------------------------------------------------------------------


async def test_plan_changes_nothing_on_the_disk(settings: dict[str, str], tmp_path: Path) -> None:
    """Whether the destination exists or not."""
    dest = tmp_path / "dest"
    (dest / "good").mkdir(parents=True)
    (dest / "good/01.parquet").write_bytes(b"old")
    before = snapshot(tmp_path)
    there, not_there = await asyncio.gather(
        asyncsync(settings, "plan", "good/", "--json", "--dest", str(dest)),
        asyncsync(settings, "plan", "good/", "--json", "--dest", str(tmp_path / "new" / "dest")),
    )
    assert (there.code, not_there.code) == (0, 0)
    assert there.summary["total"]["missing"] == len(GOOD) - 1
    assert not_there.summary["total"]["to_download"] == len(GOOD)
    assert snapshot(tmp_path) == before


async def test_each_exit_code_has_its_cause(settings: dict[str, str], tmp_path: Path) -> None:
    """Each from 0 to 6, in a run of its own."""
    held, file = tmp_path / "held", tmp_path / "file"
    file.touch()
    (tmp_path / "folder in the way" / "bad" / "blocked.parquet").mkdir(parents=True)
    causes: dict[str, tuple[int, dict[str, str], *tuple[str, ...]]] = {
        "all done": (0, settings, "good/0"),
        "folder in the way": (1, settings, "bad/", "good/0"),
        "no bucket set": (2, settings | {"R2_BUCKET": ""}),
        "own name": (3, settings, ".asyncsync/", "good/0"),
        "wrong secret": (4, settings | {"R2_SECRET_ACCESS_KEY": "wrong"}),
        "no such bucket": (4, settings | {"R2_BUCKET": "no-such-bucket"}),
        "dest is a file": (2, settings, "--dest", str(file)),
        "dest is below a file": (5, settings, "--dest", str(file / "below")),
        "dest is held": (6, settings, "--dest", str(held)),
    }
    with Folder(held).writing():
        runs = [
            asyncsync(environment, "--no-progress", "--dest", str(tmp_path / name), *arguments)
            for name, (_, environment, *arguments) in causes.items()
        ]
        done = dict(zip(causes, await asyncio.gather(*runs), strict=True))
    codes = {name: run.code for name, run in done.items()}
    assert codes == {name: code for name, (code, *_) in causes.items()}
    for name, run in done.items():
        assert "wrong" not in run.err.replace("wrong secret", ""), name
        assert len(run.err.splitlines()) == (codes[name] != 0), run.err
    for name in ("folder in the way", "own name"):
        assert len(tree(tmp_path / name)) == 10


async def test_sync_of_a_plan_takes_only_its_versions(bucket: Bucket, tmp_path: Path) -> None:
    """Without a listing; objects that have changed since are reported and not downloaded."""
    large = bytes(SMALL + 1)
    keys = ["a.parquet", "changed.parquet", "gone.parquet", "large/é +%25.parquet"]
    bucket.put_many({**dict.fromkeys(keys, b"first"), "large/changed.parquet": large})
    dest = ("--dest", str(tmp_path / "dest"))
    async with Relay(bucket.server.endpoint_url) as relay:
        settings = bucket.server.environment() | {"R2_ENDPOINT_URL": relay.endpoint}
        plan = tmp_path / "plan.json"
        plan.write_text((await asyncsync(settings, "plan", "--json", *dest)).out)
        bucket.put("changed.parquet", b"other")
        bucket.put("large/changed.parquet", b"x" + large[1:])
        bucket.delete("gone.parquet")
        bucket.put("new.parquet", b"new")
        relay.requests.clear()
        ran = await asyncsync(settings, "--plan", str(plan), "--json", *dest)
        assert relay.verbs() == {"GET", "HEAD"}
    kinds = {event["key"]: event for event in ran.events if "key" in event}
    assert {key: event.get("error", "") for key, event in kinds.items()} == {
        "a.parquet": "",
        "changed.parquet": "RemoteChangedError",
        "gone.parquet": "VanishedError",
        "large/changed.parquet": "RemoteChangedError",
        "large/é +%25.parquet": "",
    }
    assert (ran.code, ran.summary["skipped"], ran.summary["failed"]) == (1, 1, 2)
    found = tree(tmp_path / "dest")
    assert found == {"a.parquet": b"first", "large/é +%25.parquet": b"first"}
    planned = map(json.loads, plan.read_text().splitlines())
    (listed,) = [event for event in planned if event.get("key") == "a.parquet"]
    modified = parse_time(listed["modified"])
    assert (tmp_path / "dest/a.parquet").stat().st_mtime_ns == modified


async def test_verify_sends_head_for_every_file(settings: dict[str, str], tmp_path: Path) -> None:
    """It sends no GET."""
    dest = tmp_path / "dest"
    assert (await asyncsync(settings, "good/", "--dest", str(dest), "--quiet")).code == 0
    async with Relay(settings["R2_ENDPOINT_URL"]) as relay:
        settings["R2_ENDPOINT_URL"] = relay.endpoint
        done = await asyncsync(settings, "verify", "good/", "--json", "--dest", str(dest))
    assert (done.code, done.summary["verified"]) == (0, len(GOOD))
    assert relay.verbs() == {"LIST", "HEAD"}
