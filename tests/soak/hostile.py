"""G22: an endpoint that answers with anything but what it is asked for."""

import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from asyncsync.pace.standstill import LONGEST
from tests.rigs.measured import Measured as Ran
from tests.rigs.measured import measured
from tests.rigs.scripted_s3 import Answer, Request, ScriptedS3
from tests.soak.figure import Figure, Measured, Trial, most

AT_ONCE = 4
SPEED = 50
"""How much faster than time pauses pass."""
START = 3.0
"""Seconds that a child may take to start and to end, really."""
LONGEST_RUN = LONGEST + 300
"""Seconds after the last answer that was good for something."""
MEMORY = 300
TEXT = 1024 * 1024
LINE = 2000
"""Characters of a line about one key."""

DEFINITE = (403, 404, 412, 416, 418)
PASSING = (200, 206, 400, 408, 429, 500, 502, 503, 504, 520, 529)


@asynccontextmanager
async def hostile(folder: Path) -> AsyncIterator[Trial]:
    """Each trial meets four such endpoints, one in each run."""
    yield partial(_met, folder)


async def _met(folder: Path, rng: random.Random) -> Measured:
    seeds = [rng.randrange(10**9) for _ in range(AT_ONCE)]
    runs = [_meet(folder, random.Random(seed)) for seed in seeds]
    found = await asyncio.gather(*runs)
    worst = {name: max(one[name] for one in found) for name in found[0]}
    return {"trials": AT_ONCE, **worst}


async def _meet(folder: Path, rng: random.Random) -> Measured:
    with tempfile.TemporaryDirectory(dir=folder) as home:
        return await _meet_in(Path(home), rng)


async def _meet_in(folder: Path, rng: random.Random) -> Measured:
    async with ScriptedS3() as s3:
        foe = _Foe(s3, rng)
        arguments = ["--include", "*", "--attempts", str(rng.choice([3, 8, 1000]))]
        arguments += ["--workers", rng.choice(["auto", "1", "8"]), "--dest", str(folder / "dest")]
        arguments += ["--log-file", str(folder / "log"), *rng.choice([["--quiet"], ["-v"], []])]
        ran = await measured(s3.environment, *arguments, speed=SPEED, seconds=120)
        took = (time.monotonic() - foe.useful_at - START) * SPEED
    text = _text(ran)
    assert ran.code in {1, 3, 4}, f"{foe.manner}: exit code {ran.code}: {ran.err[-200:]}"
    assert took <= LONGEST_RUN, f"{foe.manner}: {took:.0f} s"
    assert ran.peak < MEMORY, f"{foe.manner}: {ran.peak:.0f} MiB"
    assert text < TEXT, f"{foe.manner}: {text} characters"
    return {"seconds": took, "peak": ran.peak, "text": text}


def _text(ran: Ran) -> int:
    """Return the characters of all lines but those about one key, which are short."""
    about_keys = ("failed: ", "skipped: ", "missing: ")
    lines = [*ran.err.splitlines(), *ran.out.splitlines()]
    named = [line for line in lines if line.startswith(about_keys)]
    assert all(len(line) < LINE for line in named), max(named, key=len)[:300]
    return sum(len(line) for line in lines if not line.startswith(about_keys))


