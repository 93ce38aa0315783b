"""Answers that are made to keep a run busy for ever, or to fill its memory, its screen and its log.

Each run is a process of its own, whose pauses are a hundred times faster.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from asyncsync.pace.standstill import LONGEST
from tests.rigs.measured import Measured, measured
from tests.rigs.scripted_s3 import Answer, Hook, Request, ScriptedS3
from tests.rigs.watch import tree

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's peak memory"),
]

MOST_MEMORY = 300
"""MiB."""
MOST_TEXT = 1024 * 1024
"""Characters on standard error and in the log."""
SPEED = 100
LATER = 4000
"""Seconds by which a run may end after the limit: what it takes to start and to stop on a machine
that has other work to do, times SPEED."""
GOOD = {"a/b.parquet": b"nested", "x": b"short", "z": b"last"}


async def run(s3: ScriptedS3, dest: Path, *arguments: str, speed: float = SPEED) -> Measured:
    """Sync everything, and insist on the limits of memory and text."""
    log = dest.parent / "log"
    options = ("--include", "*", "--no-parquet-check", "--log-file", str(log), "--dest", str(dest))
    ran = await measured(s3.environment, *options, *arguments, speed=speed)
    assert ran.peak < MOST_MEMORY
    assert len(ran.err) < MOST_TEXT
    assert log.stat().st_size < 2 * MOST_TEXT
    return ran


# nothing but refusals ---------------------------------------------------------------------------


def busy(retry_after: str) -> Hook:
    """Return a hook that refuses every request."""
    headers = {"Retry-After": retry_after} if retry_after else {}
    return lambda request: Answer(b"<Error><Code>SlowDown</Code></Error>", 503, headers)


@pytest.mark.row(156)
@pytest.mark.parametrize(
    ("objects", "retry_after", "workers"),
    [(8, "60", "auto"), (8, "60", "1"), (3000, "60", "4"), (3000, "", "auto"), (3000, "", "1")],
)
async def test_run_ends_that_is_refused_every_object(
    dest: Path, objects: int, retry_after: str, workers: str
) -> None:
    """In the time of an outage, and also a quiet run says before why nothing happens."""
    async with ScriptedS3({f"{n:04}": b"x" for n in range(objects)}, page_size=3000) as s3:
        s3.on_object = busy(retry_after)
        ran = await run(s3, dest, "--quiet", "--workers", workers)
    *_, ended = lines = ran.err.splitlines()
    assert ran.code == 4
    (told,) = [line for line in lines[:-1] if not line.startswith("failed: ")]
    assert told.startswith("asyncsync: nothing has come for 30 s: the server is busy: 503")
    assert ended.startswith("asyncsync: nothing has come for ")
    assert ended.endswith("try again later; the next run goes on from here (exit code 4)")
    assert ran.seconds < LONGEST + LATER


@pytest.mark.row(156)
@pytest.mark.parametrize("verb", ["GET", "HEAD"])
async def test_answers_to_one_kind_of_request_are_no_progress(dest: Path, verb: str) -> None:
    """If the other kind is refused, no object can arrive."""
    async with ScriptedS3({f"{n:04}": b"x" for n in range(3000)}, page_size=3000) as s3:
        refuse = busy("")
        s3.on_object = lambda request: refuse(request) if request.verb == verb else None
        ran = await run(s3, dest, "--quiet")
    assert ran.code == 4
    assert ran.seconds < LONGEST + LATER


@pytest.mark.row(156)
async def test_bytes_that_are_discarded_are_no_progress(dest: Path) -> None:
    """Those of large objects without an ETag, which begin again after each cut."""
    async with ScriptedS3({f"{n:02}": bytes(300_000) for n in range(40)}) as s3:

        def cut(request: Request) -> Answer | None:
            untagged = {"ETag": "", "Last-Modified": ""}
            data = s3.objects[request.key]
            if request.verb == "HEAD":
                return Answer(data, headers=untagged)
            return Answer(data, headers=untagged, cut=200_000)

        s3.on_list = lambda _: Answer(
            s3.page(*s3.objects)
            .replace(b"&quot;", b"")
            .replace(b"<ETag>", b"<NoTag>")
            .replace(b"</ETag>", b"</NoTag>")
        )
        s3.on_object = cut
        ran = await run(s3, dest, "--quiet", "--attempts", "1000", "--workers", "4")
    assert ran.code == 4
    assert "nothing has come for" in ran.err
    assert ran.seconds < LONGEST + LATER


@pytest.mark.row(156)
@pytest.mark.parametrize("retry_after", ["", "60"])
async def test_single_object_that_is_refused_fails_alone(dest: Path, retry_after: str) -> None:
    """When all others have arrived."""
    async with ScriptedS3({**GOOD, "y": b"never"}) as s3:
        refuse = busy(retry_after)
        s3.on_object = lambda request: refuse(request) if request.key == "y" else None
        ran = await run(s3, dest, "--quiet")
    assert ran.code == 1
    *_, failed = ran.err.splitlines()
    assert failed.startswith("failed: y: given up")
    assert tree(dest) == GOOD
    assert ran.seconds < LONGEST + LATER


@pytest.mark.row(156)
async def test_listing_that_is_refused_ends_the_run(dest: Path) -> None:
    """In the time of an outage as well, and sooner where the last pause would go beyond it."""
    async with ScriptedS3(GOOD) as s3:
        s3.on_list = busy("60")
        ran = await run(s3, dest, "--quiet", "--attempts", "1000")
    assert ran.code == 4
    assert re.search(
        r"the bucket cannot be listed: given up: nothing has come for (2[4-9]|3[0-3])\d s", ran.err
    )
    assert ran.seconds < LONGEST + LATER


@pytest.mark.row(156)
async def test_throttled_listing_goes_on(dest: Path) -> None:
    """If each page comes at last, a listing of hours is no standstill."""
    async with ScriptedS3({f"{n:02}": b"x" for n in range(12)}, page_size=2) as s3:
        refuse = busy("60")
        s3.on_list = lambda request: refuse(request) if request.number % 3 else None
        ran = await run(s3, dest, speed=1000)
    assert ran.code == 0
    assert tree(dest) == s3.objects


@pytest.mark.row(156)
async def test_what_has_arrived_is_kept(dest: Path) -> None:
    """The next run fetches only the rest."""
    data = bytes(2_000_000)
    async with ScriptedS3({"a": data, "b": data}) as s3:
        refuse = busy("60")

        def cut(request: Request) -> Answer | None:
            if request.verb == "HEAD":
                return None
            return refuse(request) if "range" in request.headers else Answer(data, cut=1_000_000)

        s3.on_object = cut
        ran = await run(s3, dest, "--quiet")
        assert ran.code == 4
        s3.on_object = lambda request: None
        s3.requests.clear()
        again = await run(s3, dest)
        spans = [r.headers.get("range", "") for r in s3.requests if r.verb == "GET"]
    assert again.code == 0
    assert len(spans) == 2
    assert all(spans)


# keys -------------------------------------------------------------------------------------------

LONG = {
    "1,025 bytes": "m" * 1017 + ".parquet",
    "60 KB": "m" * 60_000 + ".parquet",
    "1 MiB": "m" * 1_048_576,
    "characters of four bytes": "m" + "\U0001f600" * 256,
    "50,000 components": "m/" * 50_000 + "x",
    "control characters": "m" + "\x1b" * 60_000,
}


@pytest.mark.row(157)
@pytest.mark.parametrize("what", LONG)
@pytest.mark.parametrize("more", [False, True], ids=["one page", "more pages"])
async def test_key_that_is_too_long_is_skipped(dest: Path, what: str, more: bool) -> None:
    """It is named, as much of it as is shown, and all others arrive."""
    long = [LONG[what], LONG[what] + "2"]
    async with ScriptedS3(
        {**GOOD, **dict.fromkeys(long, b"evil")}, page_size=4 if more else 9
    ) as s3:
        ran = await run(s3, dest, "--quiet", speed=1)
        asked = [r for r in s3.requests if len(r.key) > 1024 or len(r.start_after) > 1024]
    assert ran.code == 3
    lines = ran.err.splitlines()
    assert len(lines) == 2
    for line in lines:
        assert line.startswith("skipped: m")
        assert line.endswith("… (cut): a key cannot be longer than 1,024 bytes")
        assert len(line) < 300
    assert tree(dest) == GOOD
    assert not asked


@pytest.mark.row(157)
@pytest.mark.parametrize(("size", "number"), [(60_000, 1000), (1_000_000, 150)])
async def test_many_long_keys_take_limited_memory(dest: Path, size: int, number: int) -> None:
    """Pages of them, in order, in one prefix that is listed in ranges."""
    per_page = 14_000_000 // size

    def listed(request: Request) -> Answer:
        if request.delimiter:
            return Answer(s3.page(prefixes=["p/"]))
        start = int(request.token or 0)
        stop = min(start + per_page, number)
        keys = [f"p/{n:06}{'k' * size}" for n in range(start, stop)]
        return Answer(s3.page(*keys, token=str(stop) if stop < number else ""))

    async with ScriptedS3() as s3:
        s3.on_list = listed
        ran = await run(s3, dest, "--quiet", speed=1)
    assert ran.code == 3
    assert len({line[:20] for line in ran.err.splitlines()}) == number


# pages ------------------------------------------------------------------------------------------


def page(content: bytes) -> bytes:
    """Return a page with this content."""
    return b"<ListBucketResult><EncodingType>url</EncodingType>" + content + b"</ListBucketResult>"


ENTRY = b"<Contents><Key>a</Key><Size>1</Size></Contents>"
PAGES: dict[str, Callable[[], bytes]] = {
    "10,001 keys": lambda: page(ENTRY * 10_001),
    "48 MiB": lambda: page(b" " * 48 * 1024 * 1024),
    "60 MiB of keys": lambda: page(b"<Key>a</Key>" * 5_000_000),
    "16 MiB of keys": lambda: page(b"<Key>a</Key>" * 1_390_000),
    "16 MiB of keys of one object": lambda: page(
        b"<Contents>" + b"<Key>a</Key>" * 1_390_000 + b"</Contents>"
    ),
    "attributes": lambda: page(b"<a " + b" ".join(b'a%d=""' % n for n in range(490_000)) + b"/>x<"),
    "lines": lambda: page(b"<a>" + b"\n" * 900_000 + b"</a><"),
    "nested tags": lambda: page(b"<a>" * 390_000),
    "a token of 4 MiB": lambda: page(
        ENTRY + b"<NextContinuationToken>" + b"t" * 4_000_000 + b"</NextContinuationToken>"
    ),
}


@pytest.mark.row(158, 160)
@pytest.mark.parametrize("what", PAGES)
async def test_page_that_is_no_answer_of_s3_is_refused(dest: Path, what: str) -> None:
    """The error names the page: the second one, of all listings side by side."""
    body = PAGES[what]()
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    large = Answer(chunked, headers={"Transfer-Encoding": "chunked"})
    async with ScriptedS3() as s3:
        first = s3.page("a/a", *(f"{n:02}/a" for n in range(20)), token="2")

        def listed(request: Request) -> Answer:
            return large if request.token else Answer(first)

        s3.on_list = listed
        ran = await run(s3, dest, "--quiet", "--attempts", "3")
    assert ran.code == 4
    assert "cannot be listed, page 2: given up after 3 attempts: not an S3 answer: " in ran.err


@pytest.mark.row(158)
@pytest.mark.parametrize("content", ["ascii", "wide"])
async def test_full_pages_side_by_side_take_limited_memory(dest: Path, content: str) -> None:
    """Sixteen prefixes, and of each the largest page that is read."""
    tail = b"k" * 1000 if content == "ascii" else b"%F0%9F%98%80" + b"k" * 996

    def listed(request: Request) -> Answer:
        if not request.key:
            return Answer(s3.page(prefixes=[f"{n:02}/" for n in range(16)]))
        prefix = request.key.encode()
        entry = b"<Contents><Key>%b%05d%b</Key><Size>1</Size></Contents>"
        return Answer(page(b"".join(entry % (prefix, n, tail) for n in range(10_000))))

    async with ScriptedS3() as s3:
        s3.on_list = listed
        ran = await run(s3, dest, *(f"{n:02}/" for n in range(16)), "--exclude", "*", speed=1)
    assert ran.code == 0