class _Foe:
    """Says what requests are answered with."""

    def __init__(self, s3: ScriptedS3, rng: random.Random) -> None:
        self._s3 = s3
        self._rng = rng
        self.useful_at = time.monotonic()
        """When something was answered that a run can make use of."""
        listings = [self._lists, self._lists, self._lists, self._repeats, self._bloats, self._errs]
        s3.on_list = rng.choice(listings)
        s3.on_object = self._object
        self._statuses = rng.sample(PASSING, rng.randrange(1, len(PASSING)))
        self._keys = [self._key(number) for number in range(rng.choice([2, 8, 100, 500]))]
        self._definite = set(
            rng.sample(self._keys, rng.choice([0, 0, min(len(self._keys) // 4, 10)]))
        )
        self._retry_after = rng.choice(["", "", "0", "7", "60", "86400", "x" * 5000])
        self._bloated = rng.choice([_many, _nested, _attributes, _long_token, _long_keys, _blank])
        self.manner = f"{s3.on_list.__name__} {self._bloated.__name__} {self._statuses}"

    def _key(self, number: int) -> str:
        fill = self._rng.choice(["", "\x1b", "k", "/k", "日", "\u202e", "\udcff", "../"])
        length = self._rng.choice([1, 1, 10, 100, 400, 2000])
        return f"{number % 20:02}/{number:05}{fill * length}"

    # listings -----------------------------------------------------------------------------------

    def _lists(self, request: Request) -> Answer:
        """List some objects, none of which can be had, page after page."""
        self.useful_at = time.monotonic()
        keys = sorted(key for key in self._keys if key.startswith(request.key))
        if request.delimiter:
            return Answer(self._s3.page(prefixes=sorted({f"{key[:3]}" for key in keys})))
        start = int(request.token) if request.token else 0
        keys = [key for key in keys if key > request.start_after]
        stop = start + 100
        return Answer(self._s3.page(*keys[start:stop], token=str(stop) if keys[stop:] else ""))

    def _repeats(self, request: Request) -> Answer:
        """List the same for ever."""
        token = self._rng.choice(["A", "B", str(request.number), ""])
        return Answer(self._s3.page(*self._keys[:3], token=token, truncated=True))

    def _bloats(self, request: Request) -> Answer:
        """Answer with what would take much memory."""
        content = self._bloated(self._rng)
        head = b"<ListBucketResult><IsTruncated>true</IsTruncated>"
        return self._framed(head + content + b"</ListBucketResult>")

    def _errs(self, request: Request) -> Answer:
        """Answer with no page."""
        return self._passing(request)

    # objects ------------------------------------------------------------------------------------

    def _object(self, request: Request) -> Answer:
        if request.key in self._definite:
            self.useful_at = time.monotonic()
            return Answer(self._junk(), self._rng.choice(DEFINITE), self._headers())
        return self._passing(request)

    def _passing(self, request: Request) -> Answer:
        status = self._rng.choice(self._statuses)
        body = b"" if status == 400 else self._junk()  # with a body, it would be definite
        cut = self._rng.choice([None, 0, 1])
        if status == 200 and request.verb != "LIST":  # it would be a definite one as well
            status = 500
        return Answer(body, status, self._headers(), cut=cut)

    def _headers(self) -> dict[str, str]:
        headers = {"Retry-After": self._retry_after} if self._retry_after else {}
        if self._rng.random() < 0.3:
            names = ["ETag", "Content-Range", "Last-Modified", "Location", "Date", "X-Junk"]
            headers[self._rng.choice(names)] = "j" * self._rng.choice([0, 100, 30_000, 70_000])
        return headers

    def _junk(self) -> bytes:
        code = self._rng.choice([b"SlowDown", b"InternalError", b"x" * 50_000, b"\xff\x00"])
        error = b"<Error><Code>%b</Code><Message>%b</Message></Error>" % (code, code * 2)
        return self._rng.choice([b"", b"junk", b"<html>", error, b"<a>" * 20_000, bytes(200_000)])

    def _framed(self, body: bytes) -> Answer:
        if self._rng.random() < 0.5:
            return Answer(body)
        chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        return Answer(chunked, headers={"Transfer-Encoding": "chunked"})


Content = Callable[[random.Random], bytes]


def _many(rng: random.Random) -> bytes:
    entry = rng.choice(
        [b"<Contents><Key>a</Key></Contents>", b"<Key>a</Key>", b"<a/>", b"<Contents/>"]
    )
    return entry * (rng.randrange(100_000, 20_000_000) // len(entry))


def _nested(rng: random.Random) -> bytes:
    return rng.choice([b"<a>", b"<Contents>", b"<Contents><Key>"]) * rng.randrange(1000, 2_000_000)


def _attributes(rng: random.Random) -> bytes:
    return b"<a " + b" ".join(b'a%d=""' % n for n in range(rng.randrange(1000, 1_000_000))) + b"/>"


def _long_token(rng: random.Random) -> bytes:
    token = b"t" * rng.randrange(8193, 10_000_000)
    return b"<NextContinuationToken>" + token + b"</NextContinuationToken>"


def _long_keys(rng: random.Random) -> bytes:
    key = rng.choice([b"k", b"&#x1F600;", b"a/", b"\n"]) * rng.randrange(1000, 1_500_000)
    entry = b"<Contents><Key>" + key + b"</Key><Size>1</Size></Contents>"
    return entry * max(rng.randrange(16_000_000) // len(entry), 1)


def _blank(rng: random.Random) -> bytes:
    return rng.choice([b" ", b"\n", b"&lt;", b"<!-- -->"]) * rng.randrange(1000, 16_000_000)


def _worst(measured: Sequence[Measured]) -> str:
    seconds, peak, text = (most(measured, name) for name in ("seconds", "peak", "text"))
    return f"{seconds:.0f} s, {peak:.0f} MiB and {text / 1024:.0f} KiB of text at most"


G22 = Figure(
    "G22",
    "runs that get nothing but hostile answers: statuses, bodies, headers and pages by chance",
    "ended 10 minutes after the last useful answer, with 300 MiB, and 1 MiB of text beside a line "
    "for each key",
    200,
    hostile,
    _worst,
)
